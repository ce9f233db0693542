"""Walk and probe: find the instances in paths, in order, batch by batch, ahead of the consumer.

The walk blocks, so it has a thread; worker processes probe. There are as many batches ahead as workers. A slow walk
passes on its files after a moment, even if they are few.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Self, TypeGuard, TypeVar

from asyncstore.arguments import check, check_least, check_types
from asyncstore.discovery.walk import Paths, WalkOptions, file_at, walk
from asyncstore.members import MemberPath
from asyncstore.model import Instance, Outcome, SourceFile, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.pool import Pool
from asyncstore.waiting import running_loop, start_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from asyncstore.discovery.spool import Spool
    from asyncstore.prepare.converter import Converter

_FIRST_BATCH = 32
"""Files in the first batch: few, so that the first store begins early."""
_BATCH = 512
"""Files in a batch: a message to a worker then costs a microsecond a file, and threads change seldom."""
_BATCH_SECONDS = 0.02
"""After so many seconds the files of a slow walk become a batch, even if they are few."""
_AHEAD = 2048
"""The walk pauses while so many files wait to be probed: some batches, so that the slow listing of a directory leaves
no worker idle."""

_NO_LIMIT = 1 << 62

T = TypeVar("T")

Found = SourceFile | Unsendable | Outcome
"""What a walk finds: files to look into, files that cannot be sent, and files that an earlier run settled."""
Probed = Instance | Unsendable | Outcome
Find = Callable[[str, int], SourceFile | Unsendable]
"""Finds a file by its path, for this ordinal."""
Settle = Callable[[Iterator[SourceFile | Unsendable], Find], Iterator[Found]]
"""Turns files that an earlier run settled into their outcomes; called in the thread of the walk."""


class _Walk:
    """A walk in its own thread.

    The thread is a daemon: the program can end even if a walk hangs in a dead network file system or on a list that
    nobody writes. There is no lock. The loop first says that it waits and then looks for files; the walk first adds a
    file and then looks whether the loop waits.
    """

    def __init__(self, found: Iterator[Found]) -> None:
        self._found = found
        self._waiting: deque[Found] = deque()
        self._loop = running_loop()
        self._arrived = asyncio.Event()
        self._is_awaited = False
        self._spool = threading.Event()
        self._spool.set()
        self._is_over = False
        self._is_abandoned = False
        self.failure: Exception | None = None
        """The exception that the caller's paths raised."""
        start_thread("asyncstore-walk", self._walk)

    async def take(self, most: int) -> list[Found]:
        """The next files, at most ``most``; none at the end."""
        while not self._waiting and not self._is_over:  # a late wake-up may be for files that were taken already
            await self._some()
        if len(self._waiting) < most and not self._is_over:
            await asyncio.sleep(_BATCH_SECONDS)
        batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if len(self._waiting) < _AHEAD:
            self._spool.set()
        return batch

    @property
    def is_exhausted(self) -> bool:
        """Whether it has ended and all its files were taken."""
        return self._is_over and not self._waiting

    def abandon(self) -> None:
        """Stop the walk."""
        self._is_abandoned = True
        self._spool.set()

    async def _some(self) -> None:
        """Wait until the walk finds a file or ends."""
        self._arrived.clear()
        self._is_awaited = True
        if not self._waiting and not self._is_over:
            await self._arrived.wait()

    def _walk(self) -> None:
        try:
            for found in self._found:
                self._waiting.append(found)
                if self._is_awaited:
                    self._tell()
                if len(self._waiting) >= _AHEAD:
                    self._spool.clear()  # before the second look: a later take() sets it again
                    if len(self._waiting) >= _AHEAD and not self._is_abandoned:
                        self._spool.wait()
                if self._is_abandoned:
                    break
            if isinstance(self._found, Generator):
                self._found.close()  # it may have a thread of its own
        except Exception as error:  # noqa: BLE001 - the caller's paths may raise anything; the caller gets it
            self.failure = error
        except BaseException as error:  # noqa: BLE001 - as sys.exit() raises; in a task it would end the loop
            self.failure = RuntimeError(f"the paths raised {error!r}")
        self._is_over = True
        self._tell()

    def _tell(self) -> None:
        self._is_awaited = False
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._arrived.set)


