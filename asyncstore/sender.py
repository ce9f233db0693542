"""The composition root: the class for library users, which wires the stages of a run together.

    walk -> probe -> backlog -> lanes -> outcomes

Each arrow is bounded, so a slow peer slows the walk, and a consumer that does not take outcomes slows the lanes. A run
(:mod:`asyncstore.run`) is one task of its :class:`Sender`; leaving the ``async with`` block ends it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Self

from asyncstore.arguments import (
    BYTES,
    PORTS,
    WINDOWS,
    check,
    check_ae_title,
    check_ip_version,
    check_least,
    check_range,
    check_type,
    check_types,
)
from asyncstore.discovery.walk import Paths, WalkOptions
from asyncstore.errors import RequestTooLong, UsageError
from asyncstore.limiting import Limiter
from asyncstore.model import Instance
from asyncstore.negotiation import Planned, requests, verification
from asyncstore.negotiation.selection import Selection
from asyncstore.network.deviations import Deviations
from asyncstore.network.opening import AssociationOptions, open_association
from asyncstore.network.timeouts import Timeouts
from asyncstore.prepare.converter import ConversionOptions, Converter, transcoding_of
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.pool import Pool
from asyncstore.prepare.reading import Reader
from asyncstore.protocol.associate import excess
from asyncstore.run import Outlet, Run
from asyncstore.schedule.dispatch import Dispatcher
from asyncstore.schedule.gate import Affinity
from asyncstore.schedule.options import DispatchOptions
from asyncstore.schedule.pacing import UNLIMITED, Limits
from asyncstore.schedule.peer_health import PATIENCE, Patience
from asyncstore.schedule.retry import RETRIES, RetryOptions
from asyncstore.surveying import Survey
from asyncstore.waiting import finished, running_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from types import TracebackType

    from asyncstore.model import PairAnswer, SourceFile, Unsendable
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.network.association import Association
    from asyncstore.network.tls import TlsOptions, TlsRequestor
    from asyncstore.protocol.associate import UserIdentity
    from asyncstore.recording import Recording

_PDU_LENGTHS = range(4096, 131073)
"""The range of storescu's ``-pdu``; larger ones gain nothing."""
_DEFLATE_LEVELS = range(10)
"""The levels of zlib."""

_TIMEOUTS = Timeouts()
_UNCHANGED = ConversionOptions()
_PLANNED = Planned()


