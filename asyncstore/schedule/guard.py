"""The guard: how far to slow down so that the peer answers C-ECHO in time. Clinical traffic comes first.

Rules:

1. An answer is slow if it takes longer than the threshold. More than one slow answer in twenty lowers the limit, so the
   95th percentile stays below the threshold. So does a single one of four times the threshold.
2. The limit is lowered by a factor, from the speed that the run had. The next answers do not lower it further: a peer
   first has to work off its queue.
3. After good answers the limit is raised: quickly while it is far below the one that was too high, slowly near it, and
   faster and faster beyond it. When it is far above the highest speed, it is dropped.
4. The limit is never lower than a twentieth of the highest speed. So the migration goes on, and the guard notices when
   the peer is faster again.

Pure: its owner measures, and obeys.
"""

from __future__ import annotations

from collections import deque

from asyncstore.schedule.pacing import Guarded

_WINDOW = 20
"""Answers that count: one slow one in it is the 95th percentile."""
_VERY_SLOW = 4.0
"""Times the threshold: no accident."""
_DOWN, _DOWN_VERY_SLOW = 0.7, 0.5
_SETTLING = 2
"""Answers after a change that do not lower the limit further."""
_GOOD = 2
"""Good answers in a row that raise the limit."""
_GOOD_NEAR = 10
"""The same near the limit that was too high; fewer with each step beyond it."""
_TOWARDS = 0.3
"""The share of the way to the limit that was too high."""
_NEAR = 0.95
_FIRST_STEP, _STEP_GROWS, _MOST_STEP = 0.02, 1.5, 0.5
_FLOOR = 0.05
_LEAST = 1.0
"""Work a second: an instance of usual size in some seconds."""
_FAR_ABOVE = 1.5
_HELPLESS = 15
"""Slow answers in a row with the lowest limit: half a minute."""
_SPEEDS = 5
"""Speeds that are remembered: the run may have waited for files just now."""


class Guard:
    """The limit for one peer.

    Args:
        threshold: seconds that a C-ECHO may take.

    Attributes:
        limit: the limit now; ``None``: there is none.
        is_helpless: whether the answers stay slow even though the limit is as low as it gets.
    """

    def __init__(self, threshold: float) -> None:
        self.limit: Guarded | None = None
        self.is_helpless = False
        self._threshold = threshold
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._counted: deque[bool] = deque(maxlen=_WINDOW)
        """Which answers were slow, since the limit was lowered and they settled."""
        self._speeds: deque[float] = deque(maxlen=_SPEEDS)
        self._highest = 0.0
        self._too_high = 0.0
        """The limit or speed at which answers became slow."""
        self._was_fine = True
        """Whether an answer was good since the limit was lowered."""
        self._step = _FIRST_STEP
        self._needed = _GOOD
        self._settling = 0
        self._good = 0
        self._slow_at_floor = 0

    def answered(self, seconds: float, speed: float) -> bool:
        """Take an answer that took ``seconds``, while the run did ``speed`` work a second; whether the limit changed.

        An echo that is not answered counts, with the seconds that it has taken so far.
        """
        self._speeds.append(speed)
        self._highest = max(self._highest, speed)
        self._recent.append(seconds)
        before = self.limit
        is_slow = seconds > self._threshold
        if self._settling:
            self._settling -= 1
        else:
            self._counted.append(is_slow)
        if is_slow:
            self._slow(seconds)
        else:
            self._fine()
        return self.limit is not before

    def _slow(self, seconds: float) -> None:
        self._good = 0
        if self.limit is not None and self.limit.work <= self._floor:
            self._slow_at_floor += 1
            self.is_helpless = self._slow_at_floor >= _HELPLESS
        elif self._counted and seconds > _VERY_SLOW * self._threshold:
            self._lower(_DOWN_VERY_SLOW)
        elif sum(self._counted) > 1:
            self._lower(_DOWN)

    def _fine(self) -> None:
        self._good += 1
        self._was_fine = True
        self._slow_at_floor, self.is_helpless = 0, False
        if self.limit is not None and self._good >= self._needed:
            self._good = 0
            self._raise(self.limit.work)

    def _lower(self, factor: float) -> None:
        speed = max(self._speeds)
        reached = speed if self.limit is None else min(self.limit.work, speed)
        if self._was_fine:
            self._too_high, self._was_fine = reached, False
        self._step = _FIRST_STEP
        self._needed = _GOOD
        self._settling = _SETTLING
        self._counted.clear()
        self._limit(max(reached * factor, self._floor))

    def _raise(self, work: float) -> None:
        is_near = work >= _NEAR * self._too_high
        if not is_near:
            work = min(work + _TOWARDS * (self._too_high - work), work * (1 + _MOST_STEP))
            self._needed = _GOOD if work < _NEAR * self._too_high else _GOOD_NEAR
        else:
            work *= 1 + self._step
            self._step = min(self._step * _STEP_GROWS, _MOST_STEP)
            self._needed = max(self._needed - 1, _GOOD)
        if work > _FAR_ABOVE * self._highest:
            self.limit = None
            self._counted.clear()
        else:
            self._limit(work)

    def _limit(self, work: float) -> None:
        self.limit = Guarded(work, work / self._highest if self._highest else 1.0, self._percentile())

    @property
    def _floor(self) -> float:
        return max(self._highest * _FLOOR, _LEAST)

    def _percentile(self) -> float:
        """The 95th percentile of the last answers."""
        return sorted(self._recent)[-(len(self._recent) // _WINDOW) - 1]
