"""The page about two measurements side by side."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page import frame
from asyncstore.cli.bench_page.figures import Plot, axis, count_axis, label, level, line, rows_axis, rows_height
from asyncstore.cli.bench_page.html import details, facts, listing, paragraph, safe, section, table
from asyncstore.cli.bench_page.latency import curves
from asyncstore.cli.bench_page.names import sentence
from asyncstore.cli.bench_page.style import BLUE, DIM
from asyncstore.cli.bench_page.words import peer_facts, peer_words, setup_facts
from asyncstore.load.results.compare import say
from asyncstore.load.results.histogram import total_of
from asyncstore.observe.formatting import counted, format_rate
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.bench_page.figures import Fields, Json
    from asyncstore.load.results.compare import Comparison, Row
    from asyncstore.load.results.document import Document

_MOST_ROWS = 40
"""Of the plot of changes; the table has all."""
_MOST_PHASES = 6
"""With a plot of their percentiles."""


def comparison_page(comparison: Comparison, first: Document, second: Document) -> str:
    """The page; it is some 5 MB long, because the script that draws the plots is in it.

    Args:
        comparison: what ``compare`` found.
        first: the first measurement.
        second: the second one.

    Raises:
        UsageError: plotly is not installed.
    """
    badge, mood = _badge(comparison)
    lines = comparison.lines or ("Nothing is compared.",)
    pair = ((comparison.first, first), (comparison.second, second))
    top = (
        f'<header class="verdict {mood}"><p class="badge">{safe(badge)}</p><h1>{safe(lines[0])}</h1>'
        f"{listing(lines[1:])}</header>"
        + "".join(paragraph(f"{name}: {peer_words(document)}.", "reading") for name, document in pair)
    )
    plots = comparison_plots(comparison, first, second)
    changes = [plot for plot in plots if plot.name == "changes"]
    content = "".join([
        section("Notes", listing(f"{sentence(warning)}." for warning in comparison.warnings)),
        frame.section("Changes", changes, _table(comparison)),
        frame.section("Latency and throughput", [plot for plot in plots if plot.name != "changes"]),
        section("To measure again", *(_setup(name, document) for name, document in pair)),
        f"<footer>{paragraph(f'Made by asyncstore {__version__}. Times are UTC.')}</footer>",
    ])  # fmt: skip
    return frame.framed("asyncstore bench compare", f"{top}\n{content}", plots)


def comparison_plots(comparison: Comparison, first: Document, second: Document) -> list[Plot]:
    """All plots of the page, in order."""
    found = [_changes(comparison), *_by_percentile(comparison, first, second), _knees(comparison, first, second)]
    return [plot for plot in found if plot is not None]


def _badge(comparison: Comparison) -> tuple[str, str]:
    if any(row.is_shown for row in comparison.rows):
        return "Different", "warn"
    if any(row.low is not None for row in comparison.rows):
        return "No difference shown", "good"
    return "Nothing can be shown", "warn"


def _setup(name: str, document: Document) -> str:
    return details(name, facts([*peer_facts(document), *setup_facts(document)]))


def _table(comparison: Comparison) -> str:
    head = ("load", "", f"#{comparison.first}", f"#{comparison.second}", "#runs", "difference")
    rows = [
        (
            row.phase,
            row.metric,
            say(row, fmean(row.first)),
            say(row, fmean(row.second)),
            f"{len(row.first)}, {len(row.second)}",
            row.text,
        )
        for row in comparison.rows
    ]
    return table(head, rows)


def _changes(comparison: Comparison) -> Plot | None:
    """For each number how much it changed, with the interval."""
    rows = [row for row in comparison.rows if row.change is not None][:_MOST_ROWS]
    if not rows:
        return None
    several = len({row.phase for row in rows}) > 1
    names = [f"{row.metric}, {row.phase}" if several else row.metric for row in rows]
    traces = []
    for text, is_shown in (("difference shown", True), ("no difference shown", False)):
        chosen = [place for place, row in enumerate(rows) if row.is_shown == is_shown]
        if chosen:
            traces.append(_marks(text, rows, chosen))
    return Plot(
        "changes",
        f"From {comparison.first} to {comparison.second}",
        "Marks are changes of the mean, bars their 95 % intervals. Where a bar crosses the line at 0, no difference is "
        "shown. To the right a rate is higher, which is better, and a latency is longer, which is worse.",
        traces,
        {
            "xaxis": axis("change", ticksuffix=" %"),
            "yaxis": rows_axis(names),
            "shapes": [level(0.0, "", DIM, is_vertical=True)],
        },
        height=rows_height(names),
    )


def _marks(text: str, rows: list[Row], places: list[int]) -> Fields:
    chosen = [rows[place] for place in places]
    changes = [100 * (row.change or 0.0) for row in chosen]
    edges = [_edges(row) for row in chosen]
    colour = BLUE if chosen[0].is_shown else DIM
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text,
        "x": list(changes),
        "y": list(places),
        "marker": {
            "color": colour.light,
            "symbol": "circle" if chosen[0].is_shown else "circle-open",
            "size": 9,
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - change for (_, high), change in zip(edges, changes, strict=True)],
            "arrayminus": [change - low for (low, _), change in zip(edges, changes, strict=True)],
            "color": colour.light,
            "thickness": 2,
            "width": 4,
        },
        "hovertext": [label(f"{row.phase}, {row.metric}: {row.text}", 200) for row in chosen],
        "hoverinfo": "text",
    }


def _edges(row: Row) -> tuple[float, float]:
    """The interval in percent of the first mean; without an interval the change itself."""
    change = 100 * (row.change or 0.0)
    was = fmean(row.first)
    if row.low is None or row.high is None or not was:
        return change, change
    return 100 * row.low / was, 100 * row.high / was


def _by_percentile(comparison: Comparison, first: Document, second: Document) -> Iterator[Plot | None]:
    """For each phase that both have the latencies by percentile."""
    for number, phase in enumerate(list(dict.fromkeys(row.phase for row in comparison.rows))[:_MOST_PHASES]):
        shown = [
            (name, total_of(each.latency for each in document.phases if each.is_counted and each.name == phase))
            for name, document in ((comparison.first, first), (comparison.second, second))
        ]
        reading = "At 99 % stands the time that one store in a hundred exceeds. The lower line is the faster one."
        yield curves(f"latency-{number + 1}", f"Latency by percentile: {phase}", reading, shown, is_half=True)


def _knees(comparison: Comparison, first: Document, second: Document) -> Plot | None:
    """Both throughputs over the number of associations."""
    traces: list[Fields] = []
    rates: list[float] = []
    numbers: set[int] = set()
    for place, (name, document) in enumerate(((comparison.first, first), (comparison.second, second))):
        if document.knee is None or not document.knee.steps:
            return None
        steps = document.knee.steps
        x = [float(step.associations) for step in steps]
        y = [step.stored_per_second for step in steps]
        texts = [
            f"{format_rate(step.stored_per_second)}, {counted(step.associations, 'association')}" for step in steps
        ]
        traces.append(line(name, x, y, place, texts=texts, mode="lines+markers"))
        rates += y
        numbers |= {step.associations for step in steps}
    ticks: list[Json] = [float(number) for number in sorted(numbers)]
    return Plot(
        "knees",
        "Throughput by number of associations",
        "The higher line is the faster one; where a line turns level, more associations do not help.",
        traces,
        {
            "xaxis": axis(
                "associations", type="log", tickvals=ticks, ticktext=[f"{number}" for number in sorted(numbers)]
            ),
            "yaxis": count_axis("instances a second", rates),
        },
    )
