"""The encoding of data sets: headers of elements (PS3.5 7.1), and sets of transfer syntaxes."""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final, Literal

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

ByteOrder = Literal["little", "big"]

DEFLATED = frozenset((DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
"""Transfer syntaxes whose data set is a deflated stream. In files its length is often odd; sending pads it (PS3.5 A.5,
A.7 and A.12)."""

UNCOMPRESSED = frozenset((IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN))
"""Transfer syntaxes with native pixel data (PS3.5 A.1 to A.3)."""

_FRAMES = "1.2.840.10008.1.2.4."
_WITHOUT_FRAMES = frozenset(f"{_FRAMES}{number}" for number in (94, 95, 204, 205))
_OTHERS_WITH_FRAMES = frozenset(("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"))
"""Transfer syntaxes of JPEG and its relatives share a prefix. Among them, those of JPIP have no frames: they refer to
pixel data elsewhere. RLE and encapsulated frames, uncompressed or deflated, are outside of it (PS3.5 A.4)."""

_MOST_OF_BEGINNING = 1 << 16
_INFLATED_LIMIT = 1 << 30
_INFLATED_RATIO = 100
"""A data set that inflates beyond both is a bomb: real ones deflate to a fifth, blank images to a hundredth."""

UNDEFINED = 0xFFFFFFFF
"""The undefined length: a delimiter ends the value (PS3.5 7.1.3)."""

DELIMITERS = 0xFFFE
"""The group of items and delimiters, which have no VR in any encoding (PS3.5 7.5)."""
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

SHORT_HEADER = 8
"""Bytes of a header in implicit VR, of a header with a length of 16 bits, and of an item or delimiter."""
LONG_HEADER = 12
"""Bytes of a header in explicit VR with a length of 32 bits."""

LONG_VRS = frozenset(
    vr.encode() for vr in ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
)
SHORT_VRS = frozenset((
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
))  # fmt: skip
"""The VRs with lengths of 32 and of 16 bits (PS3.5 7.1.2)."""
VRS = LONG_VRS | SHORT_VRS

UID_PADDING = bytes(range(0x21))
"""Padding behind a UID: NUL by the standard; real files also have white space (seen: TAB, line feed)."""


def inflated_limit(deflated: int) -> int:
    """The greatest size of an inflated data set that has ``deflated`` bytes."""
    return max(_INFLATED_LIMIT, _INFLATED_RATIO * deflated)


def inflated(beginning: bytes, transfer_syntax_uid: str) -> bytes:
    """The first bytes of a data set, with its elements: inflated, if its transfer syntax deflates them."""
    if transfer_syntax_uid not in DEFLATED:
        return beginning
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(beginning, _MOST_OF_BEGINNING)
    except zlib.error:
        return b""


def tag_name(tag: int) -> str:
    """Write a tag as the standard does: ``(0008,0018)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def tag_bytes(tag: int, byte_order: ByteOrder) -> bytes:
    """A tag as it is encoded."""
    return (tag >> 16).to_bytes(2, byte_order) + (tag & 0xFFFF).to_bytes(2, byte_order)


def item_header(tag: int, length: int, byte_order: ByteOrder = "little") -> bytes:
    """The header of an item, or a delimiter, as it is encoded."""
    return tag_bytes(tag, byte_order) + length.to_bytes(4, byte_order)


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether the pixel data of a data set in this transfer syntax must be encapsulated (PS3.5 A.4).

    Pixel data inside sequences may still be native.
    """
    is_of_jpeg = transfer_syntax_uid.startswith(_FRAMES) and transfer_syntax_uid not in _WITHOUT_FRAMES
    return is_of_jpeg or transfer_syntax_uid in _OTHERS_WITH_FRAMES


class Layout(NamedTuple):
    """The layout of headers in an encoding."""

    is_implicit: bool
    explicit: Struct
    """Group, element number, VR, a length of 16 bits, and the length of 32 bits that some VRs have instead."""
    implicit: Struct
    """The length in implicit VR, alone."""

    @property
    def byte_order(self) -> ByteOrder:
        """The byte order of numbers."""
        return "big" if self.explicit.format.startswith(">") else "little"

    def header(self, page: bytes | memoryview, index: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, value length and header length of the element at ``index``; reads 12 bytes.

        The VR is empty in implicit VR and for delimiters. An unknown VR has a length of 32 bits if it is two capital
        letters (PS3.5 7.1.2), otherwise 16, as DCMTK reads it.
        """
        group, number, vr, length, long_length = self.explicit.unpack_from(page, index)
        tag = group << 16 | number
        if self.is_implicit or group == DELIMITERS:
            return tag, b"", self.implicit.unpack_from(page, index)[0], SHORT_HEADER
        if vr in SHORT_VRS or not is_vr(vr):
            return tag, vr, length, SHORT_HEADER
        return tag, vr, long_length, LONG_HEADER


def is_vr(letters: bytes) -> bool:
    """Whether two bytes can be a VR, also one of a later edition of the standard."""
    return letters.isalpha() and letters.isupper()


EXPLICIT_LITTLE: Final = Layout(is_implicit=False, explicit=Struct("<HH2sHI"), implicit=Struct("<4xI"))
IMPLICIT_LITTLE: Final = EXPLICIT_LITTLE._replace(is_implicit=True)
_LAYOUTS: Mapping[str, Layout] = {
    IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT_LITTLE,
    EXPLICIT_VR_BIG_ENDIAN: Layout(is_implicit=False, explicit=Struct(">HH2sHI"), implicit=Struct(">4xI")),
}


def layout_of(transfer_syntax_uid: str) -> Layout:
    """The layout of headers in this transfer syntax."""
    return _LAYOUTS.get(transfer_syntax_uid, EXPLICIT_LITTLE)
