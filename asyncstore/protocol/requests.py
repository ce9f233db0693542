"""The requests of one association: what to send now, and which request a response answers. No I/O, no clock of its own.

Rules:

1. Instances and pieces of data sets are queued in order. A store begins when the asynchronous operations window has
   room (PS3.7 D.3.3.3). No other message comes between its fragments. An instance's data set is loaded at its turn, if
   it is in memory or in the page cache. All others come in pieces.
2. Message ID Being Responded To says which request a response answers. Responses may come in any order, and in any
   accepted context: message ids are unique on an association, and Odil answers in another context of the same SOP
   class. A response to a message id that is not outstanding is a violation, unless it repeats the last response.
3. A response may come before the whole request has been sent. It counts after the last byte, and the rest is sent all
   the same: otherwise the peer would read the next message as a part of this one.
4. If a data set cannot be read to its end, the queue stops there. Once no other request is outstanding,
   :meth:`Requests.unreadable` gives the store, and the association must be aborted: DICOM has no other way to end a
   message early.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from asyncstore.errors import InvalidPdu
from asyncstore.model import Instance, Piece
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.command import Command, CommandField, StoreRequestHead, echo_request, store_request
from asyncstore.protocol.deviations import Deviation, Notice, unnoticed
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, LAST, Fragmenter, data_header
from asyncstore.protocol.status import PENDING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from asyncstore.model import Memory, Unsendable
    from asyncstore.protocol import pdu
    from asyncstore.protocol.known_responses import Answer

_GATHERED = 1 << 21
"""The most bytes of one gather write; the kernel takes a few megabytes at once."""

_MOST_BUFFERS = 4096
"""The most buffers of one gather write. With usual maximum lengths the bytes are the limit. With a tiny one, each two
bytes need two buffers of a hundred bytes, and they wait in memory while the peer does not take them."""

_MESSAGE_IDS = 1 << 16

MOST_OUTSTANDING = 4096
"""Stands for an unlimited window: far more than any link needs, and far fewer than there are message ids."""

JOINED = 1 << 15
"""The longest data set that is copied behind its request: one buffer is sent faster than three."""

_RESPONSES = (CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP)


Load = Callable[[Instance], Piece | None]
"""Gives an instance as a single piece, valid until the next call; ``None`` if it would have to wait for it."""


class Exchange:
    """A request that has begun, and its response once it has come."""

    __slots__ = ("context_id", "instance", "is_sent", "message_id", "sent_at", "started", "status")

    def __init__(self, instance: Instance | None, context_id: int, message_id: int, started: float) -> None:
        self.instance = instance
        """The instance to store; ``None``: it is a C-ECHO."""
        self.context_id = context_id
        self.message_id = message_id
        self.started = started
        self.sent_at = started
        """When its last byte left this room."""
        self.is_sent = False
        self.status: int | None = None


class Gathered(NamedTuple):
    """The bytes to send now."""

    buffers: list[pdu.Octets]
    """For a gather write; empty if nothing may be sent."""
    payload: int
    """Data set bytes among them."""
    spent: list[Memory]
    """Release them when the network has taken the buffers."""
    finished: list[Exchange]
    """The exchanges that were answered early, and whose last byte is among the buffers."""


class Requests:
    """The requests of one association.

    Args:
        contexts: the accepted contexts: (abstract syntax, transfer syntax) to context id.
        fragmenter: cuts messages to the peer's maximum length.
        window: requests that may be outstanding; 0 is unlimited.
        clock: seconds, for :class:`Exchange`.
        answerable: the ids of all accepted contexts, in which responses may come; ``None``: those of ``contexts``.
        notice: called for a response in another context than the request's.
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
        self._window = min(window, MOST_OUTSTANDING) or MOST_OUTSTANDING
        self._all_but_one = self._window - 1
        self._clock = clock
        self._heads: dict[tuple[str, str, int], StoreRequestHead | None] = {}
        """By SOP class, transfer syntax and length of the SOP instance UID; ``None``: it takes several PDUs."""
        self._most_joined = min(JOINED, fragmenter.fragment_length)
        self._queue: deque[Instance | Piece] = deque()
        self._load: Load = lambda _: None
        self._outstanding: dict[int, Exchange] = {}
        self._sending: Exchange | None = None
        self._taking: Instance | None = None
        self._next_message_id = 1
        self.last_answered: int | None = None
        """The message id of the request that was finished last."""
        self.is_repeating = False
        """Whether the last response answered :attr:`last_answered` again, and was ignored."""

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
        """Whether instances or pieces are queued."""
        return bool(self._queue)

    @property
    def is_stuck(self) -> bool:
        """Whether an instance is the first in the queue. If :meth:`gather` left it there, it could not be loaded."""
        return bool(self._queue) and isinstance(self._queue[0], Instance)

    @property
    def goes_on(self) -> bool:
        """Whether to call :meth:`gather` now: a store is under way, or the window has room for the next one."""
        queue = self._queue
        return bool(queue) and (not _is_first(queue[0]) or len(self._outstanding) < self._window)

    @property
    def oldest(self) -> Exchange | None:
        """The oldest outstanding exchange."""
        return next(iter(self._outstanding.values()), None)

    def newest_first(self) -> Iterator[Exchange]:
        """The outstanding exchanges, the newest first."""
        return reversed(self._outstanding.values())

    def submit_whole(self, instances: Iterable[Instance], load: Load) -> None:
        """Queue instances; ``load`` gives their data sets at their turn."""
        self._load = load
        self._queue.extend(instances)

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Queue pieces, except those of a store that was taken back."""
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
        """Whether to submit further pieces of ``instance``: it was submitted last, and not taken back."""
        return self._taking is instance

    def take_back(self) -> list[Instance]:
        """Take the stores that have not begun out of the queue. Returns their instances in order."""
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

    def next_short(self) -> tuple[bytes, int] | None:
        """Begin and end the next store if it is short and takes the last place in the window, as most stores do.

        Returns its PDUs and the bytes of its data set; they count as sent. ``None``: :meth:`gather` says what to send.
        """
        queue = self._queue
        if not queue or len(self._outstanding) != self._all_but_one:
            return None
        instance = queue[0]
        if not isinstance(instance, Instance):
            return None
        data = instance.payload.data
        if data is None or len(data) > self._most_joined or len(data) & 1:
            return None
        sop_class_uid, sop_instance_uid, transfer_syntax_uid = instance.identity
        head = self._heads.get((sop_class_uid, transfer_syntax_uid, len(sop_instance_uid)))
        if head is None:
            return None
        queue.popleft()
        return self._joined(instance, head, data), len(data)

    def gather(self) -> Gathered:
        """The bytes that may be sent now, at most a few megabytes. They count as sent."""
        buffers: list[pdu.Octets] = []
        spent: list[Memory] = []
        finished: list[Exchange] = []
        is_loaded = False
        payload = 0
        while self.goes_on and payload < _GATHERED and len(buffers) < _MOST_BUFFERS:
            item = self._queue[0]
            if not isinstance(item, Instance):
                taken = self._take_piece(item, buffers, spent, finished)
            elif is_loaded and item.payload.data is None:
                break  # the loaded data set before it has not been sent, and would be overwritten
            else:
                taken = self._take_whole(item, buffers, spent)
                is_loaded |= item.payload.data is None
            if taken is None:
                break
            payload += taken
        return Gathered(buffers, payload, spent, finished)

    def _take_whole(self, instance: Instance, buffers: list[pdu.Octets], spent: list[Memory]) -> int | None:
        """Begin and end the store of an instance. Returns its bytes; ``None``: it must come in pieces."""
        payload = instance.payload
        if payload.length > self._most_at_once:
            return None
        data: bytes | memoryview | None = payload.data
        if data is None:
            piece = self._load(instance)
            if piece is None:
                return None
            data = piece.data
            spent.append(piece.buffer)
            if not piece.is_first:
                self._queue.popleft()
                self._store_behind_head(instance, data, buffers)
                return payload.length
        self._queue.popleft()
        self._store_whole(instance, data, buffers)
        return len(data)

    def _take_piece(
        self, piece: Piece, buffers: list[pdu.Octets], spent: list[Memory], finished: list[Exchange]
    ) -> int | None:
        """Send a piece, or a part of a large one. Returns its bytes; ``None``: it cannot be sent now."""
        if piece.is_first:
            self._sending = self._begin_store(piece.instance, buffers)
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
        """The store whose data set cannot be read to its end, once no other is outstanding. It is forgotten."""
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
        """Begin a C-ECHO. Its PDUs count as sent."""
        exchange = self._begin(None, context_id)
        exchange.is_sent = True
        return exchange, self._fragmenter.command(context_id, echo_request(exchange.message_id))

    def answered(self, context_id: int, command: Command) -> Exchange | None:
        """Take a received command. Returns the exchange that it finishes, with its status; ``None``: it finishes none.

        Raises:
            InvalidPdu: it is no response to an outstanding request.
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
        """Take a recognised response. Returns the store that it finishes; ``None``: read it in full."""
        message_id, context_id, status = answer
        exchange = self._outstanding.get(message_id)
        if exchange is None or exchange.instance is None or not exchange.is_sent or exchange.context_id != context_id:
            return None
        exchange.status = status
        del self._outstanding[message_id]
        self.is_repeating = False
        self.last_answered = message_id
        return exchange

    def end(self) -> list[Exchange]:
        """The association has ended. Returns the outstanding exchanges."""
        outstanding = list(self._outstanding.values())
        self._outstanding.clear()
        self._sending = None
        return outstanding

    def _check_repetition(self, message_id: int | None) -> None:
        """Check that a response to no outstanding request repeats the last response."""
        if message_id is None:
            raise InvalidPdu("a response that does not say which message it answers", ABORT_INVALID_PARAMETER)
        if message_id != self.last_answered:
            complaint = f"a response to message id {message_id}, which is not outstanding"
            raise InvalidPdu(complaint, ABORT_UNEXPECTED_PDU)
        self.is_repeating = True

    def _check_other_context(self, context_id: int) -> None:
        """Check that a response in another context than its request's is in an accepted one."""
        if context_id not in self._answerable:
            raise InvalidPdu(f"a response in context {context_id}, which was not accepted", ABORT_UNEXPECTED_PDU)
        self._notice(Deviation.OTHER_CONTEXT)

    def _store_whole(self, instance: Instance, data: bytes | memoryview, buffers: list[pdu.Octets]) -> None:
        """Begin and end a store; ``data`` is its whole data set."""
        if len(data) & 1:  # deflated (PS3.5 A.5)
            data = bytes(data) + b"\0"
        head = self._head(instance)
        if head is not None and len(data) <= self._most_joined:
            buffers.append(self._joined(instance, head, data))
            return
        exchange = self._begin_store(instance, buffers)
        buffers += self._fragmenter.fragments(exchange.context_id, memoryview(data), last=True)
        exchange.is_sent = True

    def _store_behind_head(self, instance: Instance, data: memoryview, buffers: list[pdu.Octets]) -> None:
        """Begin and end a store; ``data`` is what follows the head of its payload."""
        exchange = self._begin_store(instance, buffers)
        head = memoryview(instance.payload.head)
        buffers += self._fragmenter.fragments(exchange.context_id, head, last=False)
        buffers += self._fragmenter.fragments(exchange.context_id, data, last=True)
        exchange.is_sent = True

    def _joined(self, instance: Instance, head: StoreRequestHead, data: bytes | memoryview) -> bytes:
        """Begin and end a short store: both its PDUs."""
        exchange = self._begin(instance, head.context_id)
        exchange.is_sent = True
        header = data_header(len(data), head.context_id, LAST)
        return head.message(exchange.message_id, instance.identity.sop_instance_uid, header, data)

    def _head(self, instance: Instance) -> StoreRequestHead | None:
        sop_class_uid, sop_instance_uid, transfer_syntax_uid = instance.identity
        key = sop_class_uid, transfer_syntax_uid, len(sop_instance_uid)
        if key not in self._heads:
            command_set = store_request(sop_class_uid, 0, sop_instance_uid)
            pdus = self._fragmenter.command(self._context_id(instance), command_set)
            self._heads[key] = StoreRequestHead.of(bytes(pdus[0])) if len(pdus) == 1 else None
        return self._heads[key]

    def _cut(self, piece: Piece) -> memoryview:
        """Cut the part that goes out now off the first piece in the queue."""
        self._queue[0] = piece._replace(data=piece.data[self._most_at_once :], is_first=False)
        return piece.data[: self._most_at_once]

    def _begin(self, instance: Instance | None, context_id: int) -> Exchange:
        message_id = self._next_message_id
        while message_id in self._outstanding or message_id == 0:
            message_id = (message_id + 1) % _MESSAGE_IDS
        self._next_message_id = (message_id + 1) % _MESSAGE_IDS
        exchange = self._outstanding[message_id] = Exchange(instance, context_id, message_id, self._clock())
        return exchange

    def _begin_store(self, instance: Instance, buffers: list[pdu.Octets]) -> Exchange:
        """Begin a store, and append the PDUs of its C-STORE-RQ to ``buffers``."""
        head = self._head(instance)
        if head is not None:
            exchange = self._begin(instance, head.context_id)
            buffers.append(head.pdu(exchange.message_id, instance.identity.sop_instance_uid))
            return exchange
        exchange = self._begin(instance, self._context_id(instance))
        command_set = store_request(instance.sop_class_uid, exchange.message_id, instance.sop_instance_uid)
        buffers += self._fragmenter.command(exchange.context_id, command_set)
        return exchange

    def _context_id(self, instance: Instance) -> int:
        return self._contexts[instance.sop_class_uid, instance.transfer_syntax_uid]

    def _forget(self, exchange: Exchange) -> None:
        del self._outstanding[exchange.message_id]
        self.is_repeating = False
        self.last_answered = exchange.message_id


def _is_first(item: Instance | Piece) -> bool:
    """Whether a store begins with ``item``."""
    return isinstance(item, Instance) or item.is_first
