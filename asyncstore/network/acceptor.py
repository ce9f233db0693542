"""An association as acceptor.

A :class:`Service` decides about associations, instances and statuses. Rules:

1. Data sets are handed over in the pieces in which they arrive, without a copy.
2. Memory stays flat: nothing more is received while the requestor does not read its responses, or while too many
   responses wait for their time.
3. A requestor that neither sends nor takes a byte for the idle timeout is aborted. While a response is due it is not
   idle.
4. An exception ends its own association only: no callback lets it through to the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol

from asyncstore.errors import AssociationRejected, InvalidPdu
from asyncstore.negotiation import narrower
from asyncstore.network.timeouts import ARTIM
from asyncstore.protocol.associate import ACCEPTANCE, AssociateAccept, AssociateReject
from asyncstore.protocol.command import Command, CommandField, response
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, Fragment, Fragmenter
from asyncstore.protocol.state import State
from asyncstore.protocol.upper_layer import (
    Aborted,
    LinkClosed,
    ReleaseRequested,
    Requested,
    UpperLayer,
    UpperLayerEvent,
    Violated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.errors import TlsFailed
    from asyncstore.network.link import MakeLink
    from asyncstore.protocol.associate import AssociateRequest, ContextResult
    from asyncstore.protocol.pdu import Octets

P = ParamSpec("P")

_log = logging.getLogger(__name__)

_UNRECOGNIZED_OPERATION = 0x0211
"""PS3.7 C.5.24."""

_LOOKS = 4
"""Looks within the idle timeout: it is exceeded by a quarter at most."""
_MOST_DELAYED = 1024
"""Responses that may wait before receiving pauses; some 150 bytes each. With a latency of 20 ms they are 50 000 a
second, more than any requestor was seen to need."""

_TLS_HANDSHAKE = b"\x16\x03"
"""The first bytes of a ClientHello: record type, and the major version of any TLS (RFC 8446 5.1)."""
_HTTP = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIO", b"CONNE", b"PRI *", b"HTTP/")
"""The first bytes of HTTP: methods (RFC 9110 9.3), the preface of HTTP/2 (RFC 9113 3.4), answers (RFC 9112 4)."""


class Storing(Protocol):
    """One instance that is arriving."""

    def write(self, data: memoryview) -> None:
        """Take a piece of the data set, valid during the call only."""

    def finish(self) -> int:
        """The data set is complete. Returns the status for the response."""

    def discard(self) -> None:
        """The association ended within the data set."""


class Service(Protocol):
    """The decisions of a storage SCP."""

    maximum_length: int
    window: int
    """Operations that a requestor may have outstanding; 0 is unlimited."""
    latency: float
    """Seconds between a data set's end and the response."""
    idle_timeout: float
    """Seconds without a byte in either direction while no response is due; 0: no limit."""
    keeps_files: bool
    """Whether each association may need a descriptor for a file, besides its connection's."""

    def decide(self, request: AssociateRequest) -> AssociateReject | tuple[ContextResult, ...]:
        """Reject an association, or answer its contexts."""

    def store(self, request: Command, transfer_syntax: str) -> Storing:
        """A C-STORE-RQ has arrived; its data set follows."""

    def echoed(self) -> None:
        """A C-ECHO-RQ has arrived."""

    def ended(self) -> None:
        """An association that :meth:`decide` accepted has ended."""


def _guarded(callback: Callable[Concatenate[Acceptor, P], None]) -> Callable[Concatenate[Acceptor, P], None]:
    """Make a callback of the event loop end its association if it raises."""

    @wraps(callback)
    def guarded(acceptor: Acceptor, /, *arguments: P.args, **named: P.kwargs) -> None:
        try:
            callback(acceptor, *arguments, **named)
        except Exception:  # noqa: BLE001 - one requestor must not disturb the others
            acceptor.fail()

    return guarded


