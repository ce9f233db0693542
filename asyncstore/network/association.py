"""An association as requestor, as an asyncio object: open it, store with it, release or abort it, close it.

Rules:

1. The hot path has no task and no future: pieces of data sets are queued with :meth:`Association.submit`, go out as
   far as the window and the socket allow, and each response sends what may follow from within the callback that
   received it. What came of each store is handed to ``on_attempt``.
2. An association ends once, with one error or by release. At its end every store that had begun is reported with that
   error; those that had not begun are given back by :meth:`Association.withdraw`, untouched. ``on_end`` is called.
3. Responses are matched by Message ID Being Responded To, in any order (PS3.7 D.3.3.3). A response to nothing that is
   outstanding is a violation, except a repetition of the last one.
4. A response that comes before its request has been sent completely counts when the request has been: the rest is
   sent nevertheless, for otherwise the peer would take what follows for it.
5. Whoever opened an association calls :meth:`Association.close` in the end, whatever has happened.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import (
    AbortedHere,
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationReleased,
    InvalidPdu,
    LinkLost,
    ProtocolViolation,
    TimedOut,
)
from asyncstore.model import Attempt
from asyncstore.network.link import Link, connect
from asyncstore.network.timeouts import Timeouts
from asyncstore.protocol.associate import (
    ACCEPTANCE,
    AssociateAccept,
    AssociateRequest,
    ProposedContext,
    describe_result,
)
from asyncstore.protocol.command import VERIFICATION, Command, CommandField, StoreRequestTemplate, echo_request
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, Fragment, Fragmenter
from asyncstore.protocol.status import PENDING
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

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping

    from asyncstore.model import Buffer, Instance, Piece, Unsendable
    from asyncstore.protocol import pdu

_log = logging.getLogger(__name__)
_negotiation_log = logging.getLogger("asyncstore.negotiation")

_GATHERED = 1 << 21
"""Bytes put into one gather write at most; the kernel takes a few megabytes at once."""

_MESSAGE_IDS = 1 << 16

_RELEASE_LIMIT = 30.0
"""Seconds to wait for the answer to a release where nothing else is asked for: nothing depends on it any more."""

_ABORT_LINGER = 1.0
"""Seconds to wait, after A-ABORT, for the peer to close: closing at once could keep the A-ABORT from reaching it."""


class AssociationOptions(NamedTuple):
    """How associations with one peer are asked for.

    Attributes:
        calling_ae_title: ours.
        called_ae_title: the peer's.
        maximum_length: the largest P-DATA-TF we receive (0: any).
        send_length: the largest P-DATA-TF to send, where the peer would take larger ones.
        window: stores to have outstanding, if the peer agrees; 1 proposes nothing, 0 is unlimited (PS3.7 D.3.3.3).
        timeouts: how long the peer may take.
    """

    calling_ae_title: str = "ASYNCSTORE"
    called_ae_title: str = "ANY-SCP"
    maximum_length: int = 16384
    send_length: int | None = None
    window: int = 1
    timeouts: Timeouts = Timeouts()


class _Exchange:
    """A request that was begun and has not been answered."""

    __slots__ = ("answered", "context_id", "instance", "is_sent", "message_id", "sent_at", "started", "status")

    def __init__(self, instance: Instance | None, context_id: int, message_id: int, started: float) -> None:
        self.instance = instance
        self.context_id = context_id
        self.message_id = message_id
        self.started = started
        self.sent_at = started
        self.is_sent = False
        self.status: int | None = None
        self.answered: asyncio.Future[None] | None = None


class Association:
    """Use :meth:`open`."""

    def __init__(
        self,
        connected: socket.socket,
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
        self.window = 1
        """Stores that may be outstanding, as negotiated; 0 is unlimited."""
        self.error: AssociationError | None = None
        """Why the association ended, when it did not end by our release."""
        self.data_bytes_sent = 0
        self._options = options
        self._on_attempt = on_attempt
        self._on_end = on_end
        self._returned: list[Instance] = []
        self._taking: Instance | None = None
        self._loop = asyncio.get_running_loop()
        self._upper = UpperLayer(options.maximum_length)
        self._messages = MessageReader()
        self._link = Link(connected, self._received, self._link_ended, self._drained)
        self._fragmenter = Fragmenter(0)
        self._templates: dict[str, StoreRequestTemplate] = {}
        self._transfer_syntaxes: dict[int, str] = {}
        self._queue: deque[Piece] = deque()
        self._outstanding: dict[int, _Exchange] = {}
        self._sending: _Exchange | None = None
        self._unreleased: list[Buffer] = []
        self._next_message_id = 1
        self._last_answered: int | None = None
        self._is_established = False
        self._step_done: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._peer_closed: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._progress_mark = (0.0, 0)

    def __repr__(self) -> str:
        called, state = self._options.called_ae_title, self._upper.state.value
        return f"<Association {called} Sta{state} {len(self._outstanding)} outstanding>"

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
        connected = await connect(host, port, options.timeouts.connect)
        association = cls(connected, f"{host}:{port}", number, options, on_attempt, on_end)
        try:
            await association._negotiate(tuple(contexts))
        except BaseException:
            await association.close()
            raise
        return association

    @property
    def unfinished(self) -> int:
        """Stores begun or queued."""
        return len(self._outstanding) + sum(piece.is_first for piece in self._queue)

    def current(self) -> tuple[Instance, float] | None:
        """The store that has been outstanding for longest, and when it was begun (:func:`time.monotonic`)."""
        for exchange in self._outstanding.values():
            if exchange.instance is not None:
                return exchange.instance, exchange.started
        return None

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Queue pieces of data sets whose contexts are :attr:`accepted`; a buffer is released when it has left."""
        for piece in pieces:
            if piece.is_first:
                self._taking = piece.instance
            elif piece.instance is not self._taking:
                piece.buffer.release()  # its store was withdrawn, or ended with the association
                continue
            self._queue.append(piece)
        if self.error is None:
            self._pump()
        else:
            self._take_back()

    def is_taking(self, instance: Instance) -> bool:
        """Whether further pieces of ``instance``, the one last submitted, are of use."""
        return self._taking is instance

    def withdraw(self) -> list[Instance]:
        """Take back the stores that have not begun; those under way go on."""
        self._take_back()
        returned, self._returned = self._returned, []
        self._check_settled()
        return returned

    def _take_back(self) -> None:
        kept: deque[Piece] = deque()
        is_kept = self._sending is not None
        for piece in self._queue:
            is_kept = is_kept and not piece.is_first
            if is_kept:
                kept.append(piece)
                continue
            piece.buffer.release()
            if piece.is_first:
                self._returned.append(piece.instance)
        self._queue = kept
        if self._sending is None or self._sending.instance is not self._taking:
            self._taking = None

    async def settled(self) -> None:
        """Wait until nothing is outstanding or queued, or the association has ended."""
        while (self._outstanding or self._queue) and self.error is None:
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
            raise ProtocolViolation(self.peer, "it did not accept the Verification SOP class")
        exchange = self._begin(None, context_id)
        exchange.answered = self._loop.create_future()
        exchange.is_sent = True
        self._link.send(self._fragmenter.command(context_id, echo_request(exchange.message_id)))
        await exchange.answered
        if exchange.status:
            raise ProtocolViolation(self.peer, f"it answered C-ECHO with status 0x{exchange.status:04X}")
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
            self.abort("it was closed")
        try:
            if self._upper.artim_running and not self._link.is_closed:
                self._peer_closed = self._loop.create_future()
                await asyncio.wait({self._peer_closed}, timeout=_ABORT_LINGER)
        finally:
            self._end_link()

    async def _negotiate(self, contexts: tuple[ProposedContext, ...]) -> None:
        options = self._options
        window = None if options.window == 1 else (options.window, 1)
        self._upper.associate(
            AssociateRequest(
                options.calling_ae_title, options.called_ae_title, contexts, options.maximum_length, window
            )
        )
        self._proposed = {context.id: context for context in contexts}
        self._flush()
        await self._step(options.timeouts.acse, "answer to the association request")
        self._is_established = True
        self._start_watch()

    async def _step(self, seconds: float | None, awaited: str) -> None:
        """Wait for the answer to an A-ASSOCIATE-RQ or A-RELEASE-RQ."""
        if self.error is not None:
            raise self.error
        self._step_done = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._step_done
        except TimeoutError:
            error = TimedOut(self.peer, awaited, seconds or 0.0, "-ta")
            self._fail(error, notify_peer=True)
            raise error from None
        finally:
            self._step_done = None

    # Callbacks of the link.

    def _received(self, data: memoryview) -> None:
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
                self._fail(ProtocolViolation(self.peer, violation.violation))
        if self._upper.outgoing:
            self._flush()
        if self._upper.must_close:
            self._end_link()
        elif self._queue:
            self._pump()

    def _link_ended(self, reason: str | None) -> None:
        for event in self._upper.link_closed():
            if isinstance(event, LinkClosed):
                self._fail(LinkLost(self.peer, reason or "the peer closed it"))
        self._end_link()

    def _drained(self) -> None:
        self._release_sent()
        self._pump()

    # What the peer said.

    def _indicated(self, event: UpperLayerEvent) -> None:
        if isinstance(event, Accepted):
            self._accepted(event.accept)
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
            self._fail(AssociationAborted(self.peer, event.source, event.reason))
        elif isinstance(event, Violated):
            self._fail(ProtocolViolation(self.peer, event.violation))

    def _accepted(self, accept: AssociateAccept) -> None:
        accepted: dict[tuple[str, str], int] = {}
        results: dict[tuple[str, str], str] = {}
        for context in accept.contexts:
            proposed = self._proposed.get(context.id)
            if proposed is None:
                raise InvalidPdu(f"it answered context {context.id}, which was not proposed", ABORT_INVALID_PARAMETER)
            if context.result == ACCEPTANCE:
                if context.transfer_syntax not in proposed.transfer_syntaxes:
                    raise InvalidPdu(
                        f"it accepted transfer syntax {context.transfer_syntax}, which was not proposed",
                        ABORT_INVALID_PARAMETER,
                    )
                accepted.setdefault((proposed.abstract_syntax, context.transfer_syntax), context.id)
                self._transfer_syntaxes[context.id] = context.transfer_syntax
            for transfer_syntax in proposed.transfer_syntaxes:
                results[proposed.abstract_syntax, transfer_syntax] = describe_result(context.result)
        self._fragmenter = Fragmenter(accept.maximum_length, self._options.send_length)
        self.accepted, self.results = accepted, results
        window = accept.window or (1, 1)
        self.window = self._agreed_window(window[0]) if self._options.window != 1 else 1
        _log.info(
            "association %d: %s (%s) accepted %d of %d presentation contexts, maximum length %d, window %d",
            self.number,
            self.peer,
            accept.implementation_version_name or accept.implementation_class_uid,
            len(self._transfer_syntaxes),
            len(self._proposed),
            accept.maximum_length,
            self.window,
        )
        if _negotiation_log.isEnabledFor(logging.INFO):
            for (abstract_syntax, transfer_syntax), words in results.items():
                _negotiation_log.info(
                    "association %d: %s in %s: %s", self.number, abstract_syntax, transfer_syntax, words
                )

    def _agreed_window(self, accepted: int) -> int:
        """The acceptor may lower what was proposed, not raise it; 0 is unlimited (PS3.7 D.3.3.3.1)."""
        proposed = self._options.window
        return min(proposed, accepted) if proposed and accepted else proposed or accepted

    def _message(self, received: object) -> None:
        if not isinstance(received, CommandReceived):
            raise InvalidPdu("a data set in a response that has none", ABORT_UNEXPECTED_PDU)
        context_id, command = received
        if command.field not in (CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP):
            raise InvalidPdu(f"a command 0x{command.field:04X} that answers nothing", ABORT_UNEXPECTED_PDU)
        exchange = self._outstanding.get(command.message_id or 0)
        if exchange is None:
            if command.message_id == self._last_answered:
                return
            raise InvalidPdu(
                f"a response to message id {command.message_id}, which is not outstanding", ABORT_UNEXPECTED_PDU
            )
        if context_id != exchange.context_id:
            raise InvalidPdu(
                f"a response in context {context_id} to a request in context {exchange.context_id}",
                ABORT_UNEXPECTED_PDU,
            )
        self._answered(exchange, command)

    def _answered(self, exchange: _Exchange, command: Command) -> None:
        if command.status is None or command.has_data_set:
            raise InvalidPdu("a response without a status, or with a data set", ABORT_INVALID_PARAMETER)
        if command.status in PENDING:
            return
        exchange.status = command.status
        if exchange.is_sent:
            self._finish(exchange)

    # Requests.

    def _begin(self, instance: Instance | None, context_id: int) -> _Exchange:
        message_id = self._next_message_id
        while message_id in self._outstanding or message_id == 0:
            message_id = (message_id + 1) % _MESSAGE_IDS
        self._next_message_id = (message_id + 1) % _MESSAGE_IDS
        exchange = self._outstanding[message_id] = _Exchange(instance, context_id, message_id, time.monotonic())
        return exchange

    def _begin_store(self, instance: Instance) -> list[pdu.Buffer]:
        context_id = self.accepted[instance.sop_class_uid, instance.transfer_syntax_uid]
        template = self._templates.get(instance.sop_class_uid)
        if template is None:
            template = self._templates[instance.sop_class_uid] = StoreRequestTemplate(instance.sop_class_uid)
        exchange = self._sending = self._begin(instance, context_id)
        return self._fragmenter.command(
            context_id, template.command_set(exchange.message_id, instance.sop_instance_uid)
        )

    def _pump(self) -> None:
        """Send what may be sent now."""
        while self._queue and self.error is None and not self._link.is_blocked:
            buffers: list[pdu.Buffer] = []
            answered: list[_Exchange] = []
            gathered = 0
            while self._queue and gathered < _GATHERED:
                exchange = self._may_send(self._queue[0], buffers)
                if exchange is None:
                    break
                piece = self._queue.popleft()
                buffers += self._fragmenter.fragments(exchange.context_id, piece.data, last=piece.is_last)
                gathered += len(piece.data)
                self._unreleased.append(piece.buffer)
                if piece.is_last:
                    self._sending = None
                    exchange.is_sent = True
                    exchange.sent_at = time.monotonic()
                    if exchange.status is not None:
                        answered.append(exchange)
            if not buffers:
                return
            self.data_bytes_sent += gathered
            self._link.send(buffers)
            if not self._link.is_blocked:
                self._release_sent()
            for exchange in answered:
                self._finish(exchange)

    def _may_send(self, piece: Piece, buffers: list[pdu.Buffer]) -> _Exchange | None:
        """The exchange that ``piece`` belongs to, begun if it is the first; ``None`` where it has to wait."""
        if piece.is_first:
            if self.window and len(self._outstanding) >= self.window:
                return None
            buffers += self._begin_store(piece.instance)
        elif piece.problem is not None:
            self._unreadable(piece, is_last_in_line=not buffers)
            return None
        return self._sending

    def _unreadable(self, piece: Piece, *, is_last_in_line: bool) -> None:
        """A data set cannot be read on, so its request cannot be completed: abort, when nothing else is outstanding."""
        if len(self._outstanding) > 1 or not is_last_in_line:
            return
        self._queue.popleft()
        piece.buffer.release()
        if self._sending is not None and piece.problem is not None:
            exchange, self._sending = self._sending, None
            del self._outstanding[exchange.message_id]
            self._report(exchange, piece.problem)
        self.abort("a file could not be read to its end")

    def _release_sent(self) -> None:
        for buffer in self._unreleased:
            buffer.release()
        self._unreleased.clear()

    def _finish(self, exchange: _Exchange) -> None:
        """The response has come and the request has been sent."""
        del self._outstanding[exchange.message_id]
        self._last_answered = exchange.message_id
        if exchange.answered is not None:
            if not exchange.answered.done():
                exchange.answered.set_result(None)
        else:
            self._report(exchange, None)
        self._check_settled()

    def _report(self, exchange: _Exchange, error: AssociationError | Unsendable | None) -> None:
        if exchange.instance is not None:
            self._on_attempt(
                Attempt(
                    exchange.instance,
                    self.number,
                    self._transfer_syntaxes[exchange.context_id],
                    time.monotonic() - exchange.started,
                    exchange.status if error is None else None,
                    error,
                )
            )

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
        outstanding, self._outstanding, self._sending = self._outstanding, {}, None
        for exchange in outstanding.values():
            if exchange.answered is None:
                self._report(exchange, error)
            elif not exchange.answered.done():
                exchange.answered.set_exception(error)
        self._take_back()
        self._check_settled()
        if self._is_established:
            _log.info("association %d: %s", self.number, error)
            self._on_end()

    def _complete_step(self) -> None:
        if self._step_done is not None and not self._step_done.done():
            self._step_done.set_result(None)

    def _check_settled(self) -> None:
        if self._settled is not None and (self.error is not None or not (self._outstanding or self._queue)):
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

    # Deadlines: one look at the clock now and then instead of a timer per store.

    def _start_watch(self) -> None:
        limits = [seconds for seconds in (self._options.timeouts.socket, self._options.timeouts.dimse) if seconds]
        if limits:
            self._watch_interval = min(1.0, *(seconds / 4 for seconds in limits))
            self._progress_mark = (time.monotonic(), self._link.bytes_sent)
            self._watch = self._loop.call_later(self._watch_interval, self._look)

    def _look(self) -> None:
        self._watch = self._loop.call_later(self._watch_interval, self._look)
        error = self._overdue(time.monotonic())
        if error is not None:
            self._fail(error, notify_peer=True)

    def _overdue(self, now: float) -> AssociationError | None:
        timeouts = self._options.timeouts
        if self._link.is_blocked:
            marked, bytes_then = self._progress_mark
            taken = self._link.bytes_sent - bytes_then
            if timeouts.socket and not taken and now - marked > timeouts.socket:
                return TimedOut(self.peer, "data taken by the peer", timeouts.socket, "-ts")
            if timeouts.dimse and taken < self._fragmenter.fragment_length and now - marked > timeouts.dimse:
                return TimedOut(self.peer, "noteworthy part of a C-STORE-RQ taken by the peer", timeouts.dimse, "-td")
            if taken >= (self._fragmenter.fragment_length if timeouts.dimse else 1):
                self._progress_mark = (now, self._link.bytes_sent)
            return None
        self._progress_mark = (now, self._link.bytes_sent)
        oldest = next(iter(self._outstanding.values()), None)
        if timeouts.dimse and oldest is not None and oldest.is_sent and now - oldest.sent_at > timeouts.dimse:
            return TimedOut(self.peer, "response", timeouts.dimse, "-td")
        return None
