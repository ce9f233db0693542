"""How many associations to have: a fixed number, or as many as make the transfer faster.

Rules of ``auto``:

1. It measures the rate with one number of associations, then with another. A measurement begins when so many are open
   and each has had the time of a store. It begins again when associations waited for files or for the gate.
2. It begins with a few, and asks for more while the rate grows: for four times as many where a store takes long, for
   half as many more where this process computes for most of the time.
3. The number to have is the least one whose rate is near the best rate. Where the rate stopped growing, the next number
   to try follows from Little's law: up to the knee, the rate grows in proportion to the number.
4. Then it rests. After a while it tries fewer and more, because peers and networks change. When the rate changes much,
   it tries at once.
5. A refusal lowers the number at once. So does an association that takes long to open. Later ``auto`` asks for one
   more, then for others. A fixed number is asked for again as a whole.
6. It opens no association for which too little is left.

Pure: its owner measures, and acts on the answer.
"""

from __future__ import annotations

import math

from asyncstore.named_tuple import NamedTuple

FEW = 4
"""What ``auto`` starts with. On loopback 4 associations saturate two cores."""
MOST = 64
"""The most that ``auto`` has: an association takes 1.1 MB for large instances, and few peers serve more."""

INTERVAL = 1.0
"""Seconds between two looks: long enough for a rate, short against a transfer."""
_SHORT_INTERVAL = 0.02
"""The same while associations open, and in a fast search: a measurement ends soon after it has enough responses."""
_SOON = 5.0
"""Seconds after which looks are rare again, because associations do not open or stores are slow."""
_SHORTEST = 0.1
"""Seconds of a measurement: in less, the start of threads and of the peer's processes spoils it."""
_LONGEST = 10.0
"""Seconds after which a measurement ends, however few stores it has."""
_LONGEST_SETTLING = 3.0
"""Seconds after which a measurement begins, however long stores take."""
_ROUNDS = 2
"""Stores of each association in a measurement, so that it matters little when it begins and ends."""

_BUSY = 0.5
"""If this process computes for a larger share of the time, another association gains little and costs time."""
_SLOW = 0.02
"""Seconds that a unit of work takes on one association: if it takes more, the way is long or the peer waits for
something."""
_SMALL_STEP, _STEP, _LARGE_STEP = 1.5, 2.0, 4.0
"""How many times as many associations are tried next: if this process is busy and in later searches, otherwise, and for
slow work."""

_ENOUGH = 0.95
"""A number is enough if its rate is this share of the best: a smaller difference is noise."""
_SURE = 1.3
"""A smaller gain is measured twice; in short measurements, also a rate that is about as good as the best."""
_CLOSE = 1.2
"""Numbers with at most this ratio need none between them."""

_CHANGED, _ODD_LOOKS = 0.25, 2
"""The rate has changed if so many looks in a row differ by this share."""
_REST, _LONG_REST, _LONGEST_REST, _MORE_REST = 4.0, 20.0, 60.0, 4.0
"""Seconds until the next try; so many times as many after each try that brings nothing. After a long rest old rates do
not count."""
_REFUSAL_REST = 15.0
"""Seconds until the peer is asked again for what it refused."""
_PATIENCE, _OPENINGS = 1.0, 3.0
"""Associations open late if they take more seconds, and so many times as long as the first ones."""


class Progress(NamedTuple):
    """What the run has done by now.

    Attributes:
        now: seconds on any clock.
        work: responses and data in one number (:attr:`asyncstore.schedule.lanes.Lanes.work`).
        answered: responses.
        open: the associations that are open, also those about to end.
        opening: those that are opening.
        is_limited: whether an association waited for files or for the gate since the last look.
        left: the instances without an outcome; ``None``: not known yet.
        computed: the processor time of this process in seconds.
    """

    now: float
    work: float
    answered: int
    open: int
    opening: int
    is_limited: bool = False
    left: int | None = None
    computed: float = 0.0


