"""Arrivals and sizes of a recorded run: the JSON lines of ``asyncstore send --json``.

Rules:

1. A store began at the time of its line, less its duration. Lines are written in batches, so this is some 20 ms late.
2. Sizes are repeated, nothing else: instances are synthetic. More than 64 different sizes are put together: then sizes
   that differ by less than a tenth have their mean.
3. Files that were not sent did not arrive.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from asyncstore.errors import UsageError
from asyncstore.load.kinds import LARGEST, SMALLEST, kind_of_size
from asyncstore.load.plan.arrivals import Arrival

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.load.values import Kind

_MOST_SIZES: Final = 64
"""Kinds take memory for their pixels."""
_PER_OCTAVE: Final = 8
"""Groups of sizes between a size and its double."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Arrivals of a recorded run, beside :class:`~asyncstore.load.plan.arrivals.Rates`.

    Attributes:
        times: seconds since the first store, in order.
        places: for each of them the place of its kind.
        kinds: the kinds of the source that it needs.
        lasted: seconds from the first store of the run to its last response.
        speed: how many times as fast as the run.
    """

    times: tuple[float, ...]
    places: tuple[int, ...]
    kinds: tuple[Kind, ...]
    lasted: float
    speed: float = 1.0

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return math.nextafter(max(self.lasted, self.times[-1]) / self.speed, math.inf)

    def __iter__(self) -> Iterator[Arrival]:
        """From the first on."""
        for at, place in zip(self.times, self.places, strict=True):
            yield Arrival(at / self.speed, 1, place)

    def repeated(self, number: int) -> Self:  # noqa: ARG002 - nothing of it is random
        """The same."""
        return self

    def beside(self, seconds: float, *, is_before: bool) -> Self:  # noqa: ARG002 - the phase takes its seconds of it
        """The same, of which the phase takes the beginning."""
        return self


def read_replay(lines: Iterable[str], name: str, speed: float = 1.0) -> Replay:
    """Read the JSON lines of a run.

    Args:
        lines: the lines; those of other types than outcomes are passed over.
        name: of the file, for errors.
        speed: how many times as fast to repeat it.

    Raises:
        UsageError: these are no such lines, nothing was sent, or the speed is not possible.
    """
    if not 0 < speed < math.inf:
        raise UsageError(f"a run cannot be repeated {speed:g} times as fast")
    recorded = sorted(_stores(lines, name))
    stores = [(at, size) for at, _, size in recorded]
    if not stores:
        raise UsageError(f"{name}: it records no instance that was sent, so there is nothing to repeat")
    group = _groups(Counter(size for _, size in stores))
    sizes = sorted(set(group.values()))
    count = Counter(group[size] for _, size in stores)
    kinds = tuple(kind_of_size(size)._replace(share=count[size] / len(stores)) for size in sizes)
    place = {size: number for number, size in enumerate(sizes)}
    first = stores[0][0]
    times = tuple(at - first for at, _ in stores)
    places = tuple(place[group[size]] for _, size in stores)
    return Replay(times, places, kinds, lasted=max(ended for _, ended, _ in recorded) - first, speed=speed)


def _stores(lines: Iterable[str], name: str) -> Iterator[tuple[float, float, int]]:
    """When each store began and ended, and its bytes as they can be made."""
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            if fields["type"] == "outcome" and fields["association"] is not None:
                yield _store(fields)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            if line.strip():
                raise UsageError(f"{name}: line {number} is no JSON line of a run of send") from error


def _store(fields: dict[str, Any]) -> tuple[float, float, int]:
    ended = datetime.fromisoformat(fields["time"]).timestamp()
    size = min(max(int(fields["bytes"]), SMALLEST), LARGEST)
    seconds = float(fields["seconds"])
    if not 0 <= seconds < math.inf:
        raise ValueError(f"no store takes {seconds} s")
    return ended - seconds, ended, size + size % 2


def _groups(sizes: Counter[int]) -> dict[int, int]:
    """The size that stands for each size."""
    if len(sizes) <= _MOST_SIZES:
        return {size: size for size in sizes}
    members: dict[int, list[int]] = {}
    for size in sizes:
        members.setdefault(math.floor(math.log2(size) * _PER_OCTAVE), []).append(size)
    group: dict[int, int] = {}
    for alike in members.values():
        mean = sum(size * sizes[size] for size in alike) // sum(sizes[size] for size in alike)
        group |= dict.fromkeys(alike, mean - mean % 2)
    return group
