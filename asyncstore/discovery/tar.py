"""Members of tar archives: ustar, GNU and pax (POSIX.1 pax, "ustar Interchange Format").

Rules:

1. Headers are read one after the other, from a part of a file or from a stream. Nothing is skipped silently: damage
   ends the archive with a reason.
2. An archive without an end mark, two blocks of zeros or at least one, may be cut off, and that is said. Behind the
   mark another archive may follow, as ``cat`` joins them; other bytes there are passed over.
3. Links, devices and sparse files are found, with the reason why they are not read. Directories are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.discovery.streams import CUT_OFF, Stream
from asyncstore.members import Damaged
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.discovery.streams import Span

BLOCK = 512
_MOST_PADDING = 1 << 11
"""Empty blocks behind an end mark: tar fills up records of 20 blocks, and up to this many if asked to."""
_MOST_TEXT = 1 << 20
"""Bytes of a long name, or of a pax header."""

_MOST_DIGITS = 20
"""Of a size in a pax header: as many as 64 bits have."""

_SEVEN_BITS = bytes(range(128))
"""All others are negative as signed bytes."""

_FILES = (b"0", b"\0", b"7")
_NOT_FILES = {
    b"1": "a hard link in an archive, which is not followed",
    b"2": "a symbolic link in an archive, which is not followed",
    b"3": "not a regular file but a character device",
    b"4": "not a regular file but a block device",
    b"6": "not a regular file but a FIFO",
    b"M": "the rest of a file from another part of the archive",
    b"S": "a sparse file, which is not read from archives",
}
_PASSED_OVER = (b"5", b"D", b"V")
"""Directories, lists of their names, and the label of the archive."""
_BEFORE = (b"L", b"K", b"x", b"g")
"""These headers tell something about the next member."""
_WITHOUT_BYTES = (b"1", b"2", b"3", b"4", b"5", b"6")
"""No bytes follow the headers of these, whatever they say."""
_IS_LONGER, _IS_LONGER_STILL = 482, 504
"""Where the header of a sparse file, and the block behind it, say that another one follows."""
_NAME, _SIZE, _SPARSE = "path", "size", "GNU.sparse."


class Entry(NamedTuple):
    """A member."""

    name: str
    size: int
    obstacle: str | None
    """Why it cannot be read."""


class SpanSource:
    """Blocks of a part of a file; skipping costs nothing."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.position = 0

    def read(self, count: int, /) -> bytes:
        """The next bytes."""
        data = self._span.read(self.position, count)
        self.position += len(data)
        return data

    def skip(self, count: int, /) -> int:
        """Pass over bytes; returns how many there were."""
        skipped = min(count, self._span.length - self.position)
        self.position += skipped
        return skipped


Source = SpanSource | Stream
"""Blocks of an archive, in order."""


def is_header(block: bytes) -> bool:
    """Whether this block is the header of a member: it begins a tar archive."""
    if len(block) < BLOCK or not block[0]:
        return False
    try:
        said = _number(block[148:156])
    except ValueError:
        return False
    return said in _sums(block)


def _sums(block: bytes) -> tuple[int, int]:
    """The checksum, of unsigned bytes and, as old programs made it, of signed ones."""
    rest = block[:148] + b" " * 8 + block[156:BLOCK]
    unsigned = sum(rest)
    return unsigned, unsigned - 256 * len(rest.translate(None, _SEVEN_BITS))


class _ExtendedHeaders:
    """What the headers before the header of a member say about it."""

    def __init__(self) -> None:
        self._everywhere: dict[str, str] = {}
        self._here: dict[str, str] = {}
        self._name: str | None = None

    def take(self, kind: bytes, text: bytes) -> None:
        """Take such a header."""
        if kind == b"L":
            self._name = _decoded(text.rstrip(b"\0"))
        elif kind == b"x":
            self._here = _pax(text)
        elif kind == b"g":
            self._everywhere |= _pax(text)

    def entry(self, kind: bytes, size: int, block: bytes) -> Entry:
        """The member after them."""
        known = self._everywhere | self._here
        name = known.get(_NAME) or self._name or _name(block)
        self._here, self._name = {}, None
        obstacle = None if kind in _FILES else _NOT_FILES.get(kind, "not a regular file but something special")
        if any(key.startswith(_SPARSE) for key in known):
            obstacle = _NOT_FILES[b"S"]
        return Entry(name, _size(known.get(_SIZE), size), obstacle)


