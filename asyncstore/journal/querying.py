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
