"""What was mended in a file, in words."""

from __future__ import annotations

from asyncstore.model import Oddity

_WORDS = {
    Oddity.TAIL_DROPPED: "bytes behind its last element were left out",
    Oddity.ITEMS_ENDED: "missing ends of items were written",
    Oddity.UIDS_ADDED: "SOP class and instance UID of its file meta information were written into its data set",
    Oddity.META_COMPLETED: "a UID that its file meta information lacks was taken from its data set",
}


def words_of(repairs: int) -> list[str]:
    """What these flags of :class:`~asyncstore.model.Oddity` say."""
    return [words for flag, words in _WORDS.items() if repairs & flag]
