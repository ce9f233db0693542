"""Damaged journals, for the targets that read them: files with other bytes, and tables with wrong values.

Opening a file takes SQLite most of a millisecond. So wrong values are written to a journal in memory, which stays open,
and the rows are put back afterwards.
"""

import os
from contextlib import closing, contextmanager, suppress
from functools import cache
from unittest.mock import patch

import apsw

from asyncstore.journal import opening
from asyncstore.journal.schema import TABLES
from asyncstore.journal.values import State, Walk
from support.journals import begin, delivery

ROWS = 8
_PAGE = 512
"""The smallest page of SQLite: fewer bytes of the file are empty."""
VALUES = (
    None, 0, -1, 7, 2**31, 2**62, -(2**63), 1.5, float("inf"), "", "x", "\ud7ff", b"", b"\0", b"\xff\xfe", b"\xff" * 40,
    "{}", "[1]", '{"words": 5}', "nan", 8, "20260101", "99999999", b"/data/0\0", b"\x12", "null", '{"/data": 1}',
)  # fmt: skip


def paths():
    """The paths in the journal, and others."""
    return [f"/data/{number % 3}/{number}" for number in range(ROWS)]


@cache
def content(folder):
    """A small journal, as bytes: a catalogue with clashes, and a run that sent it."""
    path = folder / "base.db"
    found = [
        delivery(name, State.WAITING, sop_instance_uid=f"1.2.{number % 6}", study=f"1.{number % 4}", size=number % 3,
                 series=f"2.{number % 5}", study_date=f"2020010{number % 4}", modality=("CT", None)[number % 2])
        for number, name in enumerate(paths())
    ]  # fmt: skip
    found.append(delivery("/data/a.zip", State.WAITING, member="inner/1", sop_instance_uid="1.2.0"))
    with begin(path, None) as journal:
        journal.begin_catalogue(["/data"])
        journal.write(found)
        journal.complete_catalogue(lambda *_: b"")
    with begin(path, command=["send", "pacs"]) as journal:
        journal.write([
            each._replace(state=tuple(State)[number % 6], status=(None, 0, 0xB000)[number % 3],
                          reason="cut off" if number % 2 else None)
            for number, each in enumerate(found)
        ])  # fmt: skip
        journal.walk = Walk(len(found), is_ended=True)
    with closing(apsw.Connection(str(path))) as connection:
        for statement in ("journal_mode = DELETE", f"page_size = {_PAGE}", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {statement}")
            connection.execute("VACUUM")
    whole = path.read_bytes()
    path.unlink()
    return whole


@cache
def _columns():
    return tuple(
        (table, column.split()[0].strip("("))
        for table, definition in TABLES.items()
        for column in definition.partition("(")[2].split(", ")
        if column.split()[0].isidentifier() and column.split()[0].islower()
    )


def bytes_seeds():
    """Changes for :func:`overwritten`: none, and one at several places."""
    yield b""
    for place in range(0, 1 << 15, 700):
        yield place.to_bytes(2, "little") + b"\2\x05\xff"


@contextmanager
def overwritten(changes, folder):
    """The path of a journal with other bytes. A change has two bytes for its place, one for its length, and bytes."""
    changed = bytearray(content(folder))
    while len(changes) > 3:
        place, length = int.from_bytes(changes[:2], "little") % len(changed), changes[2]
        new = changes[3 : 3 + length]
        changed[place : place + len(new)] = new
        changes = changes[3 + length :]
    path = folder / "run.db"
    path.write_bytes(changed)
    try:
        yield str(path)
    finally:
        for name in os.listdir(folder):  # as fast as can be
            if ".db" in name:
                os.unlink(f"{folder}/{name}")


def values_seeds():
    """Changes for :func:`with_values`: each column with some values."""
    for number in range(len(_columns())):
        for value in range(number % 3, len(VALUES), 9):
            yield bytes((number, number + value, value))


class _Open(apsw.Connection):
    """A connection that stays open."""

    def close(self, _=None):
        """Nothing."""


@cache
def _in_memory(folder):
    """A connection to a journal in memory, with all its rows in ``base`` as well."""
    path = folder / "base.db"
    path.write_bytes(content(folder))
    connection = _Open(":memory:")
    with closing(apsw.Connection(str(path))) as source, connection.backup("main", source, "main") as backup:
        backup.step(-1)
    path.unlink()
    connection.execute("ATTACH ':memory:' AS base")
    for table in TABLES:
        connection.execute(f"CREATE TABLE base.{table} AS SELECT * FROM main.{table}")  # noqa: S608 - our tables
    return connection


@contextmanager
def with_values(changes, folder):
    """A path that opens a journal with wrong values. A change has a byte for the column, the row and the value."""
    connection, changed = _in_memory(folder), set()
    for at in range(0, len(changes) - 2, 3):
        table, column = _columns()[changes[at] % len(_columns())]
        row, value = changes[at + 1], VALUES[changes[at + 2] % len(VALUES)]
        changed.add(table)
        one = "" if row & 1 else f" WHERE {column} IS (SELECT {column} FROM {table} LIMIT 1 OFFSET {row >> 1 & 7})"  # noqa: S608 - as above
        with suppress(apsw.ConstraintError, apsw.MismatchError):
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{one}", (value,))  # noqa: S608 - as above
    connection.execute("PRAGMA query_only = ON")
    try:
        with patch.object(opening, "reader", lambda _: connection):
            yield str(folder / "run.db")
    finally:
        connection.execute("PRAGMA query_only = OFF")
        for table in changed:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - as above
            connection.execute(f"INSERT INTO {table} SELECT * FROM base.{table}")  # noqa: S608 - as above
