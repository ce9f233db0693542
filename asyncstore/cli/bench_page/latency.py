"""Plots of latencies: by percentile, by step of a store, by kind of instance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import Plot, axis, for_log, line, seconds_axis, seconds_text
from asyncstore.cli.bench_page.names import GROUPS, groups
from asyncstore.cli.bench_page.ranges import ranges
from asyncstore.load.results.histogram import total_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asyncstore.cli.bench_page.figures import Fields
    from asyncstore.load.results.document import Document
    from asyncstore.load.results.histogram import Histogram

_POINTS_A_DECADE = 60
"""Of a curve: more cannot be told apart."""
_TICKS = {1.0: "0 %", 2.0: "50 %", 10.0: "90 %"} | {
    10.0**nines: f"{100 - 10.0 ** (2 - nines):.{nines - 2}f} %" for nines in range(2, 10)
}
"""For 1 / (1 - share) the text of the share."""
_MOST_CURVES = 8
_MOST_ROWS = 12
_STEPS = {
    "connect": "connect (TCP)",
    "tls": "TLS handshake",
    "associate": "associate",
    "send": "send",
    "wait": "wait for the response",
    "release": "release",
}


def curve(counts: Mapping[int, int]) -> list[tuple[float, float]]:
    """The percentiles of a histogram: 1 / (1 - share), and the microseconds that this share of the values reaches."""
    total = sum(counts.values())
    points: list[tuple[float, float]] = []
    reached, latest = 0, 0.0
    for microseconds in sorted(counts):
        reached += counts[microseconds]
        at = total / (total - reached) if reached < total else 2.0 * total  # the last one stands alone for its share
        if not points:
            points.append((1.0, microseconds))
        if reached == total or math.log10(at) - latest >= 1 / _POINTS_A_DECADE:
            points.append((at, microseconds))
            latest = math.log10(at)
    return points


def by_percentile(document: Document) -> Plot | None:
    """The latency by percentile, as HdrHistogram shows it: of the whole and of each phase that counts."""
    whole = document.whole
    phases = [phase for phase in document.phases if phase.is_counted]
    names = list(dict.fromkeys(phase.name for phase in phases))
    shown = [("all phases" if len(names) > 1 else "latency", whole.latency)]
    reading = "At 99 % stands the time that one store in a hundred exceeds. A steep end is a long tail."
    if whole.model == "open":
        shown.append(("service time", whole.service))
        reading += (
            " The latency begins when a store was to begin, the service time with its first byte: between them lies the"
            " wait for a free association."
        )
    if len(names) > 1:
        shown += [(name, total_of(phase.latency for phase in phases if phase.name == name)) for name in names]
    return curves("latency", "Latency by percentile", reading, shown)


def studies(document: Document) -> Plot | None:
    """The latency of whole studies."""
    return curves(
        "studies",
        "Time to store a whole study",
        "From the arrival of a study until its last response: at 90 % stands the time that one study in ten exceeds.",
        [("studies", document.whole.study_latency)],
    )


def findable(document: Document) -> Plot | None:
    """The time until C-FIND finds what was stored."""
    if document.findable is None:
        return None
    return curves(
        "findable",
        "Time to findable",
        "From the response of C-STORE until C-FIND found it: at 90 % stands the time that one instance in ten exceeds.",
        [("found", document.findable.latency)],
    )


def split(document: Document) -> Plot | None:
    """The time of each step."""
    parts = document.whole.split
    return ranges(
        "split",
        "Where the time goes",
        "Connect to release happen once for an association, send and wait once for a store. A long wait is the peer's "
        "work; a long send is the network, or a peer that reads slowly.",
        [(name, histogram) for part, name in _STEPS.items() if (histogram := getattr(parts, part)).count],
    )


def by_group(document: Document) -> Iterator[Plot]:
    """The latency by kinds of instances. One kind alone is left out: its numbers are those of the whole."""
    for way, name in GROUPS.items():
        found = groups(document, way)
        if len(found) < 2:  # noqa: PLR2004 - one has nothing beside it
            continue
        shown = ranges(
            f"by-{way.replace('_', '-')}",
            f"Latency by {name}",
            "Marks are percentiles; the further right, the slower.",
            [(_short(group_name), group.latency) for group_name, group in found[:_MOST_ROWS] if group.latency.count],
            is_half=True,
        )
        if shown is not None:
            yield shown


def _short(name: str) -> str:
    """A name without the words that all storage SOP classes have: an axis has little room."""
    return name.replace("ImageStorage", "").replace("Storage", "") or name


def curves(
    name: str, title: str, reading: str, shown: Sequence[tuple[str, Histogram]], *, is_half: bool = False
) -> Plot | None:
    """A plot of latencies by percentile, with a line for each histogram; ``None`` if all are empty."""
    traces: list[Fields] = []
    values: list[float] = []
    most = 1.0
    for place, (curve_name, histogram) in enumerate(shown[:_MOST_CURVES]):
        if not histogram.count:
            continue
        x, y = zip(*curve(histogram.counts), strict=True)
        seconds = [for_log(microseconds / 1e6) for microseconds in y]
        texts = [f"{_share(at)} in {seconds_text(value)}" for at, value in zip(x, seconds, strict=True)]
        traces.append(line(curve_name, x, seconds, place, texts=texts))
        values += [seconds[0], seconds[-1]]
        most = max(most, x[-1])
    if not traces:
        return None
    ticks = [at for at in _TICKS if at <= most * 1.01 or at <= 10]  # noqa: PLR2004 - the median is always there
    x_axis = axis(
        "share of the stores that took at most so long",
        type="log",
        range=[0, math.log10(max(ticks[-1], most)) * 1.02],
        tickvals=list(ticks),
        ticktext=[_TICKS[at] for at in ticks],
    )
    return Plot(
        name, title, reading, traces, {"xaxis": x_axis, "yaxis": seconds_axis("latency", values)}, is_half=is_half
    )


def _share(at: float) -> str:
    return f"{100 - 100 / at:.4g} %"
