"""A port of loopback that can vanish and come back, as that of a peer that restarts."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from support.peers.programs import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_BACKLOG = 100


class Listening:
    """Accepts connections in the test's own event loop, and serves each in a task of its own.

    Args:
        serve: serves a connection until it ends, and closes its socket.
        receive_buffer: bytes that the kernel takes in while nothing is received.

    Attributes:
        port: the port; it stays the same when the peer comes back.
        serving: the tasks of all connections.
    """

    def __init__(
        self, serve: Callable[[socket.socket], Coroutine[None, None, None]], receive_buffer: int | None = None
    ) -> None:
        self.port = 0
        self.serving: list[asyncio.Task[None]] = []
        self._serve = serve
        self._receive_buffer = receive_buffer
        self._port = ExitStack()
        self._accepting: asyncio.Task[None] | None = None

    @property
    def is_there(self) -> bool:
        """Whether it listens."""
        return self._accepting is not None

    def appear(self) -> None:
        """Listen, on a free port or on the port of before, which nobody else got in the meantime."""
        self.port = self.port or self._port.enter_context(reserved_port())
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listening.setblocking(False)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(_BACKLOG)
        self._accepting = asyncio.create_task(self._accept(listening))
        self._accepting.add_done_callback(lambda _task: listening.close())  # if cancelled before it began

    async def vanish(self) -> None:
        """Listen no more, and end all connections as the system does when a program is killed."""
        ending = [task for task in (self._accepting, *self.serving) if task is not None and not task.done()]
        self._accepting = None
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # callbacks close the sockets

    async def restart(self, seconds: float) -> None:
        """Vanish, and come back after a time."""
        await self.vanish()
        await asyncio.sleep(seconds)
        self.appear()

    async def end(self) -> None:
        """Vanish for good.

        Raises:
            Exception: one of the tasks raised it.
        """
        await self.vanish()
        self._port.close()
        for task in self.serving:
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _accept(self, listening: socket.socket) -> None:
        with listening:
            while True:
                connected, _ = await asyncio.get_running_loop().sock_accept(listening)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                serving = asyncio.create_task(self._serve(connected))
                serving.add_done_callback(
                    lambda _task, served=connected: served.close()
                )  # if cancelled before it began
                self.serving.append(serving)
