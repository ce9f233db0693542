"""What alike means, and where asyncstore is different on purpose.

Alike are the proposals, what is stored, how the associations end, and whether the exit code is 0. The differences are
those of :data:`DIFFERENCES`, no others, and each only where it is said to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from support.differential.programs import Ran

DIFFERENCES = {
    "exit code with --no-halt": "storescu ends with 0 whatever became of the files; asyncstore when all are stored",
    "end of the association after a failure": (
        "storescu aborts the association when a file fails on its side, and just leaves where no context was accepted"
        " or no answer came; asyncstore releases it where the peer may go on, and aborts it otherwise"
    ),
    "confirmation of tickets and tokens": (
        "with --pos-response storescu insists on it for user names only; asyncstore for every kind of identity"
    ),
    "contexts without an option that proposes": (
        "storescu proposes a list of SOP classes; asyncstore what the files need, so that they go out as they are"
    ),
    "directories without --scan-directories": "storescu passes them over; asyncstore sends what is in them",
    "SOP classes that nobody knows": "with --required storescu turns their instances away; asyncstore proposes them",
    "names where nothing was sent": (
        "with --rename storescu leaves all names alone when no association comes about or no context is accepted;"
        " asyncstore marks what could not be sent in any case, and what the peer refused"
    ),
    "a data set without a SOP class or SOP instance UID": (
        "storescu does not send it; asyncstore sends it as what its file meta information says it is"
    ),
    "pixel data that the peer takes in other transfer syntaxes only": (
        "storescu does not send it; asyncstore decompresses or compresses it, unless told not to"
    ),
    "the certificate's host name": "storescu does not look at it; asyncstore does, unless told not to",
}
"""What is different on purpose, and why."""


def assert_alike(words: Collection[str], theirs: Ran, ours: Ran, expected: int) -> None:
    """Both did the same, as far as they are to.

    Args:
        words: the options.
        theirs: what storescu did.
        ours: what asyncstore did.
        expected: how many instances there were to store.
    """
    assert_stored_alike(words, theirs, ours, expected)
    if not ours.succeeded and not ours.proposals and not theirs.stored:  # there was nothing to send
        return
    assert ours.proposals == theirs.proposals
    for our, their in zip(ours.ends, theirs.ends, strict=True):
        assert our == their or (not ours.succeeded and our in ("released", "aborted"))


def assert_stored_alike(words: Collection[str], theirs: Ran, ours: Ran, expected: int) -> None:
    """Both stored the same, as far as they are to; see :func:`assert_alike`."""
    is_all_stored = ours.accepted == expected
    assert ours.succeeded == is_all_stored
    if is_all_stored or "-nh" in words:
        assert ours.stored == theirs.stored
        assert theirs.succeeded or not ours.succeeded  # "exit code with --no-halt"
    else:
        assert ours.stored == theirs.stored
        assert not theirs.succeeded
