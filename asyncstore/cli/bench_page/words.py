"""The words of the page: the verdict first, then the key numbers, then what is needed to measure again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.knee import recommended_step
from asyncstore.cli.bench_page.names import sentence, time_text
from asyncstore.cli.exits import EXIT_INTERRUPTED
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
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.load.results.document import Document, PhaseResult


class Headline(NamedTuple):
    """The verdict."""

    badge: str
    """In one or two words."""
    text: str
    """In a sentence."""
    mood: str
    """Its class in the style sheet: ``good``, ``bad`` or ``warn``."""


def headline(document: Document) -> Headline:
    """The verdict: its most important line, and what kind it is."""
    badge, mood = _badge(document)
    lines = document.verdict.lines
    text = lines[0].removeprefix(f"{badge}: ") if lines else "Nothing was measured."
    return Headline(badge, sentence(text), mood)


def _badge(document: Document) -> tuple[str, str]:
    if document.verdict.client_bound:
        return "Client-bound", "warn"
    if any(threshold.is_crossed for threshold in document.thresholds):
        return "Crossed", "bad"
    if document.exit_code == EXIT_INTERRUPTED:
        return "Interrupted", "warn"
    if document.verdict.passed:
        if document.thresholds:
            return "Passed", "good"
        return "Measured", "good" if was_kept_up(document.whole) else "warn"
    return _failure(document.whole), "bad"


def _failure(whole: PhaseResult) -> str:
    if not whole.stored:
        return "Nothing stored"
    return "Not everything stored" if whole.lost_after is None else "PACS lost"


def remarks(document: Document) -> Iterator[str]:
    """What else the verdict says."""
    if document.exit_code == EXIT_INTERRUPTED:
        yield "The measurement was interrupted: these are the results until then."
    yield from document.verdict.lines[1:]


def key_numbers(document: Document) -> Iterator[tuple[str, str, str]]:
    """The numbers that most readers look for: name, number, what else must be known of it."""
    whole = document.whole
    yield from _rates(document)
    if whole.latency.count and document.knee is None:
        median, slow, slowest = whole.latency.percentiles((50, 99, 100))
        yield "Latency p50", format_latency(median), ""
        yield "Latency p99", format_latency(slow), f"largest {format_latency(slowest)}"
    of_machines = f"of {counted(len(document.parts), 'machine')}"  # not all of them are of the time of the sum
    more = of_machines if document.parts else f"in {format_duration(whole.loaded_seconds)}"
    yield "Instances", format_count(whole.stored), more
    yield "Not stored", format_count(whole.failed + whole.unknown), ", ".join(_lacking(whole))
    if whole.model == "open":
        share = f"{100 * whole.dropped / whole.offered:.2g} % of the offered" if whole.offered else ""
        yield "Dropped", format_count(whole.dropped), share
    yield "CPU of this side", f"{100 * whole.generator.cpu_share:.0f} %", "of a core"


def _rates(document: Document) -> Iterator[tuple[str, str, str]]:
    """Rates: with steps the best one, because the mean over all numbers of associations says nothing."""
    whole, knee = document.whole, document.knee
    if knee is not None and knee.steps:
        step = recommended_step(document)
        if step is not None:
            more = f"{format_rate(step.stored_per_second)}, p99 {format_latency(step.p99)}"
            yield "Associations to use", format_count(step.associations), more
        best = max(knee.steps, key=lambda step: step.stored_per_second)
        more = f"with {counted(best.associations, 'association')}"
        yield "Best rate", format_rate(best.stored_per_second), more
        return
    offered = f"of {format_rate(whole.offered_per_second)} offered" if whole.model == "open" else ""
    yield "Stored", format_rate(whole.stored_per_second), offered
    yield "Data", format_byte_rate(whole.bytes_per_second), f"{format_bytes(whole.bytes)} in all"
    if whole.studies_per_hour:
        yield "Studies", f"{format_count(round(whole.studies_per_hour))}/h", ""


def _lacking(whole: PhaseResult) -> list[str]:
    parts = ((whole.failed, "failed"), (whole.unknown, "without a response"))
    return [f"{format_count(count)} {what}" for count, what in parts if count]


def peer_words(document: Document) -> str:
    """Who was measured."""
    peer = document.setup.peer
    version = f", {peer.implementation_version_name}" if peer.implementation_version_name else ""
    return f"{peer.called_ae_title} at {peer.host} port {peer.port}{version}, from {time_text(document.setup.started)}"


def peer_facts(document: Document) -> Iterator[tuple[str, str]]:
    """The peer, and what was negotiated with it."""
    peer = document.setup.peer
    yield "Peer", f"{peer.host}, port {peer.port}"
    yield "Called AE title", peer.called_ae_title
    if peer.implementation_version_name:
        yield "Implementation version", peer.implementation_version_name
    if peer.implementation_class_uid:
        yield "Implementation class UID", peer.implementation_class_uid
    if peer.maximum_length is not None:
        yield (
            "Maximum PDU length",
            "unlimited" if peer.maximum_length == 0 else f"{format_count(peer.maximum_length)} B",
        )
    if peer.window is not None:
        window = "unlimited" if peer.window == 0 else counted(peer.window, "C-STORE")
        yield "Asynchronous operations window", window


def setup_facts(document: Document) -> Iterator[tuple[str, str]]:
    """What is needed to measure again."""
    setup, calibration = document.setup, document.calibration
    yield "Started", time_text(setup.started)
    yield "asyncstore", setup.asyncstore
    yield "Python", setup.python
    for name, value in setup.machine.items():
        yield f"Machine: {name}", _plain(value)
    yield "Corpus", setup.corpus.hash
    yield "Seed", _plain(setup.seed)
    for name, option in setup.options.items():
        shown = name if name.startswith("-") else f"--{name}"
        yield shown, ", ".join(map(_plain, option)) if isinstance(option, tuple) else _plain(option)
    if calibration is not None:
        rates = f"{format_rate(calibration.instances_per_second)}, {format_byte_rate(calibration.bytes_per_second)}"
        cpu = f"{format_latency(calibration.cpu_seconds_per_instance)} of CPU for an instance"
        is_over_tls = any(phase.split.tls.count for phase in document.phases)
        yield "Calibration", f"{rates}, {cpu}{' (without TLS; with TLS it is less)' if is_over_tls else ''}"


def _plain(value: float | str | bool | None) -> str:  # noqa: FBT001 - a value of JSON
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
