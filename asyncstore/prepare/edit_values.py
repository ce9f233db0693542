"""Values that users write: checked against their VR (PS3.5 6.2), and encoded for a data set."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from asyncstore.prepare.values import padding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncstore.prepare.elements import ByteOrder

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?"
_ZONE = r"(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d|60)?)?"
_DATE = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_DATE_TIME = rf"\d{{4}}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])(?:{_TIME}(?:(?<=\d{{14}})\.\d{{1,6}})?)?)?)?"
_RULES: Mapping[str, tuple[str, str]] = {
    "AE": (r"[ -~]{0,16}", "up to 16 printable ASCII characters"),
    "AS": (r"(?:\d{3}[DWMY])?", "three digits and D, W, M or Y"),
    "CS": (r"[A-Z0-9 _]{0,16}", "up to 16 capital letters, digits, spaces and underscores"),
    "DA": (rf"(?:{_DATE})?", "a date as YYYYMMDD"),
    "DS": (rf"(?=.{{0,16}}\Z)(?: *{_NUMBER} *)?", "a decimal number of up to 16 characters"),
    "DT": (rf"(?:{_DATE_TIME}{_ZONE})?", "a date and time as YYYYMMDDHHMMSS.FFFFFF&ZZXX"),
    "IS": (r"(?=.{0,12}\Z)(?: *[+-]?\d+ *)?", "a whole number of up to 12 characters"),
    "LO": (r"[^\x00-\x1a\x1c-\x1f\x7f]{0,64}", "up to 64 characters"),
    "LT": (r"(?s:[^\x00-\x08\x0e-\x1a\x1c-\x1f]{0,10240})", "up to 10240 characters"),
    "PN": (
        r"[^\x00-\x1a\x1c-\x1f\x7f]*",
        "up to three groups with =, each of up to 64 characters and five parts with ^",
    ),
    "SH": (r"[^\x00-\x1a\x1c-\x1f\x7f]{0,16}", "up to 16 characters"),
    "ST": (r"(?s:[^\x00-\x08\x0e-\x1a\x1c-\x1f]{0,1024})", "up to 1024 characters"),
    "TM": (rf"(?:{_TIME}(?:(?<=\d{{6}})\.\d{{1,6}})?)?", "a time as HHMMSS.FFFFFF"),
    "UC": (r"[^\x00-\x1a\x1c-\x1f\x7f]*", "characters"),
    "UI": (r"(?=.{0,64}\Z)(?:(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*)?", "a UID of up to 64 digits and dots"),
    "UR": (r"[!-\[\]-~]*", "a URI"),
    "UT": (r"(?s:[^\x00-\x08\x0e-\x1a\x1c-\x1f]*)", "text"),
}
"""What a value of each VR of text may be, as a pattern and in words."""

_NUMBERS: Mapping[str, tuple[str, str]] = {
    "FD": ("d", "a number"),
    "FL": ("f", "a number"),
    "SL": ("i", "a whole number of 32 bits"),
    "SS": ("h", "a whole number of 16 bits"),
    "SV": ("q", "a whole number of 64 bits"),
    "UL": ("I", "a whole number of 32 bits from 0"),
    "US": ("H", "a whole number of 16 bits from 0"),
    "UV": ("Q", "a whole number of 64 bits from 0"),
}
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_TAG_STRUCT = "HH"

_SINGLE = frozenset(("LT", "ST", "UR", "UT"))
"""A backslash is a character of their values (PS3.5 6.2)."""
_GROUP_LENGTH, _GROUPS, _PARTS = 64, 3, 5
"""PS3.5 6.2, VR PN: the length and the number of component groups, and the components of each."""

TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""The VRs whose values are in the character set of the data set (PS3.5 6.1.2.2)."""
KNOWN = frozenset((*_RULES, *_NUMBERS, "AT"))
"""The VRs whose values can be written as text."""


def check(vr: str, value: str) -> None:
    """Check a value against its VR.

    Raises:
        ValueError: it is not valid; the message does not show it.
    """
    for each in parts(vr, value):
        _check_one(vr, each)


def parts(vr: str, value: str) -> list[str]:
    """The single values of a value with backslashes."""
    return [value] if vr in _SINGLE else value.split("\\")


def _check_one(vr: str, value: str) -> None:
    if vr in _RULES:
        pattern, words = _RULES[vr]
        is_good = re.fullmatch(pattern, value, re.ASCII) is not None and (vr != "PN" or _is_name(value))
    elif vr in _NUMBERS:
        words = _NUMBERS[vr][1]
        is_good = not value or _packed(vr, value, "little") is not None
    elif vr == "AT":
        words = "a tag as (gggg,eeee)"
        is_good = not value or _TAG.fullmatch(value) is not None
    else:
        words, is_good = "empty here: its values cannot be written as text", not value
    if not is_good:
        raise ValueError(f"a value of VR {vr} is {words}")


def _is_name(value: str) -> bool:
    groups = value.split("=")
    return len(groups) <= _GROUPS and all(len(group) <= _GROUP_LENGTH and group.count("^") < _PARTS for group in groups)


def encoded(vr: str, value: str, order: ByteOrder, encoding: str = "ascii") -> bytes:
    """A valid value as it stands in a data set, padded to even length.

    Args:
        vr: its VR.
        value: the value.
        order: the byte order of numbers.
        encoding: Python's name of the character set of the data set.

    Raises:
        UnicodeEncodeError: the character set does not have its characters.
    """
    if vr in _NUMBERS or vr == "AT":
        return b"".join(_packed(vr, each, order) or b"" for each in parts(vr, value) if each)
    return padded(vr, value.encode(encoding if vr in TEXTS else "ascii"))


def padded(vr: str, value: bytes) -> bytes:
    """A value with the padding of its VR, if its length is odd."""
    return value + padding(vr.encode()) if len(value) & 1 else value


def _packed(vr: str, value: str, order: ByteOrder) -> bytes | None:
    """A number or a tag; ``None``: it is none, or too large."""
    mark = "<" if order == "little" else ">"
    if vr == "AT":
        tag = _TAG.fullmatch(value)
        return (
            None if tag is None else struct.Struct(mark + _TAG_STRUCT).pack(*(int(part, 16) for part in tag.groups()))
        )
    kind = _NUMBERS[vr][0]
    try:
        return struct.Struct(mark + kind).pack(float(value) if kind in "fd" else int(value))
    except (ValueError, OverflowError, struct.error):
        return None
