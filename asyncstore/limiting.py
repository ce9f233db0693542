"""The limits of one run at work: time tables and the guard.

:mod:`asyncstore.schedule.pacing` and :mod:`asyncstore.schedule.guard` decide; here are the timers, and the association
on which the guard asks for echoes. A run without limits has neither.

The guard has its association only while the run has one: a peer that serves one at a time must not serve the guard
instead of the run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from asyncstore.errors import AssociationError, EchoRefused
from asyncstore.network.throttle import Throttle
from asyncstore.schedule.guard import Guard
from asyncstore.schedule.pacing import Pacing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from asyncstore.schedule.dispatch import Dispatcher
    from asyncstore.schedule.pacing import Limits

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 30.0
"""Seconds between two looks at a time table: the clock of the machine may be set, and the machine may sleep."""
_ECHO_INTERVAL = 2.0
"""Seconds from one echo to the next."""
_ECHO_GIVEN_UP = 20.0
"""Seconds after which an echo is given up, and the guard tries another association."""
_FAILURES = 3
"""Associations without an answer, one after the other, after which the guard has no effect."""
_REST = 30.0
"""Seconds before the guard tries again then."""


class Limiter:
    """Keeps the limits of one run.

    Args:
        limits: the limits at its start.
        echo: opens an association, and sends a C-ECHO over it for each item; items are seconds to the response.

    Attributes:
        pacing: how many stores may begin; call :meth:`look` when its tables were set.
        throttle: bounds the bytes of all associations.
    """

    def __init__(self, limits: Limits, echo: Callable[[], AsyncGenerator[float, None]]) -> None:
        self.pacing = Pacing(limits, time.monotonic)
        self.throttle = Throttle(self.pacing.bytes, self.pacing.note_wait)
        self._limits = limits
        self._echo = echo
        self._timer: asyncio.TimerHandle | None = None
        """Of the next look at the time tables."""
        self._is_over = False
        self._guarding: asyncio.Task[None] | None = None
        self.pacing.on_change.append(self.throttle.changed)

    def start(self, dispatcher: Dispatcher) -> None:
        """Limit the run of this dispatcher."""
        self.look()
        if self._limits.guard_echo is not None:
            guarding = _Guarding(self._limits.guard_echo, self.pacing, dispatcher, self._echo)
            self._guarding = asyncio.create_task(guarding.run())

    async def aclose(self) -> None:
        """End the timer and the guard."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_over = True
        if self._guarding is not None:
            self._guarding.cancel()
            await asyncio.wait({self._guarding})

    def look(self) -> None:
        """Let the rates of this moment hold, and look again when others begin."""
        if self._timer is not None:
            self._timer.cancel()
        now = time.time()
        change = self.pacing.look(now)
        if change is not None and not self._is_over:
            wait = min(max(change - now, 0.0), _LONGEST_WAIT)
            self._timer = asyncio.get_running_loop().call_later(wait, self.look)


class _Guarding:
    """The guard at work.

    Args:
        threshold: seconds that a C-ECHO may take.
        pacing: obeys it.
        dispatcher: the run to be slowed down.
        echo: as in :class:`Limiter`.
    """

    def __init__(
        self,
        threshold: float,
        pacing: Pacing,
        dispatcher: Dispatcher,
        echo: Callable[[], AsyncGenerator[float, None]],
    ) -> None:
        self._threshold = threshold
        self._guard = Guard(threshold)
        self._pacing = pacing
        self._dispatcher = dispatcher
        self._echo = echo
        self._failures = 0
        self._has_answers = False
        self._warned: set[str] = set()
        self._work = 0.0
        self._at = time.monotonic()

    async def run(self) -> None:
        """Ask for echoes until cancelled, or until that is of no use."""
        while True:
            await asyncio.sleep(_ECHO_INTERVAL)
            if not self._may_ask:
                continue
            self._measured()
            try:
                async with aclosing(self._echo()) as echoes:
                    await self._ask(echoes)
            except EchoRefused as error:
                self._without_effect(error)
                return
            except (AssociationError, TimeoutError) as error:
                self._failures += 1
                if self._failures >= _FAILURES:
                    self._without_effect(error)
                    if not self._has_answers:
                        return
                    await asyncio.sleep(_REST)

    @property
    def _may_ask(self) -> bool:
        """Whether the run is at work."""
        return self._dispatcher.has_association and not self._pacing.is_paused

    async def _ask(self, echoes: AsyncGenerator[float, None]) -> None:
        """Ask for echoes over one association while the run is at work."""
        while self._may_ask:
            begun = time.monotonic()
            seconds = await self._answer(echoes, begun)
            self._failures, self._has_answers = 0, True
            self._tell(seconds)
            await asyncio.sleep(max(_ECHO_INTERVAL - (time.monotonic() - begun), 0.0))

    async def _answer(self, echoes: AsyncGenerator[float, None], begun: float) -> float:
        """Wait for one answer. Meanwhile the guard is told that it takes long, if there were answers before.

        Raises:
            TimeoutError: it takes too long.
        """
        answer = asyncio.ensure_future(anext(echoes))
        patience = max(_ECHO_INTERVAL, 5 * self._threshold)
        try:
            while not (await asyncio.wait({answer}, timeout=patience))[0]:
                waited = time.monotonic() - begun
                if self._has_answers:
                    self._tell(waited)
                if waited > max(_ECHO_GIVEN_UP, 2 * patience):
                    raise TimeoutError(f"no answer for {waited:.0f} s")
            return await answer
        finally:
            if not answer.done():
                answer.cancel()
                await asyncio.wait({answer})

    def _tell(self, seconds: float) -> None:
        """Tell the guard how long an echo took, and obey."""
        if self._guard.answered(seconds, self._measured()):
            self._pacing.slow_down(self._guard.limit)
        if self._guard.is_helpless:
            self._warn(
                "the peer takes %.1f s for C-ECHO even though the run is slowed to a twentieth of its speed", seconds
            )

    def _measured(self) -> float:
        """The work a second since the last call."""
        now, work = time.monotonic(), self._dispatcher.work
        speed = (work - self._work) / max(now - self._at, 1e-3)
        self._at, self._work = now, work
        return speed

    def _without_effect(self, error: Exception) -> None:
        self._pacing.slow_down(None)
        self._warn("the guard has no effect: %s; the run goes on without it", error)

    def _warn(self, message: str, *facts: object) -> None:
        """Warn once."""
        if message not in self._warned:
            self._warned.add(message)
            _log.warning(message, *facts)
