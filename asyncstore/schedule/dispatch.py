"""The lanes: associations at work on the backlog.

Rules:

1. Every instance that was put gets exactly one outcome. An attempt decides; what no attempt was made of stays in the
   backlog until it is sent, its context is refused, the run stops, or no association can be had any more.
2. A lane holds one association at a time. It opens it when there is something to send, proposing what the proposal
   makes of every pair seen so far, and replaces it when pairs wait that its contexts do not cover: contexts are
   negotiated once (PS3.8 9.3.2).
3. A pair that was covered and that nothing accepted can carry is refused for the whole run: asking again would not
   change the answer.
4. A lane that cannot open an association ends. When the last one has ended, what is left is not sent, for that reason.
5. Stopping lets what has begun finish, withdraws the rest, and releases.
6. Halting on failure stops at the first failure in the order of the files: one that is known before its turn waits
   for the files before it, and those after it are not begun.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.abc

from asyncstore.errors import AbortedHere, AssociationError, PrepareError
from asyncstore.model import Attempt, Instance, Lane, LaneState, Outcome, Result, Unsendable
from asyncstore.negotiation import Pair, Planned, Proposal, pair_of
from asyncstore.schedule import outcome
from asyncstore.schedule.appetite import MOST_BYTES
from asyncstore.schedule.backlog import Backlog
from asyncstore.schedule.carriage import Carriage, why_not
from asyncstore.schedule.concurrency import INTERVAL, Concurrency
from asyncstore.schedule.lane import NOTHING, WorkingLane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncstore.model import Piece
    from asyncstore.schedule.ports import Association, Converter, OpenAssociation, Outlet, Reader

_log = logging.getLogger(__name__)

ABORTED = "the run was aborted before it was sent"

_BACKLOG_INSTANCES = 4096
_BACKLOG_BYTES = 1 << 32
"""Only descriptions wait in the backlog, some 500 bytes each; the bytes bound keeps the plan near the sending for
large files."""

_FRUITLESS_LIMIT = 3
"""Associations in a row that were accepted and ended before any response: the peer does not work."""

_REOPEN_RATIO = 32
"""Instances waiting for a context, for each lane that carries it, beyond which another lane replaces its association
to help."""


_PLANNED = Planned()


class DispatchOptions(NamedTuple):
    """How the lanes work.

    Attributes:
        associations: how many; ``None``: as many as help.
        halt_on_failure: whether the first file that is not stored stops the run.
        abort_at_end: whether associations are aborted instead of released.
        proposal: which contexts are proposed, and which accepted one is used for what.
    """

    associations: int | None = None
    halt_on_failure: bool = False
    abort_at_end: bool = False
    proposal: Proposal = Planned()


class Dispatcher:
    """Sends what is put, over lanes, until :meth:`end_input` was called and nothing is left.

    Args:
        open_association: opens one.
        new_reader: makes the reader of one lane.
        converter: makes data sets what associations take.
        outlet: where outcomes go.
        options: how the lanes work.
    """

    def __init__(
        self,
        open_association: OpenAssociation,
        new_reader: Callable[[], Reader],
        converter: Converter,
        outlet: Outlet,
        options: DispatchOptions,
    ) -> None:
        self._open_association = open_association
        self._new_reader = new_reader
        self._converter = converter
        self._outlet = outlet
        self._options = options
        self._backlog = Backlog(_BACKLOG_INSTANCES, _BACKLOG_BYTES)
        self._seen: dict[Pair, None] = {}
        self._refused: dict[Pair, str] = {}
        self._lanes: dict[int, WorkingLane] = {}
        self._concurrency = Concurrency(options.associations)
        self._change = asyncio.Event()
        self._unfinished = 0
        self._is_input_over = False
        self._fruitless = 0
        self._bytes_of_past = 0
        self._answered = 0
        self._was_waiting = False
        self._failed_early: list[Outcome] = []
        self._behind_failure: list[Instance] = []
        self.stop_reason: str | None = None
        """Why nothing new is started any more."""
        self.stopped = asyncio.Event()
        """Set with :attr:`stop_reason`, and at the end of the run."""
        self.failure: AssociationError | None = None
        """Why no association could be had any more."""
        self.unconverted: PrepareError | None = None
        """Why what needed a conversion could not be had."""
        self.associations_opened = 0
        self.associations_asked_for = 0

    async def put(self, instances: list[Instance]) -> None:
        """Add instances; waits while the backlog is full."""
        self._unfinished += len(instances)
        try:
            while self._backlog.is_full and self.stop_reason is None:
                await self._changed()
        except BaseException:
            self._settle([outcome.withdrawn(instance, ABORTED) for instance in instances])
            raise
        if self.stop_reason is not None:
            self._settle([outcome.withdrawn(instance, self.stop_reason) for instance in instances])
            return
        if self._failed_early:
            self._behind_failure += instances
            return
        wanted: list[Instance] = []
        refused: list[Outcome] = []
        for instance in instances:
            pair = pair_of(instance.sop_class_uid, instance.transfer_syntax_uid)
            refusal = self._refused.get(pair)
            if refusal is None:
                self._seen[pair] = None
                wanted.append(instance)
            else:
                refused.append(outcome.not_sent(instance, refusal))
        self._backlog.put(wanted)
        self._fail(refused)
        self._wake()

    def refuse(self, unsendable: Iterable[Unsendable]) -> None:
        """Add files that turned out not to be sent."""
        outcomes = [outcome.of_unsendable(one) for one in unsendable]
        self._unfinished += len(outcomes)
        self._fail(outcomes)

    def end_input(self) -> None:
        """Nothing more will be put."""
        self._is_input_over = True
        self._wake()

    def stop(self, reason: str) -> None:
        """Start nothing new: what waits is not sent, for ``reason``; what has begun finishes."""
        if self.stop_reason is None:
            self.stop_reason = reason
            withdrawn = self._backlog.clear()
            for lane in self._lanes.values():
                lane.opening.cancel()
                if lane.association is not None:
                    withdrawn += lane.association.withdraw()
            failed, self._failed_early = self._failed_early, []
            withdrawn += self._behind_failure
            self._behind_failure = []
            self._settle([*failed, *(outcome.withdrawn(instance, reason) for instance in withdrawn)])
            self.stopped.set()
            self._wake()

    @property
    def bytes_sent(self) -> int:
        """Data set bytes handed to the network."""
        return self._bytes_of_past + sum(
            lane.association.data_bytes_sent for lane in self._lanes.values() if lane.association
        )

    def lanes(self) -> tuple[Lane, ...]:
        """The lanes as they are now."""
        now = time.monotonic()
        return tuple(lane.seen_from_outside(now) for lane in self._lanes.values())

    async def run(self) -> None:
        """Work until everything that was put has its outcome and every association is closed."""
        try:
            async with anyio.create_task_group() as tasks:
                while not self._is_over():
                    self._adjust_lanes(tasks)
                    await self._look()
        finally:
            if not self._is_over():
                self.stop(ABORTED)
            self.stopped.set()

    # Lanes come and go.

    def _adjust_lanes(self, tasks: anyio.abc.TaskGroup) -> None:
        for _ in range(self._lanes_missing()):
            number = next(number for number in range(1, len(self._lanes) + 2) if number not in self._lanes)
            lane = self._lanes[number] = WorkingLane(number)
            tasks.start_soon(self._work, lane)
        for lane in self._active_lanes()[max(self._concurrency.target, 1) :]:
            lane.is_retiring = True
            self._wake()

    def _active_lanes(self) -> list[WorkingLane]:
        return [lane for lane in self._lanes.values() if not lane.is_retiring]

    def _lanes_missing(self) -> int:
        """How many lanes to add: no more than there are instances waiting for one."""
        if self.stop_reason is not None or self.failure is not None:
            return 0
        return min(self._concurrency.target, len(self._backlog)) - len(self._active_lanes())

    async def _look(self) -> None:
        """Wait until lanes are missing, everything is done, or it is time for the next look at the rate."""
        before, since = (self._answered, self.bytes_sent), time.monotonic()
        self._was_waiting = False
        with anyio.move_on_after(INTERVAL) as interval:
            while not self._is_over() and self._lanes_missing() <= 0:
                await self._changed()
        if interval.cancelled_caught:
            seconds = time.monotonic() - since
            # An instance costs a peer about as much as 50 kB of data, so both small and large ones show in one number.
            rate = (self._answered - before[0] + (self.bytes_sent - before[1]) / 50_000) / seconds
            self._concurrency.observe(rate, is_source_limited=self._was_waiting or not self._lanes)

    def _is_over(self) -> bool:
        return self._is_input_over and self._unfinished == 0 and not self._lanes

    async def _work(self, lane: WorkingLane) -> None:
        reader = self._new_reader()
        try:
            goes_on = True
            while goes_on and await self._is_wanted(lane):
                association = await self._open(lane)
                if association is None:
                    break
                try:
                    goes_on = await self._serve(lane, association, reader)
                finally:
                    with anyio.CancelScope(shield=True):
                        await association.close()
                    self._take_back(association)
                    self._bytes_of_past += association.data_bytes_sent
                    lane.association, lane.proposed, lane.carriage = None, (), NOTHING
                    self._drop_refused()
        finally:
            reader.close()
            del self._lanes[lane.number]
            if self.failure is not None and not self._lanes:
                self.stop(str(self.failure))
            self._wake()

    async def _is_wanted(self, lane: WorkingLane) -> bool:
        """Wait for something to send over a new association; false when there will be nothing for this lane."""
        lane.state = LaneState.WAITING
        while self.stop_reason is None and not lane.is_retiring and self.failure is None:
            if len(self._backlog) and self._knows_enough:
                return True
            if self._is_input_over and self._unfinished == 0:
                return False
            await self._changed()
        return False

    @property
    def _knows_enough(self) -> bool:
        """Whether an association can be asked for, or what to propose depends on files yet to come."""
        return not self._options.proposal.needs_all_files or self._is_input_over or self._backlog.is_full

    async def _open(self, lane: WorkingLane) -> Association | None:
        lane.state = LaneState.OPENING
        wanted = [*self._backlog.waiting(), *(pair for pair in self._seen if pair not in self._refused)]
        contexts = lane.proposed = self._options.proposal.contexts(wanted)
        self.associations_asked_for += 1
        lane.association_number = self.associations_asked_for

        def on_attempt(attempt: Attempt) -> None:
            self._attempted(lane, attempt)

        association = None
        lane.opening = anyio.CancelScope()
        try:
            with lane.opening:
                association = await self._open_association(contexts, lane.association_number, on_attempt, self._wake)
        except AssociationError as error:
            self._without(lane, error)
        if association is None:
            lane.proposed = ()
            return None
        self.associations_opened += 1
        lane.association = association
        lane.carriage = Carriage(
            self._options.proposal,
            contexts,
            association.accepted,
            changes_everything=self._converter.changes_everything,
        )
        self._refuse_uncarried(lane, association, wanted)
        return association

    def _refuse_uncarried(self, lane: WorkingLane, association: Association, pairs: Iterable[Pair]) -> None:
        """Refuse those of ``pairs`` that ``association`` was asked for and cannot carry, nor any other lane."""
        for pair in pairs:
            is_carried = any(pair in other.carriage for other in self._lanes.values())
            if not is_carried and self._options.proposal.covers(lane.proposed, pair):
                self._refuse(pair, why_not(pair, lane.proposed, association))

    def _without(self, lane: WorkingLane, error: AssociationError) -> bool:
        """``lane`` ends for ``error``; the others go on, if there are any."""
        others = [other for other in self._lanes.values() if other is not lane]
        _log.debug("association %d: %s", lane.association_number, error)
        if any(other.association for other in others):
            _log.warning("%s; other associations go on", error)
        self._concurrency.refused(len(others))
        if not others:
            self.failure = error
        return False

    def _refuse(self, pair: Pair, words: str) -> None:
        from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - most runs never refuse anything

        reason = f"no presentation context accepted for {name_of(pair[0])} in {name_of(pair[1])}: {words}"
        self._refused.setdefault(pair, reason)
        refused, behind = self._backlog.remove_from(pair) if self._halts else (self._backlog.remove(pair), [])
        self._fail([outcome.not_sent(instance, reason) for instance in refused], behind)
        self._wake()

    def _drop_refused(self) -> None:
        """Settle what waits for a refused pair that some association accepted nevertheless, if none is left."""
        for pair in self._backlog.waiting():
            if pair in self._refused and not any(pair in lane.carriage for lane in self._lanes.values()):
                refused = self._backlog.remove(pair)
                self._fail([outcome.not_sent(instance, self._refused[pair]) for instance in refused])
                self._wake()

    # A lane at work.

    async def _serve(self, lane: WorkingLane, association: Association, reader: Reader) -> bool:
        """Send over ``association`` as long as it is of use; whether the lane may open another one."""
        answered_before, lost_before, has_idled = lane.answered, lane.lost, False
        while association.error is None and self.stop_reason is None and not lane.is_retiring:
            batch = self._backlog.take(lane.carriage, lane.appetite.update(time.monotonic(), lane.answered), MOST_BYTES)
            if batch:
                self._wake()
                lane.state = LaneState.SENDING
                await self._send(lane, association, batch, reader)
                await self._outlet.room()
                continue
            self._refuse_uncarried(lane, association, self._backlog.waiting())
            if self._is_replaced(lane) or (self._is_input_over and self._unfinished == 0):
                break
            if association.is_idle:
                lane.state, self._was_waiting, has_idled = LaneState.WAITING, True, True
            await self._changed()
        self._take_back(association)
        await association.settled()
        lane.state = LaneState.CLOSING
        if association.error is None and self._options.abort_at_end:
            association.abort()
        elif association.error is None:
            await association.release()
        if lane.answered != answered_before:
            self._fruitless = 0
        elif association.error is not None and not isinstance(association.error, AbortedHere):
            # One that had nothing to send when it ended says nothing about the peer.
            self._fruitless += lane.lost != lost_before or not has_idled
            return self._fruitless < _FRUITLESS_LIMIT or self._without(lane, association.error)
        return True

    async def _send(self, lane: WorkingLane, association: Association, batch: list[Instance], reader: Reader) -> None:
        """Read ``batch`` and submit it; what has not begun when the association ends or the run stops goes back."""
        rest = list(batch)
        try:
            for portion, transfer_syntax in lane.carriage.portions(batch):
                del rest[: len(portion)]
                if transfer_syntax is None:
                    goes_on = await self._submit(association, portion, reader)
                else:
                    goes_on = await self._convert_and_submit(association, portion, rest, transfer_syntax, reader)
                if not goes_on or not rest:
                    break
        finally:
            self._put_back(rest)

    async def _convert_and_submit(
        self,
        association: Association,
        portion: list[Instance],
        rest: list[Instance],
        transfer_syntax: str,
        reader: Reader,
    ) -> bool:
        waiting = portion
        try:
            async with self._converter.converted(portion, transfer_syntax) as made:
                waiting = []
                return await self._submit(association, self._convertible(portion, made, rest), reader)
        except PrepareError as error:
            self.unconverted = error
            self.stop(str(error))
            return False
        finally:
            self._put_back(waiting)

    def _convertible(
        self, portion: list[Instance], made: list[Instance | Unsendable], rest: list[Instance]
    ) -> list[Instance]:
        """What was made of ``portion``; of what could not be made it is settled why not (rule 6).

        Args:
            portion: what was to be converted.
            made: what came of it.
            rest: what comes after it; nothing does any more when the first failure ends the run.
        """
        convertible: list[Instance] = []
        for number, (instance, there) in enumerate(zip(portion, made, strict=True), 1):
            if isinstance(there, Instance):
                convertible.append(there)
                continue
            failure = outcome.not_sent(instance, there.reason)
            if self._halts:
                behind = [*portion[number:], *rest, *self._backlog.clear()]
                rest.clear()
                self._fail([failure], behind)
                break
            self._settle((failure,))
        return convertible

    async def _submit(self, association: Association, instances: list[Instance], reader: Reader) -> bool:
        """Whether ``association`` takes more."""
        remaining = len(instances)
        try:
            async for pieces in reader.read(instances):
                remaining -= sum(piece.is_first for piece in pieces)
                association.submit(self._sendable(pieces))
                is_stopping = self.stop_reason is not None and not association.is_taking(pieces[-1].instance)
                if association.error is not None or is_stopping:
                    return False
        finally:
            self._put_back(instances[len(instances) - remaining :])
        return True

    def _sendable(self, pieces: list[Piece]) -> list[Piece]:
        """``pieces`` without those whose store has not begun and is not to: unreadable files, or the run stops."""
        if self.stop_reason is None and not any(piece.problem and piece.is_first for piece in pieces):
            return pieces
        sendable = []
        for piece in pieces:
            if not piece.is_first or (piece.problem is None and self.stop_reason is None):
                sendable.append(piece)
                continue
            piece.buffer.release()
            if piece.problem is not None:
                self._settle((outcome.not_sent(piece.instance, piece.problem.reason),))
            else:
                self._settle((outcome.withdrawn(piece.instance, self.stop_reason or ABORTED),))
        return sendable

    def _is_replaced(self, lane: WorkingLane) -> bool:
        """Whether pairs wait that this lane did not propose, and that need it more than its own."""
        covers = self._options.proposal.covers
        for pair, waiting in self._backlog.waiting().items():
            if not covers(lane.proposed, pair):
                carriers = sum(covers(other.proposed, pair) for other in self._lanes.values())
                if waiting > carriers * _REOPEN_RATIO:
                    return True
        return False

    def _take_back(self, association: Association) -> None:
        self._put_back(association.withdraw())

    def _put_back(self, instances: list[Instance]) -> None:
        if self.stop_reason is not None:
            self._settle([outcome.withdrawn(instance, self.stop_reason) for instance in instances])
        elif instances:
            self._backlog.put_back([instance.found for instance in instances])
            self._wake()

    # Outcomes.

    def _attempted(self, lane: WorkingLane, attempt: Attempt) -> None:
        if attempt.status is not None:
            lane.answered += 1
            self._answered += 1
        else:
            lane.lost += 1
        self._settle((outcome.of_attempt(attempt),))

    @property
    def _halts(self) -> bool:
        return self._options.halt_on_failure and self.stop_reason is None

    def _fail(self, outcomes: list[Outcome], behind: Iterable[Instance] = ()) -> None:
        """Settle failures known before their turn, or keep them until it is theirs (rule 6)."""
        if not self._halts or not outcomes:
            self._settle(outcomes)
            return
        self._failed_early += outcomes
        self._behind_failure += behind
        self.stopped.set()  # nothing more has to be found
        self._halt_in_turn()

    def _halt_in_turn(self) -> None:
        if self._unfinished == len(self._failed_early) + len(self._behind_failure):
            failed, self._failed_early = self._failed_early, []
            self._settle(failed)

    def _settle(self, outcomes: Iterable[Outcome]) -> None:
        for settled in outcomes:
            self._unfinished -= 1
            self._outlet.put((settled,))
            if (
                self._options.halt_on_failure
                and self.stop_reason is None
                and settled.result not in (Result.STORED, Result.WARNING)
            ):
                self.stop(f"the run was halted by an earlier failure ({settled.error})")
        if self._failed_early:
            self._halt_in_turn()
        if self._unfinished == 0:
            self._wake()

    # Waking each other.

    def _wake(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def _changed(self) -> None:
        await self._change.wait()
