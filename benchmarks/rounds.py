"""Programs take turns; the median and the range of many turns."""

from __future__ import annotations

import math
import statistics
import sys
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")


class Spread(NamedTuple):
    """The values of several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of some values; those that are not finite could not be measured and are left out."""
        measured = [value for value in values if math.isfinite(value)]
        if not measured:
            return cls(math.nan, math.nan, math.nan)
        return cls(statistics.median(measured), min(measured), max(measured))

    def shown(self, digits: int = 2, unit: str = "") -> str:
        """Write it as ``median (least-most)``, or as one value if all are the same."""
        if math.isnan(self.median):
            return "-"
        if self.least == self.most:
            return f"{self.median:,.{digits}f}{unit}"
        return f"{self.median:,.{digits}f}{unit} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"


def ratios(these: Iterable[float], those: Iterable[float]) -> Spread:
    """The ratios of ``these`` to ``those``, within each round."""
    pairs = zip(these, those, strict=True)
    return Spread.of(this / that if that else math.nan for this, that in pairs)


def take_turns(
    title: str, contenders: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[T]]:
    """Run each contender once, then each once more, and so on.

    Args:
        title: what is measured, for messages.
        contenders: functions to run, by name.
        rounds: the number of rounds.
        warm_up: whether to begin with one more round, whose results are thrown away.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(0 if warm_up else 1, rounds + 1):
        say(f"{title}: round {number} of {rounds}" if number else f"{title}: warming up")
        for name, contend in contenders.items():
            result = contend()
            if number:
                results[name].append(result)
    return results


def say(text: str) -> None:
    """Print a message to standard error; only tables go to standard output."""
    print(text, file=sys.stderr, flush=True)
