"""The encoding of a data set by its transfer syntax; inflate and deflate."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import DEFLATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncstore.prepare.result import Chunk

MAX_INFLATED = 1 << 28
"""The greatest size of an inflated data set, in bytes, unless the user allows more: each worker process holds one in
memory. Real ones are images of some megabytes."""


class Unconvertible(Exception):
    """A data set cannot be converted; the message says why, in a clause about its file."""


class DamagedDataSet(Exception):
    """The bytes are no data set in the stated encoding; the message says what is wrong."""


class Encoding(NamedTuple):
    """The encoding of a data set."""

    is_implicit: bool
    is_little: bool
    is_deflated: bool = False
    is_compressed: bool = False
    """Whether the pixel data is compressed."""


ENCODINGS: Mapping[str, Encoding] = {
    IMPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=True, is_little=True),
    EXPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=False, is_little=True),
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=False, is_little=True, is_deflated=True),
    EXPLICIT_VR_BIG_ENDIAN: Encoding(is_implicit=False, is_little=False),
}
"""The transfer syntaxes without compressed pixel data: a data set in one of them can be converted to all of them."""


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The encoding of this transfer syntax."""
    return ENCODINGS.get(transfer_syntax_uid) or Encoding(
        is_implicit=False, is_little=True, is_deflated=transfer_syntax_uid in DEFLATED, is_compressed=True
    )


def inflated(data: bytes | memoryview, limit: int) -> bytes:
    """Inflate a data set to at most ``limit`` bytes.

    Raises:
        DamagedDataSet: ``data`` is no deflated data set.
        Unconvertible: it inflates to more.
    """
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = decompressor.decompress(data, limit)
    except zlib.error as error:
        raise DamagedDataSet(f"it cannot be inflated: {error}") from error
    if decompressor.eof:
        return whole
    if len(whole) == limit:
        raise Unconvertible(f"its data set inflates to more than the {limit} bytes that are allowed")
    raise DamagedDataSet("it ends too early")


def deflated(chunks: Iterable[Chunk], level: int) -> list[Chunk]:
    """Deflate a data set at zlib's ``level``, to an even length."""
    compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    pieces: list[Chunk] = [*map(compressor.compress, chunks), compressor.flush()]
    if sum(map(len, pieces)) & 1:
        pieces.append(b"\0")  # PS3.5 A.5
    return pieces
