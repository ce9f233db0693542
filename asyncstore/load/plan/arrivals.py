"""When instances or studies arrive in an open load.

Rules:

1. A rate may change. The number of arrivals until a time is the area below the rate: with fixed distances they come
   where this area is 0.5, 1.5, 2.5 ...; at random (Poisson) the areas between them are exponentially distributed.
2. Random numbers come from a seed: the same arrivals come again with the same seed, and others in each repetition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Literal, Self

from asyncstore.arguments import check
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

How = Literal["fixed", "poisson"]
"""At equal distances, or at random."""

MOST_RATE = 1_000_000
"""Arrivals a second: far more than a machine can begin, and few enough for their times to differ."""

_REPEATS = 0x9E3779B1
"""A prime near 2^32 over the golden ratio: the seeds of repetitions are far apart."""

_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class Arrival(NamedTuple):
    """Something arrives, and its stores are to begin."""

    at: float
    """Seconds since the phase began."""
    instances: int = 1
    """How many arrive together; 0: a whole study."""
    kind: int | None = None
    """The place of their kind in the source; ``None``: whatever comes next."""


class Segment(NamedTuple):
    """A rate over some time; it changes evenly from its start to its end."""

    seconds: float
    start: float
    """Arrivals a second."""
    end: float

    def reached(self, area: float) -> float:
        """The seconds after which so many have arrived.

        The area is ``start * t + slope * t**2 / 2``; this solution of it also holds where the slope is 0.
        """
        slope = (self.end - self.start) / self.seconds
        root = math.sqrt(max(self.start * self.start + 2 * slope * area, 0.0))
        return 2 * area / (self.start + root) if area else 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals at rates that follow one another. They can be iterated several times, and are the same each time.

    Attributes:
        segments: the rates.
        how: at equal distances, or at random.
        seed: of the random numbers.
        is_by_study: whether whole studies arrive.

    Raises:
        UsageError: a rate or a time is not possible.
    """

    segments: tuple[Segment, ...]
    how: How = "fixed"
    seed: int = 0
    is_by_study: bool = False

    def __post_init__(self) -> None:
        for seconds, *rates in self.segments:
            check(0 < seconds < math.inf, f"a load cannot last {seconds:g} s: give it more than 0 s and an end")
            for rate in rates:
                check(0 <= rate <= MOST_RATE, f"{rate:g}/s is no rate of arrivals: it must be from 0 to {MOST_RATE}/s")

    def __iter__(self) -> Iterator[Arrival]:
        """From the first on."""
        instances = 0 if self.is_by_study else 1
        random = Random(self.seed).random  # noqa: S311 - arrivals, not a secret
        is_random, log = self.how == "poisson", math.log
        area = -log(1.0 - random()) if is_random else 0.5
        begun = 0.0
        for segment in self.segments:
            seconds, start, end = segment
            whole = seconds * (start + end) / 2
            reached = segment.reached
            while area < whole:
                yield _new_tuple(Arrival, (begun + reached(area), instances, None))
                area += -log(1.0 - random()) if is_random else 1.0
            area -= whole
            begun += seconds

    def repeated(self, number: int) -> Self:
        """Those of a repetition, from 1; the first has these."""
        return replace(self, seed=self.seed + (number - 1) * _REPEATS)

    def beside(self, seconds: float, *, is_before: bool) -> Self:
        """Those of a time before or after it, at its first or last rate; a ramp from or to 0 has its other rate."""
        segment = self.segments[0 if is_before else -1]
        rate = (segment.start or segment.end) if is_before else (segment.end or segment.start)
        return replace(self, segments=(Segment(seconds, rate, rate),), seed=self.seed + (1 if is_before else 2))
