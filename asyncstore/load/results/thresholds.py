"""Thresholds: what a measurement must reach, as a user writes it: ``p99<2s``, ``failed<0.1%``, ``rate>150/s``.

Rules:

1. A threshold is a metric, one of ``<``, ``<=``, ``>``, ``>=``, and a limit with its unit. Times and rates need a unit,
   because a bare number could be seconds or milliseconds; counts have none, and shares end in ``%``.
2. A metric that was not measured crosses its threshold: nothing shows that it holds. Nor does a rate if the peer was
   lost, because it is the rate until then.
3. Values are in seconds, per second, studies per hour, bytes per second, instances, or shares of 1.
"""

from __future__ import annotations

import operator
import re
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final

from asyncstore.errors import UsageError
from asyncstore.load.results.document import ThresholdResult
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import format_byte_rate, format_count, format_latency, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncstore.load.results.document import Findable, PhaseResult
    from asyncstore.load.results.histogram import Histogram

_FORM: Final = re.compile(
    r"\s*(?P<metric>[^<>=]*?)\s*(?P<operator><=?|>=?)\s*(?P<number>[0-9.]+)\s*(?P<unit>[^0-9.]*?)\s*"
)
_PERCENTILE: Final = re.compile(r"p(?P<percent>\d{1,2}(?:\.\d{1,3})?|100)")

_MOST: Final = 1e15
"""Beyond all that is measured; larger limits could become infinite."""

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Unit(Enum):
    """What a value counts; a unit has its factors by the words for them."""

    TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}  # noqa: RUF012 - an enum's value
    RATE = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}  # noqa: RUF012
    STUDIES = {"/h": 1.0, "/s": 3600.0, "/min": 60.0}  # noqa: RUF012
    BYTES = {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9}  # noqa: RUF012
    COUNT = {"": 1.0}  # noqa: RUF012
    SHARE = {"%": 0.01}  # noqa: RUF012

    def say(self, value: float) -> str:
        """The value for people."""
        match self:
            case Unit.TIME:
                return format_latency(value)
            case Unit.RATE:
                return f"{_three(value)}/s"
            case Unit.STUDIES:
                return f"{_three(value)}/h"
            case Unit.BYTES:
                return format_byte_rate(value)
            case Unit.SHARE:
                return f"{value * 100:.3g} %"
            case _:
                return format_count(round(value))


def _three(value: float) -> str:
    """Three significant digits without an exponent."""
    return f"{value:.0f}" if value >= 999.5 else f"{value:.3g}"  # noqa: PLR2004 - here three digits are not enough


_TIMES: Final[dict[str, Callable[[PhaseResult, Findable | None], Histogram | None]]] = {
    "latency": lambda whole, _: whole.latency,
    "service": lambda whole, _: whole.service,
    "study": lambda whole, _: whole.study_latency,
    "lateness": lambda whole, _: whole.generator.lateness,
    "findable": lambda _, findable: None if findable is None else findable.latency,
}

_RATES: Final[dict[str, tuple[Unit, Callable[[PhaseResult], float]]]] = {
    "rate": (Unit.RATE, lambda whole: whole.stored_per_second),
    "bytes": (Unit.BYTES, lambda whole: whole.bytes_per_second),
    "studies": (Unit.STUDIES, lambda whole: whole.studies_per_hour),
}

_COUNTS: Final[dict[str, Callable[[PhaseResult], tuple[int, int]]]] = {
    "failed": lambda whole: (whole.failed, whole.ended),
    "unknown": lambda whole: (whole.unknown, whole.ended),
    "warnings": lambda whole: (whole.warnings, whole.ended),
    "dropped": lambda whole: (whole.dropped, whole.offered),
}
"""How many, and of how many."""

UNDERSTOOD: Final = (
    "p50 to p99.9, max, mean (of the latency; of others as in 'study p95', 'findable p99', 'lateness p99', "
    "'service p99'), rate, bytes, studies, failed, unknown, warnings, dropped"
)


class Threshold(NamedTuple):
    """A threshold that was understood."""

    text: str
    """As the user wrote it."""
    metric: str
    """``latency p99``, ``failed``, ``rate``."""
    operator: str
    limit: float
    unit: Unit

    def holds(self, value: float) -> bool:
        """Whether a value is on the right side of the limit."""
        return _OPERATORS[self.operator](value, self.limit)


