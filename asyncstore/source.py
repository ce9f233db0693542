"""Where files come from: trees, lists of names, single files.

Rules:

1. The walk is sorted by name within each directory and streams: memory holds the names in the directories on the way
   down, and for rule 2 the identity of every directory walked (a quarter of a kilobyte); of files walked, nothing.
2. A directory is walked once, by whatever name it is reached first; so loops of symbolic links end.
3. Only regular files are opened, later, by others. FIFOs, devices and sockets are never opened; they, broken links,
   and directories that cannot be listed come out as :class:`~asyncstore.model.Unsendable`, so nothing is passed over
   in silence.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from itertools import count
from typing import IO, TYPE_CHECKING, NamedTuple

from asyncstore.model import SourceFile, Unsendable
from asyncstore.renaming import is_done, without_ending
from asyncstore.wildcard import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class WalkOptions(NamedTuple):
    """How directories among the paths are treated.

    Attributes:
        directories: whether directories are walked at all; where not, a directory is unsendable.
        recurse: whether directories within directories are walked; where not, they are passed over, as their owner
            asked.
        pattern: a wildcard pattern (:mod:`asyncstore.wildcard`) that names of files found in directories must match;
            files named themselves need not. The empty one matches every name, as with storescu.
        repeat: how many times each file is delivered, in a row.
        resume: whether names tell what became of files before (:mod:`asyncstore.renaming`): what is done is passed
            over in directories, and the pattern is for the name without the ending.
    """

    directories: bool = True
    recurse: bool = True
    pattern: str | None = None
    repeat: int = 1
    resume: bool = False


_DEFAULTS = WalkOptions()
_PATH_MAX = 4096 if os.name == "posix" else 1 << 17
"""Bytes of a path at most: Linux's PATH_MAX, which is the longest of POSIX systems; Windows has 32 767 characters."""
_MOST_EMPTY = 1 << 20
"""Empty names in a row; there are none in real lists."""


Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One path or many; a text is one, not the letters it has."""


def walk(paths: Paths, options: WalkOptions = _DEFAULTS) -> Iterator[SourceFile | Unsendable]:
    """Every file of ``paths``, which may be files and directories, in their order; their ordinals count from 1.

    It reads directories and is therefore to be consumed in a thread.
    """
    visited: set[tuple[int, int]] = set()
    ordinals = count(1)
    for path in (paths,) if isinstance(paths, str | os.PathLike) else paths:
        for found in _expand(os.fsdecode(path), options, visited, ordinals):
            yield found
            if options.repeat > 1 and isinstance(found, SourceFile):
                for _ in range(options.repeat - 1):
                    yield SourceFile(found.path, next(ordinals))


def files_from(stream: IO[bytes], *, null: bool = False) -> Iterator[str]:
    """The names a list holds, one a line; with ``null``, ended by NUL bytes instead, so that names may hold newlines.

    Names are taken byte for byte; empty ones are passed over. Lines may begin with a byte order mark, as Windows
    writes it.

    Raises:
        OSError: it cannot be read, or is no list of names: a device that never ends must not keep a run busy.
    """
    names = _pieces(stream, b"\0" if null else b"\n")
    if not null:
        names = _as_lines(names)
    idle = 0
    for name in names:
        if len(name) > _PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, f"a name in it is longer than {_PATH_MAX} bytes, which no path is")
        if name:
            yield os.fsdecode(name)
        idle = 0 if name else idle + 1
        if idle > _MOST_EMPTY:
            raise OSError(errno.EINVAL, f"{_MOST_EMPTY} empty names stand in a row: is it a list of names?")


def _pieces(stream: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """What stands between separators; of what is longer than any path a part, with which reading ends."""
    rest = b""
    while block := stream.read(1 << 16):
        *pieces, rest = (rest + block).split(separator)
        yield from pieces
        if len(rest) > _PATH_MAX:
            break
    yield rest


def _as_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The names in lines, without a carriage return at their ends and the byte order mark at the beginning.

    Raises:
        OSError: it is UTF-16.
    """
    first = next(pieces)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\0" in first:
        raise OSError(errno.EILSEQ, "it is UTF-16: write it in UTF-8")
    yield first.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
    for piece in pieces:
        yield piece.removesuffix(b"\r")


