"""A histogram of times, with the buckets and the percentiles of HdrHistogram.

Rules:

1. A time is a whole number of microseconds, from 0 to one hour. Longer times count as one hour, negative ones as 0.
2. A bucket is named by the smallest time in it. Buckets are exact below 2.048 ms; above, a bucket is less than 0.1 % of
   its times wide (three significant digits).
3. A percentile is the largest time of its bucket, so it is never too small. So is the maximum; the minimum is the
   smallest time of its bucket, and the mean takes the middle of each bucket.
4. Histograms are added bucket by bucket, which loses nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MICROSECONDS: Final = 1_000_000
LONGEST: Final = 3_600 * MICROSECONDS
"""The longest time that is told apart, in microseconds."""

_BITS: Final = 11
"""Three significant digits: the bits of a time that name its bucket. HdrHistogram takes the smallest power of two over
2 * 10**3."""
_SHIFTS: Final = bytes(prefix.bit_length() for prefix in range(1 << 15))
"""How many bits of a time do not name its bucket, by the bits above the lowest 11; for times up to 67 s."""

_MOST: Final = 1 << 53
"""The largest count that is read: the percentiles of more would not be exact."""

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
"""The percentiles that a document shows, by their names there."""


def bucket_of(seconds: float) -> int:
    """The bucket of a time: its smallest time in microseconds."""
    return buckets((0.0,), (seconds,))[0]


def buckets(begun: Iterable[float], ended: Iterable[float]) -> list[int]:
    """The buckets of the times from ``begun`` to ``ended``, both in seconds.

    This runs several times for each store. With the table it takes 0.14 us, with ``bit_length`` 0.18 us.
    """
    shifts, whole = _SHIFTS, MICROSECONDS
    try:
        found = [
            (time := round((end - begin) * whole)) >> (shift := shifts[time >> _BITS]) << shift
            for begin, end in zip(begun, ended, strict=True)
        ]
    except IndexError:
        times = (round((end - begin) * whole) for begin, end in zip(begun, ended, strict=True))
        return [_lowest(min(max(time, 0), LONGEST)) for time in times]
    return found if min(found, default=0) >= 0 else [max(bucket, 0) for bucket in found]


def _lowest(microseconds: int) -> int:
    shift = max(microseconds.bit_length() - _BITS, 0)
    return microseconds >> shift << shift


def width_at(seconds: float) -> float:
    """The width of the bucket of a time, in seconds."""
    return _width(bucket_of(seconds)) / MICROSECONDS


def _width(bucket: int) -> int:
    return 1 << max(bucket.bit_length() - _BITS, 0)


class Histogram:
    """How many times fell into each bucket. All methods speak of seconds; an empty histogram says 0 to everything.

    Attributes:
        counts: by bucket, in microseconds. ``counts.update(buckets(...))`` adds many times at once.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | Iterable[int] = ()) -> None:
        self.counts: Counter[int] = Counter(counts)

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """The histogram of these times."""
        times = list(seconds)
        return cls(buckets([0.0] * len(times), times))

    def record(self, seconds: float) -> None:
        """Add a time."""
        self.counts[bucket_of(seconds)] += 1

    def add(self, other: Histogram) -> None:
        """Add all times of another histogram."""
        self.counts.update(other.counts)

    @property
    def count(self) -> int:
        """The number of times."""
        return self.counts.total()

    @property
    def min(self) -> float:
        """The smallest time of the first bucket."""
        return min(self.counts, default=0) / MICROSECONDS

    @property
    def max(self) -> float:
        """The largest time of the last bucket."""
        return _highest(max(self.counts)) / MICROSECONDS if self.counts else 0.0

    @property
    def mean(self) -> float:
        """The mean of the middles of the buckets."""
        if not self.counts:
            return 0.0
        total = sum((bucket + _width(bucket) // 2) * count for bucket, count in self.counts.items())
        return total / self.count / MICROSECONDS

    def percentile(self, percent: float) -> float:
        """The time that ``percent`` of all times do not exceed."""
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[float]:
        """Several percentiles, for the price of one."""
        ordered = sorted(self.counts)
        if not ordered:
            return [0.0 for _ in percents]
        sums = list(accumulate(map(self.counts.__getitem__, ordered)))
        return [_at(ordered, sums, percent) / MICROSECONDS for percent in percents]

    def to_json(self) -> dict[str, object]:
        """The numbers for people and the counts, from which they can be computed again."""
        return {
            "count": self.count,
            "min": self.min,
            "mean": self.mean,
            "max": self.max,
            **dict(zip(PERCENTILES, self.percentiles(PERCENTILES.values()), strict=True)),
            "counts": {str(bucket): self.counts[bucket] for bucket in sorted(self.counts)},
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read :meth:`to_json`; only ``count`` and ``counts`` are read.

        Raises:
            ValueError: it is no histogram; the text says why.
        """
        if not isinstance(value, dict) or not isinstance(counts := value.get("counts"), dict):
            raise ValueError("is no histogram")  # noqa: TRY004 - the reader of documents translates one kind of error
        read: dict[int, int] = {}
        for name, count in counts.items():
            if not (isinstance(name, str) and name.isascii() and name.isdecimal() and len(name) <= len(str(LONGEST))):
                raise ValueError("has a bucket that is no number of microseconds")
            if type(count) is not int or not 1 <= count <= _MOST:
                raise ValueError("has a bucket whose count is no positive number")
            bucket = int(name)
            if bucket > LONGEST or _lowest(bucket) != bucket or bucket in read:
                raise ValueError(f"has a bucket {bucket} that histograms of this kind do not have")
            read[bucket] = count
        if value.get("count") != sum(read.values()):
            raise ValueError("has another count than its buckets together")
        return cls(read)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and +self.counts == +other.counts

    __hash__ = None  # type: ignore[assignment]
    """It changes."""

    def __repr__(self) -> str:
        return f"<Histogram of {self.count}: p50 {self.percentile(50):g} s, p99 {self.percentile(99):g} s>"


def total_of(histograms: Iterable[Histogram]) -> Histogram:
    """The sum of histograms."""
    total = Histogram()
    for histogram in histograms:
        total.add(histogram)
    return total


def _highest(bucket: int) -> int:
    return bucket + _width(bucket) - 1


def _at(ordered: list[int], sums: list[int], percent: float) -> int:
    """The percentile in microseconds: HdrHistogram rounds the rank half up, and the first rank is 1."""
    rank = max(int(min(percent, 100.0) * sums[-1] / 100 + 0.5), 1)
    place = bisect_left(sums, rank)
    return _highest(ordered[place]) if percent else ordered[place]
