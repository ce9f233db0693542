"""The word and the colour (frame.py, rule 3) for each result, in the order of every list."""

from __future__ import annotations

from typing import NamedTuple

from asyncstore.model import Result


class Shown(NamedTuple):
    """The word and the style of a result."""

    word: str
    style: str


SHOWN = {
    Result.STORED: Shown("stored", "green"),
    Result.WARNING: Shown("with a warning", "yellow"),
    Result.FAILED: Shown("failed", "red"),
    Result.NOT_SENT: Shown("not sent", "red"),
    Result.UNKNOWN: Shown("unknown", "red"),
    Result.SKIPPED: Shown("skipped", "dim"),
}
