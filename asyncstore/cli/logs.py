"""What is logged, and from which level on.

The engine logs what happens to associations through the logger ``asyncstore`` and its children, never about single
instances. A command shows these records and its own lines with the letter of their level in front, as DCMTK's programs
do: ``I: ...``. Records of other libraries are only shown when debugging: what they warn of is decided on here.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.cli.options import DEBUG, LOG_LEVEL, QUIET, VERBOSE, VERBOSE_PC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.table import Parsed

_SILENT = logging.CRITICAL + 1
_TRACE = 5
_LEVELS = {
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": _TRACE,
}
_LETTERS = (
    (logging.CRITICAL, "F"),
    (logging.ERROR, "E"),
    (logging.WARNING, "W"),
    (logging.INFO, "I"),
    (logging.DEBUG, "D"),
)
_OURS = "asyncstore"
_NEGOTIATION = "asyncstore.negotiation"
"""The logger of the presentation contexts, which are many lines: it needs ``+v`` or debugging."""
_WARNINGS = "py.warnings"


class _Letters(logging.Formatter):
    """``E: message``."""

    def format(self, record: logging.LogRecord) -> str:
        """The letter of the level, and the message."""
        letter = next((letter for level, letter in _LETTERS if record.levelno >= level), "T")
        return f"{letter}: {super().format(record)}"


def level_of(parsed: Parsed) -> int:
    """The lowest level that is shown."""
    if parsed[QUIET]:
        return _SILENT
    if parsed[DEBUG]:
        return logging.DEBUG
    if parsed[VERBOSE]:
        return logging.INFO
    named = parsed[LOG_LEVEL]
    return logging.WARNING if named is None else _LEVELS[named]


@contextmanager
def logging_to(handler: logging.Handler, parsed: Parsed) -> Iterator[logging.Logger]:
    """While it lasts, show records through this handler; gives the logger for the command's own lines."""
    level = level_of(parsed)
    handler.setFormatter(_Letters())
    wanted = {_OURS: level, _WARNINGS: level if level <= logging.DEBUG else _SILENT}
    negotiation = logging.getLogger(_NEGOTIATION)
    if level > logging.DEBUG and not parsed[VERBOSE_PC]:
        negotiation.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    for name, lowest in wanted.items():
        logger = logging.getLogger(name)
        logger.setLevel(lowest)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield logging.getLogger(f"{_OURS}.cli")
    finally:
        logging.captureWarnings(False)
        negotiation.setLevel(logging.NOTSET)
        for name in wanted:
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