class Acceptor:
    """One association, from the TCP connection or the end of its TLS handshake on."""

    def __init__(self, make_link: MakeLink, peer: str, service: Service, on_closed: Callable[[Acceptor], None]) -> None:
        self.peer = peer
        self._service = service
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._upper = UpperLayer(service.maximum_length, is_acceptor=True)
        self._messages = MessageReader()
        self._fragmenter = Fragmenter(0)
        self._transfer_syntaxes: dict[int, str] = {}
        self._storing: tuple[Storing, Command, int] | None = None
        self._is_counted = False
        self._is_closed = False
        self._artim: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._idle_looks = 0
        """Looks since the requestor last sent or took a byte."""
        self._bytes_moved = 0
        """Bytes in both directions at the last look."""
        self._delayed: deque[tuple[float, Octets]] = deque()
        """Waiting responses, and their times."""
        self._next_response: asyncio.TimerHandle | None = None
        self._link = make_link(self._received, self._link_ended, self._drained)
        self._settle()

    def __repr__(self) -> str:
        return f"<Acceptor {self.peer} Sta{self._upper.state.value}>"

    @property
    def has_association(self) -> bool:
        """Whether an association was accepted; true until the connection is closed."""
        return self._is_counted

    def abort(self) -> None:
        """Abort the association and close the connection."""
        self._upper.abort()
        self._settle()
        self._close()

    def fail(self) -> None:
        """Abort because of the exception being handled, a fault of this program."""
        _log.exception("%s: a fault of this program; the association is aborted", self.peer)
        with suppress(Exception):
            self._upper.abort()
            self._link.send(self._upper.outgoing)
        self._close()

    @_guarded
    def _received(self, data: memoryview) -> None:
        is_first = self._upper.state is State.STA2
        events = self._upper.receive(data)
        if is_first and self._upper.state is State.STA13 and not events:  # only AA-1 has no event
            _log.warning("%s: %s; the connection is closed", self.peer, _foreign(data))
        for event in events:
            try:
                if type(event) is Fragment:
                    self._fragment(event)
                else:
                    self._indicated(event)
            except InvalidPdu as violation:
                _log.warning("%s: %s; the association is aborted", self.peer, violation)
                self._upper.violated(violation)
                break  # ignore everything after a violation
        self._settle()
        if self._is_full():
            self._link.pause_reading()

    def _is_full(self) -> bool:
        """Whether receiving must pause, because the requestor does not read or many responses wait."""
        return self._link.is_blocked or len(self._delayed) > _MOST_DELAYED

    @_guarded
    def _link_ended(self, reason: str | TlsFailed | None) -> None:
        for event in self._upper.link_closed():
            if isinstance(event, LinkClosed) and self._is_counted:
                _log.info("%s: the connection was lost: %s", self.peer, reason or "the peer closed it")
        self._close()

    @_guarded
    def _drained(self) -> None:
        """The requestor has read its responses: receive again."""
        if not self._is_full():
            self._link.resume_reading()

    def _indicated(self, event: UpperLayerEvent) -> None:
        if isinstance(event, Requested):
            self._requested(event.request)
        elif isinstance(event, ReleaseRequested):
            self._upper.answer_release()
        elif isinstance(event, Aborted):
            _log.info("%s: aborted the association", self.peer)
        elif isinstance(event, Violated):
            _log.warning("%s: %s; the association is aborted", self.peer, event.violation)

    def _requested(self, request: AssociateRequest) -> None:
        self._stop_artim()  # AE-6; a rejection starts it anew (AE-8)
        decision = self._service.decide(request)
        if isinstance(decision, AssociateReject):
            self._upper.reject(decision)
            rejection = AssociationRejected(self.peer, decision.result, decision.source, decision.reason)
            _log.warning("%s (of %s to %s)", rejection, request.calling_ae_title, request.called_ae_title)
            return
        self._is_counted = True
        self._fragmenter = Fragmenter(request.maximum_length)
        self._transfer_syntaxes = {
            context.id: context.transfer_syntax for context in decision if context.result == ACCEPTANCE
        }
        window = None
        if request.window is not None:
            window = (narrower(request.window[0], self._service.window), 1)
        accept = AssociateAccept(
            request.calling_ae_title, request.called_ae_title, decision, self._service.maximum_length, window
        )
        self._upper.accept(accept)
        self._look_at_idleness()
        _log.info(
            "%s: association of %s to %s, %d contexts",
            self.peer,
            request.calling_ae_title,
            request.called_ae_title,
            len(decision),
        )

    def _fragment(self, fragment: Fragment) -> None:
        received = self._messages.read(fragment)
        if received is None:
            return
        if isinstance(received, CommandReceived):
            self._commanded(received.context_id, received.command)
        elif self._storing is not None:
            storing, request, context_id = self._storing
            storing.write(received.data)
            if received.is_last:
                status = storing.finish()
                self._storing = None
                self._respond(context_id, request, status, self._service.latency)

    def _commanded(self, context_id: int, request: Command) -> None:
        transfer_syntax = self._transfer_syntaxes.get(context_id)
        if transfer_syntax is None:
            raise InvalidPdu(f"a command in context {context_id}, which was not accepted", ABORT_UNEXPECTED_PDU)
        if request.field == CommandField.C_STORE_RQ:
            if not (
                request.has_data_set
                and request.sop_class_uid
                and request.sop_instance_uid
                and request.message_id is not None
            ):
                raise InvalidPdu("a C-STORE-RQ without data set, UIDs or message id", ABORT_INVALID_PARAMETER)
            self._storing = self._service.store(request, transfer_syntax), request, context_id
        elif request.field == CommandField.C_ECHO_RQ:
            self._service.echoed()
            self._respond(context_id, request, 0, self._service.latency)
        else:
            self._respond(context_id, request, _UNRECOGNIZED_OPERATION, 0)

    def _respond(self, context_id: int, request: Command, status: int, delay: float) -> None:
        pdus = self._fragmenter.command(context_id, response(request, status))
        answer = pdus[0] if len(pdus) == 1 else b"".join(pdus)  # many small buffers would take memory while it waits
        if not delay:
            self._upper.outgoing.append(answer)
            return
        self._delayed.append((self._loop.time() + delay, answer))
        if self._next_response is None:
            self._next_response = self._loop.call_later(delay, self._respond_in_time)

    @_guarded
    def _respond_in_time(self) -> None:
        """Send the responses whose time has come."""
        self._next_response = None
        now = self._loop.time()
        due: list[Octets] = []
        while self._delayed and self._delayed[0][0] <= now:
            due.append(self._delayed.popleft()[1])
        if due and self._upper.can_send_data:
            self._link.send(due)
        if self._delayed:
            self._next_response = self._loop.call_at(self._delayed[0][0], self._respond_in_time)
        self._drained()

    def _look_at_idleness(self) -> None:
        """Look later whether any byte has moved."""
        if self._service.idle_timeout:
            self._idle = self._loop.call_later(self._service.idle_timeout / _LOOKS, self._look)

    @_guarded
    def _look(self) -> None:
        """Abort the association if the requestor is idle for too long."""
        moved = self._link.bytes_received + self._link.bytes_sent
        if self._delayed or moved != self._bytes_moved:
            self._bytes_moved = moved
            self._idle_looks = 0
        self._idle_looks += 1
        if self._idle_looks > _LOOKS:
            idle = "%s: nothing was sent or taken for %g s; the association is aborted"
            _log.warning(idle, self.peer, self._service.idle_timeout)
            self.abort()
        else:
            self._look_at_idleness()

    def _settle(self) -> None:
        """Send the upper layer's PDUs, and obey its timer and its close."""
        outgoing, self._upper.outgoing = self._upper.outgoing, []
        if outgoing:
            self._link.send(outgoing)
        if self._upper.must_close:  # drop waiting data: the peer has aborted, or had ARTIM's time to read it
            self._close()
        elif self._upper.artim_running and self._artim is None:
            self._artim = self._loop.call_later(ARTIM, self._artim_expired)
        elif not self._upper.artim_running:
            self._stop_artim()

    def _stop_artim(self) -> None:
        if self._artim is not None:
            self._artim.cancel()
            self._artim = None

    @_guarded
    def _artim_expired(self) -> None:
        self._artim = None
        if self._upper.state is State.STA2:
            _log.info("%s: no association request within %g s; the connection is closed", self.peer, ARTIM)
        self._upper.artim_expired()
        self._settle()

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._link.close()
        self._delayed.clear()
        for timer in (self._artim, self._idle, self._next_response):
            if timer is not None:
                timer.cancel()
        if self._storing is not None:
            self._storing[0].discard()
            self._storing = None
        if self._is_counted:
            self._service.ended()
        self._on_closed(self)


def _foreign(beginning: memoryview) -> str:
    """The protocol of a connection that does not begin with an A-ASSOCIATE-RQ."""
    if bytes(beginning[:2]) == _TLS_HANDSHAKE:
        return "it speaks TLS, and this port speaks plain TCP"
    if bytes(beginning[:5]).startswith(_HTTP):
        return "it speaks HTTP"
    return "what it sent is no association request"
