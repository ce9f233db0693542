"""How much a lane takes from the backlog at a time.

Much at a time saves trips to reader threads and task switches; but what a lane has taken no other lane can send, so a
lane takes no more than some fiftieth of a second's work. A fast peer gets dozens of small instances a batch, a slow
one its next one only.
"""

from __future__ import annotations

BATCH_SECONDS = 0.02
"""Long against what a batch costs (0.1 ms), short against what anybody notices."""
MOST_INSTANCES = 64
"""What a batch costs is then 2 µs an instance, small against a store's 50."""
MOST_BYTES = 1 << 22
"""Some milliseconds of work on loopback; several buffers' load."""

_SHORTEST_MEASURE = BATCH_SECONDS / 4
"""In less time too few responses come for a rate."""


class Appetite:
    """Instances to take next, from the rate at which responses came."""

    def __init__(self) -> None:
        self.instances = 2
        self._answered = 0
        self._since: float | None = None

    def update(self, now: float, answered: int) -> int:
        """``answered`` responses have come in this lane by ``now`` (seconds on any clock). At most doubles."""
        if self._since is not None and now - self._since >= _SHORTEST_MEASURE:
            rate = (answered - self._answered) / (now - self._since)
            self.instances = max(1, min(MOST_INSTANCES, 2 * self.instances, int(rate * BATCH_SECONDS) + 1))
            self._since, self._answered = now, answered
        elif self._since is None:
            self._since, self._answered = now, answered
        return self.instances
