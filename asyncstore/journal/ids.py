"""The ids of what many rows share: directories, series, kinds and endings.

Rules:

1. An id is asked of a small memory first, then of the database, and only then made. The memory is bounded: an archive
   has millions of studies.
2. ``None`` is stored as an empty value, so that a unique index sees equal rows.
3. Paths are kept as absolute ones: a resumed run may be started in another directory. ``..`` is resolved as the system
   does it, through symbolic links.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar

from asyncstore.journal import schema, settings
from asyncstore.journal.querying import number, rows
from asyncstore.journal.uids import pack
from asyncstore.members import STORE, MemberPath

if TYPE_CHECKING:
    import apsw

    from asyncstore.journal.values import State
    from asyncstore.model import Head

_ENTRIES = 4096
"""In each half of a memory; a series key takes 600 bytes."""
_PATIENT_KEY_BYTES = 12
"""With 10**9 patients, two share a key in one of 10**11 migrations."""

_ENCODING = sys.getfilesystemencoding()
_SURROGATES = sys.getfilesystemencodeerrors()
ARCHIVE = b"\0"
"""The end of the key of an archive."""
_DATE_DIGITS = 8

_NEW_ENDING = (
    "INSERT INTO endings (id, state, status, reason, repairs) VALUES ("  # noqa: S608 - a constant
    f"(SELECT coalesce(max(id) / {schema.MOST_STATES} + 1, 0) FROM endings) * {schema.MOST_STATES} + ?1,"
    " ?1, ?2, ?3, ?4) RETURNING id"
)

K = TypeVar("K")


class Memory(Generic[K]):
    """A bounded dict of ids. An entry that is not asked for while the newer half fills is forgotten."""

    def __init__(self, entries: int = _ENTRIES) -> None:
        self._entries = entries
        self._newer: dict[K, int] = {}
        self._older: dict[K, int] = {}

    def get(self, key: K) -> int | None:
        """The id, if it is remembered."""
        found = self._newer.get(key)
        if found is None:
            found = self._older.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, number: int) -> None:
        """Remember an id."""
        if len(self._newer) >= self._entries:
            self._older, self._newer = self._newer, {}
        self._newer[key] = number


def split(path: str) -> tuple[str, str, str]:
    """The directory of a file, a separator if there is a directory, and the file's name."""
    return (path.replace("/", os.sep) if sys.platform == "win32" else path).rpartition(os.sep)


def key_of(path: str, member: str | None) -> tuple[bytes, bytes]:
    """The bytes by which the journal knows a file, or a member of the archive at this path."""
    if member is not None:
        return directory_key(path, is_archive=True), encoded(member)
    head, slash, name = split(path)
    return directory_key(head + slash), encoded(name)


def directory_key(directory: str, *, is_archive: bool = False) -> bytes:
    """The bytes by which the journal knows a directory or an archive."""
    if is_archive and STORE in directory:
        return encoded(directory) + ARCHIVE
    with suppress(OSError, ValueError):  # this directory was removed, or no path can have this name
        if f"{os.sep}{os.pardir}{os.sep}" in f"{os.sep}{directory}{os.sep}":
            directory = os.path.realpath(directory)
        else:
            directory = os.path.abspath(directory)
    return encoded(directory) + (ARCHIVE if is_archive else b"")


def encoded(name: str) -> bytes:
    """The bytes of a name; as :func:`os.fsencode`, and for names that no file can have as well."""
    try:
        return name.encode(_ENCODING, _SURROGATES)
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def is_archive(key: bytes) -> bool:
    """Whether the key of a directory is that of an archive."""
    return key.endswith(ARCHIVE)


def path_of(directory: bytes, name: bytes) -> str:
    """The path of a file by the key of its directory; :class:`~asyncstore.members.MemberPath` for members."""
    if is_archive(directory):
        return MemberPath(os.fsdecode(directory[:-1]), os.fsdecode(name))
    return os.path.join(os.fsdecode(directory), os.fsdecode(name))


