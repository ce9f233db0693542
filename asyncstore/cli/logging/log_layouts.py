"""The layouts of log4cplus as formatters of Python's logging: SimpleLayout and PatternLayout.

Names of loggers are ours (``asyncstore.network``). A pattern's last ``%n`` is dropped, because the handler ends each
line. Each line of a message of several lines is laid out by itself, as DCMTK does it.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asyncstore.cli.logging.log_levels import level_name
from asyncstore.cli.logging.log_schema import WIDEST

if TYPE_CHECKING:
    from collections.abc import Callable

    Converter = Callable[[logging.LogRecord, str], str]
    """A part of a line, from the record and the line of its message."""

_CONVERSION = re.compile(r"%(?:%|(-?)(\d*)(?:\.(\d+))?([a-zA-Z])(?:(?<=[cdDxX])\{([^}]*)\})?)")
_LONGEST_PATTERN = 4096
"""Characters. Real patterns have some 50; one of many open braces takes time by the square of its length."""
_DATE = "%Y-%m-%d %H:%M:%S"
"""log4cplus's default for dates."""


class SimpleLayout(logging.Formatter):
    """``WARN - message``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return f"{level_name(record.levelno)} - {super().format(record)}"


class PatternLayout(logging.Formatter):
    """Lines by a conversion pattern: ``%D{%H:%M:%S} %5p: %m%n``.

    Args:
        pattern: the pattern.

    Raises:
        ValueError: it has an unknown conversion, or is too long.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__()
        if len(pattern) > _LONGEST_PATTERN:
            raise ValueError(f"a pattern has at most {_LONGEST_PATTERN} characters")
        self._parts: list[str | Converter] = []
        pattern = pattern.removesuffix("%n")
        end = 0
        for match in _CONVERSION.finditer(pattern):
            self._parts += [pattern[end : match.start()], _converter(match)]
            end = match.end()
        self._parts.append(pattern[end:])
        stray = next((part for part in self._parts if isinstance(part, str) and "%" in part), None)
        if stray is not None:
            raise ValueError(f"{stray[stray.index('%') :]!r} is no conversion; a percent sign is %%")

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        return "\n".join(self._line(record, line) for line in super().format(record).split("\n"))

    def _line(self, record: logging.LogRecord, message: str) -> str:
        return "".join(part if isinstance(part, str) else part(record, message) for part in self._parts)


def _converter(match: re.Match[str]) -> Converter:
    """The function for a conversion, which pads and cuts the text as ``%-8.8c{1}`` says."""
    left, least, most, letter, option = match.groups()
    if letter is None:
        return lambda *_: "%"
    if max(len(least), len(most or "")) > len(str(WIDEST)):
        raise ValueError(f"{match[0]} is wider than {WIDEST} characters")
    convert = _conversion(letter, option)
    width = int(least or 0)

    def converted(record: logging.LogRecord, message: str) -> str:
        text = convert(record, message)
        if most is not None and len(text) > int(most):
            return text[len(text) - int(most) :]  # log4cplus keeps the end, and does not pad it
        return text.ljust(width) if left else text.rjust(width)

    return converted


def _conversion(letter: str, option: str | None) -> Converter:
    """The function for a conversion's letter.

    Raises:
        ValueError: it is unknown.
    """
    if letter in "dD":
        return lambda record, _: _time(record, option or _DATE, gmt=letter == "d")
    if letter == "c":
        kept = int(option) if option and option.isdecimal() else 0
        return lambda record, _: ".".join(record.name.split(".")[-kept:])
    if letter in "hH":
        import platform  # few patterns need it

        host = platform.node()
        return lambda *_: host
    if letter not in _SIMPLE:
        raise ValueError(f"%{letter} is none of the conversions %{' %'.join(sorted({*_SIMPLE, *'dDchH'}))}")
    return _SIMPLE[letter]


_SIMPLE: dict[str, Converter] = {
    "m": lambda _, message: message,
    "n": lambda *_: "\n",
    "p": lambda record, _: level_name(record.levelno),
    "P": lambda record, _: level_name(record.levelno)[0],
    "i": lambda record, _: str(record.process),
    "t": lambda record, _: str(record.thread),
    "T": lambda record, _: str(record.threadName),
    "r": lambda record, _: f"{record.relativeCreated:.0f}",
    "F": lambda record, _: record.pathname,
    "b": lambda record, _: record.filename,
    "L": lambda record, _: str(record.lineno),
    "l": lambda record, _: f"{record.pathname}:{record.lineno}",
    "M": lambda record, _: str(record.funcName),
    "x": lambda *_: "",
    "X": lambda *_: "",
}
"""Conversions that ignore their option. Nested and mapped contexts (x, X) are empty, as in DCMTK's programs."""


def _time(record: logging.LogRecord, pattern: str, *, gmt: bool) -> str:
    """The record's time by a pattern of strftime, with ``%q`` for milliseconds and ``%Q`` for their fraction too."""
    time = datetime.fromtimestamp(record.created, UTC)
    milliseconds, microseconds = divmod(time.microsecond, 1000)
    text = pattern.replace("%q", f"{milliseconds:03}").replace("%Q", f"{milliseconds:03}.{microseconds:03}")
    return (time if gmt else time.astimezone()).strftime(text)
