"""Plays the phases of a plan against a peer, and measures.

Rules:

1. Every instance that was offered ends once: its store is answered, its outcome is unknown because the association
   ended, or it is dropped.
2. Decisions are made in callbacks: between a response and the next store there is no task.
3. The clock is the driver's argument, and the clock of its associations: tests simulate it.
4. Before a phase begins its associations are open, or were tried. What they report then belongs to the phase.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from asyncstore.load.driving.lane import Lane, Resources
from asyncstore.load.driving.loads import Closed, Finishing, Open
from asyncstore.load.driving.precise_timer import precise_timer
from asyncstore.schedule.jitter import between

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.errors import AssociationError, AsyncstoreError
    from asyncstore.load.driving.lane import Load, OpenAssociation
    from asyncstore.load.driving.precise_timer import MakeTimer
    from asyncstore.load.plan.phases import Planned
    from asyncstore.load.results.recorder import Recorder
    from asyncstore.load.values import Kind, Opened, Phase, Source

_OPENING_LIMIT = 10.0
"""Seconds that a phase waits for its associations, if any of them is open."""
_WATCH_INTERVAL = 0.05
"""Seconds between two looks at the generator itself, at which measurements are counted, too: more at a time would make
stores begin late."""


class Driver:
    """Puts the load of a plan on a peer.

    Args:
        open_association: opens associations that measure their stores.
        source: makes the instances.
        measurements: takes what is measured.
        clock: seconds; the same clock as that of the associations.
        make_timer: makes timers on this clock.
        jitter: a random number between two others, for pauses.
    """

    def __init__(
        self,
        open_association: OpenAssociation,
        source: Source,
        measurements: Recorder,
        *,
        clock: Callable[[], float] = time.monotonic,
        make_timer: MakeTimer = precise_timer,
        jitter: Callable[[float, float], float] = between,
    ) -> None:
        self.kinds: Sequence[Kind] = source.kinds
        self.measurements = measurements
        self.clock = clock
        self.jitter = jitter
        self._open = open_association
        self._lanes: dict[Lane, asyncio.Task[None]] = {}
        self._resources = Resources(source, measurements, clock, make_timer, self._lanes, self._fail)
        self.load: Load = Finishing(self._resources)
        """Decides what lanes do now."""
        self.wanted: int | None = None
        """How many associations are waited for before the next phase begins; ``None``: none are."""
        self._number = 0
        self._early: list[Callable[[], None]] | None = []
        """Reports for the phase that will begin; ``None``: a phase is under way."""
        self._ends_at: float | None = None
        """When the phase that is under way is over."""
        self._failure: AssociationError | None = None
        self._source_failure: AsyncstoreError | None = None
        self._has_opened = False
        self._is_stopped = False
        self._news = asyncio.Event()
        """Set when a lane has tried to open an association, at a time that was waited for, and to stop."""

    @property
    def open_now(self) -> int:
        """How many associations are open."""
        return sum(lane.association is not None for lane in self._lanes)

    async def run(self, plan: Sequence[Planned]) -> None:
        """Play the phases, one after the other.

        Raises:
            AssociationError: no association could be opened at the start, so nothing was measured.
            AsyncstoreError: the source had nothing more to send; the measurement was ended as by :meth:`stop`.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                watching = self._tasks.create_task(self._watch())
                for planned, following in zip_longest(plan, plan[1:]):
                    if not self._is_stopped:
                        await self._play(planned, following)
                watching.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if self._source_failure is not None:
            raise self._source_failure

    def stop(self) -> None:
        """Begin no more stores; those under way finish, and :meth:`run` returns. A second call aborts them."""
        if self._is_stopped:
            for lane in self._lanes:
                lane.abort()
        self._is_stopped = True
        self.load.stop()
        self._news.set()

    def _fail(self, error: AsyncstoreError) -> None:
        """The source has nothing more to send."""
        self._source_failure = self._source_failure or error
        if not self._is_stopped:
            self.stop()

    # What lanes need.

    def next_number(self) -> int:
        """The number of the next association."""
        self._number += 1
        return self._number

    def opened(self, opened: Opened) -> None:
        """An association is open."""
        self._has_opened = True
        self._news.set()
        self._report(partial(self.measurements.opened, opened))

    def lost(self, error: AssociationError) -> None:
        """An association could not be opened, or ended early."""
        self._failure = self._failure or error
        self._news.set()
        none_open = not (self.open_now or self._is_stopped)  # those that this side ends are not lost
        self._report(partial(self.measurements.lost, error, self.clock(), none_open=none_open))

    def released(self, seconds: float) -> None:
        """An association was released."""
        self._report(partial(self.measurements.released, seconds))

    def _report(self, report: Callable[[], None]) -> None:
        """Report now, or when the next phase begins."""
        if self._early is None:
            report()
        else:
            self._early.append(report)

    # Phases.

    async def _play(self, planned: Planned, following: Planned | None) -> None:
        """Play a phase, up to its end or to the beginning of the following one."""
        phase = planned.phase
        began = self._ends_at
        if not planned.follows_on or began is None:
            await self._have_lanes(phase.associations)
            if self._is_stopped:  # nothing of this phase was measured
                await self._end_lanes(len(self._lanes))
                return
            began = self.clock()
        self._begin(phase, began)
        self._ends_at = began + phase.seconds
        if not self._is_stopped:
            load = Closed(self._resources) if planned.arrivals is None else Open(self._resources, planned, began)
            self.load = load
            try:
                load.start()
                await self._until(self._ends_at)
                if not self._is_stopped:
                    load.complete()
            finally:
                load.stop()
        if following is None or not following.follows_on or self._is_stopped:
            await self._finish(following)

    def _begin(self, phase: Phase, at: float) -> None:
        """Report that a phase begins, and what was measured before it."""
        self._report_itself(0.0)
        self.measurements.begin(phase, at)
        early, self._early = self._early or [], None
        for report in early:
            report()

    async def _finish(self, following: Planned | None) -> None:
        """Wait until nothing is under way, and release the associations that the following phase does not need."""
        self.load = finishing = Finishing(self._resources)
        if self._is_stopped:
            finishing.stop()
        await finishing.is_quiet.wait()
        ended, self._ends_at = self.clock(), None
        needed = 0 if following is None or self._is_stopped else following.phase.associations
        await self._end_lanes(len(self._lanes) - needed)
        self._early = []
        self._report_itself(0.0)
        self.measurements.end(ended)

    async def _have_lanes(self, number: int) -> None:
        """Open associations until there are so many."""
        for _ in range(number - len(self._lanes)):
            lane = Lane(self, self._open)
            self._lanes[lane] = self._tasks.create_task(lane.run())
        limit = self.clock() + _OPENING_LIMIT
        timer = self._resources.make_timer(self._news.set)
        try:
            timer.at(limit)
            self.wanted = number
            while not (self._is_stopped or all(lane.was_tried for lane in self._lanes)):
                if self.open_now and self.clock() >= limit:
                    for lane in self._lanes:
                        lane.was_tried = True  # no later phase waits for it again
                    break
                self._news.clear()
                await self._news.wait()
        finally:
            self.wanted = None
            timer.close()
        if self._failure is not None and not (self._has_opened or self._is_stopped):
            raise self._failure

    async def _end_lanes(self, number: int) -> None:
        """Release the associations of so many lanes."""
        ending = list(self._lanes)[-number:] if number > 0 else []
        for lane in ending:
            lane.retire()
        if ending:
            await asyncio.wait([self._lanes[lane] for lane in ending])
        for lane in ending:
            del self._lanes[lane]

    async def _until(self, when: float) -> None:
        """Wait until a time, or until the driver is stopped."""
        timer = self._resources.make_timer(self._news.set)
        try:
            timer.at(when)
            while self.clock() < when and not self._is_stopped:
                self._news.clear()
                await self._news.wait()
        finally:
            timer.close()

    async def _watch(self) -> None:
        """Measure the generator itself."""
        while True:
            due = self.clock() + _WATCH_INTERVAL
            await asyncio.sleep(_WATCH_INTERVAL)
            self._report_itself(max(self.clock() - due, 0.0))

    def _report_itself(self, lag: float) -> None:
        self.measurements.watched(lag, time.process_time(), self.clock())