class Survey:
    """Iterates over batches of the instances in ``paths``.

    Args:
        paths: files and directories; may be a generator and may block.
        options: how directories are walked.
        pool: the processes that probe files.
        settle: which files an earlier run settled; ``None``: none.
        on_wait: called in the thread of the walk, each time it begins to wait until members of archives have ended.

    Raises:
        UsageError: ``repeat`` is less than 1, or a value has the wrong type.
    """

    def __init__(
        self,
        paths: Paths,
        options: WalkOptions,
        pool: Pool,
        settle: Settle | None = None,
        on_wait: Callable[[], object] = lambda: None,
    ) -> None:
        is_paths = isinstance(paths, str | os.PathLike | Iterable) and not isinstance(paths, bytes)
        check(is_paths, f"paths must be one path or an iterable of paths, not {type(paths).__name__}")
        check_least("repeat", options.repeat, 1)
        self._spool: Spool | None = None
        self._on_wait = on_wait
        self._is_stopped = False
        wanted = paths if isinstance(paths, str | os.PathLike) else self._until_stopped(paths)
        self._walk = _Walk(self._found(wanted, options, settle))
        self._pool = pool
        self._batch_size = _FIRST_BATCH
        self._walking: asyncio.Task[list[Found]] | None = None
        self._probing: deque[tuple[list[Found], asyncio.Task[list[Probed]]]] = deque()
        self.is_walking = True
        self.is_cut_short = False
        """Whether the walk was stopped before its end: there may be more files."""
        self.found = 0
        """The number of files found so far."""

    @property
    def has_members(self) -> bool:
        """Whether it may find members of archives. They hold room until :func:`ended` is told of them."""
        return self._spool is not None

    def _until_stopped(self, paths: Iterable[T]) -> Iterator[T]:
        """The paths until the walk is stopped: they may be endless, and lead to no file."""
        for path in paths:
            if self._is_stopped:
                break
            yield path

    def _found(self, paths: Paths, options: WalkOptions, settle: Settle | None) -> Iterator[Found]:
        """What the walk finds; members of archives are unpacked if an earlier run did not settle them."""
        if not options.has_members:
            found = walk(paths, options)
            return found if settle is None else settle(found, file_at)
        from asyncstore.discovery.finding import Finder  # few runs open archives
        from asyncstore.discovery.spool import Spool
        from asyncstore.discovery.unpacking import unpacked
        from asyncstore.prepare.lenient_probe import refused_by

        self._spool = spool = Spool(options.ahead)
        spool.on_wait = self._on_wait
        finder = Finder(options.archives, spool)
        found = walk(paths, options, finder)
        unsettled = found if settle is None else settle(found, finder.file_at)
        most = _NO_LIMIT if options.archives is None else options.archives.file
        return unpacked(unsettled, spool, most, refused_by)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Probed]:
        """The next batch.

        Raises:
            PrepareError: worker processes cannot be run.
            Exception: an exception of ``paths``, after the files that came before it.
        """
        while True:
            self._walk_on()
            awaited = {task for task in (self._walking, self._probing[0][1] if self._probing else None) if task}
            if not awaited:
                if self._walk.failure is not None:
                    raise self._walk.failure
                raise StopAsyncIteration
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if self._walking is not None and self._walking.done():
                self._walked(self._walking.result())
            if self._probing and self._probing[0][1].done():
                probed = self._probing[0][1].result()
                self._probing.popleft()
                return probed

    def stop_walking(self) -> None:
        """Stop the walk; the files found so far are still delivered."""
        self.is_cut_short |= self.is_walking and not self._has_found_all
        self.is_walking = False
        self._is_stopped = True
        self._walk.abandon()
        if self._spool is not None:
            self._spool.abandon()
        if self._walking is not None:
            self._walking.cancel()
            self._walking = None

    @property
    def _has_found_all(self) -> bool:
        """Whether the walk has ended and all its files were counted."""
        taken = self._walking.result() if self._walking is not None and self._walking.done() else []
        return self._walk.is_exhausted and not taken

    def close(self) -> list[Found]:
        """Stop everything; returns the files that were found and not delivered."""
        self.stop_walking()
        left = [found for batch, _ in self._probing for found in batch]
        for _, task in self._probing:
            if not task.cancel() and not task.cancelled():
                task.exception()  # another batch has raised the same
        self._probing.clear()
        if self._spool is not None:
            self._spool.close()
        return left

    def _walk_on(self) -> None:
        if self.is_walking and self._walking is None and len(self._probing) <= self._pool.size:
            self._walking = asyncio.create_task(self._walk.take(self._batch_size))

    def _walked(self, batch: list[Found]) -> None:
        self._walking = None
        self.is_walking = bool(batch)
        if batch:
            self._batch_size = _BATCH
            self.found += len(batch)
            self._probing.append((batch, asyncio.create_task(self._probe(batch))))

    async def _probe(self, batch: list[Found]) -> list[Probed]:
        if all_are(batch, SourceFile):
            return [*await self._pool.probe(batch)]
        files = [found for found in batch if isinstance(found, SourceFile)]
        probed = iter(await self._pool.probe(files) if files else ())
        return [next(probed) if isinstance(found, SourceFile) else found for found in batch]


