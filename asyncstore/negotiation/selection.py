"""What happens to each pair of SOP class and transfer syntax: as it is, re-encoded, transcoded, or refused and why.

This is decided here only: for the dispatcher, for what a peer answers to a list of pairs, and for what a run would do.
The decision is the same for millions of instances, so it is made once for each pair.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.model import Oddity, PairAnswer
from asyncstore.negotiation.contexts import UNCOMPRESSED, carrier
from asyncstore.negotiation.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.model import Instance
    from asyncstore.negotiation.contexts import Pair
    from asyncstore.negotiation.proposal import Proposal
    from asyncstore.protocol.associate import ProposedContext

_oddities = attrgetter("oddities")
_REWRITTEN = int(Oddity.ODD_VALUES | Oddity.EDITED_LATER | Oddity.ITEMS_ENDED | Oddity.UIDS_ADDED)

_MOST_INSTANCES = 32
_MOST_BYTES = 1 << 22
"""A portion takes some milliseconds of a worker's time, so the next lane soon has its turn."""

_GROWTH = 4
"""Data sets that are transcoded count as so many times their size: they grow, and take a hundred times as long."""

_MOST_NAMES = 2
"""Transfer syntaxes that a reason names: nobody reads more."""


class Handling(Enum):
    """What happens to the data sets of a pair."""

    AS_IT_IS = "sent as it is"
    REENCODED = "re-encoded"
    TRANSCODED = "transcoded"
    IF_NO_PIXEL_DATA = "re-encoded, unless its pixel data would have to be compressed"
    REFUSED = "refused"


