"""A run and its journal: the files that earlier runs settled, and the outcomes of this run.

Rules:

1. A file that an earlier run settled ends at the walk, before anything of it is read: as *skipped* if the peer holds
   it, otherwise as it ended then. Its row in the journal stays as it is.
2. All other outcomes are written down. The files of a run that was ended early wait for the next one.
   An archive that could not be read, and has become whole, has no outcome of its own any more: its members have.
   A file that is to be sent again and is no longer there ends as *not sent*, when all others have ended. If its outcome
   is not known, it stays so: the peer may hold it.
3. The walk and the loop do not wait for each other here: each has its own connection to the journal.
4. If the journal can no longer be written, the run is stopped: stores under way finish, and nothing more is claimed.
"""

from __future__ import annotations

import os
from collections import Counter
from threading import Event
from time import time
from typing import TYPE_CHECKING

from asyncstore.discovery.walk import file_at
from asyncstore.journal.ids import key_of
from asyncstore.journal.lookup import NOT_ENDED, Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import NOT_MEASURED, STATE_AFTER, Outcomes, State, Walk
from asyncstore.members import SEPARATOR, STORE, MemberPath, path_in, place_of
from asyncstore.model import Identity, Outcome, Result, SourceFile, Unsendable
from asyncstore.prepare.invention import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from asyncstore.errors import JournalError
    from asyncstore.journal.journal import Journal
    from asyncstore.journal.lookup import Earlier
    from asyncstore.journal.reading import Recorded

    Find = Callable[[str, int], SourceFile | Unsendable]
    _Place = tuple[str, str | None]
    """As :func:`asyncstore.members.place_of` returns."""

RESULT_OF = {State.WAITING: Result.NOT_SENT, **{state: result for result, state in STATE_AFTER.items()}}
_AN_INSTANCE = Identity("", "", "")
"""Stands for the identity of an instance that this run does not read."""
LEFT_SO = "an earlier run left it so"
_GONE = {
    State.WAITING: "it is no longer there; an earlier run found it, and did not send it",
    State.FAILED: "it is no longer there; the peer refused it",
    State.NOT_SENT: "it is no longer there; an earlier run could not send it",
}
_MOST_THERE = 10_000
"""So many such files that are still there show that this run walked only a part of them."""
_WAIT = 0.05
"""Seconds between two checks that all other files have ended."""
NOTED_EVERY = 1000
"""The walk notes its progress after so many files."""


