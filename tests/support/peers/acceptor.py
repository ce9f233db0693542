"""The acceptor's side of one association, step by step, so that a script may take the right steps or the wrong ones.

Rules:

1. Nothing of asyncstore is used: this is a witness of what asyncstore does. A-ASSOCIATE-RQ and P-DATA-TF are decoded by
   pynetdicom; what is sent is plain bytes, because pynetdicom would refuse to encode most of what a test wants to send.
2. What the requestor does is recorded, and what it does against the standard is recorded as such.
3. The socket is used directly, without streams, so that nothing is received or sent before a script says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from pydicom import Dataset
from pynetdicom import dsutils
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from pynetdicom.pdu_primitives import A_ASSOCIATE

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
"""The types of PDUs (PS3.8 9.3.1)."""
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
"""Command fields (PS3.7 E.1)."""
NO_DATA_SET = 0x0101
COMMAND, LAST = 1, 2
"""Bits of the message control header (PS3.8 E.2)."""

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = "2.25.80302813137786398554742050926734630921"
_LINGER_SECONDS = 2
"""How long the end of an association is let sink in, before the socket is closed whatever the requestor does."""


def pdu(kind: int, body: bytes) -> bytes:
    """Encode a PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    """Encode an item or sub-item of an A-ASSOCIATE PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(value)) + value


def pdv(context_id: int, header: int, fragment: bytes) -> bytes:
    """Encode a presentation data value (PS3.8 9.3.5.1)."""
    return struct.pack(">LBB", len(fragment) + 2, context_id, header) + fragment


def command_set(**elements: object) -> bytes:
    """Encode a command set, its group length first (PS3.7 6.3.1)."""
    dataset = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    encoded = dsutils.encode(dataset, is_implicit_vr=True, is_little_endian=True)
    return struct.pack("<HHLL", 0, 0, 4, len(encoded)) + encoded


def means_stored(status: int) -> bool:
    """Tell whether a status is success or a warning (PS3.7 annex C)."""
    return status in (0x0000, 0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF


class Result(NamedTuple):
    """The answer to one proposed presentation context."""

    context_id: int
    result: int
    """0 acceptance, 1 user rejection, 3 abstract syntax not supported, 4 transfer syntaxes not supported."""
    transfer_syntax_uid: str


@dataclass
class Store:
    """A C-STORE request, as far as it came."""

    message_id: int
    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length: int = 0
    """Bytes of the data set so far."""
    sha256: str | None = None
    """Of the data set, once all of it is there."""
    priority: int | None = None
    """As its command set says (PS3.7 9.3.1.1)."""
    fragments: list[bytes] = field(default_factory=list)
    """The data set, where the acceptor keeps data sets."""


@dataclass
class Record:
    """What came of one association."""

    request: A_ASSOCIATE | None = None
    """The A-ASSOCIATE-RQ, decoded by pynetdicom."""
    request_pdu: bytes = b""
    """The A-ASSOCIATE-RQ as it came."""
    results: tuple[Result, ...] = ()
    """What was answered to its presentation contexts."""
    stores: list[Store] = field(default_factory=list)
    """The C-STORE requests that came in whole, in their order."""
    acknowledged: list[str] = field(default_factory=list)
    """The SOP instance UIDs of those that were properly answered with success or a warning, in that order."""
    most_outstanding: int = 0
    """How many C-STORE requests waited for their answers at the same time, at most.

    An acceptor that answers before it receives the next request sees no more than one: ``answers_late`` sees them all.
    """
    longest_pdu: int = 0
    """The length of the longest P-DATA-TF that came, which does not count its first six bytes (PS3.8 9.3.5)."""
    echoes: int = 0
    released: bool = False
    """Whether the requestor sent an A-RELEASE-RQ."""
    aborted: tuple[int, int] | None = None
    """Source and reason of the A-ABORT that the requestor sent."""
    violations: list[str] = field(default_factory=list)
    """What the requestor sent against the standard."""


class Gone(Exception):
    """The TCP connection is closed, by the requestor or by the script."""


class DataBegun(NamedTuple):
    """The first fragment of a data set is there."""

    store: Store


class Stored(NamedTuple):
    """A C-STORE request is there, whole."""

    store: Store


class Echoed(NamedTuple):
    """A C-ECHO request is there."""

    context_id: int
    message_id: int


class ReleaseRequested(NamedTuple):
    """An A-RELEASE-RQ is there."""


Event = DataBegun | Stored | Echoed | ReleaseRequested


class Acceptor:
    """The acceptor's side of one association.

    Attributes:
        record: what the requestor did so far.
        store: the C-STORE request of the last event.
    """

    def __init__(
        self, sock: socket.socket, bytes_per_second: float | None = None, *, keeps_data_sets: bool = False
    ) -> None:
        self.record = Record()
        self.store: Store | None = None
        self._sock = sock
        self._bytes_per_second = bytes_per_second
        self._keeps_data_sets = keeps_data_sets
        self._background: set[asyncio.Task[None]] = set()
        self._max_length = 0
        self._window = 1
        self._events: deque[Event] = deque()
        self._command = b""
        self._receiving: Store | None = None
        self._sha256 = hashlib.sha256()
        self._outstanding: set[int] = set()

    @property
    def is_open(self) -> bool:
        """Whether the association is neither released nor lost."""
        return self._sock.fileno() != -1 and not self.record.released

    # The socket

    async def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)
        except OSError as error:
            raise Gone from error

    async def read(self, size: int) -> bytes:
        """Receive exactly so many bytes."""
        data = bytearray()
        while len(data) < size:
            received = await self._read_some(size - len(data))
            if not received:
                raise Gone
            data += received
        return bytes(data)

    async def _read_some(self, most: int) -> bytes:
        """Receive what is there, or one byte after its time when the script reads slowly."""
        if self._bytes_per_second:
            await asyncio.sleep(1 / self._bytes_per_second)
            most = 1
        try:
            return await asyncio.get_running_loop().sock_recv(self._sock, most)
        except OSError as error:
            raise Gone from error

    async def close(self) -> None:
        """End with FIN: what was sent arrives, and nothing follows it."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError, Gone):  # closing with bytes unread would send RST, which may overtake what was sent
            async with asyncio.timeout(_LINGER_SECONDS):
                await self.ignore()
        self._sock.close()
        raise Gone

    async def reset(self) -> None:
        """End with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        raise Gone

    def meanwhile(self, step: Coroutine[None, None, None]) -> None:
        """Take a step while the script goes on."""
        task = asyncio.create_task(self._until_gone(step))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(lambda _task: step.close())  # one that was cancelled at once has not begun it

    @staticmethod
    async def _until_gone(step: Coroutine[None, None, None]) -> None:
        with suppress(Gone):
            await step

    async def end(self) -> None:
        """Leave nothing open and nothing running."""
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._sock.close()

    # The association

    async def read_request(self) -> None:
        """Receive the A-ASSOCIATE-RQ."""
        kind, body = await self.read_pdu()
        if kind != ASSOCIATE_RQ:
            self._violated(f"PDU type {kind} in place of A-ASSOCIATE-RQ")
            await self.abort(2, 2)
        self.record.request_pdu = pdu(kind, body)
        request = A_ASSOCIATE_RQ()
        request.decode(self.record.request_pdu)
        self.record.request = request.to_primitive()

    async def accept(
        self,
        results: Iterable[Result],
        max_length: int | None,
        window: tuple[int, int] | None,
        identity_response: bytes | None = None,
    ) -> None:
        """Send an A-ASSOCIATE-AC (PS3.8 9.3.3); an item that is ``None`` is left out of it."""
        self.record.results = tuple(results)
        self._max_length = max_length or 0
        self._window = window[0] if window else 1
        request = self.record.request
        titles = [title.encode().ljust(16) for title in (request.called_ae_title, request.calling_ae_title)]
        items = [item(0x10, _APPLICATION_CONTEXT.encode())]
        for context_id, result, transfer_syntax_uid in self.record.results:
            transfer_syntax = item(0x40, transfer_syntax_uid.encode())
            items.append(item(0x21, struct.pack(">BxBx", context_id, result) + transfer_syntax))
        user = [item(0x52, _IMPLEMENTATION.encode())]
        if max_length is not None:
            user.append(item(0x51, struct.pack(">L", max_length)))
        if window is not None:
            user.append(item(0x53, struct.pack(">HH", *window)))
        if identity_response is not None:
            user.append(item(0x59, struct.pack(">H", len(identity_response)) + identity_response))
        items.append(item(0x50, b"".join(user)))
        await self.write(pdu(ASSOCIATE_AC, struct.pack(">Hxx16s16s32x", 1, *titles) + b"".join(items)))

    async def reject(self, result: int, source: int, reason: int) -> None:
        """Send an A-ASSOCIATE-RJ (PS3.8 9.3.4) and close."""
        await self.write(pdu(ASSOCIATE_RJ, bytes((0, result, source, reason))))
        await self.close()

    async def abort(self, source: int = 2, reason: int = 0) -> None:
        """Send an A-ABORT (PS3.8 9.3.8) and close."""
        await self.write(pdu(ABORT, bytes((0, 0, source, reason))))
        await self.close()

    async def request_release(self) -> None:
        """Send an A-RELEASE-RQ."""
        await self.write(pdu(RELEASE_RQ, bytes(4)))

    async def answer_release(self) -> None:
        """Send an A-RELEASE-RP."""
        await self.write(pdu(RELEASE_RP, bytes(4)))

    async def wait_for_release_response(self) -> None:
        """Receive PDUs until an A-RELEASE-RP is there; an A-RELEASE-RQ in the meantime is answered (PS3.8 9.2.3)."""
        kind = None
        while kind != RELEASE_RP:
            kind, _ = await self.read_pdu()
            if kind == RELEASE_RQ:
                await self.answer_release()

    async def ignore(self) -> None:
        """Receive whatever comes and answer nothing, until the requestor closes."""
        while True:
            await self.read_pdu()

    # Messages

    async def answer(
        self, status: int, store: Store | None = None, context_id: int | None = None, **elements: object
    ) -> None:
        """Send a C-STORE-RSP (PS3.7 9.3.1.2).

        Args:
            status: success, warning or failure.
            store: which request it answers; the last one, when it is not given.
            context_id: of the presentation context, when it is not to be the request's.
            elements: more elements of the command set, or others than belong there.
        """
        store = store or self.store
        response = {
            "AffectedSOPClassUID": store.sop_class_uid,
            "CommandField": C_STORE_RSP,
            "MessageIDBeingRespondedTo": store.message_id,
            "CommandDataSetType": NO_DATA_SET,
            "Status": status,
            "AffectedSOPInstanceUID": store.sop_instance_uid,
            **elements,
        }
        self._outstanding.discard(response["MessageIDBeingRespondedTo"])
        is_its_answer = context_id is None and response["MessageIDBeingRespondedTo"] == store.message_id
        if is_its_answer and store.sha256 and means_stored(status):
            self.record.acknowledged.append(store.sop_instance_uid)
        await self.write(pdu(P_DATA, pdv(context_id or store.context_id, COMMAND | LAST, command_set(**response))))

    async def answer_echo(self, echo: Echoed, status: int = 0x0000) -> None:
        """Send a C-ECHO-RSP (PS3.7 9.3.5.2)."""
        response = command_set(
            AffectedSOPClassUID="1.2.840.10008.1.1",
            CommandField=C_ECHO_RSP,
            MessageIDBeingRespondedTo=echo.message_id,
            CommandDataSetType=NO_DATA_SET,
            Status=status,
        )
        await self.write(pdu(P_DATA, pdv(echo.context_id, COMMAND | LAST, response)))

    async def next_event(self) -> Event:
        """Receive PDUs until something has come in."""
        while not self._events:
            kind, body = await self.read_pdu()
            if kind == RELEASE_RQ:
                self._events.append(ReleaseRequested())
            elif kind == P_DATA:
                self._take_data(body)
            else:
                self._violated(f"PDU type {kind} on an open association")
                await self.abort(2, 2)
        event = self._events.popleft()
        if isinstance(event, DataBegun | Stored):
            self.store = event.store
        return event

    async def read_pdu(self) -> tuple[int, bytes]:
        """Receive a PDU; its type and what follows its length. An A-ABORT is the end."""
        kind, length = struct.unpack(">BxL", await self.read(6))
        if kind == P_DATA and 0 < self._max_length < length:
            self._violated(f"P-DATA-TF of {length} bytes, where the maximum length is {self._max_length}")
        body = await self.read(length)
        if kind == P_DATA:
            self.record.longest_pdu = max(self.record.longest_pdu, length)
        if kind == ABORT:
            self.record.aborted = (body[2], body[3])
            raise Gone
        if kind == RELEASE_RQ:
            self.record.released = True
        return kind, body

    def _violated(self, what: str) -> None:
        self.record.violations.append(what)

    def _take_data(self, body: bytes) -> None:
        """Take the presentation data values of a P-DATA-TF."""
        data = P_DATA_TF()
        data.decode(pdu(P_DATA, body))
        for value in data.presentation_data_value_items:
            header, fragment = value.presentation_data_value[0], value.presentation_data_value[1:]
            if len(fragment) % 2:
                self._violated(f"fragment of {len(fragment)} bytes, where an even number is required")
            if value.presentation_context_id not in self._transfer_syntaxes():
                self._violated(f"presentation context {value.presentation_context_id}, which was not accepted")
            elif header & COMMAND:
                self._take_command(value.presentation_context_id, fragment, is_last=bool(header & LAST))
            else:
                self._take_fragment(value.presentation_context_id, fragment, is_last=bool(header & LAST))

    def _transfer_syntaxes(self) -> dict[int, str]:
        """Return the transfer syntax of each accepted presentation context."""
        return {result.context_id: result.transfer_syntax_uid for result in self.record.results if not result.result}

    def _take_command(self, context_id: int, fragment: bytes, *, is_last: bool) -> None:
        """Take a fragment of a command set, and begin a message when it is the last one."""
        if self._receiving:
            self._violated("a command fragment where data set fragments were to follow")
        self._command += fragment
        if not is_last:
            return
        command = dsutils.decode(BytesIO(self._command), is_implicit_vr=True, is_little_endian=True)
        self._command = b""
        if command.CommandField == C_ECHO_RQ:
            self.record.echoes += 1
            self._events.append(Echoed(context_id, command.MessageID))
        elif command.CommandField == C_STORE_RQ:
            self._begin_store(context_id, command)
        else:
            self._violated(f"command field {command.CommandField:#06x}")

    def _begin_store(self, context_id: int, command: Dataset) -> None:
        if command.MessageID in self._outstanding:
            self._violated(f"message id {command.MessageID} a second time, before its first answer")
        self._outstanding.add(command.MessageID)
        outstanding = len(self._outstanding)
        self.record.most_outstanding = max(self.record.most_outstanding, outstanding)
        if 0 < self._window < outstanding:
            self._violated(f"{outstanding} outstanding requests, where the window is {self._window}")
        if command.CommandDataSetType == NO_DATA_SET:
            self._violated("a C-STORE request that says it has no data set")
        self._receiving = Store(
            command.MessageID,
            context_id,
            str(command.AffectedSOPClassUID),
            str(command.AffectedSOPInstanceUID),
            self._transfer_syntaxes()[context_id],
            priority=command.Priority,
        )
        self._sha256 = hashlib.sha256()

    def _take_fragment(self, context_id: int, fragment: bytes, *, is_last: bool) -> None:
        """Take a fragment of a data set."""
        store = self._receiving
        if store is None or store.context_id != context_id:
            self._violated(f"a data set fragment in presentation context {context_id} without a command set before it")
            return
        if store.length == 0:
            self._events.append(DataBegun(store))
        self._sha256.update(fragment)
        store.length += len(fragment)
        if self._keeps_data_sets:
            store.fragments.append(fragment)
        if is_last:
            store.sha256 = self._sha256.hexdigest()
            self.record.stores.append(store)
            self._receiving = None
            self._events.append(Stored(store))
