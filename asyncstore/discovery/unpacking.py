"""Unpack, or fetch, what a walk found, ahead of sending.

Rules:

1. Members come out in the order in which they were found, each with a place in the spool.
2. What an earlier run settled is neither unpacked nor fetched.
3. Objects of remote stores are asked for ahead, and members of zips are unpacked ahead, in threads: some of them,
   within half of the bytes that the spool may hold.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.discovery.limits import TooMuch
from asyncstore.discovery.spool import Abandoned
from asyncstore.discovery.streams import NoLibrary
from asyncstore.members import Damaged, MemberPath
from asyncstore.model import SourceFile, Unsendable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.discovery.spool import Spool
    from asyncstore.model import Outcome

    Found = SourceFile | Unsendable | Outcome

_MOST_STARTED = 32
"""Members that are begun ahead: a request takes some 20 ms, and stores of small objects need many."""


def unpacked(found: Iterator[Found], spool: Spool, most: int) -> Iterator[Found]:
    """What a walk found; members that must be unpacked have a place in the spool.

    It blocks while the spool is full. It ends early if the spool is abandoned.

    Args:
        found: files, unsendable ones, and outcomes.
        spool: the room.
        most: bytes that one file may have.
    """
    with suppress(Abandoned):
        for item in _started(found, spool.most // 2):
            path = item.path
            if type(path) is str or not isinstance(path, MemberPath):
                yield item
            elif not isinstance(item, SourceFile) or path.part is not None:
                path.hold()
                yield item
            else:
                reason = _unpack(path, spool, most)
                yield item if reason is None else Unsendable(item, reason)


def _started(found: Iterator[Found], most: int) -> Iterator[Found]:
    """The same; what follows a member is begun before the member is handed on."""
    ahead: deque[tuple[Found, int]] = deque()
    held = 0
    for item in found:
        if not ahead and type(item) is SourceFile and type(item[0]) is str:
            yield item  # nearly every file, even where others are looked for
            continue
        started = _start(item)
        if not started and not ahead:
            yield item
            continue
        ahead.append((item, started))
        held += started
        while ahead and (not started or held > most or len(ahead) > _MOST_STARTED):
            first, size = ahead.popleft()
            held -= size
            yield first
    for item, _ in ahead:
        yield item


def _start(item: Found) -> int:
    """Begin to fetch or unpack a member; returns how many bytes that will hold, 0 if there is nothing to begin."""
    path = item.path
    if isinstance(item, SourceFile) and isinstance(path, MemberPath) and path.start is not None and path.part is None:
        return path.start()
    return 0


def _unpack(path: MemberPath, spool: Spool, most: int) -> str | None:
    """Unpack a member; returns why that failed, or ``None``."""
    try:
        path.part, claim = spool.add(iter(()) if path.unpack is None else path.unpack(), most)
    except (Damaged, NoLibrary, TooMuch) as reason:
        path.hold()
        path.unpack = partial(_fail, str(reason))
        return str(reason)
    path.hold(claim)
    path.unpack = path.start = None
    return None


def _fail(reason: str) -> Iterator[bytes]:
    raise Damaged(reason)
