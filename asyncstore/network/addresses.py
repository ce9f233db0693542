"""Host names and addresses: connect to a peer with several addresses, open a socket to listen.

Rules:

1. The addresses of a peer are tried in the system's order of preference (RFC 6724). The next one is tried as soon as
   one fails or is silent for a moment, so a silent address does not block the others (RFC 8305). The first connection
   wins; the other attempts are cancelled.
2. The timeout covers everything, name resolution included.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncstore.errors import ConnectFailed, ConnectProblem, NoThread
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.link import reason_of
from asyncstore.protocol.text import escaped
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAMILIES = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}

_NEXT_ADDRESS_DELAY = 0.25
"""Seconds before the next address is tried beside a silent one (RFC 8305 8)."""

_CONNECTIONS_WAITING = 128
"""Connections that may wait to be accepted: more than senders open at once; the limit of old systems (SOMAXCONN)."""

_MOST_KEPT = 64
"""Descriptors kept free for files: two for each of the most associations that ``auto`` opens. If the limit is low, a
third of it: an association takes one descriptor, reads one file at a time, and the program needs some, too."""

_SomeAddress = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""An entry of ``getaddrinfo``: family, kind, protocol, canonical name, address."""


def address_of(host: str, port: int) -> str:
    """Host and port as text to show; an IPv6 address stands in brackets (RFC 5952 6)."""
    host = escaped(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def connect(
    host: str,
    port: int,
    timeout: float | None,  # noqa: ASYNC109 - it is an option of the user's
    ip_version: int | None = None,
) -> socket.socket:
    """Open a connection to the first address of ``host`` that answers, among all or those of one IP version.

    Raises:
        ConnectFailed: none answered within ``timeout`` seconds.
    """
    peer = address_of(host, port)
    try:
        async with asyncio.timeout(timeout):
            race = _Race(await _addresses(host, port, ip_version))
            opened = await race.run()
    except TimeoutError as error:
        raise ConnectFailed(peer, f"no answer within {timeout or 0:g} s", ip_version=ip_version) from error
    except socket.gaierror as error:
        raise _unresolved(peer, host, ip_version, error) from error
    except UnicodeError as error:
        raise ConnectFailed(peer, reason_of(error), "name unknown") from error
    except OSError as error:
        raise ConnectFailed(peer, reason_of(error)) from error
    except NoThread as error:
        raise ConnectFailed(peer, str(error)) from error
    if opened is None:
        raise ConnectFailed(peer, race.failure(), ip_version=ip_version)
    return opened


async def _addresses(host: str, port: int, ip_version: int | None) -> Sequence[_SomeAddress]:
    """The addresses of a host; only names need a resolver, which may keep its thread waiting."""
    family = _FAMILIES[ip_version]
    with suppress(socket.gaierror, UnicodeEncodeError):
        address = host.encode("ascii")  # for a str, Python imports its codec for names, which takes 1 ms
        return socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    thread = WaitingThread("asyncstore-resolver")  # the loop's own threads would keep the program from ending
    try:
        return await thread.call(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
    finally:
        thread.close()


def _unresolved(peer: str, host: str, ip_version: int | None, error: socket.gaierror) -> ConnectFailed:
    """The error for a host that has no address to try."""
    problem: ConnectProblem = "name unknown"
    if error.errno == socket.EAI_AGAIN:
        cause = f"the host name {host!r} cannot be resolved now ({error.strerror})"
        problem = "name not resolved now"
    elif ip_version is None:
        cause = f"the host name {host!r} cannot be resolved ({error.strerror})"
    else:
        from ipaddress import ip_address

        try:
            other = ip_address(host).version
        except ValueError:
            cause = f"the host name {host!r} cannot be resolved to an IPv{ip_version} address ({error.strerror})"
        else:
            cause = f"{host} is an IPv{other} address, and only IPv{ip_version} is to be used"
            problem = "other IP version"
    return ConnectFailed(peer, cause, problem, ip_version)


class _Failed(NamedTuple):
    """An attempt to connect that failed."""

    address: str
    reason: str


class _Race:
    """Attempts to connect to the addresses of one host, begun one after another; the first connection wins.

    Args:
        addresses: the preferred one first.
    """

    def __init__(self, addresses: Sequence[_SomeAddress]) -> None:
        self._addresses = addresses
        self._opened: socket.socket | None = None
        self._failures: list[_Failed] = []
        self._news = asyncio.Event()

    async def run(self) -> socket.socket | None:
        """The first connection; ``None`` if all attempts failed."""
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
        """Why all attempts failed; address by address if the reasons differ."""
        if len({failed.reason for failed in self._failures}) == 1:
            return self._failures[0].reason
        return "; ".join(f"{failed.address}: {failed.reason}" for failed in self._failures)

    async def _next(self, seconds: float | None) -> None:
        """Wait until the next attempt ends, at most for these seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def _attempt(self, address: _SomeAddress) -> None:
        family, kind, protocol, _, where = address
        candidate: socket.socket | None = None
        try:
            candidate = socket.socket(family, kind, protocol)
            _keep_some_for_files(candidate)
            candidate.setblocking(False)
            await _connected(candidate, where)
        except OSError as error:
            self._failures.append(_Failed(where[0], reason_of(error)))
        else:
            if self._opened is None:
                self._opened, candidate = candidate, None
        finally:
            if candidate is not None:
                candidate.close()
            self._news.set()


async def _connected(candidate: socket.socket, where: Any) -> None:  # noqa: ANN401 - each family has its own
    """Connect a socket to an address. uvloop would start four threads to look up names.

    Raises:
        OSError: it cannot be reached.
    """
    try:
        candidate.connect(where)
    except (BlockingIOError, InterruptedError):  # a signal does not end an attempt (connect(2) of POSIX)
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(candidate, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(candidate)
        number = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number)) from None


def _keep_some_for_files(opened: socket.socket) -> None:
    """Keep enough descriptors for the files that associations read.

    Raises:
        OSError: there are too few for another association. A missing association costs less than files not sent.
    """
    limit = descriptor_limit()
    if limit is not None and opened.fileno() >= limit - min(limit // 3, _MOST_KEPT):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def descriptor_limit() -> int | None:
    """The descriptors that this process may have; ``None``: any number."""
    try:
        import resource  # Windows has no such limit
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit


def listen(host: str, port: int, ip_version: int | None = None) -> socket.socket:
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
        listening.listen(_CONNECTIONS_WAITING)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening
