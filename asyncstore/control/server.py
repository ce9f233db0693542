"""Takes requests for a run over the socket beside its journal.

Rules:

1. Nothing that a client does hurts the run. A connection ends after some seconds, few are open at a time, and lines are
   bounded. Requests are answered at once in the event loop, so each of them must be cheap.
2. When the server ends, its socket is removed, unless another one has got the name.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from asyncstore.control.place import Folder, is_supported, refuse_occupied
from asyncstore.control.steering import error_line
from asyncstore.errors import ControlFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LONGEST_LINE = 1 << 16
"""Bytes of a request: the longest study UID and patient ID have 64."""
MOST_CONNECTIONS = 4
"""People and programs ask seldom. Others are refused at once."""
PATIENCE = 5.0
"""Seconds of one connection, from its beginning to the last byte of the answer."""
_BACKLOG = 16


class Server:
    """Answers requests from :meth:`open` to :meth:`close`, or within its ``async with`` block.

    Args:
        path: of the socket.
        answer: makes the answer to one request: lines without their ends.
        patience: seconds of one connection.
    """

    def __init__(self, path: str, answer: Callable[[bytes], bytes], patience: float = PATIENCE) -> None:
        self._path = path
        self._answer = answer
        self._patience = patience
        self._server: asyncio.AbstractServer | None = None
        self._folder: Folder | None = None
        self._file: os.stat_result | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            ControlFailed: the socket cannot be made.
        """
        if not is_supported():
            raise ControlFailed(self._path, "this system has no Unix sockets that could be used")
        await refuse_occupied(self._path)
        try:
            self._folder = Folder(self._path)
            self._server = await asyncio.start_unix_server(
                self._connected, self._folder.address, limit=LONGEST_LINE, backlog=_BACKLOG
            )
            self._folder.give(self._path)
            self._file = os.lstat(self._path)
        except OSError as error:
            await self.close()
            raise ControlFailed(self._path, error.strerror or str(error)) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all connections and remove the socket. Closing twice is allowed."""
        with suppress(OSError):
            if self._file is not None and os.path.samestat(self._file, os.lstat(self._path)):
                os.unlink(self._path)
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()
        if self._folder is not None:
            self._folder.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closing:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer, is_refused=len(self._tasks) >= MOST_CONNECTIONS))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_refused: bool) -> None:
        try:
            async with asyncio.timeout(self._patience):
                answer = error_line("too many connections at a time") if is_refused else await self._answered(reader)
                if answer is not None:
                    writer.write(answer + b"\n")
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client has gone, or takes too long
        finally:
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader) -> bytes | None:
        """The answer to the request on a connection; ``None``: there is no whole line."""
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            return error_line(f"a request is longer than {LONGEST_LINE} bytes")
        except asyncio.IncompleteReadError as error:
            if not error.partial.strip():
                return None
            line = error.partial
        return self._answer(line)
