"""The lanes there are: how many are missing or too many, and what they have come to together.

A lane is here from the moment it is started until it has ended; one that is retiring ends as soon as what it has begun
is done, and counts no more. How many there should be is :mod:`asyncstore.schedule.concurrency`'s to say. Pure: starting
a lane, and ending it, is its owner's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import AbortedHere
from asyncstore.model import LaneState
from asyncstore.schedule.concurrency import Concurrency
from asyncstore.schedule.lane import WorkingLane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.errors import AssociationError

_BYTES_AN_INSTANCE = 50_000
"""An instance costs a peer about as much as 50 kB of data, so both small and large ones show in one number."""

_UNANSWERED_LIMIT = 3
"""Associations in a row that were accepted and ended before any response: the peer does not work."""


class Lanes:
    """The lanes of one run.

    Args:
        fixed: how many there are to be; ``None``: as many as help.
    """

    def __init__(self, fixed: int | None) -> None:
        self._concurrency = Concurrency(fixed)
        self._lanes: dict[int, WorkingLane] = {}
        self._answered_of_past = 0
        self._bytes_of_past = 0
        self._unanswered = 0

    def __iter__(self) -> Iterator[WorkingLane]:
        return iter(self._lanes.values())

    def __len__(self) -> int:
        return len(self._lanes)

    def missing(self, waiting: int) -> int:
        """How many lanes to add while ``waiting`` instances wait: no more than there are instances for."""
        return min(self._concurrency.target, waiting) - len(self._active())

    @property
    def opening(self) -> int:
        """How many lanes are opening their association; each will take something."""
        return sum(lane.state is LaneState.OPENING for lane in self)

    def share(self, left: int) -> int:
        """How many of the last ``left`` instances are one lane's part, so that the others have theirs; at least one."""
        return max(-(-left // max(len(self._active()), 1)), 1)

    def add(self) -> WorkingLane:
        """A new lane, in the first place that is free."""
        number = next(number for number in range(1, len(self._lanes) + 2) if number not in self._lanes)
        lane = self._lanes[number] = WorkingLane(number)
        return lane

    def retire_surplus(self) -> bool:
        """Let those that are too many retire; whether there are any."""
        surplus = self._active()[max(self._concurrency.target, 1) :]
        for lane in surplus:
            lane.is_retiring = True
        return bool(surplus)

    def cancel_opening(self) -> None:
        """Associations that are not open yet are not wanted any more."""
        for lane in self:
            if lane.opening is not None:
                lane.opening.cancel()

    def remove(self, lane: WorkingLane) -> None:
        """``lane`` has ended."""
        del self._lanes[lane.number]
        self._answered_of_past += lane.answered
        self._bytes_of_past += lane.bytes_sent

    def others(self, lane: WorkingLane) -> list[WorkingLane]:
        """All but ``lane``."""
        return [other for other in self if other is not lane]

    def refused(self, lane: WorkingLane) -> None:
        """``lane`` gets no association; the others are to be enough for a while."""
        self._concurrency.refused(len(self.others(lane)))

    def is_peer_mute(self, lane: WorkingLane, error: AssociationError | None) -> bool:
        """Whether to give the peer up, now that the association of ``lane`` has ended with ``error``, or as it should.

        One that we aborted says nothing about the peer, nor does one that had nothing to send.
        """
        if lane.is_answered:
            self._unanswered = 0
        elif error is not None and not isinstance(error, AbortedHere):
            self._unanswered += lane.is_unanswered
            return self._unanswered >= _UNANSWERED_LIMIT
        return False

    def observe(self, rate: float, *, is_source_limited: bool) -> None:
        """How fast :attr:`work` grew since the last look, and whether lanes were waiting for files."""
        self._concurrency.observe(rate, is_source_limited=is_source_limited or not self._lanes)

    @property
    def work(self) -> float:
        """What has been done in the run: responses received, and data sent."""
        answered = self._answered_of_past + sum(lane.answered for lane in self)
        return answered + self.bytes_sent / _BYTES_AN_INSTANCE

    @property
    def bytes_sent(self) -> int:
        """Data set bytes handed to the network in the run."""
        return self._bytes_of_past + sum(lane.bytes_sent for lane in self)

    def _active(self) -> list[WorkingLane]:
        return [lane for lane in self if not lane.is_retiring]