def parse(text: str) -> Threshold:
    """Understand a threshold.

    Raises:
        UsageError: it is not understood; the text names the word and says what is understood.
    """
    shown = printable(text)
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(
            f"threshold '{shown}': not understood; write a metric, < or >, and a limit: p99<2s, failed<0.1%"
        )
    metric = " ".join(form["metric"].split())
    units = _units_of(metric, shown)
    number = _number(form["number"], shown)
    for unit in units:
        if form["unit"] in unit.value:
            return Threshold(text.strip(), _full(metric), form["operator"], number * unit.value[form["unit"]], unit)
    words = [f"'{form['number']}{word}'" for unit in units for word in unit.value]
    problem = f"{printable(form['unit'])} is no unit of {metric}" if form["unit"] else f"{form['number']} has no unit"
    raise UsageError(f"threshold '{shown}': {problem}; write one of {', '.join(words)}")


def _number(text: str, shown: str) -> float:
    with suppress(ValueError):
        if (number := float(text)) < _MOST:
            return number
    raise UsageError(f"threshold '{shown}': {text} is no number that a measurement can reach")


def _full(metric: str) -> str:
    if metric in _TIMES:
        return f"{metric} p99"
    return metric if " " in metric or metric in _RATES or metric in _COUNTS else f"latency {metric}"


def _units_of(metric: str, shown: str) -> tuple[Unit, ...]:
    """The units that a metric may have; the first one is its own."""
    if metric in _COUNTS:
        return (Unit.COUNT, Unit.SHARE)
    if metric in _RATES:
        return (_RATES[metric][0],)
    of, _, statistic = _full(metric).partition(" ")
    if of not in _TIMES or not (statistic in {"max", "mean"} or _PERCENTILE.fullmatch(statistic)):
        named = f"'{printable(metric)}' is not measured" if metric else "the metric is missing"
        raise UsageError(f"threshold '{shown}': {named}; understood are {UNDERSTOOD}")
    return (Unit.TIME,)


def evaluate(
    thresholds: Iterable[Threshold], whole: PhaseResult, findable: Findable | None = None
) -> tuple[ThresholdResult, ...]:
    """What was measured for each threshold, and whether it is crossed."""
    results = []
    for threshold in thresholds:
        value = _value(threshold, whole, findable)
        is_crossed = value is None or not threshold.holds(value)
        results.append(ThresholdResult(text=threshold.text, value=value, limit=threshold.limit, is_crossed=is_crossed))
    return tuple(results)


def first_crossed(
    thresholds: Sequence[Threshold],
    so_far: PhaseResult,
    *,
    after_seconds: float = 10.0,
    after_samples: int = 100,
) -> ThresholdResult | None:
    """The first threshold that is crossed while the measurement runs; ``None``: none, or it is too early to say.

    Args:
        thresholds: the thresholds.
        so_far: what was measured so far, without the warm-up.
        after_seconds: nothing is crossed before so many seconds were measured.
        after_samples: nothing is crossed before so many stores have ended or were dropped, if any was stored.
    """
    if so_far.seconds < after_seconds:
        return None
    if so_far.ended + so_far.dropped < after_samples and so_far.stored:
        return None
    is_lost = so_far.lost_after is not None
    results = evaluate(thresholds, so_far)
    return next((each for each in results if each.is_crossed and (each.value is not None or is_lost)), None)


def say(result: ThresholdResult) -> str:
    """A threshold for people: ``p99<2s: 2.31 s, crossed``."""
    if result.value is None:
        return f"{result.text}: not measured, crossed"
    return f"{result.text}: {parse(result.text).unit.say(result.value)}, {'crossed' if result.is_crossed else 'holds'}"


def _value(threshold: Threshold, whole: PhaseResult, findable: Findable | None) -> float | None:
    metric = threshold.metric
    if metric in _RATES:
        return _RATES[metric][1](whole) if whole.ended and whole.lost_after is None else None
    if metric in _COUNTS:
        count, total = _COUNTS[metric](whole)
        if threshold.unit is Unit.COUNT:
            return float(count)
        return count / total if total else None
    of, _, statistic = metric.partition(" ")
    histogram = _TIMES[of](whole, findable)
    if histogram is None or not histogram.counts:
        return None
    if statistic == "max":
        return histogram.max
    return histogram.mean if statistic == "mean" else histogram.percentile(float(statistic[1:]))
