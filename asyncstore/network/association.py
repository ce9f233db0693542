"""An established association as requestor, as an asyncio object: store with it, release or abort it, close it.

Rules:

1. The hot path has no task and no future. :meth:`Association.submit` and :meth:`Association.submit_whole` queue stores,
   which go out as far as the window and the socket allow. The callback that receives a response sends the next store.
   (:mod:`asyncstore.protocol.requests` decides what to send, and which request a response answers.)
2. Each store that has begun is reported once to ``on_attempt``, when its response comes or the association ends.
3. An association ends once, with one error or by release. At its end ``on_end`` is called, and :meth:`withdraw` gives
   back the stores that have not begun.
4. :meth:`Association.close` must be called in the end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.errors import (
    AssociationAborted,
    AssociationError,
    AssociationReleased,
    EchoRefused,
    InvalidPdu,
    ProtocolViolation,
)
from asyncstore.model import Attempt
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.deadlines import Deadlines
from asyncstore.network.requestor import Requestor
from asyncstore.protocol.command import VERIFICATION
from asyncstore.protocol.known_responses import KnownResponses, is_lone_head
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import ABORT_UNEXPECTED_PDU, Fragment
from asyncstore.protocol.requests import Exchange, Requests
from asyncstore.protocol.status import describe
from asyncstore.protocol.upper_layer import Aborted, Released, ReleaseRequested, UpperLayerEvent, Violated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncstore.errors import TlsFailed
    from asyncstore.model import Instance, Memory, OnAttempt, Piece, Unsendable
    from asyncstore.network.link import Link
    from asyncstore.network.throttle import Throttle
    from asyncstore.network.timeouts import Timeouts
    from asyncstore.protocol.associate import AssociateAccept
    from asyncstore.protocol.deviations import Notice
    from asyncstore.protocol.pdu import Fragmenter
    from asyncstore.protocol.requests import Load
    from asyncstore.protocol.upper_layer import UpperLayer

_log = logging.getLogger(__name__)

_RELEASE_LIMIT = 30.0
"""Seconds to wait for the answer to a release without an ACSE timeout: no outcome depends on it."""

_MOST_GATHERS = 16
"""Gather writes, one after the other, before the event loop has its turn: to a fast peer with a tiny maximum length a
large instance takes thousands of them."""


_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class Terms(NamedTuple):
    """What the negotiation agreed on."""

    accepted: Mapping[tuple[str, str], int]
    """The contexts to use: (abstract syntax, transfer syntax) to context id."""
    results: Mapping[tuple[str, str], str]
    """The peer's answer to each proposed (abstract syntax, transfer syntax), in words."""
    transfer_syntaxes: Mapping[int, str]
    """Of every accepted context."""
    fragmenter: Fragmenter
    """Cuts messages to the peer's maximum length."""
    window: int
    """Requests that may be outstanding; 0 is unlimited."""
    timeouts: Timeouts
    notice: Notice
    """Called for each harmless deviation of the peer."""
    throttle: Throttle | None = None
    """Limits the bytes that are sent."""
    accept: AssociateAccept | None = None
    """The A-ASSOCIATE-AC itself."""


class Steps(NamedTuple):
    """How many seconds each step of opening an association took."""

    connect: float = 0.0
    """Name resolution and the TCP connection."""
    tls: float = 0.0
    """The TLS handshake; 0 without TLS."""
    associate: float = 0.0
    """From the A-ASSOCIATE-RQ to its answer."""


class Reports(NamedTuple):
    """Where an association reports to."""

    number: int
    """The number of the association in this run, from 1."""
    on_attempt: OnAttempt
    """Called for each store that has begun, when its response comes or the association ends."""
    on_end: Callable[[], None]
    """Called once, when the association ends without our release."""


