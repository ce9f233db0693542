"""The lines about single files that a run leaves behind: those that were not stored, and with ``-v`` all of them.

A run of a million failures must neither flood a terminal nor wait for it, so only the first failures become lines; the
summary counts them all by their reason, and ``--json`` names every one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncstore.model import Outcome, Result
from asyncstore.observe.readable import printable
from asyncstore.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_LINES = 100
"""As many as a person scrolls back; more are better read by a program."""


class OutcomeLines:
    """Writes a line for every outcome that deserves one.

    Args:
        logger: where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._verbose = logger.isEnabledFor(logging.INFO)
        self._lines = 0

    def add(self, batch: Sequence[Outcome]) -> None:
        """Write what is to be said of these outcomes."""
        for outcome in batch:
            if self._verbose:
                self._write_all(outcome)
            elif outcome.result is not Result.STORED and outcome.result is not Result.SKIPPED:
                self._write_failure(outcome)

    def _write_all(self, outcome: Outcome) -> None:
        """The lines storescu writes when it is verbose, as far as they apply here."""
        if outcome.attempts:
            self._logger.info("Sending file: %s", printable(outcome.path))
        if outcome.result is Result.STORED:
            self._logger.info("Received Store Response (Success)")
        elif outcome.result is Result.SKIPPED:
            self._logger.info("Stored by an earlier run: %s", printable(outcome.path))
        else:
            self._write(outcome)

    def _write_failure(self, outcome: Outcome) -> None:
        """A line for this one, as long as there are not too many."""
        self._lines += 1
        if self._lines <= _MOST_LINES:
            self._write(outcome)
        elif self._lines == _MOST_LINES + 1:
            self._logger.warning(
                "more than %d files were not simply stored: the summary counts them, --json FILE names them",
                _MOST_LINES,
            )

    def _write(self, outcome: Outcome) -> None:
        """What became of a file that was not stored, or stored with a warning."""
        level = logging.WARNING if outcome.result is Result.WARNING else logging.ERROR
        self._logger.log(level, "%s: %s", printable(outcome.path), _clause(outcome))


def _clause(outcome: Outcome) -> str:
    """Why, and what it means for the instance."""
    reason = describe(outcome.status) if outcome.status is not None else printable(outcome.error or "no reason given")
    match outcome.result:
        case Result.WARNING:
            return f"stored with a warning: {reason}"
        case Result.FAILED:
            return f"refused by the SCP: {reason}"
        case Result.UNKNOWN:
            return f"may be stored or not: {reason}"
        case _:
            return f"not sent: {reason}"
