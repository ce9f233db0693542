"""Student's t distribution, and the interval of a difference of two means (Welch)."""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING, Final

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOSE: Final = 1e-15
_PARTS: Final = 200
"""Of an area: then quantiles are right to five digits."""
_HALVINGS: Final = 60


class Interval(NamedTuple):
    """Where a difference lies."""

    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether there may be no difference."""
        return self.low <= 0 <= self.high


def quantile(probability: float, degrees: float) -> float:
    """The value that a variable of Student's distribution does not exceed with this probability, from 0.5 to 1.

    Bisection cannot fail, and this is asked for a few dozen times.
    """
    low, high = 0.0, 1.0
    while _within(high, degrees) < 2 * probability - 1:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 2 * probability - 1 else (low, middle)
    return high


def difference(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean of ``second`` less that of ``first``; ``None``: one of them has a single value.

    The variances need not be alike (Welch 1947; the degrees of freedom are Satterthwaite's).
    """
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - a single value has no variance
        return None
    means = fmean(second) - fmean(first)
    parts = [variance(values) / len(values) for values in (first, second)]
    error = sum(parts)
    scale = max(map(abs, (*first, *second)))
    if error <= (_CLOSE * scale) ** 2:
        return Interval(means, means)
    shares = ((part / error) ** 2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    degrees = 1 / sum(shares)
    half = quantile(0.975, degrees) * math.sqrt(error)
    return Interval(means - half, means + half)


def _within(value: float, degrees: float) -> float:
    """The probability of a value that is at most so far from 0, by Simpson's rule.

    With ``tan(x) * sqrt(degrees)`` for the value, the density is ``cos(x) ** (degrees - 1)`` times a constant.
    """
    step = math.atan(value / math.sqrt(degrees)) / _PARTS
    heights = [math.pow(math.cos(place * step), degrees - 1) for place in range(_PARTS + 1)]
    area = (heights[0] + 4 * sum(heights[1::2]) + 2 * sum(heights[2:-1:2]) + heights[-1]) * step / 3
    return 2 * area * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)
