"""The meaning of a C-STORE status: its result, and words for it.

Sources: PS3.4 table B.2-1 (storage service), PS3.7 annex C (statuses of DIMSE services) and 9.1.1.1.9. Warnings are
0001, 0107, 0116 and Bxxx. Every other status but success is a failure. C-STORE has no pending (FF00, FF01) and no
cancel (FE00).
"""

from __future__ import annotations

from asyncstore.model import Result

SUCCESS = 0x0000
PENDING = (0xFF00, 0xFF01)
SOP_CLASS_NOT_SUPPORTED = 0x0122

_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})

_WORDS = {
    0x0000: "success",
    0x0001: "stored, requested optional attributes are not supported",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "attribute list error",
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0116: "attribute value out of range",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0123: "no such action",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA700: "out of resources",
    0xA900: "data set does not match SOP class",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
    0xC000: "cannot understand",
    0xFE00: "cancelled",
}

_FAMILIES = {
    0xA700: "out of resources",
    0xA900: "data set does not match SOP class",
    0xB000: "warning",
    0xC000: "cannot understand",
}
"""Statuses whose last digits belong to the implementation: A7xx, A9xx, Bxxx, Cxxx."""


def result_of(status: int) -> Result:
    """The result of a store with this status."""
    if status == SUCCESS:
        return Result.STORED
    if status in _WARNINGS or status >> 12 == 0xB:  # noqa: PLR2004 - Bxxx
        return Result.WARNING
    return Result.FAILED


def describe(status: int) -> str:
    """``status`` for a person: ``0xA700 out of resources``."""
    words = _WORDS.get(status) or _FAMILIES.get(status & 0xFF00) or _FAMILIES.get(status & 0xF000) or "unknown status"
    return f"0x{status:04X} {words}"
