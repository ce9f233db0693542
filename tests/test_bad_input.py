"""Whatever lies among the files, each one has one outcome that says why, and all that can be stored is stored."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncstore import Result, Sink, WalkOptions
from support import trees
from support.oracle import GUARD, assert_true, nothing_left_behind, send
from support.peers.hostile import Behaviour, accepts, running_hostile
from support.peers.programs import find_program

pytestmark = pytest.mark.slow

LARGE = 4_000_000
"""Twice what sockets and buffers hold, so that a data set of this size is still being read while it is sent."""
CHANGED = "its size has changed since it was found"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return trees.instances(tmp_path_factory.mktemp("good") / "files", 3, data_set_bytes=20_000)


@pytest.fixture
def folder(tmp_path, good):
    """A folder with a good file that comes first and one that comes last."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(good[0], folder / "!first.dcm")
    shutil.copy(good[1], folder / "~last.dcm")
    return folder


def goods(folder):
    return [folder / "!first.dcm", folder / "~last.dcm"]


async def sent_to_a_sink(tmp_path, paths, walk=None, **options):
    """Send to a sink that stores; return the run and what the sink has then."""
    async with nothing_left_behind(), Sink(port=0, output=tmp_path / "out") as sink:
        ran = await send(sink.port, paths, walk, **options)
        return ran, trees.data_sets(tmp_path / "out")


# Things that are no instances -----------------------------------------------------------------------------------------


def loop(folder):
    first = trees.symlinks_to_each_other(folder)
    return [first, folder / "that.dcm"]


def truncated(keep):
    def make(folder):
        return trees.truncated(folder, folder / "!first.dcm", keep)

    make.__name__ = f"truncated to {keep} bytes"
    return make


