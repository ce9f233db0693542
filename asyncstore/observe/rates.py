"""How fast a run goes at the moment, how much of it is done, and how long it will go on.

Rules:

1. The rates are those of the last seconds, so that a stall is seen; the estimate looks back further, to be steady.
2. Instances cost time by their number *and* by their size. Progress is therefore measured in *work*: its bytes and
   :data:`_BYTES_PER_STORE` more. Small and large files may then come in any order without the estimate leaping.
3. While the walk is under way the total is only what it has found so far: a share of it is done, but how long the rest
   takes is not estimated. Queues are bounded, so what is found and not done is as much after an hour as at first.
4. What was withdrawn because the run is to end is no progress: the share done stays where it is, and nothing is
   estimated any more.
5. Nothing is estimated from nothing: only once the SCP has answered for a file, or more has been sent than could lie in
   the buffers on the way to it.
6. Rates tell what comes to be stored. Bytes count as soon as they are sent, so that a large instance does not look like
   a stall; but where some were sent in vain, only those of the instances stored do.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.observe.tally import Rate

if TYPE_CHECKING:
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally

_BYTES_PER_STORE = 128_000
"""What a store costs beside its bytes, in bytes that could be sent in the same time.

On loopback: 16 000 small instances/s against 2 GB/s. Over a link of 1 Gbit/s, eight associations and a round trip of
10 ms: 800 instances/s against 125 MB/s. The same ratio within a quarter, over a wide range of peers.
"""

_ESTIMATE_WINDOWS = 6
"""How many times further back the estimate looks than the rates."""

_IN_BUFFERS = 16 << 20
"""Bytes that may count as sent and have gone nowhere: Linux gives a connection 4 MB to send from and 6 MB to receive
into at most (tcp_wmem, tcp_rmem), and several lanes of ours seldom fill theirs before the first answer."""

_SOONEST_ESTIMATE = 2.0
"""Seconds before which an estimate would be a guess: associations open, files come into the cache."""


class _Sample(NamedTuple):
    time: float
    stored: int
    bytes_stored: int
    bytes_sent: int
    bytes_in_vain: int
    work: float


class _Window:
    """The samples of the last ``span`` seconds, and the one before them."""

    def __init__(self, span: float, first: _Sample) -> None:
        self._span = span
        self._samples = deque([first])

    def add(self, sample: _Sample) -> None:
        samples = self._samples
        samples.append(sample)
        while len(samples) > 2 and samples[1].time <= sample.time - self._span:  # noqa: PLR2004 - a slope needs two
            samples.popleft()

    def rate(self) -> Rate:
        first, last = self._samples[0], self._samples[-1]
        seconds = last.time - first.time
        if seconds <= 0:
            return Rate(0.0, 0.0)
        size = last.bytes_sent - first.bytes_sent
        if last.bytes_in_vain != first.bytes_in_vain:
            size = last.bytes_stored - first.bytes_stored
        return Rate((last.stored - first.stored) / seconds, size / seconds)

    def work_per_second(self) -> float:
        first, last = self._samples[0], self._samples[-1]
        seconds = last.time - first.time
        return (last.work - first.work) / seconds if seconds > 0 else 0.0


class Rates:
    """Rates, share done and time left of a run, from samples of it.

    Args:
        window: seconds that the rates are averaged over.

    Attributes:
        rate: instances stored and their bytes, per second, over the last ``window`` seconds (rule 6).
        fraction: the share of the work found so far that is done, 0 to 1.
        seconds_left: how long the rest will take; ``None`` while nobody can tell.
    """

    def __init__(self, window: float = 5.0) -> None:
        self.rate = Rate(0.0, 0.0)
        self.fraction = 0.0
        self.seconds_left: float | None = None
        self._window = window
        self._windows: tuple[_Window, _Window] | None = None

    def sample(self, tally: Tally, progress: Progress, now: float) -> None:
        """Look at the run: several times within a window, at any intervals."""
        total = _work_found(progress)
        done = _work_done(tally, progress, total)
        recent, long = self._windows_since(tally.started)
        stored = tally.stored + tally.warning
        sample = _Sample(now, stored, tally.bytes, progress.bytes_sent, tally.bytes_in_vain, done)
        recent.add(sample)
        long.add(sample)
        self.rate = recent.rate()
        self.fraction = done / total if total else 0.0
        per_second = long.work_per_second()
        has_moved = tally.done > tally.not_sent or progress.bytes_sent > _IN_BUFFERS
        all_known = not progress.walking and not tally.withdrawn
        sure = all_known and has_moved and per_second > 0 and tally.seconds(now) >= _SOONEST_ESTIMATE
        self.seconds_left = (total - done) / per_second if sure else None

    def _windows_since(self, started: float) -> tuple[_Window, _Window]:
        if self._windows is None:
            nothing = _Sample(started, 0, 0, 0, 0, 0.0)
            self._windows = _Window(self._window, nothing), _Window(self._window * _ESTIMATE_WINDOWS, nothing)
        return self._windows


def _work_found(progress: Progress) -> float:
    """What there is to do; the files that nobody has looked into yet count as being of average size."""
    unprobed = max(0, progress.found - progress.probed)
    average = progress.bytes_probed / progress.probed if progress.probed else 0.0
    return progress.found * _BYTES_PER_STORE + progress.bytes_probed + unprobed * average


def _work_done(tally: Tally, progress: Progress, total: float) -> float:
    """What of it is done; large instances count while they are under way, and retries are not work done twice."""
    if tally.settled >= progress.found and not progress.walking:
        return total
    return min(total, tally.settled * _BYTES_PER_STORE + max(tally.bytes_settled, progress.bytes_sent))
