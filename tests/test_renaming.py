"""Files are renamed by their outcome, or keep their name, and none is ever lost."""

import asyncio
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore import Result, Sender, Sink
from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.journal.values import State
from asyncstore.renaming import BAD, DONE, NotRenamed, Renamer, is_done, without_ending
from support import trees, values
from support.commands import asyncstore, running_sink
from support.journals import read
from support.oracle import nothing_left_behind
from support.peers.dcmtk import running_storescp
from support.peers.programs import find_program

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"


def _outcome(path, result, **fields):
    return values.outcome(str(path), result, **fields)


def _names(folder):
    return sorted(os.fsdecode(os.path.relpath(path, folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "1.dcm"
    path.write_text("1")
    return path


# One outcome.


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        ({"result": Result.STORED}, DONE),
        ({"result": Result.WARNING}, DONE),
        ({"result": Result.SKIPPED}, DONE),
        ({"result": Result.FAILED}, BAD),
        ({"result": Result.NOT_SENT}, BAD),
        ({"result": Result.NOT_SENT, "is_withdrawn": True}, ""),
        ({"result": Result.UNKNOWN}, ""),
    ],
)
def test_the_new_name_tells_the_outcome_unless_the_file_must_be_sent_again(file, outcome, ending):
    renamer = Renamer()
    assert renamer.add([_outcome(file, **outcome)]) == []
    assert _names(file.parent) == [f"1.dcm{ending}"]
    assert renamer.failed == 0


@pytest.mark.parametrize("before", ["", DONE, BAD])
@pytest.mark.parametrize(("result", "after"), [(Result.STORED, DONE), (Result.FAILED, BAD)])
def test_a_name_has_one_ending_which_tells_the_last_outcome(tmp_path, before, result, after):
    path = tmp_path / f"1.dcm{before}"
    path.touch()
    assert Renamer().add([_outcome(path, result)]) == []
    assert _names(tmp_path) == [f"1.dcm{after}"]


@pytest.mark.parametrize("taken_by", ["file", "link that leads nowhere", "directory"])
def test_no_file_is_overwritten(file, taken_by):
    target = file.with_name("1.dcm.done")
    if taken_by == "file":
        target.write_text("another")
    elif taken_by == "directory":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    renamer = Renamer()
    assert renamer.add([_outcome(file, Result.STORED)]) == [NotRenamed(str(file), str(target), "that name is taken")]
    assert file.read_text() == "1"
    assert taken_by != "file" or target.read_text() == "another"
    assert renamer.failed == 1


def test_a_file_that_cannot_be_renamed_is_reported_and_the_others_are_renamed(tmp_path):
    long, short = tmp_path / ("x" * 253), tmp_path / "short"
    long.touch()
    short.touch()
    (problem,) = Renamer().add([_outcome(long, Result.STORED), _outcome(short, Result.STORED)])
    assert (problem.path, problem.reason) == (str(long), "File name too long")
    assert _names(tmp_path) == ["short.done", long.name]


def test_missing_and_special_files_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "directory").mkdir()
    paths = [tmp_path / name for name in ("fifo", "link", "directory", "gone", "a\0b")]
    problems = Renamer().add([_outcome(path, Result.NOT_SENT) for path in paths])
    assert [problem.reason for problem in problems] == ["no file can have this name"]
    assert _names(tmp_path) == ["fifo", "link"]
    assert (tmp_path / "directory").is_dir()


def test_a_file_that_was_named_twice_is_renamed_once_and_told_twice(file):
    renamer, told = Renamer(), []
    renamer.on_renamed = lambda *paths: told.append(paths)
    assert renamer.add([_outcome(file, Result.STORED), _outcome(file, Result.NOT_SENT)]) == []
    assert told == [(str(file), f"{file}.done")] * 2


def test_a_link_itself_is_renamed(file):
    link = file.with_name("link")
    link.symlink_to(file.name)
    Renamer().add([_outcome(link, Result.STORED)])
    assert _names(file.parent) == ["1.dcm", "link.done"]
    assert file.with_name("link.done").is_symlink()


