"""Where files come from: trees and single files.

Rules:

1. The walk streams, sorted by name within each directory. Memory holds the names in the directories on the way down
   and the identity of every directory walked (250 bytes, for rule 2), but nothing of the files walked.
2. A directory is walked once, by the first of its names. So loops of symbolic links end.
3. The walk opens no file unless it looks for archives, and FIFOs, devices and sockets are never opened. They, broken
   links, and directories that cannot be listed become :class:`~asyncstore.model.Unsendable`: nothing is skipped
   silently.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING, Protocol

from asyncstore.members import SEPARATOR, MemberPath
from asyncstore.model import SourceFile, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.renaming import is_done, name_now, without_ending
from asyncstore.wildcard import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.discovery.limits import ArchiveLimits


class WalkOptions(NamedTuple):
    """How to walk the paths.

    Attributes:
        directories: whether directories are walked; otherwise a directory is unsendable.
        recurse: whether directories within directories are walked; otherwise they are skipped.
        pattern: a wildcard pattern (:mod:`asyncstore.wildcard`) for the names of files in directories, but not for
            files among the paths themselves. The empty pattern matches every name, as with storescu.
        repeat: how many times each file is delivered, in a row.
        resume: whether files were renamed by an earlier run (:mod:`asyncstore.renaming`): done files in directories are
            skipped, and the pattern applies to the name without the ending. Paths may be the names before.
        archives: what an archive may hold; ``None``: archives are not opened, and so they are files like any other.
        ahead: how many bytes are unpacked, or fetched, ahead of sending.
        remote: whether a path may be the URL of a remote store.
        own_files: the real paths of the run's own files, which are passed over: if the database of its journal is
            opened once more and closed, SQLite loses its locks (https://sqlite.org/howtocorrupt.html, 2.2).
    """

    directories: bool = True
    recurse: bool = True
    pattern: str | None = None
    repeat: int = 1
    resume: bool = False
    archives: ArchiveLimits | None = None
    ahead: int = 1 << 28
    remote: bool = False
    own_files: frozenset[str] = frozenset()

    @property
    def has_members(self) -> bool:
        """Whether files may be found that are no files of their own."""
        return self.remote or self.archives is not None


_DEFAULTS = WalkOptions()
_FILES_ONLY = WalkOptions(directories=False)


Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str] | Unsendable]
"""One path or many; a str is one path. Files that must not be read may stand among them as unsendable."""


class Opener(Protocol):
    """Opens archives and remote stores; :class:`asyncstore.discovery.finding.Finder` says what each method means."""

    def with_members(
        self, found: Iterable[SourceFile | Unsendable], ordinals: Iterator[int], /
    ) -> Iterator[SourceFile | Unsendable]:
        """See there."""

    def named(self, text: str, found: Iterable[SourceFile | Unsendable], /) -> Iterator[SourceFile | Unsendable]:
        """See there."""

    def objects(
        self, text: str, options: WalkOptions, ordinals: Iterator[int], /
    ) -> Iterator[SourceFile | Unsendable] | None:
        """See there."""


def walk(
    paths: Paths, options: WalkOptions = _DEFAULTS, opener: Opener | None = None
) -> Iterator[SourceFile | Unsendable]:
    """Every file of ``paths``, which may be files and directories, in their order; their ordinals count from 1.

    It reads directories, which blocks: iterate it in a thread. The opener opens archives and remote stores
    as the options say; what it finds there must go through :func:`asyncstore.discovery.unpacking.unpacked`.
    """
    visited: set[tuple[int, int]] = set()
    ordinals = count(1)
    for path in (paths,) if isinstance(paths, str | os.PathLike) else paths:
        if isinstance(path, Unsendable):
            yield path._replace(file=SourceFile(path.path, next(ordinals)))
            continue
        text = os.fsdecode(path)
        objects = None if opener is None else opener.objects(text, options, ordinals)
        found = _expand(text, options, visited, ordinals) if objects is None else objects
        if opener is not None and objects is None:
            found = opener.with_members(found, ordinals) if os.path.lexists(text) else opener.named(text, found)
        yield from found if options.repeat == 1 else _repeated(found, options.repeat, ordinals)


NOT_OPENED = "a file in an archive, and archives are not opened"


def file_at(path: str, ordinal: int) -> SourceFile | Unsendable:
    """The file of this path; directories cannot be sent, nor can members of archives without a finder."""
    if isinstance(path, MemberPath):
        return Unsendable(SourceFile(path, ordinal), NOT_OPENED)
    [found] = _expand(path, _FILES_ONLY, set(), iter((ordinal,)))
    return found


def archive_in(text: str) -> str | None:
    """The path of the archive in the shown name of a member, which may be missing; ``None``: it names none."""
    from asyncstore.discovery.archives import is_archive  # few names lead nowhere

    archive = ""
    for piece in text.split(SEPARATOR)[:-1]:
        archive = f"{archive}{SEPARATOR}{piece}" if archive else piece
        if os.path.isfile(archive) and is_archive(archive):
            return archive
    return None


def _repeated(
    found: Iterable[SourceFile | Unsendable], times: int, ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    """Each file so many times, in a row; an unsendable one once."""
    for file in found:
        if isinstance(file.path, MemberPath) and isinstance(file, SourceFile):
            file.path.deliveries = times
        yield file
        if isinstance(file, SourceFile):
            for _ in range(times - 1):
                yield SourceFile(file.path, next(ordinals))


def _expand(
    path: str, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        now = name_now(path) if options.resume and isinstance(error, FileNotFoundError) else None
        if now is None:
            yield Unsendable(SourceFile(path, next(ordinals)), _unreachable(path, error))
        elif not is_done(now):
            yield from _expand(now, options, visited, ordinals)
        return
    if not stat.S_ISDIR(status.st_mode):
        if _is_own(path, options):
            return
        if stat.S_ISREG(status.st_mode):
            yield SourceFile(path, next(ordinals))
        else:
            yield Unsendable(SourceFile(path, next(ordinals)), _special(status.st_mode))
    elif options.directories:
        yield from _tree(path, status, options, visited, ordinals)
    else:
        yield Unsendable(SourceFile(path, next(ordinals)), "it is a directory")


def _tree(
    top: str, status: os.stat_result, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable]:
    """The tree below ``top``, depth first. No recursion: a tree may be deeper than Python's stack."""
    pending = [_listing(top, status, options, visited, ordinals)]
    while pending:
        for found in pending[-1]:
            if isinstance(found, str):
                try:
                    below = os.stat(found)
                except OSError as error:
                    yield Unsendable(SourceFile(found, next(ordinals)), _unreachable(found, error))
                    continue
                pending.append(_listing(found, below, options, visited, ordinals))
                break
            yield found
        else:
            pending.pop()


def _listing(
    directory: str, status: os.stat_result, options: WalkOptions, visited: set[tuple[int, int]], ordinals: Iterator[int]
) -> Iterator[SourceFile | Unsendable | str]:
    """The entries of one directory, sorted. A str is a directory to descend into."""
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return
    visited.add(identity)
    try:
        names, others = _sorted_names(directory, options)
    except OSError as error:
        yield Unsendable(SourceFile(directory, next(ordinals)), f"the directory cannot be listed: {error.strerror}")
        return
    prefix = os.path.join(directory, "")
    matches = matcher(options.pattern) if options.pattern else None
    is_filtered = matches is not None or options.resume
    new = tuple.__new__
    names.reverse()
    while names:
        name = names.pop()
        mode = others.get(name, stat.S_IFREG)
        if stat.S_ISDIR(mode):
            if options.recurse:
                yield prefix + name
        elif is_filtered and _is_passed_over(name, matches, resume=options.resume):
            continue
        elif stat.S_ISREG(mode):
            yield new(SourceFile, (prefix + name, next(ordinals)))  # its class takes twice as long
        elif mode:
            yield Unsendable(SourceFile(prefix + name, next(ordinals)), _special(mode))
        else:
            yield Unsendable(SourceFile(prefix + name, next(ordinals)), _why_unreachable(prefix + name))


def _is_own(path: str, options: WalkOptions) -> bool:
    """Whether this is a file of the run itself. To ask for the real path of every file would take too long."""
    name = os.path.join(os.sep, os.path.basename(path))
    return any(own.endswith(name) for own in options.own_files) and os.path.realpath(path) in options.own_files


def _is_passed_over(name: str, matches: Callable[[str], bool] | None, *, resume: bool) -> bool:
    """Whether a file in a directory is skipped: it is done, or its name does not match."""
    if resume:
        return is_done(name) or (matches is not None and not matches(without_ending(name)))
    return matches is not None and not matches(name)


def _sorted_names(directory: str, options: WalkOptions) -> tuple[list[str], dict[str, int]]:
    """The sorted names in ``directory``, and the file types of all but regular files (0: unreachable).

    Plain names take a quarter of the memory of ``os.DirEntry``: a directory may hold a million files.
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
    for own in options.own_files:
        place = bisect_left(names, os.path.basename(own))
        if place < len(names) and _is_own(os.path.join(directory, names[place]), options):
            del names[place]
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
        os.stat(path)
    except OSError as error:
        return _unreachable(path, error)
    return "it could not be reached when its directory was read"


def _unreachable(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        return "a symbolic link that leads nowhere"
    if isinstance(error, FileNotFoundError):
        return NOT_OPENED if SEPARATOR in path and archive_in(path) is not None else "no such file or directory"
    return f"cannot be reached: {error.strerror if isinstance(error, OSError) else error}"
