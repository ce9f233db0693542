"""Deliveries of a salvaged journal that have lost their directory, until a scan finds their files again.

Rules:

1. Names, sizes and times alone do not tell which files these are: many directories have an ``IM0001`` of one size, and
   an unpacked archive one time for all. A file that is taken for another one would never be sent.
2. So the stored ones are set apart. A scan reads the SOP instance UIDs; a file with the same UID, name, size and time
   is one of them. UIDs that the run invented are in no file: those instances are sent again.
3. Only a salvaged journal has this table.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.journal import schema
from asyncstore.journal.querying import rows
from asyncstore.journal.values import IS_STORED, IS_WAITING, State

if TYPE_CHECKING:
    import apsw

_LOST = "FROM deliveries WHERE directory NOT IN (SELECT id FROM directories)"
_KEPT = "kind, ending, attempts, time, duration, overhead, association, run"
"""The columns that a file gets back."""


def set_apart(connection: apsw.Connection) -> Counter[State]:
    """Remove the deliveries without a directory, and keep the stored ones. Returns how many there were by state."""
    counts = rows(connection, f"SELECT {schema.STATE}, count(*) {_LOST} GROUP BY 1")
    if counts:
        connection.execute(f"CREATE TABLE homeless AS SELECT * {_LOST} AND {IS_STORED} AND uid IS NOT NULL")
        connection.execute("CREATE INDEX homeless_by_uid ON homeless (uid, name)")
        connection.execute("PRAGMA secure_delete = ON")  # another salvage would read them in unused pages
        connection.execute(f"DELETE {_LOST}")
    return Counter({State(state): count for state, count in counts})


def bring_home(connection: apsw.Connection) -> int:
    """Let found files be stored that are known to be. Returns how many there are."""
    if not rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'homeless_by_uid'"):
        return 0
    same = " AND ".join(f"h.{column} IS deliveries.{column}" for column in ("name", "occurrence", "size", "mtime"))
    values = ", ".join(f"{column} = h.{column}" for column in _KEPT.split(", "))
    connection.execute(
        f"UPDATE deliveries SET {values} FROM homeless h INDEXED BY homeless_by_uid"  # noqa: S608 - constants
        f" WHERE deliveries.{IS_WAITING} AND h.uid = deliveries.uid AND {same}"
    )
    return connection.changes()
