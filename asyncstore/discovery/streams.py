"""Bytes of archives: parts of files that are read anywhere, and streams that are read once, from their beginning.

Nothing here holds more than some pieces of a stream in memory, whatever it inflates to.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from asyncstore.members import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 1 << 20
"""Bytes that are read, or inflated, at a time: the interpreter lock is free meanwhile."""
_FIRST_PIECE = 1 << 13
"""The same at the beginning, which may be all that is asked for."""

_MEMORY_LIMIT = 1 << 28
"""Bytes that a decompressor may take. Streams of xz and Zstandard name their need, up to some GiB."""
_MOST_FRAMES_EMPTY = 1 << 16
"""Streams in a row without a byte."""

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
        keeps: an object that must live as long as the part is used.
    """

    def __init__(
        self,
        file: _Open | int,
        container: str,
        start: int,
        length: int,
        version: tuple[int, ...],
        keeps: object = None,
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
        end, step = position + count, _FIRST_PIECE
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


class _Decompressor(Protocol):
    """Decompresses one stream; :mod:`bz2` has such objects."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, max_length: int = ..., /) -> bytes: ...


class _Zlib:
    """The same of :mod:`zlib`, which keeps its input elsewhere."""

    def __init__(self, bits: int) -> None:
        self._of_zlib = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._of_zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._of_zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._of_zlib.unconsumed_tail

    def decompress(self, data: memoryview, max_length: int = PIECE, /) -> bytes:
        return self._of_zlib.decompress(self._of_zlib.unconsumed_tail + data, max_length)


class _ZstdError(Exception):
    """A stream cannot be decompressed."""


class _Zstandard:
    """The same of the library zstandard, which inflates a whole input at once: it gets small ones.

    A block of four bytes may inflate to 128 KiB (RFC 8878 3.1.1.2.3), so a kilobyte inflates to 32 MiB at most.
    """

    _STEP = 1 << 10

    def __init__(self) -> None:
        self._of_library = _zstandard().ZstdDecompressor(max_window_size=_MEMORY_LIMIT).decompressobj()
        self._input = memoryview(b"")

    @property
    def eof(self) -> bool:
        return bool(self._of_library.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._of_library.unused_data) + bytes(self._input)

    @property
    def needs_input(self) -> bool:
        return not self._input

    def decompress(self, data: memoryview, max_length: int = PIECE, /) -> bytes:
        if data:
            self._input = data
        done: list[bytes] = []
        size = 0
        while self._input and size < max_length and not self.eof:
            step, self._input = self._input[: self._STEP], self._input[self._STEP :]
            try:
                done.append(self._of_library.decompress(step))
            except _zstandard().ZstdError as error:
                raise _ZstdError(str(error)) from error
            size += len(done[-1])
        return b"".join(done)


class NoLibrary(Exception):
    """A compression needs a library that is not installed; the message is the reason."""


def _zstandard() -> Any:  # noqa: ANN401 - the library is optional
    try:
        import zstandard  # noqa: PLC0415 - optional
    except ImportError:
        reason = "it is compressed with Zstandard, and no library for that is installed: pip install"
        raise NoLibrary(f"{reason} 'asyncstore[archives]'") from None
    return zstandard


COMPRESSIONS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Zlib(-zlib.MAX_WBITS),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY_LIMIT),
    "Zstandard": _Zstandard,
}
"""Decompressors by name. Their streams may follow one another, except deflate."""


def inflated(pieces: Iterator[bytes], compression: str, count: Callable[[int], None]) -> Iterator[bytes]:
    """A decompressed stream, a piece at a time.

    Args:
        pieces: the compressed stream.
        compression: a key of :data:`COMPRESSIONS`.
        count: told how many bytes were inflated; it may raise.

    Raises:
        Damaged: it cannot be decompressed, or has no end.
        NoLibrary: the library for it is not installed.
    """
    try:
        yield from _inflated(pieces, compression, count)
    except zlib.error as error:  # its text begins "Error -3 while decompressing data"
        raise Damaged("it is damaged: its compressed bytes are wrong") from error
    except (OSError, lzma.LZMAError, ValueError, EOFError, MemoryError, _ZstdError) as error:
        raise Damaged(f"it is damaged: {error}") from error


class _Compressed:
    """Compressed bytes, in small pieces at the beginning of each stream: decompressors copy what follows its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._position = 0
        self._step = _FIRST_PIECE

    def begin(self) -> None:
        """A stream begins."""
        self._step = _FIRST_PIECE

    def next(self) -> memoryview:
        """The next bytes; none at the end."""
        if self._position == len(self._piece):
            self._piece, self._position = memoryview(next(self._pieces, b"")), 0
        data = self._piece[self._position : self._position + self._step]
        self._position += len(data)
        self._step = min(2 * self._step, PIECE)
        return data

    def give_back(self, count: int) -> None:
        """Bytes at the end of the last ones come again."""
        self._position -= count


def _inflated(pieces: Iterator[bytes], compression: str, count: Callable[[int], None]) -> Iterator[bytes]:
    new = COMPRESSIONS[compression]
    source = _Compressed(pieces)
    empty = 0
    while True:
        inflater = new()
        size = 0
        source.begin()
        data = source.next()
        while not inflater.eof:
            piece = inflater.decompress(data, min(PIECE, size + _FIRST_PIECE))
            data = memoryview(b"")
            if piece:
                size += len(piece)
                count(len(piece))
                yield piece
            if not inflater.eof and inflater.needs_input:
                data = source.next()
                if not data and not piece:
                    raise Damaged(f"{CUT_OFF}: its compressed bytes have no end")
        empty = 0 if size else empty + 1
        if empty > _MOST_FRAMES_EMPTY:
            raise Damaged("it is damaged: it holds streams without a byte")
        source.give_back(len(inflater.unused_data))
        if compression == "deflate" or not _is_at_stream(source, compression):
            return


def _is_at_stream(source: _Compressed, compression: str) -> bool:
    """Whether another stream follows. Zeros may stand before it.

    Raises:
        Damaged: other bytes follow.
    """
    source.begin()
    while not (data := bytes(beginning := source.next()).lstrip(b"\0")):
        if not beginning:
            return False
    # a part of a magic number at the end of a piece is taken for one
    if not any(data[: len(magic)] == magic[: len(data)] for magic in MAGIC[compression]):
        raise Damaged("it is damaged: other bytes follow its end")
    source.give_back(len(data))
    return True


MAGIC: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b\x08",),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ\0",),
    "Zstandard": (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))),
}
"""How compressed files begin; Zstandard's may begin with a frame to be skipped (RFC 8878 3.1.2)."""
