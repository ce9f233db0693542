"""A run and its journal: the files that earlier runs settled, and the outcomes of this run.

Rules:

1. A file that an earlier run settled ends at the walk, before anything of it is read: as *skipped* if the peer holds
   it, otherwise as it ended then. Its row in the journal stays as it is.
2. All other outcomes are written down. The files of a run that was ended early wait for the next one.
3. The walk and the loop do not wait for each other here: each has its own connection to the journal.
4. If the journal can no longer be written, the run is stopped: stores under way finish, and nothing more is claimed.
"""

from __future__ import annotations

from collections import Counter
from time import time
from typing import TYPE_CHECKING

from asyncstore.discovery.walk import file_at
from asyncstore.journal.lookup import NOT_ENDED, Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import NOT_MEASURED, STATE_AFTER, Outcomes, State, Walk
from asyncstore.members import path_in
from asyncstore.model import Identity, Outcome, Result, SourceFile
from asyncstore.prepare.invention import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from asyncstore.errors import JournalError
    from asyncstore.journal.journal import Journal
    from asyncstore.journal.lookup import Earlier
    from asyncstore.model import Unsendable

    Find = Callable[[str, int], SourceFile | Unsendable]

_RESULTS = {State.WAITING: Result.NOT_SENT, **{state: result for result, state in STATE_AFTER.items()}}
_AN_INSTANCE = Identity("", "", "")
"""Stands for the identity of an instance that this run does not read."""
_EARLIER = "an earlier run left it so"
NOTED_EVERY = 1000
"""The walk notes its progress after so many files."""


class Recording:
    """One run's use of its journal: it looks up files and records outcomes.

    Args:
        journal: the journal.
        again: the states of files that are sent again.
    """

    def __init__(self, journal: Journal, again: Collection[State] = NOT_ENDED) -> None:
        self._journal = journal
        self._again = again
        self._occurrences: dict[int, int] = {}
        """By ordinal, how often the same file came before: only of repeated files without an outcome yet."""
        self._left: Counter[Result] = Counter()
        """The files of earlier runs that are not stored, and are left so."""

    @property
    def failure(self) -> JournalError | None:
        """Why nothing is written any more."""
        return self._journal.failure

    def seed(self) -> str:
        """The seed of invented identities: the one of the first run. Ask for it before anything is recorded."""
        return self._journal.keep("seed of invented identities", new_seed())

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
        count = skipped = 0
        with Lookup(self._journal.path, self._again) as lookup:
            for item, occurrence, earlier in lookup.tell_apart(found):
                count += 1
                if earlier is not None and isinstance(item, SourceFile):
                    skipped += 1
                    outcome = earlier_outcome(item, earlier)
                    if outcome.result is not Result.SKIPPED and self._again:  # a scan leaves nothing
                        self._left[outcome.result] += 1
                    yield outcome
                else:
                    if occurrence:
                        self._occurrences[item.ordinal] = occurrence
                    yield item
                if not count % NOTED_EVERY:
                    self._note(count, skipped, lookup.known, is_ended=False)
            self._note(count, skipped, lookup.known, is_ended=True)

    def _note(self, found: int, skipped: int, known: int, *, is_ended: bool) -> None:
        """Keep how far the walk is."""
        left = self._left
        self._journal.note_walk(
            Walk(found, skipped, known, left[Result.FAILED], left[Result.NOT_SENT], is_ended=is_ended)
        )

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write these outcomes down, without waiting."""
        self._write([outcome for outcome in outcomes if not outcome.is_earlier])

    def _write(self, new: Sequence[Outcome], decompressed: Mapping[int, int] = NOT_MEASURED) -> None:
        occurrences: dict[int, int] = {}
        if self._occurrences:
            occurrences = {one.ordinal: self._occurrences.pop(one.ordinal, 0) for one in new}
        if new and self.failure is None:
            self._journal.record_outcomes(Outcomes(new, time(), occurrences, decompressed))

    async def room(self) -> None:
        """Wait until the journal has kept up.

        Raises:
            JournalError: it can no longer be written.
        """
        await self._journal.room()

    def prioritise(self, key: str) -> None:
        """This study or patient is needed now. A walk cannot look for it."""

    def end(self) -> None:
        """The run is over: nothing follows but its last outcomes."""


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
            self._journal.note_walk(
                walk._replace(skipped=walk.skipped - 1, known=walk.known + 1, left_failed=walk.left_failed - 1)
            )


def earlier_outcome(file: SourceFile, earlier: Earlier) -> Outcome:
    """The outcome of a file that an earlier run settled."""
    if earlier.state.is_stored:
        return Outcome(file, Result.SKIPPED, _AN_INSTANCE, is_earlier=True)
    identity = _AN_INSTANCE if earlier.is_instance else None
    return Outcome(file, _RESULTS[earlier.state], identity, reason=f"{_EARLIER}: {earlier.reason}", is_earlier=True)
