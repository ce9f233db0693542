"""The catalogue: what was found and is not sent yet, which files share an instance, and the order to send them in.

Rules:

1. A run without a peer records found files as *waiting*, and files that can't be sent as *not sent*. When its walk
   has ended, :func:`complete` makes the indexes; only journals with a catalogue pay for them.
2. Files with the same SOP instance UID clash: files with the same bytes are duplicates, others conflict. Their sizes
   tell most of them apart; only files of equal size are read. Clashes are found with one sort of all UIDs, because an
   index of them would cost 50 bytes a row.
3. Each order but *walk* and *list* keeps the instances of a study together.
4. What is known of a clash holds for the files as the walk found them (UID, size, time), and for no others.
5. A catalogue is complete if each walk that was begun for it has ended. Sources name the walks.
6. Deliveries come in pieces, each from a query of its own, as in :mod:`asyncstore.journal.reading`. A list of UIDs is
   kept in a temporary table, not in memory.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from asyncstore.journal import schema
from asyncstore.journal.ids import is_archive
from asyncstore.journal.lookup import NOT_ENDED
from asyncstore.journal.opening import translated
from asyncstore.journal.querying import rows
from asyncstore.journal.reading import PIECE, SELECTED, Reader, recorded
from asyncstore.journal.uids import pack, unpack
from asyncstore.journal.values import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    import apsw

    from asyncstore.journal.querying import Value
    from asyncstore.journal.reading import Recorded

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS deliveries_by_series ON deliveries (series)",
    "CREATE INDEX IF NOT EXISTS studies_by_date ON studies (date, uid, id)",
    "CREATE INDEX IF NOT EXISTS studies_by_bytes ON studies (bytes, uid, id)",
    "CREATE INDEX IF NOT EXISTS clashes_by_uid ON clashes (uid, content, copy)",
)
_SUM_STUDIES = (
    "UPDATE studies SET bytes = sums.bytes FROM (SELECT s.study AS study, coalesce(sum(d.size), 0) AS bytes"
    " FROM deliveries d CROSS JOIN series s ON s.id = d.series GROUP BY s.study) AS sums WHERE sums.study = studies.id"
)
_CLASHING = (
    "CREATE TEMP TABLE clashing AS SELECT uid FROM deliveries"
    " WHERE occurrence = 0 AND uid IS NOT NULL GROUP BY uid HAVING count(*) > 1"
)
_CLASHING_FILES = (
    "CREATE TEMP TABLE clashing_files AS SELECT d.uid, d.size, d.mtime, d.directory, d.name, p.path FROM deliveries d"
    " CROSS JOIN temp.clashing c ON c.uid = d.uid JOIN directories p ON p.id = d.directory WHERE d.occurrence = 0"
    " ORDER BY d.uid, d.directory, d.name"
)
_SOURCES = "catalogue"
"""The fact that holds the sources, and whether the walk of each has ended."""
_COLUMNS = (
    "SELECT d.directory, d.name, d.occurrence, p.path, d.size, d.mtime, d.ending, d.uid, d.run, k.sop_class,"
    " k.transfer_syntax, d.overhead, c.is_conflict, c.content, c.copy FROM"
)
"""Those of :class:`File`."""
_SHARED = " JOIN directories p ON p.id = d.directory LEFT JOIN kinds k ON k.id = d.kind"
_MATCH = (
    "d.directory = c.directory AND d.name = c.name AND d.occurrence = c.occurrence"
    " AND d.uid IS c.uid AND d.size IS c.size AND d.mtime IS c.mtime"
)
_FILES = f"{_COLUMNS} deliveries d {_SHARED} LEFT JOIN clashes c ON {_MATCH}"
_COPIES = f"{_COLUMNS} clashes c CROSS JOIN deliveries d ON {_MATCH} {_SHARED}"
_SAME_UID = (
    "SELECT p.path, d.name, d.ending FROM clashes c CROSS JOIN deliveries d"  # noqa: S608 - constants
    f" ON {_MATCH}"
    " JOIN directories p ON p.id = d.directory WHERE c.uid = ? AND c.content"
)


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


class Clashes(NamedTuple):
    """How many files have a SOP instance UID that another file has as well."""

    duplicates: int
    """Files besides the first of each UID, with the same bytes as another one."""
    conflicts: int
    """Files of UIDs with more than one content."""


def file_digest(path: str, member: str | None) -> bytes | None:
    """A hash of a file's bytes; ``None`` if it cannot be read here, as members of archives."""
    if member is not None:
        return None
    digest = sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the import of pathlib takes 7 ms
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