class Ids:
    """The ids in one journal, made where needed. One thread uses it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._salt = settings.salt(connection)
        self._directories: Memory[tuple[str, bool]] = Memory()
        self._kinds: Memory[tuple[str | None, str | None, str | None]] = Memory()
        self._endings: Memory[tuple[State, int | None, str | None, int]] = Memory()
        self._series: Memory[Head] = Memory()

    def directory(self, directory: str, *, is_archive: bool = False) -> int:
        """The id of a directory, or of an archive."""
        found = self._directories.get((directory, is_archive))
        if found is None:
            found = self._one(
                "SELECT id FROM directories WHERE path = ?",
                "INSERT INTO directories (path) VALUES (?) RETURNING id",
                (directory_key(directory, is_archive=is_archive),),
            )
            self._directories.put((directory, is_archive), found)
        return found

    def kind(self, uids: tuple[str | None, str | None, str | None]) -> int:
        """The id of a SOP class, the transfer syntax of the file, and the one that was sent."""
        found = self._kinds.get(uids)
        if found is None:
            found = self._one(
                "SELECT id FROM kinds WHERE sop_class = ? AND transfer_syntax = ? AND sent_transfer_syntax = ?",
                "INSERT INTO kinds (sop_class, transfer_syntax, sent_transfer_syntax) VALUES (?, ?, ?) RETURNING id",
                tuple(map(_plain, uids)),
            )
            self._kinds.put(uids, found)
        return found

    def ending(self, state: State, status: int | None, reason: str | None, repairs: int) -> int:
        """The id of a state with its status, reason and repairs; modulo 8 it is the state."""
        found = self._endings.get((state, status, reason, repairs))
        if found is None:
            found = self._one(
                "SELECT id FROM endings WHERE state = ? AND status = ? AND reason = ? AND repairs = ?",
                _NEW_ENDING,
                (int(state), -1 if status is None else status, _plain(reason), repairs),
            )
            self._endings.put((state, status, reason, repairs), found)
        return found

    def of_head(self, head: Head) -> int:
        """The id of the series of an instance with this head."""
        found = self._series.get(head)
        if found is None:
            study = self._one_with(
                "SELECT id, date FROM studies WHERE uid = ? AND patient = ?",
                "INSERT INTO studies (uid, patient, date) VALUES (?, ?, ?) RETURNING id",
                "UPDATE studies SET date = ? WHERE id = ?",
                (pack(head.study_instance_uid), patient_key(head.patient_id.decode("latin-1"), self._salt)),
                _day(head.study_date),
            )
            found = self._one_with(
                "SELECT id, modality FROM series WHERE study = ? AND uid = ?",
                "INSERT INTO series (study, uid, modality) VALUES (?, ?, ?) RETURNING id",
                "UPDATE series SET modality = ? WHERE id = ?",
                (study, pack(head.series_instance_uid)),
                _plain(head.modality),
            )
            self._series.put(head, found)
        return found

    def _one(self, select: str, insert: str, values: tuple[int | str | bytes, ...]) -> int:
        found = rows(self._connection, select, values)
        return int(found[0][0]) if found else number(self._connection, insert, values)

    def _one_with(self, select: str, insert: str, update: str, key: tuple[int | bytes, bytes], more: str | None) -> int:
        """As above, with a value besides the key that may become known later."""
        found = rows(self._connection, select, key)
        if not found:
            return number(self._connection, insert, (*key, more))
        [(row, known)] = found
        if known is None and more is not None:
            self._connection.execute(update, (more, row))
        return int(row)


def patient_key(patient_id: str, salt: bytes) -> bytes:
    """A keyed hash of a patient ID: equal IDs have equal keys in one journal, and in no other.

    ``patient_id`` is as :func:`likely_ids` says.
    """
    return blake2b(patient_id.encode("utf-8", "surrogatepass"), key=salt, digest_size=_PATIENT_KEY_BYTES).digest()


def likely_ids(patient_id: str) -> list[str]:
    """How this patient ID may be recorded: its bytes as Latin-1, in whatever character set the data set has."""
    return [patient_id, patient_id.encode("utf-8", "surrogatepass").decode("latin-1")]


def _day(date: str) -> str | None:
    """A date (DA, PS3.5 6.2) as YYYYMMDD, so that dates are in order; ``None`` if it is none."""
    digits = date.strip().replace(".", "")
    return digits if len(digits) == _DATE_DIGITS and digits.isascii() and digits.isdigit() else None


def _plain(text: str | None) -> str:
    """A text that the database can hold: no lone surrogates."""
    return "" if text is None else text.encode("utf-8", "backslashreplace").decode()
