"""A lane at work: it sends over its open association until that ends or is not needed.

Rules:

1. Towards the end no lane takes more than its share of the rest.
2. A suspect (:mod:`asyncstore.schedule.retry`) is sent while its association has nothing else under way.
3. A peer that was down gets one store, and all others when it has answered that.
4. A lane that cannot have a thread for reading ends like one that the peer refused; the others go on.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError, NoThread, PrepareError
from asyncstore.model import LaneState
from asyncstore.schedule.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import Instance
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.lanes import Lanes
    from asyncstore.schedule.options import DispatchOptions
    from asyncstore.schedule.peer_health import PeerHealth
    from asyncstore.schedule.ports import Association, Converter, Outlet, Reader
    from asyncstore.schedule.signal import Signal
    from asyncstore.schedule.stock import Stock
    from asyncstore.schedule.turns import Turns


class Serving:
    """Lets the lanes of one run send.

    Args:
        stock: what is to be sent.
        lanes: the lanes of the run.
        peer: what is known about the peer.
        turns: when a lane may begin under a limit.
        change: wakes the lanes and their owner.
        converter: re-encodes data sets.
        outlet: where outcomes go; lanes wait until it has room.
        options: how the lanes work.
        on_unconverted: told that nothing can be re-encoded any more.

    Attributes:
        is_input_over: whether no more files will come.
        is_input_held_up: whether the walk had to wait until files end.
        is_paused: whether nothing begins until the user says so.
        has_waited: whether a lane waited for files since this was last set to false.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, each by its name
        self,
        *,
        stock: Stock,
        lanes: Lanes,
        peer: PeerHealth,
        turns: Turns,
        change: Signal,
        converter: Converter,
        outlet: Outlet,
        options: DispatchOptions,
        on_unconverted: Callable[[PrepareError], None],
    ) -> None:
        self.is_input_over = self.is_input_held_up = self.is_paused = self.has_waited = False
        self._stock, self._lanes, self._peer, self._turns, self._change = stock, lanes, peer, turns, change
        self._converter, self._outlet, self._options = converter, outlet, options
        self._on_unconverted = on_unconverted

    @property
    def knows_enough(self) -> bool:
        """Whether an association can be opened now; false while its contexts depend on files still to come."""
        is_held_up = self.is_input_held_up or self._stock.is_full
        return not self._options.proposal.needs_all_files or self.is_input_over or is_held_up

    @property
    def is_held_back(self) -> bool:
        """Whether nothing begins for a while."""
        return self.is_paused or self._turns.are_paused

    async def serve(self, lane: WorkingLane, association: Association, reader: Reader) -> AssociationError | None:
        """Send over ``association`` until it ends or is not needed.

        Returns:
            Why the lane gets no other association: the peer seems to answer nothing, or no thread can be started.
            ``None``: it may get one.
        """
        shortage = None
        try:
            await self._send_what_there_is(lane, association, reader)
        except NoThread as error:
            shortage = AssociationError(association.peer, str(error))
        self._stock.give_back(lane, lane.withdraw())
        await association.settled()
        lane.state = LaneState.CLOSING
        if association.error is None and self._options.abort_at_end:
            association.abort()
        elif association.error is None:
            await association.release()
        is_mute = self._peer.ended(association.error, is_answered=lane.is_answered, is_unanswered=lane.is_unanswered)
        return association.error if is_mute else shortage or self._silence

    async def _send_what_there_is(self, lane: WorkingLane, association: Association, reader: Reader) -> None:
        """Send over ``association`` as long as there may be something to send.

        Raises:
            NoThread: files cannot be read for this lane.
        """
        while association.error is None and self._goes_on(lane):
            wanted = self._portion(lane, association)
            most = self._turns.portion(wanted, len(self._lanes))
            batch = self._stock.take(lane, most)
            if batch:
                self._turns.took(batch, is_last=not len(self._stock))
                lane.state = LaneState.SENDING
                await self._send_all(lane, association, batch, reader)
                if self._peer.is_on_trial:
                    await self._conclude_trial(lane, association)
                await self._outlet.room()
            elif not await self._waited(lane, association, is_early=most <= 0 < wanted):
                break

    def _goes_on(self, lane: WorkingLane) -> bool:
        """Whether ``lane`` may begin more stores over its association."""
        is_over = lane.is_retiring or lane.to_ask or self.is_held_back or self._silence
        return self._stock.ended_for is None and not is_over

    @property
    def _silence(self) -> AssociationError | None:
        """Why the peer seems to answer nothing; ``None``: it seems to answer, or an open association had answers."""
        silence = self._peer.silence
        if silence is None or any(lane.association is not None and lane.is_answered for lane in self._lanes):
            return None
        return silence

    async def _conclude_trial(self, lane: WorkingLane, association: Association) -> None:
        """Wait for the answer of a peer that was down."""
        await association.settled()
        if lane.is_answered:
            self._peer.answered()
            self._change.send()

    def _portion(self, lane: WorkingLane, association: Association) -> int:
        """How many instances ``lane`` takes next; none while it has its share of the rest in hand."""
        wanted = lane.batch_size.update(time.monotonic(), lane.answered)
        if self._peer.is_on_trial:
            return 1
        if not self.is_input_over:
            return wanted
        return min(wanted, self._lanes.share(self._stock.unfinished) - association.in_hand)

    async def _waited(self, lane: WorkingLane, association: Association, *, is_early: bool) -> bool:
        """Wait until there may be more for ``association``; false if it is done, with nothing under way.

        ``is_early``: a limit has kept the lane from taking something. Asking again could have another answer.
        """
        if is_early and len(self._stock):
            return await self._turns.had(lane, association)
        self._stock.refuse_uncarried(lane)
        if self._stock.calls_for_another(lane):
            await association.settled()  # send its instances over it first: the next one may not carry them
            return not self._stock.replaces(lane)  # another lane may have been free to do so before
        is_last = self.is_input_over and self._stock.is_empty
        if association.is_idle:
            lane.has_idled = True
            if is_last:
                return False  # at once: a peer that serves a few at a time goes on with others
            lane.state, self.has_waited = LaneState.WAITING, True
        if is_last or self._portion(lane, association) <= 0:
            await association.settled()
        else:
            await self._change.wait()
        return True

    async def _send_all(
        self, lane: WorkingLane, association: Association, instances: list[Instance], reader: Reader
    ) -> None:
        """Send ``instances``: suspects one by one, after all others."""
        usual, lane.suspects = self._stock.retries.apart(instances)
        if usual:
            await self._send(lane, association, usual, reader)
        while lane.suspects:
            await association.settled()
            if association.error is not None or not self._goes_on(lane):
                self._stock.give_back(lane, lane.withdraw_suspects())
            elif lane.suspects:  # others may have been withdrawn meanwhile
                lane.has_idled = True  # an end with a suspect says nothing about the peer
                await self._send(lane, association, [lane.suspects.pop(0)], reader)
                await association.settled()  # or others would begin beside it

    async def _send(
        self, lane: WorkingLane, association: Association, instances: list[Instance], reader: Reader
    ) -> None:
        """Submit ``instances``; those that have not begun when the association ends or the run stops go back.

        Raises:
            NoThread: files cannot be read.
        """
        batch = lane.batch = Batch(instances, association, partial(self._stock.cannot_be_sent, lane))
        try:
            await batch.submit(lane.selection, reader, self._converter)
        except NoThread:
            raise
        except PrepareError as error:
            self._on_unconverted(error)
        finally:
            lane.batch = None
            self._stock.give_back(lane, batch.withdraw())
