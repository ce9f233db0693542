"""Student's t distribution, and the interval of a difference of two means (Welch).

The probability comes from the incomplete beta function, and that from its continued fraction (DLMF 8.17.22), evaluated
by Lentz's method. The quantile is found by bisection: it is asked for a few dozen times, and bisection cannot fail.
"""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_TERMS: Final = 500
_TINY: Final = 1e-300
_CLOSE: Final = 1e-15
_HALVINGS: Final = 200


class Interval(NamedTuple):
    """Where a difference lies, with the confidence that was asked for."""

    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether there may be no difference."""
        return self.low <= 0 <= self.high


def quantile(probability: float, degrees: float) -> float:
    """The value that a variable of Student's distribution does not exceed with this probability, from 0.5 to 1."""
    beyond = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while _two_sided(high, degrees) > beyond:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if _two_sided(middle, degrees) > beyond else (low, middle)
    return high


def difference(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The interval of the mean of ``second`` less that of ``first``; ``None``: one of them has a single value.

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
    half = quantile((1 + confidence) / 2, degrees) * math.sqrt(error)
    return Interval(means - half, means + half)


def _two_sided(value: float, degrees: float) -> float:
    """The probability of a value farther from 0."""
    return _incomplete_beta(degrees / (degrees + value * value), degrees / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges on the other side of the mean
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1 / (1 + d2 / (1 + ...)), from its beginning."""
    value = above = 1.0
    below = 0.0
    for term in range(1, _TERMS):
        half = term // 2
        if term % 2:
            d = -(a + half) * (a + b + half) * x / ((a + term - 1) * (a + term))
        else:
            d = half * (b - half) * x / ((a + term - 1) * (a + term))
        below = 1 / (1 + d * below or _TINY)
        above = 1 + d / above or _TINY
        value *= above * below
        if abs(above * below - 1) < _CLOSE:
            break
    return value
