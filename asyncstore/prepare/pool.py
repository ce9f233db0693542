"""The worker processes, seen from the event loop.

Rules:

1. There are two queues, by cost: one for probes and re-encoding, one for transcoding, which takes a thousand times as
   long. Each has processes of its own, so what is probed never waits behind what is transcoded. A queue starts a
   process when there is a batch and all its other processes are busy, up to the size of the pool. Those that transcode
   have a lower priority: the event loop and the probes come first.
2. Processes are plain children with pipes, not :mod:`multiprocessing`'s: they do not import the caller's main module,
   nothing is forked from a process with threads, and the death of a worker harms nothing else.
3. If a worker dies, the unanswered files of its batch are done again one by one. A file that kills a second worker is
   unsendable, and the run goes on.
4. A worker that is silent for too long is killed, and its batch treated likewise. A file that takes as long again,
   alone, is unsendable. A worker that is silent from its start is no file's fault: the machine cannot run workers.
5. The exchange with a worker blocks, so each worker has a thread for it. Cancelling the caller kills the worker, which
   ends the exchange.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncstore.errors import PrepareError
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation import UNCOMPRESSED
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import (
    CONVERT,
    EDIT,
    JUDGE,
    MEASURE,
    PROBE,
    PROBE_PARTS,
    UNSENDABLE,
    containers,
    converted,
    edited,
    found,
    found_in_parts,
    part_of,
    reason_in,
    size_in,
)
from asyncstore.prepare.process import Worker, WorkerDied, WorkerSilent
from asyncstore.prepare.spool import drop
from asyncstore.prepare.start import take
from asyncstore.waiting import called_in_thread, finished

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncstore.model import Instance, SourceFile, Unsendable
    from asyncstore.prepare.conversion import Settings
    from asyncstore.prepare.messages import Answer, Order

_STILLBORN_LIMIT = 3
"""If so many workers in a row die before they say hello, the machine cannot run them, and no file is to blame."""


SILENT_SECONDS = 120.0
"""A worker may be silent for so many seconds, and once more with the file on which it hangs: a restarted file server is
back by then. A file takes microseconds, and a worker reports every few seconds."""

_BYTES_PER_SECOND = 1 << 20
"""A conversion gets a second more for so many bytes: a slow file server sends ten times as much."""


_ALL_PLAIN = {str}
"""The types of the paths in nearly every batch: none is a member of an archive."""


class _Work(NamedTuple):
    """A kind of work.

    Attributes:
        kind: the first word of its orders.
        words: what it does to a file, for messages.
        settings: the end of its orders.
        bytes: the size of the largest data set that is read as a whole.
    """

    kind: str
    words: str
    settings: tuple[Any, ...] = ()
    bytes: int = 0


def _is_transcoded(order: Order) -> bool:
    """Whether the pixel data of this order, if there is any, has to be decoded or encoded."""
    source, target = order.instance.identity.transfer_syntax_uid, order.transfer_syntax_uid
    return source != target and not (source in UNCOMPRESSED and target in UNCOMPRESSED)


class _Queue:
    """The processes for one kind of cost, and who waits for them."""

    def __init__(self, size: int, niceness: int) -> None:
        self.places = asyncio.Semaphore(size)
        self.idle: list[Worker] = []
        self.niceness = niceness
        """How much lower the priority of its processes is."""


_NICENESS = 5
"""A third of the time of a process with the usual priority, where both need it; all of it where a core is free."""


class Pool:
    """The worker processes.

    Call :meth:`close` when done, or at any time, even while batches are under way.

    Args:
        size: the greatest number of processes in each queue; ``None``: by the number of cores.
        file_format: which files count as instances.
        silent_seconds: how long a worker may be silent.
        start_seconds: how long it may take to start.

    Attributes:
        wants_details: whether probes read the details of files.
        repairs: whether probes accept what :mod:`asyncstore.prepare.repair` can mend.
    """

    def __init__(
        self,
        size: int | None = None,
        file_format: FileFormat = FileFormat.ANY,
        *,
        silent_seconds: float = SILENT_SECONDS,
        start_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._file_format = file_format
        self._silent_seconds = silent_seconds
        self._start_seconds = start_seconds
        self.wants_details = False
        self.repairs = False
        self.size = size or default_size()
        self._quick = _Queue(self.size, 0)
        self._costly = _Queue(self.size, _NICENESS)
        self._all: set[Worker] = set()
        self._starting = threading.Lock()
        self._is_closed = False

    async def probe(self, files: Sequence[SourceFile]) -> list[Instance | Unsendable]:
        """Probe each file, in order.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        work = _Work(PROBE, "looking into it", (self.wants_details, self.repairs))
        paths = [file.path for file in files]
        if set(map(type, paths)) != _ALL_PLAIN:
            return await self._probe_parts(files, work._replace(kind=PROBE_PARTS))
        return found(files, await self._do_all(self._quick, work, paths))

    async def _probe_parts(self, files: Sequence[SourceFile], work: _Work) -> list[Instance | Unsendable]:
        """Probe files of which some are members of archives."""
        tasks = [part_of(file.path) for file in files]
        largest = max(task[2] if len(task) > 1 else 0 for task in tasks)
        return found_in_parts(files, await self._do_all(self._quick, work._replace(bytes=largest), tasks))

    async def convert(self, orders: list[Order], settings: Settings) -> list[Instance | Unsendable]:
        """Convert each data set, in order; see :func:`asyncstore.prepare.conversion.convert`.

        Large results lie in files: pass their containers to :func:`asyncstore.prepare.spool.drop` after reading them.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        return converted(orders, await self._convert(_Work(CONVERT, "converting it"), orders, settings))

    async def edit(self, orders: list[Order], settings: Settings) -> list[Instance | Unsendable]:
        """Edit each data set, in order; see :func:`asyncstore.prepare.rewriting.edit`.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        return edited(orders, await self._convert(_Work(EDIT, "editing it"), orders, settings))

    async def judge(self, orders: list[Order], settings: Settings) -> list[str | None]:
        """Why each data set cannot be converted, ``None`` if it can; see :func:`asyncstore.prepare.conversion.judge`.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        answers = await self._convert(_Work(JUDGE, "looking into it"), orders, settings)
        return [reason_in(answer) for answer in answers]

    async def measure(self, orders: list[Order]) -> list[int | None]:
        """The size of each data set if it is decompressed; see :func:`asyncstore.prepare.conversion.measure`.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        return [size_in(answer) for answer in await self._convert(_Work(MEASURE, "looking into it"), orders)]

    async def _convert(self, work: _Work, orders: list[Order], *settings: Settings) -> list[Answer]:
        largest = max((order.instance.length for order in orders), default=0)
        tasks = [(tuple(order.instance.identity), tuple(order.instance.payload), *order[1:]) for order in orders]
        work = work._replace(settings=tuple(map(tuple, settings)), bytes=largest)
        if work.kind != MEASURE and any(map(_is_transcoded, orders)):
            return await self._do_apart(work, tasks)
        return await self._do_all(self._quick, work, tasks)

    async def _do_apart(self, work: _Work, tasks: Sequence[Any]) -> list[Answer]:
        """The answers to costly ``tasks``: each is an order of its own, so that all processes share them."""
        answers: list[list[Answer]] = [[] for _ in tasks]
        doing = [
            asyncio.ensure_future(self._do_all(self._costly, work, [task], answer))
            for task, answer in zip(tasks, answers, strict=True)
        ]
        try:
            await asyncio.gather(*doing)
        except BaseException:
            for one in doing:
                one.cancel()
            await finished(_ended(doing))
            for answer in answers:
                drop(containers(answer))
            raise
        return [one for answer in answers for one in answer]

    async def _do_all(
        self, queue: _Queue, work: _Work, tasks: Sequence[Any], answers: list[Answer] | None = None
    ) -> list[Answer]:
        """The answers to ``tasks``, of which each concerns one file. They are added to ``answers``."""
        answers = [] if answers is None else answers
        try:
            try:
                await self._do(queue, work, tasks, answers)
            except (WorkerDied, WorkerSilent):
                for task in tasks[len(answers) :]:
                    await self._do_alone(queue, work, task, answers)
        except BaseException:
            drop(containers(answers))
            answers.clear()
            raise
        return answers

    async def _do_alone(self, queue: _Queue, work: _Work, task: Any, answers: list[Answer]) -> None:  # noqa: ANN401 - what marshal knows
        try:
            with contextlib.suppress(WorkerDied):
                return await self._do(queue, work, [task], answers)
            return await self._do(queue, work, [task], answers)
        except WorkerDied as end:
            answers.append((UNSENDABLE, f"{work.words} killed a worker process, twice ({end})", None))
        except WorkerSilent as end:
            reason = f"{work.words} took more than {end}, and its worker process was ended"
            answers.append((UNSENDABLE, reason, None))

    async def _do(self, queue: _Queue, work: _Work, tasks: Sequence[Any], answers: list[Answer]) -> None:
        async with queue.places:
            worker = await self._idle_worker(queue)
            try:
                seconds = self._silent_seconds + work.bytes / _BYTES_PER_SECOND
                await worker.do([work.kind, tasks, *work.settings], answers, seconds)
            except BaseException:
                self._end(worker)
                raise
            queue.idle.append(worker)

    async def _idle_worker(self, queue: _Queue) -> Worker:
        """A worker that has nothing to do. No file is to blame for those that died meanwhile."""
        while not self._is_closed:  # a worker that was about to start may be idle then, but it has been ended
            while queue.idle:
                worker = queue.idle.pop()
                if worker.is_alive:
                    return worker
                self._end(worker)
            try:
                async with asyncio.timeout(self._start_seconds):
                    await called_in_thread(partial(self._start, queue))
            except TimeoutError:
                raise PrepareError(
                    f"a worker process does not start within {self._start_seconds:.0f} seconds; {_what_to_check()}"
                ) from None
        raise PrepareError("the pool of worker processes has been closed")

    def _start(self, queue: _Queue) -> None:
        """Start a worker, in a thread. If the caller is cancelled, the worker stays idle or ends with the pool."""
        for _ in range(_STILLBORN_LIMIT):
            with self._starting:
                if self._is_closed:
                    return
                worker = Worker(take(self._file_format))
                self._all.add(worker)
            if worker.has_started():
                worker.lower_priority(queue.niceness)
                queue.idle.append(worker)
                return
            self._end(worker)
        raise PrepareError(f"worker processes die as soon as they start; {_what_to_check()}")

    def _end(self, worker: Worker) -> None:
        self._all.discard(worker)
        worker.end()

    def close(self) -> None:
        """End every process."""
        with self._starting:  # so that no worker is started unnoticed; it takes a millisecond or two
            self._is_closed = True
        self._quick.idle.clear()
        self._costly.idle.clear()
        while self._all:
            self._all.pop().end()


def _what_to_check() -> str:
    """The next step where no worker process starts."""
    return f"check that {sys.executable} runs, and the limits of memory and processes"


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait until these have ended, however that may be."""
    await asyncio.gather(*tasks, return_exceptions=True)


_MOST_BY_DEFAULT = 8
"""One worker probes 40 000 files a second; no event loop sends as much as eight find."""


def default_size() -> int:
    """The number of cores that this process may use, less one for the event loop, but from 1 to 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores - 1, 1), _MOST_BY_DEFAULT)
