"""Loads: they decide when stores begin, in the callbacks of lanes and timers.

- :class:`Closed`: a free lane begins the next store at once.
- :class:`Open`: stores begin at their times, on a free lane; if there is none they wait for one, in order.
- :class:`Finishing`: nothing new begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from asyncstore.errors import AsyncstoreError
from asyncstore.load.driving.lane import Study
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from asyncstore.load.driving.lane import Lane, Resources, UnderWay
    from asyncstore.load.generator import Synthetic
    from asyncstore.load.plan.arrivals import Arrival
    from asyncstore.load.plan.phases import Planned
    from asyncstore.load.values import Made

_MOST_REFUSED = 64
"""Instances in a row that a lane does not carry, before the event loop has its turn."""
_MOST_AT_ONCE = 1000
"""Arrivals that are handled before the event loop has its turn: some milliseconds' work."""
MOST_WAITING = 100_000
"""Arrivals that wait for a lane; those beyond are dropped, so that memory stays bounded."""

_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class Finishing:
    """After a phase: studies under way go on, nothing else begins.

    Args:
        resources: what it works with.

    Attributes:
        is_quiet: set when nothing is under way.
    """

    def __init__(self, resources: Resources) -> None:
        self.is_quiet = asyncio.Event()
        self._resources = resources
        self._is_stopped = False
        self._look()

    def stop(self) -> None:
        """Let studies end early: only the stores under way finish."""
        self._is_stopped = True
        self._look()

    def joined(self, lane: Lane) -> None:
        """Leave it idle."""

    def freed(self, lane: Lane, now: float) -> None:
        """Go on with its study."""
        if lane.study is not None and not self._is_stopped:
            lane.study.go_on(lane, now)
        self._look()

    def left(self, lane: Lane, not_begun: tuple[UnderWay, ...]) -> None:
        """Its study, and stores that have not begun, go no further."""
        now = self._resources.clock()
        if lane.study is not None:
            study, lane.study = lane.study, None
            study.drop(now)
        if not_begun:
            self._resources.measurements.dropped(len(not_begun), now)
        self._look()

    def _look(self) -> None:
        if not any(lane.under_way or (lane.study and not self._is_stopped) for lane in self._resources.lanes):
            self.is_quiet.set()


class Closed:
    """Each lane begins the next store when one has been answered.

    Args:
        resources: what it works with.
    """

    def __init__(self, resources: Resources) -> None:
        self._source, self._measurements, self._clock, _, self._lanes, self._fail = resources
        self._is_over = False

    def start(self) -> None:
        """Fill the lanes."""
        for lane in self._lanes:
            self.joined(lane)

    def complete(self) -> None:
        """The time of the phase is over."""

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_over = True

    def joined(self, lane: Lane) -> None:
        """Fill its association, as far as the network takes stores: a window may be unlimited."""
        refused = 0
        while lane.room > 0 and not (self._is_over or lane.is_blocked) and refused < _MOST_REFUSED:
            refused += not self._begin(lane, self._clock())
        if refused == _MOST_REFUSED:
            asyncio.get_running_loop().call_soon(self.joined, lane)

    def freed(self, lane: Lane, now: float) -> None:
        """Begin the next store, and others if the association was not full."""
        if not self._is_over and (not self._begin(lane, now) or lane.room > 0):
            self.joined(lane)

    def left(self, lane: Lane, not_begun: tuple[UnderWay, ...]) -> None:  # noqa: ARG002 - the shape of a load
        """Stores that had not begun will not."""
        if not_begun:
            self._measurements.dropped(len(not_begun), self._clock())

    def _begin(self, lane: Lane, now: float) -> bool:
        self._measurements.offered(1, 0, now)
        try:
            made = self._source.next()
        except AsyncstoreError as error:
            self._measurements.dropped(1, now)
            self._fail(error)
            return True
        return lane.begin(made, None)


class Due(NamedTuple):
    """A store, or a study, that is to begin and waits for a lane."""

    at: float
    """When it was to begin."""
    study: Study | None = None
    made: Made | None = None
    """Its instance, if it was made before."""
    kind: int | None = None


