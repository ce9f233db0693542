"""Studies under way: a study goes over one lane, and its instances follow each other as fast as the peer takes them.

This is how a modality sends an exam. The first instance is to begin when the study arrives, each later one when a place
in the window is free. If the association is lost, the rest of the study goes over another one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.load.driving.lane import Lane, UnderWay
    from asyncstore.load.values import Made, Measurements, Source


class Study:
    """A study that has arrived; its instances are made when it begins.

    Args:
        arrived: when it arrived. One of its instances was offered then.
        source: makes the instances.
        measurements: told what begins and ends.
    """

    __slots__ = ("_given_back", "_has_begun", "_instances", "_measurements", "_source", "arrived")

    def __init__(self, arrived: float, source: Source, measurements: Measurements) -> None:
        self.arrived = arrived
        self._source = source
        self._measurements = measurements
        self._instances: Iterator[Made] | None = None
        self._has_begun = False
        self._given_back: deque[Made] = deque()
        """Instances that were offered, and have not begun."""

    def begin(self, lane: Lane, intended: float, now: float, *, was_free: bool = False) -> bool:
        """Begin or go on, over a lane that has nothing under way. Returns whether the lane is in use now."""
        lane.study = self
        made = self._next(now)
        while made is not None and not lane.begin(made, intended, was_free=was_free):
            made = self._next(now)
        return self.go_on(lane, now)

    def go_on(self, lane: Lane, now: float) -> bool:
        """Begin the next instances. Returns whether the lane is in use still."""
        while lane.room > 0:
            made = self._next(now)
            if made is None:
                break
            lane.begin(made, now)
        if not lane.under_way:
            self._end(lane, now)
        return lane.study is self

    def leave(self, lane: Lane, not_begun: tuple[UnderWay, ...], now: float) -> bool:
        """The lane has lost its association. Returns whether there is a rest to go over another one."""
        lane.study = None
        self._given_back.extendleft(store.made for store in reversed(not_begun))
        following = self._next(now)
        if following is None:
            self._measurements.study_ended(now - self.arrived, now)
            return False
        self._given_back.appendleft(following)
        return True

    def drop(self, now: float) -> None:
        """It will not go on, because its phase is over."""
        waiting = len(self._given_back)
        if not self._has_begun:
            first = next(self._source.study())
            waiting = self._source.kinds[first.kind].instances_per_study
            self._measurements.offered(waiting - 1, 0, now)  # one was offered when it arrived
        if waiting:
            self._measurements.dropped(waiting, now)

    def _next(self, now: float) -> Made | None:
        """The next instance; ``None``: there is no more."""
        if self._given_back:
            return self._given_back.popleft()
        if self._instances is None:
            self._instances = self._source.study()
        made = next(self._instances, None)
        if made is not None and self._has_begun:
            self._measurements.offered(1, 0, now)
        self._has_begun = True
        return made

    def _end(self, lane: Lane, now: float) -> None:
        lane.study = None
        self._measurements.study_ended(now - self.arrived, now)
