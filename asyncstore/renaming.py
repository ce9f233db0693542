"""Names that tell what became of a file: ``+rn`` appends ``.done`` to what is stored and ``.bad`` to what is not.

Rules:

1. A file is renamed once, after its last outcome, in one step and within its directory (rename(2)).
2. A name has one ending at most, and it tells the last outcome: ``1.dcm.bad`` that is stored at last becomes
   ``1.dcm.done``. So doing it again changes nothing.
3. ``.done``: the SCP said that it holds the instance, in this run or in an earlier one. ``.bad``: it refused it, or the
   file could not be sent. Whatever must be sent again as it is keeps its name: files whose turn never came, and those
   whose response was lost.
4. No file that is there is overwritten: right before it is renamed the new name is looked for, and where it is taken
   the file keeps its own, and that is reported. Whoever makes a file of that name between the two loses it, except on
   Windows: rename(2) replaces. (A new link and an unlink would not, but would remove what came under the old name in
   between, and leave both names where the second one fails.)
5. Only regular files are renamed. One that is gone was named twice, and has been renamed already.
6. A walk that resumes (:class:`~asyncstore.source.WalkOptions`) passes over what is done and finds what is bad again.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.model import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE = ".done"
BAD = ".bad"

_ENDINGS = {
    Result.STORED: DONE,
    Result.WARNING: DONE,
    Result.SKIPPED: DONE,
    Result.FAILED: BAD,
    Result.NOT_SENT: BAD,
}


class NotRenamed(NamedTuple):
    """A file that should have another name and keeps its own."""

    path: str
    target: str
    reason: str
    """One readable clause."""


class Renamer:
    """Renames files by their outcomes. Its methods block: call them in a thread, one at a time.

    Args:
        repeat: how many outcomes each file gets (:attr:`asyncstore.source.WalkOptions.repeat`); it is renamed after
            the last, for the worst of them.
        keeps_unsendable: whether files that turned out to be no instance keep their names, as with storescu's ``-R``,
            which turns them away before it begins.

    Attributes:
        failed: how many could not be.
    """

    def __init__(self, repeat: int = 1, *, keeps_unsendable: bool = False) -> None:
        self._repeat = repeat
        self._keeps_unsendable = keeps_unsendable
        self._unfinished: dict[str, list[str | None]] = {}
        self.failed = 0

    def add(self, outcomes: Iterable[Outcome]) -> list[NotRenamed]:
        """Rename the files whose last outcome is among these; those that could not be."""
        problems = [
            self._rename(outcome.path, ending)
            for outcome in outcomes
            if (ending := self._final(outcome.path, self._ending(outcome))) is not None
        ]
        return [problem for problem in problems if problem is not None]

    def _ending(self, outcome: Outcome) -> str | None:
        """What this outcome puts at the end of the name, if anything."""
        if outcome.is_withdrawn or (self._keeps_unsendable and _is_no_instance(outcome)):
            return None
        return _ENDINGS.get(outcome.result)

    def _final(self, path: str, ending: str | None) -> str | None:
        """The ending after all repetitions; ``None`` as long as some are to come, and where the name is to stay."""
        if self._repeat == 1:
            return ending
        endings = self._unfinished.setdefault(path, [])
        endings.append(ending)
        if len(endings) < self._repeat:
            return None
        del self._unfinished[path]
        if BAD in endings:
            return BAD
        return None if None in endings else DONE

    def _rename(self, path: str, ending: str) -> NotRenamed | None:
        target = without_ending(path) + ending
        if target == path:
            return None
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - paths are str throughout
                return None
            if os.path.lexists(target):
                return self._kept(path, target, "that name is taken")
            os.rename(path, target)  # noqa: PTH104 - see above
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else "no file can have this name"
            return self._kept(path, target, reason)
        return None

    def _kept(self, path: str, target: str, reason: str) -> NotRenamed:
        self.failed += 1
        return NotRenamed(path, target, reason)


def without_ending(path: str) -> str:
    """The name as it was before it told an outcome. A file called ``.done`` has that for its name."""
    for ending in (DONE, BAD):
        stem = path.removesuffix(ending)
        if stem != path and os.path.basename(stem):  # noqa: PTH119 - paths are str throughout
            return stem
    return path


def is_done(name: str) -> bool:
    """Whether the name says that the instance is stored."""
    return name.endswith(DONE) and name != without_ending(name)


def _is_no_instance(outcome: Outcome) -> bool:
    return outcome.result is Result.NOT_SENT and outcome.sop_class_uid is None
