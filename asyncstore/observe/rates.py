"""The current rates of a run, the share that is done, and the time left.

Rules:

1. The rates cover the last seconds, so they show a stall. The estimate looks back further, so it is steady.
2. Instances cost time by their number *and* by their size. So progress is measured in *work*: an instance's bytes plus
   :data:`_BYTES_PER_STORE`. The estimate then does not jump when large files follow small ones.
3. While the walk goes on there is a share done, but no estimate: the total is not known. The rest found so far
   tells nothing, as queues are bounded: it is the same after an hour as in the beginning.
4. Files that were withdrawn because the run stops are no progress: the share done stays, and there is no estimate.
5. There is no estimate until the SCP has answered for a file, or more bytes were sent than the buffers on the way hold.
6. Rates count stored instances. Bytes count as soon as they are sent, so that a large instance does not look like a
   stall. If some were sent in vain, only the bytes of stored instances count.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.tally import Rate

if TYPE_CHECKING:
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally

_BYTES_PER_STORE = 128_000
"""The fixed cost of a store, as the number of bytes that could be sent in the same time.

On loopback: 16 000 small instances/s against 2 GB/s. Over a link of 1 Gbit/s, eight associations and a round trip of
10 ms: 800 instances/s against 125 MB/s. The two ratios differ by a quarter only.
"""

_ESTIMATE_WINDOWS = 6
"""The estimate looks this many times further back than the rates."""

_IN_BUFFERS = 16 << 20
"""Bytes that may count as sent while the SCP has read none of them. Linux buffers at most 4 MB for sending and 6 MB for
receiving (tcp_wmem, tcp_rmem), and several lanes seldom fill theirs before the first answer."""

_SOONEST_ESTIMATE = 2.0
"""Seconds without an estimate at the start: associations open, and files come into the cache."""


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

    def rates(self) -> tuple[Rate, float]:
        """Instances and bytes per second, and work per second."""
        first, last = self._samples[0], self._samples[-1]
        seconds = last.time - first.time
        if seconds <= 0:
            return Rate(0.0, 0.0), 0.0
        size = last.bytes_sent - first.bytes_sent
        if last.bytes_in_vain != first.bytes_in_vain:
            size = last.bytes_stored - first.bytes_stored
        return Rate((last.stored - first.stored) / seconds, size / seconds), (last.work - first.work) / seconds


class Rates:
    """Rates, share done and time left of a run, from samples of it.

    Args:
        window: the rates are averages over so many seconds.

    Attributes:
        rate: instances stored and their bytes, per second, over the last ``window`` seconds (rule 6).
        fraction: the share of the work found so far that is done, 0 to 1.
        seconds_left: how long the rest will take; ``None`` if there is no estimate.
    """

    def __init__(self, window: float = 5.0) -> None:
        self.rate = Rate(0.0, 0.0)
        self.fraction = 0.0
        self.seconds_left: float | None = None
        self._window = window
        self._windows: tuple[_Window, _Window] | None = None

    def sample(self, tally: Tally, progress: Progress, now: float) -> None:
        """Take a sample of the run. Call this several times within a window, at any intervals."""
        total = _work_found(progress)
        done = _work_done(tally, progress, total)
        recent, long = self._windows_since(tally.started)
        sample = _Sample(now, tally.stored, tally.bytes, progress.bytes_sent, tally.bytes_in_vain, done)
        recent.add(sample)
        long.add(sample)
        self.rate, _ = recent.rates()
        self.fraction = done / total if total else 0.0
        _, per_second = long.rates()
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
    """The work found so far; files that were not probed yet count with the average size."""
    unprobed = max(0, progress.found - progress.probed)
    average = progress.bytes_probed / progress.probed if progress.probed else 0.0
    return progress.found * _BYTES_PER_STORE + progress.bytes_probed + unprobed * average


def _work_done(tally: Tally, progress: Progress, total: float) -> float:
    """The work done; large instances count while they are being sent, and retries do not count twice."""
    if tally.settled >= progress.found and not progress.walking:
        return total
    return min(total, tally.settled * _BYTES_PER_STORE + max(tally.bytes_settled, progress.bytes_sent))
