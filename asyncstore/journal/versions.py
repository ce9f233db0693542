"""Journals whose tables are those of an earlier version.

Rules:

1. A run takes over such a journal in the transaction in which it begins. Programs that know the earlier version only
   refuse the journal from then on.
2. Readers change nothing: temporary views hide the tables and have the missing columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.journal import schema
from asyncstore.journal.querying import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from asyncstore.journal.querying import Value

_ADDED: dict[str, dict[str, int | None]] = {
    "runs": {"left_failed": None, "left_not_sent": None},
    "endings": {"repairs": 0},
    "deliveries": {"decompressed": None},
}
"""The columns that version 1 lacks, and the values that stand for theirs. They are the last ones of their tables."""
_MISSING = {table: tuple(columns.values()) for table, columns in _ADDED.items()}
_OF_VERSION_1 = {
    "runs": schema.TABLES["runs"].replace(", left_failed INTEGER, left_not_sent INTEGER", ""),
    "endings": (
        "CREATE TABLE endings (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, status INTEGER NOT NULL,"
        " reason TEXT NOT NULL, UNIQUE (state, status, reason))"
    ),
    "deliveries": schema.TABLES["deliveries"].replace(" decompressed INTEGER,", ""),
}


def tables_of(version: int) -> dict[str, str]:
    """The definitions of all tables in this version."""
    return {**schema.TABLES, **_OF_VERSION_1} if version == 1 else schema.TABLES


def filled(table: str, row: Sequence[Value], width: int) -> Sequence[Value]:
    """A row of this table with all columns, of which there are ``width``: rows stay short when tables get columns."""
    return (*row, *_MISSING[table][len(row) - width :]) if len(row) < width else row


def columns(table: str, current: list[str]) -> list[list[str]]:
    """The columns that this table has had: the current ones, and those of version 1."""
    return [current, [name for name in current if name not in _ADDED.get(table, {})]]


def hide_earlier(connection: apsw.Connection) -> None:
    """Let this connection find the columns of the current version in a journal of version 1."""
    for table, columns in _ADDED.items():
        added = ", ".join(f"{'NULL' if value is None else value} AS {name}" for name, value in columns.items())
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {added} FROM main.{table}")  # noqa: S608 - constants


def take_over(connection: apsw.Connection) -> None:
    """Give a journal of version 1 the tables of the current one, in the transaction of the caller."""
    if number(connection, "PRAGMA user_version") != 1:
        return
    for table in ("runs", "deliveries"):
        for column in _ADDED[table]:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
    connection.execute("ALTER TABLE endings RENAME TO earlier_endings")
    connection.execute(schema.TABLES["endings"])
    connection.execute("INSERT INTO endings SELECT id, state, status, reason, 0 FROM earlier_endings")
    connection.execute("DROP TABLE earlier_endings")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
