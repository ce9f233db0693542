"""Halting: the first failure in the order of the files ends the run.

Rules:

1. What came of a store comes in its turn: those before it have begun. So a store that failed ends the run at once.
2. A failure may be known before its turn: a file is no instance, has no presentation context, or cannot be read or
   converted, and files before it are still to be sent. It is kept here until they have their outcomes; what stands
   behind it is kept with it, and is not begun.
3. It is its turn when nothing is unfinished but what is kept here.
4. A run that ends earlier, for another reason, takes what is kept with it: the failures are what they are, and the
   turn of what stands behind them never came.

Pure: its owner counts, settles and stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Instance, Outcome

HARMLESS = (Result.STORED, Result.WARNING)
"""The results that do not end a run."""


def halted_by(failure: Outcome) -> str:
    """Why nothing behind ``failure`` is sent."""
    return f"the run was halted by an earlier failure ({failure.error})"


class Halt:
    """The failures that wait for their turn, and what stands behind them."""

    def __init__(self) -> None:
        self.is_coming = False
        """Whether a failure waits for its turn."""
        self._failures: list[Outcome] = []
        self._behind: list[Instance] = []

    def keep(self, failures: list[Outcome], behind: list[Instance]) -> None:
        """Keep ``failures``, and what stands behind the first of them.

        What stands behind a failure that is kept is not taken any more. So this one was taken before that, or beside it
        by another lane, and counts as standing before it.
        """
        self._failures = failures + self._failures
        self._behind = behind + self._behind
        self.is_coming = True

    def add(self, failures: Iterable[Outcome], instances: Iterable[Instance]) -> None:
        """Keep files that were found after a failure was kept: they stand behind it."""
        self._failures += failures
        self._behind += instances

    def due(self, unfinished: int) -> list[Outcome]:
        """The failures, once it is their turn: ``unfinished`` files have no outcome yet, those kept here included."""
        if unfinished != len(self._failures) + len(self._behind):
            return []
        failures, self._failures, self.is_coming = self._failures, [], False
        return failures

    def end(self) -> tuple[list[Outcome], list[Instance]]:
        """The run ends: what is kept, failures and what stands behind them."""
        kept = self._failures, self._behind
        self._failures, self._behind, self.is_coming = [], [], False
        return kept
