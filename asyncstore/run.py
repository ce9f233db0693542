"""One run of a sender: from the survey to the dispatcher, and from the dispatcher to the consumer.

Rules:

1. Every file that the survey found has one outcome when the run is over, however it ended.
2. A consumer that does not take outcomes slows the feeding and the lanes; it never loses one.
3. An error that kept the whole run from being attempted is raised where the consumer iterates, after the last outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING

from asyncstore.arguments import check_least, check_type
from asyncstore.errors import JournalError
from asyncstore.model import Instance, Outcome, Progress, Unsendable
from asyncstore.observe.unusual_uids import first_unusual, warning_about
from asyncstore.schedule.dispatch import ABORTED
from asyncstore.schedule.outcome import unprobed
from asyncstore.surveying import all_are, edited, ended, runs
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from asyncstore.limiting import Limiter
    from asyncstore.prepare.converter import Converter
    from asyncstore.recording import Recording
    from asyncstore.schedule.dispatch import Dispatcher
    from asyncstore.schedule.timetable import TimeTable
    from asyncstore.surveying import Probed, Survey

_log = logging.getLogger(__name__)

_OUTCOMES_WAITING = 8192
"""Outcomes that may wait for the consumer before the lanes wait too: those of half a second at most, some 5 MB."""
_OUTCOMES_SECONDS = 0.02
"""The consumer gets outcomes in batches of this long: waking it for each one would cost as much as the store."""


class Outlet:
    """Outcomes on their way to the consumer.

    Args:
        has_members: whether files may be members of archives, which hold room until they have ended.
    """

    def __init__(self, *, has_members: bool = False) -> None:
        self._has_members = has_members
        self._waiting: list[Outcome] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes; never waits."""
        if self._has_members:
            outcomes = list(outcomes)
            ended(outcomes)
        self._waiting.extend(outcomes)
        self._filled.set()

    def put_one(self, outcome: Outcome) -> None:
        """Add an outcome; never waits."""
        if self._has_members:
            ended((outcome,))
        self._waiting.append(outcome)
        self._filled.set()

    @property
    def is_exhausted(self) -> bool:
        """Whether no more will come, and the consumer has taken all of them."""
        return self._closed.is_set() and not self._waiting

    async def room(self) -> None:
        """Wait until the consumer has taken enough of them."""
        while len(self._waiting) > _OUTCOMES_WAITING:
            await self._emptied.wait()

    def rest(self) -> list[Outcome]:
        """The outcomes that the consumer has not taken."""
        outcomes, self._waiting = self._waiting, []
        return outcomes

    def close(self) -> None:
        """No more will come."""
        self._closed.set()
        self._filled.set()

    async def take(self) -> list[Outcome]:
        """The outcomes of the last moment; none at the end."""
        outcomes: list[Outcome] = []
        while not (outcomes or self.is_exhausted):  # another consumer may have taken them
            await self._filled.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OUTCOMES_SECONDS):
                    await self._closed.wait()
            outcomes = self.rest()
            if not self._closed.is_set():
                self._filled.clear()
        self._emptied.set()
        self._emptied = asyncio.Event()
        return outcomes


