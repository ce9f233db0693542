"""How many associations to have: a fixed number, or as many as make the transfer faster.

``auto`` climbs. It starts with a few and adds half as many again while each step makes the transfer faster; it takes
back a step that did not. It adds none while the peer answers nothing. It tries again after a while, because peers and
networks change. After a refusal it waits a while before it asks for more, even if the number is fixed: a peer that was
busy or restarted may accept then. Pure: its owner measures, and acts on the answer.
"""

from __future__ import annotations

INTERVAL = 1.0
"""Seconds between two looks: long enough for a rate, short against a transfer."""
FEW = 4
"""What ``auto`` starts with. On loopback 4 associations saturate two cores."""
MOST = 32
"""The most that ``auto`` has: their buffers take 71 MB, and few peers serve more."""
_GAIN = 1.05
"""A step is kept if it made the transfer this much faster; less is noise."""
_REST = 15
"""Looks to wait before the next try after a step that did not help or was refused."""


class Concurrency:
    """The number of associations to have.

    Args:
        fixed: that many, if the peer accepts them; ``None``: auto.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self.target = FEW if fixed is None else fixed
        self._rate_before: float | None = None
        self._step = 0
        self._resting = 0

    def observe(self, rate: float, *, is_source_limited: bool) -> int:
        """Take the rate since the last look, in any unit a second; how many associations to have now.

        ``is_source_limited``: associations were waiting for files, so more of them could not have helped.
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

    def restored(self, target: int) -> None:
        """The peer was down and works again: have as many as before."""
        self.target = target
        self._rate_before, self._step, self._resting = None, 0, 0

    def _add(self, rate: float) -> None:
        self._rate_before = rate
        self._step = min(max(1, self.target // 2), MOST - self.target)
        self.target += self._step
