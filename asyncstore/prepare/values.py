"""Values of elements: byte order, padding, and tables of offsets (PS3.5 6.2, 7.1.1 and A.4)."""

from __future__ import annotations

import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from struct import Struct

    from asyncstore.prepare.result import Chunk

WORDS: Mapping[bytes, str] = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), "H"),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), "I"),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), "Q"),
}
"""The VRs whose values have a byte order, and the array type of their words."""

_NUMBERS_AND_BYTES = WORDS.keys() | {b"OB", b"UI", b"UN"}
"""The VRs whose values are padded with NUL; all others are padded with a space (PS3.5 6.2)."""


def padding(vr: bytes) -> bytes:
    """The byte that pads a value of this VR."""
    return b"\0" if vr in _NUMBERS_AND_BYTES else b" "


def swapped(vr: bytes, value: memoryview) -> Chunk:
    """A value in the other byte order. A last odd byte is padded to a word of 16 bits; incomplete larger words stay."""
    words = array.array(WORDS[vr])
    rest = len(value) % words.itemsize
    words.frombytes(value[: len(value) - rest])
    if rest and words.itemsize == 2:  # noqa: PLR2004 - a word of 16 bits
        words.frombytes(bytes((*value[-rest:], 0)))
        rest = 0
    words.byteswap()
    whole = memoryview(words).cast("B")
    return b"".join((whole, value[-rest:])) if rest else whole


def shifted(table: Chunk, offset: Struct, odd: array.array[int]) -> bytes:
    """A table of offsets of fragments, after the fragments at the offsets ``odd`` were padded."""
    return b"".join(offset.pack(old + bisect_left(odd, old)) for (old,) in offset.iter_unpack(table))
