"""Tells whether damage to a journal explains an error.

A flipped bit may turn a number into a text, or into a time in a million years. Code that shows such a value raises
errors of many kinds. They are explained afterwards, because a check of every value would read the journal twice.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.errors import JournalDamaged
from asyncstore.journal import schema
from asyncstore.journal.opening import UNDECODABLE
from asyncstore.journal.values import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.journal.reading import Reader

_LARGEST = 1 << 53
"""Sizes, counts and times in milliseconds are smaller, by their absolute value."""
_ANY_NUMBER = frozenset({"mtime"})
"""The columns whose numbers may be larger: nanoseconds."""


@contextmanager
def diagnosed(readers: Iterable[Reader]) -> Iterator[None]:
    """An error while these journals are shown is damage, if one of them holds a value that no journal has.

    Raises:
        JournalDamaged: one does. Otherwise the error goes on.
    """
    try:
        yield
    except UNDECODABLE as error:
        for reader in readers:
            for table in schema.TABLES:
                column = _wrong_column(reader, table)
                if column is not None:
                    cause = f"a row of the table {table} holds a value of {column} that no journal has"
                    raise JournalDamaged(reader.path, cause) from error
        raise


def _wrong_column(reader: Reader, table: str) -> str | None:
    """A column of this table in which a value has a wrong type or size."""
    for _, name, kind, *_ in reader.rows(f"PRAGMA table_info({table})"):
        if not kind:  # facts have values of several types
            continue
        wrong = f"typeof({name}) <> '{kind.lower()}'"
        if kind == "INTEGER" and name not in _ANY_NUMBER:
            wrong += f" OR {name} NOT BETWEEN {-_LARGEST} AND {_LARGEST}"
        if (table, name) == ("deliveries", "ending"):
            wrong += f" OR {name} % {schema.MOST_STATES} NOT IN ({', '.join(str(int(state)) for state in State)})"
        if name in schema.MAY_BE_NULL[table]:
            wrong = f"{name} IS NOT NULL AND ({wrong})"
        if reader.rows(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1"):  # noqa: S608 - our tables
            return str(name)
    return None
