"""Several machines that loaded one PACS at the same time, as one measurement.

Rules:

1. Histograms and counts are added. Percentiles come from the sum.
2. Rates are added over the time that a phase ran on all machines, and each of them had the peer: outside of it the load
   was another one.
3. Every machine must have played the same phases.
4. What each machine is able to do, and whether it was the limit, is kept.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from asyncstore.errors import UsageError
from asyncstore.load.results.adding import at_once, counts_of, generator_of, whole_of, with_openings
from asyncstore.load.results.document import (
    POINT_COUNTS,
    Calibration,
    Corpus,
    Document,
    Findable,
    Part,
    PhaseResult,
    Point,
)
from asyncstore.load.results.histogram import total_of
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.naming import run_name
from asyncstore.load.results.thresholds import evaluate, parse
from asyncstore.load.results.verdict import EXIT_INTERRUPTED, client_limits, judge
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import format_duration, format_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ALMOST_ALL: Final = 0.99
"""The share of a phase from which it counts as whole: machines never begin at the same moment."""
_MATTERS: Final = 0.9
"""A smaller share in common is worth a line."""


class _Run(NamedTuple):
    """A document, its name, and when its first phase began in seconds since the epoch."""

    document: Document
    name: str
    started: float


class _Window(NamedTuple):
    """The time that a phase ran on all machines, by their clocks."""

    begin: float
    end: float
    first: float
    """When it began on the first machine."""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def merge(documents: Sequence[Document], names: Sequence[str]) -> Document:
    """Add measurements that ran at the same time.

    Args:
        documents: the measurements.
        names: their names, for errors.

    Raises:
        UsageError: there are fewer than two, their phases differ, or they did not run at the same time.
    """
    if len(documents) < 2:  # noqa: PLR2004 - a sum of one is no sum
        raise UsageError("two or more measurements are needed for a sum")
    runs = [_Run(document, name, _started(document, name)) for document, name in zip(documents, names, strict=True)]
    for run in runs[1:]:
        _check_phases(runs[0], run)
    phases: list[PhaseResult] = []
    windows: list[_Window] = []
    limits: dict[int, list[str]] = {}
    for place in range(len(documents[0].phases)):
        parts = [document.phases[place] for document in documents]
        windows.append(_window(runs, parts))
        phases.append(_merged(runs, parts, windows[-1]))
        limits[id(phases[-1])] = [
            f"in run {number} {reason}"
            for number, (document, part) in enumerate(zip(documents, parts, strict=True), start=1)
            for reason in client_limits(part, document.calibration)
        ]
    return _judged(runs, tuple(phases), windows, limits)


def _judged(
    runs: Sequence[_Run], phases: tuple[PhaseResult, ...], windows: Sequence[_Window], limits: dict[int, list[str]]
) -> Document:
    """The document of merged phases; ``limits`` says why a machine was the limit, by the id of the phase."""
    documents = [run.document for run in runs]
    whole = with_openings(whole_of(phases), phases)
    findable = _findable([document.findable for document in documents if document.findable is not None])
    texts = dict.fromkeys(threshold.text for document in documents for threshold in document.thresholds)
    thresholds = evaluate(map(parse, texts), whole, findable)
    p99_limits = [document.knee.p99_limit for document in documents if document.knee is not None]
    knee = knee_of(
        phases, min(filter(None, p99_limits), default=None), is_client_bound=lambda phase: bool(limits[id(phase)])
    )
    verdict, exit_code = judge(
        phases,
        whole,
        knee=knee,
        findable=findable,
        thresholds=thresholds,
        is_interrupted=any(document.exit_code == EXIT_INTERRUPTED for document in documents),
        limits_of=lambda phase: limits[id(phase)],
    )
    first = min(runs, key=lambda run: run.started).document
    return Document(
        setup=replace(documents[0].setup, corpus=_corpus(documents), started=first.setup.started),
        calibration=_calibration(documents),
        phases=phases,
        whole=whole,
        knee=knee,
        findable=findable,
        thresholds=thresholds,
        verdict=replace(verdict, lines=(*verdict.lines, *_notes(documents, phases, windows))),
        exit_code=exit_code,
        parts=tuple(
            Part(
                machine=document.setup.machine,
                options=document.setup.options,
                started=document.setup.started,
                calibration=document.calibration,
                client_bound=document.verdict.client_bound,
                stored_per_second=document.whole.stored_per_second,
            )
            for document in documents
        ),
    )


def _started(document: Document, name: str) -> float:
    try:
        started = datetime.fromisoformat(document.setup.started)
        return (started if started.tzinfo else started.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f"{name}: does not say when it started, so it cannot be merged") from None


def _check_phases(first: _Run, other: _Run) -> None:
    """Raise UsageError if the two did not play the same phases."""
    ours, theirs = first.document.phases, other.document.phases
    if len(ours) != len(theirs):
        raise UsageError(
            f"{first.name} has {len(ours)} phases and {other.name} {len(theirs)}: only the same can be merged"
        )
    for left, right in zip(ours, theirs, strict=True):
        for what in ("name", "repeat", "model", "is_counted", "planned_seconds"):
            mine, its = getattr(left, what), getattr(right, what)
            if mine != its:
                raise UsageError(
                    f"phase '{left.name}' of {first.name} and phase '{right.name}' of {other.name} differ "
                    f"({what.replace('_', ' ')} {mine} and {its}): only the same phases can be merged"
                )


def _window(runs: Sequence[_Run], parts: Sequence[PhaseResult]) -> _Window:
    begins = [run.started + part.began for run, part in zip(runs, parts, strict=True)]
    ends = [begin + (part.loaded_seconds or part.seconds) for begin, part in zip(begins, parts, strict=True)]
    window = _Window(max(begins), min(ends), min(begins))
    if window.seconds <= 0 and not parts[0].is_counted:  # a warm-up says nothing about the sum
        return _Window(min(begins), max(ends), min(begins))
    if window.seconds <= 0:
        early, late = runs[ends.index(window.end)].name, runs[begins.index(window.begin)].name
        raise UsageError(
            f"phase '{parts[0].name}' was over in {early} before it began in {late}: only measurements that ran at the "
            "same time can be merged, on machines whose clocks agree"
        )
    return window


def _merged(runs: Sequence[_Run], parts: Sequence[PhaseResult], window: _Window) -> PhaseResult:
    begins = [run.started + part.began for run, part in zip(runs, parts, strict=True)]
    values = at_once([_within(part, window, begin) for part, begin in zip(parts, begins, strict=True)])
    return replace(
        parts[0],
        associations=sum(part.associations for part in parts),
        seconds=window.seconds,
        **values,
        series=_series(parts, [begin - window.first for begin in begins]),
        generator=generator_of(
            parts,
            sum(part.generator.cpu_seconds for part in parts),
            max(part.generator.cpu_share for part in parts),
        ),
        drift=None,
        began=window.first - min(run.started for run in runs),
        lost_after=_lost_after(parts, window),
    )


def _lost_after(parts: Sequence[PhaseResult], window: _Window) -> float | None:
    """When the first machine lost the peer; 0 if none of them had it at all."""
    if all(part.lost_after is None for part in parts):
        return None
    return window.seconds if any(part.loaded_seconds for part in parts) else 0.0


def _within(part: PhaseResult, window: _Window, begin: float) -> PhaseResult:
    """The phase with its rates over the window; it began at ``begin``."""
    if _ALMOST_ALL <= window.seconds / (part.loaded_seconds or part.seconds) <= 1 / _ALMOST_ALL:
        return part
    offered = stored = size = 0.0
    for point, length in zip(part.series, _lengths(part), strict=True):
        starts = begin + point.second
        common = min(starts + length, window.end) - max(starts, window.begin)
        if common > 0:
            offered += point.offered * common / length
            stored += point.taken * common / length
            size += point.taken_bytes * common / length
    rate = stored / window.seconds
    return replace(
        part,
        offered_per_second=offered / window.seconds,
        stored_per_second=rate,
        bytes_per_second=size / window.seconds,
        studies_per_hour=part.studies_per_hour * rate / part.stored_per_second if part.stored_per_second else 0.0,
    )


def _lengths(part: PhaseResult) -> Iterator[float]:
    """The lengths of the points of a phase, in seconds."""
    step = part.series[1].second - part.series[0].second if len(part.series) > 1 else part.seconds
    for point in part.series:
        rest = part.seconds - point.second
        yield min(step, rest) if rest > 0 else step


def _series(parts: Sequence[PhaseResult], delays: Sequence[float]) -> tuple[Point, ...]:
    """The points of all machines by the time at which they began. Percentiles cannot be added, so there are none."""
    found: defaultdict[float, list[Point]] = defaultdict(list)
    for part, delay in zip(parts, delays, strict=True):
        step = part.series[1].second - part.series[0].second if len(part.series) > 1 else 1.0
        shift = round(delay / step) * step if step > 0 else 0.0
        for point in part.series:
            found[point.second + shift].append(point)
    return tuple(_point(second, found[second]) for second in sorted(found))


def _point(second: float, points: Sequence[Point]) -> Point:
    return Point(
        second=second,
        **{name: sum(getattr(point, name) for point in points) for name in POINT_COUNTS},
        p50=None,
        p95=None,
        p99=None,
        max=max((point.max for point in points if point.max is not None), default=None),
        statuses=counts_of(point.statuses for point in points),
    )


def _calibration(documents: Sequence[Document]) -> Calibration | None:
    """What the machines reach together; ``None``: one of them does not say."""
    parts = [document.calibration for document in documents if document.calibration is not None]
    if len(parts) < len(documents):
        return None
    return Calibration(
        instances_per_second=sum(part.instances_per_second for part in parts),
        bytes_per_second=sum(part.bytes_per_second for part in parts),
        cpu_seconds_per_instance=sum(part.cpu_seconds_per_instance for part in parts) / len(parts),
    )


def _corpus(documents: Sequence[Document]) -> Corpus:
    """The kinds of all, and the hash of all if they sent the same; otherwise a hash of the hashes."""
    hashes = sorted({document.setup.corpus.hash for document in documents})
    kinds = {kind[:-1]: kind for document in documents for kind in document.setup.corpus.kinds}
    one = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    return Corpus(hash=one, kinds=tuple(kinds.values()))


def _findable(parts: Sequence[Findable]) -> Findable | None:
    if not parts:
        return None
    return Findable(
        asked=sum(part.asked for part in parts),
        found=sum(part.found for part in parts),
        not_found=sum(part.not_found for part in parts),
        latency=total_of(part.latency for part in parts),
        errors=counts_of(part.errors for part in parts),
    )


def _notes(documents: Sequence[Document], phases: Sequence[PhaseResult], windows: Sequence[_Window]) -> Iterator[str]:
    """What a reader of the sum should know."""
    rates = ", ".join(format_rate(document.whole.stored_per_second) for document in documents)
    yield f"This is the sum of {len(documents)} runs, which stored {rates}."
    for phase, window in zip(phases, windows, strict=True):
        if window.seconds < _MATTERS * phase.planned_seconds:
            yield (
                f"In {run_name(phase, phases)}, all of them ran together for {format_duration(window.seconds)} "
                f"of {format_duration(phase.planned_seconds)}; rates are those of this time."
            )
    peers = dict.fromkeys(f"{document.setup.peer.host}:{document.setup.peer.port}" for document in documents)
    if len(peers) > 1:
        yield f"They name different peers: {', '.join(peers)}."
    if len({document.setup.corpus.hash for document in documents}) > 1:
        yield "They sent different instances."
