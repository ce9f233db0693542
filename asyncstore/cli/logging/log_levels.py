"""The levels of the log: DCMTK's names, which ``-ll`` and property files of log4cplus use, and letters."""

from __future__ import annotations

import logging

TRACE = 5
"""Below Python's own levels. It is the only level that may show values of a data set."""
SILENT = logging.CRITICAL + 1
"""Above the level of every record."""

LEVELS = {
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
"""From the highest to the lowest."""


def level_name(level: int) -> str:
    """DCMTK's name of a level: ``WARN``."""
    return next((name for name, lowest in LEVELS.items() if level >= lowest), "trace").upper()


def level_letter(level: int) -> str:
    """The letter in front of its lines: ``W``."""
    return level_name(level)[0]
