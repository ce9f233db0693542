"""Watches a measurement: it records, samples the record for the display, and takes signals.

Rules:

1. The display is refreshed four times a second, from seconds that are counted. Nothing is done per instance.
2. It never costs more than adding up a few seconds, because the load shares the event loop.
3. The first signal lets the stores under way finish, the second aborts them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore.load.results.histogram import Histogram, total_of
from asyncstore.load.results.naming import run_name
from asyncstore.load.results.recorder import Recorder
from asyncstore.observe.bench_view import BenchView, Percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.errors import AssociationError, UsageError
    from asyncstore.load.driving.driver import Driver
    from asyncstore.load.results.document import PhaseResult, Point
    from asyncstore.load.results.phase_run import Interval
    from asyncstore.load.values import Kind, Opened, Phase
    from asyncstore.observe.bench_display import BenchDisplay

_RECENT = 5
"""Seconds of the recent percentiles."""
_RATE_WINDOW = 3
"""Seconds of the rates: one alone jumps."""
_SPARKS = 240
"""Seconds of the sparklines: as many as a wide terminal shows."""


class Watch(Recorder):
    """Records a measurement and shows it.

    Args:
        kinds: the kinds of the source.
        phases: those of the plan, in order.
        display: where to show it.

    Attributes:
        signals: how many signals asked the load to end.
        is_over: whether the load is over; signals do not cut it short then.
        interrupted: set at the first of them.
        failure: why the measurement ended before its time.
        started: when the first phase began.
        intervals: all seconds with their histograms, if somebody has set this to a list.
        on_second: called when a second has been counted, with the time.
    """

    def __init__(self, kinds: Sequence[Kind], phases: Sequence[Phase], display: BenchDisplay) -> None:
        super().__init__(kinds, on_interval=self._closed)
        self.signals = 0
        self.is_over = False
        self.interrupted = asyncio.Event()
        self.failure: UsageError | None = None
        self.started = datetime.now(UTC)
        self._phases = list(phases)
        self._display = display
        self.on_second: Callable[[float], None] | None = None
        self._driver: Driver | None = None
        self._is_stopped = False
        self._most_open: list[int] = []
        self._began = 0.0
        self._called = 0.0
        self._so_far = Histogram()
        self._recent: deque[Histogram] = deque(maxlen=_RECENT)
        self._seconds: deque[tuple[float, Point]] = deque(maxlen=_SPARKS)
        self._lately: deque[tuple[float, Point]] = deque(maxlen=_RATE_WINDOW)
        self._sums = {"stored": 0, "failed": 0, "unknown": 0, "dropped": 0}
        self._lost = 0
        self._problem = ""
        self.intervals: list[Interval] | None = None
        self._percentiles: tuple[Percentiles | None, Percentiles | None] = (None, None)

    def follow(self, driver: Driver) -> None:
        """Watch this driver. Stop it if a signal came before."""
        self._driver = driver
        if self.signals:
            self.stop()

    def is_counted(self) -> bool:
        """Whether the phase that is under way counts."""
        return self.phase is not None and self.phase.is_counted

    def interrupt(self) -> None:
        """End the measurement for a signal, gently the first time."""
        self.interrupted.set()
        if self.is_over:
            return
        self.signals += 1
        if self.signals == 1:
            self._display.notice("stopping: stores under way are finished; Ctrl-C again aborts them")
            self.stop()
        elif self._driver is not None:
            self._display.notice("aborting: stores under way have an unknown outcome")
            self._driver.stop()

    def stop(self) -> None:
        """Let the driver begin no more stores."""
        if self._driver is not None and not self._is_stopped:
            self._is_stopped = True
            self._driver.stop()

    def begin(self, phase: Phase, at: float) -> None:
        """A phase begins."""
        before = self.phase or phase
        super().begin(phase, at)
        if phase.is_counted is not before.is_counted:  # counts are those of what counts, and of what does not
            self._sums = dict.fromkeys(self._sums, 0)
            self._lost = 0
        if not self._most_open:  # searches and associations have begun before it
            self.started = datetime.now(UTC)
        self._most_open.append(0)
        self._began = at
        self._so_far = Histogram()
        self._recent.clear()
        self._lately.clear()
        self._percentiles = (None, None)

    def opened(self, opened: Opened) -> None:
        """An association is open."""
        super().opened(opened)
        self._problem = ""

    def lost(self, error: AssociationError, at: float, *, none_open: bool = False) -> None:
        """An association could not be opened, or ended early."""
        super().lost(error, at, none_open=none_open)
        if none_open:
            self._problem = error.problem

    def refresh(self) -> None:
        """Fold the record and show it; a fold of a whole second's stores would hold the event loop for too long."""
        now = monotonic()
        self.fold(now)
        if now - self._called >= 1.0:
            self._called = now
            if self.on_second is not None:
                self.on_second(now)
        wanted = None if self._driver is None else self._driver.wanted
        phase = self.phase
        if wanted is not None:
            phase = self._phases[len(self._most_open)]
            view = self._view(phase, len(self._most_open) + 1, 0.0)
            self._display.refresh(view._replace(wanted=wanted, so_far=None, recent=None, problem=""), now)
        elif phase is not None:
            self._most_open[-1] = max(self._most_open[-1], 0 if self._driver is None else self._driver.open_now)
            self._display.refresh(self._view(phase, len(self._most_open), now - self._began), now)

    def results(self, now: float) -> tuple[PhaseResult, ...]:
        """The results of all phases. A peer may have kept fewer associations open than were wanted."""
        return tuple(
            replace(phase, associations=min(phase.associations, most) or phase.associations)
            for phase, most in zip(super().results(now), self._most_open, strict=True)
        )

    @property
    def most_open_of_more(self) -> int | None:
        """How many associations the peer kept open, if more were wanted; ``None``: as many as were wanted."""
        fewer = [
            most for phase, most in zip(self._phases, self._most_open, strict=False) if 0 < most < phase.associations
        ]
        return max(fewer, default=None)

    def _closed(self, interval: Interval) -> None:
        """A second is complete."""
        point = interval.point
        if self.intervals is not None:
            self.intervals.append(interval)
        if interval.phase is self.phase:  # stores of the phase before may end in it
            self._so_far.add(interval.latency)
        self._recent.append(interval.latency)
        if point.second < interval.phase.seconds:  # what ends later is less than a second's
            self._seconds.append((interval.seconds, point))
            self._lately.append((interval.seconds, point))
        if self.phase is not None and interval.phase.is_counted is self.phase.is_counted:
            for name in self._sums:
                self._sums[name] += getattr(point, name)
            self._lost += point.errors
        self._percentiles = (_percentiles(self._so_far), _percentiles(total_of(self._recent)))

    def _view(self, phase: Phase, number: int, elapsed: float) -> BenchView:
        """A sample of a phase, so many seconds after its beginning; ``number`` is its place, from 1."""
        planned = sum(each.seconds for each in self._phases)
        before = sum(each.seconds for each in self._phases[: number - 1])
        done = before + min(elapsed, phase.seconds)
        open_now = 0 if self._driver is None else self._driver.open_now
        lately = self._lately
        seconds = sum(length for length, _ in lately) or 1.0
        so_far, recent = self._percentiles
        return BenchView(
            phase=run_name(phase, self._phases),
            number=number,
            phases=len(self._phases),
            is_counted=phase.is_counted,
            fraction=done / planned if planned else 1.0,
            phase_left=phase.seconds - elapsed,
            seconds_left=max(planned - done, 0.0),
            offered=sum(point.offered for _, point in lately) / seconds if phase.is_open else None,
            rate=sum(point.taken for _, point in lately) / seconds,
            byte_rate=sum(point.taken_bytes for _, point in lately) / seconds,
            so_far=so_far,
            recent=recent,
            **self._sums,
            associations=open_now,
            lost=self._lost,
            problem="" if open_now else self._problem,
            rates=tuple(point.taken / length for length, point in self._seconds),
            p99s=tuple(point.p99 for _, point in self._seconds),
        )


def _percentiles(latency: Histogram) -> Percentiles | None:
    return Percentiles(*latency.percentiles((50.0, 95.0, 99.0))) if latency.count else None
