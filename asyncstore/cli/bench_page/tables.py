"""The tables of the page: the numbers of the plots, and those that no plot shows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.html import details, paragraph, table
from asyncstore.cli.bench_page.names import GROUPS, groups, sentence, time_text
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.errors import UsageError
from asyncstore.load.results import scalability
from asyncstore.load.results.naming import loss_note, run_name, status_text
from asyncstore.load.results.thresholds import parse
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_bytes,
    format_count,
    format_duration,
    format_latency,
    format_rate,
)

if TYPE_CHECKING:
    from asyncstore.load.results.document import Document, ThresholdResult
    from asyncstore.load.results.histogram import Histogram

_MOST_ROWS = 100
_SUCCESS = "0x0000"
_SHARES = (50.0, 95.0, 99.0, 100.0)
_SHARE_NAMES = ("#p50", "#p95", "#p99", "#largest")


def phases(document: Document) -> str:
    """A row for each phase, and one for all that count."""
    shown = [(f"{run_name(phase, document.phases)}{loss_note(phase)}", phase) for phase in document.phases[:_MOST_ROWS]]
    shown.append(("all that count", document.whole))
    is_open = any(phase.model == "open" for phase in document.phases)
    offered, dropped = (("#offered",), ("#dropped",)) if is_open else ((), ())
    head = ("phase", "#associations", *offered, "#stored", "#data", *_SHARE_NAMES, "#not stored", *dropped, "#time")
    rows = [
        (
            name if phase.is_counted else f"{name} (does not count)",
            format_count(phase.associations),
            *(format_rate(phase.offered_per_second) for _ in offered),
            format_rate(phase.stored_per_second),
            format_byte_rate(phase.bytes_per_second),
            *_times(phase.latency),
            format_count(phase.failed + phase.unknown),
            *(format_count(phase.dropped) for _ in dropped),
            format_duration(phase.seconds),
        )
        for name, phase in shown
    ]
    return table(head, rows)


def steps(document: Document) -> str:
    """The steps of the knee with what the law says of each, and the law itself."""
    knee = document.knee
    if knee is None:
        return ""
    law = knee.law
    residuals = [f"{100 * share:+.1f} %" for share in law.residuals] if law else [""] * len(knee.steps)
    rows = [
        (
            format_count(step.associations),
            format_rate(step.stored_per_second),
            format_latency(step.p50),
            format_latency(step.p99),
            format_count(step.repeats),
            residual,
        )
        for step, residual in zip(knee.steps, residuals, strict=True)
    ]
    words = []
    if law:
        words.append(scalability.say(law))
    words += [f"{sentence(reason)}." for reason in knee.reasons]
    head = ("#associations", "#stored", "#p50", "#p99", "#runs", "#residual")
    return "".join(map(paragraph, words)) + details("The numbers", table(head, rows))


def statuses(document: Document) -> str:
    """Statuses if not all are success, and the reasons for which associations were lost."""
    whole = document.whole
    rows = [
        (format_count(count), status_text(status)) for status, count in Counter(whole.statuses).most_common(_MOST_ROWS)
    ]
    if set(whole.statuses) <= {_SUCCESS}:
        rows = []
    lost = [(format_count(count), reason) for reason, count in Counter(whole.errors).most_common(_MOST_ROWS)]
    return table(("#instances", "status"), rows) + table(("#associations", "lost or not opened, because"), lost)


def group_tables(document: Document) -> str:
    """The tables of instances by kind."""
    shown = []
    for way, name in GROUPS.items():
        rows = [
            (
                format_count(group.stored),
                format_count(group.failed),
                format_bytes(group.bytes),
                *_times(group.latency),
                group_name,
            )
            for group_name, group in groups(document, way)[:_MOST_ROWS]
        ]
        shown.append(table(("#stored", "#failed", "#data", *_SHARE_NAMES, name), rows))
    return details("The numbers", "".join(shown))


def thresholds(document: Document) -> str:
    """The thresholds."""
    rows = [
        (
            threshold.text,
            _measured(threshold),
            "crossed" if threshold.is_crossed else "holds",
        )
        for threshold in document.thresholds
    ]
    return table(("threshold", "#measured", "result"), rows)


def _measured(threshold: ThresholdResult) -> str:
    if threshold.value is None:
        return "not measured"
    try:
        return parse(threshold.text).unit.say(threshold.value)
    except UsageError:  # the file may be anybody's
        return f"{threshold.value:.4g}"


def machines(document: Document) -> str:
    """The machines whose measurements were merged."""
    rows = [
        (
            format_rate(part.stored_per_second),
            format_rate(part.calibration.instances_per_second) if part.calibration else "not measured",
            "yes" if part.client_bound else "no",
            time_text(part.started),
            ", ".join(f"{name}: {value}" for name, value in part.machine.items()),
        )
        for part in document.parts[:_MOST_ROWS]
    ]
    return table(("#stored", "#calibrated", "client-bound", "started", "machine"), rows)


def kinds(document: Document) -> str:
    """What was sent."""
    rows = [
        (
            kind.name,
            f"{100 * kind.share:.3g} %",
            format_bytes(kind.bytes),
            format_count(kind.instances_per_study),
            kind.modality,
            uid_name(kind.transfer_syntax_uid),
            uid_name(kind.sop_class_uid),
        )
        for kind in document.setup.corpus.kinds[:_MOST_ROWS]
    ]
    head = ("kind", "#share", "#data set", "#in a study", "modality", "transfer syntax", "SOP class")
    return table(head, rows)


def findable_words(document: Document) -> str:
    """How many instances were asked for, and why some were not found."""
    findable = document.findable
    if findable is None:
        return ""
    median, slow = findable.latency.percentiles((50.0, 99.0))
    words = f"C-FIND asked for {counted(findable.asked, 'instance')}: {format_count(findable.found)} found, "
    words += f"{format_count(findable.not_found)} not found"
    words += (
        f", half of them within {format_latency(median)}, 99 % within {format_latency(slow)}."
        if findable.found
        else "."
    )
    rows = [(format_count(count), reason) for reason, count in Counter(findable.errors).most_common(_MOST_ROWS)]
    return paragraph(words) + table(("#times", "C-FIND failed, because"), rows)


def drift_words(document: Document) -> str:
    """The numbers of the drift."""
    phase = max((phase for phase in document.phases if phase.drift), key=lambda phase: phase.seconds, default=None)
    if phase is None or phase.drift is None:
        return ""
    parts = (("First tenth", phase.drift.first), ("Last tenth", phase.drift.last))
    return paragraph(
        " ".join(
            f"{name}: {format_rate(tenth.stored_per_second)}, p50 {format_latency(tenth.p50)}, "
            f"p99 {format_latency(tenth.p99)}."
            for name, tenth in parts
        )
    )


def _times(latency: Histogram) -> tuple[str, ...]:
    """The percentiles for a row; hyphens if there are none."""
    return tuple(map(format_latency, latency.percentiles(_SHARES))) if latency.count else ("-",) * len(_SHARES)
