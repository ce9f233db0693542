"""How data sets are encoded: the headers of their elements (PS3.5 7.1), and which are deflated as a whole."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFLATED = frozenset((DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
"""Transfer syntaxes whose data set is a deflated stream: in files often of odd length, padded when it is sent (PS3.5
A.5, A.7 and A.12)."""

UNCOMPRESSED = frozenset((IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN))
"""Transfer syntaxes in which pixel data is native (PS3.5 A.1 to A.3)."""

_FRAMES = "1.2.840.10008.1.2.4."
_WITHOUT_FRAMES = frozenset(f"{_FRAMES}{number}" for number in (94, 95, 204, 205))
_OTHERS_WITH_FRAMES = frozenset(("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"))
"""Transfer syntaxes of JPEG and its relatives; JPIP, which refers to pixel data elsewhere; and RLE, and frames that are
encapsulated without compression, or deflated (PS3.5 A.4)."""

_INFLATED_LIMIT = 1 << 30
_INFLATED_RATIO = 100
"""What is larger than both when inflated is no data set but a bomb: real ones deflate to a fifth, blank images to a
hundredth."""

UNDEFINED = 0xFFFFFFFF
"""The length of what ends with a delimiter (PS3.5 7.1.3)."""

DELIMITERS = 0xFFFE
"""The group of items and delimiters, which have no VR in any encoding (PS3.5 7.5)."""
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

SHORT_HEADER = 8
"""Bytes of a header in implicit VR, of one whose VR has 16 bits for the length, and of an item or delimiter."""
LONG_HEADER = 12
"""Bytes of a header whose VR has 32 bits for the length."""

LONG_VRS = frozenset(
    vr.encode() for vr in ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
)
SHORT_VRS = frozenset(
    vr.encode()
    for vr in [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
"""PS3.5 7.1.2: which VRs have 32 and which 16 bits for the length."""

UID_PADDING = bytes(range(0x21))
"""What may stand behind a UID: the NUL of the standard, and white space of all kinds (seen: TAB, line feed)."""


def inflated_limit(deflated: int) -> int:
    """How many bytes a data set of so many deflated ones may have at most."""
    return max(_INFLATED_LIMIT, _INFLATED_RATIO * deflated)


def tag_name(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether the pixel data of a data set in this transfer syntax must be encapsulated (PS3.5 A.4).

    Pixel data inside sequences may be native all the same.
    """
    is_of_jpeg = transfer_syntax_uid.startswith(_FRAMES) and transfer_syntax_uid not in _WITHOUT_FRAMES
    return is_of_jpeg or transfer_syntax_uid in _OTHERS_WITH_FRAMES


class Layout(NamedTuple):
    """How the headers of an encoding look."""

    is_implicit: bool
    explicit: Struct
    """Group, element number, VR, a length of 16 bits, and what is a length of 32 bits if the VR has one."""
    implicit: Struct
    """The length alone."""

    @property
    def byte_order(self) -> Literal["little", "big"]:
        """That of its numbers."""
        return "big" if self.explicit.format.startswith(">") else "little"

    def header(self, page: bytes, index: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, length and the header's own length of the element at ``index``; 12 bytes from there are read.

        The VR is empty where there is none. VRs that are not known have 32 bits for the length if they are two capital
        letters (PS3.5 7.1.2), and else 16, as DCMTK reads them.
        """
        group, number, vr, length, long_length = self.explicit.unpack_from(page, index)
        tag = group << 16 | number
        if self.is_implicit or group == DELIMITERS:
            return tag, b"", self.implicit.unpack_from(page, index)[0], SHORT_HEADER
        if vr in SHORT_VRS or not is_vr(vr):
            return tag, vr, length, SHORT_HEADER
        return tag, vr, long_length, LONG_HEADER


def is_vr(letters: bytes) -> bool:
    """Whether two bytes are a VR, a known one or one of a later edition of the standard."""
    return letters.isalpha() and letters.isupper()


EXPLICIT_LITTLE: Final = Layout(is_implicit=False, explicit=Struct("<HH2sHI"), implicit=Struct("<4xI"))
IMPLICIT_LITTLE: Final = EXPLICIT_LITTLE._replace(is_implicit=True)
_LAYOUTS: Mapping[str, Layout] = {
    IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT_LITTLE,
    EXPLICIT_VR_BIG_ENDIAN: Layout(is_implicit=False, explicit=Struct(">HH2sHI"), implicit=Struct(">4xI")),
}


def layout_of(transfer_syntax_uid: str) -> Layout:
    """How headers look in this transfer syntax."""
    return _LAYOUTS.get(transfer_syntax_uid, EXPLICIT_LITTLE)