def _expand(
    path: str, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    try:
        status = os.stat(path)  # noqa: PTH116 - paths are str throughout: Path costs more than the call
    except (OSError, ValueError) as error:
        yield Unsendable(path, _unreachable(path, error), next(ordinals))
        return
    if not stat.S_ISDIR(status.st_mode):
        if stat.S_ISREG(status.st_mode):
            yield SourceFile(path, next(ordinals))
        else:
            yield Unsendable(path, _special(status.st_mode), next(ordinals))
    elif options.directories:
        yield from _tree(path, status, options, visited, ordinals)
    else:
        yield Unsendable(path, "it is a directory", next(ordinals))


def _tree(
    top: str, status: os.stat_result, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    """The tree below ``top``, depth first, without recursion: a tree may be deeper than Python's stack."""
    pending = [_listing(top, status, options, visited, ordinals)]
    while pending:
        for found in pending[-1]:
            if isinstance(found, str):
                try:
                    below = os.stat(found)  # noqa: PTH116 - see above
                except OSError as error:
                    yield Unsendable(found, _unreachable(found, error), next(ordinals))
                    continue
                pending.append(_listing(found, below, options, visited, ordinals))
                break
            yield found
        else:
            pending.pop()


def _listing(
    directory: str, status: os.stat_result, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable | str]:
    """The entries of one directory, sorted; the name of a directory to descend into comes out as a plain string."""
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return
    visited.add(identity)
    try:
        names, others = _sorted_names(directory)
    except OSError as error:
        yield Unsendable(directory, f"the directory cannot be listed: {error.strerror}", next(ordinals))
        return
    prefix = os.path.join(directory, "")  # noqa: PTH118 - see above
    matches = matcher(options.pattern) if options.pattern else None
    names.reverse()
    while names:
        name = names.pop()
        mode = others.get(name, stat.S_IFREG)
        if stat.S_ISDIR(mode):
            if options.recurse:
                yield prefix + name
        elif _is_passed_over(name, matches, resume=options.resume):
            continue
        elif stat.S_ISREG(mode):
            yield SourceFile(prefix + name, next(ordinals))
        elif mode:
            yield Unsendable(prefix + name, _special(mode), next(ordinals))
        else:
            yield Unsendable(prefix + name, _why_unreachable(prefix + name), next(ordinals))


def _is_passed_over(name: str, matches: Callable[[str], bool] | None, *, resume: bool) -> bool:
    """Whether a file in a directory is not asked for: done before, or of a name that does not match."""
    if resume:
        return is_done(name) or (matches is not None and not matches(without_ending(name)))
    return matches is not None and not matches(name)


def _sorted_names(directory: str) -> tuple[list[str], dict[str, int]]:
    """The names in ``directory``, sorted, and the file type of those that are not regular files (0: unreachable).

    A directory may hold a million files: plain names take a quarter of the memory of ``os.DirEntry``.
    """
    names: list[str] = []
    others: dict[str, int] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            names.append(entry.name)
            try:
                if not entry.is_file():
                    others[entry.name] = stat.S_IFDIR if entry.is_dir() else entry.stat().st_mode
            except OSError:
                others[entry.name] = 0
    names.sort()
    return names, others


_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def _special(mode: int) -> str:
    return f"not a regular file but {_SPECIAL.get(stat.S_IFMT(mode), 'something special')}"


def _why_unreachable(path: str) -> str:
    try:
        os.stat(path)  # noqa: PTH116 - see above
    except OSError as error:
        return _unreachable(path, error)
    return "it could not be reached when its directory was read"


def _unreachable(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114 - see above
        return "a symbolic link that leads nowhere"
    if isinstance(error, FileNotFoundError):
        return "no such file or directory"
    return f"cannot be reached: {error.strerror if isinstance(error, OSError) else error}"
