"""The points of a measurement in one row, in steps that a plot can show.

Rules:

1. A plot has at most about 2400 steps. A measurement with more points has several of them in a step.
2. Counts of a step are added. Percentiles cannot be added: a step shows those of its worst point.
3. The axis of time is in seconds, minutes or hours, so that its numbers stay small.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.cli.bench_page.figures import Band, axis
from asyncstore.cli.bench_page.names import phase_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.cli.bench_page.figures import Fields
    from asyncstore.load.results.document import Document, PhaseResult, Point

_MOST_STEPS = 2400
_UNITS = (("s", 1.0, 600.0), ("min", 60.0, 6 * 3600.0), ("h", 3600.0, math.inf))
"""Units of the axis: name, seconds, and the longest measurement that is shown in them."""


class Step(NamedTuple):
    """Some points of a phase that follow one another."""

    begin: float
    """In units of the axis, as the end."""
    end: float
    seconds: float
    points: Sequence[Point]

    @property
    def middle(self) -> float:
        """Where a plot shows it."""
        return (self.begin + self.end) / 2

    def total(self, of: Callable[[Point], float]) -> float:
        """So many in the step."""
        return sum(map(of, self.points))

    def rate(self, of: Callable[[Point], float]) -> float:
        """So many in a second."""
        return self.total(of) / self.seconds

    def worst(self, of: Callable[[Point], float | None]) -> float | None:
        """The greatest; ``None`` if no point has one."""
        return max((value for point in self.points if (value := of(point)) is not None), default=None)


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

    @property
    def steps(self) -> list[Step]:
        """All steps."""
        return [step for run in self.runs for step in run]

    @property
    def points(self) -> list[Point]:
        """All points."""
        return [point for step in self.steps for point in step.points]

    def axis(self) -> Fields:
        """The axis of time."""
        return axis(f"time since the start ({self.unit})", range=[0, self.end])


def timeline(document: Document) -> Timeline | None:
    """The points of a document; ``None`` if it has none."""
    phases = [phase for phase in document.phases if phase.series]
    if not phases:
        return None
    total = sum(map(_length, phases))
    unit, factor = next((unit, factor) for unit, factor, longest in _UNITS if total < longest)
    together = math.ceil(sum(len(phase.series) for phase in phases) / _MOST_STEPS)
    runs, bands, begin = [], [], 0.0
    for phase in phases:
        end = begin + _length(phase)
        bands.append(Band(begin / factor, end / factor, phase_name(phase, document), is_dim=not phase.is_counted))
        edges = [point.second for point in phase.series[::together]] + [_length(phase)]
        runs.append([
            Step((begin + first) / factor, (begin + last) / factor, last - first, phase.series[at : at + together])
            for at, (first, last) in zip(range(0, len(phase.series), together), pairwise(edges), strict=True)
        ])  # fmt: skip
        begin = end
    longest = max(step.seconds for run in runs for step in run)
    return Timeline(unit, total / factor, longest, bands, runs)


def _length(phase: PhaseResult) -> float:
    """The seconds of a phase on the axis: the last point begins before its end."""
    series = phase.series
    shortest = series[-1].second - series[-2].second if len(series) > 1 else 1.0
    last = series[-1].second
    return phase.seconds if phase.seconds > last else last + shortest
