"""The requests of one association: what may be sent now, and which response answers which. No I/O, no clock of its own.

Rules:

1. Instances and pieces of data sets are queued in order. A store begins when the asynchronous operations window has
   room (PS3.7 D.3.3.3), and its fragments follow each other without another message's between them. The data set of an
   instance is loaded at its turn: it is in memory, or the page cache has it. Others come in pieces.
2. Responses are matched by Message ID Being Responded To, in any order, and in any accepted context: message ids are
   unique on an association, and Odil answers in another context of the same SOP class. A response to nothing that is
   outstanding is a violation, except a repetition of the last one.
3. A response that comes before its request has been sent completely counts when the request has been: the rest is sent
   nevertheless, for otherwise the peer would take what follows for it.
4. A data set that cannot be read to its end blocks the queue; when nothing else is outstanding any more it comes out as
   :meth:`Requests.unreadable`, and the association has to be aborted: there is no other way to end a message halfway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import InvalidPdu
from asyncstore.model import Instance, Piece
from asyncstore.protocol.command import Command, CommandField, StoreRequestHead, StoreRequestTemplate, echo_request
from asyncstore.protocol.deviations import Deviation, Notice, unnoticed
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, Fragmenter
from asyncstore.protocol.status import PENDING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from asyncstore.model import Memory, Unsendable
    from asyncstore.protocol import pdu
    from asyncstore.protocol.known_responses import Answer

_GATHERED = 1 << 21
"""Bytes put into one gather write at most; the kernel takes a few megabytes at once."""

_MOST_BUFFERS = 4096
"""Buffers put into one gather write at most. With the usual maximum lengths the bytes are the limit; with a tiny one
each two bytes would need two buffers of a hundred bytes, and what a slow peer does not take waits in memory."""

_MESSAGE_IDS = 1 << 16

_MOST_OUTSTANDING = 4096
"""What an unlimited window is taken for: far more than any link needs, and message ids do not run out."""

_JOINED = 1 << 15
"""Bytes of a data set up to which it is copied behind its request: one buffer is sent faster than three."""

_RESPONSES = (CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP)


Load = Callable[[Instance], Piece | None]
"""Gives an instance as a single piece, valid until the next call; ``None`` where it would have to be waited for."""


class Exchange:
    """A request that has begun, and its response once it has come."""

    __slots__ = ("context_id", "instance", "is_sent", "message_id", "sent_at", "started", "status")

    def __init__(self, instance: Instance | None, context_id: int, message_id: int, started: float) -> None:
        self.instance = instance
        """What is stored; ``None``: it is a C-ECHO."""
        self.context_id = context_id
        self.message_id = message_id
        self.started = started
        self.sent_at = started
        """When its last byte was handed out."""
        self.is_sent = False
        self.status: int | None = None


class Gathered(NamedTuple):
    """What is to be sent now."""

    buffers: list[pdu.Octets]
    """For a gather write; empty when nothing may be sent."""
    payload: int
    """Data set bytes among them."""
    spent: list[Memory]
    """To be released when the buffers have been taken by the network."""
    finished: list[Exchange]
    """Those that were answered before, and whose last byte is now among the buffers."""


class Requests:
    """The requests of one association.

    Args:
        contexts: the accepted contexts: (abstract syntax, transfer syntax) to context id.
        fragmenter: cuts messages as the peer wants them.
        window: requests that may be outstanding; 0 is unlimited.
        clock: seconds, for :class:`Exchange`.
        answerable: the ids of all accepted contexts, in which responses may come; ``None``: those of ``contexts``.
        notice: takes notice of responses in another context than the request's.
    """

    def __init__(
        self,
        contexts: Mapping[tuple[str, str], int],
        fragmenter: Fragmenter,
        window: int,
        clock: Callable[[], float],
        answerable: Collection[int] | None = None,
        notice: Notice = unnoticed,
    ) -> None:
        self._contexts = contexts
        self._answerable = frozenset(contexts.values() if answerable is None else answerable)
        self._notice = notice
        self._fragmenter = fragmenter
        self._most_at_once = min(_GATHERED, _MOST_BUFFERS // 2 * fragmenter.fragment_length)
        self._window = min(window, _MOST_OUTSTANDING) or _MOST_OUTSTANDING
        self._clock = clock
        self._templates: dict[str, StoreRequestTemplate] = {}
        self._heads: dict[tuple[int, int], StoreRequestHead | None] = {}
        """By context id and length of the SOP instance UID; ``None`` where a C-STORE-RQ takes several PDUs."""
        self._queue: deque[Instance | Piece] = deque()
        self._load: Load = _nothing
        self._outstanding: dict[int, Exchange] = {}
        self._sending: Exchange | None = None
        self._taking: Instance | None = None
        self._next_message_id = 1
        self.last_answered: int | None = None
        """The message id of the request that was finished last."""
        self.is_repeating = False
        """Whether the last response was ignored, because it answered :attr:`last_answered` once more."""

    @property
    def outstanding(self) -> int:
        """Requests begun and not finished."""
        return len(self._outstanding)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is outstanding or queued."""
        return not (self._outstanding or self._queue)

    @property
    def stores(self) -> int:
        """Stores outstanding or queued."""
        return len(self._outstanding) + sum(_is_first(item) for item in self._queue)

    @property
    def has_queued(self) -> bool:
        """Whether instances or pieces wait for their turn."""
        return bool(self._queue)

    @property
    def is_stuck(self) -> bool:
        """Whether the next in the queue is an instance: if it has its turn, it could not be loaded."""
        return bool(self._queue) and isinstance(self._queue[0], Instance)

    @property
    def goes_on(self) -> bool:
        """Whether to gather before the next response: for a store under way, or one the window has room for."""
        queue = self._queue
        return bool(queue) and (not _is_first(queue[0]) or len(self._outstanding) < self._window)

    @property
    def oldest(self) -> Exchange | None:
        """The exchange that has been outstanding for longest."""
        return next(iter(self._outstanding.values()), None)

    def submit_whole(self, instances: Iterable[Instance], load: Load) -> None:
        """Queue instances whose data sets ``load`` gives at their turn."""
        self._load = load
        self._queue.extend(instances)

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Queue pieces; those of a store that was taken back meanwhile are dropped."""
        for piece in pieces:
            if piece.is_first:
                if piece.problem is not None:
                    raise ValueError("a piece with a problem cannot begin a store")
                self._taking = piece.instance
            elif piece.instance is not self._taking:
                piece.buffer.release()
                continue
            self._queue.append(piece)

    def is_taking(self, instance: Instance) -> bool:
        """Whether further pieces of ``instance``, the one last submitted, are of use."""
        return self._taking is instance

    def take_back(self) -> list[Instance]:
        """Forget the stores that have not begun; they come out as they went in."""
        returned: list[Instance] = []
        kept: deque[Instance | Piece] = deque()
        is_kept = self._sending is not None
        for piece in self._queue:
            if isinstance(piece, Instance):
                is_kept = False
                returned.append(piece)
                continue
            is_kept = is_kept and not piece.is_first
            if is_kept:
                kept.append(piece)
                continue
            piece.buffer.release()
            if piece.is_first:
                returned.append(piece.instance)
        self._queue = kept
        if self._sending is None or self._sending.instance is not self._taking:
            self._taking = None
        return returned

    def gather(self) -> Gathered:
        """What may be sent now, up to a few megabytes; it counts as sent."""
        buffers: list[pdu.Octets] = []
        spent: list[Memory] = []
        finished: list[Exchange] = []
        is_loaded = False
        payload = 0
        while self.goes_on and payload < _GATHERED and len(buffers) < _MOST_BUFFERS:
            item = self._queue[0]
            if not isinstance(item, Instance):
                taken = self._take_piece(item, buffers, spent, finished)
            elif is_loaded and item.data is None:
                break  # the memory that data sets are loaded into holds one that has not left
            else:
                taken = self._take_whole(item, buffers, spent)
                is_loaded |= item.data is None
            if taken is None:
                break
            payload += taken
        return Gathered(buffers, payload, spent, finished)

    def _take_whole(self, instance: Instance, buffers: list[pdu.Octets], spent: list[Memory]) -> int | None:
        """Begin and end the store of an instance; its bytes, ``None`` if it must come in pieces."""
        if instance.length > self._most_at_once:
            return None
        data: bytes | memoryview | None = instance.data
        if data is None:
            piece = self._load(instance)
            if piece is None:
                return None
            data = piece.data
            spent.append(piece.buffer)
        self._queue.popleft()
        self._store_whole(instance, data, buffers)
        return len(data)

    def _take_piece(
        self, piece: Piece, buffers: list[pdu.Octets], spent: list[Memory], finished: list[Exchange]
    ) -> int | None:
        """Send a piece, or a part of a large one; its bytes, ``None`` where it cannot be sent now."""
        if piece.is_first:
            buffers += self._begin_store(piece.instance)
        exchange = self._sending
        if exchange is None or (piece.problem is not None and not piece.is_first):
            return None
        if len(piece.data) > self._most_at_once:
            buffers += self._fragmenter.fragments(exchange.context_id, self._cut(piece), last=False)
            return self._most_at_once
        self._queue.popleft()
        buffers += self._fragmenter.fragments(exchange.context_id, piece.data, last=piece.is_last)
        spent.append(piece.buffer)
        if piece.is_last:
            self._sending = None
            exchange.is_sent = True
            exchange.sent_at = self._clock()
            if exchange.status is not None:
                self._forget(exchange)
                finished.append(exchange)
        return len(piece.data)

    def unreadable(self) -> tuple[Exchange, Unsendable] | None:
        """The store that cannot be completed, when it is the only one left outstanding; it is forgotten."""
        piece = self._queue[0] if self._queue else None
        exchange = self._sending
        if not isinstance(piece, Piece) or piece.problem is None or exchange is None or len(self._outstanding) > 1:
            return None
        self._queue.popleft()
        piece.buffer.release()
        self._sending = None
        self._forget(exchange)
        return exchange, piece.problem

    def spoiled(self, path: str) -> Exchange | None:
        """The file at ``path`` was changed while it was sent: its store, if it is outstanding; it is forgotten."""
        for exchange in self._outstanding.values():
            if exchange.instance is not None and exchange.instance.path == path:
                if exchange is self._sending:
                    self._sending = None
                self._forget(exchange)
                return exchange
        return None

    def echo(self, context_id: int) -> tuple[Exchange, list[pdu.Octets]]:
        """Begin a C-ECHO; its PDUs count as sent."""
        exchange = self._begin(None, context_id)
        exchange.is_sent = True
        return exchange, self._fragmenter.command(context_id, echo_request(exchange.message_id))

    def answered(self, context_id: int, command: Command) -> Exchange | None:
        """A command has come: the exchange it finishes, with its status; ``None`` where it finishes none.

        Raises:
            InvalidPdu: it answers nothing.
        """
        if command.field not in _RESPONSES:
            raise InvalidPdu(f"a command 0x{command.field:04X} that answers nothing", ABORT_UNEXPECTED_PDU)
        message_id, status = command.message_id, command.status
        exchange = self._outstanding.get(message_id or 0)
        if exchange is None:
            self._check_repetition(message_id)
            return None
        expected = CommandField.C_ECHO_RSP if exchange.instance is None else CommandField.C_STORE_RSP
        if command.field != expected:
            complaint = (
                f"a command 0x{command.field:04X} in answer to message id {message_id}, where {expected.name} belongs"
            )
            raise InvalidPdu(complaint, ABORT_UNEXPECTED_PDU)
        if context_id != exchange.context_id:
            self._check_other_context(context_id)
        if status is None or command.has_data_set:
            raise InvalidPdu("a response without a status, or with a data set", ABORT_INVALID_PARAMETER)
        if status in PENDING:
            return None
        exchange.status = status
        if not exchange.is_sent:
            return None
        self._forget(exchange)
        return exchange

    def recognised(self, answer: Answer) -> Exchange | None:
        """The store that a recognised response finishes, with its status; ``None`` where it must be read in full."""
        exchange = self._outstanding.get(answer.message_id)
        if exchange is None or exchange.instance is None or not exchange.is_sent:
            return None
        if answer.context_id != exchange.context_id or answer.status in PENDING:
            return None
        exchange.status = answer.status
        self._forget(exchange)
        return exchange

    def end(self) -> list[Exchange]:
        """The association has ended: what was outstanding."""
        outstanding = list(self._outstanding.values())
        self._outstanding.clear()
        self._sending = None
        return outstanding

    def _check_repetition(self, message_id: int | None) -> None:
        """See that a response to no outstanding request repeats the last one."""
        if message_id is None:
            raise InvalidPdu("a response that does not say which message it answers", ABORT_INVALID_PARAMETER)
        if message_id != self.last_answered:
            complaint = f"a response to message id {message_id}, which is not outstanding"
            raise InvalidPdu(complaint, ABORT_UNEXPECTED_PDU)
        self.is_repeating = True

    def _check_other_context(self, context_id: int) -> None:
        """See that a response in another context than its request's is in an accepted one."""
        if context_id not in self._answerable:
            raise InvalidPdu(f"a response in context {context_id}, which was not accepted", ABORT_UNEXPECTED_PDU)
        self._notice(Deviation.OTHER_CONTEXT)

    def _store_whole(self, instance: Instance, data: bytes | memoryview, buffers: list[pdu.Octets]) -> None:
        """Begin and end a store whose whole data set is ``data``."""
        if len(data) & 1:  # deflated (PS3.5 A.5)
            data = bytes(data) + b"\0"
        size = len(data)
        context_id = self._contexts[instance.sop_class_uid, instance.transfer_syntax_uid]
        key = context_id, len(instance.sop_instance_uid)
        head = self._heads[key] if key in self._heads else self._head(key, instance)
        if head is None:
            buffers += self._begin_store(instance)
            buffers += self._fragmenter.fragments(context_id, memoryview(data), last=True)
            exchange = self._sending
            self._sending = None
        else:
            exchange = self._begin(instance, context_id)
            request = head.pdu(exchange.message_id, instance.sop_instance_uid)
            if size <= _JOINED and size <= self._fragmenter.fragment_length:
                buffers.append(b"".join((request, self._fragmenter.last_header(context_id, size), data)))
            else:
                buffers.append(request)
                buffers += self._fragmenter.fragments(context_id, memoryview(data), last=True)
        if exchange is not None:
            exchange.is_sent = True

    def _head(self, key: tuple[int, int], instance: Instance) -> StoreRequestHead | None:
        context_id, _ = key
        pdus = self._fragmenter.command(context_id, self._template(instance).command_set(0, instance.sop_instance_uid))
        head = self._heads[key] = StoreRequestHead.of(bytes(pdus[0])) if len(pdus) == 1 else None
        return head

    def _template(self, instance: Instance) -> StoreRequestTemplate:
        template = self._templates.get(instance.sop_class_uid)
        if template is None:
            template = self._templates[instance.sop_class_uid] = StoreRequestTemplate(instance.sop_class_uid)
        return template

    def _cut(self, piece: Piece) -> memoryview:
        """The part of the first piece in the queue that goes out now; the rest of it is left there."""
        self._queue[0] = piece._replace(data=piece.data[self._most_at_once :], is_first=False)
        return piece.data[: self._most_at_once]

    def _begin(self, instance: Instance | None, context_id: int) -> Exchange:
        message_id = self._next_message_id
        while message_id in self._outstanding or message_id == 0:
            message_id = (message_id + 1) % _MESSAGE_IDS
        self._next_message_id = (message_id + 1) % _MESSAGE_IDS
        exchange = self._outstanding[message_id] = Exchange(instance, context_id, message_id, self._clock())
        return exchange

    def _begin_store(self, instance: Instance) -> list[pdu.Octets]:
        context_id = self._contexts[instance.sop_class_uid, instance.transfer_syntax_uid]
        exchange = self._sending = self._begin(instance, context_id)
        command_set = self._template(instance).command_set(exchange.message_id, instance.sop_instance_uid)
        return self._fragmenter.command(context_id, command_set)

    def _forget(self, exchange: Exchange) -> None:
        del self._outstanding[exchange.message_id]
        self.is_repeating = False
        self.last_answered = exchange.message_id


def _is_first(item: Instance | Piece) -> bool:
    """Whether a store begins with it."""
    return isinstance(item, Instance) or item.is_first


def _nothing(_instance: Instance) -> Piece | None:
    return None
