"""The responses of the SCP, counted for metrics: how many with each status, how long the stores took.

Rules:

1. Only runs that show metrics count here; the others pay nothing. A stored instance costs 0.3 µs.
2. Memory stays flat: a peer may answer any of 65 536 statuses, but only the first few have a count of their own.
3. These are the responses to the last attempt of each instance, as its outcome has them.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from asyncstore.protocol.status import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Outcome

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds in seconds: from small instances on loopback to peers that are near the timeout of ``-ts``."""
MOST_STATUSES = 24
"""Each status is a time series of its own. Peers use two or three."""
OTHER = -1
"""The status that stands for those beyond the first few."""


class Responses:
    """The responses of a run.

    Attributes:
        statuses: the number of responses with each status: success first, the others in the order of arrival.
        seconds: the duration of all these stores together.
    """

    def __init__(self) -> None:
        self.statuses = {SUCCESS: 0}
        self.seconds = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, batch: Iterable[Outcome]) -> None:
        """Count the responses among these outcomes."""
        statuses, counts, total = self.statuses, self._counts, 0.0
        for outcome in batch:
            attempt = outcome.attempt
            if attempt is None:
                continue
            _, _, _, seconds, status = attempt
            if status is None:
                continue
            if status not in statuses and len(statuses) > MOST_STATUSES:
                status = OTHER
            statuses[status] = statuses.get(status, 0) + 1
            counts[bisect_left(BOUNDS, seconds)] += 1
            total += seconds
        self.seconds += total

    def durations(self) -> list[int]:
        """How many stores took at most as long as each of :data:`BOUNDS`; the last number is that of all."""
        return list(accumulate(self._counts))
