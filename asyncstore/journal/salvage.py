"""Reads what can be read of a damaged journal into a new one.

Rules:

1. The damaged journal is not changed. Each table is read from its beginning up to the damage and from its end down to
   it; deliveries, in which there may be several damaged places, also directory by directory. What that does not reach
   is read page by page (:mod:`asyncstore.journal.pages`).
2. Rows that cannot be read are left out: their instances are sent again. Rows whose directory is lost
   are set apart (:mod:`asyncstore.journal.homeless`). Then no walk counts as
   ended: some of its files may have no row.
3. A row is taken only if its values can be those of a delivery. SQLite has no checksums, so a changed digit within a
   row is not noticed. Where a file ends within a page SQLite reads zeros: such a row is one that waits.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import apsw

from asyncstore.errors import JournalDamaged, JournalMissing, JournalNotWritable, NotAJournal
from asyncstore.journal import opening, schema, versions
from asyncstore.journal.homeless import set_apart
from asyncstore.journal.opening import in_our_words, translated
from asyncstore.journal.pages import records
from asyncstore.journal.place import Lock
from asyncstore.journal.querying import is_behind, rows
from asyncstore.journal.values import State
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Generator, Iterator, Sequence

    from asyncstore.journal.querying import Value

_PIECE = 256

_NO_KIND = "(SELECT id FROM kinds WHERE sop_class || transfer_syntax || sent_transfer_syntax = '')"
_LOST = (
    (  # the state is part of the ending's number, so only its status and reason are lost
        f"INSERT INTO endings SELECT DISTINCT ending, {schema.STATE}, -1, 'lost number ' || ending, 0 FROM deliveries"  # noqa: S608
        " WHERE ending NOT IN (SELECT id FROM endings)"
    ),
    "DELETE FROM series WHERE study NOT IN (SELECT id FROM studies)",
    "UPDATE deliveries SET series = NULL WHERE series NOT IN (SELECT id FROM series)",
    "INSERT OR IGNORE INTO kinds VALUES (NULL, '', '', '')",
    f"UPDATE deliveries SET kind = {_NO_KIND} WHERE kind NOT IN (SELECT id FROM kinds)",  # noqa: S608 - constants
    "UPDATE deliveries SET run = 0 WHERE run NOT IN (SELECT id FROM runs)",
    "UPDATE deliveries SET first_run = 0 WHERE first_run NOT IN (SELECT id FROM runs)",
    "INSERT OR IGNORE INTO facts SELECT 'created', began FROM runs WHERE id = 1",
)
"""What stands for lost rows. Otherwise later runs would give their numbers to others."""


class Salvaged(NamedTuple):
    """The result of a salvage."""

    deliveries: int
    homeless: Counter[State]
    """The deliveries whose directory is lost, by state; the others have one."""
    damaged: tuple[str, ...]
    """The tables that could not be read wholly."""


def salvage(path: str, new_path: str) -> Salvaged:
    """Read the journal at ``path`` into a new one.

    Raises:
        JournalDamaged: nothing can be read.
        JournalInUse: a run writes to it.
        JournalNotWritable: the new journal exists, or cannot be written.
        NotAJournal: it is none.
    """
    path = os.path.realpath(path)
    if not os.path.lexists(path):
        raise JournalMissing(path)
    if os.path.lexists(new_path):
        raise JournalNotWritable(new_path, "it exists already")
    with Lock(path), Lock(new_path):
        with translated(path):
            old = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX)
        try:
            with translated(path):
                old.execute("PRAGMA query_only = ON")
                old.execute("PRAGMA writable_schema = ON")  # SQLite opens truncated databases with this only
                if not opening.is_journal(path, old):
                    raise NotAJournal(path, "it is empty")
                found = {name for (name,) in rows(old, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if "deliveries" not in found or "directories" not in found:
                raise JournalDamaged(path, "its tables cannot be found")
            new = opening.writer(new_path)
            try:
                with translated(new_path):
                    return _copy(old, new, found)
            finally:
                new.close(True)
        finally:
            old.close(True)


def _copy(old: apsw.Connection, new: apsw.Connection, found: set[str]) -> Salvaged:
    columns = {name: _columns(new, name) for name in schema.TABLES}
    insert = {
        name: f"INSERT OR IGNORE INTO {name} VALUES ({', '.join('?' * len(columns[name]))})"  # noqa: S608 - our tables
        for name in schema.TABLES
    }
    found = {name for name in found if name in columns and _columns(old, name) in versions.columns(name, columns[name])}
    damaged = [name for name in schema.TABLES if name not in found]
    with new:
        for table in (name for name in schema.TABLES if name in found):
            is_sound = _is_delivery if table == "deliveries" else _soundness(new, table)
            width = len(columns[table])
            readable = (versions.filled(table, row, width) for row in _readable(old, table, damaged))
            taken = filter(is_sound, readable)
            new.executemany(insert[table], taken)
        if not damaged and not _is_sound(old):
            damaged.append("deliveries")  # a page in the place of another one hides rows
        if damaged:
            for table, row in _in_pages(old.filename):
                new.execute(insert[table], versions.filled(table, row, len(columns[table])))
        for statement in _LOST:
            new.execute(statement)
        homeless = set_apart(new)
        if damaged or homeless:
            new.execute("UPDATE runs SET is_walked = 0")
    [[count]] = rows(new, "SELECT count(*) FROM deliveries")
    return Salvaged(count, homeless, tuple(dict.fromkeys(damaged)))


def _is_sound(connection: apsw.Connection) -> bool:
    try:
        return rows(connection, "PRAGMA integrity_check(1)") == [("ok",)]
    except apsw.Error:
        return False


def _in_pages(path: str) -> Iterator[tuple[str, Sequence[Value]]]:
    """The rows that the pages of the file hold, with their tables."""
    for number, values in records(path):
        if number is None and len(values) in _WIDTHS:
            filled = versions.filled("deliveries", values, schema.WIDTH)
            if _is_delivery(filled):
                yield "deliveries", filled
        elif number is not None and values[:1] == (None,):
            types = tuple(map(type, values[1:]))
            if types in _TABLES:
                yield _TABLES[types], (number, *values[1:])
        elif tuple(map(type, values)) == (bytes, int):  # the index of directories
            yield "directories", (values[1], values[0])
        elif len(values) == _COLUMNS_OF_FACTS and _is_fact(values):
            yield "facts", values


_NONE: type = type(None)
_COLUMNS_OF_FACTS = 2
_WIDTHS = (schema.WIDTH, schema.WIDTH - 1)
"""Of deliveries: those of version 1 have one column less."""
_TEXT: tuple[type, ...] = (str, _NONE)
_TABLES: dict[tuple[type, ...], str] = {
    (bytes,): "directories",
    (str, str, str): "kinds",
    (int, int, str): "endings",  # of version 1
    (int, int, str, int): "endings",
    **{(bytes, bytes, date, length): "studies" for date in _TEXT for length in (int, _NONE)},
    **{(int, bytes, modality): "series" for modality in _TEXT},
}
"""The tables whose rows have such values after their numbers. Runs are few, and lost with their only page."""


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    return [row[1] for row in rows(connection, f"PRAGMA table_info({table})")]


_TYPES = {"INTEGER": int, "TEXT": str, "BLOB": bytes}


def _soundness(connection: apsw.Connection, table: str) -> Callable[[Sequence[Any]], bool]:
    """Tells whether the values of a row of this table have the types of their columns (rule 3)."""
    if table == "facts":
        return _is_fact
    columns = [row[1:3] for row in rows(connection, f"PRAGMA table_info({table})")]
    types = [
        (_TYPES[kind], type(None)) if name in schema.MAY_BE_NULL[table] else (_TYPES[kind],) for name, kind in columns
    ]
    return lambda row: all(isinstance(value, kind) for value, kind in zip(row, types, strict=True))


def _is_fact(row: Sequence[Any]) -> bool:
    name, value = row
    if name == "created":
        return isinstance(value, int)
    if name in ("migration", "command"):
        try:
            return isinstance(json.loads(value), dict)
        except (TypeError, ValueError):
            return False
    return isinstance(name, str) and isinstance(value, str | bytes)


def _is_delivery(row: Sequence[Any]) -> bool:
    """Whether the values can be those of a delivery (rule 3)."""
    (
        directory, name, occurrence, size, mtime, kind, uid, series, ending, attempts, time, duration, overhead,
        association, run, first_run, decompressed,
    ) = row  # fmt: skip
    needed = (directory, occurrence, kind, ending, attempts, time, duration, run, first_run)
    optional = (size, mtime, series, overhead, association, decompressed)
    return (
        isinstance(name, bytes)
        and isinstance(uid, bytes | None)
        and all(isinstance(value, int) for value in needed)
        and all(isinstance(value, int | None) for value in optional)
        and (size is None or overhead is not None)
        and ending >= 0
        and ending % schema.MOST_STATES in tuple(State)
    )


def _readable(connection: apsw.Connection, table: str, damaged: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table that can be read. Some may come twice."""
    key = schema.EDGES[table].split(", ")
    is_whole = yield from _run(connection, table, key, "", ())
    if is_whole:
        return
    damaged.append(table)
    yield from _run(connection, table, key, "", (), is_backward=True)
    if table == "deliveries":
        directories = [row[0] for row in _readable(connection, "directories", damaged)]
        for directory in directories:
            for is_backward in (False, True):
                whole = yield from _run(
                    connection, table, key[1:], "directory = ? AND", (directory,), is_backward=is_backward
                )
                if whole:
                    break


