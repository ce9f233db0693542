"""One lane: the place of associations, one at a time, and the stores and the study under way on it.

Rules:

1. A store takes no task and no future: :meth:`Lane.begin` hands it to the association, and the callback with its
   response reports it and lets the load decide what the lane does next.
2. Every store that was begun is reported once, or handed to the load as not begun when the association ends.
3. An association that ends early is followed by another one, after a pause that grows while none of them is answered.
4. A study goes over one lane, and its instances follow each other as fast as the peer takes them: this is how a
   modality sends an exam. The first one is to begin when the study arrives, each later one when a place in the window
   is free. If the association is lost, the rest of the study goes over another one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from asyncstore.errors import AssociationError, AsyncstoreError
from asyncstore.load.values import Opened, Sample
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.status import SOP_CLASS_NOT_SUPPORTED
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from asyncstore.load.driving.precise_timer import MakeTimer
    from asyncstore.load.results.recorder import Recorder
    from asyncstore.load.values import Kind, Made, Source
    from asyncstore.model import Instance
    from asyncstore.network.timed import OnStored, TimedAssociation

_FIRST_PAUSE = 0.1
"""Seconds before an association is opened again: a peer with a restarting child process is back after that."""
_MOST_PAUSE = 5.0
"""Seconds between two attempts at most: the load is back soon after the peer is."""

_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class OpenAssociation(Protocol):
    """Opens associations that measure their stores."""

    async def __call__(self, number: int, on_stored: OnStored, on_end: Callable[[], None]) -> TimedAssociation:
        """Open the association with this number; raises :class:`~asyncstore.errors.AssociationError`."""


class UnderWay(NamedTuple):
    """A store that was begun."""

    made: Made
    intended: float | None
    """When it was to begin; ``None``: whenever it begins."""
    was_free: bool
    """Whether a lane was free for it at that time."""


class Load(Protocol):
    """Decides when stores begin. Lanes call its methods, and the driver :meth:`stop`."""

    def stop(self) -> None:
        """Begin nothing more."""

    def joined(self, lane: Lane) -> None:
        """The lane has an association."""

    def freed(self, lane: Lane, now: float) -> None:
        """A store of the lane was answered."""

    def left(self, lane: Lane, not_begun: tuple[UnderWay, ...]) -> None:
        """The association of the lane has ended; these stores had not begun."""


class Owner(Protocol):
    """What a lane needs from the driver."""

    load: Load
    kinds: Sequence[Kind]
    measurements: Recorder
    clock: Callable[[], float]
    jitter: Callable[[float, float], float]

    def next_number(self) -> int:
        """The number of the next association."""

    def opened(self, opened: Opened) -> None:
        """An association is open."""

    def lost(self, error: AssociationError) -> None:
        """An association could not be opened, or ended early."""

    def released(self, seconds: float) -> None:
        """An association was released."""


class Lane:
    """The place of associations, one at a time.

    Args:
        owner: the driver.
        open_association: opens associations.
    """

    def __init__(self, owner: Owner, open_association: OpenAssociation) -> None:
        self._owner = owner
        self._open = open_association
        self._measured = owner.measurements.stored
        self.association: TimedAssociation | None = None
        """The open association; ``None``: there is none that takes stores."""
        self.under_way: deque[UnderWay] = deque()
        """The stores that were begun and have not ended, in order."""
        self.study: Study | None = None
        """The study whose instances it stores."""
        self.was_tried = False
        """Whether its first association is open, or could not be opened."""
        self._is_retiring = False
        self._refused: frozenset[int] = frozenset()
        """The kinds that the association does not carry."""
        self._is_answered = False
        self._opening: asyncio.Timeout | None = None
        self._over = asyncio.Event()
        """Set when the association has ended, or the lane retires."""

    @property
    def room(self) -> int:
        """How many stores may begin now."""
        return 0 if self.association is None else self.association.window - len(self.under_way)

    @property
    def is_blocked(self) -> bool:
        """Whether another store would wait in the association, for one that will be answered."""
        return self.association is not None and bool(self.under_way) and self.association.is_blocked

    def begin(self, made: Made, intended: float | None, *, was_free: bool = False) -> bool:
        """Begin a store; there is :attr:`room`.

        Returns false if the association does not carry this kind of instance: then the store has ended, as the SOP
        class is not supported.
        """
        instance, kind, pieces = made
        association = self.association
        if association is None or kind in self._refused:
            self._refuse(kind, intended)
            return False
        self.under_way.append(_new_tuple(UnderWay, (made, intended, was_free)))
        if pieces:
            association.submit(pieces)
        else:
            association.submit_whole((instance,), lambda _: None)  # it is in memory
        return True

    def withdraw(self) -> int:
        """Take back the stores that wait for their turn in the association; how many these are."""
        number = 0 if self.association is None else len(self.association.withdraw())
        for _ in range(number):
            self.under_way.pop()
        return number

    def retire(self) -> None:
        """Release the association when nothing is under way, and open no more."""
        self._is_retiring = True
        self._over.set()
        if self._opening is not None and not self._opening.expired():
            self._opening.reschedule(0)

    def abort(self) -> None:
        """Abort the association; the stores under way have an unknown outcome."""
        self.retire()
        if self.association is not None:
            self.association.abort("the measurement was interrupted")

    async def run(self) -> None:
        """Have an association until the lane retires."""
        pause = _FIRST_PAUSE
        while not self._is_retiring:
            self._is_answered = False
            association = await self._opened()
            if association is not None:
                try:
                    await self._serve(association)
                finally:
                    await finished(association.close())
                    self.association = None
            pause = _FIRST_PAUSE if self._is_answered else pause
            await self._pause(self._owner.jitter(pause / 2, pause))
            pause = min(2 * pause, _MOST_PAUSE)

    async def _opened(self) -> TimedAssociation | None:
        """Open an association; ``None``: it cannot be opened, or the lane retires."""
        owner = self._owner
        self._over.clear()
        error: AssociationError | None = None
        try:
            async with asyncio.timeout(None) as self._opening:
                return await self._open(owner.next_number(), self._stored, self._ended)
        except AssociationError as failure:
            error = failure
        except TimeoutError:
            pass  # it retires
        finally:
            self._opening = None
            self.was_tried = True
            if error is not None:
                owner.lost(error)
        return None

    async def _serve(self, association: TimedAssociation) -> None:
        """Let the load use an association until it ends or the lane retires."""
        owner = self._owner
        self._refused = frozenset(
            number
            for number, kind in enumerate(owner.kinds)
            if (kind.sop_class_uid, kind.transfer_syntax_uid) not in association.accepted
        )
        if len(self._refused) == len(owner.kinds):
            association.abort("the peer accepted no presentation context for these instances")
        if association.error is not None:
            owner.lost(association.error)
            return
        self.association = association
        owner.opened(Opened(owner.clock(), *association.steps))
        owner.load.joined(self)
        await self._over.wait()
        await association.settled()
        if association.error is None:
            begun = owner.clock()
            await association.release()
            if association.error is None:
                owner.released(owner.clock() - begun)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; not if the lane retires."""
        if self._is_retiring:
            return
        self._over.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass

    # Callbacks of the association.

    def _stored(self, instance: Instance, begun: float, sent: float, ended: float, status: int | None) -> None:
        store = self.under_way[0]
        if store.made.instance is instance:
            self.under_way.popleft()
        else:
            store = self._answered_out_of_order(instance)
        made, intended, was_free = store
        if intended is None:
            intended = begun
        elif was_free:
            self._owner.measurements.late(begun - intended)
        self._measured(_new_tuple(Sample, (made.kind, intended, begun, sent, ended, status)))
        if status is not None:
            self._is_answered = True
            self._owner.load.freed(self, ended)

    def _answered_out_of_order(self, instance: Instance) -> UnderWay:
        store = next(store for store in self.under_way if store.made.instance is instance)
        self.under_way.remove(store)
        return store

    def _ended(self) -> None:
        """The association has ended early."""
        association, self.association = self.association, None
        self._over.set()
        if association is None:
            return  # it has served nothing, and is reported where it was opened
        association.withdraw()
        not_begun = tuple(self.under_way)
        self.under_way.clear()
        if association.error is not None:
            self._owner.lost(association.error)
        self._owner.load.left(self, not_begun)

    def _refuse(self, kind: int, intended: float | None) -> None:
        now = self._owner.clock()
        at = now if intended is None else intended
        self._measured(Sample(kind, at, now, now, now, SOP_CLASS_NOT_SUPPORTED))


