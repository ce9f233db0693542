"""Halting: the first failure in the order of the files ends the run.

Rules:

1. Files are numbered in the order in which they are found. Stores end in any order, over several associations; so what
   stands before a failure is sent to its end, and a failure among that becomes the first.
2. What stands behind the first failure and has not begun is kept here. What has begun goes on.
3. A failure may be known before anything is sent: a file is no instance, has no presentation context, or cannot be read
   or converted. It is kept here as well, until it is its turn.
4. It is the first failure's turn when nothing is unfinished but what is kept here.
5. The turn of everything else that is kept never comes: it is withdrawn, whatever might be said against it.

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
    """The order of the files, the first failure, and what waits for its turn."""

    def __init__(self) -> None:
        self.reason = ""
        """Why what stands behind the first failure is not sent."""
        self._count = 0
        self._numbers: dict[int, int] = {}
        """By identity: a file that is found twice makes two instances that are equal."""
        self._first: int | None = None
        self._failures: dict[int, Outcome] = {}
        self._behind: list[Instance] = []

    @property
    def is_coming(self) -> bool:
        """Whether there is a failure."""
        return self._first is not None

    def found(self, instances: Iterable[Instance]) -> None:
        """These come next in the order of the files."""
        for instance in instances:
            self._count += 1
            self._numbers[id(instance)] = self._count

    def ended(self, instance: Instance, outcome: Outcome) -> bool:
        """The store of ``instance`` came to ``outcome``; whether that is the first failure now."""
        number = self._numbers.pop(id(instance.found))
        return outcome.result not in HARMLESS and self._is_first(number, outcome)

    def keep(self, failure: Outcome, instance: Instance | None = None) -> bool:
        """Keep ``failure``, of ``instance`` or of the file found last; whether it is the first one now."""
        if instance is None:
            self._count += 1
            number = self._count
        else:
            number = self._numbers.pop(id(instance.found))
        self._failures[number] = failure
        return self._is_first(number, failure)

    def before(self, instances: Iterable[Instance]) -> list[Instance]:
        """Those of ``instances`` that stand before the first failure, in order; the others are kept."""
        before: list[Instance] = []
        for instance in sorted(instances, key=self._number):
            (before if self._first is None or self._number(instance) < self._first else self._behind).append(instance)
        return before

    def is_due(self, unfinished: int) -> bool:
        """Whether it is the first failure's turn: ``unfinished`` files have no outcome yet, those kept included."""
        return self._first is not None and unfinished == len(self._failures) + len(self._behind)

    def turn(self) -> list[Outcome]:
        """The first failure, if it has no outcome yet. It is not due again."""
        first, self._first = self._first, None
        return [self._failures.pop(first)] if first in self._failures else []

    def end(self, reason: str) -> tuple[list[Outcome], list[Instance]]:
        """The run ends for ``reason``: the other failures, withdrawn, and what stands behind the first."""
        withdrawn = [failure._replace(error=reason, is_withdrawn=True) for failure in self._failures.values()]
        behind = self._behind
        self._first, self._failures, self._behind = None, {}, []
        return withdrawn, behind

    def _is_first(self, number: int, failure: Outcome) -> bool:
        if self._first is not None and self._first < number:
            return False
        self._first, self.reason = number, halted_by(failure)
        return True

    def _number(self, instance: Instance) -> int:
        return self._numbers[id(instance.found)]
