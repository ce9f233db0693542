"""A TCP relay before a peer, which does to the bytes and connections what a test or a seed says.

    async with running_relay(scp.port, [Fault(Kind.RESET, at=5000)]) as relay: ...  # the first connection
    async with running_relay(scp.port, later=lambda number: drawn(Random(f"7 {number}"), 50_000)) as relay: ...

Rules:

1. Bytes are counted in each direction of each connection, from its first byte. A fault begins before byte ``at``.
2. Bytes that arrive before a fault are passed on before it happens, in the direction of the fault.
3. A fault that never happens, because too few bytes came, is not among those that :attr:`Relay.happened` lists.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from support.peers.listening import Listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from random import Random

_CHUNK = 1 << 16
_CHUNKS_UNDER_WAY = 256
"""So at most 16 MiB are on the way in each direction."""
_LINGER_SECONDS = 2.0
"""How long bytes are still taken after FIN: closing with bytes unread would send RST."""
_SILENT_SECONDS = 3.0
"""How long a connection that is silent stays open after its end: then its other side has lost patience as well."""


class Kind(Enum):
    """What happens."""

    DELAY = "delay"
    """Each byte arrives ``amount`` seconds later. Bytes on the way do not hold up later ones."""
    THROTTLE = "throttle"
    """No more than ``amount`` bytes a second pass."""
    DRIP = "drip"
    """Bytes arrive one at a time, every ``amount`` seconds."""
    CORRUPT = "corrupt"
    """Bits of each byte are inverted: those of ``amount``, from 1 to 255."""
    SILENCE = "silence"
    """Bytes are taken and not passed on, as by a firewall that has forgotten the connection."""
    HALF_CLOSE = "half-close"
    """FIN in this direction; the other one goes on."""
    CUT = "cut"
    """FIN in both directions."""
    RESET = "reset"
    """RST in both directions."""


_ENDS = (Kind.SILENCE, Kind.HALF_CLOSE, Kind.CUT, Kind.RESET)
"""After these no byte passes."""


class Way(Enum):
    """A direction."""

    OUT = "out"
    """From the requestor to the peer."""
    BACK = "back"
    """From the peer to the requestor."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to one direction of a connection.

    Attributes:
        kind: what.
        way: the direction.
        at: before this byte of the direction, counted from 0.
        amount: seconds, rate or bits, as the kind says.
        length: for so many bytes; ``None``: to the end. Ends of connections have none.
    """

    kind: Kind
    way: Way = Way.OUT
    at: int = 0
    amount: float = 0.0
    length: int | None = None

    def applies(self, byte: int) -> bool:
        """Whether it applies to this byte of its direction."""
        return self.at <= byte and (self.length is None or byte < self.at + self.length)


def drawn(random: Random, most_bytes: int) -> list[Fault]:
    """Draw the faults of one connection: none, one or two, within so many bytes.

    Their delays are short: an undisturbed transfer of ``most_bytes`` still takes less than a second.
    """
    faults = []
    for _ in range(random.choice((0, 1, 1, 1, 2))):
        kind = random.choice([kind for kind in Kind if kind is not Kind.CORRUPT])
        way = random.choice(list(Way))
        most = most_bytes if way is Way.OUT else max(most_bytes // 50, 400)  # responses are short
        at = random.choice((random.randrange(600), random.randrange(most)))
        amount, length = 0.0, None
        if kind is Kind.DELAY:
            amount = random.uniform(0, 0.05)
        elif kind is Kind.THROTTLE:
            amount = float(max(most * 2, 10_000))
        elif kind is Kind.DRIP:
            amount, length = random.choice((0.0, 0.001)), random.randrange(1, 300)
        faults.append(Fault(kind, way, at, amount, length))
    return faults


class _Ended(Exception):
    """The connection is over.

    Attributes:
        is_reset: with RST.
    """

    def __init__(self, *, is_reset: bool) -> None:
        super().__init__()
        self.is_reset = is_reset


class Relay:
    """A running relay.

    Args:
        to: the peer's port of loopback.
        faults: the faults of each connection, by its number from 0.

    Attributes:
        listening: the port; it can vanish and come back.
        connections: how many there were.
        happened: the faults that happened, and the numbers of their connections.
    """

    def __init__(self, to: int, faults: Callable[[int], Iterable[Fault]]) -> None:
        self.listening = Listening(self._serve)
        self.connections = 0
        self.happened: list[tuple[int, Fault]] = []
        self._to = to
        self._faults = faults

    @property
    def port(self) -> int:
        """The port that requestors use."""
        return self.listening.port

    async def _serve(self, near: socket.socket) -> None:
        number = self.connections
        self.connections += 1
        faults = tuple(self._faults(number))
        far = socket.socket()
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        is_reset = True  # as a peer that does not listen, and where the relay vanishes
        try:
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", self._to))
            is_reset = await self._carry_both(number, near, far, faults)
        except OSError:
            pass
        finally:
            for connected in (near, far):
                if is_reset:
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connected.close()

    async def _carry_both(
        self, number: int, near: socket.socket, far: socket.socket, faults: tuple[Fault, ...]
    ) -> bool:
        """Pass on bytes until the end of both directions. Returns whether to end with RST."""
        ways = {Way.OUT: (near, far), Way.BACK: (far, near)}
        try:
            async with asyncio.TaskGroup() as tasks:
                for way, (source, target) in ways.items():
                    mine = [fault for fault in faults if fault.way is way]
                    carrying = _Carrying(source, target, mine, lambda fault: self.happened.append((number, fault)))
                    tasks.create_task(carrying.read())
                    tasks.create_task(carrying.write())
        except* _Ended as group:
            ends = [end for end in group.exceptions if isinstance(end, _Ended)]
        else:
            ends = []
        if any(end.is_reset for end in ends):
            return True
        if ends:
            for connected in (near, far):
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_WR)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_SECONDS):
                    await asyncio.gather(_discard(near), _discard(far))
        return False


class _Carrying:
    """One direction of a connection.

    Args:
        source: where bytes come from.
        target: where they go.
        faults: the faults of this direction.
        tell: takes each fault when it happens.
    """

    def __init__(
        self, source: socket.socket, target: socket.socket, faults: Sequence[Fault], tell: Callable[[Fault], None]
    ) -> None:
        self._source = source
        self._target = target
        self._faults = faults
        self._tell = tell
        self._told: set[Fault] = set()
        self._carried = 0
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        self._loop = asyncio.get_running_loop()

    async def read(self) -> None:
        """Take bytes as they come."""
        chunk = b"begin"
        while chunk:
            try:
                chunk = await self._loop.sock_recv(self._source, _CHUNK)
            except OSError:
                raise _Ended(is_reset=True) from None
            await self._under_way.put((self._loop.time(), chunk))

    async def write(self) -> None:
        """Pass them on, as the faults have it."""
        while True:
            arrived, chunk = await self._under_way.get()
            if not chunk:
                with suppress(OSError):
                    self._target.shutdown(socket.SHUT_WR)
                return
            for piece in self._pieces(chunk):
                if not await self._pass(piece, arrived):
                    return

    def _pieces(self, chunk: bytes) -> Iterable[bytes]:
        """Split a chunk where faults begin and end."""
        places = {place for fault in self._faults for place in (fault.at, fault.at + (fault.length or 0))}
        inside = sorted(at for place in places if 0 < (at := place - self._carried) < len(chunk))
        for start, end in zip([0, *inside], [*inside, len(chunk)], strict=True):
            yield chunk[start:end]

    async def _pass(self, piece: bytes, arrived: float) -> bool:
        """Pass on bytes to which the same faults apply; false: this direction has ended."""
        applying = [fault for fault in self._faults if fault.applies(self._carried)]
        for fault in applying:
            if fault not in self._told:
                self._told.add(fault)
                self._tell(fault)
        if any(fault.kind in _ENDS for fault in applying):
            await self._end({fault.kind for fault in applying})
            return False
        interval, size = 0.0, len(piece)
        for fault in applying:
            match fault.kind:
                case Kind.DELAY:
                    await asyncio.sleep(arrived + fault.amount - self._loop.time())
                case Kind.THROTTLE:
                    size = max(1, int(fault.amount / 20))
                    interval = size / fault.amount
                case Kind.DRIP:
                    interval, size = fault.amount, 1
                case _:
                    piece = bytes(byte ^ int(fault.amount) for byte in piece)
        await self._write(piece, size, interval)
        return True

    async def _write(self, piece: bytes, size: int, interval: float) -> None:
        """Send bytes in parts of this size, with this time after each part."""
        for start in range(0, len(piece), size):
            try:
                await self._loop.sock_sendall(self._target, piece[start : start + size])
            except OSError:
                raise _Ended(is_reset=True) from None
            if size < len(piece):
                await asyncio.sleep(interval)
        self._carried += len(piece)

    async def _end(self, kinds: set[Kind]) -> None:
        """End this direction, or the connection; the strongest of several kinds decides."""
        if Kind.RESET in kinds or Kind.CUT in kinds:
            raise _Ended(is_reset=Kind.RESET in kinds)
        if Kind.HALF_CLOSE in kinds:
            with suppress(OSError):
                self._target.shutdown(socket.SHUT_WR)
        await self._drop()
        if Kind.HALF_CLOSE not in kinds:
            await asyncio.sleep(_SILENT_SECONDS)
            raise _Ended(is_reset=True)

    async def _drop(self) -> None:
        """Take bytes to the end of the stream, and pass on none."""
        while (await self._under_way.get())[1]:
            pass


async def _discard(source: socket.socket) -> None:
    """Read to the end of the stream."""
    with suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(source, _CHUNK):
            pass


@asynccontextmanager
async def running_relay(
    to: int, *faults: Iterable[Fault], later: Callable[[int], Iterable[Fault]] = lambda _number: ()
) -> AsyncIterator[Relay]:
    """Run a relay on a free port of loopback, in the test's own event loop.

    Args:
        to: the peer's port of loopback.
        faults: those of the first connection, of the second and so on.
        later: those of the other connections, by their number from 0.
    """
    relay = Relay(to, lambda number: faults[number] if number < len(faults) else later(number))
    relay.listening.appear()
    try:
        yield relay
    finally:
        await relay.listening.end()
