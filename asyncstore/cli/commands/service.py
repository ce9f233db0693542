"""A run as a service of systemd (``--systemd``): readiness, a status line, reloads, the watchdog.

Rules:

1. The run is ready when its first association is open, when it waits for the peer, or when an earlier run has sent some
   of its files. A run that cannot do anything never becomes ready, though all files get their outcome: its start fails.
   Some contexts can only be proposed when all files are known: until then the start is given more time.
2. Everything is sent from the event loop, so the watchdog notices a loop that hangs.
"""

from __future__ import annotations

from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING

from asyncstore.observe.formatting import printable
from asyncstore.observe.plain import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import Progress
    from asyncstore.network.notify import Notifier
    from asyncstore.observe.rates import Rates
    from asyncstore.observe.tally import Tally

_STATUS_EVERY = 5.0
"""Seconds between two status lines: people look at them, and each is a message."""
_READY = "READY=1"
_MORE_TIME = "EXTEND_TIMEOUT_USEC=60000000"
"""A minute from now: much longer than until the next status line."""


class Service:
    """Tells a service manager how a run goes on.

    Args:
        manager: the service manager.
        clock: in seconds.
    """

    def __init__(self, manager: Notifier, clock: Callable[[], float] = monotonic) -> None:
        self._manager = manager
        self._clock = clock
        self._is_ready = False
        self._next_status = self._next_sign = clock()
        self._sign_every = None if manager.watchdog is None else manager.watchdog / 2

    def refresh(self, tally: Tally, progress: Progress, rates: Rates) -> None:
        """Tell what there is to tell; call this several times a second."""
        now = self._clock()
        if not self._is_ready and (progress.associations_opened or progress.outage is not None or tally.attempted):
            self._is_ready = self._manager.send(_READY)
        if self._sign_every is not None and now >= self._next_sign:
            self._next_sign = now + self._sign_every
            self._manager.send("WATCHDOG=1")
        if now >= self._next_status:
            self._next_status = now + _STATUS_EVERY
            line = f"STATUS={printable(progress_line(tally, progress, rates))}"
            self._manager.send(line, *([] if self._is_ready else [_MORE_TIME]))

    def reloading(self) -> None:
        """The configuration is read again."""
        self._manager.send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """It has been read, or is refused: the run goes on."""
        self._manager.send(_READY)

    def stopping(self) -> None:
        """The run ends."""
        self._manager.send("STOPPING=1")
