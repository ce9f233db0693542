"""Send files and folders to a storage SCP, and name those that were not stored.

python examples/send_folder.py PEER PORT PATH...
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import asyncstore


async def main(peer: str, port: int, paths: list[str]) -> int:
    """Send ``paths``; returns 0 if all files are stored."""
    results: Counter[asyncstore.Result] = Counter()
    async with asyncstore.Sender(peer, port) as sender:
        async for outcome in sender.send(paths):
            results[outcome.result] += 1
            if outcome.error is not None:
                print(f"{outcome.path}: {outcome.result}: {outcome.error}")
    print(", ".join(f"{count} {result}" for result, count in results.items()))
    return 0 if set(results) <= {asyncstore.Result.STORED, asyncstore.Result.WARNING} else 1


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))
    except asyncstore.AsyncstoreError as error:
        sys.exit(str(error))
