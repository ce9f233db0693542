"""The worker processes, seen from the event loop.

Rules:

1. A process is started when there is a batch for it and every other one is busy, up to the size of the pool.
2. Processes are plain children with pipes, not :mod:`multiprocessing`'s: nothing of the caller's main module is
   imported into them, nothing is forked from a process with threads, and a worker that dies takes nothing with it.
3. A worker that dies with its batch: what it had not answered is done again file by file; a file that kills a worker
   again is unsendable, and the run goes on.
4. A worker that gives no sign of life for long is killed, and the same is done; a file that takes as long again, alone,
   is unsendable.
5. The exchange with a worker blocks, so each has a thread for it; when its caller is cancelled the worker is killed,
   which ends the exchange.
"""

from __future__ import annotations

import contextlib
import os
import threading
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_thread

from asyncstore.errors import PrepareError
from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.process import Worker, WorkerDied, WorkerSilent, take
from asyncstore.prepare.spool import drop
from asyncstore.prepare.worker import CONVERT, JUDGE, PROBE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncstore.prepare.conversion import Order, Settings

_STILLBORN_LIMIT = 3
"""Workers in a row that die before they have said hello: the machine cannot run them, and no file is to blame."""


SILENT_SECONDS = 120.0
"""How long a worker may give no sign of life, and then once more with the file that it hangs on: a file server that
restarts is back by then. A file takes microseconds; a worker tells every few seconds that it goes on."""

_BYTES_PER_SECOND = 1 << 20
"""What a conversion gets time for besides: a slow file server sends ten times as much."""


class _Work(NamedTuple):
    """A kind of work.

    Attributes:
        kind: what its orders begin with.
        words: what it does to a file, for people.
        settings: what its orders end with.
        bytes: the size of the largest data set that is read as a whole.
    """

    kind: str
    words: str
    settings: tuple[Any, ...] = ()
    bytes: int = 0


class Pool:
    """The worker processes.

    Use :meth:`close` when done; it may be called at any time, also while batches are under way.

    Args:
        size: how many at most; ``None``: by the number of cores.
        file_format: which files they take for instances.
        silent_seconds: how long one may give no sign of life.
    """

    def __init__(
        self,
        size: int | None = None,
        file_format: FileFormat = FileFormat.ANY,
        *,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._file_format = file_format
        self._silent_seconds = silent_seconds
        self.size = size or default_size()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._places = anyio.Semaphore(self.size)
        self._threads = anyio.CapacityLimiter(self.size)
        self._starting = threading.Lock()
        self._is_closed = False

    async def probe(self, paths: Sequence[str], ordinals: Iterable[int] = repeat(0)) -> list[Instance | Unsendable]:
        """Look into each file, in order; the answers have these ordinals.

        Raises:
            PrepareError: no worker process can be run.
        """
        return await self._do_all(_Work(PROBE, "looking into it"), paths, [*zip(paths, ordinals, strict=False)])

    async def convert(self, orders: list[Order], settings: Settings) -> list[Instance | Unsendable]:
        """Convert each data set, in order; see :func:`asyncstore.prepare.conversion.convert`.

        Large ones lie in files: give the answers to :func:`asyncstore.prepare.spool.drop` when they have been read.

        Raises:
            PrepareError: no worker process can be run.
        """
        return await self._convert(_Work(CONVERT, "converting it"), orders, settings)

    async def judge(self, orders: list[Order], settings: Settings) -> list[Instance | Unsendable]:
        """Whether each data set can be converted, in order; see :func:`asyncstore.prepare.conversion.judge`.

        Raises:
            PrepareError: no worker process can be run.
        """
        return await self._convert(_Work(JUDGE, "looking into it"), orders, settings)

    async def _convert(self, work: _Work, orders: list[Order], settings: Settings) -> list[Instance | Unsendable]:
        paths = [order.instance.path for order in orders]
        largest = max((order.instance.length for order in orders), default=0)
        tasks = [(tuple(order.instance), *order[1:]) for order in orders]  # as marshal takes it
        return await self._do_all(work._replace(settings=(tuple(settings),), bytes=largest), paths, tasks)

    async def _do_all(self, work: _Work, paths: Sequence[str], tasks: list[Any]) -> list[Instance | Unsendable]:
        """What came of each of ``tasks``, which concern the files at ``paths``."""
        found: list[Instance | Unsendable] = []
        try:
            try:
                await self._do(work, tasks, found)
            except (WorkerDied, WorkerSilent):
                for path, task in zip(paths[len(found) :], tasks[len(found) :], strict=True):
                    await self._do_alone(work, path, task, found)
        except BaseException:
            if work.kind == CONVERT:
                drop(found)
            raise
        return found

    async def _do_alone(self, work: _Work, path: str, task: Any, found: list[Instance | Unsendable]) -> None:  # noqa: ANN401 - what marshal knows
        ordinal = task[1] if work.kind == PROBE else 0
        try:
            with contextlib.suppress(WorkerDied):
                return await self._do(work, [task], found)
            return await self._do(work, [task], found)
        except WorkerDied as end:
            found.append(Unsendable(path, f"{work.words} killed a worker process, twice ({end})", ordinal))
        except WorkerSilent as end:
            reason = f"{work.words} took more than {end}, and its worker process was ended"
            found.append(Unsendable(path, reason, ordinal))

    async def _do(self, work: _Work, tasks: list[Any], found: list[Instance | Unsendable]) -> None:
        async with self._places:
            while not self._idle:
                if self._is_closed:
                    raise PrepareError("the pool of worker processes has been closed")
                await anyio.to_thread.run_sync(self._start, limiter=self._threads)
            worker = self._idle.pop()
            try:
                seconds = self._silent_seconds + work.bytes / _BYTES_PER_SECOND
                await worker.do([work.kind, tasks, *work.settings], found, seconds)
            except BaseException:
                self._all.discard(worker)
                worker.end()
                raise
            self._idle.append(worker)

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
