"""The levels of the log, with the names that DCMTK's ``-ll`` and log4cplus use; a context that puts loggers back."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


@contextmanager
def restored(names: Iterable[str]) -> Iterator[None]:
    """Within this context these loggers may be changed, and warnings are logged. Afterwards all is as it was before."""
    before = [(each, list(each.handlers), each.level, each.propagate) for each in map(logging.getLogger, names)]
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    disabled = [each.disabled for each in known]  # a file of dictConfig may disable all that it does not name
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, handlers, level, propagates in before:
            for handler in set(logger.handlers) - set(handlers):
                handler.close()
            logger.handlers[:], logger.propagate = handlers, propagates
            logger.setLevel(level)
        for logger, is_disabled in zip(known, disabled, strict=True):
            logger.disabled = is_disabled
