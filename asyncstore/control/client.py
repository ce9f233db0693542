"""Sends one request to the run that writes to a journal."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from asyncstore.control.place import address_of, is_supported, socket_of
from asyncstore.control.steering import request_line
from asyncstore.errors import ControlDenied, ControlFailed, JournalMissing, NoRun
from asyncstore.journal.place import is_held

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE = 10.0
"""Seconds: twice what the server allows a connection."""
_ENDED = "the run ended before it answered"
_LONGEST_ANSWER = 1 << 20
"""1024 lanes of 120 bytes are far less."""


async def ask(journal: str, request: str, value: object = None, patience: float = _PATIENCE) -> Mapping[str, Any]:
    """Send a request to the run that writes to this journal; the fields of its answer.

    Args:
        journal: the path of the journal.
        request: the name of the request.
        value: its value, if it needs one.
        patience: seconds to wait for the answer.

    Raises:
        JournalMissing: there is no such file.
        NoRun: no run writes to the journal.
        ControlDenied: the run belongs to another user.
        ControlFailed: the run does not answer.
    """
    if not is_supported():
        raise ControlFailed(journal, "this system has no Unix sockets that could be used")
    path = socket_of(journal)
    try:
        line = await _exchange(path, request_line(request, value), patience)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise _no_run(journal) from None
    except PermissionError:
        raise ControlDenied(journal, _owner(path)) from None
    except (ConnectionResetError, BrokenPipeError):
        raise ControlFailed(journal, _ENDED) from None
    except TimeoutError:
        raise ControlFailed(journal, f"the run did not answer within {patience:g} s") from None
    except (OSError, ValueError) as error:
        raise ControlFailed(journal, (isinstance(error, OSError) and error.strerror) or str(error)) from None
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ControlFailed(journal, _ENDED if not line else "the answer makes no sense")
    return answer


def _no_run(journal: str) -> JournalMissing | NoRun:
    """Why there is no socket, or nobody at it."""
    if not os.path.exists(journal):
        return JournalMissing(journal)
    return NoRun(journal, is_held=is_held(journal))


async def _exchange(path: str, line: bytes, patience: float) -> bytes:
    with address_of(path) as address:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_unix_connection(address, limit=_LONGEST_ANSWER)
            try:
                writer.write(line)
                await writer.drain()
                return await reader.readline()
            finally:
                writer.transport.abort()


def _owner(path: str) -> str | None:
    """The name or number of the user who owns the socket; ``None``: it cannot be found out."""
    import pwd  # not on Windows

    try:
        number = os.lstat(path).st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
