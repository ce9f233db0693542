"""The levels of the log by DCMTK's names, which ``-ll`` and log4cplus's property files use, and their letters."""

from __future__ import annotations

import logging

TRACE = 5
"""Below Python's own levels: the only one at which something of a data set may be shown."""
SILENT = logging.CRITICAL + 1
"""Above every record's."""

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
    """What DCMTK calls a level: ``WARN``."""
    return next((name for name, lowest in LEVELS.items() if level >= lowest), "trace").upper()


def level_letter(level: int) -> str:
    """The letter in front of its lines: ``W``."""
    return level_name(level)[0]