class Resources(NamedTuple):
    """What loads work with."""

    source: Source
    measurements: Recorder
    clock: Callable[[], float]
    make_timer: MakeTimer
    lanes: Collection[Lane]
    fail: Callable[[AsyncstoreError], None]
    """Called with an error of the source; it stops the load."""


class Study:
    """A study that has arrived; its instances are made when it begins.

    Args:
        arrived: when it arrived. One of its instances was offered then.
        resources: what it works with.
    """

    __slots__ = ("_fail", "_given_back", "_has_begun", "_instances", "_measurements", "_source", "arrived")

    def __init__(self, arrived: float, resources: Resources) -> None:
        self.arrived = arrived
        self._source, self._measurements, self._fail = resources.source, resources.measurements, resources.fail
        self._instances: Iterator[Made] = iter(())
        self._has_begun = False
        self._given_back: deque[Made] = deque()
        """Instances that were offered, and have not begun."""

    def begin(self, lane: Lane, intended: float, now: float, *, was_free: bool = False) -> bool:
        """Begin or go on, over a lane that has nothing under way. Returns whether the lane is in use now."""
        lane.study = self
        made = self._next(now)
        while made is not None and not lane.begin(made, intended, was_free=was_free):
            made = self._next(now)
        return self.go_on(lane, now)

    def go_on(self, lane: Lane, now: float) -> bool:
        """Begin the next instances. Returns whether the lane is in use still."""
        while lane.room > 0:
            made = self._next(now)
            if made is None:
                break
            lane.begin(made, now)
        if not lane.under_way:
            self._end(lane, now)
        return lane.study is self

    def leave(self, lane: Lane, not_begun: tuple[UnderWay, ...], now: float) -> bool:
        """The lane has lost its association. Returns whether there is a rest to go over another one."""
        lane.study = None
        self._given_back.extendleft(store.made for store in reversed(not_begun))
        following = self._next(now)
        if following is None:
            self._measurements.study_ended(now - self.arrived, now)
            return False
        self._given_back.appendleft(following)
        return True

    def drop(self, now: float) -> None:
        """It will not go on, because its phase is over."""
        waiting = len(self._given_back)
        if not self._has_begun:
            first = self._first()
            waiting = 1 if first is None else self._source.kinds[first.kind].instances_per_study
            self._measurements.offered(waiting - 1, 0, self.arrived)  # one was offered then
        if waiting:
            self._measurements.dropped(waiting, now)

    def _next(self, now: float) -> Made | None:
        """The next instance; ``None``: there is no more."""
        if self._given_back:
            return self._given_back.popleft()
        if not self._has_begun:
            self._has_begun = True
            first = self._first()
            if first is None:
                self._measurements.dropped(1, now)
            return first
        made = next(self._instances, None)
        if made is not None:
            self._measurements.offered(1, 0, now)
        return made

    def _first(self) -> Made | None:
        """The first instance; ``None``: the source has none."""
        try:
            self._instances = self._source.study()
            return next(self._instances, None)
        except AsyncstoreError as error:
            self._fail(error)
            return None

    def _end(self, lane: Lane, now: float) -> None:
        lane.study = None
        self._measurements.study_ended(now - self.arrived, now)
