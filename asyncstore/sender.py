"""The composition root: wires the stages of a run together, and is what a library user meets.

    walk -> probe -> backlog -> lanes -> outcomes

Each arrow is bounded, so a slow peer slows the walk, and a consumer that does not take outcomes slows the lanes. A
run is one task of its :class:`Sender`; leaving the ``async with`` block ends it, whatever it was doing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from itertools import count, groupby
from typing import TYPE_CHECKING, Self

import anyio

from asyncstore.arguments import check, check_ae_title, check_ip_version, check_port, check_window
from asyncstore.errors import RequestTooLong, UsageError
from asyncstore.model import Instance, Outcome, PairAnswer, Progress, Result, Unsendable
from asyncstore.negotiation import UNCOMPRESSED, Planned, requests, verification
from asyncstore.network.association import Association, AssociationOptions
from asyncstore.network.deviations import Deviations
from asyncstore.network.timeouts import Timeouts
from asyncstore.observe.unusual_uids import first_unusual, warning_about
from asyncstore.prepare.converter import ConversionOptions, Converter
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.pool import Pool
from asyncstore.prepare.reading import Reader
from asyncstore.protocol.associate import excess
from asyncstore.schedule.carriage import Carriage
from asyncstore.schedule.dispatch import ABORTED, Dispatcher, DispatchOptions
from asyncstore.source import Paths, WalkOptions
from asyncstore.surveying import Survey

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator
    from types import TracebackType

    from asyncstore.model import Attempt
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.network.tls import TlsOptions, TlsRequestor
    from asyncstore.protocol.associate import ProposedContext, UserIdentity

_log = logging.getLogger(__name__)

_OUTCOMES_WAITING = 8192
"""Outcomes that may wait for the consumer before the lanes wait too: half a second's at the fastest, some 5 MB."""
_OUTCOMES_SECONDS = 0.02
"""Outcomes are handed on in batches of this long: waking the consumer for each one would cost as much as the store."""

_PDU_LENGTHS = range(4096, 131073)
"""The range of storescu's ``-pdu``; larger ones gain nothing."""
_DEFLATE_LEVELS = range(10)
"""zlib's."""

_TIMEOUTS = Timeouts()
_UNCHANGED = ConversionOptions()
_PLANNED = Planned()


class _Outlet:
    """Outcomes on their way to the consumer."""

    def __init__(self) -> None:
        self._waiting: list[Outcome] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, outcomes: Iterable[Outcome]) -> None:
        self._waiting.extend(outcomes)
        self._filled.set()

    async def room(self) -> None:
        while len(self._waiting) > _OUTCOMES_WAITING:
            await self._emptied.wait()

    def close(self) -> None:
        self._closed.set()
        self._filled.set()

    async def take(self) -> list[Outcome]:
        """The outcomes of the last moment; none when there will be no more."""
        await self._filled.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTCOMES_SECONDS):
                await self._closed.wait()
        outcomes, self._waiting = self._waiting, []
        if not self._closed.is_set():
            self._filled.clear()
        self._emptied.set()
        self._emptied = asyncio.Event()
        return outcomes