def _run(
    connection: apsw.Connection,
    table: str,
    key: Sequence[str],
    condition: str,
    values: tuple[Value, ...],
    *,
    is_backward: bool = False,
) -> Generator[tuple[Any, ...], None, bool]:
    """Rows in the order of the key, up to the first that cannot be read. Returns whether all could be read."""
    places = [_columns(connection, table).index(column) for column in key]
    marks, columns = ", ".join("?" * len(key)), ", ".join(key)
    order = ", ".join(f"{column} {'DESC' if is_backward else ''}" for column in key)
    last: tuple[Value, ...] = ()
    limit = _PIECE
    while True:
        after = f"({columns}) {'<' if is_backward else '>'} ({marks})" if last else "TRUE"
        statement = f"SELECT * FROM {table} WHERE {condition} {after} ORDER BY {order} LIMIT {limit}"  # noqa: S608
        try:
            piece = rows(connection, statement, (*values, *last))
        except (apsw.Error, UnicodeDecodeError) as error:
            if isinstance(error, apsw.Error) and not isinstance(in_our_words("", error), JournalDamaged):
                raise
            if limit == 1:
                return False
            limit //= 4
            continue
        if not piece:
            return True
        yield from piece
        reached = tuple(piece[-1][place] for place in places)
        if last and not (is_behind(last, reached) if is_backward else is_behind(reached, last)):
            return False  # damaged pages lead back
        last = reached
