"""One TCP connection as buffers out and bytes in, on the event loop's readiness callbacks.

Rules:

1. What is sent goes to the kernel at once with a gather write, without a join, a copy or a task switch; only what the
   kernel does not take waits for the socket to become writable. (Measured: 1.5 to 2 times the throughput of asyncio's
   and anyio's streams.)
2. ``TCP_NODELAY`` is set, and ``TCP_QUICKACK`` set again after every receive, where the system has it: peers that
   write the head and the body of a PDU apart otherwise wait 40 ms for each of our delayed acknowledgements.
3. After :meth:`Link.close`, no callback comes any more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from asyncstore.errors import ConnectFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.errors import TlsFailed
    from asyncstore.protocol.pdu import Buffer

    MakeLink = Callable[
        [Callable[[memoryview], None], Callable[[str | TlsFailed | None], None], Callable[[], None]], "Link"
    ]
    """What makes a link over a connection, from its three callbacks."""

_RECEIVE_SIZE = 1 << 18
"""Responses are short; an acceptor's data sets are taken in pieces of up to this."""

_GATHER_LIMIT = 1024
"""IOV_MAX of Linux, the BSDs and macOS: entries one ``sendmsg`` takes."""

_JOIN_LIMIT = 1 << 18
"""Bytes joined for one ``send`` where there is no gather write (Windows)."""

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


_FAMILIES = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}

_NEXT_ADDRESS_DELAY = 0.25
"""Seconds an attempt may keep silent before the next address is tried beside it (RFC 8305 8)."""

_SomeAddress = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What ``getaddrinfo`` has for one: family, kind, protocol, canonical name, address."""


def peer_name(host: str, port: int) -> str:
    """Host and port in one word; an IPv6 address stands in brackets (RFC 5952 6)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def connect(
    host: str,
    port: int,
    timeout: float | None,  # noqa: ASYNC109 - it is an option of the user's
    ip_version: int | None = None,
) -> socket.socket:
    """Open a connection to whichever address of ``host`` answers first, among all or those of one IP version.

    The addresses are tried in the system's order of preference (RFC 6724), the next one as soon as one fails or does
    not answer for a moment: an address that swallows all that is sent to it keeps nobody from the others (RFC 8305).

    Raises:
        ConnectFailed: none answered, or not in ``timeout`` seconds.
    """
    peer = peer_name(host, port)
    try:
        async with asyncio.timeout(timeout):
            race = _Race(await _addresses(host, port, ip_version))
            opened = await race.run()
    except TimeoutError as error:
        raise ConnectFailed(peer, f"no answer within {timeout or 0:g} s", _only(ip_version)) from error
    except socket.gaierror as error:
        raise ConnectFailed(peer, _unresolved(host, ip_version, error), _only(ip_version)) from error
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(peer, reason_of(error)) from error
    if opened is None:
        raise ConnectFailed(peer, race.failure(), _only(ip_version))
    return opened


async def _addresses(host: str, port: int, ip_version: int | None) -> Sequence[_SomeAddress]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, family=_FAMILIES[ip_version], type=socket.SOCK_STREAM)


def _unresolved(host: str, ip_version: int | None, error: socket.gaierror) -> str:
    """Why there is no address to try."""
    if ip_version is None:
        return f"the host name {host!r} cannot be resolved ({error.strerror})"
    from ipaddress import ip_address  # noqa: PLC0415 - it is for this message only

    try:
        other = ip_address(host).version
    except ValueError:
        return f"the host name {host!r} cannot be resolved to an IPv{ip_version} address ({error.strerror})"
    return f"{host} is an IPv{other} address, and only IPv{ip_version} is to be used"


def _only(ip_version: int | None) -> str | None:
    """What to do where one IP version only was tried."""
    if ip_version is None:
        return None
    return f"{ConnectFailed.hint} -i{ip_version} keeps to IPv{ip_version}: -i0 takes whatever the host has."


