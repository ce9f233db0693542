"""The points of a measurement in one row, in steps that a plot can show.

Rules:

1. A plot has at most about 2400 steps. A measurement with more points has several of them in a step.
2. Counts of a step are added. Percentiles cannot be added: a step shows those of its worst point.
3. The axis of time is in seconds, minutes or hours, so that its numbers stay small.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Band, axis
from asyncstore.load.results.naming import run_name
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.cli.bench_page.figures import Fields
    from asyncstore.load.results.document import Document, PhaseResult, Point

_MOST_STEPS = 2400
_SHORTEST = 0.001
"""Seconds of a step; a damaged document may have less."""
_UNITS = (("s", 1.0, 600.0), ("min", 60.0, 6 * 3600.0), ("h", 3600.0, math.inf))
"""Units of the axis: name, seconds, and the longest measurement that is shown in them."""


class Step(NamedTuple):
    """Some points of a phase that follow one another."""

    begin: float
    """In units of the axis, as the end."""
    end: float
    seconds: float
    points: Sequence[Point]
    tail: Sequence[Point] = ()
    """Behind the end of the phase, where its last stores end: they count in sums, but have no rate."""

    @property
    def middle(self) -> float:
        """Where a plot shows it."""
        return (self.begin + self.end) / 2

    def total(self, of: Callable[[Point], float]) -> float:
        """So many in the step."""
        return sum(map(of, (*self.points, *self.tail)))

    def rate(self, of: Callable[[Point], float]) -> float:
        """So many in a second."""
        return sum(map(of, self.points)) / max(self.seconds, _SHORTEST)

    def worst(self, of: Callable[[Point], float | None], *, with_tail: bool = False) -> float | None:
        """The greatest; ``None`` if no point has one."""
        points = (*self.points, *self.tail) if with_tail else self.points
        return max((value for point in points if (value := of(point)) is not None), default=None)


class Timeline(NamedTuple):
    """A measurement over time."""

    unit: str
    end: float
    """In units."""
    step_seconds: float
    """The longest step."""
    bands: list[Band]
    """Its phases."""
    runs: list[list[Step]]
    """For each phase its steps."""
    is_sum: bool
    """Whether it is of several machines."""

    @property
    def steps(self) -> list[Step]:
        """All steps."""
        return [step for run in self.runs for step in run]

    @property
    def points(self) -> list[Point]:
        """All points."""
        return [point for step in self.steps for point in (*step.points, *step.tail)]

    def axis(self) -> Fields:
        """The axis of time."""
        return axis(f"time since the start ({self.unit})", range=[0, self.end])


def timeline(document: Document) -> Timeline | None:
    """The points of a document; ``None`` if it has none."""
    phases = [phase for phase in document.phases if phase.series]
    if not phases:
        return None
    is_sum = bool(document.parts)
    lengths = [_length(phase, is_sum=is_sum) for phase in phases]
    total = sum(lengths)
    unit, factor = next((unit, factor) for unit, factor, longest in _UNITS if total < longest)
    together = math.ceil(sum(len(phase.series) for phase in phases) / _MOST_STEPS)
    runs, bands, begin = [], [], 0.0
    for phase, length in zip(phases, lengths, strict=True):
        end = begin + length
        bands.append(Band(begin / factor, end / factor, run_name(phase, document.phases), is_dim=not phase.is_counted))
        runs.append(_steps(phase, begin, length, factor, together))
        begin = end
    longest = max(step.seconds for run in runs for step in run)
    return Timeline(unit, total / factor, longest, bands, runs, is_sum)


def _steps(phase: PhaseResult, begin: float, length: float, factor: float, together: int) -> list[Step]:
    """The steps of a phase that begins at ``begin``, each of so many points."""
    points = [point for point in phase.series if point.second < length]
    edges = [point.second for point in points[::together]] + [length]
    steps = [
        Step((begin + first) / factor, (begin + last) / factor, last - first, points[at : at + together])
        for at, (first, last) in zip(range(0, len(points), together), pairwise(edges), strict=True)
    ]
    steps[-1] = steps[-1]._replace(tail=phase.series[len(points) :])
    return steps


def _length(phase: PhaseResult, *, is_sum: bool) -> float:
    """The seconds of a phase on the axis; at least its first point is within.

    The points of a sum begin with the first machine, and its seconds are those in which all machines ran: it has all.
    """
    points = phase.series
    if is_sum and len(points) > 1:
        return 2 * points[-1].second - points[-2].second
    return max(phase.seconds, points[0].second + _SHORTEST)
