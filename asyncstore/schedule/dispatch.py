"""The dispatcher: sends the backlog over lanes, each with one association at a time.

Rules:

1. Every instance gets exactly one outcome. An attempt decides. An instance without an attempt stays in the backlog
   until it is sent, its pair is refused, the run stops, or no association can be opened any more.
2. A lane opens an association when there is something to send. It replaces it when waiting instances need other
   contexts; pairs that no association carries are refused (:mod:`asyncstore.schedule.pair_demand`). A lane with nothing
   left to send releases its association, even if other lanes still work.
3. A lane that cannot open an association ends. When the last lane has ended, the peer is down: a single lane tries it
   again (:mod:`asyncstore.schedule.peer_health`), or the rest is not sent. The run does not wait for associations that
   are still opening when everything is done.
4. Towards the end no lane takes more than its share of the rest. Instances that a slow lane has not begun are shared
   out again when other lanes are free.
5. Stopping lets stores that have begun finish, withdraws the rest, and releases.
6. The gate (:mod:`asyncstore.schedule.gate`) is told of every instance that a lane took: when it ends, or when the
   lane gives it back. While everything else is held back, a lane waits.
7. The ledger (:mod:`asyncstore.schedule.ledger`) knows which files have no outcome yet, and which failure halts.
8. An instance that is tried again (:mod:`asyncstore.schedule.retry`) waits for its time beside the backlog, and has no
   outcome until then. A suspect is sent while its association has nothing else under way.
9. While the run is paused nothing begins, and lanes without stores under way release their associations.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import AssociationError, PrepareError
from asyncstore.model import Attempt, Instance, Lane, LaneState, Outcome, Unsendable
from asyncstore.negotiation import Pair, Planned, Proposal
from asyncstore.protocol.status import SUCCESS
from asyncstore.schedule import outcome
from asyncstore.schedule.backlog import Backlog, pairs_needed
from asyncstore.schedule.batch import Batch
from asyncstore.schedule.batch_size import MOST_BYTES
from asyncstore.schedule.gate import Affinity, Gate
from asyncstore.schedule.lanes import Lanes
from asyncstore.schedule.ledger import HARMLESS, Ledger
from asyncstore.schedule.pair_demand import PairDemand
from asyncstore.schedule.peer_health import Patience, PeerHealth
from asyncstore.schedule.retry import NO_RETRIES, Retries, RetryOptions
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from asyncstore.model import PeerOutage
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.ports import Association, Converter, OpenAssociation, Outlet, ProbeAgain, Reader

_log = logging.getLogger(__name__)

ABORTED = "the run was aborted before it was sent"

_BACKLOG_INSTANCES = 4096
_BACKLOG_BYTES = 1 << 32
"""Only descriptions wait in the backlog, some 500 bytes each. The bound on bytes keeps the walk near the sending where
files are large."""

_OPENING_GRACE = 1.0
"""Seconds for associations that are still opening when everything is done: an abort would alarm readers of the peer's
log. A limit, because a busy peer may not answer at all."""


class DispatchOptions(NamedTuple):
    """How the lanes work.

    Attributes:
        associations: how many; ``None``: as many as make the transfer faster.
        halt_on_failure: whether the first file that is not stored stops the run.
        abort_at_end: whether associations are aborted instead of released.
        proposal: which contexts are proposed, and which accepted context carries which pair.
        affinity: what is kept on one association.
        overlaps: whether several stores of one association may be outstanding.
        retry: which stores are tried again.
        patience: how long the run waits for a peer that is down.
    """

    associations: int | None = None
    halt_on_failure: bool = False
    abort_at_end: bool = False
    proposal: Proposal = Planned()
    affinity: Affinity = Affinity.NONE
    overlaps: bool = False
    retry: RetryOptions = NO_RETRIES
    patience: Patience = Patience(0.0, 0.0)


class Dispatcher:
    """Sends instances over lanes, until :meth:`end_input` was called and nothing is left.

    Args:
        open_association: opens an association.
        new_reader: makes the reader of one lane.
        converter: re-encodes data sets.
        outlet: where outcomes go.
        options: how the lanes work.
        probe_again: probes a file that changed since the walk found it; ``None``: it is not sent.
    """

    def __init__(
        self,
        open_association: OpenAssociation,
        new_reader: Callable[[], Reader],
        converter: Converter,
        outlet: Outlet,
        options: DispatchOptions,
        probe_again: ProbeAgain | None = None,
    ) -> None:
        self._open_association = open_association
        self._new_reader = new_reader
        self._converter = converter
        self._outlet = outlet
        self._options = options
        self._probe_again = probe_again
        self._tasks = asyncio.TaskGroup()
        self._gate = None if options.affinity is Affinity.NONE else Gate(options.affinity)
        self._backlog = Backlog(_BACKLOG_INSTANCES, _BACKLOG_BYTES, self._gate)
        self._demand = PairDemand(options.proposal)
        self._lanes = Lanes()
        self._peer = PeerHealth(options.associations, time.monotonic, options.patience)
        self._retries = Retries(options.retry, time.monotonic)
        self._ledger = Ledger(halts=options.halt_on_failure)
        self._halt = self._ledger if options.halt_on_failure else None
        """The ledger, if a failed attempt halts the run."""
        self._change = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        """Wakes the run when an instance is due again, or the peer is to be tried."""
        self._is_input_over = False
        self._was_waiting = False
        self.is_paused = False
        self.stop_reason: str | None = None
        """Why nothing new begins any more."""
        self.stopped = asyncio.Event()
        """Set with :attr:`stop_reason`, and at the end of the run."""
        self.unconverted: PrepareError | None = None
        """Why nothing can be re-encoded any more."""
        self.associations_opened = 0
        self.associations_asked_for = 0

    async def put(self, instances: list[Instance]) -> None:
        """Add instances; waits while the backlog is full."""
        self._ledger.found(instances)
        try:
            while self._is_full and self.stop_reason is None:
                await self._changed()
        except BaseException:
            self._withdraw(self._ledger.to_send(instances), self.stop_reason or ABORTED)
            raise
        if self.stop_reason is not None:
            self._withdraw(instances, self.stop_reason)
            return
        if self._ledger.first_failure is not None:
            instances = self._ledger.to_send(instances)
            self._halt_if_due()  # they were unfinished while they waited
        refused_before = self._demand.see(instances)
        self._backlog.put(instances)
        self._drop_refused(refused_before)
        self._wake()

    def refuse(self, unsendable: Collection[Unsendable]) -> None:
        """Add files that cannot be sent."""
        self._ledger.found(unsendable)
        self._fail(map(outcome.of_unsendable, unsendable))

    def end_input(self) -> None:
        """No more files will come."""
        self._is_input_over = True
        self._wake()

    def stop(self, reason: str) -> None:
        """Begin nothing new: waiting instances are withdrawn for ``reason``; stores that have begun finish."""
        if self.stop_reason is None:
            self.stop_reason = reason
            withdrawn = self._backlog.clear() + self._retries.withdraw()
            self._set_alarm()
            self._lanes.cancel_opening()
            for lane in self._lanes:
                withdrawn += lane.withdraw()
            self._settle(self._ledger.end(reason, [instance.found for instance in withdrawn]))
            self.stopped.set()
            self._wake()

    def pause(self) -> None:
        """Begin nothing new until :meth:`resume`; stores that have begun finish."""
        self.is_paused = True
        self._lanes.cancel_opening()
        for lane in self._lanes:
            self._put_back(lane, lane.withdraw())
        self._wake()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self.is_paused = False
        self._wake()

    def set_associations(self, fixed: int | None) -> None:
        """Have this many associations from now on; ``None``: as many as make the transfer faster."""
        self._peer.set_associations(fixed)
        self._wake()

    @property
    def retrying(self) -> int:
        """How many instances wait for their next attempt."""
        return len(self._retries)

    @property
    def retries(self) -> int:
        """How many attempts were repeated."""
        return self._retries.repeated - len(self._retries)

    @property
    def outages(self) -> int:
        """How often the peer was down."""
        return self._peer.outages

    @property
    def outage(self) -> PeerOutage | None:
        """The outage of the peer; ``None``: it is not down."""
        return self._peer.outage()

    @property
    def failure(self) -> AssociationError | None:
        """Why no association can be opened any more, if none can."""
        return self._peer.failure

    @property
    def is_halted(self) -> bool:
        """Whether a file that was not stored ended the run."""
        return self._ledger.is_halted

    @property
    def bytes_sent(self) -> int:
        """Data set bytes handed to the network."""
        return self._lanes.bytes_sent

    def lanes(self) -> tuple[Lane, ...]:
        """The lanes as they are now."""
        now = time.monotonic()
        return tuple(lane.seen_from_outside(now) for lane in self._lanes)

    async def run(self) -> None:
        """Work until every file has its outcome and every association is closed."""
        try:
            async with self._tasks:
                try:
                    while not self._is_done:
                        self._take_up_due()
                        self._adjust_lanes()
                        await self._look()
                finally:
                    if not self._is_done:
                        self.stop(ABORTED)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_OPENING_GRACE):
                        while self._lanes:
                            await self._changed()
                self._lanes.cancel_opening()
        finally:
            self._set_alarm()
            self.stopped.set()

    # What is due.

    @property
    def _next_alarm(self) -> float | None:
        """When an instance is due again, or the peer is to be tried; ``None``: neither."""
        if self.stop_reason is not None or self._is_done:
            return None
        times = self._retries.next_due, self._peer.next_trial if len(self._backlog) else None
        return min((one for one in times if one is not None), default=None)

    def _set_alarm(self) -> None:
        """Wake the run when something is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._next_alarm
        if due is not None:
            self._alarm = asyncio.get_running_loop().call_later(max(due - time.monotonic(), 0.0), self._wake)

    def _take_up_due(self) -> None:
        """Instances whose time has come wait in the backlog again."""
        due = self._retries.due()
        if due:
            self._take_up(due)
        self._set_alarm()

    def _take_up(self, instances: list[Instance]) -> None:
        """These instances wait in the backlog again, before all others."""
        instances = self._ledger.to_send(instances)
        self._backlog.put_back(instances)
        self._drop_refused(pairs_needed(instances))
        self._halt_if_due()
        self._wake()

    # Lanes come and go.

    def _adjust_lanes(self) -> None:
        for _ in range(self._lanes_missing()):
            self._tasks.create_task(self._work(self._lanes.add()))
        if self._lanes.retire_surplus(self._peer.associations):
            self._wake()

    def _lanes_missing(self) -> int:
        begins_nothing = self.stop_reason is not None or self.failure is not None or self.is_paused
        return 0 if begins_nothing else self._lanes.missing(self._peer.associations, len(self._backlog))

    async def _look(self) -> None:
        """Wait until lanes are missing, everything is done, or it is time for the next look at the rate."""
        try:
            async with asyncio.timeout(self._peer.seconds_to_look):
                while not self._is_done and self._lanes_missing() <= 0 and not self._is_due:
                    await self._changed()
        except TimeoutError:
            left = self._ledger.unfinished if self._is_input_over else None
            self._peer.look(self._lanes.progress(time.monotonic(), is_limited=self._was_waiting, left=left))
            self._was_waiting = False
            self._share_out()

    @property
    def _is_due(self) -> bool:
        """Whether an instance is due again."""
        due = self._retries.next_due
        return due is not None and due <= time.monotonic()

    def _share_out(self) -> None:
        """Near the end, give instances that slow lanes have not begun to lanes that are free."""
        if self._is_input_over and self._backlog.is_empty and any(lane.is_free for lane in self._lanes):
            for lane in self._lanes:
                self._put_back(lane, lane.withdraw())

    @property
    def _is_done(self) -> bool:
        """Whether every file has its outcome, and no more files will come."""
        return self._is_input_over and self._ledger.unfinished == 0

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
                    await finished(association.close())
                    self._put_back(lane, association.withdraw())
                    carried = lane.selection
                    lane.closed()
                    self._drop_refused(carried)
        finally:
            reader.close()
            self._lanes.remove(lane)
            if self.failure is not None and not self._lanes:
                self.stop(str(self.failure))
            self._wake()

    async def _is_wanted(self, lane: WorkingLane) -> bool:
        """Wait for something to send over a new association; false if there will be nothing for this lane."""
        lane.state = LaneState.WAITING
        while self.stop_reason is None and not lane.is_retiring and self.failure is None:
            if len(self._backlog) > self._lanes.opening and self._knows_enough and not self.is_paused:
                return True
            if self._is_done:
                return False
            await self._changed()
        return False

    @property
    def _knows_enough(self) -> bool:
        """Whether an association can be opened now; false while its contexts depend on files still to come."""
        return not self._options.proposal.needs_all_files or self._is_input_over or self._is_full

    @property
    def _is_full(self) -> bool:
        """Whether enough instances wait, in the backlog or for their next attempt."""
        return self._backlog.is_full or len(self._retries) >= _BACKLOG_INSTANCES

    async def _open(self, lane: WorkingLane) -> Association | None:
        urgent = self._demand.urgent(self._backlog.by_age(), self._backlog.counts, self._lanes)
        wanted = self._demand.wanted(urgent)
        contexts = self._demand.contexts(wanted)
        self.associations_asked_for += 1
        self._peer.begins_trial()
        lane.opens(contexts, self.associations_asked_for)
        on_attempt = partial(self._attempted, lane)
        association = None
        limit = asyncio.timeout(None)  # the lane ends it when the association is not needed any more
        try:
            async with limit as lane.opening:
                association = await self._open_association(contexts, lane.association_number, on_attempt, self._wake)
        except TimeoutError:
            if not limit.expired():
                raise
        except AssociationError as error:
            lane.opening = None  # it has ended
            self._without(lane, error)
        if association is None:
            lane.closed()
            return None
        self.associations_opened += 1
        lane.opened(association, self._options.proposal, changes_everything=self._converter.changes_everything)
        self._report(self._peer.accepted())
        self._refuse_uncarried(lane, wanted)
        self._wake()  # other lanes may have left it pairs that it does not carry
        return association

    def _refuse_uncarried(self, lane: WorkingLane, pairs: Iterable[Pair]) -> None:
        """Refuse those of ``pairs`` that the association of ``lane`` was asked for and no lane carries."""
        for pair in self._demand.uncarried(pairs, lane, self._lanes):
            self._drop(pair, self._demand.refuse(pair, lane.selection.why_not(pair)))

    def _without(self, lane: WorkingLane, error: AssociationError) -> None:
        """``lane`` ends for ``error``; other lanes go on."""
        _log.debug("association %d: %s", lane.association_number, error)
        others = self._lanes.others(lane)
        is_any_open = any(other.association for other in others)
        self._report(self._peer.refused(error, lanes=len(others), is_any_open=is_any_open))
        self._set_alarm()

    def _report(self, refusals: Iterable[str]) -> None:
        for refusal in refusals:
            _log.warning("%s; other associations go on", refusal)

    def _drop_refused(self, pairs: Iterable[Pair]) -> None:
        """Refuse instances that wait for refused pairs among ``pairs``, unless some association carries them."""
        for pair, reason in self._demand.refused(pairs, self._lanes).items():
            self._drop(pair, reason)

    def _drop(self, pair: Pair, reason: str) -> None:
        """Refuse the instances that wait for ``pair``."""
        self._fail(outcome.not_sent(one, reason) for one in self._backlog.remove(pair))
        self._wake()

    # A lane at work.

    async def _serve(self, lane: WorkingLane, association: Association, reader: Reader) -> bool:
        """Send over ``association`` until it ends or is not needed; whether the lane may open another one."""
        while association.error is None and self._goes_on(lane):
            most = self._portion(lane, association)
            batch = self._backlog.take(lane.selection, most, MOST_BYTES, lane, overlaps=self._options.overlaps)
            if batch:
                self._wake()
                lane.state = LaneState.SENDING
                await self._send_all(lane, association, batch, reader)
                if self._peer.is_on_trial:
                    await self._conclude_trial(lane, association)
                await self._outlet.room()
            elif not await self._waited(lane, association):
                break
        self._put_back(lane, association.withdraw())
        await association.settled()
        lane.state = LaneState.CLOSING
        if association.error is None and self._options.abort_at_end:
            association.abort()
        elif association.error is None:
            await association.release()
        is_mute = self._peer.ended(association.error, is_answered=lane.is_answered, is_unanswered=lane.is_unanswered)
        error = association.error if is_mute else self._silence
        if error is not None:
            self._without(lane, error)
        return error is None

    def _goes_on(self, lane: WorkingLane) -> bool:
        """Whether ``lane`` may begin more stores over its association."""
        return self.stop_reason is None and not (lane.is_retiring or self.is_paused or self._silence)

    async def _conclude_trial(self, lane: WorkingLane, association: Association) -> None:
        """Wait for the answer of a peer that was down."""
        await association.settled()
        if lane.is_answered:
            self._peer.answered()
            self._wake()

    @property
    def _silence(self) -> AssociationError | None:
        """Why the peer seems to answer nothing; ``None``: it seems to answer, or an open association had answers."""
        silence = self._peer.silence
        if silence is None or any(lane.association is not None and lane.is_answered for lane in self._lanes):
            return None
        return silence

    def _portion(self, lane: WorkingLane, association: Association) -> int:
        """How many instances ``lane`` takes next; none while it has its share of the rest in hand."""
        wanted = lane.batch_size.update(time.monotonic(), lane.answered)
        if self._peer.is_on_trial:
            return 1
        if not self._is_input_over:
            return wanted
        return min(wanted, self._lanes.share(self._ledger.unfinished) - association.in_hand)

    async def _waited(self, lane: WorkingLane, association: Association) -> bool:
        """Wait until there may be more for ``association``; false if it is done, with nothing under way."""
        self._refuse_uncarried(lane, self._backlog.counts)
        if self._demand.call_for_another(lane, self._lanes, self._backlog.counts):
            await association.settled()  # send its instances over it first: the next one may not carry them
            return False
        is_last = self._is_input_over and self._backlog.is_empty
        if association.is_idle:
            lane.has_idled = True
            if is_last:
                return False  # at once: a peer that serves a few at a time goes on with others
            lane.state, self._was_waiting = LaneState.WAITING, True
        if is_last or self._portion(lane, association) <= 0:
            await association.settled()
        else:
            await self._changed()
        return True

    async def _send_all(
        self, lane: WorkingLane, association: Association, instances: list[Instance], reader: Reader
    ) -> None:
        """Send ``instances``: suspects one by one, after all others."""
        usual, suspects = self._retries.apart(instances)
        if usual:
            await self._send(lane, association, usual, reader)
        while suspects:
            await association.settled()
            if association.error is not None or not self._goes_on(lane):
                self._put_back(lane, suspects)
                return
            lane.has_idled = True  # an end with a suspect says nothing about the peer
            await self._send(lane, association, [suspects.pop(0)], reader)

    async def _send(
        self, lane: WorkingLane, association: Association, instances: list[Instance], reader: Reader
    ) -> None:
        """Submit ``instances``; those that have not begun when the association ends or the run stops go back."""
        batch = lane.batch = Batch(instances, association, partial(self._met_problem, lane))
        try:
            await batch.submit(lane.selection, reader, self._converter)
        except PrepareError as error:
            self.unconverted = error
            self.stop(str(error))
        finally:
            lane.batch = None
            self._put_back(lane, batch.withdraw())

    def _met_problem(self, lane: WorkingLane, instance: Instance, problem: Unsendable) -> None:
        """``instance`` has its turn in the batch of ``lane``, and cannot be sent."""
        self._leave(lane, [instance])
        if self._retries_anew(problem):
            self._tasks.create_task(self._send_anew(instance.found))
        else:
            self._fail([outcome.not_sent(instance, problem.reason)], lane)

    def _retries_anew(self, problem: Unsendable, ended: Outcome | None = None) -> bool:
        """Whether a file that changed is probed again."""
        is_possible = self._probe_again is not None and self.stop_reason is None
        return is_possible and self._retries.probes_again(problem, ended)

    async def _send_anew(self, instance: Instance) -> None:
        """Probe the file of ``instance`` again, and send what it is now."""
        found: Instance | Unsendable | None = None
        try:
            if self._probe_again is not None:
                found = await self._probe_again(instance.file)
        except PrepareError as error:
            self.unconverted = error
            self.stop(str(error))
        finally:
            if self.stop_reason is not None or found is None:
                self._withdraw([instance], self.stop_reason or ABORTED)
            elif isinstance(found, Unsendable):
                self._fail([outcome.of_unsendable(found)])
            else:
                self._demand.see([found])
                self._take_up([found])

    def _leave(self, lane: WorkingLane, instances: Iterable[Instance], *, are_stored: bool = False) -> None:
        """``lane`` no longer has these instances: others may have waited for that."""
        if self._backlog.ended(instances, lane, is_stored=are_stored):
            self._wake()

    def _put_back(self, lane: WorkingLane, instances: list[Instance]) -> None:
        """``lane`` gives back instances that have not begun."""
        self._leave(lane, instances)
        if self.stop_reason is not None:
            self._withdraw(instances, self.stop_reason)
        elif instances:
            self._backlog.put_back(self._ledger.to_send([instance.found for instance in instances]))
            self._wake()

    # Outcomes.

    def _attempted(
        self, lane: WorkingLane, instance: Instance, attempt: Attempt, error: AssociationError | Unsendable | None
    ) -> None:
        if attempt.status == SUCCESS:
            lane.answered += 1
            if self._gate is not None and self._gate.claims and self._gate.concerns(instance):
                self._leave(lane, [instance], are_stored=True)
            ended = outcome.stored(instance, attempt)
            self._outlet.put_one(self._retries.final(ended) if self._retries.tried else ended)
        elif not self._is_settled_in_vain(lane, instance, outcome.of_attempt(instance, attempt, error), error):
            return
        if self._ledger.settle(1):
            self._only_kept_is_left()

    def _is_settled_in_vain(
        self, lane: WorkingLane, instance: Instance, ended: Outcome, error: AssociationError | Unsendable | None
    ) -> bool:
        """An attempt was not answered with success. False: it is tried again."""
        if ended.status is not None:
            lane.answered += 1
        elif not self._retries.is_suspect(instance):
            lane.lost += 1
        if isinstance(error, Unsendable) and self._retries_anew(error, ended):
            self._leave(lane, [instance])
            self._tasks.create_task(self._send_anew(instance.found))
            return False
        if self.stop_reason is None and self._retries.again(instance.found, ended, error):
            self._leave(lane, [instance])
            self._set_alarm()
            return False
        ended = self._retries.final(ended)
        self._leave(lane, [instance], are_stored=ended.result in HARMLESS)
        if self._halt is not None and self._halt.ended(ended):
            self._begin_to_halt()
        self._outlet.put_one(ended)
        return True

    def _withdraw(self, instances: Iterable[Instance], reason: str) -> None:
        self._settle([outcome.withdrawn(instance, reason) for instance in instances])

    def _fail(self, failures: Iterable[Outcome], lane: WorkingLane | None = None) -> None:
        """Note failures of files that have not begun.

        Instances that ``lane`` has handed to its association stand before them.
        """
        first_before = self._ledger.first_failure
        self._settle(self._ledger.refuse(failures))
        if self._ledger.first_failure != first_before:
            self._begin_to_halt(lane)
            self._halt_if_due()

    def _begin_to_halt(self, reached_by: WorkingLane | None = None) -> None:
        """There is a new first failure: nothing behind it begins any more."""
        waiting = self._backlog.clear() + self._retries.withdraw()
        for lane in self._lanes:
            withdrawn = lane.withdraw(all_of_it=lane is not reached_by)
            self._backlog.ended(withdrawn, lane, is_stored=False)
            waiting += withdrawn
        self._backlog.put_back(self._ledger.to_send([instance.found for instance in waiting]))
        self.stopped.set()  # the walk can end
        self._wake()  # the backlog has room now, and lanes may have lost their instances

    def _settle(self, outcomes: Collection[Outcome]) -> None:
        """Hand on the outcomes of files that are finished."""
        if outcomes:
            self._outlet.put([self._retries.final(one) for one in outcomes] if self._retries.tried else outcomes)
        if self._ledger.settle(len(outcomes)):
            self._only_kept_is_left()

    def _only_kept_is_left(self) -> None:
        """All unfinished files are in the ledger's keeping."""
        self._halt_if_due()
        if self._ledger.unfinished == 0:
            self._wake()

    def _halt_if_due(self) -> None:
        """End the run if the turn of the first failure has come."""
        if self._ledger.is_due:
            self._settle(self._ledger.turn())
            self.stop(self._ledger.reason)

    # Waking each other.

    def _wake(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def _changed(self) -> None:
        await self._change.wait()
