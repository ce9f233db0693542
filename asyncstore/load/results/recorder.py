"""Takes what the driver measures, and counts it several times a second.

Rules:

1. :attr:`Recorder.stored` and :meth:`Recorder.offered`, which run for every store, only append to a list.
   :meth:`Recorder.fold` counts the lists.
2. A sample belongs to the phase in which its store began. What happens outside of all phases is not counted.
3. Memory stays flat: see :mod:`~asyncstore.load.results.phase_run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.phase_run import Interval, PhaseRun, Used

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.errors import AssociationError
    from asyncstore.load.results.document import PhaseResult
    from asyncstore.load.values import Kind, Opened, Phase, Sample


class Recorder:
    """Counts what the driver measures. Nothing here waits.

    Args:
        kinds: the kinds of the source.
        on_interval: is called for every point of the series when it is complete.

    Attributes:
        stored: takes a sample of every store that has ended.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        *,
        on_interval: Callable[[Interval], None] | None = None,
    ) -> None:
        self._kinds = kinds
        self._on_interval = on_interval
        self._cpu = Used(0.0, 0.0)
        self._first: float | None = None
        """When the first phase began."""
        self._offers: list[tuple[float, int, int]] = []
        self._samples: list[Sample] = []
        self.stored: Callable[[Sample], None] = self._samples.append
        self._ended: list[PhaseResult] = []
        self._ended_whole = whole_of(())
        self._none_since: float | None = None
        """Since when no association is open, because the peer was lost."""
        self._runs: list[PhaseRun] = []
        """The phases that are under way: one; two while stores of a phase end after the next has begun."""

    def begin(self, phase: Phase, at: float) -> None:
        """A phase begins. Samples of stores that began before it belong to the phase before it."""
        self.fold(at)
        self._first = at if self._first is None else self._first
        run = PhaseRun(
            phase, self._kinds, at, self._cpu, self._on_interval, origin=self._first, finds_idle=not self._runs
        )
        if self._runs:
            self._runs[-1].following = run
        run.takes_from = max(at, self._cpu.at)  # the driver reports itself just before
        run.presence.none_since = self._none_since
        self._runs.append(run)

    def offered(self, instances: int, studies: int, at: float) -> None:
        """So many were to begin now; in a closed load: they begin."""
        self._offers.append((at, instances, studies))

    def study_ended(self, seconds: float, at: float) -> None:
        """All instances of a study have ended; its first one was to begin so many seconds ago."""
        if self._runs:
            self._runs[self._place_of(at - seconds)].study_ended(seconds, at)

    def dropped(self, instances: int, at: float) -> None:
        """So many that were to begin will not: their phase is over, or too many wait."""
        if self._runs:
            self._runs[-1].dropped(instances, at)

    def opened(self, opened: Opened) -> None:
        """An association is open."""
        self._none_since = None
        if self._runs:
            self._runs[-1].opened(opened)

    def released(self, seconds: float) -> None:
        """An association was released; the answer took so many seconds."""
        if self._runs:
            self._runs[-1].split.release.record(seconds)

    def lost(self, error: AssociationError, at: float, *, none_open: bool = False) -> None:
        """An association could not be opened, or ended early; ``none_open``: and no other one is open."""
        if none_open and self._none_since is None:
            self._none_since = at
        if self._runs:
            self._runs[-1].failed(error.problem, at)
            self._runs[-1].presence.none_since = self._none_since

    def late(self, seconds: float) -> None:
        """A store of an open load began so long after its time, although an association was free for it."""
        if self._runs:
            self._runs[-1].late.record(seconds)

    def watched(self, lag: float, cpu_seconds: float, at: float) -> None:
        """The generator itself, some twenty times a second. This is also the time to count what has come.

        Args:
            lag: how late a timer of its event loop was.
            cpu_seconds: CPU time of its process since it started.
            at: the time.
        """
        self._cpu = Used(at, cpu_seconds)
        if self._runs:
            self._runs[-1].watched(lag, self._cpu)
        self.fold(at)

    def end(self, at: float) -> None:
        """All phases that have begun are over, and none of their stores is under way."""
        self.fold(at)
        while self._runs:
            self._end_first(at)

    def fold(self, now: float) -> None:
        """Count the samples since the last call.

        This holds the event loop for 1.5 us a store. :meth:`watched` calls it so often that loads keep their times to
        half a millisecond; points are closed all the same when their seconds are over.
        """
        samples = self._samples[:]
        self._samples.clear()
        if self._offers and self._runs:
            self._runs[-1].offered(self._offers)
        self._offers.clear()
        if len(self._runs) == 1:
            self._runs[0].take(samples)
        elif self._runs:
            by_run: dict[int, list[Sample]] = {}
            for sample in samples:
                by_run.setdefault(self._taker_of(sample.begun), []).append(sample)
            for place, group in by_run.items():
                self._runs[place].take(group)
        for run in self._runs:
            run.close_until(now)
        while len(self._runs) > 1 and self._runs[0].is_settled:
            self._end_first(now)

    @property
    def phase(self) -> Phase | None:
        """The phase that is under way."""
        return self._runs[-1].phase if self._runs else None

    def results(self, now: float) -> tuple[PhaseResult, ...]:
        """The results of all phases, with what is known of those under way. This takes milliseconds."""
        return (*self._ended, *(run.result(now) for run in self._runs))

    def so_far(self, now: float) -> PhaseResult:
        """All counted phases together, without split and groups, for every second: this takes a millisecond or two."""
        return whole_of((self._ended_whole, *(run.result(now, is_brief=True) for run in self._runs)))

    def _end_first(self, at: float) -> None:
        run = self._runs[0]
        run.end(at)
        self._ended.append(run.result(at))
        del self._runs[0]
        self._ended_whole = whole_of((self._ended_whole, self._ended[-1]))

    def _taker_of(self, begun: float) -> int:
        """The place of the phase in which a store that began then was offered."""
        return next((place for place in range(len(self._runs) - 1, 0, -1) if self._runs[place].takes_from <= begun), 0)

    def _place_of(self, at: float) -> int:
        """The place of the phase to which this time belongs."""
        return next((place for place in range(len(self._runs) - 1, 0, -1) if self._runs[place].began <= at), 0)
