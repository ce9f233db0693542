"""Members of zip archives, by their central directory (APPNOTE.TXT 4.3 and 4.4).

Rules:

1. The central directory counts. It is read piece by piece, and so memory is flat however many members there are. Its
   size counts, and not the number of files: a wrong number is said at the end. So is another archive before this one.
2. Data descriptors tell nothing that the central directory does not.
3. A member that cannot be read is found all the same, with the reason. Damage of the central directory ends the
   archive.
4. Names are UTF-8 if their flag says so or if they are valid UTF-8; otherwise they are in code page 437. Bytes that are
   neither are kept as they are, as in names of files.
"""

from __future__ import annotations

import stat
from struct import Struct, error
from typing import TYPE_CHECKING

from asyncstore.discovery.inflating import inflated
from asyncstore.discovery.streams import CUT_OFF
from asyncstore.members import Damaged
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.discovery.streams import Span

BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
"""A member, an empty archive, and an archive in parts."""

_LOCAL = Struct("<4s22xHH")
_ENTRY = Struct("<4sBBHHH4xIIIHHHHHII")
_END = Struct("<4sHHHHIIH")
_END_64 = Struct("<4sQHHIIQQQQ")
_LOCATOR = Struct("<4sIQI")
_EXTRA = Struct("<HH")
_LONG = Struct("<Q")

_ENTRY_SIGNATURE = b"PK\x01\x02"
_MOST_COMMENT = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF
_PAGE = 1 << 20
"""Bytes of the central directory that are read at once: some ten thousand members."""
_MOST_ENTRY = _ENTRY.size + 3 * _MOST_COMMENT

_ENCRYPTED = 0x2041
"""Flags: the member, strongly, or the central directory."""
_UTF8 = 0x800
_ZIP64 = 0x0001
_UNIX = 3
"""The system that made the attributes of a member."""

_STORED = 0
_METHODS = {8: "deflate", 12: "bzip2", 93: "Zstandard", 95: "xz"}
_OTHER_METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 98: "PPMd", 99: "AES"}


class Entry(NamedTuple):
    """A member."""

    name: str
    size: int
    """Its bytes, unpacked."""
    offset: int
    """Of its local header, in the archive."""
    compressed: int
    """Its bytes in the archive."""
    method: int
    crc: int
    flags: int
    kind: int
    """Its type as in ``st_mode``; 0: not said, a file."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, which holds nothing."""
        return self.name.endswith("/") and not self.size


def entries(archive: Span) -> Iterator[Entry]:
    """The members, in the order of the central directory.

    Raises:
        Damaged: the archive cannot be read from here on.
    """
    try:
        start, size, number, shift = _directory(archive)
        yield from _entries(archive, start, size, number, shift)
        if shift:
            raise Damaged("another archive stands before it, which is not read")
    except error as problem:
        raise Damaged("it is damaged: its central directory ends too early") from problem


