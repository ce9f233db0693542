"""Files that are no instances, directories, and new names: what becomes of them, and where that is different.

Each of :data:`differential.alike.DIFFERENCES` is seen here to be as it is said, or in test_tls.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.differential.acceptors import REQUESTS, STATUSES
from support.differential.alike import DIFFERENCES, assert_alike
from support.differential.conversation import EXPLICIT_LITTLE
from support.differential.programs import INPUTS, asyncstore, storescu, transcoding
from support.peers.hostile import Behaviour, stays_silent
from support.trees import pydicom_test_files, truncated

pytestmark = pytest.mark.peers

ODD = [
    ["text", "ct"],
    ["ct", "text", "colour"],
    ["empty"],
    ["directory", "ct"],
    ["missing", "ct"],
    ["ct", "missing"],
    ["document", "ct"],
    ["ct", "ct", "ct"],
    ["bare", "text", "empty", "directory", "missing", "document", "report", "bare-big-endian"],
]


@pytest.mark.parametrize("names", ODD, ids=" ".join)
@pytest.mark.parametrize("options", [["-x="], ["-R", "-nh"]], ids=" ".join)
def test_what_is_no_instance_or_of_no_known_class(recorder, archive, options, names):
    theirs, ours = recorder.both(*options, INPUTS, *map(archive.path, names))
    assert_alike(options, theirs, ours, len(names))


# New names


def _renamed(recorder, program, archive, folder, names, options, **behaviour):
    """Run a program on copies of files; the names of them all afterwards."""
    folder.mkdir()
    paths = []
    for number, name in enumerate(names):
        paths.append(str(folder / f"{number}-{name}"))
        if name != "missing":
            shutil.copy(archive.path(name), paths[-1])
    recorder.run(program, *options, INPUTS, *paths, behaviour=Behaviour(**behaviour))
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("status", ["success", "failure", "sometimes a failure"])
@pytest.mark.parametrize("request_", ["accepts all", "no MR", "implicit VR only"])
@pytest.mark.parametrize("options", [["-x=", "-nh"], ["-R", "-nh"]], ids=" ".join)
def test_files_are_renamed_alike(recorder, archive, tmp_path, options, request_, status):
    names = ["ct", "report", "text", "big-endian", "missing", "jpeg", "document", "empty", "colour"]
    answers = {"on_request": REQUESTS[request_], "on_store": STATUSES[status]}
    theirs, ours = (
        _renamed(recorder, program, archive, tmp_path / program.__name__, names, ["+rn", *options], **answers)
        for program in (storescu, asyncstore)
    )
    assert ours == theirs


@pytest.mark.parametrize("status", STATUSES)
def test_halted_by_a_status_the_rest_keeps_its_names(recorder, archive, tmp_path, status):
    names = ["ct", "report", "colour", "ct", "document"]
    theirs, ours = (
        _renamed(
            recorder, program, archive, tmp_path / program.__name__, names, ["+rn", "-R"], on_store=STATUSES[status]
        )
        for program in (storescu, asyncstore)
    )
    assert ours == theirs


# Where they differ


def test_every_difference_is_tested():
    tests = Path(__file__).read_text() + Path(__file__).with_name("test_tls.py").read_text()
    assert [name for name in DIFFERENCES if f'The difference "{name}".' not in tests] == []


@pytest.mark.parametrize("request_", ["no context", "rejects"])
def test_where_nothing_is_sent_only_asyncstore_renames_what_could_not_be(recorder, archive, tmp_path, request_):
    """The difference "names where nothing was sent"."""
    names, answer = ["ct", "text"], {"on_request": REQUESTS[request_]}
    theirs, ours = (
        _renamed(recorder, program, archive, tmp_path / program.__name__, names, ["+rn", "-x=", "-nh"], **answer)
        for program in (storescu, asyncstore)
    )
    assert theirs == ["0-ct", "1-text"]
    assert ours == ["0-ct.bad" if request_ == "no context" else "0-ct", "1-text.bad"]


def test_only_asyncstore_proposes_sop_classes_that_nobody_knows(recorder, archive):
    """The difference "SOP classes that nobody knows"."""
    theirs, ours = recorder.both("-R", "-nh", INPUTS, archive.path("ct"), archive.path("private"))
    assert (len(theirs.stored), len(ours.stored)) == (1, 2)
    theirs, ours = recorder.both("-R", INPUTS, archive.path("private"))
    assert (theirs.succeeded, ours.succeeded) == (False, True)


def test_only_asyncstore_decompresses(recorder, archive):
    """The difference "pixel data that the peer takes in other transfer syntaxes only"."""
    pytest.importorskip("gdcm")
    words = ("-x=", "-nh", INPUTS, archive.path("rle"), archive.path("ct"))
    theirs, ours = recorder.both(*words)
    assert len(theirs.stored) == len(ours.stored) == 1
    assert ours.proposals == theirs.proposals
    transcoded = recorder.run(transcoding, *words)
    assert [store.transfer_syntax_uid for store in transcoded.stored] == [EXPLICIT_LITTLE] * 2
    assert transcoded.proposals == theirs.proposals


def test_with_no_halt_only_asyncstore_tells_by_its_exit_code(recorder, archive):
    """The difference "exit code with --no-halt"."""
    behaviour = Behaviour(on_store=STATUSES["failure"])
    theirs, ours = recorder.both("-x=", "-nh", INPUTS, archive.path("ct"), behaviour=behaviour)
    assert (theirs.said.code, ours.said.code) == (0, 2)


@pytest.mark.slow
def test_after_a_failure_asyncstore_ends_the_association_in_order(recorder, archive):
    """The difference "end of the association after a failure"."""
    unanswered = Behaviour(on_request=stays_silent())
    for words, name, behaviour, expected in (
        ((), "jpeg", Behaviour(), ("aborted", "released")),
        ((), "ct", Behaviour(on_request=REQUESTS["no context"]), ("gone", "released")),
        (("-ta", "1"), "ct", unanswered, ("gone", "aborted")),
    ):
        theirs, ours = recorder.both("-x=", *words, INPUTS, archive.path(name), behaviour=behaviour)
        assert (*theirs.ends, *ours.ends) == expected


def test_without_an_option_that_proposes_asyncstore_sends_files_as_they_are(recorder, archive):
    """The difference "contexts without an option that proposes"."""
    names = ["ct", "jpeg", "rle", "implicit", "private"]
    theirs, ours = recorder.both("-nh", INPUTS, *map(archive.path, names))
    assert {store.transfer_syntax_uid for store in theirs.stored} == {EXPLICIT_LITTLE}
    assert len(theirs.stored) == 2
    assert len(ours.stored) == len(names)
    assert len({store.transfer_syntax_uid for store in ours.stored}) == 4
    assert ours.succeeded


def test_only_asyncstore_sends_what_is_in_a_directory_without_being_asked(recorder, archive, tmp_path):
    """The difference "directories without --scan-directories"."""
    (tmp_path / "below").mkdir()
    shutil.copy(archive.path("ct"), tmp_path / "below")
    theirs, ours = recorder.both("-x=", INPUTS, str(tmp_path), archive.path("report"))
    assert (len(theirs.stored), len(ours.stored)) == (1, 2)
    theirs, ours = recorder.both("-x=", INPUTS, str(tmp_path))
    assert (theirs.succeeded, ours.succeeded) == (False, True)


def test_a_data_set_that_is_cut_off_is_not_sent(recorder, archive, tmp_path):
    path = str(truncated(tmp_path, Path(archive.path("ct")), 20_000))
    theirs, ours = recorder.both("-x=", "-nh", INPUTS, path, archive.path("report"))
    assert (len(theirs.stored), len(ours.stored)) == (1, 1)
    assert ours.stored == theirs.stored


def test_a_data_set_in_another_transfer_syntax_than_its_file_says_is_not_sent(recorder, archive):
    [path] = [str(path) for path in pydicom_test_files() if path.name == "SC_rgb_jpeg.dcm"]
    theirs, ours = recorder.both("-xy", "-nh", INPUTS, path, archive.path("report"))
    assert (len(theirs.stored), len(ours.stored)) == (1, 1)
    assert ours.stored == theirs.stored


def test_only_asyncstore_believes_file_meta_information_where_the_data_set_names_nothing(recorder):
    """The difference "a data set without a SOP class or SOP instance UID"."""
    [path] = [str(path) for path in pydicom_test_files() if path.name == "priv_SQ.dcm"]
    theirs, ours = recorder.both("-R", "-nh", INPUTS, path)
    assert (len(theirs.stored), len(ours.stored)) == (0, 1)


def test_only_asyncstore_insists_on_the_confirmation_of_a_ticket(recorder, archive, tmp_path):
    """The difference "confirmation of tickets and tokens"."""
    ticket = tmp_path / "ticket"
    ticket.write_text("a ticket")
    theirs, ours = recorder.both("-kt", str(ticket), "-rsp", "-x=", INPUTS, archive.path("ct"))
    assert ours.proposals == theirs.proposals
    assert (len(theirs.stored), len(ours.stored)) == (1, 0)
    assert not ours.succeeded
