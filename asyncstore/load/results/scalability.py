"""The universal scalability law, fitted to measured rates.

    X(N) = l N / (1 + s (N - 1) + k N (N - 1))

N associations reach X(N) instances a second; l is what one of them reaches. Contention s is the share of the work that
is done one at a time; coherency k is the cost of agreement between each two. Both are 0 or more.

The fit minimises the squares of log(measured / fitted): the noise of a rate grows with the rate, and half as much is as
far off as twice as much. Each point has its own log(l) for given s and k: the best one is their mean, and
the squares are their variance. Gauss-Newton finds s and k. There may be several minima, so it starts at several places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from statistics import covariance, fmean
from typing import Final

from asyncstore.load.results.document import Law
from asyncstore.observe.formatting import counted, format_rate

FEWEST_STEPS: Final = 5
"""Three parameters are fitted; with fewer steps almost any curve would fit."""

_STARTS: Final = (0.0, 0.001, 0.1, 1.0)
"""Of s and of k."""
_ROUNDS: Final = 100
"""Of Gauss-Newton, which needs some ten where the law fits."""
_HALVINGS: Final = 30
_CLOSE: Final = 1e-12
"""The relative improvement at which a fit has settled."""

_Points = Sequence[tuple[int, float]]


def throughput(associations: float, per_association: float, contention: float, coherency: float) -> float:
    """X(N)."""
    return per_association * associations / _denominator(associations, contention, coherency)


def fit(points: _Points) -> Law | None:
    """Fit the law to pairs of associations and instances a second.

    Returns ``None`` if there are fewer than five different numbers of associations, or one or its rate is not above 0.
    """
    if len({associations for associations, _ in points}) < FEWEST_STEPS or any(
        number < 1 or rate <= 0 for number, rate in points
    ):
        return None
    _, contention, coherency = min(_fitted(points, *start) for start in product(_STARTS, repeat=2))
    per_association = math.exp(fmean(_logs(points, contention, coherency)))
    fitted = [throughput(number, per_association, contention, coherency) for number, _ in points]
    peak = math.sqrt(max(1 - contention, 0.0) / coherency) if coherency > 0 else None
    if peak is not None:
        peak = max(peak, 1.0)
        most: float | None = throughput(peak, per_association, contention, coherency)
    else:
        most = per_association / contention if contention > 0 else None
    return Law(
        per_association=per_association,
        contention=contention,
        coherency=coherency,
        residuals=tuple(rate / model - 1 for (_, rate), model in zip(points, fitted, strict=True)),
        peak_associations=peak,
        peak_per_second=most,
    )


def say(law: Law) -> str:
    """The law for people, in one sentence."""
    peak = ""
    if law.peak_associations is not None and law.peak_per_second is not None:
        associations = counted(round(law.peak_associations), "association")
        peak = f"; its peak is {format_rate(law.peak_per_second)} with {associations}"
    worst = max(map(abs, law.residuals), default=0.0)
    return (
        f"Universal scalability law: {format_rate(law.per_association)} for one association, contention "
        f"{law.contention:.3f}, coherency {law.coherency:.5f}{peak}; the steps differ from it by up to "
        f"{worst * 100:.0f} %."
    )


def _denominator(associations: float, contention: float, coherency: float) -> float:
    return 1 + contention * (associations - 1) + coherency * associations * (associations - 1)


def _logs(points: _Points, contention: float, coherency: float) -> list[float]:
    """The logarithm of l that each point alone has."""
    return [math.log(rate * _denominator(number, contention, coherency) / number) for number, rate in points]


def _squares(points: _Points, contention: float, coherency: float) -> float:
    """The mean square around the best l."""
    logs = _logs(points, contention, coherency)
    return covariance(logs, logs)


def _fitted(points: _Points, contention: float, coherency: float) -> tuple[float, float, float]:
    """The nearest minimum to a start: its squares, s and k."""
    found = (_squares(points, contention, coherency), contention, coherency)
    for _ in range(_ROUNDS):
        squares, contention, coherency = found
        first, second = _change(points, contention, coherency)
        for halving in range(_HALVINGS):
            tried = max(contention + first / 2**halving, 0.0), max(coherency + second / 2**halving, 0.0)
            reached = _squares(points, *tried)
            if reached < squares:
                found = (reached, *tried)
                break
        if squares - found[0] <= _CLOSE * squares:
            break
    return found


def _change(points: _Points, contention: float, coherency: float) -> tuple[float, float]:
    """The step of Gauss-Newton for s and k. One that is 0 and would become negative is held."""
    numbers = [number for number, _ in points]
    below = [_denominator(number, contention, coherency) for number in numbers]
    ours = [(number - 1) / each for number, each in zip(numbers, below, strict=True)]
    pairs = [number * (number - 1) / each for number, each in zip(numbers, below, strict=True)]
    logs = _logs(points, contention, coherency)
    aa, ab, bb = covariance(ours, ours), covariance(ours, pairs), covariance(pairs, pairs)
    a, b = covariance(ours, logs), covariance(pairs, logs)
    both = aa * bb - ab * ab
    if both > _CLOSE * aa * bb:
        first, second = (ab * b - bb * a) / both, (ab * a - aa * b) / both
        if (contention or first >= 0) and (coherency or second >= 0):
            return first, second
        if not contention and first < 0:
            return 0.0, _alone(b, bb, coherency)
    return _alone(a, aa, contention), 0.0


def _alone(slope: float, curvature: float, value: float) -> float:
    """The step for one of the two."""
    change = -slope / curvature if curvature else 0.0
    return change if value or change > 0 else 0.0
