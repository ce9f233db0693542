"""The kinds of values of options and parameters: how many words, their names in the help, the meaning.

A kind turns words into one typed value, or raises :class:`ValueError`, or an engine's UsageError, with a readable
clause ("12 is out of range (1..5)"). The caller adds the option's name.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from asyncstore.schedule.timetable import TimeTable

T_co = TypeVar("T_co", covariant=True)
Word = TypeVar("Word", bound=str)

# Patterns are compiled when they are first used: most commands need one of them.
_INTEGER = r"(?a)\s*[+-]?[0-9]+\s*"
_DECIMAL = r"(?a)\s*[+-]?[0-9]*\.?[0-9]+\s*"
_STATUS_DIGITS = r"(?:0x)?[0-9a-f]{4}"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = r"(?ai:(\d+(?:\.\d+)?)(ms|s|min|m|h|d))"
_DURATION = f"(?:{_PART})+"
_AE_TITLE_LENGTH = 16
"""PS3.5 table 6.2-1: an AE is at most 16 bytes."""
_MOST_PORT = 65535


class Kind(Protocol[T_co]):
    """The type of one option's or parameter's value."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its words in the help. It takes as many words as it has names."""

    def parse(self, words: Sequence[str]) -> T_co:
        """The value of these words.

        Raises:
            ValueError: they are not valid; the message says why.
            UsageError: the same, if the engine reads them.
        """


class Flag:
    """No word: the option is given or not."""

    names = ()

    def parse(self, words: Sequence[str]) -> bool:
        """``True``: it was given."""
        return not words


class Named:
    """A kind of one word, which is made with the word's name."""

    def __init__(self, name: str) -> None:
        self.names = (name,)


class Text(Named):
    """Any one word."""

    def parse(self, words: Sequence[str]) -> str:
        """The word itself."""
        return words[0]


class Secret(Text):
    """One word that no message shows."""


class Host(Text):
    """A host name or IP address."""

    def parse(self, words: Sequence[str]) -> str:
        """The word itself."""
        name, _, port = words[0].rpartition(":")
        if name and ":" not in name and port.isdecimal():
            raise ValueError(f"host and port are two words: {name} {port}")
        return words[0]


class Words(Named):
    """Several words: all that remain for the last parameter, or one each time that an option is given."""

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        """The words themselves."""
        return tuple(words)


class Pair:
    """Any two words."""

    def __init__(self, first: str, second: str) -> None:
        self.names = (first, second)

    def parse(self, words: Sequence[str]) -> tuple[str, str]:
        """The words themselves."""
        return words[0], words[1]


class Address:
    """A host name or IP address, and a TCP port."""

    names = ("PEER", "PORT")

    def parse(self, words: Sequence[str]) -> tuple[str, int]:
        """The host as it is and the port as a number."""
        return Host("PEER").parse(words), Integer("PORT", 1, _MOST_PORT).parse(words[1:])


class AETitle:
    """An application entity title (PS3.5 table 6.2-1, VR AE)."""

    names = ("TITLE",)

    def parse(self, words: Sequence[str]) -> str:
        """The title without the spaces around it, which have no meaning (PS3.5 6.2)."""
        title = words[0].strip(" ")
        if not title:
            raise ValueError("an AE title cannot be empty")
        if not (title.isascii() and title.isprintable()) or "\\" in title:
            raise ValueError(f"{words[0]!r} is no AE title: only ASCII characters without backslash are allowed")
        if len(title) > _AE_TITLE_LENGTH:
            raise ValueError(f"{title!r} is no AE title: {len(title)} characters, and {_AE_TITLE_LENGTH} are allowed")
        return title


class Integer(Named):
    """A decimal integer in a range, ends included."""

    def __init__(self, name: str, low: int | None = None, high: int | None = None) -> None:
        super().__init__(name)
        self.low, self.high = low, high

    def parse(self, words: Sequence[str]) -> int:
        """The number."""
        word = words[0]
        if not re.fullmatch(_INTEGER, word):
            raise ValueError(f"{word!r} is not an integer")
        return _in_range(int(word), self.low, self.high)


class IntegerOrAuto(Named):
    """An integer in a range, or ``auto``, which is ``None``."""

    def __init__(self, name: str, low: int, high: int) -> None:
        super().__init__(f"{name}|auto")
        self._low, self._high = low, high

    def parse(self, words: Sequence[str]) -> int | None:
        """The number, or ``None`` for ``auto``."""
        word = words[0]
        if word == "auto":
            return None
        if not re.fullmatch(_INTEGER, word):
            raise ValueError(f"{word!r} is neither an integer nor auto")
        return _in_range(int(word), self._low, self._high)


