"""A plot of percentiles in rows: one row for each histogram, all on one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Plot, axis, dots, for_log, label, seconds_axis, seconds_text
from asyncstore.cli.bench_page.style import DIM
from asyncstore.observe.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.bench_page.figures import Fields, Json
    from asyncstore.load.results.histogram import Histogram

_MARKED = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "largest": 100.0}
_HEIGHT, _ROW = 6.0, 2.0
"""In rem: without rows, and of a row."""


def ranges(
    name: str, title: str, reading: str, rows: Sequence[tuple[str, Histogram]], *, is_half: bool = False
) -> Plot | None:
    """A row for each histogram, with marks at its percentiles."""
    if not rows:
        return None
    places = [label(row_name) for row_name, _ in rows]
    found = [[for_log(value) for value in histogram.percentiles(_MARKED.values())] for _, histogram in rows]
    ends: list[Json] = []
    names: list[Json] = []
    for place, values in zip(places, found, strict=True):
        ends += [values[0], values[-1], None]
        names += [place, place, None]
    traces: list[Fields] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": ends,
            "y": names,
            "line": {"color": DIM.light, "width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for order, mark in enumerate(_MARKED):
        texts = [
            f"{seconds_text(values[order])} ({row_name}, of {format_count(histogram.count)})"
            for values, (row_name, histogram) in zip(found, rows, strict=True)
        ]
        traces.append(dots(mark, [values[order] for values in found], places, order, texts=texts))
    known = [value for values in found for value in values]
    y_axis = axis(
        "",
        type="category",
        categoryorder="array",
        categoryarray=list(places),
        range=[len(places) - 0.5, -0.5],  # the first one stands above
    )
    layout: Fields = {"xaxis": seconds_axis("", known), "yaxis": y_axis}
    return Plot(name, title, reading, traces, layout, height=_HEIGHT + _ROW * len(rows), is_half=is_half)
