import asyncio
import os
import random
import tempfile
import threading
import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.prepare import reading
from asyncstore.prepare.reading import BUFFER_SIZE, Reader
from support import values
from support.examples import examples
from support.oracle import until

_OFFSET = 10


def _instance(folder, name, length, *, is_small=False):
    """An instance in a file of noise; with ``is_small`` its data set has come along with the probe."""
    content = random.Random(name).randbytes(_OFFSET + length)  # noqa: S311 - noise, not a secret
    path = Path(folder, name)
    path.write_bytes(content)
    data = content[_OFFSET:] if is_small else None
    return values.instance(str(path), "1.2", "1.3", "1.2.840.10008.1.2.1.99", _OFFSET, length, data)


def _content(instance):
    """What is to be sent of an instance."""
    data_set = Path(instance.path).read_bytes()[_OFFSET:]
    return data_set + bytes(len(data_set) % 2)


async def _read(reader, instances, *, release=True):
    """All pieces, each with a copy of its bytes as ``data``."""
    read = []
    async for pieces in reader.read(instances):
        for piece in pieces:
            read.append(piece._replace(data=bytes(piece.data)))
            if release:
                piece.buffer.release()
    return read


def _running(body, **arguments):
    """Run ``body`` with a reader of small buffers."""

    async def run():
        reader = Reader(**arguments)
        try:
            return await body(reader)
        finally:
            reader.close()

    return asyncio.run(run())


# What is read.


@pytest.mark.slow
@settings(max_examples=examples(50), deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=12), st.integers(8, 40).map(lambda half: 2 * half)
)
def test_pieces_make_up_the_data_sets_in_order(files, buffer_size):
    with tempfile.TemporaryDirectory() as folder:
        instances = [
            _instance(folder, str(number), length, is_small=is_small) for number, (length, is_small) in enumerate(files)
        ]
        pieces = _running(lambda reader: _read(reader, instances), buffer_size=buffer_size)
        expected = [(instance, _content(instance)) for instance in instances]
    read, open_data = [], b""
    for piece in pieces:
        assert piece.problem is None
        assert piece.is_first == (open_data == b"")
        assert piece.data
        assert len(piece.data) % 2 == 0
        open_data += piece.data
        if piece.is_last:
            read.append((piece.instance, open_data))
            open_data = b""
    assert open_data == b""
    assert read == expected


