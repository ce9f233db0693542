"""The dispatcher: a run's lanes, each with one association at a time, and what makes them come, go and wait.

Rules:

1. A lane opens an association when there is something to send. It replaces it when waiting instances need other
   contexts; pairs that no association carries are refused (:mod:`asyncstore.schedule.pair_demand`). A lane with nothing
   left to send releases its association, even if other lanes still work (:mod:`asyncstore.schedule.serving`). Where all
   lanes have enough to send, one of them makes way after a while for pairs that no association was asked for.
2. A lane that cannot open an association ends. When the last lane has ended, the peer is down: a single lane tries it
   again (:mod:`asyncstore.schedule.peer_health`), or the rest is not sent. The run does not wait for associations that
   are still opening when everything is done.
3. Instances that a slow lane has not begun are shared out again towards the end, when other lanes are free.
4. Stopping lets stores that have begun finish, withdraws the rest, and releases.
5. While the run is paused nothing begins, and lanes without stores under way release their associations. Under a limit
   lanes wait for their turn (:mod:`asyncstore.schedule.turns`).

What becomes of instances is decided in :mod:`asyncstore.schedule.stock`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError, PrepareError
from asyncstore.model import Instance, Lane, LaneState, Unsendable
from asyncstore.schedule.lanes import Lanes
from asyncstore.schedule.pacing import UNLIMITED, Pacing
from asyncstore.schedule.peer_health import PeerHealth
from asyncstore.schedule.serving import Serving
from asyncstore.schedule.signal import Signal
from asyncstore.schedule.stock import Listener, Stock
from asyncstore.schedule.turns import Turns
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from asyncstore.model import PeerOutage
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.options import DispatchOptions
    from asyncstore.schedule.ports import Association, Converter, OpenAssociation, Outlet, ProbeAgain, Reader

_log = logging.getLogger(__name__)

ABORTED = "the run was aborted before it was sent"

_STRANDED = 5.0
"""Seconds that instances may wait for pairs that no association was asked for: long enough for others of these pairs to
be found, and short against a run of days, in which a prioritised study would wait for the end of the walk."""
_OPENING_GRACE = 1.0
"""Seconds for associations that are still opening when everything is done: an abort would alarm readers of the peer's
log. A limit, because a busy peer may not answer at all."""


class Dispatcher:
    """Sends instances over lanes, until :meth:`end_input` was called and nothing is left.

    Args:
        open_association: opens an association.
        new_reader: makes the reader of one lane.
        converter: re-encodes data sets.
        outlet: where outcomes go.
        options: how the lanes work.
        probe_again: probes a file that changed since the walk found it; ``None``: it is not sent.
        pacing: how many stores may begin; ``None``: there will be no limit.
    """

    def __init__(
        self,
        open_association: OpenAssociation,
        new_reader: Callable[[], Reader],
        converter: Converter,
        outlet: Outlet,
        options: DispatchOptions,
        *,
        probe_again: ProbeAgain | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._open_association = open_association
        self._new_reader = new_reader
        self._converter = converter
        self._options = options
        self._probe_again = probe_again
        self._tasks = asyncio.TaskGroup()
        self._change = Signal()
        self._lanes = Lanes()
        self._peer = PeerHealth(options.associations, time.monotonic, options.patience)
        self._pacing = pacing or Pacing(UNLIMITED, time.monotonic)
        self._pacing.on_change.append(self._limits_changed)
        self._turns = Turns(self._pacing)
        self.stopped = asyncio.Event()
        """Set with :attr:`stop_reason`, and at the end of the run."""
        listener = Listener(
            changed=self._change.send,
            probe=self._probe_anew if probe_again is not None else None,
            retry_later=self._set_alarm,
            halting=self._halting,
            halt=self.stop,
        )
        self._stock = Stock(options, self._lanes, outlet, time.monotonic, listener)
        self._serving = Serving(
            stock=self._stock,
            lanes=self._lanes,
            peer=self._peer,
            turns=self._turns,
            change=self._change,
            converter=converter,
            outlet=outlet,
            options=options,
            on_unconverted=self._cannot_convert,
        )
        self._stranded_since: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        """Wakes the run when an instance is due again, or the peer is to be tried."""
        self.unconverted: PrepareError | None = None
        """Why nothing can be re-encoded any more."""
        self.associations_opened = 0
        self.associations_asked_for = 0

    # From the run.

    async def put(self, instances: list[Instance]) -> None:
        """Add instances; waits while the backlog is full."""
        self._stock.found(instances)
        try:
            while self._stock.is_full and self.stop_reason is None:
                await self._change.wait()
        except BaseException:
            self._stock.put_none(instances, ABORTED)
            raise
        self._stock.put(instances)

    def refuse(self, unsendable: Collection[Unsendable]) -> None:
        """Add files that cannot be sent."""
        self._stock.refuse(unsendable)

    def end_input(self) -> None:
        """No more files will come."""
        self._serving.is_input_over = True
        self._change.send()

    def hold_up_input(self) -> None:
        """No more files come before some that are here have ended."""
        self._serving.is_input_held_up = True
        self._change.send()

    def stop(self, reason: str) -> None:
        """Begin nothing new: waiting instances are withdrawn for ``reason``; stores that have begun finish."""
        if self.stop_reason is None:
            self._stock.end(reason)
            self._set_alarm()
            self._lanes.cancel_opening()
            self.stopped.set()
            self._change.send()
            self._turns.wake()

    def pause(self) -> None:
        """Begin nothing new until :meth:`resume`; stores that have begun finish."""
        self._serving.is_paused = True
        self._limits_changed()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._serving.is_paused = False
        self._limits_changed()

    def set_associations(self, fixed: int | None) -> None:
        """Have this many associations from now on; ``None``: as many as make the transfer faster."""
        self._peer.set_associations(fixed)
        self._change.send()

    def prioritise(self, key: str) -> int:
        """Send the study or patient with this Study Instance UID or Patient ID first; how many instances of it wait."""
        return self._stock.prioritise(key)

    def _limits_changed(self) -> None:
        """Other limits hold now: take back from the lanes what has not begun if nothing may begin; wake the lanes."""
        if self._serving.is_held_back:
            self._lanes.cancel_opening()
            for lane in self._lanes:
                self._stock.give_back(lane, lane.withdraw())
        self._change.send()
        self._turns.wake()

    # To observers.

    @property
    def stop_reason(self) -> str | None:
        """Why nothing new begins any more; ``None``: the run goes on."""
        return self._stock.ended_for

    @property
    def is_paused(self) -> bool:
        """Whether nothing begins until :meth:`resume`."""
        return self._serving.is_paused

    @property
    def retrying(self) -> int:
        """How many instances wait for their next attempt."""
        return len(self._stock.retries)

    @property
    def retries(self) -> int:
        """How many attempts beyond the first of their instances have ended."""
        return self._stock.retries.repeated

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
        return self._stock.is_halted

    @property
    def has_association(self) -> bool:
        """Whether an association is open."""
        return any(lane.association is not None for lane in self._lanes)

    @property
    def work(self) -> float:
        """What the run has done: responses received and data sent, in one number."""
        return self._lanes.work

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
                        self._stock.take_up_due()
                        self._set_alarm()
                        self._adjust_lanes()
                        await self._look()
                finally:
                    if not self._is_done:
                        self.stop(ABORTED)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_OPENING_GRACE):
                        while self._lanes:
                            await self._change.wait()
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
        times = self._stock.retries.next_due, self._peer.next_trial if len(self._stock) else None
        return min((one for one in times if one is not None), default=None)

    def _set_alarm(self) -> None:
        """Wake the run when something is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._next_alarm
        if due is not None:
            self._alarm = asyncio.get_running_loop().call_later(max(due - time.monotonic(), 0.0), self._change.send)

    def _probe_anew(self, instance: Instance) -> None:
        """The file of ``instance`` has changed: send what it is now."""
        self._tasks.create_task(self._send_anew(instance))

    async def _send_anew(self, instance: Instance) -> None:
        found: Instance | Unsendable | None = None
        try:
            if self._probe_again is not None:
                found = await self._probe_again(instance.file)
        except PrepareError as error:
            self._cannot_convert(error)
        finally:
            self._stock.take_up_anew(instance, found, ABORTED)

    def _cannot_convert(self, error: PrepareError) -> None:
        """Worker processes cannot be run any more."""
        self.unconverted = error
        self.stop(str(error))

    def _halting(self) -> None:
        """Nothing behind a failure begins any more."""
        self.stopped.set()  # the walk can end
        self._change.send()  # the backlog has room now, and lanes may have lost their instances

    # Lanes come and go.

    def _adjust_lanes(self) -> None:
        for _ in range(self._lanes_missing()):
            self._tasks.create_task(self._work(self._lanes.add()))
        if self._lanes.retire_surplus(self._most_lanes):
            self._change.send()

    def _lanes_missing(self) -> int:
        begins_nothing = self.stop_reason is not None or self.failure is not None or self._serving.is_held_back
        return 0 if begins_nothing else self._lanes.missing(self._most_lanes, len(self._stock))

    @property
    def _most_lanes(self) -> int:
        return int(min(self._peer.associations, self._pacing.most_associations))

    async def _look(self) -> None:
        """Wait until lanes are missing, everything is done, or it is time for the next look at the rate."""
        try:
            async with asyncio.timeout(self._peer.seconds_to_look):
                while not self._is_done and self._lanes_missing() <= 0 and not self._is_due:
                    await self._change.wait()
        except TimeoutError:
            is_limited = self._serving.has_waited or self._pacing.has_limited
            left = self._stock.unfinished if self._serving.is_input_over else None
            computed = time.process_time()
            self._peer.look(self._lanes.progress(time.monotonic(), is_limited=is_limited, left=left, computed=computed))
            self._serving.has_waited = self._pacing.has_limited = False
            self._share_out()
            self._make_way()

    @property
    def _is_due(self) -> bool:
        """Whether an instance is due again."""
        due = self._stock.retries.next_due
        return due is not None and due <= time.monotonic()

    def _share_out(self) -> None:
        """Near the end, give instances that slow lanes have not begun to lanes that are free."""
        if self._serving.is_input_over and self._stock.is_empty and any(lane.is_free for lane in self._lanes):
            for lane in self._lanes:
                self._stock.give_back(lane, lane.withdraw(all_of_it=False))

    def _make_way(self) -> None:
        """Let a lane replace its association for pairs that no association was asked for, if they wait for long."""
        lane = next((lane for lane in self._lanes if lane.association is not None), None)
        now = time.monotonic()
        if lane is None or self._lanes.opening or not self._stock.has_stranded:
            self._stranded_since = None
        elif self._stranded_since is None:
            self._stranded_since = now
        elif now - self._stranded_since >= _STRANDED:
            self._stranded_since = now
            self._stock.let_replace(lane)
            self._change.send()

    @property
    def _is_done(self) -> bool:
        """Whether every file has its outcome, and no more files will come."""
        return self._serving.is_input_over and self._stock.unfinished == 0

    async def _work(self, lane: WorkingLane) -> None:
        reader = self._new_reader()
        try:
            goes_on = True
            while goes_on and await self._is_wanted(lane):
                association = await self._open(lane)
                if association is None:
                    break
                try:
                    error = await self._serving.serve(lane, association, reader)
                    goes_on = error is None
                    if error is not None:
                        self._without(lane, error)
                finally:
                    await finished(association.close())
                    self._stock.give_back(lane, lane.withdraw())
                    carried = lane.selection
                    lane.closed()
                    self._stock.drop_refused(carried)
        finally:
            reader.close()
            self._lanes.remove(lane)
            if self.failure is not None and not self._lanes:
                self.stop(str(self.failure))
            self._change.send()

    async def _is_wanted(self, lane: WorkingLane) -> bool:
        """Wait for something to send over a new association; false if there will be nothing for this lane."""
        lane.state = LaneState.WAITING
        while self.stop_reason is None and not lane.is_retiring and self.failure is None:
            opening = self._lanes.opening
            is_needed = len(self._stock) > opening and self._serving.knows_enough and not self._serving.is_held_back
            wait = self._turns.seconds_to_opening(opening) if is_needed else 0.0
            if is_needed and not wait:
                return True
            if self._is_done:
                return False
            await self._change.wait_within(wait or None)
        return False

    async def _open(self, lane: WorkingLane) -> Association | None:
        wanted = self._stock.wanted()
        contexts = self._stock.contexts(wanted)
        self.associations_asked_for += 1
        self._peer.begins_trial()
        lane.opens(contexts, self.associations_asked_for)
        on_attempt = partial(self._stock.attempted, lane)
        association = None
        limit = asyncio.timeout(None)  # the lane ends it when the association is not needed any more
        try:
            async with limit as lane.opening:
                association = await self._open_association(
                    contexts, number=lane.association_number, on_attempt=on_attempt, on_end=self._change.send
                )
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
        self._lanes.opened(lane)
        self._report(self._peer.accepted())
        self._stock.refuse_uncarried(lane, wanted)
        self._change.send()  # other lanes may have left it pairs that it does not carry
        return association

    def _without(self, lane: WorkingLane, error: AssociationError) -> None:
        """``lane`` ends for ``error``; other lanes go on."""
        _log.debug("association %d: %s", lane.association_number, error)
        lane.is_ending = True
        others = [other for other in self._lanes if not other.is_ending]
        is_any_open = any(other.association is not None and other.association.error is None for other in others)
        self._report(self._peer.refused(error, lanes=len(others), is_any_open=is_any_open))
        self._set_alarm()

    def _report(self, refusals: Iterable[str]) -> None:
        for refusal in refusals:
            _log.warning("%s; other associations go on", refusal)
