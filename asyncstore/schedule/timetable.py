"""Time tables of rates: ``"2M"``, or ``"Mon-Fri 07:00,2M 18:00,off Sat Sun 00:00,off"``.

Rules:

1. A table is a list of entries: a time of the day and the rate from then on. Days before them (``Mon``, ``Mon-Fri``,
   ``Mon Wed``) hold for the entries behind them, until other days come. Entries without days hold every day.
2. The entry that began last rules, also if that was days ago.
3. Times are those of a clock on the wall. If the clock is set back, an entry begins when its time comes first, and does
   not begin again. If the clock is set forward over its time, it begins in that moment.
4. ``off`` is no limit. ``0`` and ``pause`` are a rate of 0: nothing begins.

Pure: instants are seconds since 1970, as :func:`time.time` gives them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, tzinfo

    ReadRate = Callable[[str], float | None]
    """Reads a rate in units a second; ``None``: no limit. Raises :class:`ValueError`."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EVERY_DAY = frozenset(range(7))
_LOOK_BACK = 9
"""Days: a week, and one on each side, because a zone may skip a day."""

_ENTRY = re.compile(r"(\d{1,2}):(\d\d),(\S+)", re.ASCII)
_NUMBER = re.compile(r"(\d{1,18}(?:\.\d*)?|\.\d+)(\D*)", re.ASCII)
"""A number with its unit. With hundreds of digits it would be infinite."""

_BYTES: dict[str, float] = {
    unit + end: factor
    for unit, factor in (
        ("", 1), ("k", 1000), ("m", 1000**2), ("g", 1000**3), ("ki", 1 << 10), ("mi", 1 << 20), ("gi", 1 << 30)
    )
    for end in ("", "b", "/s", "b/s")
}  # fmt: skip
_WORDS: dict[str, float | None] = {"off": None, "pause": 0.0}
"""The rates that are words."""
_STORES = {"": 1, "/s": 1, "/min": 1 / 60, "/h": 1 / 3600}

BYTES_EXAMPLE = "2M, or 'Mon-Fri 07:00,2M 18:00,off'"
STORES_EXAMPLE = "10/s, 600/min, or '07:00,10/s 18:00,off'"


class Entry(NamedTuple):
    """From a time of the day on, on some days of the week, a rate."""

    days: frozenset[int]
    """0 is Monday."""
    hour: int
    minute: int
    rate: float | None
    """Units a second; 0: nothing begins; ``None``: no limit."""


class TimeTable(NamedTuple):
    """Which rate holds when. The entries of a day are in the order of their times.

    Attributes:
        entries: the entries.
        zone: the time zone of their times; ``None``: the machine's.
    """

    entries: tuple[Entry, ...]
    zone: tzinfo | None = None

    def rate_at(self, instant: float) -> float | None:
        """The rate in units a second; 0: nothing begins; ``None``: no limit."""
        rate: float | None = None
        for begin, entry in self._beginnings(instant, -_LOOK_BACK, 1):
            if begin <= instant:
                rate = entry.rate
        return rate

    def next_change(self, instant: float) -> float | None:
        """The first instant after this one at which another rate begins; ``None``: there is none."""
        rate = self.rate_at(instant)
        ahead = [(begin, entry.rate) for begin, entry in self._beginnings(instant, -1, _LOOK_BACK) if begin > instant]
        for position, (begin, next_rate) in enumerate(ahead):
            is_last_there = position + 1 == len(ahead) or ahead[position + 1][0] > begin
            if is_last_there and next_rate != rate:
                return begin
        return None

    def _beginnings(self, instant: float, first: int, last: int) -> Iterator[tuple[float, Entry]]:
        """The entries that begin on some days around an instant, in their order, with the instants."""
        today = self._wall(instant).date()
        for days in range(first, last + 1):
            day = today + timedelta(days)
            for entry in self.entries:
                if day.weekday() in entry.days:
                    yield self._instant(day, entry), entry

    def _wall(self, instant: float) -> datetime:
        """The time on the wall at an instant."""
        return datetime.fromtimestamp(instant, self.zone).replace(tzinfo=None)

    def _instant(self, day: date, entry: Entry) -> float:
        """The first instant of a day at which the clock on the wall shows the entry's time, or a later one."""
        wanted = datetime(day.year, day.month, day.day, entry.hour, entry.minute)  # noqa: DTZ001 - a time on the wall
        first = wanted.replace(tzinfo=self.zone, fold=0).timestamp()
        if self._wall(first) == wanted:
            return first
        # The clock was set forward over this time. Of the two readings, one lies before that and one behind it.
        low, high = sorted((int(first), int(wanted.replace(tzinfo=self.zone, fold=1).timestamp())))
        return float(low + bisect_left(range(low, high), True, key=lambda second: self._wall(second) >= wanted))


