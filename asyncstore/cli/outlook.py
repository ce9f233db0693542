"""What would become of instances if a peer accepted all that is proposed: sent as is, converted, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncstore.cli.uid_names import uid_name
from asyncstore.model import Oddity, Reason, Unsendable
from asyncstore.negotiation import pair_of
from asyncstore.negotiation.names import name_of
from asyncstore.negotiation.selection import Handling, Selection, if_all_is_accepted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.prepare.converter import ConversionOptions
    from asyncstore.prepare.pool import Pool
    from asyncstore.protocol.associate import ProposedContext

NOT_AT_ALL = "not at all"


class Fate(NamedTuple):
    """What becomes of an instance.

    Attributes:
        answer: that, in words; ``None``: nobody knows.
        reason: why it cannot be sent, if it cannot.
    """

    answer: str | None
    reason: str | None = None


class _Doubt(NamedTuple):
    """A conversion that may not be possible."""

    instance: Instance
    transfer_syntax_uid: str


class Outlook:
    """What becomes of instances where a peer accepts all of a proposal, for their pairs alone.

    Args:
        proposal: the proposal, which does not depend on the transfer syntaxes of the files.
        pool: the processes that look into data sets, where that is needed.
        options: how data sets would be converted.
    """

    def __init__(self, proposal: Proposal, pool: Pool, options: ConversionOptions) -> None:
        self._proposal = proposal
        self._pool = pool
        self._options = options
        self._decided: dict[Pair, tuple[Handling, str | None]] = {}
        """What happens to each pair, and the transfer syntax in which it is sent."""
        self._selection = Selection(proposal, (), ())
        self._contexts: tuple[ProposedContext, ...] = ()
        """Those of ``_selection``: for most proposals they are the same for all pairs."""

    async def fates(self, instances: Iterable[Instance]) -> list[Fate]:
        """What becomes of each; some of their files may have to be read."""
        fates = [self._fate(instance) for instance in instances]
        judged = iter(await self._judge([fate for fate in fates if isinstance(fate, _Doubt)]))
        return [fate if isinstance(fate, Fate) else next(judged) for fate in fates]

    async def _judge(self, doubts: list[_Doubt]) -> list[Fate]:
        """What becomes of the instances that only their data sets tell."""
        if not doubts:
            return []
        from asyncstore.prepare.conversion import Order  # noqa: PLC0415 - few command lines need it
        from asyncstore.prepare.converter import settings_of  # noqa: PLC0415 - as above

        orders = [Order(*doubt, doubt.instance.sop_instance_uid) for doubt in doubts]
        found = await self._pool.judge(orders, settings_of(self._options))
        return [_judged(*pair) for pair in zip(doubts, found, strict=True)]

    def _fate(self, instance: Instance) -> Fate | _Doubt:
        """What becomes of it, or the conversion on which that depends."""
        pair = pair_of(instance.sop_class_uid, instance.transfer_syntax_uid)
        if pair not in self._decided:
            selection = self._selection_of(pair)
            self._decided[pair] = selection.handling(pair), selection.transfer_syntax(pair)
        handling, target = self._decided[pair]
        if handling is Handling.AS_IT_IS:
            return Fate("converted" if instance.oddities & Oddity.ODD_VALUES else "as it is")
        if target is None:
            return Fate(NOT_AT_ALL, self._why_not(pair))
        return Fate("converted") if handling is Handling.REENCODED else _Doubt(instance, target)

    def _selection_of(self, pair: Pair) -> Selection:
        contexts = self._proposal.contexts([pair])
        if contexts != self._contexts:
            self._contexts, self._selection = contexts, if_all_is_accepted(self._proposal, contexts)
        return self._selection

    def _why_not(self, pair: Pair) -> str:
        """Why nothing of a pair can be sent."""
        sop_class, transfer_syntax = map(uid_name, pair)
        if self._selection_of(pair).proposes(pair[0]):
            why = f"{transfer_syntax} is not proposed for {sop_class}, and compressed data sets are not converted"
            kind = "compressed, and its transfer syntax is not proposed for its SOP class"
            return Reason(why, kind, sop_class, transfer_syntax)
        why = f"{sop_class} is not among the SOP classes proposed"
        return Reason(why, "its SOP class is not among those proposed", sop_class)


def _judged(doubt: _Doubt, found: Instance | Unsendable) -> Fate:
    """What becomes of an instance of which a worker process said this."""
    if not isinstance(found, Unsendable):
        return Fate("converted")
    return Fate(NOT_AT_ALL, f"only {name_of(doubt.transfer_syntax_uid)} is proposed for it, and {found.reason}")