class Open:
    """Stores begin at their times.

    Args:
        resources: what it works with.
        planned: the phase, with its arrivals.
        began: when the phase began.
    """

    def __init__(self, resources: Resources, planned: Planned, began: float) -> None:
        self._resources = resources
        self._source, self._measurements, self._clock, _, self._lanes, self._fail = resources
        self._is_over = False
        self._is_by_study = planned.is_by_study
        self._arrivals = iter(planned.arrivals or ())
        self._began = began
        self._seconds = planned.phase.seconds
        self._following = self._next()
        self._waiting: deque[Due] = deque()
        self._free: deque[Lane] = deque()
        """A lane for each store that may begin. The one that is free for longest comes first: all are used alike."""
        self._timer = resources.make_timer(self._tick)

    def start(self) -> None:
        """Use the lanes that are free, and begin with the first arrival."""
        for lane in self._lanes:
            if lane.study is None:
                self.joined(lane)
        self._wait()

    def complete(self) -> None:
        """Handle the last arrivals of the phase, whose time is over."""
        while self._following is not None and self._began + self._following.at <= self._clock():
            self._tick()

    def stop(self) -> None:
        """Begin nothing more; what waits is dropped."""
        self._is_over = True
        self._timer.close()
        now = self._clock()
        for due in self._waiting:
            if due.study is not None:
                due.study.drop(now)
            else:
                self._measurements.dropped(1, now)
        self._waiting.clear()
        for lane in self._lanes:
            if lane.study is None and (number := lane.withdraw()):
                self._measurements.dropped(number, now)

    def joined(self, lane: Lane) -> None:
        """Use its association."""
        for _ in range(min(lane.room, 1) if self._is_by_study else lane.room):
            self._use(lane, self._clock())

    def freed(self, lane: Lane, now: float) -> None:
        """Begin what waits."""
        if lane.study is None or not lane.study.go_on(lane, now):
            self._use(lane, now)

    def left(self, lane: Lane, not_begun: tuple[UnderWay, ...]) -> None:
        """What has not begun goes over another lane."""
        now = self._clock()
        self._free = deque(other for other in self._free if other is not lane)
        study = lane.study
        if study is None:
            dues = [Due(now if intended is None else intended, None, made) for made, intended, _ in not_begun]
            self._waiting.extendleft(reversed(dues))
        elif study.leave(lane, not_begun, now):
            self._waiting.appendleft(Due(now, study))
        while self._waiting and self._free:
            self._use(self._free.popleft(), now)

    # Arrivals.

    def _next(self) -> Arrival | None:
        """The next arrival of the phase; ``None``: there is no more."""
        arrival = next(self._arrivals, None)
        return arrival if arrival is not None and arrival.at < self._seconds else None

    def _wait(self) -> None:
        """Wait for the next arrival."""
        if self._following is not None and not self._is_over:
            self._timer.at(self._began + self._following.at)

    def _tick(self) -> None:
        """Handle the arrivals that are due."""
        now = self._clock()
        arrival = self._following
        for _ in range(_MOST_AT_ONCE):
            if arrival is None or self._is_over:
                break
            at = self._began + arrival.at
            if at > now:
                break
            self._arrived(at, arrival)
            arrival = self._next()
        self._following = arrival
        self._wait()

    def _arrived(self, at: float, arrival: Arrival) -> None:
        _, instances, kind = arrival
        if not instances:
            self._measurements.offered(1, 1, at)  # its first instance; each other one is due after the one before it
            self._begin_or_wait(Due(at, Study(at, self._resources)))
            return
        self._measurements.offered(instances, 0, at)
        for _ in range(instances):
            self._begin_or_wait(_new_tuple(Due, (at, None, None, kind)))

    def _begin_or_wait(self, due: Due) -> None:
        if self._free:
            lane = self._free.popleft()
            if not self._begin(lane, due, due.at, was_free=not lane.is_blocked):
                self._free.append(lane)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(due)
        elif due.study is not None:
            due.study.drop(due.at)
        else:
            self._measurements.dropped(1, due.at)

    # Lanes.

    def _use(self, lane: Lane, now: float) -> None:
        """Begin the next of those that wait, on a lane that is free for one."""
        while self._waiting:
            if self._begin(lane, self._waiting.popleft(), now, was_free=False):
                return
        self._free.append(lane)

    def _begin(self, lane: Lane, due: Due, now: float, *, was_free: bool) -> bool:
        """Begin a store or a study. Returns false if the lane is free still, because it does not carry the kind."""
        at, study, made, kind = due
        if study is not None:
            return study.begin(lane, at, now, was_free=was_free)
        try:
            if made is None:
                made = self._source.next() if kind is None else cast("Synthetic", self._source).of_kind(kind)
        except AsyncstoreError as error:
            self._measurements.dropped(1, now)
            self._fail(error)
            return True
        return lane.begin(made, at, was_free=was_free)
