"""Reads journals, also while a run writes to them: single deliveries and settings.

Rules:

1. Deliveries come in pieces of a thousand, each from a query of its own: memory stays flat, and a slow reader does not
   keep the write-ahead log from being folded in. A delivery that changes meanwhile is seen as it was or as it is.
2. Nothing is written.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from asyncstore.errors import JournalDamaged
from asyncstore.journal import opening, schema, settings
from asyncstore.journal.ids import path_of
from asyncstore.journal.opening import translated
from asyncstore.journal.querying import is_behind, rows
from asyncstore.journal.uids import pack, unpack
from asyncstore.journal.values import IS_STORED, State
from asyncstore.members import place_of
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from asyncstore.journal.querying import Value
    from asyncstore.journal.settings import Command

PIECE = 1000
_STEPS = 5_000_000
"""Instructions of SQLite's machine between two calls of a watcher: some 50 ms."""

SELECTED = (
    "SELECT d.directory, d.name, d.occurrence, p.path, d.size, d.mtime, d.ending, e.status, e.reason, k.sop_class,"
    " d.uid, st.uid, se.uid, k.transfer_syntax, k.sent_transfer_syntax, d.attempts, d.time, d.duration, d.overhead,"
    " d.association, d.run, c.is_conflict, e.repairs"
    " FROM deliveries d JOIN directories p ON p.id = d.directory LEFT JOIN endings e ON e.id = d.ending"
    " LEFT JOIN kinds k ON k.id = d.kind LEFT JOIN series se ON se.id = d.series"
    " LEFT JOIN studies st ON st.id = se.study"
    " LEFT JOIN clashes c ON c.directory = d.directory AND c.name = d.name AND c.occurrence = d.occurrence"
)
"""The columns that :func:`recorded` takes."""


class Recorded(NamedTuple):
    """A delivery as the journal has it. Empty texts stand for unknown values."""

    path: str
    member: str | None
    """Its name in the archive at ``path``."""
    occurrence: int
    size: int | None
    mtime: int | None
    state: State
    status: int | None
    reason: str
    sop_class_uid: str
    sop_instance_uid: str
    study: str
    series: str
    transfer_syntax_uid: str
    sent_transfer_syntax_uid: str
    attempts: int
    """In all runs."""
    time: float
    """When it ended, in seconds of Unix time."""
    seconds: float
    bytes: int
    association: int | None
    run: int
    is_conflict: bool | None
    """Whether another file has the same SOP instance UID and other bytes; ``False``: the same bytes. ``None``: the
    catalogue knows no other file with this UID."""
    repairs: int = 0
    """Flags of :class:`asyncstore.model.Oddity`: what was mended."""