class Seconds:
    """A duration in seconds, decimals allowed, to the millisecond."""

    names = ("SECONDS",)

    def parse(self, words: Sequence[str]) -> float:
        """The seconds."""
        try:
            seconds = float(words[0])
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            raise ValueError(f"{words[0]!r} is not a number of seconds")
        return _in_range(round(seconds, 3), 0.0, None)


class Duration(Named):
    """A duration with its units: ``90s``, ``1h30m``, ``200ms``.

    Args:
        name: the name of the word.
        example: how to write it right.
    """

    def __init__(self, name: str, example: str) -> None:
        super().__init__(name)
        self._example = example

    def parse(self, words: Sequence[str]) -> float:
        """The seconds, more than 0."""
        word = words[0]
        if not re.fullmatch(_DURATION, word):
            what = "has no unit" if word.replace(".", "", 1).isdecimal() else "is no duration"
            raise ValueError(f"{word!r} {what}; write, for example, {self._example}")
        seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in re.findall(_PART, word))
        if not seconds:
            raise ValueError(f"{word!r} is no time at all")
        return seconds


class Rate(Named):
    """A rate, or a time table of rates; the time zone is the machine's.

    Args:
        name: the name of the word.
        unit: what is counted.
    """

    def __init__(self, name: str, unit: Literal["bytes", "stores"]) -> None:
        super().__init__(name)
        self._unit = unit

    def parse(self, words: Sequence[str]) -> TimeTable:
        """The time table."""
        from asyncstore.schedule import timetable

        return timetable.rate_table(words[0]) if self._unit == "bytes" else timetable.stores_table(words[0])


class TimeZone(Named):
    """The name of a time zone."""

    def parse(self, words: Sequence[str]) -> ZoneInfo:
        """The time zone."""
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(words[0])
        except (OSError, ValueError, LookupError):
            example = "write, for example, Europe/Berlin"
            raise ValueError(f"{words[0]!r} is no time zone that this machine knows; {example}") from None


class Choice(Named, Generic[Word]):
    """One of a few words, in small letters or capitals."""

    def __init__(self, name: str, choices: tuple[Word, ...]) -> None:
        super().__init__(name)
        self.choices = choices

    def parse(self, words: Sequence[str]) -> Word:
        """The word in small letters."""
        for choice in self.choices:
            if choice == words[0].lower():
                return choice
        raise ValueError(f"{words[0]!r} is none of {', '.join(self.choices)}")


class Status:
    """A DIMSE status: four hexadecimal digits after ``0x``, or one of a few names."""

    names = ("STATUS",)

    def __init__(self, known: Mapping[str, int]) -> None:
        self.known = known

    def parse(self, words: Sequence[str]) -> int:
        """The status as a number."""
        word = words[0].lower()
        if word in self.known:
            return self.known[word]
        if not re.fullmatch("0x[0-9a-f]{1,4}", word):
            raise ValueError(f"{words[0]!r} is neither a status like 0xA700 nor one of {', '.join(self.known)}")
        return int(word, 16)


class StatusRanges(Named):
    """DIMSE statuses, each time that the option is given: ``0110``, ``A700-A7FF``, several with commas."""

    def parse(self, words: Sequence[str]) -> tuple[range, ...]:
        """The ranges of the statuses."""
        return tuple(self._range(part.strip()) for word in words for part in word.split(","))

    def _range(self, text: str) -> range:
        numbers = [int(digits, 16) for digits in text.lower().split("-") if re.fullmatch(_STATUS_DIGITS, digits)]
        if not numbers or len(numbers) != text.count("-") + 1 or len(numbers) > len(("first", "last")):
            raise ValueError(f"{text!r} is neither a status like A700 nor a range like C000-C0FF")
        if numbers[0] > numbers[-1]:
            raise ValueError(f"{text!r} is an empty range")
        return range(numbers[0], numbers[-1] + 1)


class Patience(Named):
    """A number of seconds, or ``forever``."""

    def parse(self, words: Sequence[str]) -> float:
        """The seconds; infinity for ``forever``."""
        word = words[0].lower()
        if word == "forever":
            return math.inf
        if not re.fullmatch(_DECIMAL, word):
            raise ValueError(f"{words[0]!r} is neither a number of seconds nor forever")
        return Seconds().parse(words)


Number = TypeVar("Number", int, float)


def _in_range(number: Number, low: Number | None, high: Number | None) -> Number:
    """The number.

    Raises:
        ValueError: it is out of range.
    """
    if (low is None or number >= low) and (high is None or number <= high):
        return number
    allowed = f"{low}..{high}" if high is not None else f"at least {low:g}"
    raise ValueError(f"{number} is out of range ({allowed})")