class File(NamedTuple):
    """A file of the catalogue, for a run that sends it."""

    path: str
    occurrence: int
    size: int | None
    mtime: int | None
    ending: int
    """Modulo :data:`asyncstore.journal.schema.STATES` its state."""
    sop_class_uid: str
    uid: bytes | None
    """The packed SOP instance UID."""
    transfer_syntax_uid: str
    bytes: int
    """Of its data set."""
    run: int
    """The last one that recorded it."""
    is_conflict: bool
    content: int
    """The number of its content among the files with its UID."""
    copy: int
    """How many files with this content come before it."""


def begin(connection: apsw.Connection, sources: Iterable[str]) -> None:
    """Note that the walks of these sources begin."""
    _note(connection, dict.fromkeys(sources, False))


def sources_of(connection: apsw.Connection) -> dict[str, bool]:
    """The sources of the catalogue, and whether the walk of each has ended."""
    found = rows(connection, "SELECT value FROM facts WHERE name = ?", (_SOURCES,))
    sources: dict[str, bool] = json.loads(found[0][0]) if found else {}
    return sources


def _note(connection: apsw.Connection, sources: dict[str, bool]) -> None:
    value = json.dumps(sources_of(connection) | sources)
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_SOURCES, value))


def complete(
    connection: apsw.Connection,
    digest: Callable[[str, str | None], bytes | None] = file_digest,
    sources: Iterable[str] = (),
) -> Clashes:
    """Make the indexes and find clashes, after the walk of these sources ended. It takes seconds for 10**6 rows.

    A file that cannot be read conflicts with every other one of its size.
    """
    with connection:
        for statement in (*_INDEXES, _SUM_STUDIES, "DELETE FROM clashes", _CLASHING):
            connection.execute(statement)
        connection.execute("CREATE INDEX temp.clashing_by_uid ON clashing (uid)")
        connection.execute(_CLASHING_FILES)
        duplicates = conflicts = 0
        for uid, group in groupby(_clashing(connection), key=lambda row: row[0]):
            files = list(group)
            contents = _contents(files, digest)
            is_conflict = len(set(contents)) > 1
            copies: dict[int, int] = {}
            for (_, size, mtime, directory, name, _), content in zip(files, contents, strict=True):
                copy = copies.get(content, 0)
                copies[content] = copy + 1
                duplicates += copy > 0
                connection.execute(
                    "INSERT INTO clashes VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?)",
                    (directory, name, uid, size, mtime, is_conflict, content, copy),
                )
            conflicts += len(files) if is_conflict else 0
        connection.execute("DROP TABLE temp.clashing")
        connection.execute("DROP TABLE temp.clashing_files")
        _note(connection, dict.fromkeys(sources, True))
    return Clashes(duplicates, conflicts)


