"""A signal between the tasks of a run: one wakes all others that wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Signal:
    """Something has changed: each waiting task looks for itself whether that concerns it."""

    def __init__(self) -> None:
        self._change = asyncio.Event()

    def send(self) -> None:
        """Wake all that wait now."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def wait(self) -> None:
        """Wait for the next change."""
        await self._change.wait()

    async def wait_within(self, seconds: float | None) -> None:
        """Wait for the next change, but only so long; ``None``: for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._change.wait()
