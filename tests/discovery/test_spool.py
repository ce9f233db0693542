"""Room for what is unpacked ahead of sending: bounded, and given back."""

from __future__ import annotations

import errno
import tempfile
import threading
from pathlib import Path

import pytest

from asyncstore.discovery.spool import Abandoned, Spool
from asyncstore.members import Damaged
from support.disks import small_disk

MiB = 1 << 20


@pytest.fixture
def spool():
    spool = Spool(4 * MiB)
    yield spool
    spool.close()


def read(part):
    with Path(part.container).open("rb") as file:
        file.seek(part.offset)
        return file.read(part.length)


def adding(spool, size):
    """Adds a member in a thread; the thread, and what it got."""
    got = []

    def add():
        try:
            got.append(spool.add(iter([bytes(size)]), size))
        except Abandoned as error:
            got.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    return thread, got


def test_members_are_read_back_whether_they_share_a_file_or_not(spool):
    parts = [
        spool.add(iter([data[:10], data[10:]]), 1 << 30)[0] for data in (b"a" * 100, b"b" * 2 * MiB, b"c" * 50, b"")
    ]
    assert [read(part) for part in parts] == [b"a" * 100, b"b" * 2 * MiB, b"c" * 50, b""]


@pytest.mark.parametrize("size", [MiB // 2, 2 * MiB])
def test_writing_waits_until_earlier_members_have_ended(spool, size):
    claims = [spool.add(iter([bytes(size)]), size)[1] for _ in range(4 * MiB // size)]
    thread, got = adding(spool, size)
    thread.join(0.05)
    assert thread.is_alive()
    for claim in claims:
        claim.release()
    thread.join(10)
    assert got
    assert spool.held == size


def test_a_member_larger_than_the_room_is_written_when_it_is_alone(spool):
    _, claim = spool.add(iter([bytes(MiB)] * 2), 1 << 30)
    thread, _ = adding(spool, 8 * MiB)
    thread.join(0.05)
    assert thread.is_alive()
    claim.release()
    thread.join(10)
    assert spool.held == 8 * MiB


def test_a_member_does_not_wait_for_an_archive_that_is_being_pinned(spool):
    begun, goes_on = threading.Event(), threading.Event()

    def pieces():
        yield bytes(3 * MiB)
        begun.set()
        assert goes_on.wait(60)

    spans = []
    pinning = threading.Thread(target=lambda: spans.append(spool.pin(pieces(), 1 << 30)))
    pinning.start()
    assert begun.wait(10)
    thread, got = adding(spool, 3 * MiB)
    thread.join(10)
    assert got
    goes_on.set()
    pinning.join(10)
    assert spans[0].length == 3 * MiB


@pytest.mark.parametrize("pieces", [[bytes(5 * MiB)], [bytes(MiB - 1000)] * 5], ids=["at once", "in pieces"])
def test_small_members_that_have_ended_do_not_keep_a_larger_one_waiting(spool, pieces):
    """The file that they shared takes more members, and so it was still there when the larger one needed its room."""
    for _ in range(3):
        spool.add(iter([bytes(1000)]), 1000)[1].release()
    added = threading.Thread(target=spool.add, args=(iter(pieces), 1 << 30))
    added.start()
    added.join(10)
    assert not added.is_alive()
    assert spool.held == sum(map(len, pieces))


def test_a_small_member_that_is_larger_than_the_room_is_added_when_others_have_ended():
    spool = Spool(1)
    for _ in range(3):
        thread, got = adding(spool, 1000)
        thread.join(10)
        [(_, claim)] = got
        claim.release()
    spool.close()


def test_a_pinned_archive_does_not_keep_its_members_waiting(spool):
    span = spool.pin(iter([bytes(5 * MiB)]), 1 << 30)
    part, claim = spool.add(iter([b"x" * 3 * MiB]), 1 << 30)
    assert read(part) == b"x" * 3 * MiB
    claim.release()
    assert spool.held == 5 * MiB
    assert span.read(0, 1) == b"\0"
    del span
    assert spool.held == 0


def test_waiting_ends_when_the_run_is_abandoned(spool):
    spool.add(iter([bytes(4 * MiB)]), 1 << 30)
    thread, got = adding(spool, MiB)
    spool.abandon()
    thread.join(10)
    assert isinstance(got[0], Abandoned)


def test_a_member_that_is_too_large_or_damaged_leaves_nothing(spool):
    with pytest.raises(Damaged, match="more bytes than a file may have"):
        spool.add(iter([bytes(2 * MiB)] * 2), 3 * MiB)

    def damaged():
        yield bytes(2 * MiB)
        raise Damaged("it is damaged")

    with pytest.raises(Damaged, match="it is damaged"):
        spool.add(damaged(), 1 << 30)
    assert spool.held == 0


def test_a_full_disk_is_a_reason(spool, monkeypatch):
    def full(**_):
        return Path("/dev/full").open("wb", 0)

    monkeypatch.setattr("asyncstore.discovery.spool.tempfile.TemporaryFile", full)
    with pytest.raises(Damaged, match=r"there is no room to unpack it in .*: No space left on device"):
        spool.add(iter([b"data"]), 100)


class _SoonFull:
    """A file on a disk that has room for a few bytes, and later for all."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        count = self._room.pop(0) if self._room else len(data)
        if not count:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data[:count])


def test_after_a_member_that_found_a_full_disk_the_next_one_is_read_back(spool, monkeypatch):
    room, make = [3, 0], tempfile.TemporaryFile
    monkeypatch.setattr("asyncstore.discovery.spool.tempfile.TemporaryFile", lambda **how: _SoonFull(make(**how), room))
    with pytest.raises(Damaged, match="there is no room to unpack it"):
        spool.add(iter([b"first"]), 100)
    part, _ = spool.add(iter([b"second"]), 100)
    assert read(part) == b"second"
    assert spool.held == len(b"second")


@pytest.mark.slow
@pytest.mark.parametrize("size", [MiB // 2, 2 * MiB])
def test_on_a_disk_that_is_smaller_than_the_room_members_wait_for_others_to_end(tmp_path, monkeypatch, size):
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        spool = Spool(64 * MiB)
        claims = [spool.add(iter([bytes(size)]), size)[1] for _ in range(4 * MiB // size)]
        thread, got = adding(spool, size)
        thread.join(0.05)
        assert thread.is_alive()
        for claim in claims:
            claim.release()
        thread.join(10)
        [(part, claim)] = got
        assert read(part) == bytes(size)
        claim.release()
        with pytest.raises(Damaged, match="no room"):
            spool.add(iter([bytes(MiB)] * 5), 5 * MiB)
        spool.close()


def test_where_there_is_no_proc_the_files_have_names_until_they_end(monkeypatch, tmp_path):
    monkeypatch.setattr("asyncstore.discovery.spool._IS_NAMELESS", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spool = Spool(MiB)
    part, claim = spool.add(iter([bytes(2 * MiB)]), 1 << 30)
    assert Path(part.container).parent.parent == tmp_path
    assert read(part) == bytes(2 * MiB)
    claim.release()
    assert not Path(part.container).exists()
    spool.close()
    assert list(tmp_path.iterdir()) == []
