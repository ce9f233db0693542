"""The results of a measurement as text: the verdict, the phases, where the time went, by modality, the knee.

Rules:

1. The verdict comes first. Parts without a value are left out, and a number that was not measured is a hyphen.
2. Numbers are aligned in columns. No line of a table is wider than 80 characters, unless a name is long.
3. Only what a peer or a file named is escaped; everything else is ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asyncstore.cli.text.page import broken
from asyncstore.load.results import scalability
from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.naming import loss_note, status_text
from asyncstore.load.results.thresholds import say
from asyncstore.load.results.verdict import was_kept_up
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_bytes,
    format_count,
    format_duration,
    format_latency,
    format_rate,
    printable,
)
from asyncstore.observe.output import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.load.results.document import Document, Knee, PhaseResult
    from asyncstore.load.results.histogram import Histogram
    from asyncstore.observe.output import Line

_INDENT = "  "
_GAP = "  "
_NOTHING = "-"
_SUCCESS = "0x0000"
_PERCENTS = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
_STEPS = ("connect", "tls", "associate", "send", "wait", "release")
_MOST_ERRORS = 8
"""Lines for statuses, and for errors; the document has all."""
_PASSED, _FAILED, _DOUBTFUL = "bold green", "bold red", "bold yellow"


class _Table(NamedTuple):
    """Rows of cells; the first column is text, the others are numbers."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def bench_lines(document: Document, *, interrupted: bool = False, width: int | None = None) -> list[Line]:
    """The lines about a document, for a page of this width; ``None``: any width."""
    parts = [
        _verdict(document, width, interrupted=interrupted),
        _phases(document),
        _latencies(document),
        _split(document.whole),
        _modalities(document.whole),
        _losses(document.whole, width),
        _knee(document.knee, width),
        _findable(document),
    ]
    lines: list[Line] = []
    for part in parts:
        found = list(part)
        if found:
            lines += [*([()] if lines else []), *found]
    return lines


def _verdict(document: Document, width: int | None, *, interrupted: bool) -> Iterator[Line]:
    verdict = document.verdict
    is_slow = verdict.passed and not document.thresholds and not was_kept_up(document.whole)
    is_doubtful = verdict.client_bound or interrupted or is_slow
    style = _DOUBTFUL if is_doubtful else _PASSED if verdict.passed else _FAILED
    if interrupted:
        yield line_of("Interrupted: this is what was measured until then.", style)
    for number, text in enumerate(verdict.lines):
        for line in broken(printable(text), width):
            yield line_of(line, style if number == 0 and not interrupted else "")
    for threshold in document.thresholds:
        yield line_of(f"{_INDENT}threshold {printable(say(threshold))}", "red" if threshold.is_crossed else "green")


def _phases(document: Document) -> Iterator[Line]:
    """The phases with their rates and losses. Columns in which nothing stands are left out."""
    named = _named(document)
    if not named:  # it was interrupted before the load that counts
        return
    is_open = any(phase.model == "open" for _, phase in named)
    columns = {
        "assoc.": [format_count(phase.associations) for _, phase in named] if is_open else [],
        "offered": [format_rate(phase.offered_per_second) if phase.model == "open" else _NOTHING for _, phase in named]
        if is_open
        else [],
        "stored": [format_rate(phase.stored_per_second) for _, phase in named],
        "bytes": [format_byte_rate(phase.bytes_per_second) for _, phase in named],
        "failed": [format_count(phase.failed) for _, phase in named],
        "unknown": _unless_zero([phase.unknown for _, phase in named]),
        "dropped": _unless_zero([phase.dropped for _, phase in named]),
    }
    shown = {head: cells for head, cells in columns.items() if cells}
    models = {phase.model for _, phase in named}
    head = (f"{models.pop()} load" if len(models) == 1 else "load", *shown)
    rows = list(zip([name for name, _ in named], *shown.values(), strict=True))
    yield from _drawn(_Table(head, rows))
    whole = document.whole
    studies = f"{format_count(round(whole.studies_per_hour))} studies/h"
    if whole.studies:
        noun = "study" if whole.studies == 1 else "studies"
        studies = f"{format_count(whole.studies)} whole {noun} ({format_count(round(whole.studies_per_hour))}/h)"
    time = "" if document.parts else f" in {format_duration(whole.loaded_seconds)}"  # of a sum, not all are of its time
    sums = [
        f"{counted(whole.stored, 'instance')} stored{time}",
        format_bytes(whole.bytes),
        studies,
    ]
    if whole.warnings:
        sums.append(f"{format_count(whole.warnings)} with a warning")
    yield line_of(f"{_INDENT}{', '.join(sums)}.", "dim")
    fewer = [phase.associations for phase in document.phases if phase.associations < _promised(phase.name)]
    if fewer and document.knee is None:  # which says it as well
        yield line_of(f"The PACS kept no more than {counted(max(fewer), 'association')} open, more were wanted.")


def _unless_zero(numbers: Sequence[int]) -> list[str]:
    return list(map(format_count, numbers)) if any(numbers) else []


def _latencies(document: Document) -> Iterator[Line]:
    phases = [(name, phase) for name, phase in _named(document) if phase.latency.count]
    head = ("latency of a store", *_PERCENTS, "max")
    rows = [(name, *_percentiles(phase.latency)) for name, phase in phases]
    if document.whole.study_latency.count:
        rows.append(("whole studies", *_percentiles(document.whole.study_latency)))
    if rows:
        yield from _drawn(_Table(head, rows))


