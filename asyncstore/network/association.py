"""An association as requestor, as an asyncio object: open it, store with it, release or abort it, close it.

Rules:

1. The hot path has no task and no future: pieces of data sets are queued with :meth:`Association.submit`, go out as
   far as the window and the socket allow, and each response sends what may follow from within the callback that
   received it. What came of each store is handed to ``on_attempt``. (What may be sent, and what a response answers, is
   decided in :mod:`asyncstore.protocol.requests`.)
2. An association ends once, with one error or by release. At its end every store that had begun is reported with that
   error; those that had not begun are given back by :meth:`Association.withdraw`, untouched; ``on_end`` is called.
3. Whoever opened an association calls :meth:`Association.close` in the end, whatever has happened.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import (
    AbortedHere,
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationReleased,
    EchoRefused,
    IdentityNotConfirmed,
    InvalidPdu,
    LinkLost,
    ProtocolViolation,
    TimedOut,
    TlsFailed,
)
from asyncstore.model import Attempt
from asyncstore.negotiation import agreed_window, conclude
from asyncstore.network.addresses import address_of, connect
from asyncstore.network.deadlines import Deadlines
from asyncstore.network.deviations import Deviations
from asyncstore.network.link import Link
from asyncstore.network.timeouts import Timeouts
from asyncstore.protocol.associate import (
    AssociateAccept,
    AssociateRequest,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
)
from asyncstore.protocol.command import VERIFICATION
from asyncstore.protocol.known_responses import KnownResponses, is_lone_head
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import ABORT_UNEXPECTED_PDU, Fragment, Fragmenter
from asyncstore.protocol.requests import Exchange, Requests
from asyncstore.protocol.status import describe
from asyncstore.protocol.upper_layer import (
    Aborted,
    Accepted,
    LinkClosed,
    Rejected,
    Released,
    ReleaseRequested,
    UpperLayer,
    UpperLayerEvent,
    Violated,
)
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncstore.model import Buffer, Instance, Piece, Unsendable
    from asyncstore.network.link import MakeLink
    from asyncstore.network.tls import TlsRequestor
    from asyncstore.protocol.requests import Load

_log = logging.getLogger(__name__)
_negotiation_log = logging.getLogger("asyncstore.negotiation")

_RELEASE_LIMIT = 30.0
"""Seconds to wait for the answer to a release where nothing else is asked for: nothing depends on it any more."""

_ABORT_LINGER = 1.0
"""Seconds to wait, after A-ABORT, for the peer to close: closing at once could keep the A-ABORT from reaching it."""


_MOST_GATHERS = 16
"""Gather writes, one after the other, before the event loop has its turn: to a fast peer with a tiny maximum length a
large instance takes thousands of them."""


class AssociationOptions(NamedTuple):
    """How associations with one peer are asked for.

    Attributes:
        calling_ae_title: ours.
        called_ae_title: the peer's.
        maximum_length: the largest P-DATA-TF we receive (0: any).
        send_length: the largest P-DATA-TF to send, where the peer would take larger ones.
        window: stores to have outstanding, if the peer agrees; 1 proposes nothing, 0 is unlimited (PS3.7 D.3.3.3).
        timeouts: how long the peer may take.
        identity: who asks, and the proof of it.
        roles: the SCP/SCU roles to propose.
        extended: the extended negotiation to propose.
        tls: what makes TLS links; ``None``: plain TCP.
        ip_version: 4 or 6, or ``None`` for whatever the host name resolves to.
        deviations: remembers which harmless deviations were warned of; ``None``: each association does for itself.
    """

    calling_ae_title: str = "ASYNCSTORE"
    called_ae_title: str = "ANY-SCP"
    maximum_length: int = 16384
    send_length: int | None = None
    window: int = 1
    timeouts: Timeouts = Timeouts()
    identity: UserIdentity | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    tls: TlsRequestor | None = None
    ip_version: int | None = None
    deviations: Deviations | None = None

    def request(self, contexts: tuple[ProposedContext, ...]) -> AssociateRequest:
        """The A-ASSOCIATE-RQ that asks for these contexts."""
        return AssociateRequest(
            self.calling_ae_title,
            self.called_ae_title,
            contexts,
            self.maximum_length,
            None if self.window == 1 else (self.window, 1),
            roles=self.roles,
            extended=self.extended,
            identity=self.identity,
        )


class Association:
    """Use :meth:`open`."""

    def __init__(
        self,
        make_link: MakeLink,
        peer: str,
        number: int,
        options: AssociationOptions,
        on_attempt: Callable[[Attempt], None],
        on_end: Callable[[], None],
    ) -> None:
        self.peer = peer
        self.number = number
        self.accepted: Mapping[tuple[str, str], int] = {}
        """The contexts to use: (abstract syntax, transfer syntax) to context id."""
        self.results: Mapping[tuple[str, str], str] = {}
        """What the peer said to each proposed (abstract syntax, transfer syntax), in words."""
        self.error: AssociationError | None = None
        """Why the association ended, when it did not end by our release."""
        self.data_bytes_sent = 0
        """Data set bytes handed to the network."""
        self._options = options
        self._on_attempt = on_attempt
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._upper = UpperLayer(options.maximum_length)
        self._notice = partial((options.deviations or Deviations()).notice, peer)
        self._messages = MessageReader(self._notice)
        self._known = KnownResponses()
        self._is_between_messages = False
        """Whether what comes next begins a PDU and a message, over an association that is established."""
        self._head = b""
        """The head of a P-DATA-TF that came alone."""
        self._whole = b""
        """What is being read in full, if it begins with a PDU."""
        self._link = make_link(self._received, self._link_ended, self._drained)
        self._requests = Requests({}, Fragmenter(0), 1, time.monotonic)
        self._request = options.request(())
        self._transfer_syntaxes: Mapping[int, str] = {}
        self._is_established = False
        self._deadlines: Deadlines | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._unreleased: list[Buffer] = []
        self._returned: list[Instance] = []
        self._echoes: dict[int, asyncio.Future[int]] = {}
        self._step_done: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._is_stuck = False
        """Whether the next instance cannot be loaded at once."""
        self._peer_closed: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        called, state = self._options.called_ae_title, self._upper.state.value
        return f"<Association {called} Sta{state} {self._requests.outstanding} outstanding>"

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        contexts: Iterable[ProposedContext],
        options: AssociationOptions,
        *,
        number: int = 1,
        on_attempt: Callable[[Attempt], None] = lambda attempt: None,  # noqa: ARG005 - the type's shape
        on_end: Callable[[], None] = lambda: None,
    ) -> Association:
        """Connect and negotiate.

        Raises:
            ConnectFailed: there is no connection to be had.
            AssociationError: the peer rejected, aborted, closed, stayed silent for too long, or does not speak DICOM.
        """
        peer = address_of(host, port)
        connected = await connect(host, port, options.timeouts.connect, options.ip_version)
        make_link: MakeLink = partial(Link, connected)
        if options.tls is not None:
            make_link = await options.tls.secure(connected, peer, options.timeouts)
        association = cls(make_link, peer, number, options, on_attempt, on_end)
        try:
            await association._negotiate(tuple(contexts))
        except BaseException:
            await finished(association.close())
            raise
        return association

    @property
    def is_idle(self) -> bool:
        """Whether nothing is outstanding or queued."""
        return self._requests.is_idle

    @property
    def in_hand(self) -> int:
        """How many stores are outstanding or queued."""
        return self._requests.stores

    def current(self) -> tuple[Instance, float] | None:
        """The store that has been outstanding for longest, and when it was begun (:func:`time.monotonic`)."""
        oldest = self._requests.oldest
        return (oldest.instance, oldest.started) if oldest is not None and oldest.instance is not None else None

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Queue pieces of data sets whose contexts are :attr:`accepted`; a buffer is released when it has left."""
        self._requests.submit(pieces)
        if self.error is None:
            self._pump()
        else:
            self._returned += self._requests.take_back()

    def submit_whole(self, instances: Iterable[Instance], load: Load) -> None:
        """Queue instances whose contexts are :attr:`accepted`; ``load`` gives their data sets at their turn."""
        self._requests.submit_whole(instances, load)
        if self.error is None:
            self._pump()
        else:
            self._returned += self._requests.take_back()

    async def taken(self) -> list[Instance]:
        """Wait until the last instance that was submitted has begun; those whose data sets cannot be loaded at once.

        These are taken back, with all that are behind them.
        """
        while self.error is None and self._requests.has_queued and not self._is_stuck:
            if self._taken is None:
                self._taken = self._loop.create_future()
            await asyncio.shield(self._taken)
        is_stuck, self._is_stuck = self._is_stuck, False
        return self._requests.take_back() if is_stuck and self.error is None else []

    def is_taking(self, instance: Instance) -> bool:
        """Whether further pieces of ``instance``, the one last submitted, are of use."""
        return self._requests.is_taking(instance)

    def withdraw(self) -> list[Instance]:
        """Take back the stores that have not begun; those under way go on."""
        returned, self._returned = self._returned + self._requests.take_back(), []
        self._check_settled()
        return returned

    async def settled(self) -> None:
        """Wait until nothing is outstanding or queued, or the association has ended."""
        while not self._requests.is_idle and self.error is None:
            if self._settled is None:
                self._settled = self._loop.create_future()
            await asyncio.shield(self._settled)

    async def echo(self) -> float:
        """C-ECHO (PS3.7 9.1.5): seconds from the request to its response.

        Raises:
            AssociationError: the association ended before the response, or the peer refused.
        """
        context_id = next((number for (abstract, _), number in self.accepted.items() if abstract == VERIFICATION), None)
        if self.error is not None:
            raise self.error
        if context_id is None:
            answers = {words for (abstract, _), words in self.results.items() if abstract == VERIFICATION}
            said = ", ".join(sorted(answers)) or "no answer"
            raise EchoRefused(self.peer, f"it did not accept the Verification SOP class ({said})")
        exchange, pdus = self._requests.echo(context_id)
        answered = self._echoes[exchange.message_id] = self._loop.create_future()
        self._link.send(pdus)
        status = await answered
        if status:
            raise EchoRefused(self.peer, f"its status is {describe(status)}")
        return time.monotonic() - exchange.started

    async def release(self) -> None:
        """Release the association; nothing must be outstanding. A peer that does not answer is let go."""
        if self.error is not None or not self._upper.can_send_data:
            return
        self._upper.release()
        self._flush()
        try:
            await self._step(self._options.timeouts.acse or _RELEASE_LIMIT, "answer to the release request")
        except AssociationError as error:
            _log.info("association %d: %s", self.number, error)

    def abort(self, cause: str = "it was asked for") -> None:
        """Abort the association; without effect when it has ended."""
        self._fail(AbortedHere(self.peer, cause), notify_peer=True)

    async def close(self) -> None:
        """Abort what has not been released, give an aborted peer a moment to close, and close the connection.

        It takes a second at most, and is not to be cancelled: call it shielded.
        """
        if not self._upper.is_over:
            self.abort("the run ended")
        try:
            if self._upper.artim_running and not self._link.is_closed:
                self._peer_closed = self._loop.create_future()
                await asyncio.wait({self._peer_closed}, timeout=_ABORT_LINGER)
        finally:
            self._end_link()

    async def _negotiate(self, contexts: tuple[ProposedContext, ...]) -> None:
        self._request = self._options.request(contexts)
        self._upper.associate(self._request)
        if _negotiation_log.isEnabledFor(logging.DEBUG):
            from asyncstore.negotiation.show import request_lines  # noqa: PLC0415 - names are many, and rarely shown

            self._show(logging.DEBUG, "requesting: ", request_lines(self._request))
        self._flush()
        await self._step(self._options.timeouts.acse, "answer to the association request")
        self._look()

    async def _step(self, seconds: float | None, awaited: str) -> None:
        """Wait for the answer to an A-ASSOCIATE-RQ or A-RELEASE-RQ."""
        if self.error is not None:
            raise self.error
        self._step_done = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._step_done
        except TimeoutError:
            error = TimedOut(self.peer, awaited, seconds or 0.0, "acse", may_be_wrong_port=self._may_be_wrong_port)
            self._fail(error, notify_peer=True)
            raise error from None
        finally:
            self._step_done = None

    # Callbacks of the link.

    def _received(self, data: memoryview) -> None:
        if not self._is_between_messages:
            self._read(data, b"")
            return
        pdu = self._head + bytes(data)
        answer = self._known.answer(pdu)
        exchange = self._requests.recognised(answer) if answer is not None else None
        if exchange is not None:
            self._head = b""
            self._finished(exchange)
            self._pump()
        elif is_lone_head(pdu):
            self._head = pdu
        else:
            self._head = b""
            self._read(memoryview(pdu), pdu)

    def _read(self, data: memoryview, whole: bytes) -> None:
        """Read in full what the peer sent; it is ``whole`` if it begins with a PDU."""
        self._whole = whole
        for event in self._upper.receive(data):
            try:
                if type(event) is Fragment:
                    received = self._messages.read(event)
                    if received is not None:
                        self._message(received)
                else:
                    self._indicated(event)
            except InvalidPdu as violation:
                self._upper.violated(violation)
                self._fail(ProtocolViolation(self.peer, violation.violation, speaks_dicom=True))
        if self._upper.outgoing:
            self._flush()
        if self._upper.must_close:
            self._end_link()
        else:
            self._is_between_messages = self._upper.is_between_pdus and self._messages.is_between_messages
            self._pump()

    def _link_ended(self, reason: str | TlsFailed | None) -> None:
        for event in self._upper.link_closed():
            if isinstance(event, LinkClosed):
                if isinstance(reason, TlsFailed):
                    self._fail(reason)
                else:
                    self._fail(self._lost(reason or "the peer closed it"))
        self._end_link()

    def _lost(self, reason: str) -> LinkLost:
        return LinkLost(self.peer, reason, may_be_wrong_port=self._may_be_wrong_port)

    @property
    def _may_be_wrong_port(self) -> bool:
        """Whether the peer has not yet answered as a DICOM peer, and may speak TLS or another protocol."""
        return not self._is_established and self._options.tls is None

    def _drained(self) -> None:
        self._release_sent()
        self._pump()

    # What the peer said.

    def _indicated(self, event: UpperLayerEvent) -> None:
        if isinstance(event, Accepted):
            self._accepted(event.accept)
            identity = self._request.identity
            if identity is not None and identity.wants_response and event.accept.identity is None:
                self._fail(IdentityNotConfirmed(self.peer), notify_peer=True)
                return
            self._is_established = True
            self._complete_step()
        elif isinstance(event, Rejected):
            self._fail(AssociationRejected(self.peer, event.reject.result, event.reject.source, event.reject.reason))
        elif isinstance(event, Released):
            self._complete_step()
        elif isinstance(event, ReleaseRequested):
            self._upper.answer_release()
            if not self._upper.is_over:
                return  # a release collision: ours is still to be confirmed (PS3.8 9.2.2.4, Sta11)
            self._fail(AssociationReleased(self.peer))
        elif isinstance(event, Aborted):
            self._fail(AssociationAborted(self.peer, event.source, event.reason, self._requests.outstanding))
        elif isinstance(event, Violated):
            error = ProtocolViolation(
                self.peer, event.violation, speaks_dicom=self._is_established, speaks=event.speaks
            )
            self._fail(error)

    def _accepted(self, accept: AssociateAccept) -> None:
        options = self._options
        self.accepted, self.results, self._transfer_syntaxes = conclude(
            self._request.contexts, accept.contexts, self._notice
        )
        fragmenter = Fragmenter(accept.maximum_length, options.send_length)
        window = agreed_window(options.window, accept.window)
        self._requests = Requests(
            self.accepted, fragmenter, window, time.monotonic, self._transfer_syntaxes, self._notice
        )
        self._deadlines = Deadlines(self.peer, options.timeouts, fragmenter.fragment_length, time.monotonic())
        _log.info(
            "association %d: %s (%s) accepted %d of %d presentation contexts, maximum length %d, window %d",
            self.number,
            self.peer,
            accept.implementation_version_name or accept.implementation_class_uid,
            len(self._transfer_syntaxes),
            len(self._request.contexts),
            accept.maximum_length,
            window,
        )
        if _negotiation_log.isEnabledFor(logging.INFO):
            from asyncstore.negotiation.show import answer_lines, context_lines  # noqa: PLC0415 - as above

            self._show(logging.DEBUG, "answered: ", answer_lines(self._request, accept))
            self._show(logging.INFO, "", context_lines(self._request.contexts, accept))

    def _show(self, level: int, what: str, lines: Iterable[str]) -> None:
        for line in lines:
            _negotiation_log.log(level, "association %d: %s%s", self.number, what, line)

    def _message(self, received: object) -> None:
        if not isinstance(received, CommandReceived):
            raise InvalidPdu("a data set in a response that has none", ABORT_UNEXPECTED_PDU)
        exchange = self._requests.answered(received.context_id, received.command)
        if exchange is not None:
            if exchange.instance is not None and exchange.context_id == received.context_id:
                self._known.remember(self._whole, exchange.status or 0)
            self._finished(exchange)

    # Requests.

    def _pump(self) -> None:
        """Send what may be sent now, and nothing over a link that has ended, though that is told a moment later."""
        for _ in range(_MOST_GATHERS):
            if self.error is not None or not self._requests.goes_on or not self._link.is_ready:
                return
            gathered = self._requests.gather()
            if not gathered.buffers:
                self._is_stuck = self._requests.is_stuck
                self._check_taken()
                self._give_up_unreadable()
                return
            self.data_bytes_sent += gathered.payload
            self._unreleased += gathered.spent
            self._link.send(gathered.buffers)
            if self._unreleased and not self._link.is_blocked:
                self._release_sent()
            if self._taken is not None:
                self._check_taken()
            for exchange in gathered.finished:
                self._finished(exchange)
        self._loop.call_soon(self._pump)

    def _give_up_unreadable(self) -> None:
        unreadable = self._requests.unreadable()
        if unreadable is not None:
            self._report(*unreadable)
            self.abort("a file could not be read to its end")

    def _release_sent(self) -> None:
        for buffer in self._unreleased:
            buffer.release()
        self._unreleased.clear()

    def _check_taken(self) -> None:
        if self._taken is not None and (self._is_stuck or self.error is not None or not self._requests.has_queued):
            if not self._taken.done():
                self._taken.set_result(None)
            self._taken = None

    def _finished(self, exchange: Exchange) -> None:
        """The response has come and the request has been sent."""
        if exchange.instance is not None:
            self._report(exchange, None)
        else:
            answered = self._echoes.pop(exchange.message_id)
            if not answered.done():
                answered.set_result(exchange.status or 0)
        self._check_settled()

    def _report(self, exchange: Exchange, error: AssociationError | Unsendable | None) -> None:
        if exchange.instance is not None:
            transfer_syntax = self._transfer_syntaxes[exchange.context_id]
            seconds = time.monotonic() - exchange.started
            status = exchange.status if error is None else None
            self._on_attempt(Attempt(exchange.instance, self.number, transfer_syntax, seconds, status, error))

    # Ends.

    def _fail(self, error: AssociationError, *, notify_peer: bool = False) -> None:
        if self.error is not None:
            return
        self.error = error
        if notify_peer:
            self._upper.abort()
            self._flush()
        if self._step_done is not None and not self._step_done.done():
            self._step_done.set_exception(error)
        for exchange in self._requests.end():
            self._report(exchange, error)
        for answered in self._echoes.values():
            if not answered.done():
                answered.set_exception(error)
        self._returned += self._requests.take_back()
        if self._link.is_blocked:
            self._end_link()  # no A-ABORT can follow a PDU that is stuck halfway, and buffers must not wait for it
        self._check_settled()
        if self._is_established:
            _log.info("association %d: %s", self.number, error)
            self._on_end()

    def _complete_step(self) -> None:
        if self._step_done is not None and not self._step_done.done():
            self._step_done.set_result(None)

    def _check_settled(self) -> None:
        self._check_taken()
        if self._settled is not None and (self.error is not None or self._requests.is_idle):
            if not self._settled.done():
                self._settled.set_result(None)
            self._settled = None

    def _flush(self) -> None:
        outgoing, self._upper.outgoing = self._upper.outgoing, []
        if outgoing:
            self._link.send(outgoing)
        if self._upper.must_close:
            self._end_link()

    def _end_link(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._link.close()
        self._release_sent()
        if self._peer_closed is not None and not self._peer_closed.done():
            self._peer_closed.set_result(None)

    def _look(self) -> None:
        """Look now and then whether the peer takes too long."""
        if self._deadlines is None or self._deadlines.interval is None:
            return
        self._watch = self._loop.call_later(self._deadlines.interval, self._look)
        error = self._deadlines.overdue(self._link, self._requests, time.monotonic())
        if error is not None:
            self._fail(error, notify_peer=True)
