"""The lanes: how many are missing or too many, and what they have done together.

A lane is here from its start to its end. A retiring lane ends as soon as the stores that it has begun are done. It gets
no more to do, but the peer still serves it: another lane takes its place only when it has ended.
:mod:`asyncstore.schedule.peer_health` says how many lanes there should be. Pure: its owner starts and ends lanes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import LaneState
from asyncstore.schedule.concurrency import Progress
from asyncstore.schedule.lane import WorkingLane

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_AN_INSTANCE = 50_000
"""An instance costs a peer about as much as 50 kB of data. So one number measures small and large instances."""


class Lanes:
    """The lanes of one run."""

    def __init__(self) -> None:
        self._lanes: dict[int, WorkingLane] = {}
        self._answered_of_past = 0
        self._bytes_of_past = 0

    def __iter__(self) -> Iterator[WorkingLane]:
        return iter(self._lanes.values())

    def __len__(self) -> int:
        return len(self._lanes)

    def missing(self, target: int, waiting: int) -> int:
        """How many lanes to add to have ``target``, but no more than ``waiting`` instances need."""
        return min(target - len(self._lanes), waiting - len(self._active()))

    @property
    def opening(self) -> int:
        """How many lanes are opening their association; each will take something."""
        return sum(lane.state is LaneState.OPENING for lane in self)

    def share(self, left: int) -> int:
        """One lane's share of the last ``left`` instances, at least one."""
        return max(-(-left // max(len(self._active()), 1)), 1)

    def add(self) -> WorkingLane:
        """Add a lane with the first free number."""
        number = next(number for number in range(1, len(self._lanes) + 2) if number not in self._lanes)
        lane = self._lanes[number] = WorkingLane(number)
        return lane

    def retire_surplus(self, target: int) -> bool:
        """Let the lanes beyond ``target`` retire, first those without an association; whether there are any."""
        surplus = sorted(self._active(), key=lambda lane: lane.association is None)[max(target, 1) :]
        for lane in surplus:
            lane.is_retiring = True
        return bool(surplus)

    def cancel_opening(self) -> None:
        """Cancel all associations that are not open yet."""
        for lane in self:
            lane.stop_opening()

    def opened(self, lane: WorkingLane) -> None:
        """The association of ``lane`` is open. It may have the room that another lane gave up to replace its own."""
        has_replaced_its_own = bool(lane.to_ask)
        for one in (lane,) if has_replaced_its_own else self:
            one.to_ask = frozenset()

    def remove(self, lane: WorkingLane) -> None:
        """``lane`` has ended."""
        del self._lanes[lane.number]
        self._answered_of_past += lane.answered
        self._bytes_of_past += lane.bytes_sent

    @property
    def answered(self) -> int:
        """Responses received in the run."""
        return self._answered_of_past + sum(lane.answered for lane in self)

    @property
    def work(self) -> float:
        """What the run has done: responses received and data sent, in one number."""
        return self.answered + self.bytes_sent / BYTES_AN_INSTANCE

    def progress(self, now: float, *, is_limited: bool, left: int | None, computed: float) -> Progress:
        """What the run has done by ``now``; the other arguments are as they are there."""
        are_open = sum(lane.association is not None for lane in self)
        return Progress(now, self.work, self.answered, are_open, self.opening, is_limited, left, computed)

    @property
    def bytes_sent(self) -> int:
        """Data set bytes handed to the network in the run."""
        return self._bytes_of_past + sum(lane.bytes_sent for lane in self)

    def _active(self) -> list[WorkingLane]:
        return [lane for lane in self if not lane.is_retiring]
