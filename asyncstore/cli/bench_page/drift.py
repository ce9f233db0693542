"""The plot of drift: how a phase changed from its first tenth to its last."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Plot, axis, line
from asyncstore.load.results.naming import run_name

if TYPE_CHECKING:
    from asyncstore.load.results.document import Document

_NUMBERS = {"stored a second": "stored_per_second", "p50": "p50", "p99": "p99"}
"""The fields that are shown, by their names in the plot."""


def drift_plot(document: Document) -> Plot | None:
    """The drift of the longest phase that can have one."""
    phases = [phase for phase in document.phases if phase.drift is not None and phase.drift.tenths]
    phase = max(phases, key=lambda phase: phase.seconds, default=None)
    if phase is None or phase.drift is None:
        return None
    tenths = phase.drift.tenths
    x = [10 * (number + 0.5) for number in range(len(tenths))]
    traces = []
    for place, (name, field) in enumerate(_NUMBERS.items()):
        values = list(map(attrgetter(field), tenths))
        if not values[0]:
            continue
        changes = [  # a tenth in which nothing was stored has no percentiles
            100 * (value / values[0] - 1) if value or field == "stored_per_second" else None for value in values
        ]
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