class Recording:
    """One run's use of its journal: it looks up files and records outcomes.

    Args:
        journal: the journal.
        again: the states of files that are sent again.
        repeat: how many times the walk delivers each file, in a row.

    Attributes:
        on_wait: called in the thread of the walk, when it begins to wait until files have ended.
    """

    def __init__(self, journal: Journal, again: Collection[State] = NOT_ENDED, repeat: int = 1) -> None:
        self.on_wait: Callable[[], object] = lambda: None
        self._journal = journal
        self._again = again
        self._repeat = repeat
        self._occurrences: dict[int, int] = {}
        """By ordinal, how often the same file came before: only of repeated files without an outcome yet."""
        self._holders: dict[str, set[tuple[bytes, bytes]]] = {}
        self._settled = 0
        """How many files are not sent, because earlier runs settled them."""
        self._left: Counter[Result] = Counter()
        """Those of them that are not stored."""
        self._taken = 0
        """Files whose outcomes this run records."""
        self._ended = 0
        """How many of them have ended."""
        self._stopped = Event()

    @property
    def failure(self) -> JournalError | None:
        """Why nothing is written any more."""
        return self._journal.failure

    def seed(self) -> str:
        """The seed of invented identities: the one of the first run. Ask for it before anything is recorded."""
        return self._journal.keep("seed of invented identities", new_seed())

    def is_taken(self, path: str, uid: str) -> bool:
        """Whether an earlier run stored another file than this one with this SOP instance UID. It blocks.

        Raises:
            JournalError: the journal cannot be read.
        """
        if uid not in self._holders:
            with Reader(self._journal.path) as reader:
                self._holders[uid] = reader.stored_as(uid)
        return bool(self._holders[uid] - {key_of(*place_of(path))})

    def without_settled(
        self,
        found: Iterator[SourceFile | Unsendable],
        find: Find = file_at,  # noqa: ARG002 - the other classes need it
    ) -> Iterator[SourceFile | Unsendable | Outcome]:
        """The files of a walk; those that earlier runs settled come as outcomes.

        Args:
            found: the files of the walk.
            find: finds a file by its path.

        Raises:
            JournalError: the journal cannot be read.
        """
        count = gone = ordinal = 0
        opened: set[_Place] = set()
        with Lookup(self._journal.path, self._again) as lookup:
            for item, occurrence, earlier in lookup.tell_apart(found, self._repeat):
                count += 1
                ordinal = item.ordinal
                if opened or type(item.path) is not str:
                    opened = self._forget_whole(opened, item.path)
                if earlier is not None and isinstance(item, SourceFile):
                    self._settled += 1
                    outcome = earlier_outcome(item, earlier)
                    if outcome.result is not Result.SKIPPED and self._again:  # a scan leaves nothing
                        self._left[outcome.result] += 1
                    yield outcome
                else:
                    if occurrence:
                        self._occurrences[ordinal] = occurrence
                    self._taken += 1
                    yield item
                if not count % NOTED_EVERY:
                    self._note(count, lookup.known, is_ended=False)
            self._forget_whole(opened, "")
            if self._again and self._journal.run > 1 and any(self._gone()) and self._all_ended():
                for gone, delivery in enumerate(self._gone(), 1):
                    file = SourceFile(path_in(delivery.path, delivery.member), ordinal + gone)
                    self._occurrences[file.ordinal] = delivery.occurrence
                    yield Unsendable(file, _GONE[delivery.state])
            self._note(count + gone, lookup.known + gone, is_ended=True)

    def _gone(self) -> Iterator[Recorded]:
        """The files that are to be sent again, and that are no longer there."""
        there = 0
        with Reader(self._journal.path) as reader:
            for delivery in reader.deliveries(_GONE.keys() & self._again):
                if delivery.run == self._journal.run:
                    continue  # this run has found it
                if STORE in delivery.path or os.path.lexists(delivery.path):
                    there += 1
                else:
                    yield delivery
                if there > _MOST_THERE:
                    return

    def _all_ended(self) -> bool:
        """Wait until all files so far have ended and are journalled; ``False``: the run is over before."""
        self.on_wait()
        while self._ended < self._taken:
            if self._stopped.wait(_WAIT):
                return False
        self._journal.flush()
        return True

    def _forget_whole(self, opened: set[_Place], path: str) -> set[_Place]:
        """Forget the rows of archives that the walk has left, and that were read to their end.

        Args:
            opened: the archives in which the last file was.
            path: the next file; an archive itself, if it cannot be read to its end.

        Returns:
            The archives in which this file is.
        """
        now = _archives_of(path)
        for place in opened - now - {place_of(path)}:
            self._journal.forget(*place)
        return now

    def _note(self, found: int, known: int, *, is_ended: bool) -> None:
        """Keep how far the walk is."""
        left = self._left
        self._journal.walk = Walk(
            found, self._settled, known, left[Result.FAILED], left[Result.NOT_SENT], is_ended=is_ended
        )

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write these outcomes down, without waiting."""
        mine = self._of_this_run(outcomes)
        self._write(mine)
        self._ended += len(mine)

    def _of_this_run(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Those that no earlier run settled."""
        if not self._settled:
            return list(outcomes)
        return [outcome for outcome in outcomes if not outcome.is_earlier]

    def _write(self, new: Sequence[Outcome], decompressed: Mapping[int, int] = NOT_MEASURED) -> None:
        occurrences: dict[int, int] = {}
        if self._occurrences:
            occurrences = {one.ordinal: self._occurrences.pop(one.ordinal, 0) for one in new}
        if new and self.failure is None:
            self._journal.record(Outcomes(new, time(), occurrences, decompressed))

    async def room(self) -> None:
        """Wait until the journal has kept up.

        Raises:
            JournalError: it can no longer be written.
        """
        await self._journal.room()

    def prioritise(self, key: str) -> None:
        """This study or patient is needed now. A walk cannot look for it."""

    def end(self) -> None:
        """The run is over: nothing follows but its last outcomes, and waiting ends."""
        self._stopped.set()


class SecondPass(Recording):
    """The journal of a further pass of a run: the files that the peer refused, in this run and earlier ones.

    Each of them gets another outcome, which takes the place of the one it had.

    Args:
        journal: the journal.
        first: the ordinal of the first file.
    """

    def __init__(self, journal: Journal, first: int) -> None:
        super().__init__(journal, again={*NOT_ENDED, State.FAILED})
        self._first = first

    def without_settled(
        self, found: Iterator[SourceFile | Unsendable], find: Find = file_at
    ) -> Iterator[SourceFile | Unsendable | Outcome]:
        """The files that the journal has as failed. Nothing is walked.

        Raises:
            JournalError: the journal cannot be read.
        """
        del found
        ordinal = self._first
        with Reader(self._journal.path) as reader:
            for delivery in reader.deliveries((State.FAILED,)):
                if delivery.run == self._journal.run:
                    self._journal.take_back(State.FAILED)
                else:
                    self._take_up()
                if delivery.occurrence:
                    self._occurrences[ordinal] = delivery.occurrence
                yield find(path_in(delivery.path, delivery.member), ordinal)
                ordinal += 1

    def _take_up(self) -> None:
        """Note that a file is no longer left as an earlier run had it."""
        walk = self._journal.walk
        if walk.left_failed:  # others were not found by this run
            self._journal.walk = walk._replace(
                skipped=walk.skipped - 1, known=walk.known + 1, left_failed=walk.left_failed - 1
            )


def _archives_of(path: str) -> set[_Place]:
    """The archives in which a file of the walk lies: one, or another in it."""
    if not isinstance(path, MemberPath) or not path.is_listed:
        return set()
    inner, separator, _ = path.member.rpartition(SEPARATOR)
    return {(path.archive, None), (path.archive, inner)} if separator else {(path.archive, None)}


def earlier_outcome(file: SourceFile, earlier: Earlier) -> Outcome:
    """The outcome of a file that an earlier run settled."""
    if earlier.state.is_stored:
        return Outcome(file, Result.SKIPPED, _AN_INSTANCE, is_earlier=True)
    identity = _AN_INSTANCE if earlier.is_instance else None
    return Outcome(file, RESULT_OF[earlier.state], identity, reason=f"{LEFT_SO}: {earlier.reason}", is_earlier=True)
