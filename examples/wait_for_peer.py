"""Wait until a peer answers C-ECHO, as a script does before it sends.

python examples/wait_for_peer.py PEER PORT SECONDS
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import asyncstore

_PAUSE = 0.5


async def echo(peer: str, port: int) -> float:
    """The seconds from a C-ECHO-RQ to its response."""
    async with asyncstore.Sender(peer, port) as sender, aclosing(sender.echo()) as echoes:
        return await anext(echoes)


async def main(peer: str, port: int, seconds: float) -> int:
    """Wait for the peer; returns 0 when it answers, 1 after the given seconds or if it never will."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    print(f"{peer}:{port} answered in {1000 * await echo(peer, port):.1f} ms")
                except asyncstore.AssociationError as error:
                    print(error)
                    if not error.is_transient:
                        return 1
                else:
                    return 0
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        return 1


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
