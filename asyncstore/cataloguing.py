"""A run that makes a catalogue, and one that sends from it.

Rules:

1. A repeated scan continues a catalogue: a known file that has not changed is not opened again.
2. A run that sends from a catalogue takes its files from the journal, in the order that was asked for. Files that
   earlier runs settled end as in any other run; a stored file may have vanished meanwhile.
3. The peer gets the same bytes once: a copy waits until all other files have ended. If a file with its bytes is stored
   then, the copy is *skipped* and recorded as stored; otherwise it is sent.
4. Files that conflict are sent like others, or held back as *not sent*: nobody but the user can say which one is right.
5. A file that has changed since the catalogue was made is sent as it is now; neither rule 3 nor rule 4 holds for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from asyncstore.discovery.walk import file_at
from asyncstore.journal.catalogue import Order
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.lookup import NOT_ENDED
from asyncstore.journal.rows import MTIME_BITS
from asyncstore.journal.turns import Turns
from asyncstore.journal.uids import unpack
from asyncstore.journal.values import NOT_READ, STATE_AFTER
from asyncstore.members import STORE, place_of
from asyncstore.model import Details, Identity, Instance, Outcome, Reason, Result, SourceFile, Unsendable
from asyncstore.recording import NOTED_EVERY, RESULT_OF, Recording, earlier_outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from asyncstore.journal.catalogue import Catalogue, Clash, File
    from asyncstore.journal.journal import Journal
    from asyncstore.journal.lookup import Earlier
    from asyncstore.journal.values import State
    from asyncstore.recording import Find

_COPY = "the same bytes are stored from another file"
_CONFLICT = "another file has the same SOP instance UID and other bytes"
_NO_FILE = SourceFile("")
_new_tuple = tuple.__new__  # the constructor of a named tuple takes thrice as long

_Settled = tuple[bool, tuple[Any, ...]]
"""Whether the peer holds a file, and its outcome without the file."""


class Cataloguing(Recording):
    """The journal of a run that sends nothing: it looks up files and records what it found.

    Attributes:
        known: how many files the catalogue had already.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, again=())
        self.known = 0

    def add(self, batch: Sequence[Instance | Unsendable | Outcome], decompressed: Mapping[int, int]) -> None:
        """Record found files, without waiting.

        Args:
            batch: the files.
            decompressed: bytes of data sets after decompression, by ordinal, as far as they were measured.
        """
        found = []
        for item in batch:
            if isinstance(item, Instance):
                length = item.payload.length
                found.append(
                    Outcome(item.file, Result.NOT_SENT, item.identity, None, length, 0, None, True, item.details)
                )
            elif isinstance(item, Unsendable):
                found.append(Outcome(item.file, Result.NOT_SENT, reason=item.reason, details=item.details))
            else:
                self.known += 1
        if found:
            self._write(found, decompressed)


