"""Find files again by the names that a journal, a list or an outcome has for them.

Rules:

1. Members of an archive that was listed so far are remembered, if they can be read in any order. Those of a compressed
   tar cannot: asking for them in another order reads it again from its beginning.
2. Memory is bounded: some archives are open, and some members of each are remembered.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.discovery.archives import opened
from asyncstore.discovery.streams import PIECE, Span
from asyncstore.discovery.walk import file_at
from asyncstore.members import SEPARATOR, Damaged, MemberPath
from asyncstore.model import SourceFile, Unsendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.discovery.limits import ArchiveLimits
    from asyncstore.discovery.spool import Spool

_MOST_OPEN = 8
_MOST_KNOWN = 100_000
_MISSING = "no such file in the archive"


class _Known(NamedTuple):
    """A member that was listed."""

    path: MemberPath
    reason: str | None
    """Why it cannot be sent."""


class _Listing:
    """The members of one archive, as far as they were listed."""

    def __init__(self, archive: str, limits: ArchiveLimits, spool: Spool) -> None:
        self._archive, self._limits, self._spool = archive, limits, spool
        self._begin()

    def _begin(self) -> None:
        self._known: dict[str, _Known] = {}
        self._rest = opened(self._archive, self._limits, self._spool, iter(lambda: 0, 1))
        self._has_forgotten = False
        self._failure = _MISSING

    def find(self, name: str) -> _Known | str:
        """A member, or why there is none."""
        found = self._known.get(name) or self._next(name)
        if found is None and self._has_forgotten:
            self._begin()
            found = self._next(name)
        return found or self._failure

    def _next(self, name: str) -> _Known | None:
        """A member that was not listed before."""
        for item in self._rest:
            path = item.path
            if not isinstance(path, MemberPath):
                self._failure = item.reason if isinstance(item, Unsendable) else _MISSING
                continue
            known = _Known(path, item.reason if isinstance(item, Unsendable) else None)
            if path.is_once or len(self._known) >= _MOST_KNOWN:
                self._has_forgotten = True
            else:
                self._known[path.member] = known
            if path.member == name:
                return known
        return None


def archive_in(text: str) -> str | None:
    """The path of the archive in the shown name of a member; ``None``: there is no such file."""
    archive = ""
    for piece in text.split(SEPARATOR)[:-1]:
        archive = f"{archive}{SEPARATOR}{piece}" if archive else piece
        if os.path.isfile(archive):  # noqa: PTH113 - paths are text
            return archive
    return None


class Finder:
    """Finds files by their names, members of archives too.

    Args:
        limits: what an archive may hold.
        spool: room for archives in archives.
    """

    def __init__(self, limits: ArchiveLimits, spool: Spool) -> None:
        self._limits, self._spool = limits, spool
        self._listings: OrderedDict[str, _Listing] = OrderedDict()

    def file_at(self, path: str, ordinal: int) -> SourceFile | Unsendable:
        """The file of this path, which may be a :class:`~asyncstore.members.MemberPath`."""
        if not isinstance(path, MemberPath):
            return file_at(path, ordinal)
        found = self._find(path)
        if isinstance(found, str):
            return Unsendable(SourceFile(path, ordinal), found)
        file = SourceFile(found.path.again(), ordinal)
        return file if found.reason is None else Unsendable(file, found.reason)

    def opened(
        self, found: Iterable[SourceFile | Unsendable], ordinals: Iterator[int]
    ) -> Iterator[SourceFile | Unsendable]:
        """The files of a walk, with the members of archives in place of these."""
        for file in found:
            if isinstance(file, SourceFile):
                yield from opened(file.path, self._limits, self._spool, chain((file.ordinal,), ordinals))
            else:
                yield file

    def named(self, text: str, found: Iterable[SourceFile | Unsendable]) -> Iterator[SourceFile | Unsendable]:
        """A member by the name that is shown, such as ``a.zip!dir/file``.

        Args:
            text: that name.
            found: what to return if there is no such archive.
        """
        archive = archive_in(text)
        for file in found:
            if archive is None:
                yield file
            else:
                yield self.file_at(MemberPath(archive, text[len(archive) + 1 :]), file.ordinal)

    def digest(self, archive: str, member: str) -> bytes | None:
        """A hash of a member's bytes; ``None``: it cannot be read, or only with all members before it."""
        found = self._find(MemberPath(archive, member))
        if isinstance(found, str) or found.reason is not None or found.path.is_once:
            return None
        digest = sha256()
        try:
            for piece in _bytes_of(found.path):
                digest.update(piece)
        except (OSError, Damaged):
            return None
        return digest.digest()

    def _find(self, path: MemberPath) -> _Known | str:
        listing = self._listings.pop(path.archive, None) or _Listing(path.archive, self._limits, self._spool)
        self._listings[path.archive] = listing
        if len(self._listings) > _MOST_OPEN:
            self._listings.popitem(last=False)
        return listing.find(path.member)


def _bytes_of(path: MemberPath) -> Iterator[bytes]:
    if path.part is None:
        return iter(()) if path.unpack is None else path.unpack()
    span = Span.of(path.part.container).part(path.part.offset, path.part.length)
    return (span.read(position, PIECE) for position in range(0, span.length, PIECE))