class _Race:
    """Connections to the addresses of one host, begun one after the other; the first to come about is the one.

    Args:
        addresses: the one to prefer first.
    """

    def __init__(self, addresses: Sequence[_SomeAddress]) -> None:
        self._addresses = addresses
        self._opened: socket.socket | None = None
        self._failures: list[tuple[str, str]] = []
        """Addresses, and why it was none of them."""
        self._news = asyncio.Event()

    async def run(self) -> socket.socket | None:
        """The connection; ``None`` if none came about."""
        try:
            async with asyncio.TaskGroup() as attempts:
                begun: list[asyncio.Task[None]] = []
                for address in self._addresses:
                    if begun:
                        await self._next(_NEXT_ADDRESS_DELAY)
                    if self._opened is not None:
                        break
                    begun.append(attempts.create_task(self._attempt(address)))
                while self._opened is None and len(self._failures) < len(begun):
                    await self._next(None)
                for attempt in begun:
                    attempt.cancel()
        except BaseException:
            if self._opened is not None:
                self._opened.close()
            raise
        return self._opened

    def failure(self) -> str:
        """Why none came about; address by address where the reasons differ."""
        if len({reason for _, reason in self._failures}) == 1:
            return self._failures[0][1]
        return "; ".join(f"{address}: {reason}" for address, reason in self._failures)

    async def _next(self, seconds: float | None) -> None:
        """Wait for the next attempt to end, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def _attempt(self, address: _SomeAddress) -> None:
        family, kind, protocol, _, where = address
        candidate: socket.socket | None = None
        try:
            candidate = socket.socket(family, kind, protocol)
            candidate.setblocking(False)
            await asyncio.get_running_loop().sock_connect(candidate, where)
        except OSError as error:
            self._failures.append((where[0], reason_of(error)))
        else:
            if self._opened is None:
                self._opened, candidate = candidate, None
        finally:
            if candidate is not None:
                candidate.close()
            self._news.set()


def listen(host: str, port: int, ip_version: int | None = None, backlog: int = 128) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the address cannot be bound.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, family=_FAMILIES[ip_version], type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def reason_of(error: OSError | UnicodeError) -> str:
    """An error of the network in plain words."""
    if isinstance(error, UnicodeError):
        return "that is not a host name"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused: nothing listens there"
    if error.errno == errno.ECONNRESET:
        return "reset by the peer"
    if error.errno == errno.EPIPE:
        return "closed by the peer"
    if error.errno == errno.ETIMEDOUT:
        return "no answer, and the system gave up waiting"
    return (error.strerror or str(error)).lower() if error.errno is not None else str(error)


class Link:
    """A connected socket.

    Args:
        connected: the socket, which the link owns from now on.
        on_bytes: called with received bytes, a slice of a buffer that is reused after the call.
        on_end: called once when the connection has ended by itself: with ``None`` when the peer closed it, otherwise
            with the reason.
        on_drained: called whenever everything that had to wait has been handed to the kernel.
    """

    def __init__(
        self,
        connected: socket.socket,
        on_bytes: Callable[[memoryview], None],
        on_end: Callable[[str | None], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._socket = connected
        self._descriptor = connected.fileno()
        self._loop = asyncio.get_running_loop()
        self._on_bytes, self._on_end, self._on_drained = on_bytes, on_end, on_drained
        self._waiting: list[Buffer] = []
        self._received = memoryview(bytearray(_RECEIVE_SIZE))
        self._is_closed = False
        self.bytes_sent = 0
        """Bytes the kernel has taken; whoever watches for progress compares it over time."""
        self.bytes_received = 0
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for the peer to take what was sent before."""
        return bool(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._is_closed

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send ``buffers``, which must not change until :attr:`is_blocked` is false. A closed link drops them."""
        if self._is_closed:
            return
        if self._waiting:
            self._waiting.extend(buffers)
            return
        rest = self._write(buffers)
        if rest:
            self._waiting = rest
            self._loop.add_writer(self._descriptor, self._writable)

    def close(self) -> None:
        """Close the connection now. What waits to be sent is dropped."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._descriptor)
            if self._waiting:
                self._loop.remove_writer(self._descriptor)
                self._waiting = []
            self._socket.close()

    def _write(self, buffers: Sequence[Buffer]) -> list[Buffer]:
        """Hand ``buffers`` to the kernel; what it did not take."""
        position = 0
        while position < len(buffers):
            batch = (
                buffers if len(buffers) <= _GATHER_LIMIT else list(islice(buffers, position, position + _GATHER_LIMIT))
            )
            try:
                sent = _gather(self._socket, batch)
            except (BlockingIOError, InterruptedError):
                return list(buffers[position:])
            except OSError as error:
                self._ended(reason_of(error))
                return []
            self.bytes_sent += sent
            for taken, buffer in enumerate(batch):  # noqa: B007 - read after the loop
                sent -= len(buffer)
                if sent < 0:
                    break
            else:
                position += len(batch)
                continue
            rest = list(buffers[position + taken :])
            rest[0] = memoryview(rest[0])[sent:]
            return rest
        return []

    def _writable(self) -> None:
        self._waiting = self._write(self._waiting)
        if not self._waiting and not self._is_closed:
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
        if _QUICKACK is not None:
            try:  # noqa: SIM105 - contextlib.suppress costs a microsecond, once per store
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            except OSError:  # the connection has just been reset: the next receive says so
                pass
        self._on_bytes(self._received[:received])

    def _ended(self, reason: str | None) -> None:
        self.close()
        self._loop.call_soon(self._on_end, reason)


if hasattr(socket.socket, "sendmsg"):

    def _gather(connected: socket.socket, buffers: Sequence[Buffer]) -> int:
        return connected.sendmsg(buffers)

else:

    def _gather(connected: socket.socket, buffers: Sequence[Buffer]) -> int:
        joined = bytearray()
        for buffer in buffers:
            joined += buffer
            if len(joined) >= _JOIN_LIMIT:
                break
        return connected.send(joined)
