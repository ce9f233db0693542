"""The storage SCP of a calibration: a process of its own, which discards what it receives.

It prints the port where it listens. It ends with the process that started it, which holds the other end of its standard
input.
"""

from __future__ import annotations

import asyncio
import sys

from asyncstore.sink import Sink
from asyncstore.waiting import new_loop


def main() -> int:
    """Listen until standard input ends."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve())
    return 0


async def _serve() -> None:
    async with Sink(host="127.0.0.1", port=0) as sink:
        sys.stdout.write(f"{sink.port}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.buffer.read)
