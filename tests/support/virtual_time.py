"""An event loop whose time is virtual, and a peer that is a queue with servers, for tests of loads.

The loop never waits: when nothing is ready, its clock jumps to the next timer. An hour of a load takes a second or two.
It has no sockets, no threads and no signals.
"""

import asyncio
import heapq
from asyncio import base_events
from collections import deque
from functools import partial
from random import Random

from asyncstore.errors import AbortedHere, LinkLost
from asyncstore.load.driving.precise_timer import LoopTimer
from asyncstore.network.association import Steps


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop with its own time, which begins at 0."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._timers = []
        self._number = 0

    def time(self):
        return self.now

    def call_at(self, when, callback, *args, context=None):
        self._number += 1
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self._number, timer))
        return timer

    def _timer_handle_cancelled(self, handle):
        """Leave it where it is: it does nothing at its time."""

    def _run_once(self):
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise RuntimeError("all tasks wait, and nothing will wake them")
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - this is the loop

    def _write_to_self(self):
        """There is no other thread to wake it."""


def in_virtual_time(main):
    """Run a coroutine function, which is given the loop, to its end."""

    async def run():
        return await main(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


class Clockwork:
    """The arguments with which a driver uses the loop's time."""

    def __init__(self, loop):
        self.clock = loop.time
        self.make_timer = partial(LoopTimer, clock=loop.time)
        self.jitter = lambda _least, most: most


class Queue:
    """A peer with one server: it takes stores in the order in which they arrive, one at a time.

    Args:
        loop: the virtual loop.
        service: gives the seconds that the next store takes.
        stalls: whether it stands still for the first ``stall`` seconds of every ``period``.
    """

    def __init__(self, loop, service, *, period=0.0, stall=0.0):
        self.loop, self._service = loop, service
        self._period, self._stall = period, stall
        self._free_at = 0.0
        self.associations = []

    def ends(self, now):
        """When a store that arrives now ends."""
        start = max(now, self._free_at)
        end = start + self._service()
        if self._period:
            left = end - start
            end = self._running(start)
            while left > (until := self._next_stall(end) - end):
                left -= until
                end = self._running(end + until)
            end += left
        self._free_at = end
        return end

    def _running(self, at):
        """This time, or the end of the stall in which it lies."""
        into = at % self._period
        return at - into + self._stall if into < self._stall else at

    def _next_stall(self, at):
        return (at // self._period + 1) * self._period

    async def open(self, number, on_stored, on_end, *, window=1, accepted=None):
        """Open an association, as the driver does."""
        association = QueueAssociation(self, number, on_stored, on_end, window, accepted)
        self.associations.append(association)
        return association


class _Everything(dict):
    def __contains__(self, pair):
        return True


class QueueAssociation:
    """An association with a queue: :class:`asyncstore.network.timed.TimedAssociation`."""

    def __init__(self, queue, number, on_stored, on_end, window, accepted):
        self.error = None
        self.is_blocked = False
        self.number = number
        self.steps = Steps(0.001, 0.0, 0.002)
        self.window = window
        self.accepted = _Everything() if accepted is None else accepted
        self.end = None
        """How it ended: released or aborted."""
        self.stored = 0
        self._queue, self._loop = queue, queue.loop
        self._on_stored, self._on_end = on_stored, on_end
        self._outstanding = deque()
        self._settled = asyncio.Event()

    def submit_whole(self, instances, _load):
        now = self._loop.now
        for instance in instances:
            if self.error is None:
                assert len(self._outstanding) < self.window
                self._outstanding.append((instance, now))
                self._loop.call_at(self._queue.ends(now), self._answer)

    def submit(self, pieces):
        self.submit_whole([piece.instance for piece in pieces if piece.is_first], None)

    def _answer(self):
        if self.error is None:
            instance, begun = self._outstanding.popleft()
            self.stored += 1
            self._on_stored(instance, begun, begun, self._loop.now, 0)
            if not self._outstanding:
                self._settled.set()

    def withdraw(self):
        return []

    def lose(self):
        """The peer resets the connection."""
        self._fail(LinkLost("peer:104", "reset"))

    def abort(self, cause="it was asked for"):
        self._fail(AbortedHere("peer:104", cause))

    def _fail(self, error):
        if self.error is None and self.end is None:
            self.error, self.end = error, "aborted"
            while self._outstanding:
                instance, begun = self._outstanding.popleft()
                self._on_stored(instance, begun, self._loop.now, self._loop.now, None)
            self._settled.set()
            self._on_end()

    async def settled(self):
        while self._outstanding:
            self._settled.clear()
            await self._settled.wait()

    async def release(self):
        assert not self._outstanding
        await asyncio.sleep(0.001)
        self.end = self.end or "released"

    async def close(self):
        self.abort()


def exponential(mean, seed):
    """Service times with this mean."""
    random = Random(seed)  # noqa: S311 - times, not a secret
    return lambda: random.expovariate(1 / mean)


def bimodal(short, long, share_of_long, seed):
    """Service times of two lengths."""
    random = Random(seed)  # noqa: S311 - times, not a secret
    return lambda: long if random.random() < share_of_long else short


def fixed(seconds):
    """Service times that are all the same."""
    return lambda: seconds