def ended(batch: Iterable[Probed]) -> None:
    """These files need no room any more: they have their outcomes, or nobody will read them again."""
    for one in batch:
        path = one.path
        if isinstance(path, MemberPath):
            path.release()


def all_are(batch: Sequence[object], kind: type[T]) -> TypeGuard[list[T]]:
    """Whether all of a batch are of this type. Nearly every batch is of one, and 256 files take 5 µs."""
    return set(map(type, batch)) == {kind}


async def edited(batch: list[Probed], converter: Converter) -> list[Probed]:
    """A batch with edited instances. Batches come here in the order of the walk.

    Raises:
        PrepareError: worker processes cannot be run.
    """
    for one in batch:
        if isinstance(one, Unsendable) or (isinstance(one, Outcome) and one.identity is None):
            converter.pass_over(one.file.ordinal)
    made = iter(await converter.edited([one for one in batch if isinstance(one, Instance)]))
    return [next(made) if isinstance(one, Instance) else one for one in batch]


def runs(batch: list[Probed]) -> Iterator[list[Instance] | list[Unsendable] | list[Outcome]]:
    """A batch in runs of one type, in order. Nearly every batch is one run."""
    for _, group in groupby(batch, type):
        run = list(group)
        if all_are(run, Instance) or all_are(run, Unsendable) or all_are(run, Outcome):
            yield run


async def survey(
    paths: Paths,
    options: WalkOptions | None = None,
    *,
    workers: int | None = None,
    file_format: FileFormat = FileFormat.ANY,
) -> AsyncGenerator[list[Instance | Unsendable], None]:
    """The instances in ``paths``, in batches; nothing is sent.

    Close the iterator (:func:`contextlib.aclosing`) when leaving early.

    Raises:
        UsageError: a value has the wrong type or is out of its range.
        PrepareError: worker processes cannot be run.
    """
    check_types(survey, {"options": options, "workers": workers, "file_format": file_format})
    check_least("workers", workers, 1)
    pool = Pool(workers, file_format)
    looked = Survey(paths, options or WalkOptions(), pool)
    try:
        async for batch in looked:
            yield [one for one in batch if not isinstance(one, Outcome)]
            if looked.has_members:
                ended(batch)
    finally:
        looked.close()
        pool.close()
