"""Files without a name for converted data sets that are too large for a pipe.

Such a file vanishes with the last process that has it open.

Rules:

1. A worker process creates a file, removes its name at once, and only then writes to it. So no patient's data stays on
   the disk, even if processes are killed. Its answer names the file as ``/proc/PID/fd/N``.
2. The main process opens that and reads from its own descriptor, ``/proc/self/fd/N``. The worker holds the file until
   its next order, which comes only after the main process has opened the last one.
3. On a system without ``/proc`` a file keeps its name until it has been read. Then it lies in a folder of its run; if
   that is killed, the next run removes the folder.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.prepare.files import opened

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = "/proc/self/fd"
_IS_NAMELESS = os.path.isdir(_OURS)

_held: list[int] = []
"""Descriptors that this process, a worker, holds until the main process has opened them."""


def needs_names() -> bool:
    """Whether files keep their names until they have been read (rule 3)."""
    return not _IS_NAMELESS


def write(chunks: Iterable[bytes | bytearray | memoryview], folder: str) -> tuple[str, int]:
    """Write bytes to a file; a path at which the main process can open it, and how many bytes it has.

    The file is gone if ``chunks`` fail.

    Raises:
        OSError: it cannot be written.
    """
    path, descriptor = _new(folder)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(chunks)
            length = file.tell()
    except BaseException:
        os.close(descriptor)
        if not _IS_NAMELESS:
            os.unlink(path)
        raise
    if not _IS_NAMELESS:
        os.close(descriptor)
        return path, length
    _held.append(descriptor)
    return f"/proc/{os.getpid()}/fd/{descriptor}", length


def _new(folder: str) -> tuple[str, int]:
    """Make a file; its path, which is gone already where files need no names, and its descriptor."""
    if _IS_NAMELESS and hasattr(os, "O_TMPFILE"):
        with suppress(OSError):  # not every file system knows files that never had a name
            return "", os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    path = os.path.join(folder, f"asyncstore-{os.urandom(12).hex()}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    if _IS_NAMELESS:
        os.unlink(path)
    return path, descriptor


def close_written() -> None:
    """Close the files that this process wrote: the main process has opened them."""
    while _held:
        os.close(_held.pop())


def take(path: str) -> str:
    """Open a file that a worker wrote; returns a path of this process.

    Raises:
        OSError: it cannot be opened.
    """
    return f"{_OURS}/{opened(path)}" if _IS_NAMELESS else path


def drop(paths: Iterable[str]) -> None:
    """Close, or remove, files that nobody will read any more."""
    for path in paths:
        with suppress(OSError):  # the file is gone already
            if _IS_NAMELESS:
                os.close(int(path.rpartition("/")[2]))
            else:
                os.unlink(path)
