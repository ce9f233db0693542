"""What a measurement says, in plain English, and the exit code.

Rules:

1. The most important line comes first: whether this side was the limit, then whether the PACS was lost, then the
   thresholds, then what was reached.
2. Where this side was the limit, no line calls anything the limit of the PACS, and no knee is named.
3. Counts of failures are never left out, however well the rest went.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from asyncstore.load.results.document import Verdict
from asyncstore.load.results.histogram import total_of
from asyncstore.load.results.naming import run_name
from asyncstore.load.results.thresholds import parse, say
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_count,
    format_duration,
    format_latency,
    format_rate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncstore.load.results.document import (
        Calibration,
        Drift,
        Findable,
        Knee,
        PhaseResult,
        ThresholdResult,
    )

EXIT_PASSED: Final = 0
EXIT_NOTHING: Final = 1
EXIT_NOT_STORED: Final = 2
EXIT_CROSSED: Final = 99
"""As k6 has it."""
EXIT_INTERRUPTED: Final = 130

_MOST_CPU: Final = 0.9
"""Of a core: the event loop runs on one, and waits for it from there on."""
_NEAR_CALIBRATION: Final = 0.9
"""The share of the calibrated rate from which on this side may be the limit."""
_MOST_LATENESS: Final = 0.005
"""Seconds by which 99 % of the instances may begin late; more would be a part of the latencies that are measured."""
_LATE_SHARE: Final = 0.1
"""Of the p99 of the latencies: a smaller part of them changes nothing that they say."""
_MOST_LAG: Final = 0.001
"""Seconds by which the event loop may be late on average: the timers of uvloop are late by half of it."""
_FEWEST: Final = 20
"""Times from which a 99th percentile says something."""
_FEWEST_FOR_P99: Final = 100
"""Times of which one is beyond the 99th percentile; of fewer it is the longest."""
_FEWEST_POINTS: Final = 5
"""Of a phase in which a pause is told: 2 s of fewer are its beginning or its end."""
_BUSY: Final = 5
"""Instances that are stored in a point on average, from which a point without any is no chance (e**-5 is 0.7 %)."""
_DROPPED: Final = 0.01
"""The share of offered instances that may be dropped at the end of a load that the PACS keeps up with."""
_WITHIN: Final = 0.95
"""The share of an offered rate that is stored within its phase, unless stores take long beside it."""
_SLOWER: Final = 1.25
"""The ratio of latencies that is a drift; histograms of 100 times differ by less."""
_FEWER: Final = 0.9
"""The ratio of rates that is a drift."""
_USUAL: Final = 2.5
"""How much larger a drift is than the changes between neighbouring tenths (their root mean square). Without a drift
2.6 % of the changes are larger by chance; a change that comes all at once is 3 times as large."""
_TELLING: Final = 0.001
"""Seconds: shorter changes of a latency are the network's and the system's."""


def client_limits(phase: PhaseResult, calibration: Calibration | None) -> tuple[str, ...]:
    """Why this side may have been the limit in a phase; empty: it was not."""
    reasons = []
    generator = phase.generator
    if generator.cpu_share > _MOST_CPU:
        reasons.append(f"it used {generator.cpu_share * 100:.0f} % of a core")
    if calibration is not None and phase.stored_per_second >= _NEAR_CALIBRATION * calibration.instances_per_second > 0:
        reasons.append(
            f"it sent {format_rate(phase.stored_per_second)}, and in the calibration it reached "
            f"{format_rate(calibration.instances_per_second)} against a sink of its own"
        )
    late = generator.lateness.percentile(99)
    is_telling = phase.stored and generator.lateness.count >= _FEWEST  # without a latency, it is a part of nothing
    if is_telling and late > max(_MOST_LATENESS, _LATE_SHARE * phase.latency.percentile(99)):
        reasons.append(f"instances began up to {format_latency(late)} late (p99) although an association was free")
    return tuple(reasons)


def judge(
    phases: Sequence[PhaseResult],
    whole: PhaseResult,
    *,
    calibration: Calibration | None = None,
    knee: Knee | None = None,
    findable: Findable | None = None,
    thresholds: Sequence[ThresholdResult] = (),
    is_interrupted: bool = False,
    limits_of: Callable[[PhaseResult], Sequence[str]] | None = None,
) -> tuple[Verdict, int]:
    """The verdict and the exit code.

    Args:
        phases: all phases, in order.
        whole: the counted ones together.
        calibration: what this machine reaches.
        knee: from :func:`~asyncstore.load.results.knee.knee_of`, which was told the client-bound phases.
        findable: the times to findable.
        thresholds: what they evaluated to.
        is_interrupted: whether the user ended the measurement.
        limits_of: says why this side may have been the limit in a phase; usually :func:`client_limits`.
    """
    limits_of = limits_of or partial(client_limits, calibration=calibration)
    counted_phases = [phase for phase in phases if phase.is_counted]
    bound = [phase for phase in counted_phases if limits_of(phase)]
    code = exit_code(whole, thresholds, is_interrupted=is_interrupted)
    lines = (
        *_of_client(counted_phases, bound, limits_of),
        *_of_lost(counted_phases),
        *_of_thresholds(thresholds, code, whole, is_client_bound=bool(bound)),
        *_of_knee(knee),
        *(_of_load(counted_phases, whole, is_client_bound=bool(bound)) if whole.ended else _of_nothing(phases)),
        *_of_few(counted_phases),
        *_of_lag([phase for phase in counted_phases if _is_late(phase) and not limits_of(phase)], counted_phases),
        *_of_losses(whole),
        *_of_pauses(counted_phases),
        *_of_recommendation(knee),
        *_of_drifts(counted_phases),
        *_of_findable(findable),
    )
    return Verdict(passed=code == EXIT_PASSED, client_bound=bool(bound), lines=lines), code


def exit_code(whole: PhaseResult, thresholds: Sequence[ThresholdResult], *, is_interrupted: bool = False) -> int:
    """The exit code.

    0 passed, 99 a threshold is crossed, 2 some instances were not stored or the PACS was lost, 1 none was attempted,
    130 interrupted.

    A threshold on failed or unknown instances that holds allows them.
    """
    allowed = {parse(threshold.text).metric for threshold in thresholds}
    if is_interrupted:
        return EXIT_INTERRUPTED
    if not whole.ended:
        return EXIT_NOTHING
    if any(threshold.is_crossed for threshold in thresholds):
        return EXIT_CROSSED
    if whole.lost_after is not None:
        return EXIT_NOT_STORED
    if (whole.failed and "failed" not in allowed) or (whole.unknown and "unknown" not in allowed):
        return EXIT_NOT_STORED
    return EXIT_PASSED


def _of_client(
    phases: Sequence[PhaseResult],
    bound: Sequence[PhaseResult],
    limits_of: Callable[[PhaseResult], Sequence[str]],
) -> Iterator[str]:
    if not bound:
        return
    worst = max(bound, key=lambda phase: phase.stored_per_second)
    where = _where(bound, phases)
    yield f"Client-bound: this side was the limit{where}, so nothing here is the limit of the PACS."
    yield f"This side: {_listed(limits_of(worst))}."


def _where(some: Sequence[PhaseResult], phases: Sequence[PhaseResult]) -> str:
    """The names of some of these phases in brackets; of all of them, nothing."""
    is_one_load = len({phase.name for phase in phases}) == 1
    names = list(dict.fromkeys(run_name(phase, phases) if is_one_load else phase.name for phase in some))
    return "" if len(some) == len(phases) else f" ({_listed(names)})"


def _of_lost(phases: Sequence[PhaseResult]) -> Iterator[str]:
    """In which loads the PACS was lost for the rest of them; the rates are those until then."""
    lost = [phase for phase in phases if phase.lost_after]
    never = [run_name(phase, phases) for phase in phases if phase.lost_after == 0]
    if lost:
        when = [f"after {format_duration(phase.loaded_seconds)} ({run_name(phase, phases)})" for phase in lost]
        yield f"The PACS was lost {_listed(when)}, and no association could be opened. Rates are those until then."
    if never:
        yield f"The PACS was not there: no association could be opened ({_listed(never)})."


def _of_thresholds(
    thresholds: Sequence[ThresholdResult], code: int, whole: PhaseResult, *, is_client_bound: bool
) -> Iterator[str]:
    crossed = [threshold for threshold in thresholds if threshold.is_crossed]
    if crossed:
        whose = " This side may have crossed it, not the PACS." if is_client_bound else ""
        yield f"Not passed: {'; '.join(map(say, crossed))}.{whose}"
    elif thresholds:
        holds = "the threshold holds" if len(thresholds) == 1 else "all thresholds hold"
        if code == EXIT_NOT_STORED and whole.lost_after is not None:
            yield f"Not passed: {holds}, but the PACS was lost."
        elif code == EXIT_NOT_STORED:
            yield f"Not passed: {holds}, but some instances were not stored, and no threshold allows that."
        else:
            yield f"Passed: {holds}."


def _of_nothing(phases: Sequence[PhaseResult]) -> Iterator[str]:
    """Why no store of a load that counts has ended."""
    unanswered = sum(phase.unknown for phase in phases)
    if unanswered:
        yield f"Nothing was measured: {counted(unanswered, 'instance')} of the warm-up got no response."
    elif any(phase.ended for phase in phases):
        yield "Nothing was measured: no instance was sent after the warm-up."
    else:
        yield "Nothing was measured: no instance was sent."


def _of_load(phases: Sequence[PhaseResult], whole: PhaseResult, *, is_client_bound: bool) -> Iterator[str]:
    if not whole.stored:
        yield "The PACS stored nothing."
        return
    steady = [phase for phase in phases if phase.lost_after is None and phase.stored]
    best = max(steady or phases, key=lambda phase: phase.stored_per_second, default=whole)
    several = {phase.associations for phase in phases if phase.model == "closed"}
    if whole.model == "open":
        yield from _of_open_load(whole, is_client_bound=is_client_bound)
    elif len(several) > 1:
        yield f"The best step was {counted(best.associations, 'association')}: {_reached(best)}."
    else:
        yield f"With {counted(whole.associations, 'association')}: {_reached(whole)}."


def was_kept_up(whole: PhaseResult) -> bool:
    """Whether next to all instances could begin in time."""
    return whole.dropped <= _DROPPED * whole.offered


def _of_open_load(whole: PhaseResult, *, is_client_bound: bool) -> Iterator[str]:
    offered = format_rate(whole.offered_per_second)
    if was_kept_up(whole):
        is_late = whole.stored_per_second < _WITHIN * whole.offered_per_second
        taken = "all were taken, some after their phase: " if is_late else "all were taken: "
        if whole.failed or whole.unknown:
            taken = ""
        yield f"Of {offered} that were offered, {taken}{_reached(whole)}."
        return
    share = whole.dropped / whole.offered * 100
    dropped = f"{counted(whole.dropped, 'instance')} ({share:.1f} %) could not begin in time"
    who = "The load was not kept up: of" if is_client_bound else "The PACS did not keep up: of"
    if whole.lost_after is not None:  # until then it may have kept up
        who = "Of"
    yield f"{who} {offered} that were offered, {_reached(whole)}; {dropped}."


def _reached(phase: PhaseResult) -> str:
    p50, p99 = phase.latency.percentiles((50.0, 99.0))
    return (
        f"{format_rate(phase.stored_per_second)} stored, {format_byte_rate(phase.bytes_per_second)}, "
        f"p50 {format_latency(p50)}, p99 {format_latency(p99)}"
    )


def _of_few(phases: Sequence[PhaseResult]) -> Iterator[str]:
    few = [phase for phase in phases if 0 < phase.stored < _FEWEST_FOR_P99]
    if few:
        yield f"Fewer than {_FEWEST_FOR_P99} instances were stored{_where(few, phases)}: p99 is the longest latency."


def _of_lag(late: Sequence[PhaseResult], phases: Sequence[PhaseResult]) -> Iterator[str]:
    """By how much latencies are too long, because this side did other work when responses came."""
    if late:
        lag = total_of(phase.generator.lag for phase in late)
        yield (
            f"This side was late itself{_where(late, phases)}, by {format_latency(lag.mean)} on average and "
            f"{format_latency(lag.percentile(99))} at p99: latencies are too long by as much. Does another program "
            "use its processor?"
        )


def _is_late(phase: PhaseResult) -> bool:
    lag, latency = phase.generator.lag, phase.latency
    is_late_at_times = lag.percentile(99) > max(_MOST_LATENESS, _LATE_SHARE * latency.percentile(99))
    return (
        phase.stored > 0
        and lag.count >= _FEWEST
        and (is_late_at_times or lag.mean > max(_MOST_LAG, _LATE_SHARE * latency.mean))
    )


def _of_losses(whole: PhaseResult) -> Iterator[str]:
    if whole.failed or whole.unknown:
        was = "was" if whole.unknown == 1 else "were"
        unknown = f", and {format_count(whole.unknown)} {was} not answered" if whole.unknown else ""
        yield f"Of {counted(whole.ended, 'instance')}, {format_count(whole.failed)} failed{unknown}."
    lost = sum(whole.errors.values())
    if lost:
        often = "once" if lost == 1 else f"{format_count(lost)} times"
        yield f"An association was lost or could not be opened {often}."


def _of_pauses(phases: Sequence[PhaseResult]) -> Iterator[str]:
    pauses = [(*_longest_pause(phase), phase) for phase in phases]
    seconds, begin, phase = max(pauses, key=lambda pause: pause[0], default=(0.0, 0.0, None))
    if phase is not None and seconds:
        when = f"after {format_duration(begin)}" if begin else "from its beginning"
        yield (
            f"The longest pause, in which nothing was stored, was at least {format_duration(seconds)} "
            f"({run_name(phase, phases)}, {when})."
        )


def _longest_pause(phase: PhaseResult) -> tuple[float, float]:
    """The longest time of two points or more without a stored instance, and when it began; 0: there is none.

    A point of an open load in which nothing was to be stored is no pause.
    """
    points = [point for point in phase.series if point.second < phase.loaded_seconds]
    if len(points) < _FEWEST_POINTS or phase.stored < _BUSY * len(points):
        return 0.0, 0.0
    step = points[1].second - points[0].second
    longest = most = waiting = 0
    begin = 0.0
    for number, point in enumerate(points):
        waiting += point.offered
        is_idle = phase.model == "open" and not waiting
        most = 0 if point.taken or is_idle else most + 1
        waiting -= point.stored + point.failed + point.unknown + point.dropped
        if most > longest:
            longest, begin = most, points[number + 1 - most].second
    return (longest * step, begin) if longest > 1 else (0.0, 0.0)


def _of_knee(knee: Knee | None) -> Iterator[str]:
    """With how many associations the throughput stops growing, if it is not the best step, which has its own line."""
    if knee is None:
        return
    step = next((step for step in knee.steps if step.associations == knee.associations), None)
    if step is not None and step.stored_per_second < knee.best_per_second:
        yield (
            f"{counted(step.associations, 'association')} {'is' if step.associations == 1 else 'are'} enough: "
            f"{format_rate(step.stored_per_second)} with a p99 of {format_latency(step.p99)}, "
            f"where the best of all is {format_rate(knee.best_per_second)}."
        )


def _of_recommendation(knee: Knee | None) -> Iterator[str]:
    if knee is not None and knee.recommended is None:
        yield "No number of associations is recommended."


def _of_drifts(phases: Sequence[PhaseResult]) -> Iterator[str]:
    for phase in phases:
        is_given = phase.model == "open" and was_kept_up(phase)  # then the rate is that of the arrivals
        changes = [] if phase.drift is None else list(_changes(phase.drift, is_rate_given=is_given))
        if changes:
            name = run_name(phase, phases)
            yield f"It changed over time ({name}): from the first to the last tenth, {_listed(changes)}."


def _changes(drift: Drift, *, is_rate_given: bool) -> Iterator[str]:
    first, last = drift.first, drift.last
    rates = sorted((first.stored_per_second, last.stored_per_second))
    if rates[0] < _FEWER * rates[1] and not is_rate_given and _is_unusual(drift, "stored_per_second"):
        yield f"the rate went from {format_rate(first.stored_per_second)} to {format_rate(last.stored_per_second)}"
    for name in ("p50", "p99"):
        before, after = getattr(first, name), getattr(last, name)
        low, high = sorted((before, after))
        if high > _SLOWER * low and high - low > _TELLING and _is_unusual(drift, name):
            yield f"{name} went from {format_latency(before)} to {format_latency(after)}"


def _is_unusual(drift: Drift, name: str) -> bool:
    """Whether a number changed more than by chance, as far as the tenths show it."""
    values = [getattr(tenth, name) for tenth in drift.tenths]
    steps = [after - before for before, after in pairwise(values)]
    return not steps or abs(values[-1] - values[0]) > _USUAL * math.hypot(*steps) / math.sqrt(len(steps))


def _of_findable(findable: Findable | None) -> Iterator[str]:
    if findable is None or not findable.asked:
        return
    if not findable.found:
        yield f"C-FIND found none of {counted(findable.asked, 'instance')}."
        return
    p50, p99 = findable.latency.percentiles((50.0, 99.0))
    missing = f"; {format_count(findable.not_found)} were not found" if findable.not_found else ""
    yield f"C-FIND found stored instances after {format_latency(p50)} (p50), {format_latency(p99)} (p99){missing}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