def test_names_that_are_no_text_keep_their_bytes(tmp_path):
    written = trees.oddly_named(tmp_path, trees.pydicom_test_files()[0])
    assert Renamer().add([_outcome(os.fsdecode(path), Result.STORED) for path in written]) == []
    assert {os.fsencode(path) for path in tmp_path.iterdir()} == {path + b".done" for path in written}


def test_files_that_storescu_rejects_before_it_begins_keep_their_names(file):
    renamer = Renamer(keeps_unsendable=True)
    renamer.add([_outcome(file, Result.NOT_SENT)])
    assert file.exists()
    renamer.add([_outcome(file, Result.NOT_SENT, sop_class_uid="1.2")])
    assert _names(file.parent) == ["1.dcm.bad"]


# Repetitions.

_S, _F, _U = Result.STORED, Result.FAILED, Result.UNKNOWN


@pytest.mark.parametrize(
    ("results", "ending"), [((_S, _S, _S), DONE), ((_S, _F, _S), BAD), ((_U, _F, _S), BAD), ((_S, _U, _S), "")]
)
def test_a_file_is_renamed_after_its_last_repetition_for_the_worst(file, results, ending):
    renamer = Renamer(repeat=3)
    for result in results[:-1]:
        renamer.add([_outcome(file, result)])
        assert file.exists()
    renamer.add([_outcome(file, results[-1])])
    assert _names(file.parent) == [f"1.dcm{ending}"]


def test_a_file_whose_repetitions_did_not_all_have_their_turn_keeps_its_name(file):
    Renamer(repeat=3).add([_outcome(file, Result.STORED), _outcome(file, Result.STORED)])
    assert file.exists()


# Names.


@pytest.mark.parametrize(
    ("name", "stem", "done"),
    [
        ("1.dcm", "1.dcm", False),
        ("1.dcm.done", "1.dcm", True),
        ("1.dcm.bad", "1.dcm", False),
        ("/a.done/1", "/a.done/1", False),
        ("/a/.done", "/a/.done", False),
        (".bad", ".bad", False),
        ("1.DONE", "1.DONE", False),
        ("done", "done", False),
    ],
)
def test_an_ending_is_taken_off_once(name, stem, done):
    assert (without_ending(name), is_done(name)) == (stem, done)


@given(st.text(), st.sampled_from([DONE, BAD]))
def test_an_appended_ending_is_taken_off_again(name, ending):
    if os.path.basename(name):
        assert without_ending(name + ending) == name


