"""Where a journal may lie, and who may write to it.

Rules:

1. One run writes to a journal at a time. It holds a lock on a file beside it (``run.db-lock``), which the system drops
   when the process ends, however it ends. The lock file holds the number of the process, for the message of the
   second run.
2. The lock file is removed by the run that made it, while it holds the lock. A run that locked a file that was just
   removed tries again, so two runs never hold locks on two files of one name.
3. A journal does not lie on a network file system: locks and the shared memory of the write-ahead log cannot be relied
   on there.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from time import monotonic, sleep
from typing import Self

from asyncstore.errors import JournalInUse, JournalNotWritable, JournalOnNetwork

_OWNER_ONLY = 0o600
_MOUNTS = "/proc/self/mountinfo"
_ON_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "gpfs", "glusterfs", "lustre", "ncpfs"}
    | {"nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs"}
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs", "fuse.ntfs", "fuse.ntfs-3g"})
"""File systems in user space that keep their files on this machine; the others are sshfs, rclone, s3fs and the like."""
_DIGITS = 20
_PATIENCE = 0.1
"""Seconds to wait for the lock: :func:`is_held` has it for a moment."""


def refuse_network(path: str, mounts: str = _MOUNTS) -> None:
    """Check the file system; where the system does not tell its type, nothing is refused.

    Raises:
        JournalOnNetwork: it is a network file system.
    """
    kind = file_system(path, mounts)
    if kind in _ON_NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE):
        raise JournalOnNetwork(path, kind)


def file_system(path: str, mounts: str = _MOUNTS) -> str:
    """The type of the file system that ``path`` lies on, as mount(8) names it; empty if it is not known."""
    try:
        with open(mounts, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    place = os.path.join(os.fsencode(os.path.realpath(path)), b"")
    longest, kind = -1, b""
    for line in lines:
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ")
        if len(fields) < 5 or not after:  # noqa: PLR2004 - proc(5): the fifth field is the mount point
            continue
        # A later mount on the same point hides the earlier one. Spaces are written as \040.
        point = os.path.join(fields[4].decode("latin-1").encode("latin-1").replace(b"\\040", b" "), b"")
        if place.startswith(point) and len(point) >= longest:
            longest, kind = len(point), after.split(b" ", 1)[0]
    return kind.decode("ascii", "replace")


def own_files(path: str) -> frozenset[str]:
    """The real paths of the journal at ``path`` and of the files that SQLite and a run keep beside it."""
    real = os.path.realpath(path)
    return frozenset(real + end for end in ("", "-wal", "-shm", "-lock", "-ctl"))


def is_held(path: str) -> bool:
    """Whether a run writes to the journal at ``path`` now; ``False`` also if nobody can tell."""
    try:
        descriptor = os.open(os.path.realpath(path) + "-lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        _lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)  # gives up the lock, if it was free
    return False


class Lock:
    """The right to write to the journal at ``path``."""

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path) + "-lock"
        self._descriptor = self._acquire(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write. Releasing twice is allowed."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, journal: str) -> int:
        """Open and lock the file.

        Raises:
            JournalInUse: another run has it.
            JournalNotWritable: it cannot be opened.
        """
        deadline = monotonic() + _PATIENCE
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
            except (OSError, ValueError) as error:
                cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
                raise JournalNotWritable(journal, cause) from None
            try:
                _lock(descriptor)
            except OSError:
                if monotonic() < deadline:
                    os.close(descriptor)
                    sleep(_PATIENCE / 10)
                    continue
                number = b""
                with suppress(OSError):  # Windows locks the contents as well
                    number = os.read(descriptor, _DIGITS)
                os.close(descriptor)
                raise JournalInUse(journal, int(number) if number.isdigit() else None) from None
            if self._is_still_there(descriptor):
                os.ftruncate(descriptor, 0)
                with suppress(OSError):  # it only tells others who we are: of a full disk SQLite will complain
                    os.write(descriptor, str(os.getpid()).encode())
                return descriptor
            os.close(descriptor)

    def _is_still_there(self, descriptor: int) -> bool:
        """Whether the locked file still has its name (rule 2)."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _lock(descriptor: int) -> None:
    """Lock the file or raise OSError. The lock belongs to the open file, and child processes do not inherit that."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # not on Windows

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
