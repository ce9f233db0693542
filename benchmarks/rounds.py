"""Taking turns, and what many turns say together."""

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
        """Take values together; those that are not finite could not be measured, and are left out."""
        measured = [value for value in values if math.isfinite(value)]
        if not measured:
            return cls(math.nan, math.nan, math.nan)
        return cls(statistics.median(measured), min(measured), max(measured))

    def shown(self, digits: int = 2, unit: str = "") -> str:
        """Write it down as ``median (least-most)``, or as one value when all are the same."""
        if math.isnan(self.median):
            return "-"
        if self.least == self.most:
            return f"{self.median:,.{digits}f}{unit}"
        return f"{self.median:,.{digits}f}{unit} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"


def ratios(these: Iterable[float], those: Iterable[float]) -> Spread:
    """How many times those values these ones are, each within its round."""
    pairs = zip(these, those, strict=True)
    return Spread.of(this / that if that else math.nan for this, that in pairs)


def take_turns(
    title: str, contenders: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[T]]:
    """Run each contender once, then each once more, and so on.

    Args:
        title: what is being measured, for whoever watches.
        contenders: what to run, by name.
        rounds: how many times.
        warm_up: whether there is one round more, the first, whose results are thrown away.
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
    """Tell whoever watches what is going on; the tables alone go to standard output."""
    print(text, file=sys.stderr, flush=True)
