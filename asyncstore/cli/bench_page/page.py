"""The page about one measurement.

Rules:

1. The verdict comes first, then the key numbers, then the plots, then the tables, then the set-up.
2. Plots that have nothing to show are left out.
3. Nothing names a patient, a study or a file: the document has no such thing.
4. The tables hold the numbers of the plots, for people who cannot see them, and where scripts do not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.bench_page import frame
from asyncstore.cli.bench_page.drift import drift_plot
from asyncstore.cli.bench_page.generator import generator_plots
from asyncstore.cli.bench_page.html import facts, listing, paragraph, safe, section, tiles
from asyncstore.cli.bench_page.knee import knee_plot
from asyncstore.cli.bench_page.latency import by_group, by_percentile, findable, split, studies
from asyncstore.cli.bench_page.over_time import dropped, percentiles, throughput, troubles
from asyncstore.cli.bench_page.tables import (
    drift_words,
    findable_words,
    group_tables,
    kinds,
    machines,
    phases,
    statuses,
    steps,
    thresholds,
)
from asyncstore.cli.bench_page.timeline import timeline
from asyncstore.cli.bench_page.words import headline, key_numbers, peer_facts, peer_words, remarks, setup_facts
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.cli.bench_page.figures import Plot
    from asyncstore.load.results.document import Document


def page(document: Document) -> str:
    """The page; it is some 5 MB long, because the script that draws the plots is in it.

    Raises:
        UsageError: plotly is not installed.
    """
    parts = list(_parts(document))
    shown = headline(document)
    top = (
        f'<header class="verdict {shown.mood}"><p class="badge">{safe(shown.badge)}</p><h1>{safe(shown.text)}</h1>'
        f"{listing(remarks(document))}</header>{paragraph(peer_words(document), 'reading')}"
        f"{thresholds(document)}{tiles(key_numbers(document))}"
    )
    sections = "".join(frame.section(title, plots, more) for title, plots, more in parts)
    again = section("To measure again", facts([*peer_facts(document), *setup_facts(document)]), kinds(document))
    footer = f"<footer>{paragraph(f'Made by asyncstore {__version__}. Times are UTC.')}</footer>"
    return frame.framed("asyncstore bench", f"{top}\n{sections}{again}{footer}", _all(parts))


def plots_of(document: Document) -> list[Plot]:
    """All plots of the page, in order."""
    return _all(_parts(document))


def _all(parts: Iterable[tuple[str, list[Plot], str]]) -> list[Plot]:
    return [plot for _, plots, _ in parts for plot in plots]


def _parts(document: Document) -> Iterator[tuple[str, list[Plot], str]]:
    """The sections: title, plots, tables."""
    times = timeline(document)
    is_open = any(phase.model == "open" for phase in document.phases)
    yield "Number of associations", _there(knee_plot(document)), steps(document)
    over_time = _there(throughput(times, is_open=is_open), percentiles(times)) if times else []
    yield "Throughput and latency", over_time + _there(by_percentile(document)), phases(document)
    yield "Studies", _there(studies(document)), ""
    yield "Findable", _there(findable(document)), findable_words(document)
    yield "Steps of a store", _there(split(document)), ""
    yield "Kinds of instances", list(by_group(document)), group_tables(document)
    yield "Statuses and errors", _there(troubles(times), dropped(times)) if times else [], statuses(document)
    yield "Drift", _there(drift_plot(document)), drift_words(document)
    yield "This side", list(generator_plots(document)), machines(document)


def _there(*plots: Plot | None) -> list[Plot]:
    """The plots that have something to show."""
    return [plot for plot in plots if plot is not None]
