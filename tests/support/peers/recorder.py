"""An acceptor that records the A-ASSOCIATE-RQ of every association as it came, and rejects it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HEADER = 6
"""Bytes of a PDU before its body: type, a reserved one, length (PS3.8 9.3.1)."""
_REJECT = bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 1))
"""A-ASSOCIATE-RJ: permanently, by the service-user, without a reason (PS3.8 9.3.4)."""


@dataclass
class Recorder:
    """A running recorder."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    """What came after the length of each A-ASSOCIATE-RQ."""


@asynccontextmanager
async def running_recorder() -> AsyncIterator[Recorder]:
    """Record on a free port of loopback, in the test's own event loop."""
    recorder = Recorder()

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            header = await reader.readexactly(_HEADER)
            recorder.bodies.append(await reader.readexactly(int.from_bytes(header[2:], "big")))
            writer.write(_REJECT)
            await reader.read()  # the requestor closes
        writer.close()

    server = await asyncio.start_server(record, "127.0.0.1", 0)
    recorder.port = server.sockets[0].getsockname()[1]
    async with server:
        yield recorder
