"""Connections to journals: what may be opened, and errors of SQLite in the project's own words.

Rules:

1. Nothing is written to a file before it is known to be a journal, or empty.
2. Only SQLite opens the file of a database: to close another descriptor of it would drop SQLite's locks in this
   process (https://sqlite.org/howtocorrupt.html, 2.2). A new file is made before the first connection.
3. The check costs the same for 10 and for 10 000 000 rows: the header, the tables' definitions, the length of the file,
   and the way from the root of each table to its first and its last row.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from asyncstore.errors import (
    JournalDamaged,
    JournalError,
    JournalInUse,
    JournalMissing,
    JournalNotReadable,
    JournalNotWritable,
    JournalTooNew,
    JournalWriteFailed,
    NotAJournal,
)
from asyncstore.journal import schema, versions
from asyncstore.journal.querying import number, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWNER_ONLY = 0o600
_PATIENCE_MS = 10_000
"""How long a connection waits for another one's lock; they are held for milliseconds."""
_PAGES_KEPT_KIB = 16_384
"""The page cache of a connection. Inserts into one directory touch far fewer inner pages, even with 10**8 rows."""
_CHECKPOINT_PAGES = 4_000
"""16 MB of write-ahead log, so that a page that many commits change is written once."""
_CANNOT_READ = (apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS)
_LARGEST_LOG = 64 << 20
"""Bytes that the write-ahead log keeps after a reader had let it grow."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Errors of SQLite, and of values of other types than a journal's, become errors of the journal at ``path``."""
    try:
        yield
    except apsw.Error as error:
        raise in_our_words(path, error) from error
    except UnicodeDecodeError as error:
        raise JournalDamaged(path, "a text in it is not UTF-8") from error
    except UnicodeEncodeError:
        raise NotAJournal(path, "its name, or that of a folder above it, is not UTF-8, as SQLite needs it") from None
    except UNDECODABLE as error:
        raise undecodable(path) from error


UNDECODABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What values of wrong types and ranges raise where rows become objects."""


def undecodable(path: str) -> JournalDamaged:
    """The error for a row with such values in the journal at ``path``."""
    return JournalDamaged(path, "a row in it holds a value that no journal has")


def in_our_words(path: str, error: apsw.Error) -> JournalError:  # noqa: PLR0911 - one for each kind of error
    """The error of SQLite as an error of the journal at ``path``."""
    cause = str(error).removeprefix(f"{type(error).__name__}: ")
    match error:
        case apsw.NotADBError():
            return NotAJournal(path, "it is not a database")
        case apsw.CorruptError() | apsw.FormatError() | apsw.SchemaChangeError():
            return JournalDamaged(path, cause)
        case apsw.IOError() if getattr(error, "extendedresult", 0) in _CANNOT_READ:
            return JournalDamaged(path, "a part of it cannot be read")
        case apsw.FullError():
            return JournalWriteFailed(path, "no space is left", is_full=True)
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() | apsw.AuthError():
            return JournalNotWritable(path, cause)
        case apsw.BusyError() | apsw.LockedError():
            return JournalInUse(path)
        case apsw.SQLError():
            return JournalDamaged(path, cause)
        case _:
            return JournalWriteFailed(path, cause)


def writer(path: str) -> apsw.Connection:
    """A connection that writes; the journal is made if there is none.

    Raises:
        JournalError: it cannot be used.
    """
    with translated(path):
        path.encode()  # before a file is made
    _make_private(path)
    if not _may(os.W_OK, path):
        raise JournalNotWritable(path, "permission denied")
    return _connected(path, path, apsw.SQLITE_OPEN_READWRITE, _prepare_writing)


def reader(path: str) -> apsw.Connection:
    """A connection that only reads, also while a run writes.

    Raises:
        JournalError: it cannot be used.
    """
    if not os.path.lexists(path):
        raise JournalMissing(path)
    _refuse_irregular(path)
    if not _may(os.R_OK, path):
        raise JournalNotReadable(path, "permission denied")
    has_log = os.path.exists(f"{path}-wal")
    if has_log or (_may(os.W_OK, path) and _may(os.W_OK, os.path.dirname(path))):
        # Read-write, because the first connection after a crash must read the write-ahead log into shared memory.
        return _connected(path, path, apsw.SQLITE_OPEN_READWRITE, _prepare_reading)
    # A whole journal that cannot be changed: SQLite reads it without files beside it if told so.
    from urllib.parse import quote  # few journals lie there

    name = f"file:{quote(os.fsencode(path))}?immutable=1"
    return _connected(path, name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, _prepare_reading)


def _may(mode: int, path: str) -> bool:
    return os.access(path or os.curdir, mode, effective_ids=os.access in os.supports_effective_ids)


def _connected(path: str, name: str, flags: int, prepare: Callable[[str, apsw.Connection], None]) -> apsw.Connection:
    """A connection to the journal at ``path``, which SQLite knows by this name; it is closed if preparing fails."""
    with translated(path):
        connection = apsw.Connection(name, flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
    try:
        with translated(path):
            prepare(path, connection)
    except BaseException:
        connection.close(True)
        raise
    return connection


def check(path: str, connection: apsw.Connection) -> None:
    """Check the tables without reading all of them.

    Raises:
        JournalDamaged: they are not those of a journal, or cannot be read.
    """
    found: dict[str, str] = dict(rows(connection, "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    for name, definition in versions.tables_of(version_of(connection)).items():
        if found.get(name) != definition:
            raise JournalDamaged(path, f"the table {name} is {'not the one it was' if name in found else 'missing'}")
        for direction in ("", " DESC"):
            order = ", ".join(f"{column}{direction}" for column in schema.EDGES[name].split(", "))
            connection.execute(f"SELECT * FROM {name} ORDER BY {order} LIMIT 1").fetchall()  # noqa: S608 - constants


def _prepare_writing(path: str, connection: apsw.Connection) -> None:
    connection.set_busy_timeout(_PATIENCE_MS)
    is_new = not is_journal(path, connection)
    if connection.readonly("main"):
        raise JournalNotWritable(path, "it is read-only")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_PAGES_KEPT_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
    if is_new:
        _create(connection)
    else:
        [[is_busy, *_]] = rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        if not is_busy:
            _check_length(path, connection)
        check(path, connection)


def _prepare_reading(path: str, connection: apsw.Connection) -> None:
    connection.set_busy_timeout(_PATIENCE_MS)
    if not is_journal(path, connection):
        raise NotAJournal(path, "it is empty")
    check(path, connection)
    if version_of(connection) < schema.VERSION:
        versions.hide_earlier(connection)
    connection.execute("PRAGMA query_only = ON")


def _make_private(path: str) -> None:
    """Make the file if there is none. SQLite gives the files beside it the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
    except FileExistsError:
        _refuse_irregular(path)
        if os.path.isfile(path) and os.stat(path).st_nlink > 1:
            # https://sqlite.org/howtocorrupt.html, 2.5: each name has its own write-ahead log, and its own lock
            raise JournalNotWritable(path, "it has other names (hard links), by which another run may write") from None
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise JournalNotWritable(path, cause) from None


def _refuse_irregular(path: str) -> None:
    """Refuse directories, and files on which SQLite would wait, such as a FIFO.

    Raises:
        NotAJournal: it is no regular file.
    """
    if os.path.isdir(path):
        raise NotAJournal(path, "it is a directory") from None
    if os.path.exists(path) and not os.path.isfile(path):
        raise NotAJournal(path, "it is no regular file") from None


def is_journal(path: str, connection: apsw.Connection) -> bool:
    """Whether it is a journal that can be read; ``False``: it is empty.

    Raises:
        NotAJournal: another program made it.
        JournalTooNew: a newer asyncstore made it.
    """
    application = connection.pragma("application_id")
    version = version_of(connection)
    if application == 0 and not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall():
        return False
    if application != schema.APPLICATION_ID:
        raise NotAJournal(path, "it is a database of another program")
    if version > schema.VERSION:
        raise JournalTooNew(path, version, schema.VERSION)
    return True


def version_of(connection: apsw.Connection) -> int:
    """The version of its tables."""
    return number(connection, "PRAGMA user_version")


def _create(connection: apsw.Connection) -> None:
    with connection:
        for definition in schema.TABLES.values():
            connection.execute(definition)
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def _check_length(path: str, connection: apsw.Connection) -> None:
    """The file has the length that its header says; after a checkpoint nothing of it lies elsewhere.

    Raises:
        JournalDamaged: it is shorter.
    """
    pages, size = connection.pragma("page_count"), connection.pragma("page_size")
    length = os.stat(path).st_size
    if isinstance(pages, int) and isinstance(size, int) and length < pages * size:
        raise JournalDamaged(path, f"it has {length} of {pages * size} bytes")