class Reader:
    """Reads the journal at ``path``. It blocks; one thread uses it.

    Its methods, and those of classes made from it, raise :class:`~asyncstore.errors.JournalError` if the journal cannot
    be read.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.connection = opening.reader(self.path)
        with translated(self.path):
            found = rows(self.connection, "SELECT value FROM facts WHERE name = 'created'")
            self.created = int(found[0][0]) if found else 0
        """When the journal was made, in milliseconds of Unix time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        self.connection.close(True)

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Any]:
        """All rows of a query."""
        with translated(self.path):
            return rows(self.connection, statement, values)

    def in_pieces(self, statement: str, key: tuple[Value, ...], values: Sequence[Value] = ()) -> Iterator[Any]:
        """The rows of a query, a piece at a time (rule 1).

        Args:
            statement: the query, of rows after a key in the order of their key, which is in their first columns.
            key: one before the first row; it is bound after the values.
            values: to bind.
        """
        while piece := self.rows(f"{statement} LIMIT {PIECE}", (*values, *key)):
            yield from piece
            if len(piece) < PIECE:
                return
            last, key = key, piece[-1][: len(key)]
            if not is_behind(key, last):
                raise JournalDamaged(self.path, "rows of a table in it are not in order")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries see the journal at one moment. The write-ahead log grows meanwhile, if a run writes."""
        with translated(self.path):
            self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            if not self.connection.get_autocommit():  # some errors have ended the transaction
                self.connection.execute("ROLLBACK")
            raise
        with translated(self.path):
            self.connection.execute("COMMIT")

    def make_temporary(self, name: str, statement: str, key: str = "id") -> None:
        """Keep the rows of a query in a temporary table.

        Args:
            name: of the table.
            statement: the query.
            key: a column with an index. Only a column ``id`` has each value once.
        """
        kind = "UNIQUE INDEX" if key == "id" else "INDEX"
        with translated(self.path), self._temporary_writes():
            self.connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
            self.connection.execute(f"CREATE TEMP TABLE {name} AS {statement}")
            self.connection.execute(f"CREATE {kind} temp.{name}_by_key ON {name} ({key})")

    def add_temporary(self, statement: str, values: Iterable[Sequence[Value]]) -> None:
        """Write rows to a temporary table, each with this statement."""
        with translated(self.path), self._temporary_writes(), self.connection:
            self.connection.executemany(statement, values)

    @contextmanager
    def _temporary_writes(self) -> Iterator[None]:
        self.connection.execute("PRAGMA query_only = OFF")
        try:
            yield
        finally:
            self.connection.execute("PRAGMA query_only = ON")

    def watch(self, on_step: Callable[[], None]) -> None:
        """Call this again and again while a long query runs. An exception of it ends the query."""

        def step() -> bool:
            on_step()
            return False

        self.connection.set_progress_handler(step, _STEPS)

    @property
    def migration(self) -> dict[str, str]:
        """The facts that identify the migration; empty if nothing has been sent."""
        with translated(self.path):
            return settings.migration_of(self.connection)

    @property
    def command(self) -> Command | None:
        """The newest command, to be repeated."""
        with translated(self.path):
            return settings.command_of(self.connection)

    @property
    def unfinished_walks(self) -> dict[str, int]:
        """The sources of which files may have no row, and the run that walked each last."""
        with translated(self.path):
            return settings.unfinished_walks(self.connection)

    def stored_as(self, uid: str) -> set[tuple[bytes, bytes]]:
        """The files that are stored with this SOP instance UID, as :func:`asyncstore.journal.ids.key_of` names them."""
        return set(
            self.rows(
                "SELECT p.path, d.name FROM deliveries d JOIN directories p ON p.id = d.directory"  # noqa: S608
                f" WHERE d.uid = ? AND d.{IS_STORED}",
                (pack(uid),),
            )
        )

    def deliveries(
        self, states: Collection[State] = tuple(State), *, only_repaired: bool = False
    ) -> Iterator[Recorded]:
        """The deliveries in these states, in the order of the walk; perhaps only of files that were mended."""
        numbers = ", ".join(str(int(state)) for state in states)
        repaired = " AND d.ending IN (SELECT id FROM endings WHERE repairs)" if only_repaired else ""
        statement = (
            f"{SELECTED} WHERE (d.directory, d.name, d.occurrence) > (?, ?, ?) AND d.{schema.STATE}"
            f" IN ({numbers}){repaired} ORDER BY d.directory, d.name, d.occurrence"
        )
        with translated(self.path):
            for row in self.in_pieces(statement, (-1, b"", 0)):
                yield recorded(row, self.created)


def recorded(row: tuple[Any, ...], created: int) -> Recorded:
    """A row of :data:`SELECTED`."""
    (
        _, name, occurrence, directory, size, mtime, ending, status, reason, sop_class, uid, study, series, syntax,
        sent, attempts, time, duration, overhead, association, run, is_conflict, repairs,
    ) = row  # fmt: skip
    return Recorded(
        *place_of(path_of(directory, name)),
        occurrence,
        size,
        mtime,
        State.of(ending),
        None if status is None or status < 0 else status,
        reason or "",
        sop_class or "",
        _uid(uid),
        _uid(study),
        _uid(series),
        syntax or "",
        sent or "",
        attempts,
        (created + time) / 1000,
        duration / 1_000_000,
        0 if size is None else size - overhead,
        association,
        run,
        None if is_conflict is None else bool(is_conflict),
        repairs or 0,
    )


def _uid(packed: bytes | None) -> str:
    return "" if packed is None else unpack(packed)