@pytest.mark.parametrize("length", [1, 63, 64, 65, 66, 127, 128, 129, 192])
def test_lengths_around_the_size_of_a_buffer(tmp_path, length):
    instance = _instance(tmp_path, "file", length)
    pieces = _running(lambda reader: _read(reader, [instance]), buffer_size=64)
    assert b"".join(piece.data for piece in pieces) == _content(instance)
    assert len(pieces) == -(-length // 64)
    assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def _with_head(instance, head, kept):
    """The instance with ``head`` instead of all but the last ``kept`` bytes of its data set."""
    offset = instance.offset + instance.length - kept
    return values.changed(instance, offset=offset, length=len(head) + kept, head=head)


@pytest.mark.parametrize("buffer_size", [8, 64, 128, 1024])
@pytest.mark.parametrize("head", [b"12", b"0123456789" * 20])
def test_a_head_goes_before_the_part_of_its_file(tmp_path, buffer_size, head):
    whole = [_instance(tmp_path, str(number), 100) for number in range(3)]
    edited = [_with_head(instance, head, 90) for instance in whole]
    pieces = _running(lambda reader: _read(reader, edited), buffer_size=buffer_size)
    assert [piece.problem for piece in pieces] == [None] * len(pieces)
    assert b"".join(piece.data for piece in pieces) == b"".join(head + _content(instance)[10:] for instance in whole)
    assert [piece.is_first for piece in pieces].count(True) == 3
    assert [piece.is_last for piece in pieces].count(True) == 3


def test_many_small_data_sets_come_in_one_load(tmp_path):
    instances = [_instance(tmp_path, str(number), 100) for number in range(20)]

    async def loads(reader):
        sizes = []
        async for pieces in reader.read(instances):
            sizes.append(len(pieces))
            for piece in pieces:
                piece.buffer.release()
        return sizes

    assert _running(loads, buffer_size=1000) == [10, 10]


def test_nothing_makes_nothing():
    assert _running(lambda reader: _read(reader, [])) == []


def test_a_reader_reads_again_and_again(tmp_path):
    instances = [_instance(tmp_path, str(number), 100) for number in range(5)]

    async def twice(reader):
        return [await _read(reader, instances), await _read(reader, instances)]

    first, second = _running(twice, buffer_size=64)
    assert [piece.data for piece in first] == [piece.data for piece in second]


# Memory.


def test_reading_waits_until_a_buffer_is_free(tmp_path):
    instances = [_instance(tmp_path, str(number), 64) for number in range(4)]

    async def without_releasing(reader):
        loads = reader.read(instances)
        held = [await anext(loads), await anext(loads)]
        third = asyncio.ensure_future(anext(loads))
        await asyncio.wait({third}, timeout=0.05)
        assert not third.done()
        held[0][0].buffer.release()
        (piece,) = await third
        assert piece.instance is instances[2]
        assert piece.buffer is held[0][0].buffer

    _running(without_releasing, buffers=2, buffer_size=64)


def test_a_buffer_is_free_when_its_last_piece_is(tmp_path):
    instances = [_instance(tmp_path, str(number), 32) for number in range(3)]

    async def one_by_one(reader):
        loads = reader.read(instances)
        first, second = await anext(loads)
        after = asyncio.ensure_future(anext(loads))
        for piece in (second, first):
            await asyncio.wait({after}, timeout=0.05)
            assert not after.done()
            piece.buffer.release()
        await after

    _running(one_by_one, buffers=1, buffer_size=64)


def test_there_are_never_more_buffers_than_agreed(tmp_path):
    instances = [_instance(tmp_path, str(number), number * 20 + 1) for number in range(20)]
    buffers = {
        id(piece.buffer) for piece in _running(lambda reader: _read(reader, instances), buffers=3, buffer_size=64)
    }
    assert len(buffers) <= 3


def test_a_large_file_takes_the_memory_of_its_buffers(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(_OFFSET + 30 * BUFFER_SIZE)
    instance = values.instance(str(path), "1.2", "1.3", "1.2.840.10008.1.2.1", _OFFSET, 30 * BUFFER_SIZE)

    async def total(reader):
        size = 0
        async for (piece,) in reader.read([instance]):
            size += len(piece.data)
            piece.buffer.release()
        return size

    tracemalloc.start()
    try:
        assert _running(total, buffers=2) == instance.length
        assert tracemalloc.get_traced_memory()[1] < 2 * BUFFER_SIZE + (1 << 18)
    finally:
        tracemalloc.stop()


# Files that are no longer what they were.


def _grown(path):
    with path.open("ab") as file:
        file.write(b"more")


def _shrunk(path):
    os.truncate(path, _OFFSET + 20)


def _replaced_by_a_fifo(path):
    path.unlink()
    os.mkfifo(path)


def _replaced_by_a_directory(path):
    path.unlink()
    path.mkdir()


_CHANGES = pytest.mark.parametrize(
    "change",
    [_grown, _shrunk, lambda path: os.truncate(path, 0), Path.unlink, _replaced_by_a_fifo, _replaced_by_a_directory],
    ids=["grown", "shrunk", "emptied", "gone", "FIFO", "directory"],
)


@_CHANGES
@pytest.mark.parametrize("length", [50, 300], ids=["small", "large"])
def test_a_file_that_has_changed_is_a_problem_and_the_others_are_read(tmp_path, change, length):
    before, changed, after = (_instance(tmp_path, name, size) for name, size in (("1", 40), ("2", length), ("3", 60)))
    change(Path(changed.path))
    pieces = _running(lambda reader: _read(reader, [before, changed, after]), buffer_size=200)
    (problem,) = (piece for piece in pieces if piece.instance is changed)
    assert problem.is_first
    assert problem.problem.path == changed.path
    assert problem.problem.reason
    assert [piece.data for piece in pieces if piece is not problem] == [_content(before), _content(after)]


@_CHANGES
def test_a_file_that_changes_while_it_is_read_is_a_problem_from_there_on(tmp_path, change):
    changed, after = _instance(tmp_path, "1", 300), _instance(tmp_path, "2", 40)
    original = _content(changed)

    async def with_a_change(reader):
        read = []
        async for pieces in reader.read([changed, after]):
            for piece in pieces:
                read.append(piece._replace(data=bytes(piece.data)))
                piece.buffer.release()
            if len(read) == 1:
                change(Path(changed.path))
        return read

    good, problem, other = _running(with_a_change, buffer_size=100)
    assert (good.data, good.is_first, good.is_last, good.problem) == (original[:100], True, False, None)
    assert (problem.instance, problem.is_first) == (changed, False)
    assert problem.problem.path == changed.path
    assert (other.instance, other.data, other.problem) == (after, _content(after), None)


def _overwritten(path):
    path.write_bytes(bytes(path.stat().st_size))


def _overwritten_with_the_old_times(path):
    status = path.stat()
    _overwritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _exchanged(path):
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def _exchanged_with_the_old_times(path):
    status = path.stat()
    _exchanged(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _linked_to_another(path):
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    path.symlink_to(other)


def _linked_to_a_device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_overwritten, "it was changed since it was found"),
        (_overwritten_with_the_old_times, "it was changed since it was found"),
        (_exchanged, "it was exchanged since it was found"),
        (_exchanged_with_the_old_times, "it was exchanged since it was found"),
        (_linked_to_another, "it was exchanged since it was found"),
        (_linked_to_a_device, "its size has changed since it was found"),
        (lambda path: path.chmod(0o400), "it was changed since it was found"),
    ],
)
@pytest.mark.parametrize("length", [50, 300], ids=["small", "large"])
def test_a_file_that_is_not_the_same_any_more_is_not_sent(tmp_path, change, reason, length):
    found = _instance(tmp_path, "1", length)
    status = Path(found.path).stat()
    found = values.changed(found, version=(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    [*pieces] = _running(lambda reader: _read(reader, [found]), buffer_size=100)
    assert {piece.problem for piece in pieces} == {None}
    time.sleep(0.02)  # the clock of file systems ticks every 4 ms
    change(Path(found.path))
    [piece] = _running(lambda reader: _read(reader, [found]), buffer_size=100)
    assert reason in piece.problem.reason


@pytest.mark.parametrize("length", [50, 300], ids=["small", "large"])
def test_a_file_that_changes_while_it_is_read_is_not_sent(tmp_path, monkeypatch, length):
    found = _instance(tmp_path, "1", length)
    status = Path(found.path).stat()
    found = values.changed(found, version=(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))

    def read_meanwhile(descriptor, data, offset):
        os.utime(found.path, ns=(0, 0))
        return os.preadv(descriptor, [data], offset)

    for name in ("_read_at", "_read_cached"):
        monkeypatch.setattr(reading, name, read_meanwhile)
    [piece] = _running(lambda reader: _read(reader, [found]), buffer_size=100)
    assert piece.problem.has_changed
    assert "it was changed since it was found" in piece.problem.reason


@_CHANGES
def test_what_came_along_with_the_probe_is_sent_as_it_was_then(tmp_path, change):
    instance = _instance(tmp_path, "1", 50, is_small=True)
    change(Path(instance.path))
    (piece,) = _running(lambda reader: _read(reader, [instance]))
    assert (piece.data, piece.problem) == (instance.data, None)


def test_the_buffer_of_a_problem_is_released_like_any_other(tmp_path):
    instances = [_instance(tmp_path, str(number), 60) for number in range(6)]
    for instance in instances[:5]:
        Path(instance.path).unlink()
    pieces = _running(lambda reader: _read(reader, instances), buffers=1, buffer_size=64)
    assert [piece.problem is None for piece in pieces] == [False] * 5 + [True]


# Threads.


def _reader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "asyncstore-reader"]


async def _ended():
    await until(lambda: not _reader_threads())


@pytest.fixture
def nothing_is_cached(monkeypatch):
    """Every read is as if the file lay on a disk that has to be waited for."""

    def not_cached(*_):
        raise reading._NotCached(is_lasting=False)  # noqa: SLF001 - there is no other way to empty the page cache

    monkeypatch.setattr(reading, "_read_cached", not_cached)


@pytest.mark.usefixtures("nothing_is_cached")
async def test_what_is_not_cached_is_read_by_the_thread(tmp_path):
    reader = Reader(buffer_size=1000)
    instances = [_instance(tmp_path, str(number), 300 * number) for number in range(1, 6)]
    try:
        read = await _read(reader, instances)
        assert len(_reader_threads()) == 1
    finally:
        reader.close()
    for instance in instances:
        data = b"".join(piece.data for piece in read if piece.instance == instance)
        assert data == Path(instance.path).read_bytes()[instance.offset :]  # noqa: ASYNC240 - a few bytes
    await _ended()


async def test_what_is_cached_needs_no_thread_but_for_the_first_load(tmp_path, monkeypatch):
    """A file server may take long to open a file, and only then the system says that it cannot tell what is cached."""
    threads = []
    read_cached = reading._read_cached  # noqa: SLF001 - it goes on reading what it is asked for

    def recorded(*arguments):
        threads.append(threading.current_thread().name)
        return read_cached(*arguments)

    monkeypatch.setattr(reading, "_read_cached", recorded)
    reader = Reader(buffer_size=100)
    await _read(reader, [_instance(tmp_path, str(number), 100) for number in range(4)])
    assert threads == ["asyncstore-reader", *[threading.main_thread().name] * 3]
    reader.close()
    await _ended()


@pytest.fixture
def read_loads(tmp_path, monkeypatch):
    """Read a file of so many loads, of which some are cached: those tried in the loop, and those read by the thread."""

    def read(loads, cached=(), *, is_lasting=False):
        tried, trips = [], []
        read_at = reading._read_at  # noqa: SLF001 - it goes on reading what it is asked for

        def read_cached(descriptor, data, offset):
            tried.append((offset - _OFFSET) // 64)
            if tried[-1] not in cached:
                raise reading._NotCached(is_lasting=is_lasting)  # noqa: SLF001 - as above
            return read_at(descriptor, data, offset)

        def read_by_the_thread(descriptor, data, offset):
            trips.append((offset - _OFFSET) // 64)
            return read_at(descriptor, data, offset)

        monkeypatch.setattr(reading, "_read_cached", read_cached)
        monkeypatch.setattr(reading, "_read_at", read_by_the_thread)
        instance = _instance(tmp_path, "1", 64 * loads)
        pieces = _running(lambda reader: _read(reader, [instance]), buffer_size=64)
        assert b"".join(piece.data for piece in pieces) == _content(instance)
        return tried, trips

    return read


def test_a_load_that_is_not_cached_costs_one_trip_and_the_next_one_is_tried_again(read_loads):
    assert read_loads(8, cached={0, 1, 2, 4, 5, 7}) == ([*range(8)], [3, 6])


def test_after_each_further_one_in_a_row_twice_as_many_are_read_by_the_thread_untried_up_to_64(read_loads):
    tried, trips = read_loads(300)
    assert [after - before - 1 for before, after in pairwise(tried)] == [0, 1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert trips == [*range(300)]


def test_a_load_that_is_cached_ends_the_row(read_loads):
    assert read_loads(11, cached={6}) == ([0, 1, 3, 6, 7, 8, 10], [0, 1, 2, 3, 4, 5, 7, 8, 9, 10])


def test_where_nobody_can_tell_what_is_cached_nothing_is_tried_again(read_loads):
    assert read_loads(200, is_lasting=True) == ([0], [*range(200)])


@pytest.mark.usefixtures("nothing_is_cached")
async def test_the_thread_ends_with_its_reader(tmp_path):
    reader = Reader()
    await _read(reader, [_instance(tmp_path, "1", 100)])
    assert len(_reader_threads()) == 1
    reader.close()
    await _ended()


async def test_what_is_in_memory_already_needs_no_thread(tmp_path):
    reader = Reader()
    await _read(reader, [_instance(tmp_path, "1", 100, is_small=True)])
    assert _reader_threads() == []
    reader.close()


@pytest.mark.usefixtures("nothing_is_cached")
async def test_a_read_that_hangs_does_not_keep_anyone_from_leaving(tmp_path, monkeypatch):
    started, may_go_on = threading.Event(), threading.Event()

    def hanging(*_):
        started.set()
        may_go_on.wait(60)
        return 0

    monkeypatch.setattr(reading, "_read_at", hanging)
    reader = Reader()
    task = asyncio.create_task(_read(reader, [_instance(tmp_path, "1", 100)]))
    try:
        await asyncio.to_thread(started.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
        reader.close()
        assert all(thread.daemon for thread in _reader_threads())
    finally:
        may_go_on.set()
    await _ended()


# Data sets that are loaded at once.


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell what is in the page cache")
def test_what_is_in_the_page_cache_is_loaded_at_once_after_the_first_read(tmp_path):
    instances = [_instance(tmp_path, str(number), 1000 + number) for number in range(3)]

    async def body(reader):
        assert not reader.is_direct(instances)
        await _read(reader, instances[:1])
        assert reader.is_direct(instances)
        return [bytes(reader.load(instance).data) for instance in instances]

    assert _running(body) == [Path(one.path).read_bytes()[_OFFSET:] for one in instances]


def test_what_is_in_memory_needs_no_read(tmp_path):
    small = [_instance(tmp_path, str(number), 10, is_small=True) for number in range(3)]

    async def body(reader):
        return reader.is_direct(small), reader.is_direct([*small, _instance(tmp_path, "file", 10)])

    assert _running(body) == (True, False)


@pytest.mark.parametrize("what", ["gone", "cut short", "exchanged", "too large"])
def test_what_cannot_be_loaded_is_left_to_reading_which_tells_why(tmp_path, what):
    instance = _instance(tmp_path, "file", BUFFER_SIZE + 2 if what == "too large" else 1000)
    status = Path(instance.path).stat()
    instance = values.changed(instance, version=(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    if what == "gone":
        Path(instance.path).unlink()
    elif what == "cut short":
        os.truncate(instance.path, 500)
    elif what == "exchanged":
        other = _instance(tmp_path, "other", 1000)
        os.replace(other.path, instance.path)  # both are text

    async def body(reader):
        await _read(reader, [_instance(tmp_path, "first", 10)])
        loaded = reader.load(instance)
        return loaded, [piece.problem for piece in await _read(reader, [instance])]

    loaded, problems = _running(body)
    assert loaded is None
    assert all(problems) is (what != "too large")
