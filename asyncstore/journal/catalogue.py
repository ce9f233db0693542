"""The catalogue: what was found and is not sent yet, in the order to send it in.

Rules:

1. A run without a peer records found files as *waiting*, and files that can't be sent as *not sent*.
   :mod:`asyncstore.journal.clashes` completes the catalogue when its walks have ended.
2. Each order but *walk* and *list* keeps the instances of a study together.
3. Deliveries come in pieces, each from a query of its own, as in :mod:`asyncstore.journal.reading`. A list of UIDs is
   kept in a temporary table, not in memory.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from asyncstore.journal import schema
from asyncstore.journal.clashes import sources_of
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.ids import is_archive, likely_ids, path_of, patient_key
from asyncstore.journal.lookup import NOT_ENDED
from asyncstore.journal.opening import decoding, translated
from asyncstore.journal.reading import PIECE, Reader
from asyncstore.journal.settings import salt_of
from asyncstore.journal.uids import pack, unpack
from asyncstore.journal.values import State
from asyncstore.members import STORE, MemberPath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from contextlib import AbstractContextManager

    from asyncstore.journal.querying import Value

_COLUMNS = "SELECT d.directory, d.name, d.occurrence, d.size, d.mtime, d.ending, d.uid IS NOT NULL, d.run, d.series"
_CLASH_COLUMNS = ", d.uid, k.sop_class, k.transfer_syntax, d.size - d.overhead, c.is_conflict, c.content, c.copy"
"""The columns of :class:`File`, and then those of :class:`Clash`."""
_MATCH = (
    "d.directory = c.directory AND d.name = c.name AND d.occurrence = c.occurrence"
    " AND d.uid IS c.uid AND d.size IS c.size AND d.mtime IS c.mtime"
)
_FILES = f"{_COLUMNS} FROM deliveries d"
_FILES_WITH_CLASHES = (
    f"{_COLUMNS}{_CLASH_COLUMNS} FROM deliveries d LEFT JOIN clashes c ON {_MATCH}"
    " LEFT JOIN kinds k ON k.id = d.kind AND c.content NOT NULL"
)
_COPIES = (
    f"{_COLUMNS}{_CLASH_COLUMNS} FROM clashes c CROSS JOIN deliveries d ON {_MATCH} LEFT JOIN kinds k ON k.id = d.kind"
)
_SAME_UID = (
    "SELECT p.path, d.name, d.ending FROM clashes c CROSS JOIN deliveries d"  # noqa: S608 - constants
    f" ON {_MATCH}"
    " JOIN directories p ON p.id = d.directory WHERE c.uid = ? AND c.content"
)


_STORE = STORE.encode()


class Order(StrEnum):
    """The order in which a catalogue is sent."""

    WALK = "walk"
    NEWEST = "newest"
    """The newest study first; studies without a date come last."""
    OLDEST = "oldest"
    """The oldest study first; studies without a date come last."""
    LARGEST = "largest"
    """The study with the most bytes first."""
    LIST = "list"
    """The order of the list of UIDs."""


class Clash(NamedTuple):
    """What a catalogue knows about a file whose SOP instance UID another file has as well."""

    uid: bytes
    """The packed SOP instance UID."""
    sop_class_uid: str
    transfer_syntax_uid: str
    bytes: int
    """Of its data set."""
    is_conflict: int
    """Whether the other file has other bytes."""
    content: int
    """The number of its content among the files with its UID."""
    copy: int
    """How many files with this content come before it."""


class File(NamedTuple):
    """A file of the catalogue, for a run that sends it."""

    path: str
    occurrence: int
    size: int | None
    mtime: int | None
    ending: int
    """Its number, of which :meth:`State.of <asyncstore.journal.values.State.of>` tells the state."""
    is_instance: int
    """Whether its SOP instance UID is known."""
    run: int
    """The last one that recorded it."""
    clash: Clash | None
    series: int | None
    """The number of its series in the journal."""
    place: tuple[int, bytes, int]
    """Its place in the order of the walk."""


class Catalogue:
    """Reads the deliveries to send from the catalogue in the journal at ``path``. It blocks; one thread uses it.

    Args:
        path: the journal.
        states: the states of deliveries that are to be sent.
    """

    def __init__(self, path: str, states: Collection[State] = NOT_ENDED) -> None:
        self._reader = Reader(path)
        self._states = f"d.{schema.STATE} IN ({', '.join(str(int(state)) for state in states)})"
        self._only = ""
        """A condition for deliveries."""
        self._only_studies = ""
        """A condition for studies."""
        self._list_of: Literal["studies", "instances"] | None = None
        self._reader.connection.execute("PRAGMA query_only = OFF")  # temporary tables are written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal. Closing twice is allowed."""
        self._reader.close()

    def diagnosed(self) -> AbstractContextManager[None]:
        """See :func:`asyncstore.journal.diagnosis.diagnosed`."""
        return diagnosed([self._reader])

    @property
    def sources(self) -> dict[str, bool]:
        """The sources of the catalogue, and whether the walk of each has ended."""
        with translated(self._reader.path), decoding(self._reader.path):
            return sources_of(self._reader.connection)

    @property
    def is_complete(self) -> bool:
        """Whether each walk ended and its indexes were made; otherwise only *walk* and *list* are fast."""
        made = self._reader.rows("SELECT 1 FROM sqlite_schema WHERE name = 'deliveries_by_series'")
        return bool(made) and all(self.sources.values())

    @property
    def has_members(self) -> bool:
        """Whether there are members of archives in it."""
        paths = self._reader.rows("SELECT path FROM directories")
        with decoding(self._reader.path):
            return any(is_archive(path) and _STORE not in path for (path,) in paths)

    @property
    def conflicts(self) -> int:
        """How many files have the UID of a file with other bytes."""
        [[count]] = self._reader.rows("SELECT count(*) FROM clashes WHERE is_conflict")
        return int(count)

    def ending(self, number: int) -> tuple[int | None, str]:
        """The status and the reason of an ending."""
        found = self._reader.rows("SELECT status, reason FROM endings WHERE id = ?", (number,))
        status, reason = found[0] if found else (-1, "")
        with decoding(self._reader.path):
            return None if status < 0 else status, reason

    def files(self, order: Order = Order.WALK) -> Iterator[File]:
        """The files in this order.

        Raises:
            JournalError: the journal cannot be read.
        """
        return self._files(self._in_order(order))

    @cached_property
    def _selected(self) -> str:
        """The query of :class:`File`; a journal without clashes needs no join."""
        return _FILES_WITH_CLASHES if self._reader.rows("SELECT 1 FROM clashes LIMIT 1") else _FILES

    def series_of(self, key: str) -> list[int]:
        """The numbers of the series of the study or patient with this Study Instance UID or Patient ID.

        None before the catalogue is complete: looking for their files would read all of it.

        Raises:
            JournalError: the journal cannot be read.
        """
        if not self.is_complete:
            return []
        with translated(self._reader.path), decoding(self._reader.path):
            secret = salt_of(self._reader.connection)
        patients = [] if secret is None else [patient_key(patient_id, secret) for patient_id in likely_ids(key)]
        marks = ", ".join("?" * len(patients))
        chosen = f"SELECT id FROM studies WHERE (uid = ? OR patient IN ({marks})){self._only_studies}"  # noqa: S608
        found = self._reader.rows(
            f"SELECT id FROM series WHERE study IN ({chosen}) ORDER BY id",  # noqa: S608 - question marks
            (pack(key), *patients),
        )
        return [series for (series,) in found]

    def of_series(self, series: int) -> Iterator[File]:
        """The files of a series, in the order of the walk.

        Raises:
            JournalError: the journal cannot be read.
        """
        return self._files(self._pieces("d.series = ?", (series,)))

    def copies(self) -> Iterator[File]:
        """The files that have the same bytes as an earlier one with their UID.

        Raises:
            JournalError: the journal cannot be read.
        """
        statement = (
            f"{_COPIES} WHERE c.copy > 0 AND (c.directory, c.name, c.occurrence) > (?, ?, ?){self._only}"
            f" ORDER BY c.directory, c.name, c.occurrence LIMIT {PIECE}"
        )
        key: tuple[Value, ...] = (-1, b"", 0)
        while piece := self._reader.rows(statement, key):
            yield from self._files(piece)
            key = piece[-1][:3]

    def _files(self, rows: Iterable[Any]) -> Iterator[File]:
        """Rows as files. Mostly the next row has the directory of the last one."""
        encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
        new = tuple.__new__
        last, prefix, archive = None, "", None
        with decoding(self._reader.path):
            for directory, name, occurrence, size, mtime, ending, is_instance, run, series, *clash in rows:
                if directory != last:
                    last, prefix, archive = directory, *self._prefix(directory)
                of_clash = Clash._make(clash) if clash and clash[-1] is not None else None
                path = prefix + name.decode(encoding, errors)
                if archive is not None:
                    path = MemberPath(archive, path)
                place = directory, name, occurrence
                yield new(File, (path, occurrence, size, mtime, ending, is_instance, run, of_clash, series, place))

    def _prefix(self, directory: int) -> tuple[str, str | None]:
        """What the paths of all files in a directory begin with; of an archive, nothing and its path."""
        [[path]] = self._reader.rows("SELECT path FROM directories WHERE id = ?", (directory,))
        return ("", os.fsdecode(path[:-1])) if is_archive(path) else (path_of(path, b""), None)

    def first_of(self, clash: Clash) -> tuple[str, State] | None:
        """The path and the state of the first file with the same UID and the same bytes; ``None``: it has changed."""
        found = self._reader.rows(f"{_SAME_UID} = ? AND c.copy = 0", (clash.uid, clash.content))
        with decoding(self._reader.path):
            return (path_of(*found[0][:2]), State.of(found[0][2])) if found else None

    def other_than(self, clash: Clash) -> str | None:
        """The path of a file with the same UID and other bytes; ``None``: there is none any more."""
        found = self._reader.rows(f"{_SAME_UID} != ? ORDER BY c.content, c.copy LIMIT 1", (clash.uid, clash.content))
        with decoding(self._reader.path):
            return path_of(*found[0][:2]) if found else None

    def only_studies(self, uids: Iterable[str]) -> Iterator[str]:
        """Take these studies only. Returns those that the catalogue does not have.

        Raises:
            JournalError: the journal cannot be read.
        """
        self._list_of = "studies"
        self._make("listed (place INTEGER PRIMARY KEY, uid BLOB UNIQUE)", None, uids)
        self._make("chosen (id INTEGER PRIMARY KEY)", "SELECT t.id FROM temp.listed l JOIN studies t ON t.uid = l.uid")
        self._make(
            "chosen_series (id INTEGER PRIMARY KEY)",
            "SELECT s.id FROM temp.chosen c JOIN series s ON s.study = c.id",
        )
        # SQLite looks up ``IN`` directly in a bare table; another subquery would run again for each piece.
        self._only = " AND d.series IN (SELECT id FROM temp.chosen_series)"
        self._only_studies = " AND id IN (SELECT id FROM temp.chosen)"
        return self._missing("SELECT uid FROM studies")

    def only_instances(self, uids: Iterable[str]) -> Iterator[str]:
        """Take these SOP instance UIDs only. Returns those that the catalogue does not have.

        Raises:
            JournalError: the journal cannot be read.
        """
        self._list_of = "instances"
        self._make("listed (place INTEGER PRIMARY KEY, uid BLOB UNIQUE)", None, uids)
        self._make(
            "matched (place INTEGER, directory INTEGER, name BLOB, occurrence INTEGER, series INTEGER,"
            " PRIMARY KEY (place, directory, name, occurrence)) WITHOUT ROWID",
            "SELECT l.place, d.directory, d.name, d.occurrence, d.series FROM deliveries d"
            " CROSS JOIN temp.listed l ON l.uid = d.uid",
        )
        self._make(
            "chosen (id INTEGER PRIMARY KEY)",
            "SELECT DISTINCT s.study FROM temp.matched m JOIN series s ON s.id = m.series",
        )
        self._only = " AND d.uid IN (SELECT uid FROM temp.listed)"
        self._only_studies = " AND id IN (SELECT id FROM temp.chosen)"
        return self._missing("SELECT l.uid FROM temp.matched m JOIN temp.listed l ON l.place = m.place")

    def _in_order(self, order: Order) -> Iterator[Any]:
        if order is Order.WALK or (order is Order.LIST and self._list_of is None):
            yield from self._pieces("TRUE", ())
        elif order is Order.LIST:
            yield from self._in_order_of_list()
        else:
            if order is Order.LARGEST:
                yield from self._studies("bytes", "DESC", "bytes IS NOT NULL")
                yield from self._studies("uid", "", "bytes IS NULL")
            else:
                direction = "DESC" if order is Order.NEWEST else ""
                yield from self._studies("date", direction, "date IS NOT NULL")
                yield from self._studies("uid", "", "date IS NULL")
            yield from self._pieces("d.series IS NULL", ())

    def _make(self, table: str, rows_of: str | None, uids: Iterable[str] = ()) -> None:
        """Make a temporary table with the rows of a query, or with UIDs."""
        connection, name = self._reader.connection, table.partition(" ")[0]
        with translated(self._reader.path), connection:
            connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
            connection.execute(f"CREATE TEMP TABLE {table}")
            if rows_of is not None:
                connection.execute(f"INSERT INTO temp.{name} {rows_of}")
            else:
                packed = ((pack(uid.strip()),) for uid in uids)
                connection.executemany(f"INSERT OR IGNORE INTO temp.{name} (uid) VALUES (?)", packed)  # noqa: S608

    def _missing(self, known: str) -> Iterator[str]:
        """The listed UIDs that are not among the known ones, in the order of the list."""
        table = "missing (place INTEGER PRIMARY KEY, uid BLOB)"
        self._make(table, f"SELECT place, uid FROM temp.listed WHERE uid NOT IN ({known})")  # noqa: S608 - constants
        return self._in_missing()

    def _in_missing(self) -> Iterator[str]:
        place = 0
        while piece := self._reader.rows(f"SELECT * FROM temp.missing WHERE place > ? LIMIT {PIECE}", (place,)):  # noqa: S608
            for _, uid in piece:
                yield unpack(uid)
            place = piece[-1][0]

    def _pieces(self, condition: str, values: tuple[Value, ...]) -> Iterator[Any]:
        """The deliveries under a condition, in the order of the walk."""
        # A plus hides the key from the query planner, which is to take the index of the series.
        plus = "" if condition == "TRUE" else "+"
        statement = (
            f"{self._selected} WHERE {condition} AND {self._states}{self._only}"
            f" AND ({plus}d.directory, d.name, d.occurrence) > (?, ?, ?)"
            f" ORDER BY d.directory, d.name, d.occurrence LIMIT {PIECE}"
        )
        key: tuple[Value, ...] = (-1, b"", 0)
        while piece := self._reader.rows(statement, (*values, *key)):
            yield from piece
            if len(piece) < PIECE:
                return
            key = piece[-1][:3]

    def _studies(self, column: str, direction: str, condition: str) -> Iterator[Any]:
        """The deliveries of all studies under a condition, study by study."""
        follows = "<" if direction else ">"
        order = ", ".join(f"{name} {direction}" for name in (column, "uid", "id"))
        key: tuple[Value, ...] = ()
        while True:
            after = f" AND ({column}, uid, id) {follows} (?, ?, ?)" if key else ""
            statement = f"SELECT {column}, uid, id FROM studies WHERE {condition}{self._only_studies}{after}"  # noqa: S608
            piece = self._reader.rows(f"{statement} ORDER BY {order} LIMIT {PIECE}", key)
            if not piece:
                return
            for row in piece:
                yield from self._study(row[2])
            key = piece[-1]

    def _study(self, study: int) -> Iterator[Any]:
        for (series,) in self._reader.rows("SELECT id FROM series WHERE study = ? ORDER BY id", (study,)):
            yield from self._pieces("d.series = ?", (series,))

    def _in_order_of_list(self) -> Iterator[Any]:
        place = 0
        if self._list_of == "studies":
            statement = "SELECT l.place, t.id FROM temp.listed l JOIN studies t ON t.uid = l.uid WHERE l.place > ?"
        else:
            statement = "SELECT place, directory, name, occurrence FROM temp.matched WHERE place > ?"
        while piece := self._reader.rows(f"{statement} ORDER BY 1 LIMIT {PIECE}", (place,)):
            # The last place may go on in the next piece, unless it fills this one.
            whole = [row for row in piece if row[0] != piece[-1][0]] if len(piece) == PIECE else piece
            for _, *key in whole or piece:
                if self._list_of == "studies":
                    yield from self._study(key[0])
                else:
                    condition = "d.directory = ? AND d.name = ? AND d.occurrence = ?"
                    yield from self._pieces(condition, tuple(key))
            place = (whole or piece)[-1][0]