class Concurrency:
    """The number of associations to have.

    Args:
        fixed: that many, if the peer accepts them; ``None``: auto.

    Attributes:
        target: how many associations to have now.
        interval: seconds until the next look.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.target = FEW if fixed is None else fixed
        self._fixed = fixed
        self._rates: dict[int, float] = {}
        """The rate with each number of associations, as measured since the rate last changed."""
        self._began: Progress | None = None
        """The begin of the measurement."""
        self._asked: float | None = None
        """When the present number was asked for."""
        self._opened: float | None = None
        """When all of them were open."""
        self._opening_seconds = 0.0
        self._store_seconds = 0.0
        """The mean time of a store, once it is known."""
        self._unit_seconds = 0.0
        """The same of a unit of work, on one association."""
        self._is_fast = True
        """Whether measurements may be short: in the first search, unless this process is busy."""
        self._was_busy = False
        """Whether it was busy in the last one. The start of a run computes much, so one measurement says little."""
        self._is_thorough = True
        """Whether the search goes on between two numbers: in the first one, and when the rate has changed."""
        self._is_unsure = False
        """Whether the present number is measured a second time."""
        self._tries_fewer = False
        self._odd_looks = 0
        self._served = MOST
        """What the peer serves at the same time, as far as is known."""
        self._asks_for_more = False
        """Whether to ask it for one more."""
        self._refused_until = 0.0
        self._found: int | None = None
        """The result of the last search."""
        self._rest = _REST
        self._rests_until: float | None = None
        """``None``: it searches."""
        self.interval = _SHORT_INTERVAL if fixed is None else INTERVAL

    def look(self, seen: Progress) -> int:
        """Take what the run has done; how many associations to have now."""
        if self._fixed is not None:
            if seen.now >= self._refused_until:
                self.target = self._fixed
            return self.target
        if self._is_reached(seen):
            began = self._began
            if began is None or seen.is_limited or seen.open < self.target:
                self._began = seen
            elif self._is_enough(began, seen):
                seconds = seen.now - began.now
                if seen.answered > began.answered:
                    self._store_seconds = self.target * seconds / (seen.answered - began.answered)
                self._began = seen
                is_busy = self._is_fast and seen.computed - began.computed > _BUSY * seconds
                if not is_busy:
                    self._take((seen.work - began.work) / seconds, seen)
                elif self._was_busy:
                    self._is_fast = False  # another association gains little: measure well before one is opened
                self._was_busy = is_busy
        is_soon = self._is_fast or self._began is None
        self.interval = _SHORT_INTERVAL if is_soon and seen.now < (self._asked or 0.0) + _SOON else INTERVAL
        return self.target

    def refused(self, still_open: int, now: float) -> None:
        """The peer, or the system, refused an association while ``still_open`` were there."""
        self._ask_for(max(1, min(self.target, still_open)), now)
        self._served, self._asks_for_more, self._refused_until = self.target, False, now + _REFUSAL_REST
        self._rates = {number: rate for number, rate in self._rates.items() if number <= self.target}

    def restored(self, target: int, now: float) -> None:
        """The peer was down and works again: have as many as before."""
        self._ask_for(target, now)
        self._served = MOST

    # Measurements.

    def _is_reached(self, seen: Progress) -> bool:
        """Whether the present number of associations is open, and each has had the time of a store."""
        if self._asked is None or not (seen.open or seen.opening):  # the run is paused, or the peer is down
            self._asked, self._opened, self._began = seen.now, None, None
        if self._opened is None and seen.open == self.target:
            self._opened = seen.now
            self._opening_seconds = self._opening_seconds or seen.now - self._asked
            if self.target > self._served:
                self._served = MOST
        if self._opened is not None:
            return seen.now - self._opened >= min(self._store_seconds, _LONGEST_SETTLING)
        patience = max(_PATIENCE, _OPENINGS * self._opening_seconds)
        if seen.open and seen.opening and seen.now - self._asked > patience:
            self.refused(seen.open, seen.now)
        return False

    def _is_enough(self, began: Progress, seen: Progress) -> bool:
        """Whether the measurement can end."""
        seconds, rounds = seen.now - began.now, _ROUNDS * self.target
        if self._is_fast and (seen.answered - began.answered >= rounds or seconds >= self._time_enough):
            return seconds >= _SHORTEST
        return seconds >= INTERVAL and (seen.work - began.work >= rounds or seconds >= _LONGEST)

    @property
    def _time_enough(self) -> float:
        """Seconds after which a fast measurement ends: the rate has grown by less than half of what it could."""
        return 2 * _ROUNDS * self._store_seconds if self._rates else _LONGEST

    def _take(self, rate: float, seen: Progress) -> None:
        """The present number has this rate."""
        if rate > 0:
            self._unit_seconds = self.target / rate
        if self._rests_until is not None:
            if rate > 0:
                self._watch(rate, seen)
        elif rate > 0 or self.target > max(self._rates, default=self.target):
            self._note(rate)
        else:
            return  # a peer that answers nothing now says nothing about numbers
        if self._rests_until is None and not self._is_unsure:
            self._search(seen)

    def _note(self, rate: float) -> None:
        """Keep the rate, and say whether to measure it again."""
        if self._is_unsure:
            self._rates[self.target] = (self._rates[self.target] + rate) / 2
            self._is_unsure = False
        else:
            best = max((known for number, known in self._rates.items() if number != self.target), default=0.0)
            self._rates[self.target] = rate
            self._is_unsure = best * (_ENOUGH**2 if self._is_fast else 1 / _ENOUGH) < rate < best * _SURE

    def _watch(self, rate: float, seen: Progress) -> None:
        """Watch the rate while resting: search again when the rest is over, or when the rate has changed."""
        usual = self._rates.setdefault(self.target, rate)
        if abs(rate - usual) > _CHANGED * usual:
            self._odd_looks += 1
            if self._odd_looks >= _ODD_LOOKS:
                self._rates = {self.target: rate}
                self._tries_fewer, self._is_thorough = rate < usual, True
                self._rest = _REST
                self._wake(seen.now)
            return
        self._odd_looks = 0
        self._rates[self.target] = usual + (rate - usual) / 4
        if self._rests_until is not None and seen.now >= self._rests_until:
            self._tries_fewer = True
            least = self.target if self._rest > _LONG_REST else 0
            self._rates = {number: known for number, known in self._rates.items() if least <= number <= self.target}
            self._wake(seen.now)

    # Choices.

    def _search(self, seen: Progress) -> None:
        """Ask for the next number to measure; if none is promising, for the best one, and rest."""
        best = max(self._rates.values())
        enough = min(number for number, rate in self._rates.items() if rate >= _ENOUGH * best)
        number = self._next(enough)
        if number > max(self.target, enough) and not self._is_worthwhile(number, seen):
            number = enough
        self._ask_for(number, seen.now)
        if number in self._rates:
            self._settle(seen.now)

    def _next(self, enough: int) -> int:
        """The next number to measure; ``enough``, the best of the measured ones, if no other is promising."""
        rates = self._rates
        fewer = max((number for number in rates if number < enough), default=0)
        more = min((number for number in rates if number > enough), default=0)
        gain = rates[enough] / rates[fewer] if fewer and rates[fewer] else math.inf
        knee = math.ceil(fewer * gain) if gain < math.inf else enough  # the rate grows in proportion up to it
        is_worse = bool(more) and rates[more] < _ENOUGH * rates[enough]
        if not fewer and enough > 1 and (self._tries_fewer or is_worse):
            return enough // 2 if self._is_thorough else int(enough / _SMALL_STEP)
        if knee * _CLOSE < enough:
            return knee
        if not more:
            is_steep = not fewer or gain - 1 >= (enough / fewer - 1) / 2
            step = self._step() if is_steep else _SMALL_STEP
            return max(enough, min(math.ceil(enough * step), self._served + self._asks_for_more, MOST))
        if self._is_thorough and more > max(enough * _CLOSE, enough + 1):
            return max(enough + 1, round(math.sqrt(enough * more)))
        return enough

    def _step(self) -> float:
        """How many times as many associations to try next."""
        if not self._is_fast:
            return _SMALL_STEP
        return _LARGE_STEP if self._unit_seconds >= _SLOW else _STEP

    def _is_worthwhile(self, number: int, seen: Progress) -> bool:
        """Whether enough is left for ``number`` associations to pay for their opening and the measurement."""
        if seen.left is None:
            return True
        measurement = _ROUNDS * self._store_seconds if self._is_fast else INTERVAL
        seconds_left = seen.left * self._store_seconds / self.target if self._store_seconds else math.inf
        return number <= seen.left and seconds_left > 2 * (self._opening_seconds + measurement)

    def _ask_for(self, number: int, now: float) -> None:
        if number != self.target:
            self.target = number
            self._asked, self._opened, self._began = now, None, None
            self._is_unsure = False

    def _settle(self, now: float) -> None:
        """The search is over."""
        self._rests_until = now + self._rest
        if self._found in (self.target, None):
            self._rest = min(_MORE_REST * self._rest, _LONGEST_REST)
        self._found = self.target
        self._is_fast = self._is_thorough = self._tries_fewer = self._asks_for_more = False
        self._odd_looks = 0

    def _wake(self, now: float) -> None:
        """Search again."""
        self._rests_until = None
        self._asks_for_more = now >= self._refused_until
