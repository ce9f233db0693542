"""What to propose, what was agreed, and which accepted presentation context carries an instance: pure decisions.

- ``contexts``: planning contexts, concluding what came of them, choosing one.
- ``coverage``: which pairs a request settles, and how many requests it takes.
- ``proposal``: the kinds of proposals, storescu's among them; ``profile``: those of configuration files.
- ``selection``: what happens to each pair: it is sent as it is, re-encoded, or refused and why.
- ``names``: what UIDs are called; ``show``: negotiation in readable lines. Both are imported where they are needed.
"""

from asyncstore.negotiation.contexts import (
    UNCOMPRESSED,
    Pair,
    agreed_window,
    carrier,
    conclude,
    narrower,
    pair_of,
    plan,
    verification,
)
from asyncstore.negotiation.coverage import MOST_WANTED, Coverage, Request, requests
from asyncstore.negotiation.proposal import Listed, Planned, Proposal, listed

__all__ = [
    "MOST_WANTED",
    "UNCOMPRESSED",
    "Coverage",
    "Listed",
    "Pair",
    "Planned",
    "Proposal",
    "Request",
    "agreed_window",
    "carrier",
    "conclude",
    "listed",
    "narrower",
    "pair_of",
    "plan",
    "requests",
    "verification",
]
