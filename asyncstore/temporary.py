"""Temporary folders that the next run removes if their own run is killed.

Rules:

1. A run holds a lock on a file in its folder. The system drops it when the process ends, however it ends.
2. That file gets its name when it is locked: no other run ever finds it unlocked while this one lives.
3. Removed are only real folders of this user, with our name and that file in them. A folder whose lock is held, and one
   that a user asked to keep, is left alone.
4. Windows has no such locks: nothing is removed there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".asyncstore-lock"
_NEW_LOCK = ".asyncstore-lock-new"


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder whose name begins with ``prefix``, for this run. Folders that killed runs left are removed first.

    Raises:
        OSError: it cannot be made.
    """
    remove_left(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    lock = _lock_new(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_left(prefix: str) -> None:
    """Remove the folders with this prefix that killed runs of this user left."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(folder: Path) -> None:
    """Remove a folder, if it is this user's and its run has ended.

    Raises:
        OSError: its run lives, or it cannot be removed.
    """
    if sys.platform == "win32" or folder.lstat().st_uid != os.geteuid():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(lock)
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _lock_new(folder: Path) -> int | None:
    """Make and lock the file of a new folder; ``None`` where there are no locks."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder / _NEW_LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # a file system without locks: then its folder gets no lock file and is never removed
        _lock(descriptor)
        (folder / _NEW_LOCK).rename(folder / _LOCK)
    return descriptor


def _lock(descriptor: int) -> None:
    """Lock a file at once.

    Raises:
        OSError: another process has it.
    """
    if sys.platform != "win32":
        import fcntl  # Windows has no such module

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
