"""Which presentation contexts to propose, what was agreed, and which context carries an instance: pure decisions.

- ``contexts``: plan contexts, read the answer, choose a context for an instance.
- ``coverage``: which pairs a request settles, and how many requests all pairs need.
- ``proposal``: the kinds of proposals, with storescu's; ``profile``: proposals from configuration files.
- ``selection``: what happens to each pair: it is sent as it is, re-encoded, transcoded, or refused and why.
- ``transcoding``: which pixel data may be decoded and encoded.
- ``names``: names of UIDs; ``show``: negotiation in readable lines. Import these two only where needed.
"""

from asyncstore.negotiation.contexts import (
    UNCOMPRESSED,
    Pair,
    agreed_window,
    carrier,
    conclude,
    narrower,
    plan,
    verification,
)
from asyncstore.negotiation.coverage import MOST_WANTED, Coverage, Request, requests
from asyncstore.negotiation.proposal import Listed, Planned, Proposal, listed
from asyncstore.negotiation.transcoding import NO_TRANSCODING, Transcode, Transcoding

__all__ = [
    "MOST_WANTED",
    "NO_TRANSCODING",
    "UNCOMPRESSED",
    "Coverage",
    "Listed",
    "Pair",
    "Planned",
    "Proposal",
    "Request",
    "Transcode",
    "Transcoding",
    "agreed_window",
    "carrier",
    "conclude",
    "listed",
    "narrower",
    "plan",
    "requests",
    "verification",
]
