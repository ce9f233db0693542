"""What the run needs of associations: the pairs of SOP class and transfer syntax, and what became of asking for them.

Rules:

1. An association is asked for what waits, and after that for every pair seen so far: contexts are negotiated once
   (PS3.8 9.3.2), and more of the kind may come. What enough other associations are asked for comes after what they are
   not: where there are more pairs than one can carry, each carries others.
2. A pair that an association was asked for and cannot carry, nor any other one there is, is refused for the whole run:
   asking again would not change the answer.
3. An association is replaced for pairs it was not asked for only if many instances wait for each one that was. One
   that is not open yet does not count: some peers serve one at a time, and open it when this one has ended.

There may be tens of thousands of pairs, and hundreds of associations one after another: what each costs follows from
what it proposes, and from what waits, which is bounded; not from all pairs seen.

Pure: it is told which lanes there are and what waits, and its owner acts on the answers.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from asyncstore.model import Reason
from asyncstore.negotiation import MOST_WANTED, Pair, pair_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncstore.model import Instance
    from asyncstore.negotiation import Proposal
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.lanes import Lanes

_REOPEN_RATIO = 32
"""Instances waiting for a context, for each lane that carries it, beyond which another lane replaces its association
to help."""


class Needs:
    """The pairs seen, and those refused.

    Args:
        proposal: which contexts are proposed for them.
    """

    def __init__(self, proposal: Proposal) -> None:
        self._proposal = proposal
        self._seen: dict[Pair, None] = {}
        """Those that are not refused."""
        self._refused: dict[Pair, str] = {}

    def see(self, instances: Iterable[Instance]) -> list[Pair]:
        """These are to be sent; the pairs among them that were refused before."""
        pairs = dict.fromkeys([pair_of(one.sop_class_uid, one.transfer_syntax_uid) for one in instances])
        refused = [pair for pair in pairs if pair in self._refused] if self._refused else []
        for pair in refused:
            del pairs[pair]
        self._seen |= pairs
        return refused

    def wanted(self, waiting: Iterable[Pair]) -> list[Pair]:
        """What to ask the next association for, most urgent first, while instances wait for ``waiting``.

        No more than its contexts may be chosen from.
        """
        return list(islice(chain(waiting, self._seen), MOST_WANTED))

    def contexts(self, wanted: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts to propose for what is wanted."""
        return self._proposal.contexts(wanted)

    def urgent(self, by_age: Iterable[Pair], waiting: Mapping[Pair, int], lanes: Lanes) -> list[Pair]:
        """The pairs that wait, in the order of ``by_age``, but those that enough of ``lanes`` are asked for come last.

        No more than the contexts of one association may be chosen from.
        """
        asked = frozenset[Pair]().union(*(lane.asked for lane in lanes))
        urgent: list[Pair] = []
        others: list[Pair] = []
        for pair in by_age:
            helps = pair in asked and waiting[pair] <= _REOPEN_RATIO * sum(pair in lane.asked for lane in lanes)
            (others if helps else urgent).append(pair)
            if len(urgent) == MOST_WANTED:
                break
        return urgent + others

    def uncarried(self, pairs: Iterable[Pair], lane: WorkingLane, lanes: Lanes) -> list[Pair]:
        """Those of ``pairs`` that the association of ``lane`` was asked for and none of ``lanes`` carries (rule 2)."""
        return [pair for pair in lane.selection.coverage.settled(pairs) if not _is_carried(pair, lanes)]

    def refuse(self, pair: Pair, words: str) -> str:
        """``pair`` is refused: why, in a sentence that ends with ``words``, of one kind for all pairs."""
        from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - most runs never refuse anything

        sop_class, syntax = map(name_of, pair)
        kind = "no presentation context accepted"
        reason = Reason(f"{kind} for {sop_class} in {syntax}: {words}", kind, sop_class, words, f"in {syntax}")
        self._refused.setdefault(pair, reason)
        self._seen.pop(pair, None)
        return reason

    def refused(self, pairs: Iterable[Pair], lanes: Lanes) -> dict[Pair, str]:
        """Those of ``pairs`` that were refused, and why; not those that one of ``lanes`` carries nevertheless."""
        if not self._refused:
            return {}
        refused = [pair for pair in pairs if pair in self._refused and not _is_carried(pair, lanes)]
        return {pair: self._refused[pair] for pair in refused}

    def call_for_another(self, lane: WorkingLane, lanes: Lanes, waiting: Mapping[Pair, int]) -> bool:
        """Whether what waits needs ``lane`` to have an association with other contexts (rule 3)."""
        for pair, instances in waiting.items():
            if pair not in lane.selection.coverage:
                carriers = sum(pair in other.selection.coverage for other in lanes if other.association)
                if instances > carriers * _REOPEN_RATIO:
                    return True
        return False


def _is_carried(pair: Pair, lanes: Lanes) -> bool:
    return any(pair in lane.selection for lane in lanes)