def _clashing(connection: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """The files whose UID other files have as well, UID by UID."""
    last = 0
    statement = f"SELECT rowid, * FROM temp.clashing_files WHERE rowid > ? ORDER BY rowid LIMIT {PIECE}"  # noqa: S608
    while piece := rows(connection, statement, (last,)):
        for _, *row in piece:
            yield tuple(row)
        last = piece[-1][0]


def _contents(files: list[Any], digest: Callable[[str, str | None], bytes | None]) -> list[int]:
    """For each of these files of one UID the number of its content, from 0."""
    sizes = [row[1] for row in files]
    known: dict[tuple[int | None, bytes | int], int] = {}
    numbers = []
    for place, (_, size, _, _, name, directory) in enumerate(files):
        found: bytes | int | None = b""
        if sizes.count(size) > 1:
            if is_archive(directory):
                found = digest(os.fsdecode(directory[:-1]), os.fsdecode(name))
            else:
                found = digest(os.path.join(os.fsdecode(directory), os.fsdecode(name)), None)  # noqa: PTH118
        numbers.append(known.setdefault((size, place if found is None else found), len(known)))
    return numbers


class Catalogue:
    """Reads the deliveries to send from the catalogue in the journal at ``path``. It blocks; one thread uses it.

    Args:
        path: the journal.
        states: the states of deliveries that are to be sent.
    """

    def __init__(self, path: str, states: Collection[State] = NOT_ENDED) -> None:
        self._reader = Reader(path)
        self._states = f"d.ending % {schema.STATES} IN ({', '.join(str(int(state)) for state in states)})"
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

    @property
    def sources(self) -> dict[str, bool]:
        """The sources of the catalogue, and whether the walk of each has ended."""
        with translated(self._reader.path):
            return sources_of(self._reader.connection)

    @property
    def is_complete(self) -> bool:
        """Whether each walk ended and its indexes were made; otherwise only *walk* and *list* are fast."""
        made = self._reader.rows("SELECT 1 FROM sqlite_schema WHERE name = 'deliveries_by_series'")
        return bool(made) and all(self.sources.values())

    @property
    def conflicts(self) -> int:
        """How many files have the UID of a file with other bytes."""
        [[count]] = self._reader.rows("SELECT count(*) FROM clashes WHERE is_conflict")
        return int(count)

    def ending(self, number: int) -> tuple[int | None, str]:
        """The status and the reason of an ending."""
        found = self._reader.rows("SELECT status, reason FROM endings WHERE id = ?", (number,))
        status, reason = found[0] if found else (-1, "")
        return None if status < 0 else status, reason

    def files(self, order: Order = Order.WALK) -> Iterator[File]:
        """The files in this order.

        Raises:
            JournalError: the journal cannot be read.
        """
        return map(_file, self._in_order(order, _FILES))

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
            yield from map(_file, piece)
            key = piece[-1][:3]

    def first_of(self, file: File) -> tuple[str, State] | None:
        """The path and the state of the first file with the same UID and the same bytes; ``None``: it has changed."""
        found = self._reader.rows(f"{_SAME_UID} = ? AND c.copy = 0", (file.uid, file.content))
        return (_path(*found[0][:2]), State(found[0][2] % schema.STATES)) if found else None

    def other_than(self, file: File) -> str | None:
        """The path of a file with the same UID and other bytes; ``None``: there is none any more."""
        found = self._reader.rows(f"{_SAME_UID} != ? ORDER BY c.content, c.copy LIMIT 1", (file.uid, file.content))
        return _path(*found[0][:2]) if found else None

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
        # Subqueries of a table alone are looked up in it, not made anew for each piece.
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

    def deliveries(self, order: Order = Order.WALK) -> Iterator[Recorded]:
        """The deliveries to send, in this order.

        Raises:
            JournalError: the journal cannot be read.
        """
        for row in self._in_order(order, SELECTED):
            yield recorded(row, self._reader.created)

    def _in_order(self, order: Order, selected: str) -> Iterator[Any]:
        if order is Order.WALK or (order is Order.LIST and self._list_of is None):
            yield from self._pieces("TRUE", (), selected)
        elif order is Order.LIST:
            yield from self._in_order_of_list(selected)
        else:
            if order is Order.LARGEST:
                yield from self._studies("bytes", "DESC", "bytes IS NOT NULL", selected)
                yield from self._studies("uid", "", "bytes IS NULL", selected)
            else:
                direction = "DESC" if order is Order.NEWEST else ""
                yield from self._studies("date", direction, "date IS NOT NULL", selected)
                yield from self._studies("uid", "", "date IS NULL", selected)
            yield from self._pieces("d.series IS NULL", (), selected)

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

    def _pieces(self, condition: str, values: tuple[Value, ...], selected: str) -> Iterator[Any]:
        """The deliveries under a condition, in the order of the walk."""
        # A plus hides the key from the query planner, which is to take the index of the series.
        plus = "" if condition == "TRUE" else "+"
        statement = (
            f"{selected} WHERE {condition} AND {self._states}{self._only}"
            f" AND ({plus}d.directory, d.name, d.occurrence) > (?, ?, ?)"
            f" ORDER BY d.directory, d.name, d.occurrence LIMIT {PIECE}"
        )
        key: tuple[Value, ...] = (-1, b"", 0)
        while piece := self._reader.rows(statement, (*values, *key)):
            yield from piece
            if len(piece) < PIECE:
                return
            key = piece[-1][:3]

    def _studies(self, column: str, direction: str, condition: str, selected: str) -> Iterator[Any]:
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
                yield from self._study(row[2], selected)
            key = piece[-1]

    def _study(self, study: int, selected: str) -> Iterator[Any]:
        for (series,) in self._reader.rows("SELECT id FROM series WHERE study = ? ORDER BY id", (study,)):
            yield from self._pieces("d.series = ?", (series,), selected)

    def _in_order_of_list(self, selected: str) -> Iterator[Any]:
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
                    yield from self._study(key[0], selected)
                else:
                    condition = "d.directory = ? AND d.name = ? AND d.occurrence = ?"
                    yield from self._pieces(condition, tuple(key), selected)
            place = (whole or piece)[-1][0]


def _file(row: Any) -> File:  # noqa: ANN401 - a row of _FILES
    (
        _, name, occurrence, directory, size, mtime, ending, uid, run, sop_class, syntax, overhead,
        is_conflict, content, copy,
    ) = row  # fmt: skip
    return File(
        _path(directory, name), occurrence, size, mtime, ending, sop_class or "", uid, syntax or "",
        0 if size is None or overhead is None else size - overhead, run, bool(is_conflict), content or 0, copy or 0,
    )  # fmt: skip


def _path(directory: bytes, name: bytes) -> str:
    return os.path.join(os.fsdecode(directory), os.fsdecode(name))  # noqa: PTH118 - pathlib takes 7 ms to import
