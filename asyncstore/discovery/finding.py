"""Find files again by the names that a journal, a list or an outcome has for them.

Rules:

1. Members of an archive that was listed so far are remembered, if they can be read in any order. Those of a compressed
   tar cannot: asking for them in another order reads it again from its beginning.
2. Memory is bounded: some archives are open, and some members of each are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from itertools import chain, repeat
from typing import TYPE_CHECKING

from asyncstore.discovery.archives import files_in, files_in_object
from asyncstore.discovery.streams import PIECE, Span
from asyncstore.discovery.walk import NOT_OPENED, archive_in, file_at
from asyncstore.members import SEPARATOR, STORE, Damaged, MemberPath, is_url
from asyncstore.model import SourceFile, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.wildcard import matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.discovery.limits import ArchiveLimits
    from asyncstore.discovery.spool import Spool
    from asyncstore.discovery.walk import WalkOptions

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
        ordinals = repeat(0)
        if isinstance(self._archive, MemberPath):
            self._rest = files_in_object(self._archive.again(), self._limits, self._spool, ordinals)
        else:
            self._rest = files_in(self._archive, self._limits, self._spool, ordinals)
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
            if not isinstance(path, MemberPath) or path == self._archive:
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


class Finder:
    """Finds files by their names, members of archives too.

    Args:
        limits: what an archive may hold; ``None``: archives are not opened.
        spool: room for archives in archives.
    """

    def __init__(self, limits: ArchiveLimits | None, spool: Spool) -> None:
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

    def with_members(
        self, found: Iterable[SourceFile | Unsendable], ordinals: Iterator[int]
    ) -> Iterator[SourceFile | Unsendable]:
        """The files of a walk, with the members of archives in place of these."""
        for file in found:
            if isinstance(file, SourceFile) and self._limits is not None:
                yield from files_in(file.path, self._limits, self._spool, chain((file.ordinal,), ordinals))
            else:
                yield file

    def objects(
        self, text: str, options: WalkOptions, ordinals: Iterator[int]
    ) -> Iterator[SourceFile | Unsendable] | None:
        """The objects at a URL; ``None``: the text is none, or no store is read."""
        return self._objects(text, options, ordinals) if options.remote and is_url(text) else None

    def _objects(self, url: str, options: WalkOptions, ordinals: Iterator[int]) -> Iterator[SourceFile | Unsendable]:
        from asyncstore.discovery.remote import objects  # few runs read remote stores
        from asyncstore.discovery.stores import Refused, split_url

        try:
            for path in objects(url, recurse=options.recurse, wanted=matcher(options.pattern or "*")):
                if self._limits is None:
                    yield SourceFile(path, next(ordinals))
                else:
                    yield from files_in_object(path, self._limits, self._spool, ordinals)
        except Refused as reason:
            if SEPARATOR in url:  # a member of an archive
                yield self.file_at(MemberPath(*split_url(url)), next(ordinals))
            else:
                yield Unsendable(SourceFile(url, next(ordinals)), str(reason))

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
        if STORE in archive:
            return None  # it would have to be fetched
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
        archive: str = path.archive
        if STORE in archive:
            found = _object_at(path)
            if not isinstance(found, MemberPath) or found.member == path.member:
                return _Known(found, None) if isinstance(found, MemberPath) else found
            archive = found
        if self._limits is None:
            return NOT_OPENED
        listing = self._listings.pop(archive, None) or _Listing(archive, self._limits, self._spool)
        self._listings[archive] = listing
        if len(self._listings) > _MOST_OPEN:
            self._listings.popitem(last=False)
        return listing.find(path.member)


def _object_at(path: MemberPath) -> MemberPath | str:
    """The object that this is, or that is the archive in which this is; or why there is none."""
    from asyncstore.discovery.remote import object_at
    from asyncstore.discovery.stores import Refused

    reason = ""
    pieces = path.member.split(SEPARATOR)
    for count in (len(pieces), *range(1, len(pieces))):
        try:
            return object_at(path.archive, SEPARATOR.join(pieces[:count]))
        except Refused as refusal:
            reason = reason or str(refusal)
    return reason


def _bytes_of(path: MemberPath) -> Iterator[bytes]:
    if path.part is None:
        return iter(()) if path.unpack is None else path.unpack()
    span = Span.of(path.part.container).part(path.part.offset, path.part.length)
    return (span.read(position, PIECE) for position in range(0, span.length, PIECE))
