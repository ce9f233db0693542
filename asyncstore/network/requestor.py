"""The common parts of an opening and an established association as requestor: link, upper layer, end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from asyncstore.errors import AbortedHere, LinkLost, TimedOut, TlsFailed
from asyncstore.protocol.upper_layer import LinkClosed

if TYPE_CHECKING:
    from asyncstore.errors import AssociationError
    from asyncstore.network.link import Link
    from asyncstore.protocol.upper_layer import UpperLayer

Answer = TypeVar("Answer")

_ABORT_LINGER = 1.0
"""Seconds to wait, after A-ABORT, for the peer to close: closing at once could keep the A-ABORT from reaching it."""


class Requestor(ABC):
    """The link of one association, and the state of its upper layer.

    Args:
        peer: host and port, for errors.
        upper: the upper layer.
        may_be_wrong_port: whether the peer may speak TLS or another protocol: it has not yet answered in DICOM.
    """

    _link: Link

    def __init__(self, peer: str, upper: UpperLayer, *, may_be_wrong_port: bool) -> None:
        self.peer = peer
        self.error: AssociationError | None = None
        """Why the association ended, unless we released it."""
        self._upper = upper
        self._may_be_wrong_port = may_be_wrong_port
        self._loop = asyncio.get_running_loop()
        self._peer_closed: asyncio.Future[None] | None = None

    def abort(self, cause: str = "it was asked for") -> None:
        """Abort the association; without effect after its end."""
        self._fail(AbortedHere(self.peer, cause), notify_peer=True)

    async def close(self) -> None:
        """Abort an association that was not released, give the peer a moment to close, and close the connection.

        It takes a second at most. Do not cancel it: call it with :func:`asyncstore.waiting.finished`.
        """
        if not self._upper.is_over:
            self.abort("the run ended")
        try:
            if self._upper.artim_running and not self._link.is_closed:
                self._peer_closed = self._loop.create_future()
                await asyncio.wait({self._peer_closed}, timeout=_ABORT_LINGER)
        finally:
            self._end_link()

    def _fail(self, error: AssociationError, *, notify_peer: bool = False) -> None:
        """End with an error; without effect after the end."""
        if self.error is not None:
            return
        self.error = error
        if notify_peer:
            self._upper.abort()
            self._flush()
        if self._link.is_blocked:
            self._end_link()  # an A-ABORT cannot follow half a PDU, and buffers must be released now
        self._failed(error)

    @abstractmethod
    def _failed(self, error: AssociationError) -> None:
        """Tell everybody who waits that it has ended with an error."""

    async def _answer(self, answer: asyncio.Future[Answer], seconds: float | None, awaited: str) -> Answer:
        """Wait for the answer to an A-ASSOCIATE-RQ or A-RELEASE-RQ."""
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            error = TimedOut(self.peer, awaited, seconds or 0.0, "acse", may_be_wrong_port=self._may_be_wrong_port)
            self._fail(error, notify_peer=True)
            raise error from None

    def _link_ended(self, reason: str | TlsFailed | None) -> None:
        for event in self._upper.link_closed():
            if isinstance(event, LinkClosed):
                self._fail(reason if isinstance(reason, TlsFailed) else self._lost(reason or "the peer closed it"))
        self._end_link()

    def _lost(self, reason: str) -> LinkLost:
        return LinkLost(self.peer, reason, may_be_wrong_port=self._may_be_wrong_port)

    def _flush(self) -> None:
        """Send the upper layer's PDUs, and close the link if it says so."""
        outgoing, self._upper.outgoing = self._upper.outgoing, []
        if outgoing:
            self._link.send(outgoing)
        if self._upper.must_close:
            self._end_link()

    def _end_link(self) -> None:
        self._link.close()
        if self._peer_closed is not None and not self._peer_closed.done():
            self._peer_closed.set_result(None)