class Sender:
    """Sends files to one storage SCP.

        async with Sender("pacs.example.org", 11112, called_ae_title="PACS") as sender:
            async for outcome in sender.send(["/archive"]):
                ...

    It runs in the caller's event loop (asyncio's own, or uvloop). Leaving the block ends all runs;
    it can be entered only once.

    Args:
        peer: host name or IP address.
        port: TCP port.
        calling_ae_title: ours, 1 to 16 characters.
        called_ae_title: the peer's, 1 to 16 characters.
        associations: how many at once; ``None``: as many as make the transfer faster and the peer accepts.
        async_operations: stores outstanding on one association, if the peer agrees (asynchronous operations window,
            PS3.7 D.3.3.3); 1 proposes none, 0 is unlimited.
        affinity: what is kept on one association: by default the first instance of each study and of each patient,
            until it is stored. Nothing is if ``conversion`` invents identities.
        workers: processes that read the heads of files; ``None``: by the number of cores.
        file_format: which files count as instances: with file meta information, without, or both.
        timeouts: how long the peer may take for each step.
        max_pdu: the largest P-DATA-TF to receive, in bytes, 4096 to 131072.
        max_send_pdu: the largest P-DATA-TF to send, even if the peer takes larger ones, in the same range.
        halt_on_failure: begin nothing new after the first file that was not stored.
        abort_at_end: abort associations instead of releasing them.
        retry: which stores are tried again, and how often.
        patience: how long a run waits for a peer that is down.
        limits: how fast a run may be; :meth:`~asyncstore.Run.limit_rate` changes that later.
        proposal: which contexts to propose; by default those of the files, each as it is. :func:`~asyncstore.listed`
            makes storescu's proposals.
        identity: user identity with its proof (PS3.7 D.3.3.7).
        conversion: how data sets are changed, and which pixel data may be transcoded.
        tls: how to use TLS; ``None``: plain TCP.
        ip_version: 4 or 6; ``None``: any version that ``peer`` resolves to.

    Raises:
        UsageError: a value has the wrong type or is out of its range, or a key or certificate file cannot be used.
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
        affinity: Affinity = Affinity.FIRST,
        workers: int | None = None,
        file_format: FileFormat = FileFormat.ANY,
        timeouts: Timeouts = _TIMEOUTS,
        max_pdu: int = 16384,
        max_send_pdu: int | None = None,
        halt_on_failure: bool = False,
        abort_at_end: bool = False,
        retry: RetryOptions = RETRIES,
        patience: Patience = PATIENCE,
        limits: Limits = UNLIMITED,
        proposal: Proposal = _PLANNED,
        identity: UserIdentity | None = None,
        conversion: ConversionOptions = _UNCHANGED,
        tls: TlsOptions | None = None,
        ip_version: int | None = None,
    ) -> None:
        check(affinity in tuple(Affinity), f"affinity: {affinity!r} is none of {', '.join(Affinity)}")
        affinity = Affinity(affinity)  # a string equals its member, and is not the same object
        check_types(Sender.__init__, locals())
        check(bool(peer.strip()), "the peer has no name")
        check_range("port", port, PORTS)
        check_ae_title("calling_ae_title", calling_ae_title)
        check_ae_title("called_ae_title", called_ae_title)
        check_least("associations", associations, 1)
        check_least("workers", workers, 1)
        check_range("async_operations", async_operations, WINDOWS)
        check_range("max_pdu", max_pdu, _PDU_LENGTHS)
        if max_send_pdu is not None:
            check_range("max_send_pdu", max_send_pdu, _PDU_LENGTHS)
        check_ip_version(ip_version)
        for name, seconds in [*timeouts._asdict().items(), ("guard_echo", limits.guard_echo)]:
            check(seconds is None or seconds > 0, f"{name}: {seconds} s is not more than 0")
        for name, number in [("retries", retry.retries), *patience._asdict().items()]:
            check_least(name, number, 0)
        if identity is not None:
            check_range("identity.kind", identity.kind, BYTES)
        _check_conversion(conversion)
        self.peer = peer
        self.port = port
        self.association_options = AssociationOptions(
            calling_ae_title, called_ae_title, max_pdu, max_send_pdu, async_operations, timeouts, identity,
            proposal.roles, proposal.extended, _secured(tls, peer), ip_version, Deviations(),
        )  # fmt: skip
        """How its associations are opened; measurements open their own."""
        too_much = excess(self.association_options.request(()))
        if too_much:
            raise RequestTooLong(too_much)
        proposal = proposal.allowing(transcoding_of(conversion))
        if conversion.invent is not None:
            affinity = Affinity.NONE  # the studies and patients of the files are not those that are sent
        self._dispatch_options = DispatchOptions(
            associations, halt_on_failure=halt_on_failure, abort_at_end=abort_at_end, proposal=proposal,
            affinity=affinity, overlaps=async_operations != 1, retry=retry, patience=patience,
        )  # fmt: skip
        self._proposal = proposal
        self._conversion = conversion
        self._limits = limits
        self._pool = Pool(workers, file_format)
        self._pool.repairs = conversion.repair
        self._runs: list[Run] = []
        self._is_open = self._was_open = False

    async def __aenter__(self) -> Self:
        check(not self._was_open, "the `async with` block of a Sender can be entered only once: make another Sender")
        self._loop = running_loop()
        self._is_open = self._was_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        for run in self._runs:
            run.abort()
        try:
            await finished(_until_over(self._runs))
        finally:
            self._pool.close()

    def send(self, paths: Paths, options: WalkOptions | None = None, recording: Recording | None = None) -> Run:
        """Send every file in ``paths``: one or many files and directories, which are sent with everything below them.

        ``paths`` may be a generator that blocks: a thread consumes it, a bounded number of files ahead. With a
        ``recording``, files that earlier runs settled are not sent again, and outcomes go into its journal.

        Raises:
            UsageError: the sender's ``async with`` block is not open or was opened in another event loop, or a value
                has the wrong type.
        """
        check(self._is_open, "a Sender sends only within its `async with` block")
        check(running_loop() is self._loop, "a Sender sends only in the event loop of its `async with` block")
        check_types(Sender.send, {"options": options, "recording": recording})
        options = options or WalkOptions()
        outlet = Outlet(has_members=options.has_members)
        edit = self._conversion.edit
        edits = self._conversion.invent is not None or edit is not None
        seed = recording.seed() if recording is not None and edits else None
        may_lose = bool(self._proposal.transcoding.lossy)
        is_taken = None if recording is None else recording.is_taken
        converter = Converter(self._pool, self._conversion, seed, may_lose=may_lose, is_taken=is_taken)
        has_map = edit is not None and edit.map is not None
        has_affinity = self._dispatch_options.affinity is not Affinity.NONE
        self._pool.wants_details |= recording is not None or has_affinity or has_map  # another run may need them
        settle = None if recording is None else recording.without_settled
        limiter = Limiter(self._limits, self.echo)
        options_of_run = self.association_options._replace(throttle=limiter.throttle)
        dispatcher = Dispatcher(
            partial(open_association, self.peer, self.port, options=options_of_run),
            partial(Reader, may_map=self.association_options.tls is None),
            converter,
            outlet,
            self._dispatch_options,
            probe_again=partial(self._probe_again, converter),
            pacing=limiter.pacing,
        )
        on_wait = partial(asyncio.get_running_loop().call_soon_threadsafe, dispatcher.hold_up_input)
        if recording is not None:
            recording.on_wait = on_wait
        files = Survey(paths, options, self._pool, settle, on_wait)
        run = Run(files, converter, dispatcher, outlet, recording, limiter)
        self._runs = [*(earlier for earlier in self._runs if not earlier.is_settled), run]
        return run

    async def echo(self) -> AsyncGenerator[float, None]:
        """Send a C-ECHO over one association for each item; items are seconds from the request to the response.

        Raises:
            AssociationError: the peer cannot be reached, refuses, or does not answer.
        """
        options = self.association_options._replace(roles=(), extended=())  # those are for other SOP classes
        association = await open_association(self.peer, self.port, verification(), options)
        try:
            while True:
                yield await association.echo()
        finally:
            await _end(association)

    async def negotiate(self, pairs: Iterable[Pair]) -> list[PairAnswer]:
        """Ask the peer which of these pairs of SOP class and transfer syntax it accepts, and send nothing.

        It proposes the contexts that a run would propose for these pairs, over one association after another.

        Raises:
            UsageError: one of them is no pair of UIDs.
            AssociationError: the peer cannot be reached, or refuses the association.
        """
        wanted = list(dict.fromkeys(pairs))
        for pair in wanted:
            check_type("a pair", pair, "tuple[str, ...]")
            check(len(pair) == 2 and "".join(pair).isascii(), f"{pair!r} is no SOP class and transfer syntax")  # noqa: PLR2004
        answers: dict[Pair, PairAnswer] = {}
        for number, (contexts, asked) in enumerate(requests(self._proposal, wanted), 1):
            association = await open_association(
                self.peer, self.port, contexts, self.association_options, number=number
            )
            try:
                selection = Selection(self._proposal, contexts, association.accepted, association.results)
                answers |= {pair: selection.answer(pair) for pair in asked}
            finally:
                await _end(association)
        return [answers[pair] for pair in wanted]

    async def _probe_again(self, converter: Converter, file: SourceFile) -> Instance | Unsendable:
        [found] = await self._pool.probe([file])
        if converter.edits and isinstance(found, Instance):
            [found] = await converter.edited([found])
        return found


async def _end(association: Association) -> None:
    """Release an idle association, abort any other."""
    from anyio import CancelScope

    with CancelScope(shield=True):
        try:
            if association.is_idle:
                await association.release()
        finally:  # asyncio's own cancellation ignores the shield
            await association.close()


async def _until_over(runs: Iterable[Run]) -> None:
    """Wait until nothing is left of the runs."""
    for run in runs:
        await run.aclose()


def _check_conversion(conversion: ConversionOptions) -> None:
    check_range("deflate_level", conversion.deflate_level, _DEFLATE_LEVELS)
    invented = conversion.invent._asdict() if conversion.invent else {}
    for name, number in {"max_inflated": conversion.max_inflated, **invented}.items():
        check_least(name, number, 1)
    if conversion.edit is not None and conversion.edit.uid_suffix:
        from asyncstore.prepare.edit_syntax import suffix_of  # pydicom takes 0.2 s to import

        try:
            suffix_of(conversion.edit.uid_suffix)
        except ValueError as error:
            raise UsageError(f"uid_suffix: {error}") from None


def _secured(options: TlsOptions | None, host: str) -> TlsRequestor | None:
    """The maker of TLS links; ``None``: plain TCP."""
    if options is None:
        return None
    from asyncstore.network.tls import TlsRequestor  # it takes long to import, and few runs use it

    return TlsRequestor(options, host)
