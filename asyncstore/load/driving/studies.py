"""Studies under way: a study goes over one lane, and its instances follow each other as fast as the peer takes them.

This is how a modality sends an exam. The first instance is to begin when the study arrives, each later one when a place
in the window is free. If the association is lost, the rest of the study goes over another one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from asyncstore.errors import AsyncstoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.load.driving.lane import Lane, UnderWay
    from asyncstore.load.values import Made, Measurements, Source


class Resources(Protocol):
    """What studies work with: :class:`asyncstore.load.driving.loads.Resources`."""

    @property
    def source(self) -> Source:
        """Makes the instances."""

    @property
    def measurements(self) -> Measurements:
        """Told what begins and ends."""

    @property
    def fail(self) -> Callable[[AsyncstoreError], None]:
        """Called with an error of the source."""


class Study:
    """A study that has arrived; its instances are made when it begins.

    Args:
        arrived: when it arrived. One of its instances was offered then.
        resources: what it works with.
    """

    __slots__ = ("_fail", "_given_back", "_has_begun", "_instances", "_measurements", "_source", "arrived")

    def __init__(self, arrived: float, resources: Resources) -> None:
        self.arrived = arrived
        self._source, self._measurements, self._fail = resources.source, resources.measurements, resources.fail
        self._instances: Iterator[Made] = iter(())
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
            first = self._first()
            waiting = 1 if first is None else self._source.kinds[first.kind].instances_per_study
            self._measurements.offered(waiting - 1, 0, now)  # one was offered when it arrived
        if waiting:
            self._measurements.dropped(waiting, now)

    def _next(self, now: float) -> Made | None:
        """The next instance; ``None``: there is no more."""
        if self._given_back:
            return self._given_back.popleft()
        if not self._has_begun:
            self._has_begun = True
            first = self._first()
            if first is None:
                self._measurements.dropped(1, now)
            return first
        made = next(self._instances, None)
        if made is not None:
            self._measurements.offered(1, 0, now)
        return made

    def _first(self) -> Made | None:
        """The first instance; ``None``: the source has none."""
        try:
            self._instances = self._source.study()
            return next(self._instances, None)
        except AsyncstoreError as error:
            self._fail(error)
            return None

    def _end(self, lane: Lane, now: float) -> None:
        lane.study = None
        self._measurements.study_ended(now - self.arrived, now)
