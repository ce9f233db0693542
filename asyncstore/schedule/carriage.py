"""What one association carries: for each pair of SOP class and transfer syntax, in which one it goes out, or why not.

The answer is the same for millions of instances, so it is looked for once a pair.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.model import Oddity
from asyncstore.negotiation import UNCOMPRESSED, carrier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.ports import Association

_oddities = attrgetter("oddities")

_MOST_INSTANCES = 32
_MOST_BYTES = 1 << 22
"""What is converted in one go: some milliseconds of a worker's time, so that the next lane soon has its turn."""


class Carriage:
    """What an association carries.

    Args:
        proposal: what was proposed, and is preferred.
        proposed: the contexts it was made with.
        accepted: those that were accepted.
        changes_everything: whether all data sets are converted, even into the transfer syntax they have.
    """

    def __init__(
        self,
        proposal: Proposal,
        proposed: Iterable[ProposedContext],
        accepted: Mapping[Pair, int],
        *,
        changes_everything: bool = False,
    ) -> None:
        self._proposal = proposal
        self._proposed = proposed
        self._accepted = accepted
        self._changes_everything = changes_everything
        self._known: dict[Pair, str | None] = {}
        self.converts = changes_everything
        """Whether anything it was asked about has to be converted."""

    def __contains__(self, pair: Pair) -> bool:
        return self.transfer_syntax(pair) is not None

    def transfer_syntax(self, pair: Pair) -> str | None:
        """The transfer syntax in which data sets of this pair go out, if they have no pixel data in its way.

        ``None``: they cannot, because nothing was accepted for them or they would have to be decompressed.
        """
        if pair not in self._known:
            self._known[pair] = chosen = self._choose(pair)
            self.converts |= chosen not in (None, pair[1])
        return self._known[pair]

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
        if not self._proposal.covers(self._proposed, pair):  # another association may take it as it is
            return None
        chosen = carrier(*pair, self._accepted, prefers_deflated=self._proposal.prefers_deflated)
        return chosen if chosen == pair[1] or pair[1] in UNCOMPRESSED else None


def why_not(pair: Pair, proposed: Iterable[ProposedContext], association: Association) -> str:
    """What kept ``association`` from carrying a pair."""
    from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - most runs never refuse anything

    sop_class = pair[0]
    accepted = [name_of(transfer) for abstract, transfer in association.accepted if abstract == sop_class]
    if accepted:
        return f"the peer takes it in {' and '.join(accepted)}, into which it is not converted"
    if all(context.abstract_syntax != sop_class for context in proposed):
        return "the SOP class is not among those proposed: -R, or no -x option at all, proposes those of the files"
    answers = {words for (abstract, _), words in association.results.items() if abstract == sop_class}
    return association.results.get(pair) or ", ".join(sorted(answers)) or "the peer did not answer it"
