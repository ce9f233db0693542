"""Which pairs of SOP class and transfer syntax to ask associations for, and which are refused.

Rules:

1. An association is asked for the pairs that wait, then for every pair seen so far: contexts are negotiated only once
   (PS3.8 9.3.2), and more instances of a pair may come. Pairs that enough other associations are asked for come last:
   where there are more pairs than one association can carry, each carries others.
2. A pair is refused for the whole run if an association was asked for it, and neither this one nor any other carries
   it: asking again would not change the answer.
3. A lane replaces its association for pairs it was not asked for only if many instances wait for each lane that was
   asked. A lane that is replacing its own counts. Any other association that is not open yet does not: some peers serve
   one at a time, and open the next one only when this one has ended.

There may be tens of thousands of pairs, and hundreds of associations one after another. The cost of each association
depends on its contexts and on the waiting pairs, which are bounded, not on all pairs seen.

Pure: its owner says which lanes there are and what waits, and acts on the answers.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING

from asyncstore.model import Reason
from asyncstore.negotiation import MOST_WANTED, Pair
from asyncstore.schedule.backlog import pairs_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from asyncstore.model import Instance
    from asyncstore.negotiation import Proposal
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.lanes import Lanes

_REOPEN_RATIO = 32
"""Instances that wait for contexts, for each lane that carries them. If more wait, another lane replaces its
association to help."""


class PairDemand:
    """The pairs seen, and those refused.

    Args:
        proposal: which contexts are proposed for them.
    """

    def __init__(self, proposal: Proposal) -> None:
        self._proposal = proposal
        self._seen: dict[Pair, None] = {}
        """The pairs seen and not refused."""
        self._refused: dict[Pair, str] = {}

    def see(self, instances: Iterable[Instance]) -> list[Pair]:
        """Note the pairs of ``instances``; those that were refused before."""
        pairs = dict.fromkeys(pairs_needed(instances))
        refused = [pair for pair in pairs if pair in self._refused] if self._refused else []
        for pair in refused:
            del pairs[pair]
        self._seen |= pairs
        return refused

    def wanted(self, waiting: Iterable[Pair]) -> list[Pair]:
        """The pairs to ask the next association for, most urgent first: ``waiting``, then those seen.

        No more than one request is chosen from.
        """
        return list(islice(chain(waiting, self._seen), MOST_WANTED))

    def contexts(self, wanted: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts to propose for these pairs."""
        return self._proposal.contexts(wanted)

    def urgent(self, by_age: Iterable[Pair], waiting: Mapping[Pair, int], lanes: Lanes) -> list[Pair]:
        """The waiting pairs in the order of ``by_age``; those that enough of ``lanes`` are asked for come last.

        No more than one request is chosen from.
        """
        asked = Counter(chain.from_iterable(lane.asked for lane in lanes))
        urgent: list[Pair] = []
        others: list[Pair] = []
        for pair in by_age:
            (others if waiting[pair] <= _REOPEN_RATIO * asked[pair] else urgent).append(pair)
            if len(urgent) == MOST_WANTED:
                break
        return urgent + others

    def uncarried(self, pairs: AbstractSet[Pair], lane: WorkingLane, lanes: Lanes) -> list[Pair]:
        """Those of ``pairs`` that the association of ``lane`` was asked for and none of ``lanes`` carries (rule 2)."""
        return sorted(pair for pair in lane.selection.coverage.settled(pairs) if not _is_carried(pair, lanes))

    def refuse(self, pair: Pair, words: str) -> str:
        """Refuse ``pair`` for the run; the reason, which ends with ``words`` and is of one kind for all pairs."""
        from asyncstore.negotiation.names import name_of  # most runs never refuse anything

        sop_class, syntax = map(name_of, pair)
        kind = "no presentation context accepted"
        reason = Reason(f"{kind} for {sop_class} in {syntax}: {words}", kind, sop_class, words, f"in {syntax}")
        self._refused.setdefault(pair, reason)
        self._seen.pop(pair, None)
        return reason

    def refused(self, pairs: Iterable[Pair], lanes: Lanes) -> dict[Pair, str]:
        """The refused ones of ``pairs`` with their reasons, without those that one of ``lanes`` carries."""
        if not self._refused:
            return {}
        refused = [pair for pair in pairs if pair in self._refused and not _is_carried(pair, lanes)]
        return {pair: self._refused[pair] for pair in refused}

    def are_stranded(self, waiting: AbstractSet[Pair], lanes: Lanes) -> bool:
        """Whether any of the ``waiting`` pairs is one that none of ``lanes`` was or will be asked for."""
        asked = [chain(lane.to_ask, lane.selection.coverage.settled(waiting)) for lane in lanes]
        return not waiting <= set(chain.from_iterable(asked))

    def call_for_another(self, lane: WorkingLane, lanes: Lanes, waiting: Mapping[Pair, int]) -> bool:
        """Whether waiting instances need ``lane`` to replace its association (rule 3)."""
        missing = waiting.keys() - lane.selection.coverage.settled(waiting.keys())
        instances = sum(map(waiting.__getitem__, missing))
        if not 0 < instances <= _REOPEN_RATIO * len(lanes):
            return bool(missing)
        carried = [missing & other.to_ask | other.selection.coverage.settled(missing) for other in lanes]
        return not missing.issubset(chain(*carried)) or instances > _REOPEN_RATIO * sum(map(bool, carried))


def _is_carried(pair: Pair, lanes: Lanes) -> bool:
    return any(pair in lane.selection for lane in lanes)
