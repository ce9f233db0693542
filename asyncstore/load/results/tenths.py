"""The tenths of a phase, which show whether it changed over its time.

Rules:

1. A tenth has the points that begin in it. The last one that counts has as many as the first, or one less.
2. Short phases, few stores, and open loads whose rate was to change have no drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncstore.load.results.document import Drift, Tenth
from asyncstore.load.results.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.load.results.document import Point
    from asyncstore.load.values import Phase

_TENTHS: Final = 10
_SHORTEST_DRIFT: Final = 60.0
"""Seconds of a phase; the tenths of shorter ones are too short to tell a drift from noise."""
_FEWEST_FOR_DRIFT: Final = 100
"""Stored instances in a tenth: fewer have no 99th percentile."""
_CONSTANT: Final = 0.3
"""An open load whose first and last tenth differ by more than this share is a ramp, which cannot drift."""


class Tenths:
    """The latencies of each tenth of a phase.

    Args:
        phase: the phase.
        step: the seconds of a point.
    """

    def __init__(self, phase: Phase, step: int) -> None:
        self._phase = phase
        self._step = step
        self._latencies = [Histogram() for _ in range(_TENTHS)]

    def at(self, index: int) -> Histogram | None:
        """The latencies of the tenth to which a point belongs; ``None``: the phase is short or over."""
        second = index * self._step
        return self._latencies[self._number(second)] if _SHORTEST_DRIFT <= self._phase.seconds > second else None

    def _number(self, second: float) -> int:
        return min(int(second / self._phase.seconds * _TENTHS), _TENTHS - 1)

    def drift(self, points: Sequence[Point]) -> Drift | None:
        """The tenths of these points, from the first to the last; ``None``: they have no drift (rule 2)."""
        if self._phase.seconds < _SHORTEST_DRIFT:
            return None
        members: list[list[Point]] = [[] for _ in range(_TENTHS)]
        for point in points:
            if point.second < self._phase.seconds:
                members[self._number(point.second)].append(point)
        fewest = len(members[0]) - 1  # 62 s have 7 points in the first tenth, and 6 in others
        whole = [number for number in range(_TENTHS) if len(members[number]) >= fewest]
        last = whole[-1] if whole else 0
        if last < _TENTHS // 2 or min(self._latencies[0].count, self._latencies[last].count) < _FEWEST_FOR_DRIFT:
            return None
        offered = [sum(point.offered for point in members[number]) / len(members[number]) for number in (0, last)]
        if self._phase.is_open and max(offered) - min(offered) > _CONSTANT * max(offered):
            return None
        tenths = tuple(self._tenth(number, members[number]) for number in range(last + 1))
        return Drift(first=tenths[0], last=tenths[-1], tenths=tenths)

    def _tenth(self, number: int, points: Sequence[Point]) -> Tenth:
        seconds = float(len(points) * self._step)
        p50, p99 = self._latencies[number].percentiles((50.0, 99.0))
        return Tenth(
            seconds=seconds, stored_per_second=sum(point.taken for point in points) / seconds, p50=p50, p99=p99
        )
