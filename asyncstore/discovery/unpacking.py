"""Unpack, or fetch, what a walk found, ahead of sending.

Rules:

1. Members come out in the order in which they were found, each with a place in the spool.
2. What an earlier run settled is neither unpacked nor fetched.
3. Objects of remote stores are asked for ahead, and members of zips are unpacked ahead, in threads: some of them,
   within half of the bytes that the spool may hold.
4. A large file that holds no instance is refused by its beginning, and not unpacked to its end. Of a compressed tar the
   rest is still inflated, because the next member stands behind it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from asyncstore.discovery.inflating import NoLibrary
from asyncstore.discovery.limits import TooMuch
from asyncstore.discovery.spool import Abandoned
from asyncstore.members import Damaged, MemberPath
from asyncstore.model import SourceFile, Unsendable
from asyncstore.waiting import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.discovery.spool import Spool
    from asyncstore.model import Outcome

    Found = SourceFile | Unsendable | Outcome
    Refuse = Callable[[bytes], str | None]
    """Why a file that begins so holds no instance, whatever follows; ``None``: it may hold one."""

_BEGINNING = 1 << 20
"""Bytes by which a file may be refused: the probe reads no more of an unusual one."""
_PREAMBLE, _PREFIX = 128, b"DICM"
_MOST_STARTED = 32
"""Members that are begun ahead: a request takes some 20 ms, and stores of small objects need many."""


def unpacked(found: Iterator[Found], spool: Spool, most: int, refuse: Refuse | None = None) -> Iterator[Found]:
    """What a walk found; members that must be unpacked have a place in the spool.

    It blocks while the spool is full. It ends early if the spool is abandoned.

    Args:
        found: files, unsendable ones, and outcomes.
        spool: the room.
        most: bytes that one file may have.
        refuse: decides by its first mebibyte whether a larger file can hold an instance; ``None``: none is refused.
    """
    with suppress(Abandoned):
        for item in _started(found, spool.most // 2):
            path = item.path
            if not isinstance(path, MemberPath) or path.part is not None or not isinstance(item, SourceFile):
                yield item
            else:
                reason = _unpack(path, spool, most, refuse)
                yield item if reason is None else Unsendable(item, reason)


def _started(found: Iterator[Found], most: int) -> Iterator[Found]:
    """The same; from the first member that can be begun on, those after it are begun before it is handed on."""
    for item in found:
        if _can_start(item):
            yield from _Ahead(item, found, most).items()
            return
        yield item


def _can_start(item: Found) -> bool:
    """Whether there is something to fetch, or to unpack in a thread."""
    if type(item) is not SourceFile or type(item[0]) is str:
        return False  # nearly every file, even where others are looked for
    path = item.path
    return isinstance(path, MemberPath) and path.start is not None and path.part is None


class _Ahead:
    """Takes what a walk finds, in a thread, and begins members, while earlier ones are handed on.

    The walk may wait for what was handed on to end, or for a list that somebody writes. So what it found is handed on
    while it waits.

    Args:
        first: the first item.
        found: the items after it.
        most: bytes of members that are begun.
    """

    def __init__(self, first: Found, found: Iterator[Found], most: int) -> None:
        self._first, self._found, self._most = first, found, most
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Found, int]] = deque()
        self._held = self._taken = self._handed_on = 0
        self._is_over = self._is_closed = False
        self._failure: Exception | None = None

    def items(self) -> Iterator[Found]:
        """All items, in order."""
        start_thread("asyncstore-walk-ahead", self._take)
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._is_over)
                    if not self._waiting:
                        break
                    item, size = self._waiting.popleft()
                    self._held -= size
                    self._changed.notify_all()
                yield item
                with self._changed:
                    self._handed_on += 1
                    self._changed.notify_all()
            failure, self._failure = self._failure, None
            if failure is not None:
                try:
                    raise failure
                finally:
                    del failure  # it would keep this frame, and so itself
        finally:
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()

    def _take(self) -> None:
        try:
            for item in chain((self._first,), self._found):
                if not self._put(item):
                    break
            if isinstance(self._found, Generator):
                self._found.close()
        except Exception as error:  # noqa: BLE001 - the other thread gets it
            self._failure = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _put(self, item: Found) -> bool:
        """Begin a member, and wait until there is room for it; ``False``: nobody takes any more."""
        path = item.path
        size = path.start() if _can_start(item) and isinstance(path, MemberPath) and path.start is not None else 0
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or not self._waiting or self._has_room(size))
            self._waiting.append((item, size))
            self._held += size
            self._taken += 1
            self._changed.notify_all()
            if isinstance(path, MemberPath) and path.is_once:  # it is unpacked before the next one is found
                self._changed.wait_for(lambda: self._is_closed or self._handed_on == self._taken)
            return not self._is_closed

    def _has_room(self, size: int) -> bool:
        return len(self._waiting) < _MOST_STARTED and self._held + size <= self._most


def _unpack(path: MemberPath, spool: Spool, most: int, refuse: Refuse | None) -> str | None:
    """Unpack a member; returns why that failed, or ``None``."""
    try:
        pieces = iter(()) if path.unpack is None else path.unpack()
        path.part, claim = spool.add(pieces if refuse is None else _looked_at(pieces, refuse), most)
    except (Damaged, NoLibrary, TooMuch) as reason:
        path.unpack = partial(_fail, str(reason))
        return str(reason)
    path.hold(claim)
    path.unpack = path.start = None
    return None


def _looked_at(pieces: Iterator[bytes], refuse: Refuse) -> Iterator[bytes]:
    """The pieces of a file.

    Raises:
        Damaged: it goes on after its first mebibyte, and that shows that it holds no instance.
    """
    first = next(pieces, b"")
    if first[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX:
        return chain((first,), pieces)
    beginning, size = [first], len(first)
    while size <= _BEGINNING:
        piece = next(pieces, b"")
        if not piece:
            return iter(beginning)  # the probe looks at it
        beginning.append(piece)
        size += len(piece)
    reason = refuse(b"".join(beginning)[:_BEGINNING])
    if reason is not None:
        raise Damaged(reason)
    return chain(beginning, pieces)


def _fail(reason: str) -> Iterator[bytes]:
    raise Damaged(reason)
