"""Whether the peer was there until the end of a phase.

A peer is lost when no association is open and none can be opened. A peer that stops to answer keeps its associations
until a timeout ends them: it was lost when it answered for the last time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.load.values import Sample

_LOST: Final = 0.5
"""Seconds without an association at the end of a phase, from which the peer was lost: the first three attempts to open
another one take less."""


class Presence:
    """Follows the peer through a phase.

    Args:
        began: when the phase began, by the clock of the measurement.
        ends: when its time is over.

    Attributes:
        none_since: since when no association is open, because the peer was lost; ``None``: some is.
    """

    def __init__(self, began: float, ends: float) -> None:
        self.none_since: float | None = None
        self._began = began
        self._ends = ends
        self._answered = began
        """When the last response came."""
        self._unanswered = math.inf
        """When the first of the stores began that have ended since then, without a response."""

    def opened(self, at: float) -> None:
        """An association is open; after the phase that does not matter to it."""
        if at < self._ends:
            self.none_since = None

    def note(self, samples: Sequence[Sample]) -> None:
        """Note when the last response came, and which stores have ended without one since then.

        Args:
            samples: in the order of their ends.
        """
        first = math.inf
        for sample in reversed(samples):
            if sample.status is not None:
                self._answered, self._unanswered = sample.ended, math.inf
                break
            first = min(first, sample.begun)
        self._unanswered = min(self._unanswered, first)

    def lost_after(self, seconds: float) -> float | None:
        """When the peer was lost for the rest of the phase, which lasted so many seconds; ``None``: it was not."""
        if self.none_since is None:
            return None
        since = self.none_since
        if self._unanswered < math.inf and self._answered > self._began:  # else it was there, and never answered
            since = min(since, max(self._answered, self._unanswered))
        after = max(since - self._began, 0.0)
        return after if seconds - after >= _LOST else None
