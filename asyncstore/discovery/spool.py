"""Room for what is unpacked, or downloaded, ahead of sending: bounded, and free again when the files have ended.

Rules:

1. Members are written to files without a name: large ones to a file each, small ones one after the other, some
   megabytes to a file. A file is closed when all its members have ended, so its room is free again.
2. Writing waits while the files hold as many bytes as they may. A member that is larger than that is written when
   nothing else is held. A full disk is waited for in the same way, until nothing else is held.
3. An archive in an archive that must be read anywhere is held as well, for as long as it is read: it is pinned, and
   does not count among what must end first. That holds while it is written too: another thread may wait for room then.
4. On a system without ``/proc`` the files have names, in a folder of the run.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from contextlib import ExitStack
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from asyncstore.discovery.streams import Span
from asyncstore.members import Damaged, Part
from asyncstore.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 1 << 28
"""Bytes that may be held, if nothing else is asked for."""
_FILE = 1 << 24
"""A file gets no more members when it has so many bytes."""
_FEWEST_SMALL = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_PAUSE = 0.1
"""Seconds between two attempts to write to a full disk: other programs may make room as well."""
_NO_ROOM = "there is no room to unpack it in"
TOO_LARGE = "it unpacks to more bytes than a file may have"
_IS_NAMELESS = os.path.isdir("/proc/self/fd")  # as in asyncstore.prepare.spool


class Abandoned(Exception):
    """The run ends: nothing more is written."""


class _File:
    """A file of members.

    Attributes:
        size: its bytes.
        users: members that have not ended, and one more while others may follow.
        is_pinned: see rule 3.
    """

    def __init__(self, spool: Spool, folder: str | None) -> None:
        self._spool = spool
        self.size = 0
        self.users = 1
        self.is_pinned = False
        self.stream: IO[bytes] | Any
        if folder is None:
            self.stream = tempfile.TemporaryFile(prefix="asyncstore-", buffering=0)  # noqa: SIM115 - it lives on
            self.path = f"/proc/{os.getpid()}/fd/{self.stream.fileno()}"
        else:
            self.stream = tempfile.NamedTemporaryFile(prefix="asyncstore-", dir=folder, buffering=0)  # noqa: SIM115
            self.path = self.stream.name

    def release(self) -> None:
        """One member has ended."""
        self._spool.end(self)


class Spool:
    """Holds members until they have ended.

    Args:
        most: the bytes that it may hold.

    Attributes:
        held: the bytes that it holds.
        on_wait: called in the thread that writes, each time it begins to wait for room.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.on_wait: Callable[[], object] = lambda: None
        self._small = max(_FEWEST_SMALL, most >> 7)
        """Larger members have a file of their own, so there are no more than some hundred files."""
        self._folders = ExitStack()
        self._folder: str | None = None
        self._filling: _File | None = None
        self._files: set[_File] = set()
        self.held = self._pinned = 0
        self._is_abandoned = False
        self._changed = threading.Condition(threading.RLock())

    def add(self, pieces: Iterator[bytes], most: int) -> tuple[Part, _File]:
        """Write a member; returns where it lies, and what to release when it has ended. It waits for room.

        Args:
            pieces: its bytes.
            most: how many it may have.

        Raises:
            Damaged: it has more bytes, or there is no room on the disk.
            Abandoned: the run ends.
        """
        first: list[bytes] = []
        size = 0
        for piece in pieces:
            first.append(piece)
            size += len(piece)
            if size > min(self._small, most):
                break
        else:
            return self._add_small(b"".join(first), size)
        return self._add_large(chain(first, pieces), most)

    def _add_small(self, data: bytes, size: int) -> tuple[Part, _File]:
        """Write a member to the file that others share."""
        with self._changed:
            self._wait_for(size)
            while True:
                file = self._filling = self._filling or self._new()
                try:
                    self._write(file, data)
                    break
                except Damaged:
                    has_members = file.users > 1
                    self._seal()  # a part of this member may be in it, and its members take the room: they can end now
                    if not has_members:
                        raise
            start = file.size - size
            file.users += 1
            if file.size >= _FILE:
                self._seal()
        return Part(file.path, start, size), file

    def _add_large(self, pieces: Iterator[bytes], most: int, *, is_pinned: bool = False) -> tuple[Part, _File]:
        """Write a member to a file of its own."""
        with self._changed:
            file = self._new()
            file.is_pinned = is_pinned
        try:
            for piece in _at_most(pieces, most):
                with self._changed:
                    self._wait_for(len(piece), 0 if is_pinned else file.size)
                    self._write(file, piece)
        except BaseException:
            file.release()
            raise
        return Part(file.path, 0, file.size), file

    def pin(self, pieces: Iterator[bytes], most: int) -> Span:
        """Write an archive that must be read anywhere (rule 3).

        Raises:
            Damaged: as :meth:`add`.
            Abandoned: as :meth:`add`.
        """
        part, file = self._add_large(pieces, most, is_pinned=True)
        return Span(file.stream.fileno(), part.container, part.offset, part.length, (), _Pin(file))

    def _wait_for(self, count: int, mine: int = 0) -> None:
        """Wait until so many bytes may be written, by a member that holds some of the bytes already."""
        while not self._is_abandoned:
            if self.held + count <= self.most or self.held - self._pinned - mine <= 0:
                return
            if self._filling is not None:
                self._seal()  # so that it can end, and may have ended
            else:
                self.on_wait()
                self._changed.wait()
        raise Abandoned

    def _write(self, file: _File, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            try:
                view = view[file.stream.write(view) :]
            except OSError as error:
                if error.errno not in _FULL or not self._may_get_room(file):
                    raise Damaged(f"{_NO_ROOM} {tempfile.gettempdir()}: {error.strerror}") from error
        file.size += len(piece)
        self.held += len(piece)
        if file.is_pinned:
            self._pinned += len(piece)

    def _may_get_room(self, mine: _File) -> bool:
        """Wait a little on a full disk; false: no other file holds room that it will give back.

        Raises:
            Abandoned: the run ends.
        """
        others = [file for file in self._files if file is not mine and not file.is_pinned]
        if self._filling is not mine:
            self._seal()  # so that it can end
        if others:
            self.on_wait()
            self._changed.wait(_FULL_PAUSE)
        if self._is_abandoned:
            raise Abandoned
        return bool(others)

    def _new(self) -> _File:
        if self._is_abandoned:
            raise Abandoned
        try:
            if not _IS_NAMELESS and self._folder is None:
                self._folder = str(self._folders.enter_context(temporary_folder("asyncstore-unpacked-")))
            file = _File(self, self._folder)
        except OSError as error:
            raise Damaged(f"{_NO_ROOM} {tempfile.gettempdir()}: {error.strerror}") from error
        self._files.add(file)
        return file

    def _seal(self) -> None:
        """Nothing more is written to the file that members share."""
        file, self._filling = self._filling, None
        if file is not None:
            file.users -= 1
            self._close_if_unused(file)

    def end(self, file: _File) -> None:
        """A member of this file has ended."""
        with self._changed:
            file.users -= 1
            self._close_if_unused(file)

    def _close_if_unused(self, file: _File) -> None:
        if file.users <= 0 and file in self._files:
            self._files.remove(file)
            self.held -= file.size
            if file.is_pinned:
                self._pinned -= file.size
            file.stream.close()
            self._changed.notify_all()

    def abandon(self) -> None:
        """End all waiting: nothing more is written."""
        with self._changed:
            self._is_abandoned = True
            self._changed.notify_all()

    def close(self) -> None:
        """Give everything up. Closing twice is allowed."""
        self.abandon()
        with self._changed:
            for file in self._files:
                file.stream.close()
            self._files.clear()
            self._filling = None
            self.held = self._pinned = 0
        self._folders.close()


def _at_most(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The pieces.

    Raises:
        Damaged: they have more than ``most`` bytes.
    """
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise Damaged(f"{TOO_LARGE} ({most} bytes)")
        yield piece


class _Pin:
    """Keeps an archive until nobody reads it, or holds a member of it, any more."""

    def __init__(self, file: _File) -> None:
        self._file = file

    def release(self) -> None:
        """One member has ended; others may go on."""

    def __del__(self) -> None:
        self._file.release()
