"""Show the progress of a run in your own way, and stop the run after some seconds.

python examples/own_progress.py PEER PORT SECONDS PATH...
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import asyncstore


async def report(run: asyncstore.Run) -> None:
    """Print the progress of the run four times a second. Sampling costs the transfer nothing."""
    while True:
        now = run.progress()
        more = "+" if now.walking else ""
        print(f"{now.bytes_sent / 1e6:.1f} MB sent, {now.found}{more} files found, {len(now.lanes)} associations")
        await asyncio.sleep(0.25)


async def main(peer: str, port: int, seconds: float, paths: list[str]) -> None:
    """Send ``paths`` for some seconds. Then stores under way are finished, and no more begin."""
    results: Counter[asyncstore.Result] = Counter()
    async with asyncstore.Sender(peer, port, associations=4) as sender:
        run = sender.send(paths)
        reporting = asyncio.create_task(report(run))
        asyncio.get_running_loop().call_later(seconds, run.stop, "its time was over")
        async for batch in run.batches():
            results.update(outcome.result for outcome in batch)
        reporting.cancel()
    print(", ".join(f"{count} {result}" for result, count in results.items()))


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
    except asyncstore.AsyncstoreError as error:
        sys.exit(str(error))
