"""Where the control socket of a journal lies, and how to reach it.

Rules:

1. The socket of ``run.db`` is ``run.db-ctl``. Only the owner may connect (0600). It is bound in a new folder that only
   the owner may enter (0700), and gets its name when it has its mode: so no other user can ever connect.
2. A socket that a killed run left is replaced. A socket at which somebody answers never is, nor is any other file.
3. The address of a Unix socket has at most 107 bytes (unix(7)). Linux reaches longer paths through ``/proc/self/fd``.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from asyncstore.errors import ControlFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = "-ctl"
_LONGEST = 103
"""Bytes of an address: macOS allows the fewest."""
_OWNER_ONLY = 0o600
_FOLDER_MODE = 0o700
_PATIENCE = 1.0
"""Seconds to wait for an answer from a socket that lies there already."""


def is_supported() -> bool:
    """Whether this system has Unix sockets that asyncio can use."""
    return sys.platform != "win32"


def socket_of(journal: str) -> str:
    """The path of the control socket of the journal at this path."""
    return os.path.realpath(journal) + SUFFIX


@contextmanager
def address_of(path: str) -> Iterator[str]:
    """An address that leads to the socket at ``path``, however long that is (rule 3).

    Raises:
        OSError: there is none, or it may not be looked at.
        ControlFailed: the path is too long for this system.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    _refuse_long_paths(path)
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Folder:
    """A folder beside the socket, in which it is bound before it gets its name (rule 1).

    Raises:
        OSError: it cannot be made.
        ControlFailed: its path is too long for this system.
    """

    def __init__(self, path: str) -> None:
        if len(os.fsencode(path)) > _LONGEST:
            _refuse_long_paths(path)
        self._path = f"{os.path.dirname(path)}/.{os.urandom(6).hex()}{SUFFIX}"
        self._descriptor: int | None = None
        os.mkdir(self._path, _FOLDER_MODE)
        try:
            self.address = f"{self._path}/s"
            if len(os.fsencode(self.address)) > _LONGEST:
                _refuse_long_paths(path)
                self._descriptor = os.open(self._path, os.O_PATH | os.O_DIRECTORY)
                self.address = f"/proc/self/fd/{self._descriptor}/s"
        except BaseException:
            self.close()
            raise

    def give(self, path: str) -> None:
        """Let the socket have its mode and this name, and remove the folder.

        Raises:
            OSError: it cannot.
        """
        bound = f"{self._path}/s"
        os.chmod(bound, _OWNER_ONLY)
        os.rename(bound, path)
        os.rmdir(self._path)

    def close(self) -> None:
        """Remove the folder if it is still there. Closing twice is allowed."""
        with suppress(OSError):
            os.unlink(f"{self._path}/s")
        with suppress(OSError):
            os.rmdir(self._path)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def refuse_occupied(path: str) -> None:
    """Check that the name is free, or that a killed run has left the socket there (rule 2).

    Raises:
        ControlFailed: another file has the name, or somebody answers.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ControlFailed(path, error.strerror or str(error)) from None
    if not stat.S_ISSOCK(mode):
        raise ControlFailed(path, "another file has the name of the socket")
    try:
        with address_of(path) as address:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_unix_connection(address)
    except (ConnectionRefusedError, FileNotFoundError):
        return
    except TimeoutError:
        raise ControlFailed(path, "another run has it") from None
    except OSError as error:
        raise ControlFailed(path, error.strerror or str(error)) from None
    writer.transport.abort()
    raise ControlFailed(path, "another run has it")


def _refuse_long_paths(path: str) -> None:
    """Check that the system reaches sockets whose path is too long for an address.

    Raises:
        ControlFailed: it does not.
    """
    if sys.platform != "linux" or not os.path.isdir("/proc/self/fd"):
        raise ControlFailed(path, f"the path is longer than the {_LONGEST} bytes of a socket's address")
