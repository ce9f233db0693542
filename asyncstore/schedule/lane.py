"""One lane: the place in which associations come and go, one at a time, and what is known of it meanwhile.

The dispatcher decides; here is only what it remembers of each lane, and what observers may see of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from asyncstore.model import Lane, LaneState
from asyncstore.negotiation import Planned
from asyncstore.schedule.appetite import Appetite
from asyncstore.schedule.carriage import Carriage

if TYPE_CHECKING:
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.ports import Association

NOTHING = Carriage(Planned(), (), {})
"""What a lane without an association carries."""


class WorkingLane:
    """What the dispatcher knows of one lane."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = LaneState.WAITING
        self.association: Association | None = None
        self.association_number = 0
        self.opening = anyio.CancelScope()
        self.proposed: tuple[ProposedContext, ...] = ()
        self.carriage = NOTHING
        self.answered = 0
        self.lost = 0
        self.is_retiring = False
        self.appetite = Appetite()

    def seen_from_outside(self, now: float) -> Lane:
        """The lane as an observer may see it."""
        current = self.association.current() if self.association else None
        path, size, seconds = (
            (current[0].found.path, current[0].length, now - current[1]) if current else (None, 0, 0.0)
        )
        return Lane(self.number, self.state, self.association_number, self.answered, path, size, seconds)