class Association(Requestor):
    """An established association; :func:`asyncstore.network.opening.open_association` makes it.

    Args:
        link: the connection.
        upper: the upper layer, after the A-ASSOCIATE-AC.
        peer: host and port, for errors.
        terms: the result of the negotiation.
        reports: its number and its callbacks.
    """

    def __init__(self, link: Link, upper: UpperLayer, peer: str, terms: Terms, reports: Reports) -> None:
        super().__init__(peer, upper, may_be_wrong_port=False)
        self.number, self._on_attempt, self._on_end = reports
        self.accepted = terms.accepted
        self.results = terms.results
        self.data_bytes_sent = 0
        """Data set bytes handed to the network."""
        self.steps = Steps()
        """How long opening it took."""
        self._transfer_syntaxes = terms.transfer_syntaxes
        self._timeouts = terms.timeouts
        self._messages = MessageReader(terms.notice)
        self._known = KnownResponses()
        self._requests = Requests(
            terms.accepted, terms.fragmenter, terms.window, time.monotonic, terms.transfer_syntaxes, terms.notice
        )
        self._is_between_messages = False
        """Whether the next byte begins a PDU and a message."""
        self._head = b""
        """The headers of a P-DATA-TF that came alone."""
        self._whole = b""
        """The bytes being read in full, if they begin with a PDU."""
        self._unreleased: list[Memory] = []
        self._returned: list[Instance] = []
        self._echoes: dict[int, asyncio.Future[int]] = {}
        self._released: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._is_stuck = False
        """Whether the next instance cannot be loaded at once."""
        self._deadlines = Deadlines(peer, terms.timeouts, terms.fragmenter.fragment_length, time.monotonic())
        self._watch: asyncio.TimerHandle | None = None
        self._link = link
        link.hand_over(self._received, self._link_ended, self._drained)
        if terms.throttle is not None:
            link.throttle(terms.throttle)
        self._look()

    def __repr__(self) -> str:
        state, outstanding = self._upper.state.value, self._requests.outstanding
        return f"<Association {self.peer} Sta{state} {outstanding} outstanding>"

    @property
    def is_idle(self) -> bool:
        """Whether nothing is outstanding or queued."""
        return self._requests.is_idle

    @property
    def in_hand(self) -> int:
        """How many stores are outstanding or queued."""
        return self._requests.stores

    def current(self) -> tuple[Instance, float] | None:
        """The oldest outstanding store, and when it began (:func:`time.monotonic`)."""
        oldest = self._requests.oldest
        return (oldest.instance, oldest.started) if oldest is not None and oldest.instance is not None else None

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Queue pieces of data sets in accepted contexts. The network releases each buffer after it was sent."""
        self._requests.submit(pieces)
        if self.error is None:
            self._pump()
        else:
            self._returned += self._requests.take_back()

    def submit_whole(self, instances: Iterable[Instance], load: Load) -> None:
        """Queue instances in accepted contexts; ``load`` gives their data sets at their turn."""
        self._requests.submit_whole(instances, load)
        if self.error is None:
            self._pump()
        else:
            self._returned += self._requests.take_back()

    async def taken(self) -> list[Instance]:
        """Wait until all submitted instances have begun, or one of them cannot be loaded at once.

        Returns that one and all behind it; they are no longer queued.
        """
        while self.error is None and self._requests.has_queued and not self._is_stuck:
            if self._taken is None:
                self._taken = self._loop.create_future()
            await asyncio.shield(self._taken)
        is_stuck, self._is_stuck = self._is_stuck, False
        return self._requests.take_back() if is_stuck and self.error is None else []

    def is_taking(self, instance: Instance) -> bool:
        """Whether to submit further pieces of ``instance``, the one last submitted."""
        return self._requests.is_taking(instance)

    def withdraw(self) -> list[Instance]:
        """Give back the stores that have not begun; the others go on."""
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
        """Release the association; nothing may be outstanding. A peer that does not answer is only logged."""
        if self.error is not None or not self._upper.can_send_data:
            return
        released = self._released = self._loop.create_future()
        self._upper.release()
        self._flush()
        try:
            with suppress(AssociationError):  # it is in the log
                await self._answer(released, self._timeouts.acse or _RELEASE_LIMIT, "answer to the release request")
        finally:
            self._released = None

    # Callbacks of the link.

    def _received(self, data: memoryview) -> None:
        if not self._is_between_messages:
            self._read(data, b"")
            return
        pdu = self._head + bytes(data) if self._head else bytes(data)
        answer = self._known.answer(pdu)
        exchange = self._requests.recognised(answer) if answer is not None else None
        if exchange is not None:
            self._head = b""
            self._report(exchange)
            if self._settled is not None:
                self._check_settled()
            self._pump()
        elif is_lone_head(pdu):
            self._head = pdu
        else:
            self._head = b""
            self._read(memoryview(pdu), pdu)

    def _read(self, data: memoryview, whole: bytes) -> None:
        """Read received bytes in full; they are also in ``whole`` if they begin with a PDU."""
        self._whole = whole
        self.proceed(self._upper.receive(data))

    def proceed(self, events: Iterable[UpperLayerEvent]) -> None:
        """Take events of the upper layer, and send what may follow."""
        for event in events:
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
        self._release_sent()  # a file that was cut short while it was sent ends the link
        super()._link_ended(reason)

    def _drained(self) -> None:
        self._release_sent()
        self._pump()

    # Events.

    def _indicated(self, event: UpperLayerEvent) -> None:
        if isinstance(event, Released):
            if self._released is not None and not self._released.done():
                self._released.set_result(None)
        elif isinstance(event, ReleaseRequested):
            self._upper.answer_release()
            if not self._upper.is_over:
                return  # a release collision: the peer must still answer ours (PS3.8 9.2.2.4, Sta11)
            self._fail(AssociationReleased(self.peer))
        elif isinstance(event, Aborted):
            self._fail(AssociationAborted(self.peer, event.source, event.reason, self._requests.outstanding))
        elif isinstance(event, Violated):
            self._fail(ProtocolViolation(self.peer, event.violation, speaks_dicom=True, speaks=event.speaks))

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
        """Send what may be sent now. A link that has ended takes nothing; the callback about its end comes later."""
        requests, link = self._requests, self._link
        if self.error is not None or not link.is_ready:
            return
        short = requests.next_short()
        if short is not None:
            pdus, size = short
            self.data_bytes_sent += size
            link.send_one(pdus)
            if self._taken is not None and not requests.has_queued:
                self._check_taken()
            return
        for _ in range(_MOST_GATHERS):
            if self.error is not None or not requests.goes_on or not link.is_ready:
                return
            gathered = requests.gather()
            if not gathered.buffers:
                self._is_stuck = requests.is_stuck
                self._check_taken()
                self._give_up_unreadable()
                return
            self.data_bytes_sent += gathered.payload
            self._unreleased += gathered.spent
            link.send(gathered.buffers)
            if self._unreleased and not link.is_blocked:
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
        """Release the buffers that were sent, and give up the store of a file that has changed meanwhile."""
        sent, self._unreleased = self._unreleased, []
        for problem in [buffer.release() for buffer in sent]:
            exchange = self._requests.spoiled(problem.path) if problem is not None else None
            if exchange is not None:
                self._report(exchange, problem)
                self.abort("a file was changed while it was sent")

    def _check_taken(self) -> None:
        if self._taken is not None and (self._is_stuck or self.error is not None or not self._requests.has_queued):
            if not self._taken.done():
                self._taken.set_result(None)
            self._taken = None

    def _finished(self, exchange: Exchange) -> None:
        """The response has come, and the whole request has been sent."""
        if exchange.instance is not None:
            self._report(exchange)
        else:
            answered = self._echoes.pop(exchange.message_id)
            if not answered.done():
                answered.set_result(exchange.status or 0)
        self._check_settled()

    def _report(self, exchange: Exchange, error: AssociationError | Unsendable | None = None) -> None:
        """Report how a store ended: by its response, or by ``error``."""
        instance = exchange.instance
        if instance is not None:
            sent_as = self._transfer_syntaxes[exchange.context_id]
            seconds = time.monotonic() - exchange.started
            status = exchange.status if error is None else None
            fields = self.number, instance.identity.sop_instance_uid, sent_as, seconds, status
            self._on_attempt(instance, _new_tuple(Attempt, fields), error)

    # Ends.

    def _failed(self, error: AssociationError) -> None:
        if self._released is not None and not self._released.done():
            self._released.set_exception(error)
        for exchange in self._requests.end():
            self._report(exchange, error)
        for answered in self._echoes.values():
            if not answered.done():
                answered.set_exception(error)
        self._returned += self._requests.take_back()
        self._check_settled()
        _log.info("association %d: %s", self.number, error)
        self._on_end()

    def _check_settled(self) -> None:
        self._check_taken()
        if self._settled is not None and (self.error is not None or self._requests.is_idle):
            if not self._settled.done():
                self._settled.set_result(None)
            self._settled = None

    def _end_link(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super()._end_link()
        self._release_sent()

    def _look(self) -> None:
        """Look at intervals whether the peer takes too long."""
        if self._deadlines.interval is None:
            return
        self._watch = self._loop.call_later(self._deadlines.interval, self._look)
        error = self._deadlines.overdue(self._link, self._requests, time.monotonic())
        if error is not None:
            self._fail(error, notify_peer=True)
