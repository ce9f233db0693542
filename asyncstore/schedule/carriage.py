"""What one association carries: for each pair of SOP class and transfer syntax, in which one it goes out, or why not.

The answer is the same for millions of instances, so it is looked for once a pair.
"""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.model import Oddity
from asyncstore.negotiation import UNCOMPRESSED, Coverage, carrier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.ports import Association

_oddities = attrgetter("oddities")

_MOST_INSTANCES = 32
_MOST_BYTES = 1 << 22
"""What is converted in one go: some milliseconds of a worker's time, so that the next lane soon has its turn."""

_MOST_NAMES = 2
"""Transfer syntaxes that a reason names: more are not read."""


class Carriage:
    """What an association carries: a collection of pairs.

    Args:
        proposal: what was proposed, and is preferred.
        proposed: the contexts it was made with.
        accepted: the pairs that were accepted, in the order of the answer.
        changes_everything: whether all data sets are converted, even into the transfer syntax they have.
    """

    def __init__(
        self,
        proposal: Proposal,
        proposed: Iterable[ProposedContext],
        accepted: Iterable[Pair],
        *,
        changes_everything: bool = False,
    ) -> None:
        self.coverage = Coverage(proposal, proposed)
        """The pairs that its request has settled."""
        self._prefers_deflated = proposal.prefers_deflated
        self._accepted: dict[str, dict[Pair, None]] = {}
        """By SOP class."""
        for pair in accepted:
            self._accepted.setdefault(pair[0], {})[pair] = None
        self._changes_everything = changes_everything
        self._known: dict[Pair, str | None] = {}
        self.converts = changes_everything
        """Whether anything it was asked about has to be converted."""

    def __contains__(self, pair: Pair) -> bool:
        return self.transfer_syntax(pair) is not None

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._carried)

    def __len__(self) -> int:
        return len(self._carried)

    @cached_property
    def _carried(self) -> list[Pair]:
        """Everything that it carries: what was accepted, and what is converted to that."""
        return [pair for sop_class in self._accepted for pair in self._eligible(sop_class) if self._choose(pair)]

    def _eligible(self, sop_class: str) -> dict[Pair, None]:
        """The pairs of a SOP class that may be carried: any other would have to be decompressed."""
        return self._accepted[sop_class] | dict.fromkeys((sop_class, syntax) for syntax in UNCOMPRESSED)

    def transfer_syntax(self, pair: Pair) -> str | None:
        """The transfer syntax in which data sets of this pair go out, if they have no pixel data in its way.

        ``None``: they cannot, because nothing was accepted for them or they would have to be decompressed.
        """
        chosen = self._known.get(pair)
        if chosen is None and (chosen := self._choose(pair)) is not None:
            self._known[pair] = chosen
            self.converts |= chosen != pair[1]
        return chosen

    def portions(self, batch: Iterable[Instance]) -> Iterable[tuple[list[Instance], str | None]]:
        """``batch`` in parts, in order, each with the transfer syntax to convert it into, or ``None``."""
        batch = list(batch)
        if not self.converts and not any(map(_oddities, batch)):
            return [(batch, None)]
        return self._split(batch)

    def _split(self, batch: Iterable[Instance]) -> Iterable[tuple[list[Instance], str | None]]:
        portion: list[Instance] = []
        size, current = 0, None
        for instance in batch:
            target = self.transfer_syntax((instance.sop_class_uid, instance.transfer_syntax_uid))
            if target == instance.transfer_syntax_uid and not self._changes(instance):
                target = None
            is_full = target is not None and (len(portion) >= _MOST_INSTANCES or size + instance.length > _MOST_BYTES)
            if portion and (target != current or is_full):
                yield portion, current
                portion, size = [], 0
            current = target
            portion.append(instance)
            size += instance.length
        if portion:
            yield portion, current

    def _changes(self, instance: Instance) -> bool:
        """Whether ``instance`` is rewritten even where its transfer syntax was accepted."""
        return self._changes_everything or bool(instance.oddities & Oddity.ODD_VALUES)

    def _choose(self, pair: Pair) -> str | None:
        accepted = self._accepted.get(pair[0])
        if accepted is None or (pair not in accepted and pair[1] not in UNCOMPRESSED):
            return None
        if pair not in self.coverage:  # another association may take it as it is
            return None
        chosen = carrier(*pair, accepted, prefers_deflated=self._prefers_deflated)
        return chosen if chosen == pair[1] or pair[1] in UNCOMPRESSED else None


def why_not(pair: Pair, proposed: Iterable[ProposedContext], association: Association) -> str:
    """What kept ``association`` from carrying a pair."""
    from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - most runs never refuse anything

    sop_class = pair[0]
    accepted = [name_of(transfer) for abstract, transfer in association.accepted if abstract == sop_class]
    if accepted:
        return f"the peer takes it in {in_short(accepted)}, into which it is not converted"
    if all(context.abstract_syntax != sop_class for context in proposed):
        return "the SOP class is not among those proposed"
    if pair in association.results:
        return association.results[pair]
    answers = {words for (abstract, _), words in association.results.items() if abstract == sop_class}
    return in_short(sorted(answers)) or "the peer did not answer it"


def in_short(names: Sequence[str]) -> str:
    """At most two names, and how many there are besides: ``A``, ``A and B``, ``A, B and 10 more``."""
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return " and ".join(names)
