"""The port that accepts associations.

Rules:

1. An accepted association can always open its file: connections that would need its descriptor are not accepted.
2. Few connections without an association are open at once, because each may hold an A-ASSOCIATE-RQ in memory. If others
   wait, the oldest of them is closed.
3. Connections that cannot be accepted now wait. The port pauses before it tries again, so the event loop does not spin.
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
"""Seconds before the next try after a connection could not be accepted, as the event loop would find it at once.
(asyncio's servers wait as long: ``ACCEPT_RETRY_DELAY`` in asyncio/constants.py.)"""

_MOST_NEGOTIATING = 64
"""Connections without an association: twice what senders open at once. With the longest A-ASSOCIATE-RQ each they hold
20 MB."""
_PATIENCE = 2.0
"""Seconds for a connection's association while others wait: several round trips around the world and a TLS handshake.
If none wait, ARTIM is the limit."""
_CROWDED_PAUSE = 0.1
"""Seconds before the next try after too many connections came at once: by then most have an association."""
_SPARE_DESCRIPTORS = 16
"""Descriptors for the rest of the program: its log, a report, late imports."""


class _Handshake:
    """A connection during its TLS handshake."""

    has_association = False

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def abort(self) -> None:
        """Cancel the handshake."""
        self._task.cancel()


class Port:
    """Accepts associations.

    Args:
        host: the address to listen at.
        port: the TCP port; 0 is any free one.
        service: the storage SCP.
        tls: makes TLS links; ``None``: plain TCP.
        ip_version: 4 or 6; ``None``: the version of ``host``.

    Raises:
        OSError: the port cannot listen at this address.
        UnicodeError: the address is not valid.
    """

    def __init__(
        self, host: str, port: int, service: Service, tls: TlsAcceptor | None = None, ip_version: int | None = None
    ) -> None:
        self._service = service
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._listening = listen(host, port, ip_version)
        self._open: dict[Acceptor | _Handshake, float] = {}
        """The open connections and their starts, the oldest first."""
        self._pause: asyncio.TimerHandle | None = None
        self.host, self.port = self._listening.getsockname()[:2]
        self._resume()

    def close(self) -> None:
        """Stop listening and abort the open associations and handshakes."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        for connection in list(self._open):
            connection.abort()

    def _resume(self) -> None:
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
            task.add_done_callback(partial(self._handshake_ended, handshake, connected))

    def _pause_for(self, seconds: float) -> None:
        """Accept no connections for these seconds."""
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(seconds, self._resume)

    def _has_room(self) -> bool:
        """Whether another connection may be accepted; may close an old one without an association for it.

        Raises:
            OSError: there are too few descriptors.
        """
        negotiating = [connection for connection in self._open if not connection.has_association]
        is_short = self._is_short_of_descriptors()
        if not is_short and len(negotiating) < _MOST_NEGOTIATING:
            return True
        oldest = negotiating[0] if negotiating else None
        if oldest is not None and self._open[oldest] < self._loop.time() - _PATIENCE:
            _log.info(
                "%s: closed the oldest connection without an association: others wait", address_of(self.host, self.port)
            )
            self._open[oldest] = self._loop.time()  # it is aborted once
            oldest.abort()
            return oldest not in self._open  # a TLS handshake takes a moment to end
        if is_short:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return False

    def _is_short_of_descriptors(self) -> bool:
        """Whether there are too few descriptors for another connection and for all files."""
        limit = descriptor_limit()
        if limit is None:
            return False
        files = len(self._open) + 1 if self._service.keeps_files else 0
        try:
            lowest = os.dup(self._listening.fileno())  # POSIX: the lowest free number, so at least as many are open
        except OSError:
            return True
        os.close(lowest)
        return lowest + files + _SPARE_DESCRIPTORS >= limit

    async def _secure(self, tls: TlsAcceptor, connected: socket.socket, peer: str) -> None:
        try:
            make_link = await tls.secure(connected, peer)
        except AssociationError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - one requestor must not disturb the others
            _log.exception("%s: a fault of this program; the connection is closed", peer)
        else:
            self._accept(make_link, connected, peer)

    def _handshake_ended(self, handshake: _Handshake, connected: socket.socket, task: asyncio.Task[None]) -> None:
        del self._open[handshake]
        if self._pause is not None and not self._is_short_of_descriptors():  # there may be room now
            self._pause.cancel()
            self._resume()
        if task.cancelled():
            connected.close()  # a task cancelled before its first step does not run its cleanup

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
