"""A run over a simulated peer, with simulated time: the number of associations decides how fast it is.

Each association stores one instance after the other. A store takes a round trip, and the time until the peer has come
to it: the peer stores one after the other. An association takes two round trips to open.
"""

import heapq
import math
from dataclasses import dataclass, field
from itertools import count
from random import Random

from asyncstore.schedule.concurrency import MOST, Concurrency, Progress


def constant(rate):
    """The capacity of a peer that stores so many instances a second, over however many associations."""
    return lambda _associations, _now: rate


def falling(rate, knee):
    """The capacity of a peer that becomes slower with more than ``knee`` associations."""
    return lambda associations, _now: rate * min(1.0, (knee / associations) ** 0.5)


@dataclass
class Peer:
    """How a peer behaves.

    Attributes:
        round_trip: in seconds.
        capacity: stores a second, by the number of associations and the time.
        serves: how many associations it accepts at the same time.
        accepts_late: seconds that each association after the first takes to open; ``None``: two round trips.
        noise: the share by which the peer's time for an instance varies.
        seed: of the noise.
    """

    round_trip: float
    capacity: object
    serves: int = 1000
    accepts_late: float | None = None
    noise: float = 0.0
    seed: int = 1

    def rate(self, associations, now=0.0):
        """Stores a second over so many associations."""
        capacity = self.capacity(associations, now)
        return min(associations / (self.round_trip + 1 / capacity), capacity)

    def best_rate(self, now=0.0):
        """The same over the best number of associations."""
        return max(self.rate(associations, now) for associations in range(1, MOST + 1))


@dataclass
class History:
    """What happened: the times of responses, and the number of open associations since when."""

    responses: list[float] = field(default_factory=list)
    open: list[tuple[float, int]] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    asked_too_much: bool = False
    """Whether there were ever more associations than instances left."""
    seconds: float = 0.0

    def rate(self, since, until):
        """Responses a second."""
        return sum(since < at <= until for at in self.responses) / (until - since)

    def longest_above(self, associations, since=0.0, until=math.inf):
        """The longest time with more associations than this."""
        longest, begin = 0.0, None
        until = min(until, self.seconds)
        for at, number in [*(one for one in self.open if since <= one[0] < until), (until, 0)]:
            if number > associations and begin is None:
                begin = at
            elif number <= associations and begin is not None:
                longest, begin = max(longest, at - begin), None
        return longest

    def most(self):
        """The most associations at a time."""
        return max(number for _, number in self.open)


class Run:
    """A run of some seconds, or of some instances.

    Args:
        peer: the peer.
        concurrency: chooses the number of associations.
        instances: how many to store; ``None``: without end.
    """

    def __init__(self, peer, concurrency=None, instances=None):
        self.peer = peer
        self.concurrency = concurrency or Concurrency()
        self.history = History()
        self._left = self._to_begin = instances
        self._random = Random(peer.seed)  # noqa: S311 - noise, not a secret
        self._events = []
        self._numbers = count(1)
        self._opening, self._open, self._retiring = [], [], set()
        self._now = self._busy_until = 0.0

    def until(self, seconds):
        """Run for so many seconds from the start, or to the end."""
        self._adjust()
        self._at(self.concurrency.interval, self._look)
        while self._events and self._events[0][0] <= seconds and self._left != 0:
            self._now, _, happen, number = heapq.heappop(self._events)
            happen(number)
            self.history.open.append((self._now, len(self._open) + len(self._retiring)))
        self.history.seconds = self._now
        return self.history

    def _at(self, seconds, happen, number=0):
        heapq.heappush(self._events, (self._now + seconds, next(self._numbers), happen, number))

    def _adjust(self):
        """Have as many associations as wanted."""
        there = len(self._open) + len(self._opening)
        waiting = self.concurrency.target if self._to_begin is None else self._to_begin
        for _ in range(min(self.concurrency.target, waiting) - there):
            number = next(self._numbers)
            self._opening.append(number)
            is_late = self.peer.accepts_late is not None and (self._open or len(self._opening) > 1)
            self._at(self.peer.accepts_late if is_late else 2 * self.peer.round_trip, self._opened, number)
        self.history.asked_too_much |= self._left is not None and len(self._open) + len(self._opening) > self._left
        while len(self._open) + len(self._opening) > max(self.concurrency.target, 1):
            if self._opening:
                self._opening.pop()
            else:
                self._retiring.add(self._open.pop())

    def _opened(self, number):
        if number not in self._opening:
            return
        self._opening.remove(number)
        if len(self._open) >= self.peer.serves:
            self.history.refusals.append(self._now)
            self.concurrency.refused(len(self._open) + len(self._opening), self._now)
            self._adjust()
        else:
            self._open.append(number)
            self._begin(number)

    def _begin(self, number):
        if self._to_begin == 0:
            self._open.remove(number)
            return
        if self._to_begin is not None:
            self._to_begin -= 1
        half_way = self.peer.round_trip / 2
        work = 1 / self.peer.capacity(len(self._open) + len(self._retiring), self._now)
        work *= 1 + self.peer.noise * self._random.uniform(-1, 1)
        self._busy_until = max(self._busy_until, self._now + half_way) + work
        self._at(self._busy_until + half_way - self._now, self._answered, number)

    def _answered(self, number):
        self.history.responses.append(self._now)
        if self._left is not None:
            self._left -= 1
        self._retiring.discard(number)
        if number in self._open:
            self._begin(number)

    def _look(self, _):
        answered = len(self.history.responses)
        are_open = len(self._open) + len(self._retiring)
        self.concurrency.look(
            Progress(self._now, float(answered), answered, are_open, len(self._opening), left=self._left)
        )
        self._adjust()
        self._at(self.concurrency.interval, self._look)
