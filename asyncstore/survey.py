"""Walk and probe: what paths hold, batch by batch, in order, as far ahead of the consumer as the pool has workers.

The walk blocks and runs in a thread, the probing in worker processes; neither is waited for longer than the other one
needs.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Self

import anyio.to_thread

from asyncstore.model import Instance, SourceFile, Unsendable
from asyncstore.prepare.pool import Pool
from asyncstore.source import WalkOptions, walk

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterable, Iterator

_FIRST_BATCH = 32
"""Files in the first batch: few, so that the first store leaves early."""
_BATCH = 256
"""Files in a batch: a message to a worker then costs a microsecond a file."""
_BATCH_SECONDS = 0.05
"""What a slow file system delivers in this time is a batch, full or not."""

Found = SourceFile | Unsendable


class Survey:
    """What ``paths`` hold.

    Args:
        paths: files and directories; may be a generator and may block.
        options: how directories are walked.
        pool: the processes that look into files.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], options: WalkOptions, pool: Pool) -> None:
        self._walk: Iterator[Found] = walk(paths, options)
        self._pool = pool
        self._batch_size = _FIRST_BATCH
        self._walking: asyncio.Task[list[Found]] | None = None
        self._probing: deque[tuple[list[Found], asyncio.Task[list[Instance | Unsendable]]]] = deque()
        self._walk_failure: Exception | None = None
        self.is_walking = True
        self.found = 0
        """Files found so far."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Instance | Unsendable]:
        """The next batch.

        Raises:
            PrepareError: no worker process can be run.
        """
        while True:
            self._walk_on()
            awaited = {
                task for task in (self._walking, self._probing[0][1] if self._probing else None) if task is not None
            }
            if not awaited:
                if self._walk_failure is not None:
                    raise self._walk_failure
                raise StopAsyncIteration
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if self._walking is not None and self._walking.done():
                self._walked(self._walking)
            if self._probing and self._probing[0][1].done():
                probed = self._probing[0][1].result()
                self._probing.popleft()
                return probed

    def stop_walking(self) -> None:
        """Find nothing more; what was found is still delivered."""
        self.is_walking = False
        if self._walking is not None:
            self._walking.cancel()
            self._walking = None

    def close(self) -> list[str]:
        """Give up; the paths that were found and not delivered."""
        self.stop_walking()
        left = [found.path for batch, _ in self._probing for found in batch]
        for _, task in self._probing:
            if not task.cancel() and not task.cancelled():
                task.exception()  # another batch has said the same
        self._probing.clear()
        return left

    def _walk_on(self) -> None:
        if self.is_walking and self._walking is None and len(self._probing) <= self._pool.size:
            self._walking = asyncio.create_task(anyio.to_thread.run_sync(self._take, abandon_on_cancel=True))

    def _walked(self, task: asyncio.Task[list[Found]]) -> None:
        self._walking = None
        batch = task.result()
        self.is_walking = bool(batch) and self._walk_failure is None
        if batch:
            self._batch_size = _BATCH
            self.found += len(batch)
            self._probing.append((batch, asyncio.create_task(self._probe(batch))))

    def _take(self) -> list[Found]:
        """The next batch of the walk; in a thread."""
        deadline = time.monotonic() + _BATCH_SECONDS
        batch: list[Found] = []
        try:
            for found in itertools.islice(self._walk, self._batch_size):
                batch.append(found)
                if time.monotonic() > deadline:
                    break
        except Exception as error:  # noqa: BLE001 - the paths are the caller's generator: whatever it raises is raised to him
            self._walk_failure = error
        return batch

    async def _probe(self, batch: list[Found]) -> list[Instance | Unsendable]:
        paths = [found.path for found in batch if isinstance(found, SourceFile)]
        unsendable: list[Instance | Unsendable] = [found for found in batch if isinstance(found, Unsendable)]
        return unsendable + await self._pool.probe(paths) if paths else unsendable


async def survey(
    paths: Iterable[str | os.PathLike[str]], options: WalkOptions | None = None, *, workers: int | None = None
) -> AsyncIterator[list[Instance | Unsendable]]:
    """What ``paths`` hold, in batches; nothing is sent.

    Close the iterator (:func:`contextlib.aclosing`) when leaving early.

    Raises:
        PrepareError: no worker process can be run.
    """
    pool = Pool(workers)
    looked = Survey(paths, options or WalkOptions(), pool)
    try:
        async for batch in looked:
            yield batch
    finally:
        looked.close()
        pool.close()
