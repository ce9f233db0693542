"""One limit of bytes for all links of a run.

Rules:

1. Links that wait have their turns in order. In a turn a link sends a fiftieth of a second's worth, so several large
   instances go on side by side.
2. A link alone may send at once as long as something is left of the limit. A turn may take more than is left; the next
   one waits until that has been paid.
3. Without a limit a link asks nothing but :attr:`Throttle.is_on`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_TURN = 0.02
"""Seconds' worth of bytes in a turn."""
_FEWEST, _MOST = 1460, 1 << 20
"""The fewest and the most bytes of a turn: a TCP segment on Ethernet, and half a gather write."""
_SHORTEST = 0.001
"""The shortest wait, in seconds: timers are no finer."""


class Budget(Protocol):
    """The bytes that may be sent; :class:`asyncstore.schedule.pacing.Bucket` says what each member means."""

    rate: float | None

    def take(self, units: float) -> None:
        """Take bytes."""

    def seconds_until(self, units: float) -> float:
        """Seconds until there are so many."""


class Waiting(Protocol):
    """A link that waits."""

    def turn(self, most: int) -> None:
        """Send at most so many bytes."""


class Throttle:
    """The limit of the links that share it.

    Args:
        budget: the bytes that may be sent. When its rate has changed, call :meth:`changed`.
        on_wait: called when a link must wait.

    Attributes:
        is_on: whether there is a limit.
    """

    def __init__(self, budget: Budget | None, on_wait: Callable[[], None] = lambda: None) -> None:
        self._budget = budget
        self._on_wait = on_wait
        self._links: deque[Waiting] = deque()
        self._timer: asyncio.Handle | None = None
        self.is_on = budget is not None and budget.rate is not None

    def __repr__(self) -> str:
        rate = None if self._budget is None else self._budget.rate
        return f"<Throttle {'off' if rate is None else f'{rate:.0f} bytes/s'} {len(self._links)} waiting>"

    def at_once(self) -> int:
        """How many bytes a link may send now, without a turn."""
        return 0 if self._links or self._seconds() > 0 else self._portion()

    def spent(self, count: int) -> None:
        """A link has sent so many bytes."""
        if self._budget is not None:
            self._budget.take(count)

    def wait(self, link: Waiting) -> None:
        """Give ``link`` a turn when it has come."""
        self._links.append(link)
        self._on_wait()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(max(self._seconds(), _SHORTEST), self._serve)

    def changed(self) -> None:
        """The rate has changed."""
        self.is_on = self._budget is not None and self._budget.rate is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Give turns as long as something is left of the limit."""
        self._timer = None
        while self._links and self._seconds() <= 0:
            self._links.popleft().turn(self._portion())
        if self._links and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(max(self._seconds(), _SHORTEST), self._serve)

    def _seconds(self) -> float:
        return 0.0 if self._budget is None else self._budget.seconds_until(1)

    def _portion(self) -> int:
        rate = self._budget.rate if self._budget is not None else None
        return _MOST if rate is None else int(min(max(rate * _TURN, _FEWEST), _MOST))


FREELY = Throttle(None)
"""Without a limit."""
