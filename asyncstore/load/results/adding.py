"""Results added: phases one after another, and phases of several machines at the same time.

Histograms and counts are added. Rates one after another are weighted with the time of each phase; rates at the same
time are added.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncstore.load.results.document import Generator, Group, Groups, PhaseResult, Split
from asyncstore.load.results.histogram import total_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_RATES = ("stored_per_second", "bytes_per_second", "studies_per_hour")
"""Of what the peer took; they count while it was there."""
_COUNTS = ("offered", "stored", "warnings", "failed", "unknown", "dropped", "bytes", "studies")
_WAYS = ("modality", "sop_class", "transfer_syntax", "size_class")
_OPENING = ("connect", "tls", "associate")
_PARTS = (*_OPENING, "send", "wait", "release")


def whole_of(phases: Iterable[PhaseResult]) -> PhaseResult:
    """All counted phases together; their ``series`` stay with them. The peer was lost if it was lost in one of them."""
    counted = [phase for phase in phases if phase.is_counted]
    seconds = sum(phase.seconds for phase in counted)
    loaded = sum(phase.loaded_seconds for phase in counted)
    cpu = sum(phase.generator.cpu_seconds for phase in counted)
    cpu_share = sum(phase.generator.cpu_share * phase.seconds for phase in counted) / (seconds or 1.0)
    return PhaseResult(
        name="whole",
        repeat=1,
        model="open" if any(phase.model == "open" for phase in counted) else "closed",
        associations=max((phase.associations for phase in counted), default=0),
        is_counted=True,
        planned_seconds=sum(phase.planned_seconds for phase in counted),
        seconds=seconds,
        **_added(counted),
        offered_per_second=sum(phase.offered_per_second * phase.seconds for phase in counted) / (seconds or 1.0),
        **_mean_rates(counted, loaded),
        series=(),
        generator=generator_of(counted, cpu, cpu_share),
        drift=counted[0].drift if len(counted) == 1 else None,
        lost_after=loaded if any(phase.lost_after is not None for phase in counted) else None,
    )


def with_openings(whole: PhaseResult, phases: Sequence[PhaseResult]) -> PhaseResult:
    """The whole of these phases. If they use the associations of the warm-up, it has the times of opening those."""
    if whole.split.connect.count:
        return whole
    openings = {name: total_of(getattr(phase.split, name) for phase in phases) for name in _OPENING}
    return replace(whole, split=replace(whole.split, **openings))


def at_once(phases: Sequence[PhaseResult]) -> dict[str, Any]:
    """The counts, histograms and rates of phases of several machines at the same time."""
    rates = ("offered_per_second", *_RATES)
    return {**_added(phases), **{rate: sum(getattr(phase, rate) for phase in phases) for rate in rates}}


def generator_of(phases: Sequence[PhaseResult], cpu_seconds: float, cpu_share: float) -> Generator:
    """The generators of phases as one."""
    return Generator(
        cpu_seconds=cpu_seconds,
        cpu_share=cpu_share,
        lag=total_of(phase.generator.lag for phase in phases),
        lateness=total_of(phase.generator.lateness for phase in phases),
    )


def _mean_rates(phases: Sequence[PhaseResult], seconds: float) -> dict[str, Any]:
    return {
        rate: sum(getattr(phase, rate) * phase.loaded_seconds for phase in phases) / seconds if seconds else 0.0
        for rate in _RATES
    }


def _added(phases: Sequence[PhaseResult]) -> dict[str, Any]:
    return {
        **{name: sum(getattr(phase, name) for phase in phases) for name in _COUNTS},
        "statuses": counts_of(phase.statuses for phase in phases),
        "errors": counts_of(phase.errors for phase in phases),
        "latency": total_of(phase.latency for phase in phases),
        "service": total_of(phase.service for phase in phases),
        "study_latency": total_of(phase.study_latency for phase in phases),
        "split": Split(**{name: total_of(getattr(phase.split, name) for phase in phases) for name in _PARTS}),
        "by": Groups(**{name: _groups([getattr(phase.by, name) for phase in phases]) for name in _WAYS}),
    }


def counts_of(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _groups(parts: Sequence[Mapping[str, Group]]) -> dict[str, Group]:
    names = {name: None for part in parts for name in part}
    return {name: _group([part[name] for part in parts if name in part]) for name in names}


def _group(parts: Sequence[Group]) -> Group:
    return Group(
        stored=sum(part.stored for part in parts),
        failed=sum(part.failed for part in parts),
        bytes=sum(part.bytes for part in parts),
        latency=total_of(part.latency for part in parts),
    )
