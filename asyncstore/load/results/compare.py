"""Two measurements side by side.

Rules:

1. A difference is shown if the 95 % interval of Welch's t over the repeats does not hold 0. Otherwise the comparison
   says that no difference is shown, whatever the means are.
2. A single repeat has no interval: nothing can be shown.
3. Percentiles are as precise as the buckets of their histograms; differences within a bucket are not shown. A repeat in
   which nothing was stored has no percentiles.
4. Whatever differs in the set-up is a warning: the difference may come from there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from asyncstore.load.results.histogram import width_at
from asyncstore.load.results.student import Interval, difference
from asyncstore.observe.formatting import format_latency, format_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from asyncstore.load.results.document import Document, PhaseResult

TYPE: Final = "asyncstore-bench-comparison"
VERSION: Final = 1

_METRICS: Final[dict[str, Callable[[PhaseResult], float]]] = {
    "rate": lambda phase: phase.stored_per_second,
    "p50": lambda phase: phase.latency.percentile(50),
    "p95": lambda phase: phase.latency.percentile(95),
    "p99": lambda phase: phase.latency.percentile(99),
}
_NOT_OF_THE_LOAD: Final = {
    *("json", "hdr", "html", "progress", "quiet", "verbose", "debug", "log-level"),
    *("repeat", "threshold", "p99-limit", "no-calibrate"),
}
"""Options that change no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of one phase."""

    phase: str
    metric: str
    """``rate`` in instances a second; ``p50``, ``p95`` and ``p99`` in seconds."""
    first: tuple[float, ...]
    """The value of each repeat."""
    second: tuple[float, ...]
    change: float | None
    """Of the mean, as a share of the first one; ``None``: the first one is 0."""
    low: float | None
    """The 95 % interval of the difference, in the unit of the metric; ``None``: there is a single repeat."""
    high: float | None
    is_shown: bool
    """Whether a difference is shown."""
    text: str
    """What the interval says, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two measurements side by side."""

    first: str
    """The name of the first measurement."""
    second: str
    lines: tuple[str, ...]
    """In plain English, the most important first."""
    warnings: tuple[str, ...]
    """How the set-ups differ, and what limits the comparison."""
    rows: tuple[Row, ...]


def compare(first: Document, second: Document, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare two measurements; ``names`` are for people."""
    left, right = _by_phase(first), _by_phase(second)
    pairs = (
        (name, metric, _values(metric, left[name]), _values(metric, right[name]))
        for name in left
        if name in right
        for metric in _METRICS
    )
    rows = tuple(_row(name, metric, before, after) for name, metric, before, after in pairs if before and after)
    return Comparison(
        first=names[0],
        second=names[1],
        lines=tuple(_lines(rows, names)),
        warnings=(*_differences(first, second, names), *_of_results(first, second, left, right, names)),
        rows=rows,
    )


def _by_phase(document: Document) -> dict[str, list[PhaseResult]]:
    """The repeats of each counted phase."""
    found: defaultdict[str, list[PhaseResult]] = defaultdict(list)
    for phase in document.phases:
        if phase.is_counted:
            found[phase.name].append(phase)
    return dict(found)


def _values(metric: str, phases: Sequence[PhaseResult]) -> tuple[float, ...]:
    """What each repeat has of a metric."""
    return tuple(_METRICS[metric](phase) for phase in phases if metric == "rate" or phase.stored)


def _row(name: str, metric: str, before: tuple[float, ...], after: tuple[float, ...]) -> Row:
    was = fmean(before)
    change = fmean(after) / was - 1 if was else None
    interval = difference(before, after)
    if interval is not None and metric != "rate":
        blur = 1.01 * width_at(max(*before, *after))  # neighbouring buckets differ by their width
        interval = Interval(interval.low - blur, interval.high + blur)
    is_shown = interval is not None and not interval.holds_zero
    if interval is None:
        text = "nothing can be shown with a single repeat"
    elif not is_shown:
        text = "no difference shown"
    elif change is None:
        text = "different"
    else:
        more, less = ("more", "fewer") if metric == "rate" else ("longer", "shorter")
        text = f"{abs(change) * 100:.1f} % {more if change > 0 else less}"
        most = math.inf if change > 0 else 100.0  # nothing is shorter than nothing
        low, high = sorted(min(abs(edge) / was * 100, most) for edge in interval)
        text += f" ({low:.1f} % to {high:.1f} %)"
    return Row(
        phase=name,
        metric=metric,
        first=before,
        second=after,
        change=change,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        is_shown=is_shown,
        text=text,
    )