def _directory(archive: Span) -> tuple[int, int, int, int]:
    """Position, size and number of entries of the central directory, and what to add to all positions."""
    tail_start = max(archive.length - _END.size - _MOST_COMMENT, 0)
    tail = archive.read(tail_start, _END.size + _MOST_COMMENT)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise Damaged(f"{CUT_OFF}: its central directory is missing")
    _, disk, first_disk, _, number, size, start, _ = _END.unpack_from(tail, at)
    end = tail_start + at
    if disk not in (0, _MAX_16) or first_disk not in (0, _MAX_16):
        raise Damaged("it is one part of several, and the others are not read")
    locator = archive.read(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if locator.startswith(b"PK\x06\x07"):
        record = archive.read(_LOCATOR.unpack(locator)[2], _END_64.size)
        if not record.startswith(b"PK\x06\x06"):  # bytes stand before the archive
            record = archive.read(end - _LOCATOR.size - _END_64.size, _END_64.size)
        if not record.startswith(b"PK\x06\x06"):
            raise Damaged("it is damaged: its zip64 record is missing")
        *_, number, size, start = _END_64.unpack(record)
        end -= _LOCATOR.size + _END_64.size
    shift = end - size - start
    if shift < 0 or start + size > archive.length:
        raise Damaged("it is damaged: its central directory is not where it should be")
    if shift and not _is_entry(archive, start + shift) and _is_entry(archive, start):
        shift = 0  # other bytes stand before the end, not before the archive
    return start + shift, size, number, shift


def _is_entry(archive: Span, position: int) -> bool:
    return archive.read(position, len(_ENTRY_SIGNATURE)) == _ENTRY_SIGNATURE


def _entries(archive: Span, position: int, size: int, number: int, shift: int) -> Iterator[Entry]:
    end = position + size
    page, begin = b"", position
    found = 0
    while position < end:
        if len(page) - (position - begin) < _MOST_ENTRY and begin + len(page) < end:
            page, begin = archive.read(position, _PAGE), position
        if found == number and not page.startswith(_ENTRY_SIGNATURE, position - begin):
            break  # a digital signature
        entry, length = _entry(page, position - begin, shift)
        position += length
        if position > end:
            raise Damaged("it is damaged: its central directory ends too early")
        found += 1
        yield entry
    if (found - number) & _MAX_16:  # programs without zip64 write the last 16 bits of a greater number
        raise Damaged("it is damaged: its central directory holds another number of files than it says")


def _entry(page: bytes, at: int, shift: int) -> tuple[Entry, int]:
    signature, _, system, _, flags, method, crc, compressed, size, names, extras, comment, _, _, attributes, offset = (
        _ENTRY.unpack_from(page, at)
    )
    if signature != _ENTRY_SIGNATURE:
        raise Damaged("it is damaged: its central directory holds other bytes")
    at += _ENTRY.size
    name, extra = page[at : at + names], page[at + names : at + names + extras]
    if _MAX_32 in (size, compressed, offset):
        size, compressed, offset = _zip64(extra, size, compressed, offset)
    kind = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    entry = Entry(
        _decoded(name, is_utf8=bool(flags & _UTF8)), size, offset + shift, compressed, method, crc, flags, kind
    )
    return entry, _ENTRY.size + names + extras + comment


def _zip64(extra: bytes, *values: int) -> Iterator[int]:
    """The values, those of 32 bits that are full from the extra field (APPNOTE.TXT 4.5.3)."""
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == _ZIP64:
            for value in values:
                if value == _MAX_32:
                    yield _LONG.unpack_from(extra, at)[0]
                    at += _LONG.size
                else:
                    yield value
            return
        at += length
    yield from values


def _decoded(name: bytes, *, is_utf8: bool) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("utf-8", "surrogateescape") if is_utf8 else name.decode("cp437")


def obstacle(entry: Entry) -> str | None:
    """Why a member cannot be read; ``None``: it can be, as far as the central directory says."""
    if entry.kind in NOT_FILES:
        return NOT_FILES[entry.kind]
    if entry.flags & _ENCRYPTED or entry.method == 99:  # noqa: PLR2004 - AES of WinZip
        return "it is encrypted"
    if entry.method != _STORED and entry.method not in _METHODS:
        name = _OTHER_METHODS.get(entry.method, f"number {entry.method}")
        return f"it is compressed by a method that is not read here: {name}"
    if entry.method == _STORED and entry.size != entry.compressed:
        return "it is damaged: its sizes contradict each other"
    return None


NOT_FILES = {
    stat.S_IFLNK: "a symbolic link in an archive, which is not followed",
    stat.S_IFIFO: "not a regular file but a FIFO",
    stat.S_IFSOCK: "not a regular file but a socket",
    stat.S_IFCHR: "not a regular file but a character device",
    stat.S_IFBLK: "not a regular file but a block device",
}


def place(archive: Span, entry: Entry) -> Span:
    """The bytes of a member in the archive, compressed or not.

    Raises:
        Damaged: they are not there.
    """
    header = archive.read(entry.offset, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise Damaged("it is damaged: its local header is missing")
    _, names, extras = _LOCAL.unpack(header)
    start = entry.offset + _LOCAL.size + names + extras
    if start + entry.compressed > archive.length:
        raise Damaged(CUT_OFF)
    return archive.part(start, entry.compressed)


def is_stored(entry: Entry) -> bool:
    """Whether the bytes of a member are not compressed."""
    return entry.method == _STORED


def unpacked(place: Span, entry: Entry, count: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of a compressed member, checked.

    Raises:
        Damaged: they are not those that the archive promises.
        NoLibrary: the library for its compression is not installed.
    """
    from zlib import crc32

    crc = size = 0
    for piece in inflated(place.pieces(0, place.length), _METHODS[entry.method], count):
        crc = crc32(piece, crc)
        size += len(piece)
        if size > entry.size:
            raise Damaged("it is damaged: it unpacks to more bytes than the archive says")
        yield piece
    if size < entry.size:
        raise Damaged("it is damaged: it unpacks to fewer bytes than the archive says")
    if crc != entry.crc:
        raise Damaged(WRONG_CRC)


WRONG_CRC = "it is damaged: its CRC-32 is another one than the archive says"