def entries(source: Source) -> Iterator[Entry]:
    """The members. When one is taken, the source stands at its first byte; the caller may read some of it.

    Raises:
        Damaged: the archive cannot be read from here on.
    """
    extended = _ExtendedHeaders()
    while True:
        block = source.read(BLOCK)
        if len(block) < BLOCK:
            raise Damaged(f"{CUT_OFF} within a header" if block else f"{CUT_OFF}: it has no end mark")
        if not block.strip(b"\0"):
            block = _behind_end_mark(source)
            if not is_header(block):
                return
        kind, size = _checked(block)
        if kind in _BEFORE:
            extended.take(kind, _text(source, size))
            continue
        entry = extended.entry(kind, size, block)
        if kind == b"S" and block[_IS_LONGER]:
            _skip_map(source)
        start = source.position
        is_directory = kind in _PASSED_OVER or (kind in _FILES and entry.name.endswith("/") and not entry.size)
        if not is_directory:
            yield entry
        if kind not in _WITHOUT_BYTES:
            source.skip(start + entry.size + -entry.size % BLOCK - source.position)
            if source.position < start + entry.size:
                raise Damaged(f"{CUT_OFF} within its last file")


def _behind_end_mark(source: Source) -> bytes:
    """The first block behind an end mark that is not empty; no bytes if there is none soon."""
    for _ in range(_MOST_PADDING):
        block = source.read(BLOCK)
        if len(block) < BLOCK:
            break
        if block.strip(b"\0"):
            return block
    return b""


def _skip_map(source: Source) -> None:
    """Pass over the rest of the map of a sparse file."""
    while (block := source.read(BLOCK)) and len(block) == BLOCK and block[_IS_LONGER_STILL]:
        pass


def _checked(block: bytes) -> tuple[bytes, int]:
    """The type and the size in a header."""
    try:
        if _number(block[148:156]) in _sums(block):
            return block[156:157], _number(block[124:136])
    except ValueError:
        pass
    raise Damaged("it is damaged: a header has another checksum")


def _number(field: bytes) -> int:
    """A number: octal digits, or binary after a byte of 128 (GNU).

    Raises:
        ValueError: it is none.
    """
    if field[0] == 0x80:  # noqa: PLR2004 - GNU's mark
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip() or b"0"
    if not digits.isdigit():  # a sign would let a size lead backwards
        raise ValueError("not a number")
    return int(digits, 8)


def _size(said: str | None, size: int) -> int:
    if said is None:
        return size
    if not (said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS):
        raise Damaged("it is damaged: a size is no number")
    return int(said)


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _decoded(prefix + b"/" + name if prefix else name)


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _text(source: Source, size: int) -> bytes:
    if size > _MOST_TEXT:
        raise Damaged("it is damaged: a name is too long")
    text = source.read(size)
    padding = -size % BLOCK
    if len(text) < size or source.skip(padding) < padding:
        raise Damaged(f"{CUT_OFF} within a header")
    return text


def _pax(text: bytes) -> dict[str, str]:
    """The records of a pax header that count here. Each is ``LENGTH KEY=VALUE`` and a newline."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        digits, _, _ = text[position : position + _MOST_DIGITS].partition(b" ")
        end = position + (int(digits) if digits.isdigit() else 0)
        if not position + len(digits) < end <= len(text):
            raise Damaged("it is damaged: a pax header cannot be read")
        record, position = text[position + len(digits) + 1 : end - 1], end
        key, _, value = record.partition(b"=")
        name = _decoded(key)
        if name in (_NAME, _SIZE) or name.startswith(_SPARSE):
            found[name] = _decoded(value)
    return found
