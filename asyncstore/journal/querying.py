"""Rows of a query, read at once or in pieces, never with a cursor left open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    Value = int | str | bytes | None


def rows(connection: apsw.Connection, statement: str, values: Sequence[Value] = ()) -> list[Any]:
    """All rows, as tuples. Their types follow from the statement."""
    return connection.execute(statement, values).fetchall()


def number(connection: apsw.Connection, statement: str, values: Sequence[Value] = ()) -> int:
    """The number in the first column of the first row.

    Raises:
        IndexError: there is no row.
    """
    return int(rows(connection, statement, values)[0][0])


def is_behind(key: Sequence[Value], last: Sequence[Value]) -> bool:
    """Whether a key comes behind another one in SQLite's order.

    The pages of a damaged tree may lead back. SQLite checks the order of a single column by the tree only, so the same
    rows come again and again.
    """
    return [(_RANKS[type(value)], value) for value in key] > [(_RANKS[type(value)], value) for value in last]


_RANKS = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}
"""The order of values of different types (https://www.sqlite.org/datatype3.html, 4.1)."""
