"""How data sets are encoded: the headers of their elements (PS3.5 7.1), and which are deflated as a whole."""

from __future__ import annotations

from asyncstore.model import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

DEFLATED = frozenset((DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
"""Transfer syntaxes whose data set is a deflated stream: in files often of odd length, padded when it is sent (PS3.5
A.5, A.7 and A.12)."""

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


def inflated_limit(deflated: int) -> int:
    """How many bytes a data set of so many deflated ones may have at most."""
    return max(_INFLATED_LIMIT, _INFLATED_RATIO * deflated)


def tag_name(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
