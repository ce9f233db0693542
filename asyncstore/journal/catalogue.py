"""The catalogue: what was found and is not sent yet, which files share an instance, and the order to send them in.

Rules:

1. A run without a peer records found files as *waiting*, and files that can't be sent as *not sent*. When its walk
   has ended, :func:`complete` makes the indexes; only journals with a catalogue pay for them.
2. Files with the same SOP instance UID clash: files with the same bytes are duplicates, others conflict. Their sizes
   tell most of them apart; only files of equal size are read. Clashes are found with one sort of all UIDs, because an
   index of them would cost 50 bytes a row.
3. Each order but *walk* and *list* keeps the instances of a study together.
4. Deliveries come in pieces, each from a query of its own, as in :mod:`asyncstore.journal.reading`. A list of UIDs is
   kept in a temporary table, not in memory.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    import apsw

    from asyncstore.journal.querying import Value
    from asyncstore.journal.reading import Recorded
    from asyncstore.journal.values import State

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS deliveries_by_series ON deliveries (series)",
    "CREATE INDEX IF NOT EXISTS studies_by_date ON studies (date, uid, id)",
    "CREATE INDEX IF NOT EXISTS studies_by_bytes ON studies (bytes, uid, id)",
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
    "SELECT d.uid, d.size, d.directory, d.name, p.path FROM deliveries d CROSS JOIN temp.clashing c ON c.uid = d.uid"
    " JOIN directories p ON p.id = d.directory WHERE d.occurrence = 0 ORDER BY d.uid, d.directory, d.name"
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


def complete(connection: apsw.Connection, digest: Callable[[str, str | None], bytes | None] = file_digest) -> Clashes:
    """Make the indexes and find clashes, after the walk of the catalogue ended. It takes seconds for 10**6 rows.

    A file that cannot be read conflicts with every other one of its size.
    """
    with connection:
        for statement in (*_INDEXES, _SUM_STUDIES, "DELETE FROM clashes", _CLASHING):
            connection.execute(statement)
        connection.execute("CREATE INDEX temp.clashing_by_uid ON clashing (uid)")
        duplicates = conflicts = 0
        # Files that clash are few; a catalogue that is one great clash needs 200 bytes for each file.
        for _, group in groupby(rows(connection, _CLASHING_FILES), key=lambda row: row[0]):
            files = list(group)
            contents = _contents(files, digest)
            is_conflict = len(set(contents)) > 1
            copies: dict[int, int] = {}
            for (_, _, directory, name, _), content in zip(files, contents, strict=True):
                copy = copies.get(content, 0)
                copies[content] = copy + 1
                duplicates += copy > 0
                connection.execute(
                    "INSERT INTO clashes VALUES (?, ?, 0, ?, ?, ?)", (directory, name, is_conflict, content, copy)
                )
            conflicts += len(files) if is_conflict else 0
        connection.execute("DROP TABLE temp.clashing")
    return Clashes(duplicates, conflicts)


def _contents(files: list[Any], digest: Callable[[str, str | None], bytes | None]) -> list[int]:
    """For each of these files of one UID the number of its content, from 0."""
    sizes = [row[1] for row in files]
    known: dict[tuple[int | None, bytes | int], int] = {}
    numbers = []
    for place, (_, size, _, name, directory) in enumerate(files):
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
    def is_complete(self) -> bool:
        """Whether :func:`complete` made its indexes; without them only *walk* and *list* of instances are fast."""
        return bool(self._reader.rows("SELECT 1 FROM sqlite_schema WHERE name = 'deliveries_by_series'"))

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
        if order is Order.WALK or (order is Order.LIST and self._list_of is None):
            yield from self._pieces("TRUE", ())
        elif order is Order.LIST:
            yield from self._in_order_of_list()
        else:
            if order is Order.LARGEST:
                yield from self._studies("bytes", "DESC", "bytes IS NOT NULL")
            else:
                yield from self._studies("date", "DESC" if order is Order.NEWEST else "", "date IS NOT NULL")
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

    def _pieces(self, condition: str, values: tuple[Value, ...]) -> Iterator[Recorded]:
        """The deliveries under a condition, in the order of the walk."""
        # A plus hides the key from the query planner, which is to take the index of the series.
        plus = "" if condition == "TRUE" else "+"
        statement = (
            f"{SELECTED} WHERE {condition} AND {self._states}{self._only}"
            f" AND ({plus}d.directory, d.name, d.occurrence) > (?, ?, ?)"
            f" ORDER BY d.directory, d.name, d.occurrence LIMIT {PIECE}"
        )
        key: tuple[Value, ...] = (-1, b"", 0)
        while piece := self._reader.rows(statement, (*values, *key)):
            for row in piece:
                yield recorded(row, self._reader.created)
            if len(piece) < PIECE:
                return
            key = piece[-1][:3]

    def _studies(self, column: str, direction: str, condition: str) -> Iterator[Recorded]:
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

    def _study(self, study: int) -> Iterator[Recorded]:
        for (series,) in self._reader.rows("SELECT id FROM series WHERE study = ? ORDER BY id", (study,)):
            yield from self._pieces("d.series = ?", (series,))

    def _in_order_of_list(self) -> Iterator[Recorded]:
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
