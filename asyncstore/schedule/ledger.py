"""The ledger: every file that was found ends in exactly one outcome, and where a failure halts, the first one does.

Rules:

1. It counts the files that have no outcome yet. Only :meth:`Ledger.settle` counts them off.
2. Order is the order of ordinals. Stores end in any order, over several associations. So files before a failure are
   still sent, and a failure among them becomes the first.
3. Files behind the first failure that have not begun are kept here. Those that have begun go on.
4. A failure may be known before anything of the file is sent: it is no instance, it has no presentation context, or it
   cannot be read or converted. Where a failure halts, it is kept here until its turn.
5. The turn of the first failure comes when all unfinished files are kept here.
6. All others that are kept then are withdrawn, even if they are failures.

Pure: its owner sends, hands outcomes on, and stops.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.model import Result
from asyncstore.schedule.outcome import withdrawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

    from asyncstore.model import Instance, Outcome

HARMLESS = (Result.STORED, Result.WARNING)
"""The results that do not end a run."""

_ordinal = attrgetter("file.ordinal")


def halted_by(failure: Outcome) -> str:
    """Why nothing behind ``failure`` is sent."""
    return f"the run was halted by an earlier failure ({failure.reason})"


class Ledger:
    """The number of unfinished files, the first failure, and the files behind it that have not begun.

    Args:
        halts: whether the first failure ends the run.

    Attributes:
        unfinished: how many files have no outcome yet, those kept here included.
        first_failure: the ordinal of the first failure; ``None``: there is none, failures do not halt, or the run has
            ended.
        reason: why files behind the first failure are not sent.
        is_halted: whether the turn of the first failure has come.
    """

    def __init__(self, *, halts: bool) -> None:
        self.unfinished = 0
        self.first_failure: int | None = None
        self.reason = ""
        self.is_halted = False
        self._halts = halts
        self._ended: str | None = None
        """Why the run has ended."""
        self._failures: dict[int, Outcome] = {}
        """The failures whose turn has not come, by ordinal."""
        self._behind: list[Instance] = []

    def found(self, files: Sized) -> None:
        """These files are to end in one outcome each."""
        self.unfinished += len(files)

    def ended(self, outcome: Outcome) -> bool:
        """An attempt came to ``outcome``; whether that is the first failure now."""
        return outcome.result not in HARMLESS and self._is_first(outcome)

    def refuse(self, failures: Iterable[Outcome]) -> list[Outcome]:
        """Note failures of files that have not begun; those to settle now.

        Where a failure halts, they are kept until their turn, or withdrawn if the run has ended.
        """
        if not self._halts:
            return list(failures)
        if self._ended is not None:
            return [failure._replace(reason=self._ended, is_withdrawn=True) for failure in failures]
        for failure in failures:
            self._failures[failure.file.ordinal] = failure
            self._is_first(failure)
        return []

    def to_send(self, instances: list[Instance]) -> list[Instance]:
        """Those of ``instances`` (as they were found) to send, in order; the others are kept."""
        if not self._halts:
            return instances
        instances = sorted(instances, key=_ordinal)
        if self.first_failure is None:
            return instances
        before = [instance for instance in instances if instance.file.ordinal < self.first_failure]
        self._behind += instances[len(before) :]
        return before

    def settle(self, files: int) -> bool:
        """So many files have their outcomes; whether all unfinished ones are kept now."""
        self.unfinished -= files
        return self.unfinished == len(self._failures) + len(self._behind)

    @property
    def is_due(self) -> bool:
        """Whether the turn of the first failure has come."""
        return self.first_failure is not None and self.unfinished == len(self._failures) + len(self._behind)

    def turn(self) -> list[Outcome]:
        """The turn of the first failure, once. Returns its outcome to settle, if it has none yet."""
        first, self.first_failure, self.is_halted = self.first_failure, None, True
        return [self._failures.pop(first)] if first in self._failures else []

    def end(self, reason: str, waiting: Iterable[Instance] = ()) -> list[Outcome]:
        """The run ends for ``reason``: the outcomes of everything that is kept, and of ``waiting``, all withdrawn."""
        self._ended, self.first_failure = reason, None
        failures, self._failures = self._failures, {}
        behind, self._behind = self._behind, []
        return [
            *(failure._replace(reason=reason, is_withdrawn=True) for failure in failures.values()),
            *(withdrawn(instance, reason) for instance in (*behind, *waiting)),
        ]

    def _is_first(self, failure: Outcome) -> bool:
        ordinal = failure.file.ordinal
        is_behind = self.first_failure is not None and self.first_failure < ordinal
        if is_behind or self._ended is not None or not self._halts:
            return False
        self.first_failure, self.reason = ordinal, halted_by(failure)
        return True
