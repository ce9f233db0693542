"""Where peers deviate from the standard without harm, so that what they send is taken all the same.

DCMTK and pynetdicom take it as well, so there are systems that nobody has ever noticed it in. A deviation is harmless
where nothing could be called stored that is not: which request a response answers is always certain.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Deviation(Enum):
    """A kind of deviation; its value says what the peer does, and what comes of it."""

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
"""What takes notice of a deviation each time it is met."""


def unnoticed(_deviation: Deviation) -> None:
    """Take no notice."""