class Selection:
    """The pairs that one association carries, and how: a collection of pairs.

    Args:
        proposal: what chose the contexts, and which accepted context it prefers.
        proposed: the contexts of the request.
        accepted: the accepted pairs, in the order of the answer.
        results: the peer's words for each proposed pair.
        changes_everything: whether every data set is re-encoded, even if its transfer syntax fits.
    """

    def __init__(
        self,
        proposal: Proposal,
        proposed: Iterable[ProposedContext],
        accepted: Iterable[Pair],
        results: Mapping[Pair, str] | None = None,
        *,
        changes_everything: bool = False,
    ) -> None:
        self._proposed = tuple(proposed)
        self.coverage = Coverage(proposal, self._proposed)
        """The pairs that its request has settled."""
        self._prefers_deflated = proposal.prefers_deflated
        self._transcoding = proposal.transcoding
        self._accepted: dict[str, dict[Pair, None]] = {}
        """By SOP class."""
        for pair in accepted:
            self._accepted.setdefault(pair[0], {})[pair] = None
        self._results = results or {}
        self._changes_everything = changes_everything
        self._known: dict[Pair, str | None] = {}
        self.converts = changes_everything
        """Whether any pair that was asked about has to be re-encoded."""

    def __contains__(self, pair: Pair) -> bool:
        return self.transfer_syntax(pair) is not None

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._carried)

    def __len__(self) -> int:
        return len(self._carried)

    @cached_property
    def _carried(self) -> list[Pair]:
        """All pairs that it carries: those accepted, and those converted into one of these."""
        return [pair for sop_class in self._accepted for pair in self._eligible(sop_class) if self._choose(pair)]

    def _eligible(self, sop_class: str) -> dict[Pair, None]:
        """The pairs of a SOP class that may be carried; all others would have to be decompressed, and cannot."""
        convertible = UNCOMPRESSED | self._transcoding.decodable
        return self._accepted[sop_class] | dict.fromkeys((sop_class, syntax) for syntax in convertible)

    def transfer_syntax(self, pair: Pair) -> str | None:
        """The transfer syntax in which data sets of this pair are sent.

        ``None``: they are refused, because no context was accepted for them or they would have to be decompressed, and
        cannot.
        """
        chosen = self._known.get(pair)
        if chosen is None and (chosen := self._choose(pair)) is not None:
            self._known[pair] = chosen
            self.converts |= chosen != pair[1]
        return chosen

    def handling(self, pair: Pair) -> Handling:
        """What happens to data sets of this pair."""
        chosen = self.transfer_syntax(pair)
        if chosen is None:
            return Handling.REFUSED
        if chosen == pair[1]:
            return Handling.AS_IT_IS
        if chosen in UNCOMPRESSED and pair[1] in UNCOMPRESSED:
            return Handling.REENCODED
        is_possible = pair[1] not in UNCOMPRESSED or chosen == self._transcoding.target(pair[1], (chosen,))
        return Handling.TRANSCODED if is_possible else Handling.IF_NO_PIXEL_DATA

    def answer(self, pair: Pair) -> PairAnswer:
        """What the peer answers to this pair, when it is asked before sending.

        A pair that would be sent without pixel data only counts as not accepted: most instances have pixel data.
        """
        from asyncstore.negotiation.names import name_of  # a run does not need it

        handling = self.handling(pair)
        if handling in (Handling.REENCODED, Handling.TRANSCODED):
            words = f"in {name_of(self.transfer_syntax(pair) or '')}: {self.verb(pair)}"
        else:
            words = self._results.get(pair, "not answered" if pair in self._proposed_pairs else "not proposed")
        return PairAnswer(*pair, handling not in (Handling.REFUSED, Handling.IF_NO_PIXEL_DATA), words)

    def verb(self, pair: Pair) -> str:
        """What is done to data sets of this pair that are not sent as they are."""
        if self.handling(pair) is not Handling.TRANSCODED:
            return "converted"
        target = self.transfer_syntax(pair)
        if target in UNCOMPRESSED:
            return "decompressed"
        return "compressed with losses" if target in self._transcoding.lossy else "compressed"

    def why_not(self, pair: Pair) -> str:
        """Why the peer's answer refuses this pair."""
        words = self._refusal(pair)
        if pair[1] not in self._transcoding.missing:
            return words
        return f"{words}; its codec could decompress it: install asyncstore with its extra codecs"

    def _refusal(self, pair: Pair) -> str:
        from asyncstore.negotiation.names import name_of  # most runs never refuse anything

        sop_class = pair[0]
        accepted = [name_of(transfer) for _, transfer in self._accepted.get(sop_class, ())]
        if accepted:
            return f"the peer takes it in {in_short(accepted)}, into which it is not converted"
        if not self.proposes(sop_class):
            return "the SOP class is not among those proposed"
        if pair in self._results:
            return self._results[pair]
        answers = {words for (abstract, _), words in self._results.items() if abstract == sop_class}
        return in_short(sorted(answers)) or "the peer did not answer it"

    def proposes(self, sop_class_uid: str) -> bool:
        """Whether any context was proposed for this SOP class."""
        return any(context.abstract_syntax == sop_class_uid for context in self._proposed)

    @cached_property
    def _proposed_pairs(self) -> frozenset[Pair]:
        return pairs_of(self._proposed)

    def portions(self, batch: Iterable[Instance]) -> Iterable[tuple[list[Instance], str | None]]:
        """``batch`` in parts, in order, each with the transfer syntax to re-encode it into, or ``None``."""
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
            length = instance.length
            if target is not None and (target not in UNCOMPRESSED or instance.transfer_syntax_uid not in UNCOMPRESSED):
                length *= _GROWTH
            is_full = target is not None and (len(portion) >= _MOST_INSTANCES or size + length > _MOST_BYTES)
            if portion and (target != current or is_full):
                yield portion, current
                portion, size = [], 0
            current = target
            portion.append(instance)
            size += length
        if portion:
            yield portion, current

    def _changes(self, instance: Instance) -> bool:
        """Whether ``instance`` is rewritten even if its transfer syntax was accepted."""
        return self._changes_everything or bool(instance.oddities & _REWRITTEN)

    def _choose(self, pair: Pair) -> str | None:
        accepted = self._accepted.get(pair[0])
        is_native = pair[1] in UNCOMPRESSED
        if accepted is None or not (is_native or pair in accepted or pair[1] in self._transcoding.decodable):
            return None
        if pair not in self.coverage:  # another association may take it as it is
            return None
        if is_native or pair in accepted:
            chosen = carrier(*pair, accepted, prefers_deflated=self._prefers_deflated)
            if chosen == pair[1] or chosen in UNCOMPRESSED:
                return chosen
        else:
            chosen = None
        return self._transcoding.target(pair[1], {syntax for _, syntax in accepted}) or chosen


def pairs_of(contexts: Iterable[ProposedContext]) -> frozenset[Pair]:
    """The pairs that these contexts propose."""
    return frozenset((one.abstract_syntax, syntax) for one in contexts for syntax in one.transfer_syntaxes)


def if_all_is_accepted(proposal: Proposal, contexts: Sequence[ProposedContext]) -> Selection:
    """What happens to each pair if the peer accepts every transfer syntax of these contexts."""
    accepted = dict.fromkeys((one.abstract_syntax, syntax) for one in contexts for syntax in one.transfer_syntaxes)
    return Selection(proposal, contexts, accepted)


def in_short(names: Sequence[str]) -> str:
    """At most two names, and how many there are besides: ``A``, ``A and B``, ``A, B and 10 more``."""
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return " and ".join(names)
