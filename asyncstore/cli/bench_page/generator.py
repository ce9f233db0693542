"""Plots of the sending side: was it the limit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Plot, axis, bars, level, rows_axis, rows_height
from asyncstore.cli.bench_page.ranges import ranges
from asyncstore.cli.bench_page.style import BLUE, RED
from asyncstore.load.results.naming import run_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.load.results.document import Document, PhaseResult

_MOST_CPU = 90.0
"""Percent of a core: above, a measurement counts as client-bound."""
_MOST_PHASES = 24
"""In a plot."""


def generator_plots(document: Document) -> Iterator[Plot]:
    """CPU time, and how late this side was."""
    phases = [phase for phase in document.phases if phase.is_counted][:_MOST_PHASES]
    if len(phases) > 1:
        yield _cpu(document, phases)
    times = ranges(
        "generator",
        "How late this side was",
        "Lag is how late the event loop did what was due, lateness how late stores began although an association was "
        "free. With a p99 of more than 5 ms, and more than a tenth of the latency's, this side was too slow.",
        [
            row
            for row in (
                ("event loop lag", document.whole.generator.lag),
                ("lateness of stores", document.whole.generator.lateness),
            )
            if row[1].count
        ],
    )
    if times is not None:
        yield times


def _cpu(document: Document, phases: list[PhaseResult]) -> Plot:
    shares = [100 * phase.generator.cpu_share for phase in phases]
    names = [run_name(phase, document.phases) for phase in phases]
    texts = [f"{share:.0f} % of a core" for share in shares]
    return Plot(
        "cpu",
        "CPU of this side",
        "Right of the line, at 90 % of a core, this side was the limit, and the results say nothing about the limit of "
        "the peer.",
        [bars("CPU", shares, range(len(names)), BLUE, texts=texts, orientation="h", showlegend=False)],
        {
            "xaxis": axis("% of a core", range=[0, max(100.0, 1.05 * max(shares))]),
            "yaxis": rows_axis(names),
            "shapes": [level(_MOST_CPU, "", RED, is_vertical=True)],
        },
        height=rows_height(names),
    )
