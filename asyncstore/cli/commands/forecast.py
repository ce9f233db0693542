"""Whether instances would be sent as they are, converted, or not at all, if a peer accepted the whole proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.text.uid_names import uid_name
from asyncstore.model import Oddity, Reason
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation.names import name_of
from asyncstore.negotiation.selection import Handling, Selection, if_all_is_accepted
from asyncstore.prepare.messages import Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.prepare.converter import ConversionOptions
    from asyncstore.prepare.pool import Pool
    from asyncstore.protocol.associate import ProposedContext

NOT_AT_ALL = "not at all"


class Forecast(NamedTuple):
    """What would happen to an instance.

    Attributes:
        answer: in words; ``None``: unknown.
        reason: why it cannot be sent, if it cannot.
    """

    answer: str | None
    reason: str | None = None


class _Doubt(NamedTuple):
    """A conversion that may not be possible."""

    instance: Instance
    transfer_syntax_uid: str
    verb: str


class Forecaster:
    """Forecasts for instances. Each pair is judged as if it were the only one proposed.

    Args:
        proposal: the proposal, which does not depend on the transfer syntaxes of the files.
        pool: the processes that read data sets, if that is needed.
        options: how data sets would be converted.
    """

    def __init__(self, proposal: Proposal, pool: Pool, options: ConversionOptions) -> None:
        self._proposal = proposal
        self._pool = pool
        self._options = options
        self._decided: dict[Pair, tuple[Handling, str | None, str]] = {}
        """What happens to each pair, the transfer syntax in which it is sent, and what is done to it for that."""
        self._selection = Selection(proposal, (), ())
        self._contexts: tuple[ProposedContext, ...] = ()
        """The contexts of ``_selection``. For most proposals they are the same for all pairs."""

    async def forecasts(self, instances: Iterable[Instance]) -> list[Forecast]:
        """The forecast for each. Some of their files may have to be read."""
        forecasts = [self._forecast(instance) for instance in instances]
        judged = iter(await self._judge([forecast for forecast in forecasts if isinstance(forecast, _Doubt)]))
        return [forecast if isinstance(forecast, Forecast) else next(judged) for forecast in forecasts]

    async def _judge(self, doubts: list[_Doubt]) -> list[Forecast]:
        """The forecasts for which data sets have to be read."""
        if not doubts:
            return []
        from asyncstore.prepare.converter import settings_of

        orders = [Order(*doubt[:2], doubt.instance.sop_instance_uid) for doubt in doubts]
        reasons = await self._pool.judge(
            orders, settings_of(self._options, may_lose=bool(self._proposal.transcoding.lossy))
        )
        return list(map(_judged, doubts, reasons))

    def _forecast(self, instance: Instance) -> Forecast | _Doubt:
        """The forecast for an instance, or the conversion on which it depends."""
        pair = instance.sop_class_uid, instance.transfer_syntax_uid
        if pair not in self._decided:
            selection = self._selection_of(pair)
            self._decided[pair] = selection.handling(pair), selection.transfer_syntax(pair), selection.verb(pair)
        handling, target, verb = self._decided[pair]
        if handling is Handling.AS_IT_IS:
            as_it_is = "as it is" if instance.in_file is None else "edited"
            return Forecast("converted" if instance.oddities & Oddity.ODD_VALUES else as_it_is)
        if target is None:
            return Forecast(NOT_AT_ALL, self._why_not(pair))
        return Forecast(verb) if handling is Handling.REENCODED else _Doubt(instance, target, verb)

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


def _judged(doubt: _Doubt, reason: str | None) -> Forecast:
    """The forecast for an instance, by the reason why it cannot be converted."""
    if reason is None:
        return Forecast(doubt.verb)
    return Forecast(NOT_AT_ALL, f"only {name_of(doubt.transfer_syntax_uid)} is proposed for it, and {reason}")
