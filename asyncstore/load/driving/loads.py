"""Loads: they decide when stores begin, in the callbacks of lanes and timers.

- :class:`Closed`: a free lane begins the next store at once.
- :class:`Finishing`: nothing new begins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from asyncstore.load.driving.lane import Lane, UnderWay
    from asyncstore.load.values import Measurements, Source

_MOST_REFUSED = 64
"""Instances in a row that a lane does not carry, before the event loop has its turn."""


class Finishing:
    """After a phase: nothing new begins.

    Args:
        lanes: all of them.

    Attributes:
        is_quiet: set when nothing is under way.
    """

    def __init__(self, lanes: Collection[Lane]) -> None:
        self.is_quiet = asyncio.Event()
        self._lanes = lanes
        self._look()

    def joined(self, lane: Lane) -> None:
        """Leave it idle."""

    def freed(self, lane: Lane, now: float) -> None:  # noqa: ARG002 - the shape of a load
        """Leave it idle."""
        self._look()

    def left(self, lane: Lane, not_begun: Sequence[UnderWay]) -> None:  # noqa: ARG002 - the shape of a load
        """Leave it idle."""
        self._look()

    def _look(self) -> None:
        if all(lane.is_quiet for lane in self._lanes):
            self.is_quiet.set()


class Closed:
    """Each lane begins the next store when one has been answered.

    Args:
        source: makes instances.
        measurements: told what begins.
        clock: the time.
    """

    def __init__(self, source: Source, measurements: Measurements, clock: Callable[[], float]) -> None:
        self._source, self._measurements, self._clock = source, measurements, clock
        self._is_over = False

    def start(self, lanes: Iterable[Lane]) -> None:
        """Fill the lanes."""
        for lane in lanes:
            self.joined(lane)

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_over = True

    def joined(self, lane: Lane) -> None:
        """Fill its association."""
        refused = 0
        while lane.room > 0 and not self._is_over and refused < _MOST_REFUSED:
            refused += not self._begin(lane, self._clock())
        if refused == _MOST_REFUSED:
            asyncio.get_running_loop().call_soon(self.joined, lane)

    def freed(self, lane: Lane, now: float) -> None:
        """Begin the next store."""
        if not self._is_over and not self._begin(lane, now):
            self.joined(lane)

    def left(self, lane: Lane, not_begun: Sequence[UnderWay]) -> None:  # noqa: ARG002 - the shape of a load
        """Stores that had not begun will not."""
        if not_begun:
            self._measurements.dropped(len(not_begun), self._clock())

    def _begin(self, lane: Lane, now: float) -> bool:
        self._measurements.offered(1, 0, now)
        return lane.begin(self._source.next(), None)
