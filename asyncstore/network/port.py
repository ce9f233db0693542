"""The port that associations are accepted at.

One that cannot be accepted now, for want of descriptors, keeps nobody from being served: what waits is looked at again
after a pause.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError
from asyncstore.network.acceptor import Acceptor
from asyncstore.network.addresses import address_of, listen
from asyncstore.network.link import Link, reason_of

if TYPE_CHECKING:
    import socket

    from asyncstore.network.acceptor import Service
    from asyncstore.network.link import MakeLink
    from asyncstore.network.tls import TlsAcceptor

_log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds before connections are accepted again after one could not be: it is still there, and the event loop would
find it again at once. (asyncio's own servers wait as long: ``ACCEPT_RETRY_DELAY`` in asyncio/constants.py.)"""


class Port:
    """Where associations are accepted.

    Args:
        host: the address to listen at.
        port: the TCP port; 0 is any free one.
        service: what decides.
        tls: what makes TLS links; ``None``: plain TCP.
        ip_version: 4 or 6, or ``None`` for whatever ``host`` is.

    Raises:
        OSError: the address cannot be had.
        UnicodeError: it cannot be one.
    """

    def __init__(
        self, host: str, port: int, service: Service, tls: TlsAcceptor | None = None, ip_version: int | None = None
    ) -> None:
        self._service = service
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._listening = listen(host, port, ip_version)
        self._acceptors: set[Acceptor] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self.host, self.port = self._listening.getsockname()[:2]
        self._go_on()

    def close(self) -> None:
        """Stop listening and abort what is still under way."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        for handshake in self._handshakes:
            handshake.cancel()
        for acceptor in list(self._acceptors):
            acceptor.abort()

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._connected)

    def _connected(self) -> None:
        try:
            connected, address = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause_for(error)
            return
        peer = address_of(address[0], address[1])
        if self._tls is None:
            self._accept(partial(Link, connected), peer)
            return
        handshake = self._loop.create_task(self._secure(self._tls, connected, peer))
        self._handshakes.add(handshake)
        handshake.add_done_callback(partial(self._shaken, connected))

    def _pause_for(self, error: OSError) -> None:
        """Leave connections waiting for a while, for they cannot be accepted now."""
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(_PAUSE, self._go_on)
        _log.warning(
            "%s: cannot accept a connection: %s; trying again in %g s",
            address_of(self.host, self.port),
            reason_of(error),
            _PAUSE,
        )

    async def _secure(self, tls: TlsAcceptor, connected: socket.socket, peer: str) -> None:
        try:
            make_link = await tls.secure(connected, peer)
        except AssociationError as error:
            _log.warning("%s", error)
        else:
            self._accept(make_link, peer)

    def _shaken(self, connected: socket.socket, handshake: asyncio.Task[None]) -> None:
        self._handshakes.discard(handshake)
        if handshake.cancelled():
            connected.close()  # a task that is cancelled before its first step runs nothing, not even its cleanup

    def _accept(self, make_link: MakeLink, peer: str) -> None:
        self._acceptors.add(Acceptor(make_link, peer, self._service, self._acceptors.discard))
