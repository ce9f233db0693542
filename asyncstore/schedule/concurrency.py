"""How many associations to have: a fixed number, or as many as help.

``auto`` climbs: it starts with a few, adds half as many as long as each step made the transfer faster, and takes back a
step that did not; a peer that answers nothing is asked for no more. It tries again after a while, for peers and
networks change. What the peer refuses is not asked for again until it has had time; then it is, also where the number
is fixed, for a peer that was busy or restarted may take it now. Pure: its owner tells it what was measured and acts on
its answer.
"""

from __future__ import annotations

INTERVAL = 1.0
"""Seconds between two looks: long enough for a rate, short against a transfer."""
FEW = 4
"""What ``auto`` starts with. On loopback 4 associations saturate two cores."""
MOST = 32
"""Where ``auto`` ends: the buffers of as many take 71 MB, and few peers serve more."""
_GAIN = 1.05
"""A step must have made the transfer this much faster to be kept; less is noise."""
_REST = 15
"""Looks to wait before trying a step again that did not help, or that the peer refused."""


class Concurrency:
    """The number of associations to have.

    Args:
        fixed: that many, as far as the peer accepts them; ``None``: auto.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self.target = FEW if fixed is None else fixed
        self._rate_before: float | None = None
        self._step = 0
        self._resting = 0

    def observe(self, rate: float, *, is_source_limited: bool) -> int:
        """What the transfer achieved since the last look (any unit, per second); how many associations to have now.

        ``is_source_limited``: whether associations were waiting for files, so that more of them could not have helped.
        """
        if self._fixed is not None:
            self._resting = max(self._resting - 1, 0)
            if not self._resting:
                self.target = self._fixed
        elif is_source_limited:
            self._rate_before, self._step = None, 0
        elif self._resting:
            self._resting -= 1
        elif self._step and self._rate_before is not None:
            if rate <= self._rate_before * _GAIN:
                self.target -= self._step
                self._resting = _REST
                self._step = 0
            else:
                self._add(rate)
        elif rate > 0:
            self._add(rate)
        return self.target

    def refused(self, still_open: int) -> None:
        """The peer, or the system, refused an association while ``still_open`` were open."""
        self.target = max(1, min(self.target, still_open))
        self._rate_before, self._step, self._resting = None, 0, _REST

    def _add(self, rate: float) -> None:
        self._rate_before = rate
        self._step = min(max(1, self.target // 2), MOST - self.target)
        self.target += self._step
