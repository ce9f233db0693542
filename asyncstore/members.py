"""Paths of files that are no files of their own: members of archives, and objects of remote stores.

Such a path is text like any other wherever it is shown: ``archive.zip!dir/file``, ``s3://bucket/dir/file``. Its
attributes say where its bytes are. Code that opens files or looks them up asks ``type(path) is str`` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEPARATOR = "!"
"""Between the path of an archive and the name of its member."""
STORE = "://"
"""In the URL of a remote store."""
SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "sftp", "ssh", "memory"})
"""Those of stores that can be read."""


class Part(NamedTuple):
    """Where a member lies: as it is, in a part of a container."""

    container: str
    """The path of a file, which other processes of this user can open too."""
    offset: int
    length: int
    version: tuple[int, ...] = ()
    """Device, inode, times of the last modification and change in nanoseconds, and size of the container; none if it is
    a file of ours."""
    crc: int | None = None
    """The CRC-32 of the member, if it has not been checked."""


class Claim(Protocol):
    """Holds what a member needs until it has ended."""

    def release(self) -> None:
        """The member has ended."""


class Damaged(Exception):
    """A member cannot be read; the message is the reason."""


class MemberPath(str):
    """The path of a member of an archive, or of an object of a remote store.

    Args:
        archive: the path of the archive as it was named, or the URL of the store.
        member: the name in it; if the member of an archive is an archive itself, then the names of both.
        size: its size in bytes; that of the archive if nothing else is known before it is unpacked.
        mtime: a number that differs if the member may have changed: the modification time of the archive in
            nanoseconds.
        part: where it lies; ``None``: it must be unpacked first, or cannot be read.
        unpack: yields its bytes. Raises :class:`Damaged` if they are not those that the archive promises.
        is_once: whether ``unpack`` may be called once only, and before the next member is asked for.
        claim: what the member needs until it has ended.

    Attributes:
        start: begins to fetch it, so that it can be unpacked later without waiting; returns how many bytes that will
            hold. ``None``: there is nothing to fetch.
        deliveries: how many deliveries of this member have not ended.
        is_listed: whether the walk lists its archive; otherwise the member was named.
    """

    __slots__ = (
        "_claim",
        "archive",
        "deliveries",
        "is_listed",
        "is_once",
        "member",
        "mtime",
        "part",
        "size",
        "start",
        "unpack",
    )

    def __new__(
        cls,
        archive: str,
        member: str,
        size: int = 0,
        mtime: int = 0,
        part: Part | None = None,
        unpack: Callable[[], Iterator[bytes]] | None = None,
        *,
        is_once: bool = False,
        claim: Claim | None = None,
    ) -> Self:
        """Make the path of a member."""
        path = super().__new__(cls, shown(archive, member))
        path.archive, path.member, path.size, path.mtime = archive, member, size, mtime
        path.part, path.unpack, path.is_once = part, unpack, is_once
        path.start = None
        path._claim = claim
        path.deliveries = 1
        path.is_listed = False
        return path

    archive: str
    member: str
    size: int
    mtime: int
    part: Part | None
    unpack: Callable[[], Iterator[bytes]] | None
    is_once: bool
    start: Callable[[], int] | None
    _claim: Claim | None
    deliveries: int
    is_listed: bool

    def again(self) -> Self:
        """The same member, for another delivery."""
        path = type(self)(
            self.archive,
            self.member,
            self.size,
            self.mtime,
            self.part,
            self.unpack,
            is_once=self.is_once,
            claim=self._claim,
        )
        path.start = self.start
        return path

    def hold(self, claim: Claim) -> None:
        """Hold what the member needs, until its last delivery has ended."""
        self._claim = claim

    def release(self) -> None:
        """One delivery has ended; after the last one nothing is held any more."""
        self.deliveries -= 1
        if self.deliveries <= 0:
            claim, self._claim, self.unpack, self.start = self._claim, None, None, None
            if claim is not None:
                claim.release()


def is_url(text: str) -> bool:
    """Whether this names an object, or a prefix, of a remote store."""
    return STORE in text and text.partition(STORE)[0] in SCHEMES


def path_in(archive: str, member: str | None) -> str:
    """The path of a member, or of a file that is none, as journals name them."""
    return archive if member is None else MemberPath(archive, member)


def place_of(path: str) -> tuple[str, str | None]:
    """The opposite: the archive and the name in it."""
    return (path.archive, path.member) if isinstance(path, MemberPath) else (path, None)


def shown(archive: str, member: str) -> str:
    """How a member is shown."""
    return f"{archive}/{member}" if STORE in archive else f"{archive}{SEPARATOR}{member}"
