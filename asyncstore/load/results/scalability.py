"""The universal scalability law, fitted to measured rates.

    X(N) = l N / (1 + s (N - 1) + k N (N - 1))

N associations reach X(N) instances a second; l is what one of them reaches. Contention s is the share of the work that
is done one at a time; coherency k is the cost of agreement between each two. Both are 0 or more.

The fit minimises the squares of log(measured / fitted): the noise of a rate grows with the rate, and half as much is as
far off as twice as much. N / X(N) is linear in 1/l, s/l and k/l, which gives a start for Gauss-Newton. A parameter that
would become negative is held at 0. There may be several minima, so it starts with and without s and k, and the best one
wins.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncstore.load.results.document import Law
from asyncstore.observe.formatting import counted, format_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEWEST_STEPS: Final = 5
"""Three parameters are fitted; with fewer steps almost any curve would fit."""

_ROUNDS: Final = 100
"""Of Gauss-Newton, which needs some ten where the law fits."""
_HALVINGS: Final = 30
_CLOSE: Final = 1e-12
"""The relative improvement at which a fit has settled."""

_Row = tuple[float, ...]


class _Fit(NamedTuple):
    squares: float
    parameters: tuple[float, float, float]
    """l, s, k."""


def throughput(associations: float, per_association: float, contention: float, coherency: float) -> float:
    """X(N)."""
    return per_association * associations / _denominator(associations, contention, coherency)


def fit(points: Sequence[tuple[int, float]]) -> Law | None:
    """Fit the law to pairs of associations and instances a second.

    Returns ``None`` if there are fewer than five different numbers of associations, or one or its rate is not above 0.
    """
    if len({associations for associations, _ in points}) < FEWEST_STEPS or any(
        number < 1 or rate <= 0 for number, rate in points
    ):
        return None
    starts = [_linear_start(points, free) for free in ((0, 1, 2), (0, 1), (0, 2), (0,))]
    best = min(_fitted(points, start) for start in starts if start is not None)
    per_association, contention, coherency = best.parameters
    fitted = [throughput(number, *best.parameters) for number, _ in points]
    peak = math.sqrt(max(1 - contention, 0.0) / coherency) if coherency > 0 else None
    if peak is not None:
        peak = max(peak, 1.0)
        most: float | None = throughput(peak, *best.parameters)
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


def _fitted(points: Sequence[tuple[int, float]], start: tuple[float, float, float]) -> _Fit:
    """The nearest minimum to a start."""

    def squares(parameters: tuple[float, float, float]) -> float:
        return sum(math.log(rate / throughput(number, *parameters)) ** 2 for number, rate in points)

    found = _Fit(squares(start), start)
    for _ in range(_ROUNDS):
        better = _step(points, found, squares)
        if better is None:
            break
        settled = found.squares - better.squares <= _CLOSE * found.squares
        found = better
        if settled:
            break
    return found


def _linear_start(points: Sequence[tuple[int, float]], free: tuple[int, ...]) -> tuple[float, float, float] | None:
    """The least squares of X(N)/N * (1/l + s/l (N-1) + k/l N(N-1)) - 1."""
    columns: tuple[Callable[[int], float], ...] = (lambda _: 1.0, lambda n: n - 1.0, lambda n: n * (n - 1.0))
    rows = [tuple(rate / number * columns[place](number) for place in free) for number, rate in points]
    solved = _least_squares(rows, [1.0] * len(rows))
    if solved is None or solved[0] <= 0:
        return None
    values = [0.0, 0.0, 0.0]
    for place, value in zip(free, solved, strict=True):
        values[place] = value
    inverse, contention, coherency = values
    return 1 / inverse, max(contention / inverse, 0.0), max(coherency / inverse, 0.0)


def _step(
    points: Sequence[tuple[int, float]], found: _Fit, squares: Callable[[tuple[float, float, float]], float]
) -> _Fit | None:
    """A step of Gauss-Newton, halved until it improves the fit; ``None``: nothing improves it."""
    change = _change(points, found.parameters)
    if change is None:
        return None
    for halving in range(_HALVINGS):
        first, second, third = (
            max(value + each / 2**halving, 0.0) for value, each in zip(found.parameters, change, strict=True)
        )
        if first > 0 and (reached := squares((first, second, third))) < found.squares:
            return _Fit(reached, (first, second, third))
    return None


def _change(points: Sequence[tuple[int, float]], parameters: tuple[float, float, float]) -> list[float] | None:
    """The change of the parameters; one that is 0 and would become negative is held. ``None``: there is none."""
    per_association, contention, coherency = parameters
    slopes = []
    residuals = []
    for number, rate in points:
        below = _denominator(number, contention, coherency)
        slopes.append((1 / per_association, (1 - number) / below, number * (1 - number) / below))
        residuals.append(math.log(rate * below / (per_association * number)))
    free = [0, 1, 2]
    while True:
        solved = _least_squares([tuple(row[place] for place in free) for row in slopes], residuals)
        if solved is None:
            return None
        change = dict(zip(free, solved, strict=True))
        held = [place for place in free if parameters[place] == 0 and change[place] < 0]
        if not held:
            return [change.get(place, 0.0) for place in range(3)]
        free = [place for place in free if place not in held]


def _least_squares(rows: Sequence[_Row], values: Sequence[float]) -> list[float] | None:
    """The solution of the normal equations with columns of length 1; ``None``: there is not exactly one."""
    size = len(rows[0])
    lengths = [math.sqrt(sum(row[place] ** 2 for row in rows)) for place in range(size)]
    if not all(lengths):
        return None
    scaled = [[row[place] / lengths[place] for place in range(size)] for row in rows]
    matrix = [
        [sum(row[i] * row[j] for row in scaled) for j in range(size)]
        + [sum(row[i] * value for row, value in zip(scaled, values, strict=True))]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) < _CLOSE:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [left - factor * right for left, right in zip(matrix[row], matrix[column], strict=True)]
    return [matrix[place][size] / matrix[place][place] / lengths[place] for place in range(size)]
