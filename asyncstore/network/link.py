"""One TCP connection, on the event loop's readiness callbacks: buffers go out, bytes come in.

Rules:

1. Buffers go to the kernel at once with a gather write, without a join, a copy or a task switch. Only bytes that the
   kernel does not take wait until the socket is writable. (Measured: 1.5 to 2 times the throughput of asyncio's and
   anyio's streams.)
2. ``TCP_NODELAY`` is set. ``TCP_QUICKACK`` is set again after each receive whose callback sends nothing, if the system
   has it: a peer that writes the head and the body of a PDU apart otherwise waits 40 ms for each delayed
   acknowledgement.
3. After :meth:`Link.close`, no callback is called.
4. A link that is throttled keeps its bytes until it has a turn (:mod:`asyncstore.network.throttle`).
5. If sending fails, what the peer sent before is handed over before the end is told.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from asyncstore.network.throttle import FREELY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.errors import TlsFailed
    from asyncstore.network.throttle import Throttle
    from asyncstore.protocol.pdu import Octets

    MakeLink = Callable[
        [Callable[[memoryview], None], Callable[[str | TlsFailed | None], None], Callable[[], None]], "Link"
    ]
    """Makes a link over a connection from its three callbacks."""

_RECEIVE_SIZE = 1 << 18
"""The longest piece in which an acceptor takes a data set. Responses are short."""

_GATHER_LIMIT = 1024
"""IOV_MAX of Linux, the BSDs and macOS: the most entries of one ``sendmsg``."""

_JOIN_LIMIT = 1 << 18
"""Bytes joined for one ``send`` if the system has no gather write (Windows)."""

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


_REASONS = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.ECONNRESET: "reset by the peer",
    errno.EFAULT: "a file could not be read while it was sent",
    errno.EMFILE: "too many open files; ulimit -n sets how many a process may have",
    errno.EPIPE: "closed by the peer",
    errno.ETIMEDOUT: "no answer, and the system gave up waiting",
}


def reason_of(error: OSError | UnicodeError) -> str:
    """An error of the network in words."""
    if isinstance(error, UnicodeError):
        return "that is not a host name"
    if error.errno is None:
        return str(error)
    return _REASONS.get(error.errno) or (error.strerror or str(error)).lower()


class _OfThread(threading.local):
    """The receive buffer of all links of a thread's loop: their callbacks run one after the other.

    With a buffer for each link, a port with a thousand silent peers would take a quarter of a gigabyte.
    """

    def __init__(self) -> None:
        self.received = memoryview(bytearray(_RECEIVE_SIZE))


_OF_THREAD = _OfThread()


class Link:
    """A connected socket.

    Args:
        connected: the socket; the link owns it from now on.
        on_bytes: called with received bytes, a slice of a buffer that is reused after the call.
        on_end: called once when the connection ends without :meth:`close`: with ``None`` if the peer closed it,
            otherwise with the reason.
        on_drained: called each time the kernel has taken all waiting bytes.
    """

    def __init__(
        self,
        connected: socket.socket,
        on_bytes: Callable[[memoryview], None],
        on_end: Callable[[str | TlsFailed | None], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._socket = connected
        self._descriptor = connected.fileno()
        self._loop = asyncio.get_running_loop()
        self._on_bytes, self._on_end, self._on_drained = on_bytes, on_end, on_drained
        self._waiting: deque[Octets] = deque()
        self._received = _OF_THREAD.received
        self._is_closed = False
        self._is_paused = False
        self._throttle = FREELY
        self.is_held = False
        """Whether bytes wait for a turn, not for the peer."""
        self.bytes_sent = 0
        """Bytes that the kernel has taken."""
        self.bytes_received = 0
        """Bytes that have arrived."""
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def is_blocked(self) -> bool:
        """Whether bytes wait because the kernel does not take them."""
        return bool(self._waiting)

    @property
    def is_ready(self) -> bool:
        """Whether bytes sent now leave at once: none wait, and the connection is open."""
        return not (self._waiting or self._is_closed)

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended, on either side."""
        return self._is_closed

    def send(self, buffers: Sequence[Octets]) -> None:
        """Send ``buffers``, which must not change until :attr:`is_blocked` is false. A closed link drops them."""
        if self._is_closed:
            return
        if self._waiting:
            self._waiting.extend(buffers)
            return
        if self._throttle.is_on:
            self._waiting.extend(buffers)
            self._send_waiting(self._throttle.at_once())
            return
        for position in range(0, len(buffers), _GATHER_LIMIT):
            batch = buffers if len(buffers) <= _GATHER_LIMIT else buffers[position : position + _GATHER_LIMIT]
            taken, rest = self._write(batch)
            if taken < len(batch):
                self._wait(buffers[position + taken :], rest)
                return

    def send_one(self, buffer: Octets) -> None:
        """Send one buffer over a link that :attr:`is_ready`; a gather write of one takes longer."""
        if self._throttle.is_on:
            self.send((buffer,))
            return
        try:
            sent = self._socket.send(buffer)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._ended(reason_of(error))
            return
        self.bytes_sent += sent
        if sent < len(buffer):
            self._wait((buffer,), sent)

    def throttle(self, throttle: Throttle) -> None:
        """Send within this limit from now on."""
        self._throttle = throttle

    def turn(self, most: int) -> None:
        """Send at most ``most`` of the bytes that waited for a turn."""
        self.is_held = False
        if not self._is_closed:
            self._send_waiting(most)
            if not (self._waiting or self._is_closed):
                self._on_drained()

    def pause_reading(self) -> None:
        """Receive no bytes, and do not notice the end of the connection, until :meth:`resume_reading`.

        Bytes that were received before are still handed over.
        """
        if not (self._is_closed or self._is_paused):
            self._is_paused = True
            self._loop.remove_reader(self._descriptor)

    def resume_reading(self) -> None:
        """Receive bytes again."""
        if self._is_paused and not self._is_closed:
            self._is_paused = False
            self._loop.add_reader(self._descriptor, self._readable)

    def close(self) -> None:
        """Close the connection now and drop waiting bytes."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._descriptor)
            if self._waiting:
                self._loop.remove_writer(self._descriptor)
                self._waiting.clear()
            self._socket.close()

    def hand_over(
        self,
        on_bytes: Callable[[memoryview], None],
        on_end: Callable[[str | TlsFailed | None], None],
        on_drained: Callable[[], None],
    ) -> None:
        """Call these callbacks from now on, instead of those that the link was made with."""
        self._on_bytes, self._on_end, self._on_drained = on_bytes, on_end, on_drained

    def _write(self, batch: Sequence[Octets]) -> tuple[int, int]:
        """Hand buffers to the kernel in one call. Returns how many it took, and how many bytes of the next one."""
        try:
            sent = _gather(self._socket, batch)
        except (BlockingIOError, InterruptedError):
            return 0, 0
        except OSError as error:
            self._ended(reason_of(error))
            return 0, 0
        self.bytes_sent += sent
        if sent == sum(map(len, batch)):  # nearly always; the loop below would take five times as long
            return len(batch), 0
        for taken, buffer in enumerate(batch):
            if sent < len(buffer):
                return taken, sent
            sent -= len(buffer)
        return len(batch), 0

    def _wait(self, buffers: Sequence[Octets], taken_of_first: int) -> None:
        """Keep buffers until the socket is writable. They are not copied: a peer may take few bytes at a time."""
        if not self._is_closed:
            self._waiting.extend(buffers)
            self._take_off(0, taken_of_first)
            self._loop.add_writer(self._descriptor, self._writable)

    def _take_off(self, taken: int, taken_of_next: int) -> None:
        """Drop the waiting bytes that the kernel has taken."""
        for _ in range(taken):
            self._waiting.popleft()
        if taken_of_next:
            self._waiting[0] = memoryview(self._waiting[0])[taken_of_next:]

    def _send_waiting(self, most: int) -> None:
        """Send at most ``most`` waiting bytes; then wait for the next turn, or until the socket is writable."""
        batch: list[Octets] = []
        size = 0
        for buffer in islice(self._waiting, _GATHER_LIMIT if most else 0):
            part = buffer if size + len(buffer) <= most else memoryview(buffer)[: most - size]
            batch.append(part)
            size += len(part)
            if size == most:
                break
        before = self.bytes_sent
        taken, rest = self._write(batch) if batch else (0, 0)
        sent = self.bytes_sent - before
        self._throttle.spent(sent)
        if self._is_closed:
            return
        if taken and taken == len(batch) and len(batch[-1]) < len(self._waiting[taken - 1]):
            taken, rest = taken - 1, len(batch[-1])
        self._take_off(taken, rest)
        if sent < size:
            self._loop.add_writer(self._descriptor, self._writable)
        elif self._waiting:
            self.is_held = True
            self._throttle.wait(self)

    def _writable(self) -> None:
        if self._throttle.is_on:
            self._loop.remove_writer(self._descriptor)
            self.is_held = True
            self._throttle.wait(self)
            return
        while self._waiting:
            batch = list(islice(self._waiting, _GATHER_LIMIT))
            taken, rest = self._write(batch)
            if self._is_closed:
                return
            self._take_off(taken, rest)
            if taken < len(batch):
                return
        self._loop.remove_writer(self._descriptor)
        self._on_drained()

    def _readable(self) -> None:
        try:
            received = self._socket.recv_into(self._received)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended(reason_of(error))
            return
        if not received:
            self._ended(None)
            return
        self.bytes_received += received
        sent = self.bytes_sent
        self._on_bytes(self._received[:received])
        if _QUICKACK is not None and sent == self.bytes_sent and not self._is_closed:
            with suppress(OSError):  # the connection has just been reset: the next receive says so
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _ended(self, reason: str | None) -> None:
        unread = b""
        if reason is not None:
            with suppress(OSError):  # nothing is unread, unless sending failed
                unread = self._socket.recv(_RECEIVE_SIZE)
        self.close()
        self._loop.call_soon(self._end, unread, reason)

    def _end(self, unread: bytes, reason: str | None) -> None:
        if unread:
            self._on_bytes(memoryview(unread))
        self._on_end(reason)


if hasattr(socket.socket, "sendmsg"):

    def _gather(connected: socket.socket, buffers: Sequence[Octets]) -> int:
        return connected.send(buffers[0]) if len(buffers) == 1 else connected.sendmsg(buffers)

else:

    def _gather(connected: socket.socket, buffers: Sequence[Octets]) -> int:
        joined = bytearray()
        for buffer in buffers:
            joined += buffer
            if len(joined) >= _JOIN_LIMIT:
                break
        return connected.send(joined)
