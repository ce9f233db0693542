"""The worker processes, seen from the event loop.

Rules:

1. A process is started when there is a batch for it and every other one is busy, up to the size of the pool.
2. Processes are plain children with pipes, not :mod:`multiprocessing`'s: nothing of the caller's main module is
   imported into them, nothing is forked from a process with threads, and a worker that dies takes nothing with it.
3. A worker that dies with its batch: the batch is done again file by file; a file that kills a worker again is
   unsendable, and the run goes on.
4. The exchange with a worker blocks, so each has a thread for it; when its caller is cancelled the worker is killed,
   which ends the exchange.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from asyncstore.errors import PrepareError
from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.process import Worker, WorkerDied, take
from asyncstore.prepare.worker import CONVERT, PROBE

if TYPE_CHECKING:
    from asyncstore.prepare.conversion import Order

_STILLBORN_LIMIT = 3
"""Workers in a row that die before they have said hello: the machine cannot run them, and no file is to blame."""


class Pool:
    """Up to ``size`` worker processes, which take files of this format for instances.

    Use :meth:`close` when done; it may be called at any time, also while batches are under way.
    """

    def __init__(self, size: int | None = None, file_format: FileFormat = FileFormat.ANY) -> None:
        self._file_format = file_format
        self.size = size or default_size()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._places = anyio.Semaphore(self.size)
        self._threads = anyio.CapacityLimiter(self.size)
        self._starting = threading.Lock()
        self._is_closed = False

    async def probe(self, paths: list[str]) -> list[Instance | Unsendable]:
        """Look into each file, in order.

        Raises:
            PrepareError: no worker process can be run.
        """
        try:
            return await self._do([PROBE, paths])
        except WorkerDied:
            return [await self._do_dangerous(path, [PROBE, [path]], "looking into it") for path in paths]

    async def convert(
        self,
        orders: list[Order],
        new_vrs: bool,  # noqa: FBT001 - the arguments of conversion.convert
        deflate_level: int,
        folder: str,
    ) -> list[Instance | Unsendable]:
        """Convert each data set, in order; see :func:`asyncstore.prepare.conversion.convert`.

        Raises:
            PrepareError: no worker process can be run.
        """
        plain = [(tuple(order.instance), *order[1:]) for order in orders]
        try:
            return await self._do([CONVERT, plain, new_vrs, deflate_level, folder])
        except WorkerDied:
            return [
                await self._do_dangerous(
                    order.instance.path, [CONVERT, [one], new_vrs, deflate_level, folder], "converting it"
                )
                for order, one in zip(orders, plain, strict=True)
            ]

    async def _do_dangerous(self, path: str, order: list[Any], work: str) -> Instance | Unsendable:
        try:
            with contextlib.suppress(WorkerDied):
                return (await self._do(order))[0]
            return (await self._do(order))[0]
        except WorkerDied as end:
            return Unsendable(path, f"{work} killed a worker process, twice ({end})")

    async def _do(self, order: list[Any]) -> list[Instance | Unsendable]:
        async with self._places:
            while not self._idle:
                if self._is_closed:
                    raise PrepareError("the pool of worker processes has been closed")
                await anyio.to_thread.run_sync(self._start, limiter=self._threads)
            worker = self._idle.pop()
            try:
                found = await worker.do(order)
            except BaseException:
                self._all.discard(worker)
                worker.end()
                raise
            self._idle.append(worker)
            return found

    def _start(self) -> None:
        """In a thread: whoever waits for it may be cancelled, and the worker is then idle, or ended with the pool."""
        for _ in range(_STILLBORN_LIMIT):
            with self._starting:
                if self._is_closed:
                    return
                worker = take(self._file_format)
                self._all.add(worker)
            if worker.has_started():
                self._idle.append(worker)
                return
            self._all.discard(worker)
            worker.end()
        raise PrepareError("worker processes die as soon as they start")

    def close(self) -> None:
        """End every process."""
        with self._starting:  # none is started unseen meanwhile; it takes a millisecond or two
            self._is_closed = True
        self._idle.clear()
        while self._all:
            self._all.pop().end()


_MOST_BY_DEFAULT = 8
"""One looks into 40 000 files a second; no event loop sends what eight find."""


def default_size() -> int:
    """As many processes as this one may use cores, less one for the event loop, but at least one and at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores - 1, 1), _MOST_BY_DEFAULT)
