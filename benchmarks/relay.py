"""A TCP relay that delays bytes, like a long way, or limits their rate.

    python -m benchmarks.relay --port 11113 --to 11112 --delay 0.05

Rules:

1. Every byte is delayed by the same time in both directions, so a round trip takes twice that time. Bytes on the way do
   not hold up later ones.
2. The loop uses ``select``, which counts microseconds: ``epoll`` rounds up to milliseconds.
3. A slow relay reads the sender's socket at its rate, for each TCP connection; the answers are not limited.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import socket
from contextlib import suppress
from dataclasses import dataclass

_CHUNK = 1 << 16
_CHUNKS_UNDER_WAY = 1024
"""So at most 64 MiB are on the way in each direction."""
_RECEIVE_BUFFER = 1 << 18
"""The kernel's receive buffer for a slow relay in bytes: small, so that the sender feels the rate soon."""


@dataclass(frozen=True, slots=True)
class Way:
    """The delay and rate of bytes in one direction.

    Attributes:
        delay: seconds until they arrive.
        rate: bytes a second; 0: no limit.
    """

    delay: float
    rate: float = 0.0


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Pass on all bytes, and then the end of the stream."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
    arriving = asyncio.create_task(_arrive(under_way, writer))
    try:
        while chunk := await reader.read(_CHUNK):
            await under_way.put((_now() + way.delay, chunk))
            if way.rate:
                await asyncio.sleep(len(chunk) / way.rate)
    except OSError:
        arriving.cancel()
        writer.close()
        return
    await under_way.put((_now() + way.delay, b""))
    await arriving


async def _arrive(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """Write chunks when they are due; an empty chunk is the end."""
    with suppress(OSError):
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - _now())
            if not chunk:
                writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def relay(port: int, to: int, delay: float, rate: float) -> None:
    """Accept on a port of loopback and pass everything on to another port, until cancelled."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(carry(reader, far_writer, Way(delay, rate)))
            tasks.create_task(carry(far_reader, writer, Way(delay)))
        writer.close()
        far_writer.close()

    listening = socket.create_server(("127.0.0.1", port), backlog=128)
    if rate:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    server = await asyncio.start_server(accept, sock=listening, limit=_CHUNK)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run until interrupted."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.relay", description="A TCP relay that takes its time.")
    options.add_argument("--port", type=int, required=True, help="port of loopback to listen on")
    options.add_argument("--to", type=int, required=True, help="port of loopback to pass everything on to")
    options.add_argument("--delay", type=float, default=0.0, help="seconds that bytes take, in either direction")
    options.add_argument("--rate", type=float, default=0.0, help="bytes a second towards the peer; 0: any number")
    chosen = options.parse_args()

    def new_loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(selectors.SelectSelector())

    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(relay(chosen.port, chosen.to, chosen.delay, chosen.rate))


if __name__ == "__main__":
    main()
