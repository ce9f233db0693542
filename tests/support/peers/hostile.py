"""An acceptor that misbehaves as a test asks, and records what the requestor did.

    async with running_hostile(Behaviour(on_store=after(3, aborts()))) as scp: ...
    async with running_hostile(Behaviour(on_request=rejects(1, 1, 7))) as scp: ...
    async with running_hostile(Behaviour(amid_data=resets()), obedient) as scp: ...  # the first association; all later

A behaviour has a step for each thing that happens to an acceptor; a step that is not given obeys the standard. The
functions below make the steps, some of them from other steps.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.peers.acceptor import (
    ASSOCIATE_AC,
    COMMAND,
    LAST,
    P_DATA,
    Acceptor,
    DataBegun,
    Echoed,
    Gone,
    Record,
    ReleaseRequested,
    Result,
    Store,
    Stored,
    pdu,
    pdv,
)
from support.peers.listening import Listening

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

Step = Callable[[Acceptor], Awaitable[None]]

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
JPEG_2000 = "1.2.840.10008.1.2.4.91"

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Bad Request</html>"
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x46"
"""What a server that speaks TLS answers to an A-ASSOCIATE-RQ: fatal, protocol version (RFC 8446 6)."""
PDU_OF_4_GIB = struct.pack(">BxL", P_DATA, 0xFFFF_FFFF)
UNKNOWN_PDU = pdu(0x42, b"what is this?")
EMPTY_P_DATA = pdu(P_DATA, b"")
PDV_LONGER_THAN_ITS_PDU = pdu(P_DATA, struct.pack(">LBB", 1000, 1, COMMAND | LAST) + b"short")
PDV_SHORTER_THAN_ITS_HEADER = pdu(P_DATA, struct.pack(">LB", 1, 1))
COMMAND_SET_OF_GARBAGE = pdu(P_DATA, pdv(1, COMMAND | LAST, bytes(range(1, 100))))
UNASKED_DATA_SET = pdu(P_DATA, pdv(1, LAST, b"nobody asked for this "))
ITEM_LONGER_THAN_ITS_PDU = pdu(ASSOCIATE_AC, struct.pack(">H66x", 1) + struct.pack(">BxH", 0x10, 5000) + b"1.2.840")
ACCEPT_WITHOUT_ITEMS = pdu(ASSOCIATE_AC, struct.pack(">H66x", 1))


# Steps: each function returns one -----------------------------------------------------------------------------------


def obeys() -> Step:
    """Do nothing special."""

    async def step(_acceptor: Acceptor) -> None:
        pass

    return step


def stays_silent() -> Step:
    """Receive whatever comes, and answer nothing ever."""
    return Acceptor.ignore


def stops_reading() -> Step:
    """Receive nothing more, and keep the TCP connection open."""

    async def step(_acceptor: Acceptor) -> None:
        await asyncio.Event().wait()

    return step


def closes() -> Step:
    """End with FIN."""
    return Acceptor.close


def resets() -> Step:
    """End with RST."""
    return Acceptor.reset


def aborts(source: int = 2, reason: int = 0) -> Step:
    """Send an A-ABORT."""
    return lambda acceptor: acceptor.abort(source, reason)


def says(data: bytes) -> Step:
    """Send bytes, and go on as if nothing had happened."""
    return lambda acceptor: acceptor.write(data)


def rejects(result: int, source: int, reason: int) -> Step:
    """Send an A-ASSOCIATE-RJ."""
    return lambda acceptor: acceptor.reject(result, source, reason)


def accepts(
    *,
    sop_classes: Callable[[str], bool] = lambda _uid: True,
    prefer: tuple[str, ...] = (),
    max_length: int | None = 16382,
    window: tuple[int, int] | None = None,
    identity_response: bytes | None = None,
    change: Callable[[Result], Result] = lambda result: result,
) -> Step:
    """Send an A-ASSOCIATE-AC.

    Args:
        sop_classes: which abstract syntaxes to accept.
        prefer: transfer syntaxes to choose before the first that is proposed.
        max_length: the maximum length to announce; ``None`` leaves the item out.
        window: the asynchronous operations window (invoked, performed) to answer; ``None`` leaves the item out.
        identity_response: what to confirm the user identity with; ``None`` leaves the item out.
        change: what to make of each result before it is sent.
    """

    async def step(acceptor: Acceptor) -> None:
        results = []
        for context in acceptor.record.request.presentation_context_definition_list:
            proposed = [str(uid) for uid in context.transfer_syntax]
            chosen = next((uid for uid in prefer if uid in proposed), proposed[0])
            result = 0 if sop_classes(str(context.abstract_syntax)) else 3
            results.append(change(Result(context.context_id, result, chosen)))
        await acceptor.accept(results, max_length, window, identity_response)

    return step


def accepts_no_context() -> Step:
    """Accept the association, and no presentation context."""
    return accepts(sop_classes=lambda _uid: False)


def accepts_unproposed_transfer_syntax(uid: str = JPEG_2000) -> Step:
    """Accept every presentation context with a transfer syntax that was not proposed."""
    return accepts(change=lambda result: result._replace(transfer_syntax_uid=uid))


def accepts_other_contexts(shift: int = 100) -> Step:
    """Accept presentation contexts with other ids: beyond those proposed, or even ones when the shift is odd."""
    return accepts(change=lambda result: result._replace(context_id=(result.context_id + shift) % 256))


def answers(status: int | Callable[[Store], int] = 0x0000, **elements: object) -> Step:
    """Answer a C-STORE request; elements are more of them in the command set, or others than belong there."""

    async def step(acceptor: Acceptor) -> None:
        await acceptor.answer(status(acceptor.store) if callable(status) else status, **elements)

    return step


def answers_late(seconds: float, status: int = 0x0000) -> Step:
    """Answer each request after a time, and receive in the meantime, as over a long way."""

    async def step(acceptor: Acceptor) -> None:
        acceptor.meanwhile(_answer_late(acceptor, acceptor.store, seconds, status))

    return step


async def _answer_late(acceptor: Acceptor, store: Store, seconds: float, status: int) -> None:
    await asyncio.sleep(seconds)
    await acceptor.answer(status, store)


def answers_in_reverse(window: int, patience: float = 0.2) -> Step:
    """Answer as many requests as the window allows, the last one first; fewer when no more have come in a time."""
    held: list[Store] = []

    async def answer(acceptor: Acceptor) -> None:
        while held:
            await acceptor.answer(0x0000, held.pop())

    async def answer_unless_more_come(acceptor: Acceptor, last: Store) -> None:
        await asyncio.sleep(patience)
        if held and held[-1] is last:
            await answer(acceptor)

    async def step(acceptor: Acceptor) -> None:
        held.append(acceptor.store)
        if len(held) == window:
            await answer(acceptor)
        else:
            acceptor.meanwhile(answer_unless_more_come(acceptor, acceptor.store))

    return step


def answers_another_message(shift: int = 1) -> Step:
    """Answer with success, to a message id that is another one."""

    async def step(acceptor: Acceptor) -> None:
        await acceptor.answer(0x0000, MessageIDBeingRespondedTo=(acceptor.store.message_id + shift) % 0x10000)

    return step


def answers_in_context(context_id: int) -> Step:
    """Answer with success, in another presentation context."""
    return lambda acceptor: acceptor.answer(0x0000, context_id=context_id)


def answers_pending_for_ever(seconds: float = 0.05) -> Step:
    """Answer with the status of a pending operation, again and again."""

    async def step(acceptor: Acceptor) -> None:
        while True:
            await acceptor.answer(0xFF00)
            await asyncio.sleep(seconds)

    return step


def answers_in_part() -> Step:
    """Answer with a command fragment that is not the last, and nothing after it."""
    return lambda acceptor: acceptor.write(pdu(P_DATA, pdv(acceptor.store.context_id, COMMAND, bytes(40))))


def answers_byte_by_byte(seconds: float = 0.05) -> Step:
    """Send an answer so slowly that it would take a minute."""

    async def step(acceptor: Acceptor) -> None:
        answer = pdu(P_DATA, pdv(acceptor.store.context_id, COMMAND, bytes(1200)))
        for byte in answer:
            await acceptor.write(bytes([byte]))
            await asyncio.sleep(seconds)

    return step


def answers_without_end() -> Step:
    """Answer with command fragments none of which is the last, without pause."""

    async def step(acceptor: Acceptor) -> None:
        while True:
            await acceptor.write(pdu(P_DATA, pdv(acceptor.store.context_id, COMMAND, bytes(4096))))

    return step


def releases() -> Step:
    """Answer an A-RELEASE-RQ, and wait for the requestor to close."""
    return then(Acceptor.answer_release, Acceptor.ignore)


def asks_for_release() -> Step:
    """Send an A-RELEASE-RQ, wait for the answer, and close."""
    return then(Acceptor.request_release, Acceptor.wait_for_release_response, Acceptor.close)


def collides() -> Step:
    """Answer an A-RELEASE-RQ as if it had crossed one of our own (PS3.8 9.2.3): the requestor answers first."""
    return then(Acceptor.request_release, Acceptor.wait_for_release_response, releases())


def then(*steps: Step) -> Step:
    """Take one step after the other."""

    async def step(acceptor: Acceptor) -> None:
        for each in steps:
            await each(acceptor)

    return step


def waits(seconds: float) -> Step:
    """Do nothing for a time."""
    return lambda _acceptor: asyncio.sleep(seconds)


def after(stores: int, misbehaves: Step) -> Step:
    """Obey for so many C-STORE requests of an association, and misbehave at the next one."""

    async def step(acceptor: Acceptor) -> None:
        is_whole = acceptor.store.sha256 is not None
        if len(acceptor.record.stores) - is_whole >= stores:
            await misbehaves(acceptor)
        elif is_whole:
            await acceptor.answer(0x0000)

    return step


# What a test runs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Behaviour:
    """What an acceptor does in one association, step by step.

    Attributes:
        on_connect: when the TCP connection is there, before anything is received.
        on_request: when the A-ASSOCIATE-RQ is there.
        once_associated: when that was answered.
        amid_data: when the first fragment of a data set is there.
        on_store: when a C-STORE request is there, whole.
        on_release: when an A-RELEASE-RQ is there.
        bytes_per_second: how fast it receives; ``None`` is as fast as it can.
        keeps_data_sets: whether what is received is kept.
        echo_status: what C-ECHO is answered with.
    """

    on_connect: Step = field(default_factory=obeys)
    on_request: Step = field(default_factory=accepts)
    once_associated: Step = field(default_factory=obeys)
    amid_data: Step = field(default_factory=obeys)
    on_store: Step = field(default_factory=answers)
    on_release: Step = field(default_factory=releases)
    bytes_per_second: float | None = None
    keeps_data_sets: bool = False
    echo_status: int = 0x0000


obedient = Behaviour()
"""It does all that the standard asks for."""
answers_before_the_end = Behaviour(amid_data=answers(), on_store=obeys())
"""It answers a C-STORE request when its data set has only begun to come."""
answers_twice = Behaviour(on_store=then(answers(), answers()))
never_answers = Behaviour(on_store=obeys())
"""It goes on receiving, and answers no C-STORE request."""


class HostileSCP:
    """A running acceptor, and what came to it.

    Args:
        behaviours: as :func:`running_hostile` takes them. They may be replaced.
        receive_buffer: likewise.

    Attributes:
        associations: in the order in which they were opened; what only connected is among them.
        listening: the port; ``await scp.listening.restart(2)`` is a peer that restarts.
    """

    def __init__(self, behaviours: tuple[Behaviour, ...], receive_buffer: int | None = None) -> None:
        self.associations: list[Record] = []
        self.listening = Listening(self._accepted, receive_buffer)
        self.behaviours = behaviours

    @property
    def port(self) -> int:
        """Its port of loopback."""
        return self.listening.port

    @property
    def serving(self) -> list[asyncio.Task[None]]:
        """The tasks that serve the associations, one each."""
        return self.listening.serving

    @property
    def stores(self) -> list[Store]:
        """The C-STORE requests that came in whole."""
        return [store for association in self.associations for store in association.stores]

    @property
    def acknowledged(self) -> list[str]:
        """The SOP instance UIDs of those that were answered with success or a warning."""
        return [uid for association in self.associations for uid in association.acknowledged]

    @property
    def violations(self) -> list[str]:
        """What requestors sent against the standard."""
        return [violation for association in self.associations for violation in association.violations]

    def stored(self) -> dict[str, str]:
        """Return what came in whole: the SHA-256 of the data set by SOP instance UID."""
        return {store.sop_instance_uid: store.sha256 for store in self.stores}

    def held(self) -> dict[str, str]:
        """Return what was answered with success or a warning, in the same form."""
        kept = set(self.acknowledged)
        return {uid: sha256 for uid, sha256 in self.stored().items() if uid in kept}

    async def _accepted(self, sock: socket.socket) -> None:
        """Serve an association."""
        behaviour = self.behaviours[min(len(self.associations), len(self.behaviours) - 1)]
        acceptor = Acceptor(sock, behaviour.bytes_per_second, keeps_data_sets=behaviour.keeps_data_sets)
        self.associations.append(acceptor.record)
        await _serve(acceptor, behaviour)


@asynccontextmanager
async def running_hostile(*behaviours: Behaviour, receive_buffer: int | None = None) -> AsyncIterator[HostileSCP]:
    """Run an acceptor on a free port of loopback, in the test's own event loop.

    Args:
        behaviours: that of the first association, of the second and so on; the last one is that of all later ones.
        receive_buffer: bytes that the kernel takes in while nothing is received; a few kilobytes show soon what a
            requestor does when the acceptor stops.
    """
    scp = HostileSCP(behaviours or (obedient,), receive_buffer)
    scp.listening.appear()
    try:
        yield scp
    finally:
        await scp.listening.end()


async def _serve(acceptor: Acceptor, behaviour: Behaviour) -> None:
    """Take the steps of one association until its end."""
    try:
        with suppress(Gone):
            await behaviour.on_connect(acceptor)
            await acceptor.read_request()
            await behaviour.on_request(acceptor)
            await behaviour.once_associated(acceptor)
            while True:
                await _take_step(acceptor, behaviour)
    finally:
        await acceptor.end()


async def _take_step(acceptor: Acceptor, behaviour: Behaviour) -> None:
    """Do what belongs to the next event."""
    match await acceptor.next_event():
        case DataBegun():
            await behaviour.amid_data(acceptor)
        case Stored():
            await behaviour.on_store(acceptor)
        case ReleaseRequested():
            await behaviour.on_release(acceptor)
        case Echoed() as echo:
            await acceptor.answer_echo(echo, behaviour.echo_status)