def test_a_walk_that_resumes_skips_done_files_and_finds_bad_ones_again(tmp_path):
    for name in ("1.dcm", "2.dcm.done", "3.dcm.bad", "4.txt.bad", ".done", "below/5.dcm.done", "below/6.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(paths, **options):
        return [os.path.relpath(found.path, tmp_path) for found in walk(paths, WalkOptions(**options))]

    resumed = ["1.dcm", "3.dcm.bad", "below/6.dcm"]
    assert found([tmp_path], resume=True) == [".done", *resumed[:2], "4.txt.bad", resumed[2]]
    assert found([tmp_path], resume=True, pattern="*.dcm") == resumed
    assert found([tmp_path], pattern="*.dcm") == ["1.dcm", "below/6.dcm"]
    assert found([tmp_path / "2.dcm.done"], resume=True) == ["2.dcm.done"]  # it was named, so it is to be sent


def test_a_walk_that_resumes_knows_named_files_by_the_names_before(tmp_path):
    for name in ("1.dcm.done", "2.dcm.bad", "3.dcm", "3.dcm.done"):
        (tmp_path / name).touch()
    named = [tmp_path / f"{number}.dcm" for number in range(1, 5)]
    found = list(walk(named, WalkOptions(resume=True)))
    assert [(os.path.basename(file.path), file.ordinal) for file in found] == [
        ("2.dcm.bad", 1), ("3.dcm", 2), ("4.dcm", 3),
    ]  # fmt: skip
    assert found[-1].reason == "no such file or directory"


# Whole commands.


@pytest.fixture
def folder(tmp_path):
    """Three instances and a file without one."""
    trees.instances(tmp_path / "files", 3)
    trees.text_file(tmp_path / "files")
    return tmp_path / "files"


def _stems(folder):
    return {without_ending(name) for name in _names(folder)}


async def test_a_second_run_sends_the_rest(folder):
    before = set(_names(folder))
    async with running_sink("--status", "cannot-understand") as sink:
        assert (await asyncstore("send", "-nh", "+rn", HOST, str(sink.port), folder)).returncode == 2
    assert _names(folder) == sorted(f"{name}.bad" for name in before)
    async with running_sink() as sink:
        done = await asyncstore("send", "-nh", "+rn", "--json", "-", HOST, str(sink.port), folder)
        assert done.returncode == 2
        assert '"path":"' + str(folder) in done.out
        assert done.out.count('.bad"') == 4  # the paths are those that were found
        assert _names(folder) == sorted(
            f"{name}.bad" if name.startswith("README") else f"{name}.done" for name in before
        )
        again = await asyncstore("send", "-nh", "+rn", HOST, str(sink.port), folder)
        assert again.returncode == 1
        assert (await sink.end()).out.startswith("received 3 instances")
    assert _stems(folder) == before


@pytest.mark.parametrize(
    ("options", "ending", "states", "exit_code"),
    [((), DONE, {State.STORED}, 1), (("--status", "cannot-understand"), BAD, {State.FAILED}, 2)],
)
async def test_a_journal_has_the_new_names_and_the_same_command_finds_them(
    folder, tmp_path, options, ending, states, exit_code
):
    named = sorted(path for path in folder.rglob("*.dcm"))
    journal = tmp_path / "run.db"
    async with running_sink(*options) as sink:
        words = ("send", "+rn", *(["-nh"] if options else []), "--journal", journal, HOST, str(sink.port), *named)
        for _ in range(2):
            ended = await asyncstore(*words)
            rows = read(journal)
            assert [row.path for row in rows] == [f"{path}{ending}" for path in named]
            assert {(row.state, row.attempts) for row in rows} == {(state, 1) for state in states}
    assert ended.returncode == exit_code


async def test_every_repetition_is_stored_before_the_file_is_renamed(folder):
    async with running_sink() as sink:
        words = ("send", "-nh", "+rn", "--repeat", "4", HOST, str(sink.port), folder)
        assert (await asyncstore(*words)).returncode == 2
        assert (await sink.end()).out.startswith("received 12 instances")
    assert [without_ending(name) != name for name in _names(folder)] == [True] * 4


async def test_a_file_that_never_had_its_turn_keeps_its_name(folder, refusing_port):
    before = _names(folder)
    done = await asyncstore("send", "+rn", HOST, str(refusing_port), *(folder / name for name in before))
    assert done.returncode == 1
    assert [name for name in _names(folder) if not name.startswith("README")] == [
        name for name in before if not name.startswith("README")
    ]


async def test_a_name_that_is_taken_is_said_and_counted(folder):
    name = next(name for name in _names(folder) if not name.startswith("README"))
    (folder / f"{name}.done").touch()
    async with running_sink() as sink:
        done = await asyncstore("send", "+rn", HOST, str(sink.port), folder / name)
    assert done.returncode == 0
    assert f"W: {folder / name}: not renamed to {folder / name}.done: that name is taken" in done.err
    assert "1 file could not be renamed, and kept the name." in done.err


@pytest.mark.peers
async def test_files_are_renamed_as_by_storescu(tmp_path):
    storescu = find_program("storescu", "dcmtk")
    names = {}
    for program in ("theirs", "ours"):
        trees.instances(tmp_path / program, 3)
        trees.text_file(tmp_path / program)
        async with running_storescp(tmp_path / f"received by {program}") as scp:
            words = ("+sd", "+r", "+rn", "-nh", HOST, str(scp.port), tmp_path / program)
            if program == "ours":
                await asyncstore("send", *words)
            else:
                await asyncio.to_thread(subprocess.run, [storescu, *words], check=True, capture_output=True)
        names[program] = _names(tmp_path / program)
    assert names["ours"] == names["theirs"]
    assert sum(name.endswith(".done") for name in names["ours"]) == 3


async def test_a_library_user_renames_in_a_thread(folder):
    renamer = Renamer()
    async with nothing_left_behind(), Sink(port=0) as sink, Sender(HOST, sink.port) as sender:
        async for batch in sender.send([folder]).batches():
            assert await asyncio.to_thread(renamer.add, batch) == []
    assert [without_ending(name) != name for name in _names(folder)] == [True] * 4
