"""Open files for reading, and check that they have not changed since the probe.

Rules:

1. Opening does not hang if a FIFO has taken the file's place.
2. After the probe a file must be the same and unchanged: device, inode, size and the times of the last modification
   and status change are compared. A rename, a new link or new permissions set the last of these times too. They look
   like new bytes with an old modification time, so such a file is not sent.
"""

from __future__ import annotations

import errno
import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import FileVersion, Payload

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NOT_NOW = (errno.EAGAIN, errno.EMFILE, errno.ENFILE)
"""Errors that pass: another process holds a lease on the file, as Samba does (fcntl(2)), or descriptors are short."""
_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts after such an error."""

_MEMORY = (b"tmpfs", b"ramfs")

SIZE_CHANGED = "its size has changed since it was found"
_EXCHANGED = "it was exchanged since it was found: another file has its name now"
_CHANGED = "it was changed since it was found (its content, its name, its links or its permissions)"


class FileChanged(Exception):
    """The file is not the one that was probed; the message says what differs."""


def opened_at_once(path: str) -> int:
    """Open a file without retrying; returns a descriptor.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, _FLAGS)


def opened(path: str) -> int:
    """Open a file and return a descriptor; retries for some seconds after an error that may pass.

    Raises:
        OSError: it cannot be opened.
    """
    for pause in _PAUSES:
        try:
            return os.open(path, _FLAGS)
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
        time.sleep(pause)
    return os.open(path, _FLAGS)


def opened_unchanged(payload: Payload, open_file: Callable[[str], int] = opened) -> int:
    """Open a container and check that it has not changed since the probe; returns a descriptor.

    Args:
        payload: a data set in a file.
        open_file: opens it.

    Raises:
        OSError: it cannot be opened.
        FileChanged: it is another file now, or was changed.
    """
    descriptor = open_file(payload.container)
    try:
        check_unchanged(payload, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class Window(int):
    """The descriptor of a file of which only a part is seen, for :func:`read_at`."""

    def __new__(cls, descriptor: int, start: int, length: int) -> Self:
        """Show ``length`` bytes from ``start`` on."""
        window = super().__new__(cls, descriptor)
        window.start, window.length = start, length
        return window

    start: int
    length: int


def read_at(descriptor: int, position: int, count: int) -> bytes:
    """Up to ``count`` bytes of a file from ``position`` on; not all systems have ``os.pread``."""
    if isinstance(descriptor, Window):
        count = max(min(count, descriptor.length - position), 0)
        position += descriptor.start
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, count)


@lru_cache
def is_memory(device: int) -> bool:
    """Whether this device is a file system in memory: it has no disk to wait for, and no page cache to ask."""
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            lines = [line.split() for line in mounts]
    except OSError:
        return False
    number = b"%d:%d" % (os.major(device), os.minor(device))
    return any(line[2] == number and line[line.index(b"-") + 1] in _MEMORY for line in lines)


def version_of(status: os.stat_result) -> FileVersion:
    """Device, inode, and times of the last modification and status change."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _is_part(payload: Payload, size: int) -> bool:
    """Whether a data set ends before its container does, which has as many bytes as it should."""
    version = payload.version
    if version == ():  # a file of ours, which may be growing
        return size > payload.offset + payload.length - len(payload.head)
    return version is not None and version[4:] == (size,)


def check_unchanged(payload: Payload, status: os.stat_result) -> None:
    """Compare a file with its state at the probe.

    Raises:
        FileChanged: it is another file now, or was changed.
    """
    version = payload.version
    if status.st_size != payload.offset + payload.length - len(payload.head) and not _is_part(payload, status.st_size):
        raise FileChanged(SIZE_CHANGED)
    if version and version[:4] != version_of(status):
        raise FileChanged(_CHANGED if version[:2] == (status.st_dev, status.st_ino) else _EXCHANGED)
