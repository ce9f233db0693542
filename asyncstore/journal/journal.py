"""A journal that a run writes to.

Rules:

1. A journal has one run at a time, from :meth:`Journal.open` to :meth:`Journal.close`. Others may read meanwhile.
2. Opening changes nothing before everything is checked: the place, the other run, the tables, the migration.
3. What was committed survives the end of the process at any moment. A power cut may take the last commits (synchronous
   NORMAL): those instances are sent again.
"""

from __future__ import annotations

import os
import threading
from asyncio import CancelledError
from time import time
from typing import TYPE_CHECKING, Self

import apsw

from asyncstore.arguments import check_types
from asyncstore.errors import JournalError, JournalNotWritable, NotAJournal
from asyncstore.journal import clashes, opening, settings, versions
from asyncstore.journal.opening import translated
from asyncstore.journal.place import Lock, refuse_network
from asyncstore.journal.querying import number
from asyncstore.journal.values import COMPLETED
from asyncstore.journal.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.journal.settings import Migration


_READING_SECONDS = 1.0
"""How long the journal waits at its end for another thread that completes the catalogue. It may be reading a file, and
a dead file server never answers."""


class Journal(Writer):
    """The journal of one run. Use :meth:`open`; blocking, so call it in a thread or before the loop.

    Attributes:
        run: the number of the run, from 1.
        stored_before: how many deliveries earlier runs stored.
    """

    def __init__(
        self,
        path: str,
        connection: apsw.Connection,
        lock: Lock,
        run: int,
        stored_before: int,
        on_failure: Callable[[JournalError], None] | None,
        *,
        is_catalogue: bool,
    ) -> None:
        super().__init__(path, connection, run, on_failure, is_catalogue=is_catalogue)
        self.stored_before = stored_before
        self._lock_file = lock
        self._sources: tuple[str, ...] = ()
        self._interrupted = threading.Event()
        self._completing = threading.Lock()
        """Held while the catalogue is completed, which uses the connection."""
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        migration: Migration | None,
        *,
        version: str,
        command: Sequence[str] | None = None,
        allow_network: bool = False,
        peer_moved: bool = False,
        on_failure: Callable[[JournalError], None] | None = None,
    ) -> Self:
        """Open or make the journal at ``path`` and begin a run.

        Args:
            path: the file.
            migration: what identifies the migration; ``None``: the run finds files for the catalogue and sends nothing.
            version: of asyncstore.
            command: the words of the command, without secrets, to be repeated later; ``None`` keeps the recorded one.
            allow_network: whether it may lie on a network file system.
            peer_moved: whether the recorded peer has the address and the AE titles of ``migration`` from now on.
            on_failure: called once, in the journal's thread, if it can no longer be written.

        Raises:
            JournalError: it cannot be used; its subclasses say why.
            UsageError: a value has the wrong type.
        """
        path = os.fspath(path)
        if "\0" in path:
            raise JournalNotWritable(path, "the name holds a NUL character")
        check_types(Journal.open, {"migration": migration, "version": version})
        path = os.path.realpath(path)
        if os.path.isdir(path):
            raise NotAJournal(path, "it is a directory")
        if not allow_network:
            refuse_network(path)
        lock = Lock(path)
        try:
            connection = opening.writer(path)
            try:
                with translated(path):
                    with connection:
                        if migration is not None:
                            settings.confirm(path, connection, migration, peer_moved=peer_moved)
                        versions.take_over(connection)
                        if command is not None:
                            settings.record_command(connection, tuple(command))
                        stored_before = number(connection, "SELECT coalesce(sum(stored + warning), 0) FROM runs")
                        run = _begin_run(connection, version)
                    return cls(path, connection, lock, run, stored_before, on_failure, is_catalogue=migration is None)
            except BaseException:
                connection.close(True)
                raise
        except BaseException:
            lock.release()
            raise

    def keep(self, name: str, value: str) -> str:
        """The value that the migration's first run kept under this name; ``value`` if there was none.

        Call it before anything is recorded. Seeds of invented UIDs are kept so.

        Raises:
            JournalError: it cannot be written.
        """
        with translated(self.path):
            return settings.keep(self._connection, name, value)

    def begin_walk(self, sources: Sequence[str]) -> None:
        """Note that this run walks these sources. Call it before anything is recorded.

        Raises:
            JournalError: it cannot be written.
        """
        with translated(self.path):
            settings.begin_walk(self._connection, sources, self.run)

    def begin_catalogue(self, sources: Sequence[str]) -> None:
        """Note that this run walks these sources for the catalogue. Call it before anything is recorded.

        Raises:
            JournalError: it cannot be written.
        """
        self.begin_walk(sources)
        self._sources = tuple(sources)
        with translated(self.path):
            clashes.begin(self._connection, self._sources)

    def complete_catalogue(self, digest: Callable[[str, str | None], bytes | None] = clashes.file_digest) -> int | None:
        """Make the catalogue's indexes and find clashes, after the last delivery was recorded. It blocks.

        Args:
            digest: a hash of the bytes of a file, or of a member of an archive; ``None`` if they cannot be read.

        Returns:
            How many files are stored, as a salvaged journal says, which did not know their directory; ``None``:
            :meth:`interrupt` ended it, and the catalogue is not complete.

        Raises:
            JournalError: the journal cannot be written.
        """
        self.stop()
        if self.failure is not None:
            raise self.failure
        if self._interrupted.is_set():
            return None

        def interruptible(path: str, member: str | None) -> bytes | None:
            if self._interrupted.is_set():
                raise apsw.InterruptError("interrupted")
            return digest(path, member)

        with self._completing, translated(self.path):
            try:
                return clashes.complete(self._connection, interruptible, self._sources)
            except apsw.Error:  # after an InterruptError apsw may find nothing to roll back: SQLite has done so
                if not self._interrupted.is_set():
                    raise
                return None

    def interrupt(self) -> None:
        """End :meth:`complete_catalogue`, from another thread."""
        self._interrupted.set()
        if not self._thread.is_alive():  # it would take its commit to have failed
            self._connection.interrupt()

    def close(self, how: str = COMPLETED) -> JournalError | None:
        """Journal what was recorded, end the run and let others write. It blocks; closing twice is allowed.

        If another thread completes the catalogue and does not end soon, the journal is left as if the process ended.

        Args:
            how: how the run ended, in words.

        Returns:
            Why the journal could not be written to the end, if so.
        """
        if self._is_closed:
            return self.failure
        self._is_closed = True
        self.stop()
        try:
            if self._completing.acquire(timeout=_READING_SECONDS):
                self._end_run(how)
                self._connection.close(True)
        finally:
            self._lock_file.release()
        return self.failure

    def _end_run(self, how: str) -> None:
        if self.failure is not None:
            return
        try:
            self.confirm_place()
            with translated(self.path):
                self._connection.execute(
                    "UPDATE runs SET ended = ?, ending = ? WHERE id = ?", (int(time() * 1000), how, self.run)
                )
        except JournalError as error:
            self.failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        how = COMPLETED if error is None else str(error) or type(error).__name__
        self.close("interrupted" if isinstance(error, KeyboardInterrupt | CancelledError) else how)


def _begin_run(connection: apsw.Connection, version: str) -> int:
    now = int(time() * 1000)
    return number(
        connection,
        "INSERT INTO runs VALUES (NULL, ?, ?, ?, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) RETURNING id",
        (version, now, now),
    )
