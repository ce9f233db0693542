"""The exams of a year, by weekday and hour.

A year is divided as general hospitals report it: nearly all exams are made from Monday to Friday by day, and the
busiest hour has 12 % of a day's. Holidays are not considered.
"""

from __future__ import annotations

import re
from typing import Final

from asyncstore.errors import UsageError
from asyncstore.load.plan.arrivals import Segment
from asyncstore.named_tuple import NamedTuple

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

OF_WEEK: Final = (19.0, 19.0, 19.0, 19.0, 17.0, 4.0, 3.0)
"""Percent of a week's exams on each day, from Monday."""

OF_DAY: Final = (
    *(0.5, 0.4, 0.3, 0.3, 0.4, 0.6, 1.2, 4.0, 9.0, 11.5, 12.0, 11.0),
    *(8.0, 9.0, 9.5, 8.0, 5.5, 3.0, 1.8, 1.3, 1.0, 0.7, 0.5, 0.5),
)
"""Percent of a day's exams in each hour, from midnight."""

_WEEKS: Final = 365.25 / 7
_HOUR: Final = 3600.0
_BUSIEST: Final = (1, 10)
"""Tuesday at 10: the busiest hour of a busiest day."""
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)", re.ASCII)
_THOUSANDS: Final = {"": 1, "k": 1000, "m": 1_000_000}
_START: Final = re.compile(rf"({'|'.join(WEEKDAYS)})-(\d\d?)", re.ASCII)
_EXAMPLE: Final = "exams-per-year=1.5M or exams-per-year=1.5M,start=mon-7"
_HOURS_OF_DAY: Final = 24


class Profile(NamedTuple):
    """The exams of a year, from one hour of a week on."""

    exams_per_year: float
    weekday: int = _BUSIEST[0]
    """Of the first hour, from 0 for Monday."""
    hour: int = _BUSIEST[1]
    """The first hour, from 0 to 23."""

    def rate(self, weekday: int, hour: int) -> float:
        """Exams a second in an hour."""
        return self.exams_per_year / _WEEKS * OF_WEEK[weekday] / 100 * OF_DAY[hour] / 100 / _HOUR

    def segments(self, seconds: float) -> tuple[Segment, ...]:
        """The rates of so many seconds from the first hour on; each hour has its own."""
        found = []
        number = self.weekday * _HOURS_OF_DAY + self.hour
        while seconds > 0:
            day, hour = divmod(number, _HOURS_OF_DAY)
            rate = self.rate(day % len(WEEKDAYS), hour)
            found.append(Segment(min(seconds, _HOUR), rate, rate))
            seconds -= _HOUR
            number += 1
        return tuple(found)


def parse_profile(text: str) -> Profile:
    """Read a profile: ``exams-per-year=1.5M``, or with the hour at which it begins ``exams-per-year=300k,start=mon-7``.

    Without a start it begins at the busiest hour, Tuesday at 10.

    Raises:
        UsageError: it is no such text.
    """
    profile = Profile(0)
    for part in text.split(","):
        name, _, value = (word.strip().lower() for word in part.partition("="))
        if name == "exams-per-year":
            profile = profile._replace(exams_per_year=_number(value, text))
        elif name == "start":
            profile = profile._replace(**_start(value, text))
        else:
            raise UsageError(f"{text!r} is no profile: write {_EXAMPLE}")
    if not profile.exams_per_year:
        raise UsageError(f"the profile {text!r} has no exams: write {_EXAMPLE}")
    return profile


def _number(value: str, text: str) -> float:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise UsageError(f"{value!r} in the profile {text!r} is no number of exams: write {_EXAMPLE}")
    return float(match[1]) * _THOUSANDS[match[2].lower()]


def _start(value: str, text: str) -> dict[str, int]:
    match = _START.fullmatch(value)
    if match is None or int(match[2]) >= _HOURS_OF_DAY:
        raise UsageError(f"{value!r} in the profile {text!r} is no weekday and hour: write {_EXAMPLE}")
    return {"weekday": WEEKDAYS.index(match[1]), "hour": int(match[2])}
