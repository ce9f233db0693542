"""Names of files in lists, which other programs write.

Rules:

1. A name is taken as soon as it is written: a list may be a pipe.
2. Names are bytes, and taken as they are. Empty ones are skipped.
3. What is no list of names ends soon, with a reason: a device, another encoding, another separator.
"""

from __future__ import annotations

import errno
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH_MAX = 4096 if os.name == "posix" else 1 << 17
"""The greatest length of a path in bytes: Linux's PATH_MAX is the largest of POSIX; Windows has 32 767 characters."""
_MOST_EMPTY = 1 << 20
"""Empty names in a row; real lists have none."""


class OtherSeparator(OSError):
    """A list separates its names in another way than was said.

    Attributes:
        is_null: whether NUL bytes separate them, and not line ends.
    """

    def __init__(self, *, is_null: bool) -> None:
        how = "NUL bytes separate its names" if is_null else "its names stand in lines, and no NUL byte ends them"
        super().__init__(errno.EINVAL, how)
        self.is_null = is_null


def files_from(stream: IO[bytes], *, null: bool = False) -> Iterator[str]:
    """The names in a list, one a line; with ``null`` a NUL byte ends each name, which may then hold newlines.

    A list of lines may begin with a byte order mark, as on Windows.

    Raises:
        OtherSeparator: it is a list of the other kind.
        OSError: it cannot be read, or is no list of names, such as a device that never ends.
    """
    names = _pieces(stream, b"\0") if null else _lines(_pieces(stream, b"\n"))
    idle = 0
    for name in names:
        if len(name) > _PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, f"a name in it is longer than {_PATH_MAX} bytes, the limit of paths")
        if name:
            yield os.fsdecode(name)
        idle = 0 if name else idle + 1
        if idle > _MOST_EMPTY:
            raise OSError(errno.EINVAL, f"{_MOST_EMPTY} empty names stand in a row: is it a list of names?")


def _pieces(stream: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """The pieces between separators. Reading ends after a piece that is longer than any path.

    Raises:
        OtherSeparator: there is no NUL byte, and the list holds lines.
    """
    rest = b""
    is_separated = False
    while block := stream.read(1 << 16):
        *pieces, rest = (rest + block).split(separator)
        is_separated = is_separated or bool(pieces)
        yield from pieces
        if len(rest) > _PATH_MAX:
            break
    if not is_separated and separator == b"\0" and b"\n" in rest and not os.path.lexists(rest):
        raise OtherSeparator(is_null=False)
    yield rest


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without the carriage returns of Windows, and without the byte order mark of the first.

    Raises:
        OtherSeparator: NUL bytes separate names in the first line.
        OSError: the list is UTF-16.
    """
    first = next(pieces)
    if b"\0" in first and first.strip(b"\0"):
        if first.startswith((b"\xff\xfe", b"\xfe\xff")) or not (any(first[::2]) and any(first[1::2])):
            raise OSError(errno.EILSEQ, "it is UTF-16: write it in UTF-8")
        raise OtherSeparator(is_null=True)
    yield first.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
    for piece in pieces:
        yield piece.removesuffix(b"\r")
