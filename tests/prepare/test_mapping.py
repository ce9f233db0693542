"""Large data sets in the page cache are mapped, a window at a time, and compared with the probe when they have left."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from asyncstore.model import Buffer
from asyncstore.prepare import files, reading
from asyncstore.prepare.mapping import WHILE_SENT, Mapping
from asyncstore.prepare.reading import BUFFER_SIZE, Reader
from support.trees import instances
from support.values import changed, probe_file

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell what is cached")

LARGE = 3 * BUFFER_SIZE + 200_000


def _probed(folder, length, *, count=1):
    return [probe_file(str(path)) for path in instances(folder, count, data_set_bytes=length)]


def _data_set(instance):
    return Path(instance.path).read_bytes()[instance.offset :]


def _maps_of(path):
    return Path("/proc/self/maps").read_text().count(str(path))


@pytest.fixture
def first(tmp_path):
    """The first instance that a reader gets shows whether the file system tells what is cached."""
    return _probed(tmp_path / "first", 10_000)[0]


def _running(body, first, **arguments):
    async def run():
        reader = Reader(**{"may_map": True} | arguments)
        try:
            async for pieces in reader.read([first]):
                for piece in pieces:
                    piece.buffer.release()
            return await body(reader)
        finally:
            reader.close()

    return asyncio.run(run())


def test_a_large_data_set_is_mapped_in_windows_of_which_two_exist_at_a_time(tmp_path, first):
    [found] = _probed(tmp_path / "large", LARGE)

    async def body(reader):
        content, most, held = b"", 0, []
        async for (piece,) in reader.read([found]):
            assert isinstance(piece.buffer, Mapping)
            assert (piece.is_first, piece.problem) == (not content, None)
            content += piece.data
            assert piece.is_last == (len(content) == found.length)
            most = max(most, _maps_of(found.path))
            held.append(piece)
            if len(held) == 2:
                assert held.pop(0).buffer.release() is None
        assert held.pop().buffer.release() is None
        return content, most

    content, most = _running(body, first)
    assert content == _data_set(found)
    assert most <= 3
    assert _maps_of(found.path) == 0


def test_a_data_set_that_fits_is_mapped_as_a_whole(tmp_path, first):
    [found] = _probed(tmp_path / "ct", 500_000)

    async def body(reader):
        piece = reader.load(found)
        assert isinstance(piece.buffer, Mapping)
        assert (piece.is_first, piece.is_last) == (True, True)
        assert _maps_of(found.path) == 1
        return bytes(piece.data), piece.buffer.release()

    assert _running(body, first) == (_data_set(found), None)
    assert _maps_of(found.path) == 0


def _with_head(instance, head, kept):
    """The instance with ``head`` instead of all but the last ``kept`` bytes of its data set."""
    return changed(instance, offset=instance.offset + instance.length - kept, length=len(head) + kept, head=head)


def test_what_follows_a_head_is_mapped_as_a_whole_if_it_fits(tmp_path, first):
    [found] = _probed(tmp_path / "ct", 500_000)
    edited = _with_head(found, b"12", 499_000)

    async def body(reader):
        piece = reader.load(edited)
        assert isinstance(piece.buffer, Mapping)
        assert (piece.is_first, piece.is_last) == (False, True)
        return bytes(piece.data), piece.buffer.release()

    assert _running(body, first) == (_data_set(found)[1000:], None)


def test_a_head_is_a_piece_of_its_own_before_mapped_windows(tmp_path, first):
    [found] = _probed(tmp_path / "large", LARGE)
    edited = _with_head(found, b"12", LARGE - 1000)

    async def body(reader):
        content, kinds = b"", []
        async for pieces in reader.read([edited]):
            for piece in pieces:
                assert (piece.is_first, piece.problem) == (not content, None)
                content += piece.data
                assert piece.is_last == (len(content) == edited.length)
                kinds.append(isinstance(piece.buffer, Mapping))
                assert piece.buffer.release() is None
        return content, kinds

    content, kinds = _running(body, first)
    assert content == b"12" + _data_set(found)[1000:]
    assert kinds == [False, True, True, True, True]


@pytest.mark.parametrize("reason", ["small", "odd", "a conversion", "another reads it"])
def test_what_is_not_for_the_kernel_alone_is_copied(tmp_path, first, reason):
    [found] = _probed(tmp_path / "ct", 30_000 if reason == "small" else 500_000)
    if reason == "odd":
        with Path(found.path).open("ab") as file:
            file.write(b"!")
        status = Path(found.path).stat()
        found = changed(found, length=found.length + 1, version=files.version_of(status))

    if reason == "a conversion":
        found = found._replace(original=found)

    async def body(reader):
        return isinstance(reader.load(found).buffer, Buffer)

    assert _running(body, first, may_map=reason != "another reads it")


def _cut_to_nothing(path):
    os.truncate(path, 0)


def _cut_within_the_last_page(path):
    os.truncate(path, path.stat().st_size - 10)


def _grown(path):
    with path.open("ab") as file:
        file.write(b"more")


def _replaced(path):
    other = path.with_name("other")
    other.write_bytes(random.Random(1).randbytes(path.stat().st_size))  # noqa: S311 - noise, not a secret
    other.replace(path)


def _rewritten(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))


CHANGES = pytest.mark.parametrize(
    "change", [_cut_to_nothing, _cut_within_the_last_page, _grown, _replaced, _rewritten, Path.unlink]
)


@CHANGES
def test_a_file_that_changes_while_it_is_sent_is_noticed_when_it_has_left(tmp_path, first, change):
    [found] = _probed(tmp_path / "ct", 500_000)

    async def body(reader):
        piece = reader.load(found)
        change(Path(found.path))
        return piece.buffer.release()

    problem = _running(body, first)
    assert problem.path == found.path
    assert problem.reason.endswith(WHILE_SENT)


@CHANGES
def test_a_file_that_changed_before_is_not_mapped(tmp_path, first, change):
    [found] = _probed(tmp_path / "ct", 500_000)
    change(Path(found.path))

    async def body(reader):
        return reader.load(found), [load async for load in reader.read([found])]

    loaded, [[piece]] = _running(body, first)
    assert loaded is None
    assert piece.problem is not None


def test_a_file_that_is_cut_short_between_two_looks_is_not_mapped(tmp_path, first, monkeypatch):
    [found] = _probed(tmp_path / "ct", 500_000)

    def cut(*_):
        os.truncate(found.path, 1000)

    monkeypatch.setattr(reading, "_check_cached", cut)

    async def body(reader):
        return reader.load(found)

    assert _running(body, first) is None


@pytest.mark.parametrize("length", [500_000, LARGE])
def test_a_cold_file_is_read_by_the_thread(tmp_path, first, length):
    [found] = _probed(tmp_path / "cold", length)
    expected = _data_set(found)
    descriptor = os.open(found.path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)

    async def body(reader):
        loaded = reader.load(found)
        if loaded is not None:
            loaded.buffer.release()
        content, memories = b"", []
        async for (piece,) in reader.read([found]):
            content += piece.data
            memories.append(piece.buffer)
            piece.buffer.release()
        return loaded, content, memories

    loaded, content, memories = _running(body, first)
    assert content == expected
    if loaded is not None or isinstance(memories[0], Mapping):
        pytest.skip("this file system keeps what it is told to drop")


def test_files_in_memory_count_as_cached():
    shared = Path("/dev/shm")  # noqa: S108 - only looked at
    if not shared.is_dir():
        pytest.skip("there is no file system in memory")
    assert files.is_memory(shared.stat().st_dev)
    assert not files.is_memory(Path("/proc/self").stat().st_dev)
