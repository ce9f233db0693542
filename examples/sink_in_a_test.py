"""Test a program that sends DICOM against your own storage SCP: no PACS, no fixed port, nothing left behind.

python examples/sink_in_a_test.py FILE...
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

import asyncstore


async def main(files: list[str]) -> None:
    """Send ``files`` to a sink that stores them, and then to one whose disk is full."""
    with tempfile.TemporaryDirectory() as folder:
        async with asyncstore.Sink(port=0, output=folder) as sink, asyncstore.Sender("127.0.0.1", sink.port) as sender:
            outcomes = [outcome async for outcome in sender.send(files)]
        print(f"{len(outcomes)} outcomes, {len(os.listdir(folder))} files stored, {sink.tally.bytes} bytes")

    async with asyncstore.Sink(port=0, status=0xA700) as full, asyncstore.Sender("127.0.0.1", full.port) as sender:
        async for outcome in sender.send(files):
            print(f"{outcome.path}: {outcome.result}: {outcome.error}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1:]))