def memory(folder):
    """A regular file that nobody can read: the system answers with an I/O error."""
    path = folder / "memory.dcm"
    path.symlink_to("/proc/self/mem")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (trees.empty_file, "it is empty"),
        (trees.random_bytes, "not a DICOM file"),
        (trees.text_file, "not a DICOM file"),
        (trees.prefix_only, "no data set after its file meta information"),
        (truncated(100), "not a DICOM file"),
        (truncated(140), "cut off within its file meta information"),
        (truncated(200), "cut off within its file meta information"),
        (truncated(1000), "it is cut off"),
        (truncated(1001), "it is cut off"),
        (trees.fifo, "a FIFO"),
        (trees.unix_socket, "a socket"),
        (trees.endless_device, "a character device"),
        (trees.broken_symlink, "a symbolic link that leads nowhere"),
        (loop, "symbolic link"),
        pytest.param(
            memory,
            "cannot be",
            marks=pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file here"),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_is_no_instance_is_named_with_its_reason_and_the_rest_is_stored(folder, tmp_path, make, words):
    made = make(folder)
    bad = made if isinstance(made, list) else [made]
    ran, received = await sent_to_a_sink(tmp_path, [folder])
    assert_true(ran, [*goods(folder), *bad], received)
    assert ran.failure is None
    for path in bad:
        outcome = ran.of(path)
        assert outcome.result is Result.NOT_SENT
        assert words in outcome.error
        assert outcome.attempts == 0
        assert str(path) not in outcome.error  # the caller shows it with the path
    assert [ran.of(path).result for path in goods(folder)] == [Result.STORED] * 2


@pytest.mark.parametrize("make", [trees.fifo, trees.unix_socket, trees.endless_device, trees.broken_symlink, loop])
async def test_the_same_named_by_the_caller_is_the_same(folder, tmp_path, make):
    made = make(folder)
    bad = made if isinstance(made, list) else [made]
    paths = [*bad, *goods(folder)]
    ran, received = await sent_to_a_sink(tmp_path, paths)
    assert_true(ran, paths, received)
    assert ran.results == {Result.NOT_SENT: len(bad), Result.STORED: 2}
    assert all(ran.of(path).error for path in bad)


async def test_a_path_that_is_not_there_is_an_outcome(folder, tmp_path):
    paths = [folder / "no-such-file.dcm", folder, "", "a\0b", folder / "!first.dcm" / "below-a-file.dcm", "x" * 5000]
    ran, received = await sent_to_a_sink(tmp_path, paths)
    assert_true(ran, [paths[0], *goods(folder), *paths[2:]], received)
    assert ran.of(paths[0]).error == "no such file or directory"
    assert all(ran.of(path).result is Result.NOT_SENT for path in paths[2:])
    assert all(ran.of(path).error for path in paths[2:])


async def test_nothing_at_all_to_send_is_a_run_without_outcomes(tmp_path):
    (tmp_path / "empty").mkdir()
    for paths in ([], [tmp_path / "empty"]):
        ran, received = await sent_to_a_sink(tmp_path, paths)
        assert (ran.outcomes, ran.failure, received) == ([], None, {})


async def test_only_unsendable_files_open_no_association(tmp_path):
    bad = [trees.empty_file(tmp_path), trees.text_file(tmp_path)]
    async with nothing_left_behind(), Sink(port=0) as sink:
        ran = await send(sink.port, bad)
        assert_true(ran, bad, {})
        assert ran.failure is None
        assert sink.tally.associations_total == 0


# Directories and names ------------------------------------------------------------------------------------------------


async def test_a_directory_named_as_a_file_is_walked(folder, tmp_path, good):
    below = trees.directory_named_as_a_file(folder)
    shutil.copy(good[2], below / "below.dcm")
    ran, received = await sent_to_a_sink(tmp_path, [folder])
    assert_true(ran, [*goods(folder), below / "below.dcm"], received)
    assert ran.results == {Result.STORED: 3}


async def test_a_loop_of_directories_is_walked_once(folder, tmp_path):
    trees.symlink_loop(folder)
    ran, received = await sent_to_a_sink(tmp_path, [folder])
    assert_true(ran, goods(folder), received)
    assert ran.results == {Result.STORED: 2}


@contextmanager
def tree_deeper_than_pythons_stack(folder, source):
    """Make directories within each other with a file at the bottom, and remove them: pytest could not."""
    deep = ["d"] * 1200
    here = Path.cwd()
    os.chdir(folder)
    try:
        for name in deep:
            Path(name).mkdir()
            os.chdir(name)
        shutil.copy(source, "deep.dcm")
        os.chdir(here)
        yield folder / deep[0]
        os.chdir(folder)
        for name in deep:
            os.chdir(name)
        Path("deep.dcm").unlink()
        for name in deep:
            os.chdir("..")
            Path(name).rmdir()
    finally:
        os.chdir(here)


async def test_a_tree_deeper_than_pythons_stack_is_walked(tmp_path, good):
    with tree_deeper_than_pythons_stack(tmp_path, good[0]) as deep:
        ran, received = await sent_to_a_sink(tmp_path, [deep])
    assert received.keys() == {ran.outcomes[0].sop_instance_uid}
    assert ran.results == {Result.STORED: 1}


async def test_any_name_a_file_system_takes_is_sent_and_comes_back_as_it_is(tmp_path, good):
    (tmp_path / "odd").mkdir()
    written = trees.oddly_named(tmp_path / "odd", good[0])
    assert len(written) > 10
    ran, received = await sent_to_a_sink(tmp_path, [tmp_path / "odd"])
    assert_true(ran, [os.fsdecode(path) for path in written], received)
    assert {os.fsencode(outcome.path) for outcome in ran.outcomes} == set(written)
    assert ran.results == {Result.STORED: len(written)}


async def test_odd_names_given_by_the_caller_are_taken_byte_for_byte(tmp_path, good):
    (tmp_path / "odd").mkdir()
    written = trees.oddly_named(tmp_path / "odd", good[0])
    ran, received = await sent_to_a_sink(tmp_path, [Path(os.fsdecode(path)) for path in written])
    assert_true(ran, [os.fsdecode(path) for path in written], received)
    assert ran.results == {Result.STORED: len(written)}


async def test_of_a_directory_that_is_not_to_be_walked_nothing_is_sent(folder, tmp_path):
    ran, _ = await sent_to_a_sink(tmp_path, [folder, *goods(folder)], WalkOptions(directories=False))
    assert ran.of(folder).error == "it is a directory"
    assert ran.results == {Result.NOT_SENT: 1, Result.STORED: 2}


async def test_an_unreadable_file_is_named_and_the_rest_is_stored(folder, tmp_path, good):
    bad = folder / "unreadable.dcm"
    shutil.copy(good[2], bad)
    trees.unreadable(bad)
    ran, received = await sent_to_a_sink(tmp_path, [folder])
    assert_true(ran, [*goods(folder), bad], received)
    assert ran.of(bad).error == "cannot be opened: Permission denied"


@pytest.mark.peers
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the test above says it")
def test_what_may_not_be_read_is_named_also_where_the_tests_run_as_root(folder):
    """Root may read everything, so a process that has given up this privilege does the sending."""
    (folder / "locked").mkdir(mode=0)
    (folder / "locked.dcm").touch(mode=0)
    program = """
import asyncio, sys
from asyncstore import Sender, Sink
async def main():
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        async for outcome in sender.send(["."]):
            print(outcome.path, outcome.result, outcome.error)
asyncio.run(main())
"""
    without_privilege = [find_program("setpriv", "util-linux"), "--bounding-set=-dac_override,-dac_read_search"]
    ended = subprocess.run(
        [*without_privilege, sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert ended.stderr == ""
    assert sorted(ended.stdout.splitlines()) == [
        "./!first.dcm stored None",
        "./locked not_sent the directory cannot be listed: Permission denied",
        "./locked.dcm not_sent cannot be opened: Permission denied",
        "./~last.dcm stored None",
    ]


# Files that change ----------------------------------------------------------------------------------------------------


def shrink(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def grow(path):
    with path.open("ab") as file:
        file.write(bytes(1000))


def vanish(path):
    path.unlink()


def be_exchanged(path):
    made = path.with_suffix(".other")
    made.write_bytes(bytes(path.stat().st_size))
    made.replace(path)


def be_overwritten(path):
    status = path.stat()
    with path.open("r+b") as file:
        file.write(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def become_a_fifo(path):
    made = path.with_suffix(".fifo")
    os.mkfifo(made)
    made.replace(path)


def become_a_directory(path):
    made = path.with_suffix(".directory")
    made.symlink_to(path.parent, target_is_directory=True)  # a link can take a file's place in one step
    made.replace(path)


CHANGES = [
    (shrink, CHANGED),
    (empty, CHANGED),
    (grow, CHANGED),
    (vanish, "cannot be opened any more: No such file or directory"),
    (be_exchanged, "it was exchanged since it was found"),
    (be_overwritten, "it was changed since it was found"),
    (become_a_fifo, CHANGED),
    (become_a_directory, CHANGED),
]


@pytest.fixture
def large(tmp_path):
    return trees.instances(tmp_path / "large", 4, data_set_bytes=LARGE)


def changes_amid_data(files, change):
    """A step that changes a file when the first of its data set has come."""
    by_uid = {trees.read_part10(path).sop_instance_uid: path for path in files}

    async def step(acceptor):
        path = by_uid.pop(acceptor.store.sop_instance_uid, None)
        if path is not None:
            change(path)

    return step


@pytest.mark.usefixtures("small_send_buffers")
@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(("change", "words"), CHANGES)
async def test_files_that_change_while_they_are_sent_are_not_sent_and_the_rest_is_stored(
    large, good, change, words, window
):
    behaviour = Behaviour(on_request=accepts(window=(window, 1)), amid_data=changes_amid_data(large[:3], change))
    files = [*large[:3], good[0], large[3], good[1]]
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        ran = await send(scp.port, files, associations=1, async_operations=window)
        assert ran.failure is None
        assert {outcome.path for outcome in ran.outcomes} == {str(path) for path in files}
        assert len(ran.outcomes) == len(files)
        for path in large[:3]:
            assert ran.of(path).result is Result.NOT_SENT
            assert words in ran.of(path).error
        for path in (good[0], large[3], good[1]):
            assert ran.of(path).result is Result.STORED
        stored = [outcome for outcome in ran.outcomes if outcome.result is Result.STORED]
        assert scp.stored().keys() == {outcome.sop_instance_uid for outcome in stored}
        assert scp.violations == []


@pytest.mark.parametrize(("change", "words"), CHANGES)
async def test_a_file_that_changes_before_its_turn_is_not_sent(tmp_path, good, change, words):
    """The probe has seen it, its data set is read later: of some files at once, of others in parts."""
    files = [
        *trees.instances(tmp_path / "medium", 2, data_set_bytes=100_000),
        *trees.instances(tmp_path / "large", 2, data_set_bytes=LARGE),
    ]

    async def step(acceptor):
        if len(scp.stores) == 1:
            for path in files:
                change(path)
        await acceptor.answer(0x0000)

    async with nothing_left_behind(), running_hostile(Behaviour(on_store=step)) as scp:
        ran = await send(scp.port, [*good, *files], associations=1)
        assert ran.failure is None
        assert len(ran.outcomes) == len(good) + len(files)
        for path in files:
            outcome = ran.of(path)
            if outcome.result is Result.STORED:  # it had been read before it changed
                assert outcome.sop_instance_uid in scp.stored()
            else:
                assert outcome.result is Result.NOT_SENT
                assert words in outcome.error
        assert {ran.of(path).result for path in files[1:]} == {Result.NOT_SENT}
        assert {ran.of(path).result for path in good} == {Result.STORED}
        assert scp.violations == []


async def test_a_file_that_is_replaced_by_another_of_its_size_is_sent_as_one_of_them(large, tmp_path):
    """It may have been read to its end before; what is called stored is what was sent."""
    behaviour = Behaviour(amid_data=changes_amid_data(large[:1], large[1].replace))
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        ran = await send(scp.port, large[:1], associations=1)
        assert len(ran.outcomes) == 1
        if ran.results == {Result.STORED: 1}:
            assert scp.stored().keys() == {ran.outcomes[0].sop_instance_uid}
        else:
            (error,) = ran.errors
            assert "it was exchanged since it was found: another file has its name now" in error
    assert tmp_path.exists()


# Instances that are odd -----------------------------------------------------------------------------------------------


async def test_the_same_file_several_times_has_an_outcome_each_time(good, tmp_path):
    ran, received = await sent_to_a_sink(tmp_path, [good[0]] * 3 + [good[1]], associations=2)
    assert_true(ran, [good[0]] * 3 + [good[1]], received)
    assert ran.results == {Result.STORED: 4}


async def test_a_repeated_walk_delivers_each_file_so_often(good, tmp_path):
    ran, received = await sent_to_a_sink(tmp_path, good, WalkOptions(repeat=4))
    assert_true(ran, good * 4, received)
    assert ran.results == {Result.STORED: 12}


async def test_more_kinds_of_instances_than_an_association_has_contexts_are_all_stored(good, tmp_path):
    """An association has 128 contexts at most (PS3.8 9.3.2.2)."""
    content = good[0].read_bytes()
    uid = trees.read_part10(good[0]).sop_instance_uid.encode()
    (tmp_path / "many").mkdir()
    for number in range(300):
        path = tmp_path / "many" / f"{number:03}.dcm"
        of_its_class = content.replace(
            b"1.2.840.10008.5.1.4.1.1.2\0", f"1.2.840.10008.5.1.4.1.{number + 100}\0".encode()
        )
        path.write_bytes(of_its_class.replace(uid, uid[:-3] + f"{number:03}".encode()))
    files = sorted((tmp_path / "many").iterdir())
    ran, received = await sent_to_a_sink(tmp_path, files, associations=2)
    assert_true(ran, files, received)
    assert ran.results == {Result.STORED: 300}
    assert len(received) == 300


@pytest.mark.parametrize("uid", [b"1.2.840\x07.1", b"../../etc/passwd", b"1\\2", b"1.2." + b"9" * 80])
async def test_a_uid_that_is_none_is_refused_before_it_is_sent(tmp_path, good, uid):
    path = tmp_path / "bad-uid.dcm"
    content = good[0].read_bytes()
    old = trees.read_part10(good[0]).sop_instance_uid.encode()
    path.write_bytes(content.replace(old, uid.ljust(len(old), b"\0")[: len(old)] if len(uid) <= len(old) else uid))
    ran, received = await sent_to_a_sink(tmp_path, [path, *good])
    assert_true(ran, [path, *good], received)
    assert ran.of(path).result is Result.NOT_SENT
    assert ran.results[Result.STORED] == len(good)


async def test_a_data_set_of_one_empty_element_is_stored(tmp_path, good):
    """The least there can be: whether it means anything is for the peer to say."""
    whole = trees.read_part10(good[0])
    path = tmp_path / "one-element.dcm"
    path.write_bytes(good[0].read_bytes()[: -len(whole.data_set)] + b"\x08\x00\x05\x00CS\0\0")
    ran, received = await sent_to_a_sink(tmp_path, [path])
    assert_true(ran, [path], received)
    assert ran.results == {Result.STORED: 1}


async def test_file_meta_information_without_a_data_set_is_not_sent(tmp_path, good):
    whole = trees.read_part10(good[0])
    path = tmp_path / "no-data-set.dcm"
    path.write_bytes(good[0].read_bytes()[: -len(whole.data_set)])
    ran, _ = await sent_to_a_sink(tmp_path, [path])
    assert ran.of(path).error == "it has no data set after its file meta information"
