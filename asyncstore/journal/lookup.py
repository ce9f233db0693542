"""Looks up how files ended in earlier runs, and so which ones a resumed run need not send.

Rules:

1. Files come in the order of the walk: directory by directory, by name. The rows of a directory lie in the same order,
   so both are read side by side. Memory holds a thousand rows of one directory.
2. Another order is only slower: a file that does not follow the last one is looked up by itself. (Names that are not
   UTF-8, lists of files, directories that are walked between two files.)
3. A file counts as what its row says only if its size and modification time are those of the row. Without a row, and
   for the states *waiting* and *unknown*, the file is to be sent.
4. *Failed* and *not sent* files are left as they are, with the state of the earlier run, unless the caller wants them
   again: a peer that refused a million objects for good need not get them in every run. Files whose run ended before
   them are recorded as *waiting*, so they are always sent.
5. Each query reads its rows at once and ends: an open one would keep the write-ahead log from being folded in.
6. One thread uses it, with a connection of its own: the thread of the walk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from asyncstore.journal.ids import directory_key, encoded, split
from asyncstore.journal.opening import UNDECODABLE, translated, undecodable
from asyncstore.journal.querying import rows
from asyncstore.journal.reading import Reader
from asyncstore.journal.rows import MTIME_BITS
from asyncstore.journal.values import State
from asyncstore.members import MemberPath
from asyncstore.model import SourceFile
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    import apsw

    from asyncstore.model import Unsendable

T = TypeVar("T")

_FEWEST_ROWS = 8
_MOST_ROWS = 1024
"""Rows of one query. A directory begins with few, because a list of files may need no more of it."""
_GROWTH = 4
_MOST_ENDINGS = 4096

_ROWS = (
    "SELECT name, occurrence, size, mtime, ending, uid IS NOT NULL FROM deliveries"
    " WHERE directory = ? AND (name, occurrence) >= (?, ?) ORDER BY name, occurrence LIMIT ?"
)
_Row = tuple[bytes, int, int | None, int | None, int, int]


NOT_ENDED = frozenset({State.WAITING, State.UNKNOWN})
"""States of files that every run sends again."""


class Earlier(NamedTuple):
    """How a file that is not sent again ended in an earlier run."""

    state: State
    reason: str
    is_instance: bool = True
    """Whether an instance was found in the file."""


class Endings(dict[tuple[int, int], T | None]):
    """What an ending of an earlier run means for this one, by its number and whether its file held an instance.

    There are few, so they are kept. ``None``: such files are sent again.

    Args:
        path: the journal.
        connection: to it.
        again: the states of files that are sent again.
        make: makes a value of the ending of other files.
    """

    def __init__(
        self, path: str, connection: apsw.Connection, again: Collection[State], make: Callable[[Earlier], T]
    ) -> None:
        super().__init__()
        self._path, self._connection, self._again, self._make = path, connection, frozenset(again), make

    def __missing__(self, key: tuple[int, int]) -> T | None:
        ending, is_instance = key
        state = State.of(ending)
        value = None
        if state not in self._again:
            with translated(self._path):
                found = rows(self._connection, "SELECT reason FROM endings WHERE id = ?", (ending,))
                value = self._make(Earlier(state, found[0][0] if found else "", bool(is_instance)))
        if len(self) >= _MOST_ENDINGS:
            self.clear()
        self[key] = value
        return value


class Lookup(Reader):
    """Looks up files in the journal at ``path``. It blocks.

    Args:
        path: the journal.
        again: the states of files that are to be sent again. With none of them, each known file counts as done: so a
            catalogue is continued.
    """

    def __init__(self, path: str, again: Collection[State] = NOT_ENDED) -> None:
        super().__init__(path)
        self.known = 0
        """How many of the files asked for have a row and end anew."""
        self._endings = Endings[Earlier](self.path, self.connection, again, lambda earlier: earlier)
        self._head: str | None = None
        self._directory: int | None = None
        self._rows: list[_Row] = []
        self._position = 0
        self._limit = _FEWEST_ROWS
        self._is_whole = False
        """Whether no rows of the directory follow those in memory."""
        self._last = (b"", 0)

    def tell_apart(
        self, found: Iterable[SourceFile | Unsendable], repeat: int = 1
    ) -> Iterator[tuple[SourceFile | Unsendable, int, Earlier | None]]:
        """Each of these with its occurrence and how it ended earlier; ``None``: it is to be sent.

        Args:
            found: the files; each is delivered so many times in a row.
            repeat: how many times.
        """
        last, occurrence = "", 0
        earlier = self._earlier
        for item in found:
            path = item.path
            occurrence = (occurrence + 1) % repeat if path == last else 0
            last = path
            try:
                ended = earlier(path, occurrence)
            except UNDECODABLE as error:
                raise undecodable(self.path) from error
            if ended is not None and type(item) is not SourceFile:  # it ends anew
                ended = None
                self.known += 1
            yield item, occurrence, ended

    def _earlier(self, path: str, occurrence: int) -> Earlier | None:
        if type(path) is not str:
            return self._earlier_member(path, occurrence)
        head, slash, name = split(path)
        if head != self._head:
            self._enter(head, directory_key(head + slash))
        if self._directory is None:
            return None
        row = self._find(encoded(name), occurrence)
        if row is None:
            return None
        _, _, size, mtime, ending, is_instance = row
        earlier = self._endings[ending, is_instance]
        if earlier is not None:
            try:
                status = os.stat(path)
            except (OSError, ValueError):
                # A file that could not be reached then and cannot be reached now counts as unchanged.
                if size is None and not earlier.state.is_stored:
                    return earlier
            else:
                if status.st_size == size and status.st_mtime_ns & MTIME_BITS == mtime:
                    return earlier
        self.known += 1
        return None

    def _earlier_member(self, path: str, occurrence: int) -> Earlier | None:
        """The same of a member of an archive, which says itself whether it has changed."""
        if not isinstance(path, MemberPath):
            return None
        head = f"{path.archive}\0"
        if head != self._head:
            self._enter(head, directory_key(path.archive, is_archive=True))
        row = None if self._directory is None else self._find(encoded(path.member), occurrence)
        if row is None:
            return None
        _, _, size, mtime, ending, is_instance = row
        earlier = self._endings[ending, is_instance]
        if earlier is None or (size, mtime) != (path.size, path.mtime & MTIME_BITS):
            self.known += 1
            return None
        return earlier

    def _enter(self, head: str, key: bytes) -> None:
        self._head = head
        found = self.rows("SELECT id FROM directories WHERE path = ?", (key,))
        self._directory = int(found[0][0]) if found else None
        self._rows, self._position, self._limit, self._is_whole = [], 0, _FEWEST_ROWS, False
        self._last = (b"", 0)

    def _find(self, name: bytes, occurrence: int) -> _Row | None:
        """The row of a name in this directory."""
        ahead, position = self._rows, self._position
        if position < len(ahead):
            row = ahead[position]
            if row[0] == name and row[1] == occurrence:
                self._position = position + 1
                self._last = (name, occurrence)
                return row
        key = (name, occurrence)
        if key <= self._last or (not self._is_whole and (not ahead or ahead[-1][:2] < key)):
            self._seek(key, is_next=position >= len(ahead) > 0)
            ahead, position = self._rows, 0
        self._last = key
        while position < len(ahead) and ahead[position][:2] < key:
            position += 1
        self._position = position
        if position < len(ahead) and ahead[position][:2] == key:
            self._position += 1
            return ahead[position]
        return None

    def _seek(self, key: tuple[bytes, int], *, is_next: bool) -> None:
        """Read the rows from this key on: a larger piece if all rows of the last one were used."""
        self._limit = min(_MOST_ROWS, self._limit * _GROWTH) if is_next else _FEWEST_ROWS
        self._rows = self.rows(_ROWS, (self._directory, *key, self._limit))
        self._is_whole = len(self._rows) < self._limit
