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
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from asyncstore.journal import schema
from asyncstore.journal.clashes import sources_of
from asyncstore.journal.ids import ARCHIVE, is_archive, likely_ids, path_of, patient_key
from asyncstore.journal.lookup import NOT_ENDED, Endings
from asyncstore.journal.opening import translated
from asyncstore.journal.reading import PIECE, Reader
from asyncstore.journal.settings import salt_of
from asyncstore.journal.uids import pack, unpack
from asyncstore.journal.values import IS_STORED, State
from asyncstore.members import STORE, MemberPath
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from asyncstore.journal.lookup import Earlier
    from asyncstore.journal.querying import Value

T = TypeVar("T")

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


class Catalogue(Reader):
    """Reads the deliveries to send from the catalogue in the journal at ``path``. It blocks; one thread uses it.

    Args:
        path: the journal.
        states: the states of deliveries that are to be sent.
    """

    def __init__(self, path: str, states: Collection[State] = NOT_ENDED) -> None:
        super().__init__(path)
        self._states = f"d.{schema.STATE} IN ({', '.join(str(int(state)) for state in states)})"
        self._only = ""
        """A condition for deliveries."""
        self._only_studies = ""
        """A condition for studies."""
        self._list_of: Literal["studies", "instances"] | None = None

    @property
    def sources(self) -> dict[str, bool]:
        """The sources of the catalogue, and whether the walk of each has ended."""
        with translated(self.path):
            return sources_of(self.connection)

    @property
    def is_complete(self) -> bool:
        """Whether each walk ended and its indexes were made; otherwise only *walk* and *list* are fast."""
        made = self.rows("SELECT 1 FROM sqlite_schema WHERE name = 'deliveries_by_series'")
        return bool(made) and all(self.sources.values())

    @property
    def has_members(self) -> bool:
        """Whether there are members of archives in it."""
        found = "SELECT 1 FROM directories WHERE substr(path, -1) = ? AND NOT instr(path, ?) LIMIT 1"
        return bool(self.rows(found, (ARCHIVE, STORE.encode())))

    @property
    def conflicts(self) -> int:
        """How many files have the UID of a file with other bytes."""
        [[count]] = self.rows("SELECT count(*) FROM clashes WHERE is_conflict")
        return int(count)

    def endings(self, again: Collection[State], make: Callable[[Earlier], T]) -> Endings[T]:
        """What the endings of its files mean; see :class:`asyncstore.journal.lookup.Endings`."""
        return Endings(self.path, self.connection, again, make)

    def files(self, order: Order = Order.WALK) -> Iterator[File]:
        """The files in this order."""
        return self._files(self._in_order(order))

    @cached_property
    def _selected(self) -> str:
        """The query of :class:`File`; a journal without clashes needs no join."""
        return _FILES_WITH_CLASHES if self.rows("SELECT 1 FROM clashes LIMIT 1") else _FILES

    def series_of(self, key: str) -> list[int]:
        """The numbers of the series of the study or patient with this Study Instance UID or Patient ID.

        None before the catalogue is complete: looking for their files would read all of it.
        """
        if not self.is_complete:
            return []
        with translated(self.path):
            secret = salt_of(self.connection)
        patients = [] if secret is None else [patient_key(patient_id, secret) for patient_id in likely_ids(key)]
        marks = ", ".join("?" * len(patients))
        chosen = f"SELECT id FROM studies WHERE (uid = ? OR patient IN ({marks})){self._only_studies}"  # noqa: S608
        found = self.rows(
            f"SELECT id FROM series WHERE study IN ({chosen}) ORDER BY id",  # noqa: S608 - question marks
            (pack(key), *patients),
        )
        return [series for (series,) in found]

    def of_series(self, series: int) -> Iterator[File]:
        """The files of a series, in the order of the walk."""
        return self._files(self._pieces("d.series = ?", (series,)))

    def copies(self) -> Iterator[File]:
        """The files that have the same bytes as an earlier one with their UID."""
        statement = (
            f"{_COPIES} WHERE c.copy > 0 AND (c.directory, c.name, c.occurrence) > (?, ?, ?){self._only}"
            " ORDER BY c.directory, c.name, c.occurrence"
        )
        return self._files(self.in_pieces(statement, (-1, b"", 0)))

    def _files(self, rows: Iterable[Any]) -> Iterator[File]:
        """Rows as files. Mostly the next row has the directory of the last one."""
        encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
        new = tuple.__new__
        last, prefix, archive = None, "", None
        with translated(self.path):
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
        [[path]] = self.rows("SELECT path FROM directories WHERE id = ?", (directory,))
        return ("", os.fsdecode(path[:-1])) if is_archive(path) else (path_of(path, b""), None)

    def state_at_peer(self, clash: Clash) -> State | None:
        """The state of a stored file with the same UID and the same bytes; ``None``: there is none."""
        found = self.rows(f"{_SAME_UID} = ? AND d.{IS_STORED} LIMIT 1", (clash.uid, clash.content))
        with translated(self.path):
            return State.of(found[0][2]) if found else None

    def other_than(self, clash: Clash) -> str | None:
        """The path of a file with the same UID and other bytes; ``None``: there is none any more.

        A file that was removed still counts if it is stored.
        """
        found = self.rows(f"{_SAME_UID} != ? ORDER BY c.content, c.copy", (clash.uid, clash.content))
        with translated(self.path):
            for directory, name, ending in found:
                path = path_of(directory, name)
                place = path.archive if isinstance(path, MemberPath) else path
                if State.of(ending).is_stored or STORE in place or os.path.lexists(place):
                    return path
        return None

    def only_studies(self, uids: Iterable[str]) -> Iterator[str]:
        """Take these studies only. Returns those that the catalogue does not have."""
        self._take_list("studies", uids)
        self.make_temporary("chosen", "SELECT t.id FROM temp.listed l JOIN studies t ON t.uid = l.id")
        self.make_temporary("chosen_series", "SELECT s.id FROM temp.chosen c JOIN series s ON s.study = c.id")
        # SQLite looks up ``IN`` directly in a bare table; another subquery would run again for each piece.
        self._only = " AND d.series IN (SELECT id FROM temp.chosen_series)"
        return self._missing("SELECT uid FROM studies")

    def only_instances(self, uids: Iterable[str]) -> Iterator[str]:
        """Take these SOP instance UIDs only. Returns those that the catalogue does not have."""
        self._take_list("instances", uids)
        self.make_temporary(
            "matched",
            "SELECT l.rowid AS place, d.directory, d.name, d.occurrence, d.series, d.uid FROM deliveries d"
            " CROSS JOIN temp.listed l ON l.id = d.uid",
            "place, directory, name, occurrence",
        )
        self.make_temporary(
            "chosen", "SELECT DISTINCT s.study AS id FROM temp.matched m JOIN series s ON s.id = m.series"
        )
        self._only = " AND d.uid IN (SELECT id FROM temp.listed)"
        return self._missing("SELECT uid FROM temp.matched")

    def _take_list(self, kind: Literal["studies", "instances"], uids: Iterable[str]) -> None:
        self._list_of = kind
        self._only_studies = " AND id IN (SELECT id FROM temp.chosen)"
        self.make_temporary("listed", "SELECT x'' AS id WHERE FALSE")
        self.add_temporary("INSERT OR IGNORE INTO temp.listed VALUES (?)", ((pack(uid.strip()),) for uid in uids))

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

    def _missing(self, known: str) -> Iterator[str]:
        """The listed UIDs that are not among the known ones, in the order of the list."""
        self.make_temporary(
            "missing",
            f"SELECT rowid AS id, id AS uid FROM temp.listed WHERE id NOT IN ({known})",  # noqa: S608 - constants
        )
        found = self.in_pieces("SELECT id, uid FROM temp.missing WHERE id > ? ORDER BY id", (0,))
        return (unpack(uid) for _, uid in found)

    def _pieces(self, condition: str, values: tuple[Value, ...]) -> Iterator[Any]:
        """The deliveries under a condition, in the order of the walk."""
        statement = (
            f"{self._selected} WHERE {condition} AND {self._states}{self._only}"
            f" AND (d.directory, d.name, d.occurrence) > (?, ?, ?)"
            " ORDER BY d.directory, d.name, d.occurrence"
        )
        return self.in_pieces(statement, (-1, b"", 0), values)

    def _studies(self, column: str, direction: str, condition: str) -> Iterator[Any]:
        """The deliveries of all studies under a condition, study by study."""
        follows = "<" if direction else ">"
        order = ", ".join(f"{name} {direction}" for name in (column, "uid", "id"))
        key: tuple[Value, ...] = ()
        while True:
            after = f" AND ({column}, uid, id) {follows} (?, ?, ?)" if key else ""
            statement = f"SELECT {column}, uid, id FROM studies WHERE {condition}{self._only_studies}{after}"  # noqa: S608
            piece = self.rows(f"{statement} ORDER BY {order} LIMIT {PIECE}", key)
            if not piece:
                return
            for row in piece:
                yield from self._study(row[2])
            key = piece[-1]

    def _study(self, study: int) -> Iterator[Any]:
        for (series,) in self.rows("SELECT id FROM series WHERE study = ? ORDER BY id", (study,)):
            yield from self._pieces("d.series = ?", (series,))

    def _in_order_of_list(self) -> Iterator[Any]:
        place = 0
        if self._list_of == "studies":
            statement = "SELECT l.rowid, t.id FROM temp.listed l JOIN studies t ON t.uid = l.id WHERE l.rowid > ?"
        else:
            statement = "SELECT place, directory, name, occurrence FROM temp.matched WHERE place > ?"
        while piece := self.rows(f"{statement} ORDER BY 1 LIMIT {PIECE}", (place,)):
            # The last place may go on in the next piece, unless it fills this one.
            whole = [row for row in piece if row[0] != piece[-1][0]] if len(piece) == PIECE else piece
            for _, *key in whole or piece:
                if self._list_of == "studies":
                    yield from self._study(key[0])
                else:
                    condition = "d.directory = ? AND d.name = ? AND d.occurrence = ?"
                    yield from self._pieces(condition, tuple(key))
            place = (whole or piece)[-1][0]