class FromCatalogue(Recording):
    """The journal of a run that sends from its catalogue: it gives files in order and records outcomes.

    Args:
        journal: the journal.
        catalogue: its catalogue, with the list of what is to be sent; it is closed when all files were taken.
        again: the states of files that are sent again.
        order: the order.
        holds_conflicts: whether files that conflict are held back.
        minds_clashes: whether files with the same SOP instance UID clash; they do not if all get new UIDs.
    """

    def __init__(
        self,
        journal: Journal,
        catalogue: Catalogue,
        again: Collection[State] = NOT_ENDED,
        order: Order = Order.WALK,
        *,
        holds_conflicts: bool = False,
        minds_clashes: bool = True,
    ) -> None:
        super().__init__(journal, again)
        self.copies = 0
        """How many copies were skipped."""
        self._catalogue = catalogue
        self._is_complete = catalogue.is_complete
        self._turns = Turns(catalogue, order)
        self._holds_conflicts = holds_conflicts
        self._minds_clashes = minds_clashes
        self._endings = catalogue.endings(again, _settled)
        self._copied: dict[int, Outcome] = {}
        """What to record for copies, by ordinal."""
        self._count = 0
        self._find: Find = file_at

    def without_settled(
        self, found: Iterator[SourceFile | Unsendable], find: Find = file_at
    ) -> Iterator[SourceFile | Unsendable | Outcome]:
        """The files of the catalogue; those that need not be sent come as outcomes. Nothing is walked.

        Raises:
            JournalError: the journal cannot be read.
        """
        del found
        self._find = find
        self._note_place()
        with self._catalogue as catalogue, diagnosed([catalogue]):
            run = self._journal.run
            for file in self._turns:
                if file.run == run:
                    continue  # this run recorded it already, with a new study
                earlier = self._endings[file.ending, file.is_instance]
                if earlier is not None:
                    yield self._settle(file, earlier)
                elif file.clash is None or not self._is_copy(file.clash):
                    yield self._begin(file)
            if self._minds_clashes:
                if not self._all_ended():
                    return
                for file in catalogue.copies():
                    clash = file.clash
                    if clash is None or file.run == run or not self._is_copy(clash):
                        continue
                    if self._endings[file.ending, file.is_instance] is None:
                        yield self._begin_copy(file, clash)
        self._note_place()

    def prioritise(self, key: str) -> None:
        """Let the study or patient with this Study Instance UID or Patient ID come next."""
        self._turns.prioritise(key)

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write these outcomes down, without waiting."""
        mine = self._of_this_run(outcomes)
        self._write(list(map(self._to_record, mine)) if self._copied else mine)
        self._ended += len(mine)

    def _to_record(self, outcome: Outcome) -> Outcome:
        """A copy is recorded as stored, and does not count as stored by this run."""
        copy = self._copied.pop(outcome.ordinal, None)
        if copy is None:
            return outcome
        self._journal.take_back(STATE_AFTER[copy.result])
        return copy

    def _settle(self, file: File, earlier: _Settled) -> SourceFile | Unsendable | Outcome:
        """What happens to a file that an earlier run settled. A stored one may be gone, or its archive cut off."""
        source = self._next(file)
        is_stored, rest = earlier
        found = None
        if not _is_unchanged(file, may_be_gone=is_stored or file.size is None):
            found = self._find(source.path, source.ordinal)
        if found is None or (is_stored and isinstance(found, Unsendable)):
            self._settled += 1
            outcome: Outcome = _new_tuple(Outcome, (source, *rest))
            if not is_stored:
                self._left[outcome.result] += 1
            return outcome
        self._taken += 1
        return found

    def _begin(self, file: File) -> SourceFile | Unsendable | Outcome:
        """What happens to a file that is to be sent."""
        source = self._next(file)
        clash = file.clash
        if clash is not None and self._is_held(clash) and _is_unchanged(file):
            other = self._catalogue.other_than(clash)
            if other is not None:
                reason = Reason(f"{_CONFLICT}: {other}", _CONFLICT, other)
                self._taken += 1
                return _decided(source, file, clash, Result.NOT_SENT, reason)
        self._taken += 1
        return self._find(source.path, source.ordinal)

    def _begin_copy(self, file: File, clash: Clash) -> SourceFile | Unsendable | Outcome:
        """What happens to a copy, after the other files have ended."""
        source = self._next(file)
        state = self._catalogue.state_at_peer(clash)
        self._taken += 1
        if state is not None and _is_unchanged(file):
            self.copies += 1
            self._settled += 1
            copy = _decided(source, file, clash, RESULT_OF[state], _COPY)
            self._copied[source.ordinal] = copy
            return copy._replace(result=Result.SKIPPED, reason=None)
        return self._find(source.path, source.ordinal)

    def _next(self, file: File) -> SourceFile:
        self._count += 1
        if not self._count % NOTED_EVERY:
            self._note_place()
        source = _new_tuple(SourceFile, (file.path, self._count))
        if file.occurrence:
            self._occurrences[source.ordinal] = file.occurrence
        return source

    def _is_held(self, clash: Clash) -> bool:
        return self._holds_conflicts and self._minds_clashes and bool(clash.is_conflict)

    def _is_copy(self, clash: Clash) -> bool:
        """Whether a file waits until the others have ended."""
        return clash.copy > 0 and self._minds_clashes and not self._is_held(clash)

    def _note_place(self) -> None:
        """Keep how far this run is in the catalogue. No more files will be found if that is complete."""
        self._note(self._count, self._count - self._settled, is_ended=self._is_complete)


def _settled(earlier: Earlier) -> _Settled:
    """What is kept of an ending."""
    return earlier.state.is_stored, earlier_outcome(_NO_FILE, earlier)[1:]


def _decided(source: SourceFile, file: File, clash: Clash, result: Result, reason: str) -> Outcome:
    """What to record for a file that is not sent."""
    identity = Identity(clash.sop_class_uid, unpack(clash.uid), clash.transfer_syntax_uid)
    details = None if file.size is None or file.mtime is None else Details(file.size, file.mtime, NOT_READ)
    return Outcome(source, result, identity, bytes=clash.bytes, reason=reason, details=details)


def _is_unchanged(file: File, *, may_be_gone: bool = False) -> bool:
    """Whether a file has the size and the time that the journal has."""
    path, member = place_of(file.path)
    if STORE in path and member is not None:
        return True  # asking a remote store takes too long; an object that has changed is noticed when it is fetched
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return may_be_gone
    # of a member, only its archive can be asked
    return (member is not None or status.st_size == file.size) and status.st_mtime_ns & MTIME_BITS == file.mtime
