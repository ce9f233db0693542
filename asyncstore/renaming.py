"""Rename files by their outcome: ``+rn`` appends ``.done`` to stored files and ``.bad`` to others.

Rules:

1. A file is renamed once, after its last outcome, in one step and within its directory (rename(2)).
2. A name has at most one ending, that of the last outcome: when ``1.dcm.bad`` is stored it becomes ``1.dcm.done``. So
   repeating it changes nothing.
3. ``.done``: the SCP said that it holds the instance, in this run or in an earlier one. ``.bad``: it refused it, or the
   file could not be sent. Files that must be sent again keep their names: their turn never came, or their response was
   lost.
4. Existing files are not overwritten: if the new name is taken, the file keeps its own, and that is reported. The check
   comes right before rename(2), which replaces a file that was created in between, except on Windows. A link and an
   unlink would not replace it, but could remove a new file with the old name, or leave both names after an error.
5. Only regular files are renamed. A missing one was named twice and has been renamed already.
6. A walk that resumes (:class:`~asyncstore.discovery.walk.WalkOptions`) skips done files and finds bad ones again.
7. A journal has the new names.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from asyncstore.model import Outcome, Result
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    """A file that could not be renamed."""

    path: str
    target: str
    reason: str
    """One readable clause."""


class Renamer:
    """Renames files by their outcomes. Its methods block: call them in a thread, one at a time.

    Args:
        repeat: the number of outcomes of each file (:attr:`asyncstore.discovery.walk.WalkOptions.repeat`). It is
            renamed after the last one, by the worst of them.
        keeps_unsendable: whether files without an instance keep their names, as with storescu's ``-R``, which rejects
            them before it begins.

    Attributes:
        failed: the number of files that could not be renamed.
        on_renamed: called with the old and the new path of each file that was renamed, again for one that was named
            twice.
    """

    def __init__(self, repeat: int = 1, *, keeps_unsendable: bool = False) -> None:
        self._repeat = repeat
        self._keeps_unsendable = keeps_unsendable
        self._unfinished: dict[str, list[str | None]] = {}
        self.failed = 0
        self.on_renamed: Callable[[str, str], object] = lambda *_: None

    def add(self, outcomes: Iterable[Outcome]) -> list[NotRenamed]:
        """Rename the files whose last outcome is among these; returns those that could not be renamed."""
        problems = [
            self._rename(outcome.path, ending)
            for outcome in outcomes
            if (ending := self._final(outcome.path, self._ending(outcome))) is not None
        ]
        return [problem for problem in problems if problem is not None]

    def _ending(self, outcome: Outcome) -> str | None:
        """The ending for this outcome; ``None``: keep the name."""
        if outcome.is_withdrawn or (self._keeps_unsendable and _is_no_instance(outcome)):
            return None
        return _ENDINGS.get(outcome.result)

    def _final(self, path: str, ending: str | None) -> str | None:
        """The ending after all repetitions; ``None`` before the last one, or to keep the name."""
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
            if not stat.S_ISREG(os.stat(path).st_mode):
                return None
            if os.path.lexists(target):
                return self._kept(path, target, "that name is taken")
            os.rename(path, target)
        except FileNotFoundError:
            now = name_now(path)
            if now is not None:
                self.on_renamed(path, now)
            return None
        except (OSError, ValueError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else "no file can have this name"
            return self._kept(path, target, reason)
        self.on_renamed(path, target)
        return None

    def _kept(self, path: str, target: str, reason: str) -> NotRenamed:
        self.failed += 1
        return NotRenamed(path, target, reason)


def without_ending(path: str) -> str:
    """The name without its ending. ``.done`` alone is a name, not an ending."""
    for ending in (DONE, BAD):
        stem = path.removesuffix(ending)
        if stem != path and os.path.basename(stem):
            return stem
    return path


def name_now(path: str) -> str | None:
    """The path that a missing file has now, if it was renamed."""
    return next((path + ending for ending in (DONE, BAD) if os.path.lexists(path + ending)), None)


def is_done(name: str) -> bool:
    """Whether the name has the ending ``.done``."""
    return name.endswith(DONE) and name != without_ending(name)


def _is_no_instance(outcome: Outcome) -> bool:
    return outcome.result is Result.NOT_SENT and outcome.sop_class_uid is None
