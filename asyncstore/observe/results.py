"""The word and the colour (frame.py, rule 3) for each result, in the order of every list; the words for repairs."""

from __future__ import annotations

from asyncstore.model import Oddity, Result
from asyncstore.named_tuple import NamedTuple


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

_REPAIRS = {
    Oddity.TAIL_DROPPED: "bytes behind its last element were left out",
    Oddity.ITEMS_ENDED: "missing ends of items were written",
    Oddity.UIDS_ADDED: "SOP class and instance UID of its file meta information were written into its data set",
    Oddity.META_COMPLETED: "a UID that its file meta information lacks was taken from its data set",
}


def words_of(repairs: int) -> list[str]:
    """What these flags of :class:`~asyncstore.model.Oddity` say was mended in a file."""
    return [words for flag, words in _REPAIRS.items() if repairs & flag] if repairs else []  # as of nearly all files
