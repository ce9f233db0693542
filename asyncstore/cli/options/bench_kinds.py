"""The kinds of values that only ``bench`` takes: rates, sizes, stages, steps, mixes, thresholds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from asyncstore.cli.options.kinds import Duration, Named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.load.plan.profile import Profile
    from asyncstore.load.results.thresholds import Threshold
    from asyncstore.load.values import Kind

_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(\D*)", re.ASCII)
_PERIODS = {"/s": 1, "/min": 60, "/m": 60, "/h": 3600, "/d": 86400}
_BYTES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_MOST_ASSOCIATIONS = 1024
"""More is a typing mistake, as in ``--associations``."""


class Frequency(Named):
    """How often something begins: ``200/s``, ``600/min``, ``1000/h``.

    Args:
        name: the name of the word.
        example: how to write it right.
        may_be_bare: whether a number alone is so many a second.
    """

    def __init__(self, name: str, example: str, *, may_be_bare: bool = False) -> None:
        super().__init__(name)
        self._example = example
        self._periods = _PERIODS | ({"": 1} if may_be_bare else {})

    def parse(self, words: Sequence[str]) -> float:
        """So many a second, more than 0."""
        word = words[0]
        match = _NUMBER.fullmatch(word.strip())
        if match is None or match[2].lower() not in self._periods:
            what = "has no unit" if match is not None and not match[2] else "is no rate"
            raise ValueError(f"{word!r} {what}; write, for example, {self._example}")
        per_second = float(match[1]) / self._periods[match[2].lower()]
        if not per_second:
            raise ValueError(f"{word!r} begins nothing; write, for example, {self._example}")
        return per_second


class Size(Named):
    """A size in bytes: ``512K``, ``2M``, ``64Ki``."""

    def parse(self, words: Sequence[str]) -> int:
        """The bytes, as many as a data set can have."""
        word = words[0]
        match = _NUMBER.fullmatch(word.strip())
        unit = match[2].lower().removesuffix("b") if match is not None else ""
        if match is None or unit not in _BYTES:
            raise ValueError(f"{word!r} is no size: write a number, then K, M, G, Ki, Mi or Gi, for example 512K")
        size = round(float(match[1]) * _BYTES[unit])
        from asyncstore.load.mix import of_size

        of_size(size)
        return size


class Period(Duration):
    """A duration that may be 0."""

    def parse(self, words: Sequence[str]) -> float:
        """The seconds; 0 for ``0`` and ``0s``."""
        return 0.0 if words[0].strip().lower() in ("0", "0s") else super().parse(words)


class Factor(Named):
    """A number by which something is multiplied."""

    def parse(self, words: Sequence[str]) -> float:
        """The number, more than 0."""
        try:
            factor = float(words[0])
        except ValueError:
            factor = math.nan
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"{words[0]!r} is not a number above 0")
        return factor


class Steps(Named):
    """Numbers of associations, parted by commas."""

    def parse(self, words: Sequence[str]) -> tuple[int, ...]:
        """The numbers, as they stand."""
        steps = []
        for part in words[0].split(","):
            if not part.strip().isdecimal() or not 1 <= int(part) <= _MOST_ASSOCIATIONS:
                raise ValueError(
                    f"{part.strip()!r} is no number of associations (1..{_MOST_ASSOCIATIONS}); "
                    "write, for example, 1,2,4,8,16"
                )
            steps.append(int(part))
        return tuple(steps)


class Stages(Named):
    """Durations with the rate that each ends with: ``1m:50/s,5m:200/s``."""

    _example = "1m:50/s,5m:200/s"
    _duration = Duration("DURATION", _example)
    _rate = Frequency("RATE", _example, may_be_bare=True)

    def parse(self, words: Sequence[str]) -> tuple[tuple[float, float], ...]:
        """Seconds and instances a second of each stage."""
        return tuple(self._stage(part.strip()) for part in words[0].split(","))

    def _stage(self, text: str) -> tuple[float, float]:
        duration, colon, rate = text.partition(":")
        if not colon:
            raise ValueError(f"{text!r} is no stage, which is DURATION:RATE; write, for example, {self._example}")
        seconds = self._duration.parse([duration])
        is_idle = rate.strip() in ("0", "0/s")  # a ramp may end with nothing
        return seconds, 0.0 if is_idle else self._rate.parse([rate])


class Mix(Named):
    """Kinds of instances with their shares: ``ct=60,mr=20``."""

    def parse(self, words: Sequence[str]) -> tuple[Kind, ...]:
        """The kinds."""
        from asyncstore.load.mix import parse_mix

        return parse_mix(words[0])


class ProfileOfYear(Named):
    """How many exams there are: ``exams-per-year=1.5M``."""

    def parse(self, words: Sequence[str]) -> Profile:
        """The profile of arrivals."""
        from asyncstore.load.plan.profile import parse_profile

        return parse_profile(words[0])


class Thresholds(Named):
    """Limits of results, each time that the option is given: ``p99<2s``."""

    def parse(self, words: Sequence[str]) -> tuple[Threshold, ...]:
        """The thresholds."""
        from asyncstore.load.results.thresholds import parse

        return tuple(map(parse, words))
