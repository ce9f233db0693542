"""Turns: lanes wait here while a limit (:mod:`asyncstore.schedule.pacing`) holds them back.

A lane whose turn is far off releases its association. It opens one when the turn has come and no other lane waits with
an open one. A run without limits only asks whether there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import LaneState
from asyncstore.schedule.signal import Signal

if TYPE_CHECKING:
    from asyncstore.model import Instance
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.pacing import Pacing
    from asyncstore.schedule.ports import Association

_LONG_WAIT = 5.0
"""Seconds until its turn for which an association stays open: peers abort idle ones after half a minute."""
_SHORT_WAIT = 0.1
"""Seconds until its turn for which a lane opens an association: that takes some time as well."""
_GLANCE = 1.0
"""Seconds between two looks of a lane whether it is needed under a limit."""
_TICK = 0.001
"""Seconds: timers are no finer."""


class Turns:
    """The turns of the lanes of one run.

    Args:
        pacing: how many stores may begin.
    """

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._change = Signal()
        self._waiting = 0
        """Lanes that wait for their turn with an open association."""

    @property
    def are_paused(self) -> bool:
        """Whether nothing begins for a while."""
        return self._pacing.is_paused

    def portion(self, most: int, lanes: int) -> int:
        """How many of ``most`` instances one of so many lanes may take now."""
        return self._pacing.portion(most, lanes) if self._pacing.is_limiting else most

    def took(self, batch: list[Instance], *, is_last: bool) -> None:
        """A lane took a batch; ``is_last``: nothing is left for lanes that wait for their turn."""
        if self._pacing.is_limiting:
            self._pacing.took(batch)
            if is_last:
                self.wake()

    def seconds_to_opening(self, opening: int) -> float:
        """Seconds after which to look again whether to open an association; 0: open it.

        ``opening``: how many others are being opened.
        """
        if not self._pacing.is_limiting:
            return 0.0
        wait = self._pacing.seconds_until_turn(opening)
        if self._waiting:
            return max(wait, _GLANCE)
        return wait if wait > _SHORT_WAIT else 0.0

    async def had(self, lane: WorkingLane, association: Association) -> bool:
        """Wait for the turn of ``lane``; false if that takes too long for an idle association."""
        seconds = self._pacing.seconds_until_turn(self._waiting)
        self._pacing.has_limited = True
        if seconds > _LONG_WAIT:
            return False
        if association.is_idle:
            lane.state, lane.has_idled = LaneState.WAITING, True
        self._waiting += 1
        try:
            await self._change.wait_within(seconds + _TICK)
        finally:
            self._waiting -= 1
        return True

    def wake(self) -> None:
        """Let the lanes that wait look again."""
        self._change.send()
