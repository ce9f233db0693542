"""The port that associations are accepted at.

Rules:

1. An association that was accepted can always open its file: connections that would take the descriptors for that are
   not accepted.
2. Few connections without an association are open at once, for each may have an A-ASSOCIATE-RQ held in memory. Where
   others wait, the one that has taken the longest is closed.
3. Connections that cannot be accepted now wait, and the event loop does not spin on them: the port looks again after a
   pause.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError
from asyncstore.network.acceptor import Acceptor
from asyncstore.network.addresses import address_of, descriptor_limit, listen
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

_MOST_NEGOTIATING = 64
"""Connections without an association: twice what senders open at once. With an A-ASSOCIATE-RQ each that is as long as
it may be they hold 20 MB."""
_PATIENCE = 2.0
"""Seconds a connection may take for its association where others wait to be accepted: several round trips around the
world, and a TLS handshake. Where none wait it is ARTIM."""
_CROWDED_PAUSE = 0.1
"""Seconds before connections are accepted again after too many came at once: most of them have an association then."""
_SPARE_DESCRIPTORS = 16
"""Descriptors for the rest of the program: its log, a report, modules that are imported late."""


class _Handshake:
    """A connection whose TLS handshake is under way."""

    has_association = False

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def abort(self) -> None:
        """Give it up."""
        self._task.cancel()


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
        self._open: dict[Acceptor | _Handshake, float] = {}
        """What is under way and since when, the oldest first."""
        self._pause: asyncio.TimerHandle | None = None
        self.host, self.port = self._listening.getsockname()[:2]
        self._go_on()

    def close(self) -> None:
        """Stop listening and abort what is still under way."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        for connection in list(self._open):
            connection.abort()

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._connected)

    def _connected(self) -> None:
        try:
            if not self._has_room():
                self._pause_for(_CROWDED_PAUSE)
                return
            connected, address = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.warning(
                "%s: cannot accept a connection: %s; trying again in %g s",
                address_of(self.host, self.port),
                reason_of(error),
                _PAUSE,
            )
            self._pause_for(_PAUSE)
            return
        peer = address_of(address[0], address[1])
        if self._tls is None:
            self._accept(partial(Link, connected), connected, peer)
        else:
            task = self._loop.create_task(self._secure(self._tls, connected, peer))
            handshake = _Handshake(task)
            self._open[handshake] = self._loop.time()
            task.add_done_callback(partial(self._shaken, handshake, connected))

    def _pause_for(self, seconds: float) -> None:
        """Leave connections waiting for a while."""
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(seconds, self._go_on)

    def _has_room(self) -> bool:
        """Whether another connection may be accepted, be it in place of one that takes long for its association.

        Raises:
            OSError: there are too few descriptors.
        """
        negotiating = [connection for connection in self._open if not connection.has_association]
        is_short = self._is_short_of_descriptors()
        if not is_short and len(negotiating) < _MOST_NEGOTIATING:
            return True
        if negotiating and self._open[negotiating[0]] < self._loop.time() - _PATIENCE:
            _log.info(
                "%s: closed the oldest connection without an association: others wait", address_of(self.host, self.port)
            )
            negotiating[0].abort()
            return True
        if is_short:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return False

    def _is_short_of_descriptors(self) -> bool:
        """Whether the descriptors would not do for another connection, and for the files of all."""
        limit = descriptor_limit()
        if limit is None:
            return False
        files = len(self._open) + 1 if self._service.keeps_files else 0
        try:
            lowest = os.dup(self._listening.fileno())  # POSIX: the lowest that is free, so as many are open, or more
        except OSError:
            return True
        os.close(lowest)
        return lowest + files + _SPARE_DESCRIPTORS >= limit

    async def _secure(self, tls: TlsAcceptor, connected: socket.socket, peer: str) -> None:
        try:
            make_link = await tls.secure(connected, peer)
        except AssociationError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - whatever one requestor brought about, the others are served
            _log.exception("%s: a fault of this program; the connection is closed", peer)
        else:
            self._accept(make_link, connected, peer)

    def _shaken(self, handshake: _Handshake, connected: socket.socket, task: asyncio.Task[None]) -> None:
        del self._open[handshake]
        if task.cancelled():
            connected.close()  # a task that is cancelled before its first step runs nothing, not even its cleanup

    def _accept(self, make_link: MakeLink, connected: socket.socket, peer: str) -> None:
        try:
            acceptor = Acceptor(make_link, peer, self._service, self._closed)
        except OSError as error:
            connected.close()
            _log.info("%s: the connection was lost: %s", peer, reason_of(error))
        else:
            self._open[acceptor] = self._loop.time()

    def _closed(self, acceptor: Acceptor) -> None:
        self._open.pop(acceptor, None)
