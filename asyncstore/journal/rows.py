"""Deliveries as rows of the table, many with each statement.

Rules:

1. One statement writes many rows: SQLite gives up the GIL once a statement, and a busy event loop returns it late.
2. A delivery that is recorded again replaces its row, and its attempts are added up. But the row of a stored file stays
   as it is if the file could not be reached (no size), or has not changed and was not stored again (it was named
   twice): the peer holds it all the same. The row of a file whose outcome is not
   known stays too if the file could not be reached: the peer may hold it.
3. What a delivery does not say stays as it was recorded: who the instance is, if nobody looked into the file; its size
   and time, if it waits; its series, if the instance is the same; its decompressed size, if the file is the same.
4. A file that was found again and has not changed (:data:`FOUND`) keeps its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.journal import schema
from asyncstore.journal.ids import Ids, encoded, split
from asyncstore.journal.uids import pack
from asyncstore.journal.values import IS_STORED, IS_UNKNOWN, IS_WAITING, NOT_READ, STATE_AFTER, State
from asyncstore.members import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from asyncstore.journal.querying import Value
    from asyncstore.journal.values import Outcomes
    from asyncstore.model import Head, Result

GROUPS = (128, 16, 1)
"""Rows in one statement: larger groups gain nothing."""

_NO_IDENTITY = None, None, None
MTIME_BITS = (1 << 63) - 1
"""Of a modification time in nanoseconds; integers of SQLite end in the year 2262, those of file systems do not."""

_IS_STORED = f"(deliveries.{IS_STORED})"
_IS_SAME = "(excluded.size IS deliveries.size AND excluded.mtime IS deliveries.mtime)"
_IS_UNREAD = "(excluded.size IS NULL AND excluded.uid IS NULL)"
_KEPT = {
    **dict.fromkeys(("kind", "uid"), _IS_UNREAD),
    **dict.fromkeys(("size", "mtime", "overhead"), f"({_IS_UNREAD} AND excluded.{IS_WAITING})"),
    "series": f"({_IS_UNREAD} OR (excluded.series IS NULL AND excluded.uid IS deliveries.uid))",
    "decompressed": f"({_IS_UNREAD} OR {_IS_SAME})",
}
"""When a column stays as it was (rule 3)."""


def _new(column: str) -> str:
    """What a column becomes."""
    if column in _KEPT:
        return f"{column} = iif({_KEPT[column]}, deliveries.{column}, excluded.{column})"
    if column == "attempts":
        return f"{column} = deliveries.{column} + excluded.{column}"
    return f"{column} = excluded.{column}"


_REPLACED = ", ".join(_new(column) for column in schema.COLUMNS.split(", ")[3:] if column != "first_run")
_REACHED = f"excluded.size IS NOT NULL OR excluded.{IS_STORED} OR NOT ({_IS_STORED} OR deliveries.{IS_UNKNOWN})"
ENDED = (
    f"DO UPDATE SET {_REPLACED} WHERE ({_REACHED}) AND NOT ({_IS_STORED} AND {_IS_SAME} AND NOT excluded.{IS_STORED})"
)
"""What to do with the row of a delivery that is recorded again: it ended."""
FOUND = (
    "DO UPDATE SET size = excluded.size, mtime = excluded.mtime, uid = excluded.uid, series = excluded.series,"
    " decompressed = excluded.decompressed,"
    f" kind = iif({_IS_SAME} AND {_IS_STORED}, kind, excluded.kind),"
    f" overhead = iif({_IS_SAME} AND {_IS_STORED}, overhead, excluded.overhead),"
    f" ending = iif({_IS_SAME}, ending, excluded.ending)"
    f" WHERE {_REACHED}"
)
"""The same: it was found."""


def rows_of(batch: Outcomes, ids: Ids, created: int, run: int) -> list[Value]:
    """The values of all rows, one after the other.

    Mostly an outcome has the directory, kind, series and ending of the one before: then no memory is asked.

    Args:
        batch: what to write.
        ids: of this journal.
        created: when the journal was made, in milliseconds.
        run: the id of the run.
    """
    values: list[Value] = []
    extend = values.extend
    last_directory: str | None = None
    last_kind: tuple[str | None, str | None, str | None] | None = None
    last_head: Head | None = None
    last_ending: tuple[bool, Result, int | None, str | None, int] | None = None
    series_id: int | None = None
    directory = kind = ending = 0
    outcomes, ended, occurrences, decompressed = batch
    time = int(ended * 1000) - created
    for outcome in outcomes:
        (path, ordinal), result, identity, attempt, length, attempts, reason, is_withdrawn, details, _, repairs = (
            outcome
        )
        if type(path) is str:
            head, slash, name = split(path)
            if head != last_directory:
                directory, last_directory = ids.directory(head + slash), head
        else:
            archive, member = place_of(path)
            directory, last_directory, name = ids.directory(archive, is_archive=True), None, member or ""
        sop_class, uid, syntax = identity or _NO_IDENTITY
        association = status = sent = None
        seconds = 0.0
        if attempt is not None:
            association, uid, sent, seconds, status = attempt
        if (sop_class, syntax, sent) != last_kind:
            last_kind = sop_class, syntax, sent
            kind = ids.kind(last_kind)
        size = mtime = series = overhead = None
        if details is not None:
            size, mtime, belongs = details
            mtime &= MTIME_BITS
            overhead = size - length
            if identity is not None:
                if belongs is not last_head:
                    series_id, last_head = None if belongs is NOT_READ else ids.of_head(belongs), belongs
                series = series_id
        if (is_withdrawn, result, status, reason, repairs) != last_ending:
            last_ending = is_withdrawn, result, status, reason, repairs
            ending = ids.ending(State.WAITING if is_withdrawn else STATE_AFTER[result], status, reason, repairs)
        extend(
            (
                directory, encoded(name), occurrences.get(ordinal, 0) if occurrences else 0, size, mtime, kind,
                None if uid is None else pack(uid), series, ending, attempts, time, int(seconds * 1_000_000),
                overhead, association, run, run, decompressed.get(ordinal) if decompressed else None,
            )
        )  # fmt: skip
    return values


class RowWriter:
    """Writes rows in groups. The caller begins the transaction, and ends it after :meth:`finish`."""

    def __init__(self, connection: apsw.Connection, on_conflict: str) -> None:
        self._connection = connection
        self._kept: list[Value] = []
        row = f"({', '.join('?' * schema.WIDTH)})"
        self._statements = {
            group: (
                f"INSERT INTO deliveries ({schema.COLUMNS}) VALUES {', '.join([row] * group)}"  # noqa: S608 - constants
                f" ON CONFLICT (directory, name, occurrence) {on_conflict}"
            )
            for group in GROUPS
        }

    def write(self, values: list[Value]) -> None:
        """Write the rows that :func:`rows_of` returned. The last ones are kept until there are more."""
        self._kept += values
        if len(self._kept) >= GROUPS[0] * schema.WIDTH:
            self._execute(GROUPS[:1])

    def finish(self) -> None:
        """Write the last rows."""
        self._execute(GROUPS)

    def _execute(self, groups: Sequence[int]) -> None:
        values, begin = self._kept, 0
        for group in groups:
            step = group * schema.WIDTH
            statement = self._statements[group]
            while begin + step <= len(values):
                self._connection.execute(statement, values[begin : begin + step])
                begin += step
        self._kept = values[begin:]
