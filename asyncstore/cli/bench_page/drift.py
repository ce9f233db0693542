"""The plot of drift: how a phase changed from its first tenth to its last."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Plot, axis, line
from asyncstore.load.results.naming import run_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.load.results.document import Document, PhaseResult, Point

_PARTS = 10


def drift_plot(document: Document) -> Plot | None:
    """The drift of the longest phase that can have one."""
    phases = [phase for phase in document.phases if phase.drift is not None and len(phase.series) >= _PARTS]
    if not phases:
        return None
    phase = max(phases, key=lambda phase: phase.seconds)
    parts = _parts(phase)
    x = [100 * (number + 0.5) / len(parts) for number in range(len(parts))]
    traces = []
    for place, (name, of) in enumerate(_NUMBERS.items()):
        values = [of(part) for part in parts]
        first = values[0]
        if not first:
            continue
        changes = [None if value is None else 100 * (value / first - 1) for value in values]
        texts = ["" if change is None else f"{change:+.1f} %" for change in changes]
        traces.append(line(name, x, changes, place, texts=texts, mode="lines+markers"))
    if not traces:
        return None
    return Plot(
        "drift",
        f"Drift: {run_name(phase, document.phases)}",
        "Each mark is a tenth of the phase, compared with its first. Level lines show no drift; percentiles that climb "
        "steadily show a peer that slows down as it fills.",
        traces,
        {
            "xaxis": axis("% of the phase", range=[0, 100]),
            "yaxis": axis("change, %", zeroline=True, rangemode="normal"),
        },
    )


def _parts(phase: PhaseResult) -> list[Sequence[Point]]:
    """The tenths of the points of a phase."""
    points = phase.series
    edges = [len(points) * number // _PARTS for number in range(_PARTS + 1)]
    return [points[begin:end] for begin, end in pairwise(edges)]


def _middle(field: str) -> Callable[[Sequence[Point]], float | None]:
    """The median of a percentile of the points: percentiles cannot be added."""

    def of(points: Sequence[Point]) -> float | None:
        known = [value for point in points if (value := getattr(point, field)) is not None]
        return median(known) if known else None

    return of


_NUMBERS: dict[str, Callable[[Sequence[Point]], float | None]] = {
    "stored a second": lambda points: sum(point.taken for point in points) / len(points),
    "p50": _middle("p50"),
    "p99": _middle("p99"),
}
