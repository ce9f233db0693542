"""The files in archives: zip, tar, and compressed tars and files; and in archives within those, one deep.

Rules:

1. Files are archives by their first bytes, whatever their names. A DICOM file is none, whatever its preamble.
2. Nothing is written under a name of an archive, and no link is followed: names are shown, and nothing else.
3. A member that lies in a file as it is, is a part of that file, and not copied. Others are unpacked when they are
   asked for, into the spool.
4. Every member ends as a file to look into or as unsendable. An archive that cannot be read to its end is unsendable
   itself, beside the members found before; so is an archive without a file.
5. Members come in the order of the archive. One with the name of an earlier one gets a number: ``a.dcm#2``.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.discovery import tar, zip  # noqa: A004 - the format
from asyncstore.discovery.ahead import UnpackedInThread
from asyncstore.discovery.inflating import MAGIC, NoLibrary, inflated
from asyncstore.discovery.limits import Count, TooMuch
from asyncstore.discovery.streams import CUT_OFF, Span, Stream
from asyncstore.members import SEPARATOR, Damaged, MemberPath, Part
from asyncstore.model import SourceFile, Unsendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.discovery.limits import ArchiveLimits
    from asyncstore.discovery.spool import Spool

_GLANCE = tar.BLOCK
_PREAMBLE, _PREFIX = 128, b"DICM"
_ZIP, _TAR = "zip", "tar"
_DEEPEST = 2
"""Archives in archives are opened, and those in them are not."""
_ENDINGS = (".gz", ".zst", ".bz2", ".xz")
_NAMES = (".zip", ".tar", ".tgz", *_ENDINGS)
"""Objects of remote stores are looked into if their names end so: that takes a request."""
_EMPTY = "an archive without a file"
_ALL = 1 << 62

Found = MemberPath | tuple[MemberPath, str]
"""A member, or one that cannot be sent and the reason."""


def format_of(beginning: bytes) -> str | None:
    """The format of an archive with these first 512 bytes; ``None``: it is none."""
    if beginning[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX:
        return None
    if beginning.startswith(zip.BEGINNINGS):
        return _ZIP
    for compression, beginnings in MAGIC.items():
        if beginning.startswith(beginnings):
            return compression
    return _TAR if tar.is_header(beginning) else None


def is_archive(path: str) -> bool:
    """Whether this file is an archive."""
    return format_of(_glance(path)[0]) is not None


def _glance(path: str) -> tuple[bytes, Span | None]:
    """The first bytes of a file; none if it cannot be read."""
    try:
        span = Span.of(path)
        return span.read(0, _GLANCE), span
    except (OSError, ValueError, Damaged):
        return b"", None


def files_in(
    path: str, limits: ArchiveLimits, spool: Spool, ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    """The members of an archive, or the file itself if it is none, or cannot be read.

    Args:
        path: a regular file.
        limits: what an archive may hold.
        spool: room for archives in archives.
        ordinals: of the files found.
    """
    beginning, span = _glance(path)
    if span is None or format_of(beginning) is None:
        yield SourceFile(path, next(ordinals))  # the probe reads it, and says why it cannot be sent
        return
    members = _Archive(path, span.version[2], Count(span.length, limits), spool).members(span, "", 1)
    yield from _outcomes(members, path, ordinals)


def files_in_object(
    path: MemberPath, limits: ArchiveLimits, spool: Spool, ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    """The same of an object of a remote store, if its name is one that archives have."""
    if path.unpack is None or not path.member.lower().endswith(_NAMES):
        yield SourceFile(path, next(ordinals))
        return
    stream = Stream(path.unpack())
    try:
        form = format_of(stream.peek(_GLANCE))
    except Damaged as reason:
        yield Unsendable(SourceFile(path, next(ordinals)), str(reason))
        return
    if form is None:
        yield SourceFile(path, next(ordinals))
        return
    archive = _Archive(path.archive, path.mtime, Count(path.size, limits), spool)
    yield from _outcomes(archive.members(stream, f"{path.member}{SEPARATOR}", 1), path, ordinals)


def _outcomes(members: Iterator[Found], path: str, ordinals: Iterator[int]) -> Iterator[SourceFile | Unsendable]:
    """The members of an archive, and the archive itself if it cannot be read to its end."""
    is_empty = True
    try:
        for found in members:
            is_empty = False
            member, reason = (found, None) if isinstance(found, MemberPath) else found
            member.is_listed = True
            file = SourceFile(member, next(ordinals))
            yield file if reason is None else Unsendable(file, reason)
    except (Damaged, NoLibrary, TooMuch) as reason:
        yield Unsendable(SourceFile(path, next(ordinals)), f"{_NOT_WHOLE}: {reason}")
    else:
        if is_empty:
            yield Unsendable(SourceFile(path, next(ordinals)), _EMPTY)


_NOT_WHOLE = "an archive that cannot be read to its end"


class _Archive:
    """One archive, and those in it.

    Args:
        path: the archive.
        mtime: its modification time.
        count: what it held so far.
        spool: room for archives in it.
    """

    def __init__(self, path: str, mtime: int, count: Count, spool: Spool) -> None:
        self._path, self._mtime, self._count, self._spool = path, mtime, count, spool

    def members(self, content: Span | Stream, prefix: str, depth: int) -> Iterator[Found]:
        """The members in these bytes, which are an archive.

        Args:
            content: the archive.
            prefix: of the names of its members.
            depth: 1, or 2 for an archive in an archive.

        Raises:
            Damaged: it cannot be read from here on.
            NoLibrary: it needs a library that is not installed.
            TooMuch: it exceeds a limit.
        """
        form = format_of(content.read(0, _GLANCE) if isinstance(content, Span) else content.peek(_GLANCE))
        if form == _ZIP:
            if isinstance(content, Stream):
                content = self._spool.pin(content.pieces(self._count.limits.file + 1), self._count.limits.file)
            yield from self._of_zip(content, prefix, depth)
        elif form == _TAR:
            yield from self._of_tar(content, prefix, depth)
        elif form is not None:
            size = content.length if isinstance(content, Span) else 0
            pieces = content.pieces(0, size) if isinstance(content, Span) else content.pieces(_ALL)
            stream = Stream(inflated(pieces, form, self._count.add_bytes))
            if format_of(stream.peek(_GLANCE)) == _TAR:
                yield from self._of_tar(stream, prefix, depth)
                stream.skip(_ALL)  # its checksum stands at its end
            else:
                name = _without_ending((prefix.removesuffix(SEPARATOR) or self._path).rpartition(os.sep)[2])
                yield from self._member(name.rpartition(SEPARATOR)[2], size, stream, prefix, depth)

    def _of_zip(self, archive: Span, prefix: str, depth: int) -> Iterator[Found]:
        for entry in zip.entries(archive):
            if entry.is_directory:
                continue
            reason = zip.obstacle(entry) or self._obstacle(entry.size)
            if reason is not None:
                yield self._unfit(entry.name, entry.size, prefix, reason)
                continue
            try:
                place = zip.place(archive, entry)
            except Damaged as damage:
                yield self._unfit(entry.name, entry.size, prefix, str(damage))
                continue
            if zip.is_stored(entry):
                self._count.add_bytes(entry.size)  # so that an archive cannot name its bytes without end
                yield from self._member(entry.name, entry.size, place, prefix, depth, entry.crc)
            else:
                unpack = partial(zip.unpacked, place, entry, self._count.add_bytes)
                yield from self._member(entry.name, entry.size, unpack, prefix, depth)

    def _of_tar(self, archive: Span | Stream, prefix: str, depth: int) -> Iterator[Found]:
        source = tar.SpanSource(archive) if isinstance(archive, Span) else archive
        for entry in tar.entries(source):
            reason = entry.obstacle or self._obstacle(entry.size)
            if reason is not None:
                yield self._unfit(entry.name, entry.size, prefix, reason)
            elif isinstance(archive, Span):
                if source.position + entry.size > archive.length:
                    yield self._unfit(entry.name, entry.size, prefix, CUT_OFF)
                else:
                    place = archive.part(source.position, entry.size)
                    yield from self._member(entry.name, entry.size, place, prefix, depth)
            else:
                yield from self._member(entry.name, entry.size, _Limited(archive, entry.size), prefix, depth)

    def _obstacle(self, size: int) -> str | None:
        """Why a member of this size is not read."""
        most = self._count.limits.file
        return f"{_TOO_LARGE} ({most} bytes)" if size > most else None

    def _member(
        self,
        name: str,
        size: int,
        content: Span | Stream | Callable[[], Iterator[bytes]],
        prefix: str,
        depth: int,
        crc: int | None = None,
    ) -> Iterator[Found]:
        """A regular file in an archive, or the members of the archive that it is."""
        self._count.add_member()
        name = self._count.unique(prefix + name)
        make = partial(MemberPath, self._path, name, size, self._mtime)
        try:
            if isinstance(content, Span):
                beginning = content.read(0, _GLANCE)
            else:
                stream = content if isinstance(content, Stream) else Stream(content())
                beginning = stream.peek(_GLANCE)
            if depth < _DEEPEST and format_of(beginning) is not None:
                inner = content if isinstance(content, Span) else stream
                yield from self._nested(inner, name, make, depth)
                return
        except (Damaged, NoLibrary) as reason:
            yield make(), str(reason)
            return
        if isinstance(content, Span):
            part = Part(content.container, content.start, content.length, content.version, crc)
            yield make(part, claim=content.keeps)
        elif isinstance(content, Stream):
            yield make(None, partial(_all_of, content, size), is_once=True)
        else:
            unpacked = UnpackedInThread(size, content)
            path = make(None, unpacked.pieces)
            path.start = unpacked.start
            yield path

    def _nested(self, archive: Span | Stream, name: str, make: Callable[[], MemberPath], depth: int) -> Iterator[Found]:
        is_empty = True
        try:
            for found in self.members(archive, f"{name}{SEPARATOR}", depth + 1):
                is_empty = False
                yield found
        except (Damaged, NoLibrary) as reason:
            yield make(), f"{_NOT_WHOLE}: {reason}"
        else:
            if is_empty:
                yield make(), _EMPTY

    def _unfit(self, name: str, size: int, prefix: str, reason: str) -> Found:
        self._count.add_member()
        return MemberPath(self._path, self._count.unique(prefix + name), size, self._mtime), reason


_TOO_LARGE = "it is larger than a file in an archive may be"


class _Limited(Stream):
    """The next bytes of a stream: a member of a tar."""

    def __init__(self, stream: Stream, size: int) -> None:
        super().__init__(stream.pieces(size))
        self.size = size


def _all_of(stream: Stream, size: int) -> Iterator[bytes]:
    """The bytes of a member that comes in a stream.

    Raises:
        Damaged: it is cut off.
    """
    yield from stream.pieces(_ALL)
    if isinstance(stream, _Limited) and stream.position < size:
        raise Damaged(CUT_OFF)


def _without_ending(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
