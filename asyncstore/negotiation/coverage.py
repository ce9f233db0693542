"""Which pairs an association request settles: those for which it proposes everything that the proposal ever proposes.

There may be tens of thousands of pairs and 128 contexts in a request. So the cost of each question depends on the
contexts of one request, not on the number of pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.associate import MOST_CONTEXTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from asyncstore.negotiation.contexts import Pair
    from asyncstore.negotiation.proposal import Proposal
    from asyncstore.protocol.associate import ProposedContext

MOST_WANTED = 4 * MOST_CONTEXTS
"""Pairs considered for one request. Most SOP classes need one to three contexts, so it is full long before."""


class Coverage:
    """The pairs that one request settles.

    Args:
        proposal: the proposal that made its contexts.
        contexts: its contexts.
    """

    def __init__(self, proposal: Proposal, contexts: Iterable[ProposedContext]) -> None:
        by_class: dict[str, list[ProposedContext]] = {}
        for context in contexts:
            by_class.setdefault(context.abstract_syntax, []).append(context)
        self._pairs = frozenset(
            (sop_class, syntax)
            for sop_class, group in by_class.items()
            for one in group
            for syntax in one.transfer_syntaxes
            if proposal.covers(group, (sop_class, syntax))
        )
        self._classes = frozenset(uid for uid, group in by_class.items() if proposal.covers(group, (uid, "")))
        self._has_all = proposal.covers((), ("", ""))
        """Whether it settles every pair."""

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._pairs or pair[0] in self._classes or self._has_all

    def settled(self, pairs: AbstractSet[Pair]) -> AbstractSet[Pair]:
        """Those of ``pairs`` that the request settles."""
        if self._has_all:
            return pairs
        if self._classes:
            return {pair for pair in pairs if pair in self}
        return pairs & self._pairs


class Request(NamedTuple):
    """The contexts of one request, and the pairs that it settles."""

    contexts: tuple[ProposedContext, ...]
    pairs: list[Pair]


def requests(proposal: Proposal, pairs: Iterable[Pair]) -> list[Request]:
    """The requests needed to settle all these pairs."""
    made: list[Request] = []
    latest: dict[str, tuple[Coverage, Request]] = {}
    """The latest request for each SOP class."""
    wanted: dict[Pair, None] = {}
    rest = iter(dict.fromkeys(pairs))
    last: tuple[Coverage, Request] | None = None
    while True:
        for pair in rest:
            earlier = latest.get(pair[0], last)
            if earlier is not None and pair in earlier[0]:
                earlier[1].pairs.append(pair)
            else:
                wanted[pair] = None
                if len(wanted) == MOST_WANTED:
                    break
        if not wanted:
            return made
        contexts = proposal.contexts(wanted)
        coverage, request = last = Coverage(proposal, contexts), Request(contexts, [])
        made.append(request)
        latest |= {context.abstract_syntax: last for context in contexts}
        settled = coverage.settled(wanted.keys())
        request.pairs.extend([pair for pair in wanted if pair in settled] or wanted)  # none: it will never settle them
        for pair in request.pairs:
            del wanted[pair]
