"""How many instances a lane takes from the backlog at a time.

Large batches save trips to reader threads and task switches. But no other lane can send the instances of a batch, so a
batch is about a fiftieth of a second's work: dozens of small instances for a fast peer, one for a slow peer.
"""

from __future__ import annotations

BATCH_SECONDS = 0.02
"""Long against the cost of a batch (0.1 ms), too short to be noticed."""
MOST_INSTANCES = 64
"""A batch then costs 2 µs an instance; a store costs 50."""
MOST_BYTES = 1 << 22
"""Some milliseconds of work on loopback; several buffers' load."""

_SHORTEST_MEASURE = BATCH_SECONDS / 4
"""Seconds; in less time too few responses come to measure a rate."""


class BatchSize:
    """How many instances to take next, by the rate of responses."""

    def __init__(self) -> None:
        self.instances = 2
        self._answered = 0
        self._since: float | None = None

    def update(self, now: float, answered: int) -> int:
        """The size of the next batch, at most twice the last one.

        ``answered`` responses have come in this lane by ``now``, in seconds on any clock.
        """
        if self._since is not None and now - self._since >= _SHORTEST_MEASURE:
            rate = (answered - self._answered) / (now - self._since)
            self.instances = max(1, min(MOST_INSTANCES, 2 * self.instances, int(rate * BATCH_SECONDS) + 1))
            self._since, self._answered = now, answered
        elif self._since is None:
            self._since, self._answered = now, answered
        return self.instances