def say(row: Row, value: float) -> str:
    """A value of a row for people."""
    return format_rate(value) if row.metric == "rate" else format_latency(value)


def _lines(rows: Sequence[Row], names: tuple[str, str]) -> Iterator[str]:
    if not rows:
        yield "The two have no phase in common, so nothing is compared."
        return
    shown = [row for row in rows if row.is_shown]
    for row in shown:
        before, after = say(row, fmean(row.first)), say(row, fmean(row.second))
        yield f"{row.phase}: {row.metric} {before} in {names[0]}, {after} in {names[1]}: {row.text}."
    if shown:
        verb = "differs" if len(shown) == 1 else "differ"
        yield f"{len(shown)} of {len(rows)} numbers {verb}; by chance alone, one in 20 may."
    if not shown and any(row.low is not None for row in rows):
        yield "No difference shown: the 95 % intervals of all differences hold 0."
    if any(row.low is None for row in rows):
        yield "Nothing can be shown with a single repeat: measure each several times (3 or more)."


def _differences(first: Document, second: Document, names: tuple[str, str]) -> Iterator[str]:
    """How the set-ups differ."""
    before, after = first.setup, second.setup
    if before.corpus.hash != after.corpus.hash:
        yield "the instances differ (hash of the corpus)"
    kinds = [[kind[:-1] for kind in setup.corpus.kinds] for setup in (before, after)]
    if kinds[0] != kinds[1]:
        yield "the kinds of instances differ"
    facts: dict[str, tuple[object, object]] = {
        "host": (before.peer.host, after.peer.host),
        "port": (before.peer.port, after.peer.port),
        "called AE title": (before.peer.called_ae_title, after.peer.called_ae_title),
        "implementation of the PACS": (_implementation(first), _implementation(second)),
        "maximum length": (before.peer.maximum_length, after.peer.maximum_length),
        "window": (before.peer.window, after.peer.window),
        "version of asyncstore": (before.asyncstore, after.asyncstore),
        "version of Python": (before.python, after.python),
        **_pairs("machine: ", before.machine, after.machine),
        **{
            name: pair
            for name, pair in _pairs("--", before.options, after.options, "not given").items()
            if name.removeprefix("--") not in _NOT_OF_THE_LOAD
        },
    }
    for name, (left, right) in facts.items():
        if left != right:
            yield f"{name}: {_said(left)} in {names[0]}, {_said(right)} in {names[1]}"


def _implementation(document: Document) -> str:
    peer = document.setup.peer
    return f"{peer.implementation_version_name or 'no name'} ({peer.implementation_class_uid or 'no UID'})"


def _pairs(
    prefix: str, before: Mapping[str, object], after: Mapping[str, object], missing: str | None = None
) -> dict[str, tuple[object, object]]:
    return {f"{prefix}{name}": (before.get(name, missing), after.get(name, missing)) for name in {**before, **after}}


def _said(value: object) -> str:
    if value is None:
        return "none"
    if value is True:
        return "given"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _of_results(
    first: Document,
    second: Document,
    left: dict[str, list[PhaseResult]],
    right: dict[str, list[PhaseResult]],
    names: tuple[str, str],
) -> Iterator[str]:
    """What limits the comparison."""
    for name, document, mine, other in ((names[0], first, left, right), (names[1], second, right, left)):
        if document.verdict.client_bound:
            yield f"{name} is client-bound: its numbers are not the limit of the PACS"
        lost = [phase.name for phase in document.phases if phase.is_counted and phase.lost_after is not None]
        if lost:
            yield f"{name} lost the PACS in {', '.join(dict.fromkeys(lost))}: its rates are those until then"
        missing = [phase for phase in mine if phase not in other]
        if missing:
            yield f"only {name} has {', '.join(missing)}"
        cut = [
            phase.name for phase in document.phases if phase.is_counted and phase.seconds < 0.99 * phase.planned_seconds
        ]
        if cut:
            what = "is of machines that were together for only a part of" if document.parts else "was interrupted in"
            yield f"{name} {what} {', '.join(dict.fromkeys(cut))}"
    for phase in left:
        if phase in right:
            yield from _of_phase(phase, left[phase][0], right[phase][0], names)


def _of_phase(name: str, before: PhaseResult, after: PhaseResult, names: tuple[str, str]) -> Iterator[str]:
    for what in ("model", "associations", "planned_seconds"):
        was, became = getattr(before, what), getattr(after, what)
        if was != became:
            yield f"{name}: {what.replace('_', ' ')} {was} in {names[0]}, {became} in {names[1]}"
