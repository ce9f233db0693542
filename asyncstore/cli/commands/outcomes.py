"""The log lines about single files: those that were not stored, and with ``-v`` all of them.

A run with a million failures must not flood a terminal, wait for it, or hide the cause. The summary counts all failures
by reason, and ``--json`` names each file. So lines are limited:

1. only the first failures have lines;
2. files that could be sent, but were not for another cause, have even fewer lines for each kind of reason;
3. files that were not sent because the run ended early, by a signal or by a failure, have none, nor have those that an
   earlier run left.

A line is written when the outcome is known, and names its file, because many files are under way at a time.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.model import Outcome, Result
from asyncstore.observe.formatting import printable
from asyncstore.observe.reasons import parts_of
from asyncstore.observe.results import words_of
from asyncstore.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.renaming import NotRenamed

_MOST_LINES = 100
"""As many as a person scrolls back. For more, programs can read ``--json``."""
_MOST_ALIKE = 3
"""Enough to see that the reason concerns more than one file."""

_SILENT = frozenset({Result.STORED, Result.SKIPPED})


class OutcomeLines:
    """Writes the lines about outcomes.

    Args:
        logger: where the lines go.
        halts: whether the first failure ends the run.
    """

    def __init__(self, logger: logging.Logger, *, halts: bool) -> None:
        self._logger = logger
        self._halts = halts
        self._is_ending = False
        self._verbose = logger.isEnabledFor(logging.INFO)
        self._lines = 0
        self._unrenamed = 0
        self._repaired = 0
        self._alike: Counter[str] = Counter()
        """How many lines each kind of reason had. There are few kinds, however many reasons there are."""

    def add(self, batch: Sequence[Outcome]) -> None:
        """Write the lines about these outcomes."""
        for outcome in batch:
            if self._verbose:
                self._write_success(outcome)
            if outcome.repairs:
                self._write_repairs(outcome)
            if outcome.result not in _SILENT and self._deserves_line(outcome):
                self._write_limited(outcome)
                if self._halts and outcome.result is not Result.WARNING and not outcome.is_earlier:
                    self._is_ending = True

    def not_renamed(self, files: Sequence[NotRenamed]) -> None:
        """Write which files could not be renamed; only the first of them, as with failures."""
        for path, target, reason in files:
            self._unrenamed += 1
            if self._unrenamed <= _MOST_LINES:
                self._logger.warning("%s: not renamed to %s: %s", printable(path), printable(target), reason)

    def end(self) -> None:
        """Write no more lines about files that are not sent: the run ends."""
        self._is_ending = True

    def _write_success(self, outcome: Outcome) -> None:
        """A line for a stored file, in storescu's words, so that searches in logs find it."""
        if outcome.result is Result.STORED:
            self._logger.info("%s: Received Store Response (Success)", printable(outcome.path))
        elif outcome.result is Result.SKIPPED:
            self._logger.info("%s: stored by an earlier run", printable(outcome.path))

    def _write_repairs(self, outcome: Outcome) -> None:
        """A line for a file that was mended."""
        self._repaired += 1
        if self._repaired <= _MOST_LINES or self._verbose:
            self._logger.warning("%s: repaired: %s", printable(outcome.path), "; ".join(words_of(outcome.repairs)))
        elif self._repaired == _MOST_LINES + 1:
            self._logger.warning(
                "more than %d files were repaired: the summary counts, --json FILE names them", _MOST_LINES
            )

    def _deserves_line(self, outcome: Outcome) -> bool:
        """Whether this failure gets a line (rules 2 and 3)."""
        if outcome.is_earlier:
            return self._verbose
        if outcome.result is not Result.NOT_SENT or outcome.attempts:
            return True
        if self._is_ending or outcome.is_withdrawn:
            return False
        if outcome.sop_class_uid is None:
            return True
        kind = parts_of(outcome.error or "")[0]
        self._alike[kind] += 1
        return self._alike[kind] <= _MOST_ALIKE

    def _write_limited(self, outcome: Outcome) -> None:
        """Write a line for this outcome, unless there were too many (rule 1)."""
        self._lines += 1
        if self._lines <= _MOST_LINES or self._verbose:
            level = logging.WARNING if outcome.result is Result.WARNING else logging.ERROR
            self._logger.log(level, "%s: %s", printable(outcome.path), _clause(outcome))
        elif self._lines == _MOST_LINES + 1:
            self._logger.warning(
                "more than %d files were not stored, or with a warning: the summary counts, --json FILE names them",
                _MOST_LINES,
            )


def _clause(outcome: Outcome) -> str:
    """What happened to the instance, and why."""
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
