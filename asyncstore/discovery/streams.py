"""Bytes of archives: parts of files that are read anywhere, and streams that are read once, from their beginning.

Nothing here holds more than some pieces of a stream in memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asyncstore.members import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.members import Claim

PIECE = 1 << 20
"""Bytes that are read, or inflated, at a time: the interpreter lock is free meanwhile."""
FIRST_PIECE = 1 << 13
"""The same at the beginning, which may be all that is asked for."""

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

CUT_OFF = "it is cut off"


class _Open:
    """An open file; the last part of it closes it."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.descriptor)


class Span:
    """A part of a file, whose bytes can be read anywhere.

    Attributes:
        container: the path of the file, for other processes.
        start: where the part begins in the file.
        length: its bytes.
        version: of the file; see :class:`asyncstore.members.Part`.
        keeps: what must live as long as the part is used.
    """

    def __init__(
        self,
        file: _Open | int,
        container: str,
        start: int,
        length: int,
        version: tuple[int, ...],
        keeps: Claim | None = None,
    ) -> None:
        self._file = file
        self._descriptor = file if isinstance(file, int) else file.descriptor
        self.container, self.start, self.length, self.version, self.keeps = container, start, length, version, keeps

    @classmethod
    def of(cls, path: str) -> Span:
        """A whole file.

        Raises:
            OSError: it cannot be opened.
        """
        file = _Open(os.open(path, _FLAGS))
        status = os.fstat(file.descriptor)
        version = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
        return cls(file, path, 0, status.st_size, version)

    def part(self, start: int, length: int) -> Span:
        """A part of this part."""
        return Span(self._file, self.container, self.start + start, length, self.version, self.keeps)

    def read(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``position`` on.

        Raises:
            Damaged: the file cannot be read.
        """
        count = min(count, self.length - position)
        if count <= 0:
            return b""
        try:
            return _read(self._descriptor, self.start + position, count)
        except OSError as error:
            raise Damaged(f"cannot be read: {error.strerror}") from error

    def pieces(self, position: int, count: int) -> Iterator[bytes]:
        """These bytes, a piece at a time; fewer if the file is cut short."""
        end, step = position + count, FIRST_PIECE
        while position < end and (piece := self.read(position, min(step, end - position))):
            yield piece
            position += len(piece)
            step = min(2 * step, PIECE)


if hasattr(os, "pread"):

    def _read(descriptor: int, position: int, count: int) -> bytes:
        return os.pread(descriptor, count, position)

else:

    def _read(descriptor: int, position: int, count: int) -> bytes:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, count)


class Stream:
    """Bytes that come piece by piece.

    Attributes:
        position: how many were taken.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._failure: tuple[type[Exception], tuple[object, ...]] | None = None
        """The class and the arguments of the error that ended it: the error itself would keep its frames, and files."""
        self.position = 0

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay; fewer at the end. Meant for few bytes."""
        while len(self._rest) < count and (piece := self._next()):
            self._rest = memoryview(bytes(self._rest) + piece)
        return bytes(self._rest[:count])

    def read(self, count: int) -> bytes:
        """The next bytes; fewer at the end. Meant for few bytes."""
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[bytes]:
        """The next bytes, a piece at a time; fewer at the end."""
        while count > 0:
            if not self._rest:
                self._rest = memoryview(self._next())
                if not self._rest:
                    return
            taken = self._rest[:count]
            self._rest = self._rest[count:]
            self.position += len(taken)
            count -= len(taken)
            yield bytes(taken)

    def _next(self) -> bytes:
        """The next piece, none at the end. What could not be read once raises the same again."""
        if self._failure is not None:
            kind, arguments = self._failure
            raise kind(*arguments)
        try:
            return next(self._pieces, b"")
        except Exception as error:
            self._failure = type(error), error.args
            raise

    def skip(self, count: int) -> int:
        """Pass over bytes; returns how many there were."""
        return sum(map(len, self.pieces(count)))