class Run:
    """One run of a sender: an asynchronous iterator of :class:`~asyncstore.model.Outcome`, one for every file found.

    After the last outcome it raises what kept the whole run from being attempted, if something did:
    :class:`~asyncstore.errors.AssociationError` when no association could be had at all,
    :class:`~asyncstore.errors.PrepareError` when no worker process could.
    """

    def __init__(self, files: Survey, converter: Converter, dispatcher: Dispatcher, outlet: _Outlet) -> None:
        self._files = files
        self._converter = converter
        self._dispatcher = dispatcher
        self._outlet = outlet
        self._taken: Iterator[Outcome] = iter(())
        self._undelivered: list[Instance | Unsendable] = []
        """What the survey gave and the dispatcher has not been given yet."""
        self._probed = 0
        self._bytes_probed = 0
        self._ordinals = count(1)
        self._has_warned = False
        """Whether an unusual UID has been told of: once is enough."""
        self._failure: BaseException | None = None
        self._task = asyncio.create_task(self._go())
        self._task.add_done_callback(self._ended)

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        for taken in self._taken:
            return taken
        batch = await self.next_batch()
        if not batch:
            raise StopAsyncIteration
        self._taken = iter(batch)
        return next(self._taken)

    async def batches(self) -> AsyncIterator[list[Outcome]]:
        """The outcomes in the batches they arrive in, some fifty a second at most: cheaper than one by one."""
        while batch := await self.next_batch():
            yield batch

    async def next_batch(self) -> list[Outcome]:
        """The next batch; empty when the run is over.

        Raises:
            AsyncstoreError: the run is over, and this kept it from being attempted.
        """
        batch = await self._outlet.take()
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def progress(self) -> Progress:
        """The run at this moment."""
        dispatcher = self._dispatcher
        return Progress(
            self._files.found, self._files.is_walking, self._probed, self._bytes_probed, dispatcher.bytes_sent,
            dispatcher.associations_opened, dispatcher.lanes(), self._files.is_cut_short,
        )  # fmt: skip

    @property
    def is_halted(self) -> bool:
        """Whether a file that was not stored ended the run."""
        return self._dispatcher.is_halted

    @property
    def is_over(self) -> bool:
        """Whether nothing of the run is left but outcomes to be taken."""
        return self._task.done()

    def stop(self, reason: str = "the run was interrupted before it was sent") -> None:
        """Start nothing new. Stores under way finish, associations are released, and the iteration then ends."""
        self._dispatcher.stop(reason)

    def abort(self) -> None:
        """End now: associations are aborted, and what was under way is of unknown outcome."""
        self._task.cancel()

    async def aclose(self) -> None:
        """Abort, unless it is over, and wait until nothing of the run is left."""
        self.abort()
        await asyncio.wait({self._task})

    async def _go(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._dispatcher.run)
            with anyio.CancelScope() as feeding:
                tasks.start_soon(self._stop_feeding_when_stopped, feeding)
                await self._feed()
            self._dispatcher.end_input()
        if self._failure is None:
            self._failure = self._dispatcher.unconverted
        if self._failure is None and not self._dispatcher.associations_opened:
            self._failure = self._dispatcher.failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        """However the run ended, and even if it never began: the last outcomes."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
        reason = self._dispatcher.stop_reason or ABORTED
        left = [*(found.path for found in self._undelivered), *self._files.close()]
        self._outlet.put(Outcome(path, Result.NOT_SENT, error=reason, is_withdrawn=True) for path in left)
        self._outlet.close()

    async def _feed(self) -> None:
        """From the survey to the dispatcher."""
        try:
            async for batch in self._files:
                self._probed += len(batch)
                self._undelivered = batch
                for is_sendable, run in groupby(batch, _is_instance):
                    found = list(run)
                    self._undelivered = self._undelivered[len(found) :]
                    if is_sendable:
                        instances = [one for one in found if isinstance(one, Instance)]
                        if self._converter.invents:
                            instances = [one._replace(ordinal=next(self._ordinals)) for one in instances]
                        self._bytes_probed += sum(instance.length for instance in instances)
                        if not self._has_warned:
                            self._warn_of_unusual(instances)
                        await self._dispatcher.put(instances)
                    else:
                        self._dispatcher.refuse(one for one in found if isinstance(one, Unsendable))
                await self._outlet.room()
        except Exception as error:  # noqa: BLE001 - raised where the consumer iterates: a run has no one else to tell
            self._failure = error
            self._dispatcher.stop(str(error))

    def _warn_of_unusual(self, instances: Iterable[Instance]) -> None:
        unusual = first_unusual(instances)
        if unusual is not None:
            self._has_warned = True
            _log.warning("%s", warning_about(unusual))

    async def _stop_feeding_when_stopped(self, feeding: anyio.CancelScope) -> None:
        """Nothing more is needed then, and a worker that looks into a file may wait for ever for a file server."""
        await self._dispatcher.stopped.wait()
        self._files.stop_walking()
        feeding.cancel()


class Sender:
    """Sends files to one storage SCP.

        async with Sender("pacs.example.org", 11112, called_ae_title="PACS") as sender:
            async for outcome in sender.send(["/archive"]):
                ...

    It runs in the caller's event loop (asyncio's own, or uvloop). Leaving the block ends whatever is still under way.

    Args:
        peer: host name or IP address.
        port: TCP port.
        calling_ae_title: ours, 1 to 16 characters.
        called_ae_title: the peer's, 1 to 16 characters.
        associations: how many to have at once; ``None``: as many as make the transfer faster, and the peer accepts.
        async_operations: stores outstanding on one association, if the peer agrees (asynchronous operations window,
            PS3.7 D.3.3.3); 1 proposes none, 0 is unlimited.
        workers: processes that look into files; ``None``: by the number of cores.
        file_format: which files are taken for instances: with file meta information, without, or both.
        timeouts: how long the peer may take for what.
        max_pdu: the largest P-DATA-TF to receive, in bytes, 4096 to 131072.
        max_send_pdu: the largest P-DATA-TF to send where the peer would take larger ones, in the same range.
        halt_on_failure: start nothing new after the first file that was not stored.
        abort_at_end: abort associations instead of releasing them.
        proposal: what to propose; by default what the files need, each as it is. :func:`~asyncstore.listed` makes
            storescu's proposals.
        identity: who asks for the associations, and the proof of it (user identity, PS3.7 D.3.3.7).
        conversion: what is to be sent otherwise than it lies in its file.
        tls: use TLS, and how; ``None``: plain TCP.
        ip_version: 4 or 6, or ``None`` for whatever ``peer`` resolves to.

    Raises:
        UsageError: a value is out of its range, or a file of TLS cannot be used.
    """

    def __init__(  # noqa: PLR0913 - each is an option of its own, all but the address by keyword
        self,
        peer: str,
        port: int,
        *,
        calling_ae_title: str = "ASYNCSTORE",
        called_ae_title: str = "ANY-SCP",
        associations: int | None = None,
        async_operations: int = 1,
        workers: int | None = None,
        file_format: FileFormat = FileFormat.ANY,
        timeouts: Timeouts = _TIMEOUTS,
        max_pdu: int = 16384,
        max_send_pdu: int | None = None,
        halt_on_failure: bool = False,
        abort_at_end: bool = False,
        proposal: Proposal = _PLANNED,
        identity: UserIdentity | None = None,
        conversion: ConversionOptions = _UNCHANGED,
        tls: TlsOptions | None = None,
        ip_version: int | None = None,
    ) -> None:
        check(bool(peer.strip()), "the peer has no name")
        check_port(port)
        check_ae_title("calling AE", calling_ae_title)
        check_ae_title("called AE", called_ae_title)
        check(_is_number(associations), f"{associations!r} associations cannot send anything")
        check(_is_number(workers), f"{workers!r} workers cannot prepare anything")
        check_window(async_operations)
        for length in (max_pdu, max_send_pdu or max_pdu):
            check(length in _PDU_LENGTHS, f"a maximum PDU length of {length} is not between 4096 and 131072")
        check_ip_version(ip_version)
        _check_timeouts(timeouts)
        _check_conversion(conversion)
        self.peer = peer
        self.port = port
        self._association_options = AssociationOptions(
            calling_ae_title, called_ae_title, max_pdu, max_send_pdu, async_operations, timeouts, identity,
            proposal.roles, proposal.extended, _secured(tls, peer), ip_version, Deviations(),
        )  # fmt: skip
        too_much = excess(self._association_options.request(()))
        if too_much:
            raise RequestTooLong(too_much)
        self._dispatch_options = DispatchOptions(
            associations, halt_on_failure=halt_on_failure, abort_at_end=abort_at_end, proposal=proposal
        )
        self._proposal = proposal
        self._conversion = conversion
        self._pool = Pool(workers, file_format)
        self._runs: list[Run] = []
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        for run in self._runs:
            run.abort()
        try:
            await _until_over(self._runs)
        finally:
            self._pool.close()

    def send(self, paths: Paths, options: WalkOptions | None = None) -> Run:
        """Send every file of ``paths``: files, and directories with all that is in them; a single path will do.

        ``paths`` may be a generator, and may block: it is consumed in a thread, as far ahead of the sending as needed.

        Raises:
            UsageError: the sender's ``async with`` block is not open.
        """
        if not self._is_open:
            raise UsageError("a Sender sends only within its `async with` block")
        outlet = _Outlet()
        converter = Converter(self._pool, self._conversion)
        run = Run(
            Survey(paths, options or WalkOptions(), self._pool),
            converter,
            Dispatcher(self._open, Reader, converter, outlet, self._dispatch_options),
            outlet,
        )
        self._runs = [*(earlier for earlier in self._runs if not earlier.is_over), run]
        return run

    async def echo(self) -> AsyncGenerator[float, None]:
        """C-ECHO over one association, each time the iterator is asked: seconds from the request to the response.

        Raises:
            AssociationError: the peer cannot be reached, refuses, or does not answer.
        """
        options = self._association_options._replace(roles=(), extended=())  # they are for the proposal's SOP classes
        association = await Association.open(self.peer, self.port, verification(), options)
        try:
            while True:
                yield await association.echo()
        finally:
            await _end(association)

    async def negotiate(self, pairs: Iterable[Pair]) -> list[PairAnswer]:
        """Ask the peer which of these pairs of SOP class and transfer syntax it accepts, and send nothing.

        What is proposed is what this sender would propose for instances of these pairs, over as many associations, one
        after another, as that takes.

        Raises:
            AssociationError: the peer cannot be reached, or refuses the association.
        """
        wanted = list(dict.fromkeys(pairs))
        answers: dict[Pair, PairAnswer] = {}
        for number, (contexts, asked) in enumerate(requests(self._proposal, wanted), 1):
            association = await Association.open(
                self.peer, self.port, contexts, self._association_options, number=number
            )
            try:
                carriage = Carriage(self._proposal, contexts, association.accepted)
                proposed = {(one.abstract_syntax, syntax) for one in contexts for syntax in one.transfer_syntaxes}
                answers |= {pair: _answer(pair, proposed, carriage, association) for pair in asked}
            finally:
                await _end(association)
        return [answers[pair] for pair in wanted]

    async def _open(
        self,
        contexts: tuple[ProposedContext, ...],
        number: int,
        on_attempt: Callable[[Attempt], None],
        on_end: Callable[[], None],
    ) -> Association:
        return await Association.open(
            self.peer,
            self.port,
            contexts,
            self._association_options,
            number=number,
            on_attempt=on_attempt,
            on_end=on_end,
        )


def _is_instance(found: Instance | Unsendable) -> bool:
    return isinstance(found, Instance)


def _answer(pair: Pair, proposed: Collection[Pair], carriage: Carriage, association: Association) -> PairAnswer:
    from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - only who asks needs it

    words = association.results.get(pair, "not answered" if pair in proposed else "not proposed")
    carried_as = carriage.transfer_syntax(pair)
    if carried_as not in (pair[1], *UNCOMPRESSED):  # compressed pixel data is not made
        carried_as = None
    if carried_as not in (None, pair[1]):
        words = f"in {name_of(carried_as or '')}: converted"
    return PairAnswer(*pair, carried_as is not None, words)


async def _end(association: Association) -> None:
    """Release an association that carries nothing any more, abort any other, and leave nothing behind."""
    with anyio.CancelScope(shield=True):
        try:
            if association.is_idle:
                await association.release()
        finally:  # a task that is cancelled directly knows no shield
            await association.close()


def _is_number(number: int | None) -> bool:
    """Whether it is one from 1 on, or ``None``."""
    return number is None or (isinstance(number, int) and number > 0)


async def _until_over(runs: Iterable[Run]) -> None:
    """Wait until nothing is left of runs that end; also who is cancelled meanwhile leaves only then."""
    cancelled: asyncio.CancelledError | None = None
    for run in runs:
        while not run.is_over:
            try:
                with anyio.CancelScope(shield=True):
                    await run.aclose()
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled


def _check_timeouts(timeouts: Timeouts) -> None:
    for name, seconds in timeouts._asdict().items():
        check(seconds is None or seconds > 0, f"{name}: a timeout of {seconds} s leaves no time for anything")


def _check_conversion(conversion: ConversionOptions) -> None:
    level, invent = conversion.deflate_level, conversion.invent
    check(conversion.max_inflated > 0, f"max_inflated: {conversion.max_inflated} bytes hold no data set")
    check(level in _DEFLATE_LEVELS, f"a deflate level of {level} is not between 0 and 9")
    for name, number in invent._asdict().items() if invent is not None else ():
        check(number > 0, f"{name}: inventing {number} at a time cannot be done")


def _secured(options: TlsOptions | None, host: str) -> TlsRequestor | None:
    """What makes TLS links, if they are asked for."""
    if options is None:
        return None
    from asyncstore.network.tls import TlsRequestor  # noqa: PLC0415 - who does not ask for it does not wait for it

    return TlsRequestor(options, host)
