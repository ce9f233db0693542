"""One association's upper layer (PS3.8): the state table, the PDU decoder, and the PDUs to send.

Rules:

1. Nothing here waits or writes. Primitives and received bytes change the state, add PDUs to
   :attr:`UpperLayer.outgoing`, and return events. The owner of the socket writes these PDUs, then obeys
   :attr:`~UpperLayer.must_close` and :attr:`~UpperLayer.artim_running`.
2. Every step goes through :data:`asyncstore.protocol.state.TABLE`, except P-DATA in Sta6: it stays in Sta6 (DT-1,
   DT-2), and it is the hot path.
3. Once :attr:`~UpperLayer.is_over`, no more events come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from asyncstore.errors import InvalidPdu
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.associate import AssociateAccept, AssociateReject, AssociateRequest, echoed_part
from asyncstore.protocol.pdu import (
    ABORT_UNEXPECTED_PDU,
    RELEASE_RP,
    RELEASE_RQ,
    Fragment,
    Pdu,
    PduDecoder,
    PduType,
    abort,
)
from asyncstore.protocol.state import Event, State, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncstore.protocol.pdu import Octets

_BY_USER = 0
_BY_PROVIDER = 2
"""Sources of A-ABORT (PS3.8 9.3.8)."""


class Requested(NamedTuple):
    """A-ASSOCIATE indication: the acceptor must answer."""

    request: AssociateRequest


class Accepted(NamedTuple):
    """A-ASSOCIATE confirmation: the association is established."""

    accept: AssociateAccept


class Rejected(NamedTuple):
    """A-ASSOCIATE confirmation: the association is rejected."""

    reject: AssociateReject


class ReleaseRequested(NamedTuple):
    """A-RELEASE indication; answer with :meth:`UpperLayer.answer_release`."""


class Released(NamedTuple):
    """A-RELEASE confirmation."""


class Aborted(NamedTuple):
    """A-ABORT or A-P-ABORT indication from the peer."""

    source: int
    reason: int


class Violated(NamedTuple):
    """The peer broke the protocol; an A-ABORT is outgoing."""

    violation: str
    speaks: str | None = None
    """The protocol that it speaks instead, if known (see :class:`~asyncstore.errors.InvalidPdu`)."""


class LinkClosed(NamedTuple):
    """The transport connection ended too early (A-P-ABORT indication, AA-4)."""


UpperLayerEvent = (
    Fragment | Requested | Accepted | Rejected | ReleaseRequested | Released | Aborted | Violated | LinkClosed
)

_RECEIVED: Mapping[PduType, Event] = {
    PduType.ASSOCIATE_RQ: "A-ASSOCIATE-RQ received",
    PduType.ASSOCIATE_AC: "A-ASSOCIATE-AC received",
    PduType.ASSOCIATE_RJ: "A-ASSOCIATE-RJ received",
    PduType.RELEASE_RQ: "A-RELEASE-RQ received",
    PduType.RELEASE_RP: "A-RELEASE-RP received",
    PduType.ABORT: "A-ABORT received",
}

_REQUEST_LIMIT = 320 << 10
"""Bytes of an A-ASSOCIATE-RQ that an acceptor collects from a stranger. 128 contexts with all 59 transfer syntaxes of
PS3.6 and an abstract syntax of 64 characters take 208 kB, user information with a user identity at most 64 kB more."""
_UNEXPECTED_LIMIT = 4096
"""The same after it has accepted: now every A-ASSOCIATE-RQ is a violation."""

_DATA_STATES = (State.STA6, State.STA8)


class UpperLayer:
    """The state of one association.

    Args:
        maximum_length: the maximum length that we announce; longer P-DATA-TFs are violations (0: any).
        is_acceptor: whether the peer opened the transport connection.
    """

    def __init__(self, maximum_length: int, *, is_acceptor: bool = False) -> None:
        self.state = State.STA1
        self.outgoing: list[Octets] = []
        """PDUs to write, in order; the owner of the socket takes them out."""
        self.must_close = False
        """Whether to close the transport connection after writing everything outgoing."""
        self.artim_running = False
        """Whether ARTIM runs; the timer's owner calls :meth:`artim_expired`."""
        self._is_acceptor = is_acceptor
        self._decoder = PduDecoder(maximum_length, _REQUEST_LIMIT) if is_acceptor else PduDecoder(maximum_length)
        self._events: list[UpperLayerEvent] = []
        self._pdu: Pdu | None = None
        self._to_send: bytes = b""
        self._echoed: bytes | None = None
        self._violation = Violated("")
        self._abort_reason = ABORT_UNEXPECTED_PDU
        if is_acceptor:
            self._step("transport indication")

    def __repr__(self) -> str:
        return f"<UpperLayer {'acceptor' if self._is_acceptor else 'requestor'} Sta{self.state.value}>"

    @property
    def can_send_data(self) -> bool:
        """Whether P-DATA may be sent now."""
        return self.state in _DATA_STATES

    @property
    def is_between_pdus(self) -> bool:
        """Whether the association is established and the next byte begins a PDU."""
        return self.state is State.STA6 and self._decoder.is_between_pdus

    @property
    def is_over(self) -> bool:
        """Whether the association has ended, or never began."""
        return self.state in (State.STA1, State.STA13)

    def associate(self, request: AssociateRequest) -> None:
        """A-ASSOCIATE request; the transport connection is open."""
        self._step("A-ASSOCIATE request")
        self._to_send = request.encode()
        self._step("transport confirm")

    def accept(self, accept: AssociateAccept) -> None:
        """A-ASSOCIATE response: accept."""
        self._to_send = accept.encode(self._echoed)
        self._step("A-ASSOCIATE response: accept")
        self._decoder.associate_limit = _UNEXPECTED_LIMIT

    def reject(self, reject: AssociateReject) -> None:
        """A-ASSOCIATE response: reject."""
        self._to_send = reject.encode()
        self._step("A-ASSOCIATE response: reject")

    def release(self) -> None:
        """A-RELEASE request."""
        self._step("A-RELEASE request")

    def answer_release(self) -> None:
        """A-RELEASE response."""
        self._step("A-RELEASE response")

    def abort(self) -> None:
        """A-ABORT request; no effect once the association is over."""
        if self.state is State.STA2:  # no association to abort yet: the table only has the connection's end
            self._step("transport closed")
            self.must_close = True
        elif not self.is_over:
            self._step("A-ABORT request")

    def violated(self, error: InvalidPdu) -> None:
        """The layer above found a violation by the peer: A-ABORT by the service-provider."""
        if not self.is_over:
            self._violation, self._abort_reason = Violated(error.violation, error.speaks), error.reason
            self._step("invalid PDU")
            self._events.clear()

    def link_closed(self) -> list[UpperLayerEvent]:
        """The transport connection has ended."""
        if self.state is not State.STA1:
            self._step("transport closed")
        return self._take_events()

    def artim_expired(self) -> None:
        """The peer did not close the transport connection in time."""
        if self.artim_running:
            self._step("ARTIM expired")

    def receive(self, data: memoryview) -> list[UpperLayerEvent]:
        """Take received bytes; fragments in the events are slices of ``data``."""
        decoded: list[Pdu | Fragment] = []
        violation = None
        try:
            self._decoder.feed(data, decoded)
        except InvalidPdu as error:
            violation = error
        for item in decoded:
            if isinstance(item, Fragment):
                if self.state is State.STA6 or self._step("P-DATA-TF received") in ("DT-2", "AR-6"):
                    self._events.append(item)
            else:
                self._pdu = item
                try:
                    self._step(_RECEIVED[item.type])
                except InvalidPdu as error:
                    self._invalid(error)
                self._pdu = None  # or an A-ASSOCIATE-RQ would stay in memory as long as the association
        if violation is not None:
            self._invalid(violation)
        return self._take_events()

    def _invalid(self, error: InvalidPdu) -> None:
        if self.state is not State.STA1:
            self._violation, self._abort_reason = Violated(error.violation, error.speaks), error.reason
            self._step("invalid PDU")

    def _take_events(self) -> list[UpperLayerEvent]:
        events, self._events = self._events, []
        return events

    def _step(self, event: Event) -> str:
        body = self._decoded(event)
        refused = isinstance(body, Requested) and not body.request.protocol_version & 1
        try:
            action, following = step(self.state, event, is_acceptor=self._is_acceptor, is_refused=refused)
        except KeyError:
            if self.is_over:  # the caller may not know yet that the association has ended
                return ""
            raise
        if event != "invalid PDU" and action == "AA-8":
            self._violation, self._abort_reason = (
                Violated(f"an unexpected PDU ({event} in Sta{self.state.value})"),
                ABORT_UNEXPECTED_PDU,
            )
        self.state = following
        if action == "AE-6" and refused:
            self._send_and_await_close(_UNSUPPORTED_VERSION.encode())
        else:
            self._ACTIONS[action](self)
            if body is not None and action in _INDICATED:
                self._events.append(body)
        return action

    def _decoded(self, event: Event) -> Requested | Accepted | Rejected | None:
        """The contents of an A-ASSOCIATE PDU, read before its step so that a bad PDU changes nothing."""
        if self._pdu is None:
            return None
        if event == "A-ASSOCIATE-RQ received" and self.state is State.STA2:
            request = AssociateRequest.decode(self._pdu.body)
            self._echoed = echoed_part(self._pdu.body)
            return Requested(request)
        if event == "A-ASSOCIATE-AC received" and self.state is State.STA5:
            return Accepted(AssociateAccept.decode(self._pdu.body))
        if event == "A-ASSOCIATE-RJ received" and self.state is State.STA5:
            return Rejected(AssociateReject.decode(self._pdu.body))
        return None

    # The actions of PS3.8 tables 9-6 to 9-9, named by their effect.

    def _nothing(self) -> None:
        """AE-1 (the owner has already connected), AE-3, DT-1, DT-2, AR-6, AR-7, AA-6: at most an indication."""

    def _send(self) -> None:
        """AE-2, AE-7."""
        self.outgoing.append(self._to_send)

    def _send_reject(self) -> None:
        """AE-8."""
        self._send_and_await_close(self._to_send)

    def _close(self) -> None:
        """AE-4, AA-2: close."""
        self.artim_running = False
        self.must_close = True

    def _start_artim(self) -> None:
        """AE-5."""
        self.artim_running = True

    def _stop_artim(self) -> None:
        """AE-6, AR-5, AA-5."""
        self.artim_running = False

    def _request_release(self) -> None:
        """AR-1."""
        self.outgoing.append(RELEASE_RQ)

    def _indicate_release(self) -> None:
        """AR-2, AR-8."""
        self._events.append(ReleaseRequested())

    def _confirm_release_and_close(self) -> None:
        """AR-3."""
        self._events.append(Released())
        self.must_close = True

    def _respond_release(self) -> None:
        """AR-4."""
        self._send_and_await_close(RELEASE_RP)

    def _respond_release_in_collision(self) -> None:
        """AR-9."""
        self.outgoing.append(RELEASE_RP)

    def _confirm_release(self) -> None:
        """AR-10."""
        self._events.append(Released())

    def _abort_by_user(self) -> None:
        """AA-1: also for an unexpected PDU in Sta2, without an event as there is no association yet."""
        self._send_and_await_close(abort(_BY_USER, 0))

    def _indicate_abort_and_close(self) -> None:
        """AA-3."""
        body = self._pdu.body if self._pdu else bytes(4)
        self._events.append(Aborted(body[2], body[3]))
        self.must_close = True

    def _indicate_link_closed(self) -> None:
        """AA-4."""
        self._events.append(LinkClosed())
        self.must_close = True

    def _abort_again(self) -> None:
        """AA-7."""
        self.outgoing.append(abort(_BY_PROVIDER, self._abort_reason))

    def _abort_by_provider(self) -> None:
        """AA-8."""
        self._events.append(self._violation)
        self._send_and_await_close(abort(_BY_PROVIDER, self._abort_reason))

    def _send_and_await_close(self, pdu: bytes) -> None:
        self.outgoing.append(pdu)
        self.artim_running = True

    _ACTIONS: ClassVar[Mapping[str, Callable[[UpperLayer], None]]] = {
        "AE-1": _nothing,
        "AE-2": _send,
        "AE-3": _nothing,
        "AE-4": _close,
        "AE-5": _start_artim,
        "AE-6": _stop_artim,
        "AE-7": _send,
        "AE-8": _send_reject,
        "DT-1": _nothing,
        "DT-2": _nothing,
        "AR-1": _request_release,
        "AR-2": _indicate_release,
        "AR-3": _confirm_release_and_close,
        "AR-4": _respond_release,
        "AR-5": _stop_artim,
        "AR-6": _nothing,
        "AR-7": _nothing,
        "AR-8": _indicate_release,
        "AR-9": _respond_release_in_collision,
        "AR-10": _confirm_release,
        "AA-1": _abort_by_user,
        "AA-2": _close,
        "AA-3": _indicate_abort_and_close,
        "AA-4": _indicate_link_closed,
        "AA-5": _stop_artim,
        "AA-6": _nothing,
        "AA-7": _abort_again,
        "AA-8": _abort_by_provider,
    }
    """The method for each action."""


_UNSUPPORTED_VERSION = AssociateReject(result=1, source=2, reason=2)
"""PS3.8 table 9-21: rejected-permanent, by the ACSE, protocol-version-not-supported."""

_INDICATED = ("AE-3", "AE-4", "AE-6")
