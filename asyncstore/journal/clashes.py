"""Make the catalogue of a journal: note which walks it has, and find files that share a SOP instance UID.

Rules:

1. When its walks have ended, :func:`complete` makes the indexes; only journals with a catalogue pay for them.
2. Files with the same SOP instance UID clash: files with the same bytes are duplicates, others conflict. Their sizes
   tell most of them apart; only files of equal size are read. Clashes are found with one sort of all UIDs, because an
   index of them would cost 50 bytes a row.
3. A file that is gone counts as moved if another one has its UID, name, size and time: both have the same bytes.
4. What is known of a clash holds for the files as the walk found them (UID, size, time), and for no others.
5. A catalogue is complete if each walk that was begun for it has ended. Sources name the walks.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any

from asyncstore.journal.homeless import bring_home
from asyncstore.journal.ids import path_of
from asyncstore.journal.querying import rows
from asyncstore.journal.reading import PIECE
from asyncstore.members import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import apsw

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS deliveries_by_series ON deliveries (series)",
    "CREATE INDEX IF NOT EXISTS studies_by_date ON studies (date, uid, id)",
    "CREATE INDEX IF NOT EXISTS studies_by_bytes ON studies (bytes, uid, id)",
    "CREATE INDEX IF NOT EXISTS clashes_by_uid ON clashes (uid, content, copy)",
)
_SUM_STUDIES = (
    "UPDATE studies SET bytes = sums.bytes FROM (SELECT s.study AS study, coalesce(sum(d.size), 0) AS bytes"
    " FROM deliveries d CROSS JOIN series s ON s.id = d.series GROUP BY s.study) AS sums WHERE sums.study = studies.id"
)
_UNUSED = (
    "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE series = series.id)",
    "DELETE FROM studies WHERE NOT EXISTS (SELECT 1 FROM series WHERE study = studies.id)",
)
"""Files that have changed may have left their series."""
_CLASHING = (
    "CREATE TEMP TABLE clashing AS SELECT uid FROM deliveries"
    " WHERE occurrence = 0 AND uid IS NOT NULL GROUP BY uid HAVING count(*) > 1"
)
_CLASHING_FILES = (
    "CREATE TEMP TABLE clashing_files AS SELECT d.uid, d.size, d.mtime, d.directory, d.name, p.path FROM deliveries d"
    " CROSS JOIN temp.clashing c ON c.uid = d.uid JOIN directories p ON p.id = d.directory WHERE d.occurrence = 0"
    " ORDER BY d.uid, d.directory, d.name"
)
_SOURCES = "catalogue"
"""The fact that holds the sources, and whether the walk of each has ended."""


def file_digest(path: str, member: str | None) -> bytes | None:
    """A hash of a file's bytes; ``None`` if it cannot be read here, as members of archives."""
    if member is not None:
        return None
    digest = sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def begin(connection: apsw.Connection, sources: Iterable[str]) -> None:
    """Note that the walks of these sources begin."""
    _note(connection, dict.fromkeys(sources, False))


def sources_of(connection: apsw.Connection) -> dict[str, bool]:
    """The sources of the catalogue, and whether the walk of each has ended.

    Raises:
        ValueError: the journal is damaged.
    """
    found = rows(connection, "SELECT value FROM facts WHERE name = ?", (_SOURCES,))
    sources: dict[str, bool] = json.loads(str(found[0][0])) if found else {}
    if not isinstance(sources, dict):
        raise ValueError("no sources")  # noqa: TRY004 - as of other texts that cannot be read
    return sources


def _note(connection: apsw.Connection, sources: dict[str, bool]) -> None:
    value = json.dumps(sources_of(connection) | sources)
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_SOURCES, value))


def complete(
    connection: apsw.Connection,
    digest: Callable[[str, str | None], bytes | None] = file_digest,
    sources: Iterable[str] = (),
) -> int:
    """Make the indexes and find clashes, after the walk of these sources ended. It takes seconds for 10**6 rows.

    A file that cannot be read conflicts with every other one of its size, unless it was moved (rule 3).

    Returns:
        How many files are stored, as a salvaged journal says, which did not know their directory.
    """
    with connection:
        brought_home = bring_home(connection)
        for statement in (*_INDEXES, *_UNUSED, _SUM_STUDIES, "DELETE FROM clashes", _CLASHING):
            connection.execute(statement)
        connection.execute("CREATE INDEX temp.clashing_by_uid ON clashing (uid)")
        connection.execute(_CLASHING_FILES)
        for uid, group in groupby(_clashing(connection), key=lambda row: row[0]):
            files = list(group)
            contents = _contents(files, digest)
            is_conflict = len(set(contents)) > 1
            copies: dict[int, int] = {}
            for (_, size, mtime, directory, name, _), content in zip(files, contents, strict=True):
                copy = copies.get(content, 0)
                copies[content] = copy + 1
                connection.execute(
                    "INSERT INTO clashes VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?)",
                    (directory, name, uid, size, mtime, is_conflict, content, copy),
                )
        connection.execute("DROP TABLE temp.clashing")
        connection.execute("DROP TABLE temp.clashing_files")
        _note(connection, dict.fromkeys(sources, True))
    return brought_home


def _clashing(connection: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """The files whose UID other files have as well, UID by UID."""
    last = 0
    statement = f"SELECT rowid, * FROM temp.clashing_files WHERE rowid > ? ORDER BY rowid LIMIT {PIECE}"  # noqa: S608
    while piece := rows(connection, statement, (last,)):
        for _, *row in piece:
            yield tuple(row)
        last = piece[-1][0]


def _contents(files: list[Any], digest: Callable[[str, str | None], bytes | None]) -> list[int]:
    """For each of these files of one UID the number of its content, from 0."""
    sizes = [row[1] for row in files]
    digests = [digest(*_place(row)) if sizes.count(row[1]) > 1 else b"" for row in files]
    alike: dict[object, set[bytes]] = {}
    for row, found in zip(files, digests, strict=True) if None in digests else ():
        if found is not None:
            alike.setdefault(_look(row), set()).add(found)
    known: dict[object, int] = {}
    numbers = []
    for number, (row, found) in enumerate(zip(files, digests, strict=True)):
        content: object = number if found is None else found
        if found is None and row[2] is not None and not os.path.lexists(_place(row)[0]):
            same = alike.get(_look(row), set())
            content = min(same) if len(same) == 1 else _look(row)
        numbers.append(known.setdefault((row[1], content), len(known)))
    return numbers


def _place(row: Sequence[Any]) -> tuple[str, str | None]:
    """Where a file is, as :func:`asyncstore.members.place_of` returns."""
    *_, name, directory = row
    return place_of(path_of(directory, name))


def _look(row: Sequence[Any]) -> tuple[bytes, int, int]:
    """What a file keeps when it is moved: its name, size and time."""
    _, size, mtime, _, name, _ = row
    return name, size, mtime