def _named(document: Document) -> list[tuple[str, PhaseResult]]:
    """The loads that count, with their names.

    If one load was repeated, its runs stand alone and together. Of several loads, all runs of each stand together.
    """
    loads: dict[str, list[PhaseResult]] = {}
    for phase in document.phases:
        if phase.is_counted:
            loads.setdefault(phase.name, []).append(phase)
    if len(loads) == 1:
        [(name, runs)] = loads.items()
        if len(runs) > 1:
            return [*((_name(f"{name}, run {run.repeat}", run), run) for run in runs), ("all", document.whole)]
    named = []
    for name, runs in loads.items():
        together = whole_of(runs) if len(runs) > 1 else runs[0]
        named.append((_name(f"{name}, {len(runs)} runs" if len(runs) > 1 else name, together), together))
    return named


def _name(name: str, phase: PhaseResult) -> str:
    """The name of a load; with the associations that were open, if it promises others, and whether the peer was lost.

    Where measurements were merged, each of them had the promised ones.
    """
    promised = _promised(name)
    others = f" ({phase.associations} open)" if phase.associations < promised else ""
    if phase.associations > promised > 0:
        others = f" ({phase.associations} in all)"
    return f"{printable(name)}{others}{loss_note(phase)}"


def _promised(name: str) -> int:
    """The associations that the name of a closed load promises; 0: it promises none."""
    promised = re.match(r"(\d+) associations?(, |$)", name)
    return int(promised[1]) if promised else 0


def _percentiles(times: Histogram) -> tuple[str, ...]:
    return (*map(format_latency, times.percentiles(_PERCENTS.values())), format_latency(times.max))


def _split(whole: PhaseResult) -> Iterator[Line]:
    found = {name: getattr(whole.split, name) for name in _STEPS}
    found = {name: times for name, times in found.items() if times.count}
    if not found:
        return
    head = ("where the time went", *found)
    rows = [
        (f"p{percent:g}", *(format_latency(times.percentile(percent)) for times in found.values()))
        for percent in (50.0, 99.0)
    ]
    yield from _drawn(_Table(head, rows))


def _modalities(whole: PhaseResult) -> Iterator[Line]:
    if len(whole.by.modality) < 2:  # noqa: PLR2004 - the sums say the same
        return
    head = ("by modality", "stored", "failed", "bytes", "p50", "p99", "max")
    rows = []
    for name, group in sorted(whole.by.modality.items(), key=lambda item: -item[1].stored):
        p50, p99 = group.latency.percentiles((50.0, 99.0))
        times = map(format_latency, (p50, p99, group.latency.max)) if group.latency.count else [_NOTHING] * 3
        sums = (format_count(group.stored), format_count(group.failed), format_bytes(group.bytes))
        rows.append((printable(name), *sums, *times))
    yield from _drawn(_Table(head, rows))


def _losses(whole: PhaseResult, width: int | None) -> Iterator[Line]:
    """Statuses other than success, and why associations were lost."""
    statuses = {name: count for name, count in whole.statuses.items() if name != _SUCCESS}
    texts = ((printable(status_text(name)), count) for name, count in _descending(statuses))
    yield from _most(texts, "status", width)
    yield from _most(((printable(text), count) for text, count in _descending(whole.errors)), "association", width)


def _descending(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _most(reasons: Iterable[tuple[str, int]], what: str, width: int | None) -> Iterator[Line]:
    found = list(reasons)
    for text, count in found[:_MOST_ERRORS]:
        for line in broken(f"{_INDENT}{format_count(count)} x {what}: {text}", width, 2 * len(_INDENT)):
            yield line_of(line, "red")
    if found[_MOST_ERRORS:]:
        yield line_of(f"{_INDENT}and {counted(len(found) - _MOST_ERRORS, 'more reason')}")


def _knee(knee: Knee | None, width: int | None) -> Iterator[Line]:
    if knee is None:
        return
    texts = []
    if knee.recommended is not None:
        texts.append(f"Recommended: --associations {knee.recommended}.")
    if knee.law is not None:
        texts.append(scalability.say(knee.law))
    texts += [f"{reason[:1].upper()}{reason[1:].rstrip('.')}." for reason in knee.reasons]
    for text in texts:
        for line in broken(printable(text), width):
            yield line_of(line)


def _findable(document: Document) -> Iterator[Line]:
    findable = document.findable
    if findable is None:
        return
    missing = f", {format_count(findable.not_found)} were not" if findable.not_found else ""
    found = f"{format_count(findable.found)} of {counted(findable.asked, 'instance')} were found{missing}"
    if not findable.asked:
        found = "no instance was searched for"
    if findable.latency.count:
        p50, p99 = map(format_latency, findable.latency.percentiles((50.0, 99.0)))
        found += f"; p50 {p50}, p99 {p99}, max {format_latency(findable.latency.max)}"
    yield line_of(f"C-FIND after C-STORE: {found}.")
    for text, count in _descending(findable.errors):
        yield line_of(f"{_INDENT}{format_count(count)} x {printable(text)}", "red")


def _drawn(table: _Table) -> Iterator[Line]:
    """The lines of a table: its head, then the rows; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
    for number, row in enumerate((table.head, *table.rows)):
        first, *others = row
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        text = _GAP.join([f"{_INDENT}{first:{widths[0]}}", *cells])
        yield line_of(text, "dim" if number == 0 else "")