def parse_table(text: str, read: ReadRate, example: str, zone: tzinfo | None = None) -> TimeTable:
    """Read a rate, or a table of them.

    Args:
        text: what somebody wrote.
        read: reads a rate: :func:`bytes_rate` or :func:`stores_rate`.
        example: how to write it right.
        zone: the time zone of its times; ``None``: the machine's.

    Raises:
        ValueError: it is none; the message names the word, and gives the example.
    """
    words = text.split()
    try:
        if len(words) == 1 and ":" not in text and "," not in text:
            return TimeTable((Entry(_EVERY_DAY, 0, 0, read(text)),), zone)
        return TimeTable(_entries(words, read), zone)
    except ValueError as error:
        raise ValueError(f"{error}; write, for example, {example}") from None


def _entries(words: list[str], read: ReadRate) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    days, are_complete = _EVERY_DAY, True
    for word in words:
        if word[0].isalpha() and "," not in word:
            days = _days(word) | (frozenset() if are_complete else days)
            are_complete = False
        else:
            entries.append(_entry(word, days, read))
            are_complete = True
    if not entries:
        raise ValueError(f"{' '.join(words)!r} has no rate" if words else "it is empty")
    if not are_complete:
        raise ValueError(f"nothing stands behind {words[-1]!r}")
    entries.sort(key=lambda entry: (entry.hour, entry.minute))
    for before, entry in pairwise(entries):
        if before[1:3] == entry[1:3] and before.days & entry.days:
            day = _DAYS[min(before.days & entry.days)]
            raise ValueError(f"{entry.hour:02}:{entry.minute:02} stands twice for {day}")
    return tuple(entries)


def _days(word: str) -> frozenset[int]:
    """The days of ``Mon``, ``Mon-Fri`` or ``Sat-Mon``."""
    first, dash, last = word.partition("-")
    begin = _day(first, word)
    end = _day(last, word) if dash else begin
    return frozenset((begin + more) % 7 for more in range((end - begin) % 7 + 1))


def _day(name: str, word: str) -> int:
    try:
        return _DAYS.index(name.capitalize())
    except ValueError:
        which = repr(name) if name == word else f"{name!r} in {word!r}"
        raise ValueError(f"{which} is none of {', '.join(_DAYS)}") from None


def _entry(word: str, days: frozenset[int], read: ReadRate) -> Entry:
    match = _ENTRY.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is no entry of a time table, which is HH:MM,RATE")
    hour, minute = int(match[1]), int(match[2])
    if hour > 23 or minute > 59:  # noqa: PLR2004 - as on a clock
        raise ValueError(f"{match[1]}:{match[2]} in {word!r} is no time of the day")
    return Entry(days, hour, minute, read(match[3]))


def rate_table(text: str, zone: tzinfo | None = None) -> TimeTable:
    """Read a rate of bytes, such as ``2M``, or a table of them, such as ``Mon-Fri 07:00,2M 18:00,off``.

    Args:
        text: what somebody wrote.
        zone: the time zone of its times; ``None``: the machine's.

    Raises:
        ValueError: it is none; the message names the word, and gives an example.
    """
    return parse_table(text, bytes_rate, BYTES_EXAMPLE, zone)


def stores_table(text: str, zone: tzinfo | None = None) -> TimeTable:
    """Read a rate of stores, such as ``10/s``, or a table of them; as :func:`rate_table`."""
    return parse_table(text, stores_rate, STORES_EXAMPLE, zone)


def bytes_rate(word: str) -> float | None:
    """Bytes a second: ``2M``, ``512Ki/s``, ``2.5MB``; ``None`` for ``off``.

    Raises:
        ValueError: it is none.
    """
    return _rate(word, _BYTES, "bytes: a number, then K, M, G, Ki, Mi or Gi")


def stores_rate(word: str) -> float | None:
    """Stores a second: ``10``, ``10/s``, ``600/min``, ``1000/h``; ``None`` for ``off``.

    Raises:
        ValueError: it is none.
    """
    return _rate(word, _STORES, "stores: a number, then /s, /min or /h")


def _rate(word: str, units: dict[str, float], kind: str) -> float | None:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    match = _NUMBER.fullmatch(word)
    if match is None or match[2].lower() not in units:
        raise ValueError(f"{word!r} is no rate of {kind}; or off, or pause")
    return float(match[1]) * units[match[2].lower()]
