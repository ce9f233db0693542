"""Streams that are decompressed, a piece at a time: gzip, deflate, bzip2, xz, Zstandard.

Nothing here holds more than some pieces in memory, whatever a stream inflates to.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from asyncstore.discovery.streams import CUT_OFF, FIRST_PIECE, PIECE
from asyncstore.members import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MEMORY_LIMIT = 1 << 28
"""Bytes that a decompressor may take. Streams of xz and Zstandard name their need, up to some GiB."""
_MOST_FRAMES_EMPTY = 1 << 16
"""Streams in a row without a byte."""


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
        import zstandard
    except ImportError:
        reason = "it is compressed with Zstandard, and no library for that is installed"
        raise NoLibrary(f"{reason}: install asyncstore with its extra archives") from None
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
        self._step = FIRST_PIECE

    def begin(self) -> None:
        """A stream begins."""
        self._step = FIRST_PIECE

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
            piece = inflater.decompress(data, min(PIECE, size + FIRST_PIECE))
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
