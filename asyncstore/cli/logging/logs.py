"""Which log records are shown, and from which level on.

The engine logs events of associations through the logger ``asyncstore`` and its children. It logs nothing about single
instances. A command shows these records and its own lines with the letter of their level in front, as DCMTK's programs
do: ``I: ...``. Warnings of other libraries may quote values of a data set. They are shown at the level trace only: no
other level shows data of a patient. With ``-lc`` a file decides instead (log_config.py).
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from asyncstore.cli.logging.log_levels import LEVELS, SILENT, TRACE, level_name, restored
from asyncstore.cli.options import rows as opt
from asyncstore.errors import AsyncstoreError, UsageError
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.options.table import Parsed

_OURS = "asyncstore"
_NEGOTIATION = "asyncstore.negotiation"
"""The logger of presentation contexts. They take many lines, so it needs ``+v`` or the level debug."""
_WARNINGS = "py.warnings"


class _Letters(logging.Formatter):
    """``E: message``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """The letter of the level, and the message on one line: peers and files may send control characters."""
        return f"{level_name(record.levelno)[0]}: {printable(super().formatMessage(record))}"


def level_of(parsed: Parsed) -> int:
    """The lowest level that is shown."""
    if parsed[opt.QUIET]:
        return SILENT
    if parsed[opt.DEBUG]:
        return logging.DEBUG
    if parsed[opt.VERBOSE]:
        return logging.INFO
    named = parsed[opt.LOG_LEVEL]
    return logging.WARNING if named is None else LEVELS[named]


@contextmanager
def logging_to(handler: logging.Handler, parsed: Parsed, program: str = _OURS) -> Iterator[logging.Logger]:
    """Within this context show records through ``handler``; gives the logger for the command's own lines.

    Args:
        handler: the handler.
        parsed: the command line, which says what is shown.
        program: the program of DCMTK that the command replaces, if there is one.

    Raises:
        UsageError: the file that ``-lc`` names cannot be used, or the level hides the lines that ``+v`` asks for.
    """
    path = parsed[opt.LOG_CONFIG]
    with restored((_NEGOTIATION,)), ExitStack() as stack:
        if path is None:
            stack.enter_context(_from_level(level_of(parsed), handler))
        else:
            from asyncstore.cli.logging.log_config import logging_as  # few runs have such a file

            stack.enter_context(logging_as(path, handler, program))
        _show_contexts(wanted=parsed[opt.VERBOSE_PC])
        logger = logging.getLogger(f"{_OURS}.cli")
        try:
            yield logger
        except AsyncstoreError as error:
            log_end(logger, error, parsed)
            raise


def log_end(logger: logging.Logger, error: AsyncstoreError, parsed: Parsed) -> None:
    """Log the error that ends a command, if a file decides what is logged: the log should be complete."""
    if parsed[opt.LOG_CONFIG] is not None:
        logger.critical("%s", printable(str(error)))


@contextmanager
def _from_level(level: int, handler: logging.Handler) -> Iterator[None]:
    handler.setFormatter(_Letters())
    lowest = {_OURS: level, _WARNINGS: level if level <= TRACE else SILENT}
    with restored(lowest):
        for name, least in lowest.items():
            logger = logging.getLogger(name)
            logger.setLevel(least)
            logger.propagate = False
            logger.addHandler(handler)
        yield


def _show_contexts(*, wanted: bool) -> None:
    """Show presentation contexts if they are wanted, or if the level is debug or below.

    Raises:
        UsageError: they are wanted, but the level hides them; storescu refuses that too.
    """
    logger = logging.getLogger(_NEGOTIATION)
    level = logger.getEffectiveLevel()
    if wanted and level > logging.INFO:
        raise UsageError(f"{opt.VERBOSE_PC.short}/{opt.VERBOSE_PC.long} needs a log level of info or below")
    if level > logging.DEBUG and not wanted:
        logger.setLevel(max(level, logging.WARNING))
