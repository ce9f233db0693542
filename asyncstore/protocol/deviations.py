"""Harmless deviations from the standard: they are accepted, with a warning.

DCMTK and pynetdicom accept them silently, so real systems have them. A deviation is harmless if it is still certain
which request a response answers: no instance can count as stored by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Deviation(Enum):
    """A kind of deviation. The value says what the peer does, and the consequence."""

    OTHER_CONTEXT = (
        "it answers in another presentation context than that of the request (PS3.7 9.3.1); its responses are matched "
        "by message id"
    )
    OTHER_GROUP = "its command sets hold elements of other groups than 0000 (PS3.7 6.3.1), which are ignored"
    UNPROPOSED_CONTEXT = (
        "it answers presentation contexts that were not proposed (PS3.8 9.3.3.2); these answers are ignored"
    )
    UNPROPOSED_TRANSFER_SYNTAX = (
        "it accepts presentation contexts in a transfer syntax that was not proposed for them (PS3.8 9.3.3.2); these "
        "contexts are not used"
    )


Notice = Callable[[Deviation], None]
"""Called with each deviation, every time it occurs."""


def unnoticed(_deviation: Deviation) -> None:
    """Ignore the deviation."""