class Run:
    """One run of a sender: an asynchronous iterator of :class:`~asyncstore.model.Outcome`, one for every file found.

    :meth:`~asyncstore.Sender.send` makes it. It goes on while nobody iterates it; :meth:`aclose` ends it.

    After the last outcome it raises the error that kept the whole run from being attempted, if there was one:
    :class:`~asyncstore.errors.AssociationError` if no association could be opened,
    :class:`~asyncstore.errors.PrepareError` if no worker process could be started. A
    :class:`~asyncstore.errors.JournalError` is raised as well if the journal stopped the run.
    """

    def __init__(
        self,
        files: Survey,
        converter: Converter,
        dispatcher: Dispatcher,
        outlet: Outlet,
        recording: Recording | None,
        limiter: Limiter,
    ) -> None:
        self._files = files
        self._converter = converter
        self._dispatcher = dispatcher
        self._outlet = outlet
        self._recording = recording
        self._limiter = limiter
        self._taken: deque[Outcome] = deque()
        """Outcomes of the last batch that nobody has got one by one yet."""
        self._undelivered: list[Probed] = []
        """Files from the survey that the dispatcher has not got yet."""
        self._probed = 0
        self._bytes_probed = 0
        self._has_warned = False
        """Whether the warning about unusual UIDs was given: once is enough."""
        self._failure: BaseException | None = None
        self._task = asyncio.create_task(self._go())
        self._task.add_done_callback(self._ended)

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        if not self._taken:
            batch = await self.next_batch()
            if not batch:
                raise StopAsyncIteration
            self._taken += batch
        return self._taken.popleft()

    async def batches(self) -> AsyncGenerator[list[Outcome], None]:
        """The outcomes in the batches in which they arrive, at most some fifty a second: cheaper than one by one."""
        while batch := await self.next_batch():
            yield batch

    async def next_batch(self) -> list[Outcome]:
        """The next batch; empty when the run is over.

        Raises:
            AsyncstoreError: the run is over, and this error kept it from being attempted.
        """
        if self._recording is not None:
            await self._room_in(self._recording)
        batch = await self._outlet.take()
        if self._recording is not None and batch:
            self._recording.record(batch)
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def progress(self) -> Progress:
        """The state of the run now."""
        dispatcher = self._dispatcher
        return Progress(
            self._files.found, self._files.is_walking, self._probed, self._bytes_probed, dispatcher.bytes_sent,
            dispatcher.associations_opened, dispatcher.lanes(), self._files.is_cut_short, dispatcher.retrying,
            dispatcher.retries, dispatcher.outages, dispatcher.outage, dispatcher.is_paused,
            self._limiter.pacing.limit(),
        )  # fmt: skip

    @property
    def is_halted(self) -> bool:
        """Whether a file that was not stored ended the run."""
        return self._dispatcher.is_halted

    @property
    def is_over(self) -> bool:
        """Whether the run has ended; there may still be outcomes to take."""
        return self._task.done()

    @property
    def is_settled(self) -> bool:
        """Whether it has ended, and its journal, if there is one, has all its outcomes."""
        return self.is_over if self._recording is None else self._outlet.is_exhausted

    def stop(self, reason: str = "the run was interrupted before it was sent") -> None:
        """Begin nothing new. Stores under way finish, associations are released, then the iteration ends."""
        self._dispatcher.stop(reason)

    def pause(self) -> None:
        """Begin nothing new until :meth:`resume`. Stores under way finish, and associations are released."""
        self._dispatcher.pause()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._dispatcher.resume()

    def set_associations(self, number: int | None) -> None:
        """Have this many associations from now on; ``None``: as many as make the transfer faster.

        Raises:
            UsageError: it is less than 1, or no whole number.
        """
        check_type("associations", number, "int | None")
        check_least("associations", number, 1)
        self._dispatcher.set_associations(number)

    def limit_rate(self, table: TimeTable | None) -> None:
        """Limit the bytes a second from now on; ``None``: no limit. :func:`~asyncstore.rate_table` makes it of text.

        Raises:
            UsageError: it is no time table.
        """
        check_type("table", table, "TimeTable | None")
        self._limiter.pacing.rate = table
        self._limiter.look()

    def limit_stores(self, table: TimeTable | None) -> None:
        """Limit the stores a second from now on; ``None``: no limit. :func:`~asyncstore.stores_table` makes it of text.

        Raises:
            UsageError: it is no time table.
        """
        check_type("table", table, "TimeTable | None")
        self._limiter.pacing.stores = table
        self._limiter.look()

    def prioritise(self, key: str) -> int:
        """Send the study or patient with this Study Instance UID or Patient ID before all others from now on.

        Instances that an association has taken already are not overtaken. Returns how many of it wait to be sent;
        those that are found later come first as well, and a catalogue gives them next.

        Raises:
            UsageError: it is no text.
        """
        check_type("key", key, "str")
        if self._recording is not None:
            self._recording.prioritise(key)
        return self._dispatcher.prioritise(key)

    def abort(self) -> None:
        """End now: associations are aborted, and stores under way have an unknown outcome."""
        self._task.cancel()

    async def aclose(self) -> None:
        """Abort if the run is not over, and wait until nothing of it is left."""
        self.abort()
        await asyncio.wait({self._task})
        if self._recording is not None:
            self._recording.record(self._outlet.rest())

    async def _go(self) -> None:
        self._limiter.start(self._dispatcher)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._dispatcher.run())
                feeding = tasks.create_task(self._feed())
                tasks.create_task(self._stop_feeding_when_stopped(feeding))
                await asyncio.wait({feeding})
                self._dispatcher.end_input()
        finally:
            await finished(self._limiter.aclose())
        if self._failure is None:
            self._failure = self._dispatcher.unconverted
        if self._failure is None and not self._dispatcher.associations_opened:
            self._failure = self._dispatcher.failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Hand on the last outcomes, however the run ended, even if it never began."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
        reason = self._dispatcher.stop_reason or ABORTED
        left = [*self._undelivered, *self._files.close()]
        if self._recording is not None:
            self._recording.end()
        self._outlet.put(found if isinstance(found, Outcome) else unprobed(found, reason) for found in left)
        self._outlet.close()

    async def _feed(self) -> None:
        """Hand files from the survey to the dispatcher."""
        try:
            async for batch in self._files:
                self._probed += len(batch)
                self._undelivered = batch
                if self._converter.edits:
                    batch = self._undelivered = await edited(batch, self._converter)  # noqa: PLW2901 - the same files
                for run in runs(batch):
                    self._undelivered = self._undelivered[len(run) :]
                    if all_are(run, Instance):
                        await self._feed_instances(run)
                    elif all_are(run, Unsendable):
                        self._dispatcher.refuse(run)
                    elif all_are(run, Outcome):  # an earlier run settled these files
                        self._outlet.put(run)
                await self._outlet.room()
        except Exception as error:  # noqa: BLE001 - it is raised where the consumer iterates
            self._failure = error
            self._dispatcher.stop(str(error))

    async def _feed_instances(self, instances: list[Instance]) -> None:
        self._bytes_probed += sum([instance.payload.length for instance in instances])
        if not self._has_warned:
            self._warn_of_unusual(instances)
        await self._dispatcher.put(instances)

    async def _room_in(self, recording: Recording) -> None:
        """Wait until the journal has room for a batch. If it can no longer be written, the run stops."""
        try:
            await recording.room()
        except JournalError as error:
            self._failure = error
            self._dispatcher.stop(str(error))

    def _warn_of_unusual(self, instances: Iterable[Instance]) -> None:
        unusual = first_unusual(instances)
        if unusual is not None:
            self._has_warned = True
            _log.warning("%s", warning_about(unusual))

    async def _stop_feeding_when_stopped(self, feeding: asyncio.Task[None]) -> None:
        """Stop the walk at once: a worker may wait for ever for a file server."""
        await self._dispatcher.stopped.wait()
        self._files.stop_walking()
        feeding.cancel()
