"""One lane: the place of associations, one at a time, and its state.

The dispatcher decides; a lane only remembers, and shows observers a part of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Lane, LaneState
from asyncstore.negotiation import Planned
from asyncstore.negotiation.selection import Selection, pairs_of
from asyncstore.schedule.batch_size import BatchSize

if TYPE_CHECKING:
    import asyncio

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.batch import Batch
    from asyncstore.schedule.ports import Association

NOTHING = Selection(Planned(), (), {})
"""A lane without an association carries nothing."""


class WorkingLane:
    """The state of one lane."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = LaneState.WAITING
        self.association: Association | None = None
        self.association_number = 0
        self.batch: Batch | None = None
        self.suspects: list[Instance] = []
        """Instances that it took and sends one by one (:mod:`asyncstore.schedule.retry`), before they begin."""
        self.opening: asyncio.Timeout | None = None
        """The limit of the time in which its association opens; see :meth:`stop_opening`."""
        self.proposed: tuple[ProposedContext, ...] = ()
        self.asked: frozenset[Pair] = frozenset()
        """The pairs that its association is or was asked for."""
        self.to_ask: frozenset[Pair] = frozenset()
        """The pairs for which it gives up its association, while no other lane has taken its room at the peer."""
        self.selection = NOTHING
        self.answered = 0
        self.lost = 0
        self.is_retiring = self.is_ending = False
        """Whether it ends when its stores are done; whether it gets no other association, for an error."""
        self.has_idled = False
        """Whether its association once had nothing to send."""
        self.batch_size = BatchSize()
        self._bytes_of_past = self._answered_before = self._lost_before = 0

    @property
    def bytes_sent(self) -> int:
        """Data set bytes handed to the network, over all associations it had."""
        return self._bytes_of_past + (self.association.data_bytes_sent if self.association else 0)

    @property
    def is_answered(self) -> bool:
        """Whether its association has brought any response."""
        return self.answered != self._answered_before

    @property
    def is_unanswered(self) -> bool:
        """Whether its association was used, or was about to be, without any response."""
        return not self.is_answered and (self.lost != self._lost_before or not self.has_idled)

    @property
    def is_free(self) -> bool:
        """Whether it waits for something to do."""
        is_idle = self.association is None or self.association.is_idle
        return self.opening is None and self.batch is None and not self.suspects and is_idle

    def opens(self, contexts: tuple[ProposedContext, ...], number: int) -> None:
        """It opens its next association, number ``number`` in the run."""
        self.state, self.proposed, self.association_number = LaneState.OPENING, contexts, number
        self.asked = pairs_of(contexts)

    def stop_opening(self) -> None:
        """Give up opening its association: the time for it ends now."""
        if self.opening is not None and not self.opening.expired():
            self.opening.reschedule(0)

    def opened(self, association: Association, proposal: Proposal, *, changes_everything: bool) -> None:
        """Its association is open."""
        self.state, self.association, self.opening, self.has_idled = LaneState.WAITING, association, None, False
        self.selection = Selection(
            proposal, self.proposed, association.accepted, association.results, changes_everything=changes_everything
        )
        self._answered_before, self._lost_before = self.answered, self.lost

    def withdraw(self, *, all_of_it: bool = True) -> list[Instance]:
        """Take back instances that have not begun, in order.

        ``all_of_it``: also those that are being converted, or read for their turn.
        """
        queued = self.association.withdraw() if self.association else []
        batch = self.batch.withdraw(all_of_it=all_of_it) if self.batch else []
        return queued + batch + self.withdraw_suspects()

    def withdraw_suspects(self) -> list[Instance]:
        """Take back the suspects that have not begun."""
        suspects, self.suspects = self.suspects, []
        return suspects

    def closed(self) -> None:
        """It has no association."""
        self._bytes_of_past = self.bytes_sent
        self.association, self.opening, self.proposed, self.selection = None, None, (), NOTHING
        self.asked = frozenset()

    def seen_from_outside(self, now: float) -> Lane:
        """The lane as an observer may see it."""
        current = self.association.current() if self.association else None
        path, size, seconds = (
            (current[0].file.path, current[0].payload.length, now - current[1]) if current else (None, 0, 0.0)
        )
        return Lane(self.number, self.state, self.association_number, self.answered, path, size, seconds)
