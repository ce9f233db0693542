"""The thread that owns a journal's connection and writes to it.

Rules:

1. The event loop appends to a queue and never waits; the thread takes many deliveries at a time and commits them
   together: when 1000 are there, or half a second after the last commit.
2. A delivery is journalled only after the commit. Each call of :meth:`Writer.record` returns how many deliveries were
   handed in by then; the commit of that many can be waited for.
3. The queue is bounded, if the caller waits for :meth:`Writer.room` between its batches.
4. The first error ends the writing. It is reported once (``on_failure``, in this thread) and raised to those who wait;
   nothing is committed after it, and later deliveries are dropped. Closing still works.
5. SQLite goes on writing to a file that was removed. So each commit looks whether the file still has its name.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from contextlib import suppress
from threading import Condition, Event, Lock
from time import thread_time, time
from typing import TYPE_CHECKING

import apsw

from asyncstore.errors import JournalError, JournalRemoved, JournalWriteFailed
from asyncstore.journal import schema, settings
from asyncstore.journal.ids import Ids, key_of
from asyncstore.journal.opening import in_our_words
from asyncstore.journal.rows import ENDED, FOUND, RowWriter, rows_of
from asyncstore.journal.values import IS_NOT_SENT, State, Walk
from asyncstore.waiting import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.journal.querying import Value
    from asyncstore.journal.values import Outcomes

COMMIT_ROWS = 1000
COMMIT_SECONDS = 0.5
MOST_QUEUED = 20_000
"""Deliveries that may wait to be written: 10 MB, and more than any peer answers during a commit."""
_MOST_IN_COMMIT = 4096
_FORGET = (
    "DELETE FROM deliveries WHERE directory = (SELECT id FROM directories WHERE path = ?) AND name = ?"  # noqa: S608
    f" AND run <> ? AND {IS_NOT_SENT}"
)
_RENAME = (
    "UPDATE OR REPLACE deliveries SET name = ? WHERE directory = (SELECT id FROM directories WHERE path = ?)"
    " AND name = ?"
)
_FORGET_SECOND = (
    "DELETE FROM deliveries AS d WHERE directory = (SELECT id FROM directories WHERE path = ?) AND name = ? AND run = ?"
    " AND EXISTS (SELECT 1 FROM deliveries f WHERE f.directory = d.directory AND f.name = ? AND f.run = d.run)"
)
_ENDING = schema.COLUMNS.split(", ").index("ending")


class Writer:
    """Writes deliveries in a thread of its own, from its creation to :meth:`stop`.

    Attributes:
        committed: how many deliveries were committed.
        walk: how far the walk is, as its thread says; reports know by it how many files wait without a row.
        failure: why the writing ended early.
        cpu_seconds: of the thread so far.
    """

    def __init__(
        self,
        path: str,
        connection: apsw.Connection,
        run: int,
        on_failure: Callable[[JournalError], None] | None,
        *,
        is_catalogue: bool,
    ) -> None:
        self.committed = 0
        self.failure: JournalError | None = None
        self.cpu_seconds = 0.0
        self.path = path
        self._connection = connection
        self.run = run
        self._on_failure = on_failure
        self._file = os.stat(path)
        self._ids = Ids(connection)
        self._created = settings.created(connection, time())
        self._rows = RowWriter(connection, FOUND if is_catalogue else ENDED)
        self._counts: Counter[int] = Counter()
        """How many rows were written, by the id of their ending."""
        self._taken_back: Counter[State] = Counter()
        self._changes: deque[tuple[str, tuple[Value, ...]]] = deque()
        """Statements for rows of earlier commits, with their values."""
        self._batches: deque[Outcomes] = deque()
        self._handed_in = 0
        self.walk = Walk()
        self._is_stopping = False
        self._is_asked = False
        self._awake = Event()
        self._lock = Lock()
        self._progressed = Condition(self._lock)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._thread = start_thread("journal", self._work)

    def record(self, batch: Outcomes) -> int:
        """Hand in outcomes; the sequence must not be changed afterwards. Returns how many were handed in so far.

        Raises:
            RuntimeError: the journal was closed.
        """
        if self._is_stopping:
            raise RuntimeError("the journal was closed")
        self._batches.append(batch)
        self._handed_in += len(batch.outcomes)
        if self._handed_in - self.committed >= COMMIT_ROWS:
            self._awake.set()
        return self._handed_in

    def take_back(self, state: State) -> None:
        """Count one delivery less that this run records in this state. One thread calls this.

        It will be recorded anew, or it is a copy that the run skipped.
        """
        self._taken_back[state] += 1

    def forget(self, path: str, member: str | None = None) -> None:
        """Remove the row of a file that earlier runs could not send, with the next commit.

        Args:
            path: the file, or the archive in which it is.
            member: its name in the archive.
        """
        self._changes.append((_FORGET, (*key_of(path, member), self.run)))

    def rename(self, path: str, target: str) -> None:
        """A file whose row is committed has another name in its directory now. Other threads may call this.

        If it was named twice, its second row goes.
        """
        key, name = key_of(path, None), key_of(target, None)[1]
        self._changes.append((_FORGET_SECOND, (*key, self.run, name)))
        self._changes.append((_RENAME, (name, *key)))

    @property
    def queued(self) -> int:
        """How many deliveries are not committed yet."""
        return self._handed_in - self.committed

    async def room(self) -> None:
        """Wait until the queue has room for another batch.

        Raises:
            JournalError: the writing ended early.
        """
        if self.failure is not None:
            raise self.failure
        if self.queued > MOST_QUEUED:
            await self.recorded(self._handed_in - MOST_QUEUED)

    async def recorded(self, number: int | None = None) -> None:
        """Wait until so many deliveries are committed, as :meth:`record` returned; all that were handed in by default.

        Raises:
            JournalError: the writing ended early.
        """
        wanted = self._handed_in if number is None else number
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.committed >= wanted:
                return
            if self.failure is None:
                self._waiting.append((wanted, future))
                self._is_asked = True
                self._awake.set()
            else:
                raise self.failure
        await future

    def flush(self) -> None:
        """As :meth:`recorded`, for threads.

        Raises:
            JournalError: the writing ended early.
        """
        wanted = self._handed_in
        with self._lock:
            self._is_asked = True
            self._awake.set()
            self._progressed.wait_for(lambda: self.committed >= wanted or self.failure is not None)
            if self.committed < wanted and self.failure is not None:
                raise self.failure

    def confirm_place(self) -> None:
        """The file still has its name (rule 5).

        Raises:
            JournalRemoved: it has not.
        """
        try:
            is_there = os.path.samestat(self._file, os.stat(self.path))
        except FileNotFoundError:
            is_there = False
        except OSError as error:
            raise JournalWriteFailed(self.path, error.strerror or str(error)) from None
        if not is_there:
            raise JournalRemoved(self.path)

    def stop(self) -> None:
        """Commit what is queued and end the thread, which leaves the connection to the caller."""
        self._is_stopping = True
        self._awake.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            noted = self.walk
            while True:
                self._awake.wait(COMMIT_SECONDS)
                self._awake.clear()
                is_last = self._is_stopping
                while self._batches or self._changes or self.walk != noted:
                    noted = self.walk
                    self._commit()
                    if self.queued < COMMIT_ROWS and not (self._is_asked or is_last):
                        break
                self._is_asked = False
                self.cpu_seconds = thread_time()
                if is_last:
                    return
        except apsw.Error as error:
            self._fail(in_our_words(self.path, error))
        except JournalError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the waiting callers must learn of any error
            self._fail(JournalWriteFailed(self.path, f"{type(error).__name__}: {error}"))

    def _commit(self) -> None:
        """Write some batches in one transaction."""
        number = 0
        self.confirm_place()
        self._connection.execute("BEGIN IMMEDIATE")
        while self._batches and number < _MOST_IN_COMMIT:
            values = rows_of(self._batches.popleft(), self._ids, self._created, self.run)
            number += len(values) // schema.WIDTH
            self._rows.write(values)
            self._counts.update(values[_ENDING :: schema.WIDTH])  # type: ignore[arg-type]
        self._rows.finish()
        while self._changes:
            self._connection.execute(*self._changes.popleft())
        counts = [0] * schema.MOST_STATES
        for ending, count in self._counts.items():
            counts[ending % schema.MOST_STATES] += count
        self._connection.execute(
            "UPDATE runs SET found = ?, skipped = ?, known = ?, left_failed = ?, left_not_sent = ?, is_walked = ?,"
            " waiting = ?, stored = ?, warning = ?, failed = ?, not_sent = ?, unknown = ?, ended = ? WHERE id = ?",
            (*self.walk, *(counts[state] - self._taken_back[state] for state in State), int(time() * 1000), self.run),
        )
        self._connection.execute("COMMIT")
        with self._lock:
            self.committed += number
            self._progressed.notify_all()
            due = [future for wanted, future in self._waiting if wanted <= self.committed]
            if due:
                self._waiting = [waiting for waiting in self._waiting if waiting[0] > self.committed]
        for future in due:
            _tell(future, None)

    def _fail(self, failure: JournalError) -> None:
        with suppress(apsw.Error):
            if not self._connection.get_autocommit():
                self._connection.execute("ROLLBACK")
        with self._lock:
            self.failure = failure
            waiting, self._waiting = self._waiting, []
            self._progressed.notify_all()
        self._batches = deque(maxlen=0)
        for _, future in waiting:
            _tell(future, failure)
        if self._on_failure is not None:
            self._on_failure(failure)


def _tell(future: asyncio.Future[None], failure: JournalError | None) -> None:
    """Let the waiter of this future go on, or fail."""

    def settle() -> None:
        if future.done():  # its waiter was cancelled
            return
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)

    with suppress(RuntimeError):  # its loop was closed
        future.get_loop().call_soon_threadsafe(settle)
