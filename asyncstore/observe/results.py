"""How results are shown to people: the word and the colour (frame.py, rule 3) of each, in the order of every list."""

from __future__ import annotations

from typing import NamedTuple

from asyncstore.model import Result


class Shown(NamedTuple):
    """How a result is shown."""

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
