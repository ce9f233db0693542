"""Files, opened for reading; and whether a file is still the one that was looked into.

Rules:

1. Nothing that was a file when it was found may block now, as a FIFO would.
2. What is read of a file after the probe must come from the same file, unchanged: device, inode, size and the times of
   the last modification and change are compared. A new name, another link or other permissions change the last of
   them too; they cannot be told from new bytes with the old times, so such a file is not sent either.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import FileVersion, Instance

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NOT_NOW = (errno.EAGAIN, errno.EMFILE, errno.ENFILE)
"""Somebody holds a lease on the file, as Samba does for its clients (fcntl(2)), or descriptors are short."""
_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to open a file that cannot be opened just now."""

SIZE_CHANGED = "its size has changed since it was found"
_EXCHANGED = "it was exchanged since it was found: another file has its name now"
_CHANGED = "it was changed since it was found (its content, its name, its links or its permissions)"


class FileChanged(Exception):
    """The file is not the one that was looked into; the message says what shows it."""


def opened_at_once(path: str) -> int:
    """A descriptor of this file.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, _FLAGS)


def opened(path: str) -> int:
    """A descriptor of this file; blocks for some seconds where it cannot be opened just now.

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


def opened_unchanged(instance: Instance, open_file: Callable[[str], int] = opened) -> int:
    """A descriptor of an instance's file, which is still the one that was looked into.

    Args:
        instance: an instance whose data set lies in a file.
        open_file: how to open it.

    Raises:
        OSError: it cannot be opened.
        FileChanged: it is another file now, or was changed.
    """
    descriptor = open_file(instance.path)
    try:
        _compare(instance, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def version_of(status: os.stat_result) -> FileVersion:
    """What to remember of a file, besides its size, to know it again."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _compare(instance: Instance, status: os.stat_result) -> None:
    if status.st_size != instance.offset + instance.length:
        raise FileChanged(SIZE_CHANGED)
    version = instance.version
    if version is not None and version != version_of(status):
        raise FileChanged(_CHANGED if version[:2] == (status.st_dev, status.st_ino) else _EXCHANGED)
