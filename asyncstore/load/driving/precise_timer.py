"""Timers that call back at a time, precisely enough for loads.

uvloop's timers are a millisecond too late or early: their unit is a millisecond. The kernel's ``timerfd`` is precise to
some ten microseconds, and the event loop waits for it as for a socket. Other systems than Linux use the loop's timers.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeTimer = Callable[[Callable[[], None]], "LoopTimer | KernelTimer"]
    """Makes a timer of the running loop that calls back once at a time."""

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_CLOEXEC = 0o2000000
_TFD_TIMER_ABSTIME = 1
"""Linux: clock_gettime(2), timerfd_create(2). :func:`time.monotonic` is this clock."""


class LoopTimer:
    """A timer of the event loop.

    Args:
        action: what to call.
        clock: the clock of the times; tests simulate it.
    """

    def __init__(self, action: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._action = action
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def at(self, when: float) -> None:
        """Call back at this time, and not at the one set before."""
        self.close()
        self._handle = self._loop.call_later(max(when - self._clock(), 0.0), self._action)

    def close(self) -> None:
        """Call back no more."""
        if self._handle is not None:
            self._handle.cancel()


class KernelTimer:
    """A timer of the kernel, on the clock of :func:`time.monotonic`. Close it in the end.

    Args:
        action: what to call.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._set = _settime()
        self._descriptor = _create()
        self._loop.add_reader(self._descriptor, self._due)

    def at(self, when: float) -> None:
        """Call back at this time, and not at the one set before."""
        if self._descriptor >= 0:
            self._set(self._descriptor, max(when, 1e-9))  # 0 would disarm it

    def close(self) -> None:
        """Call back no more."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _due(self) -> None:
        self._set(self._descriptor, 0.0)  # it is not readable any more, without a call to read
        self._action()


def precise_timer(action: Callable[[], None]) -> LoopTimer | KernelTimer:
    """The most precise timer of this system, on the clock of :func:`time.monotonic`."""
    if sys.platform == "linux":
        try:
            return KernelTimer(action)
        except OSError:
            pass
    return LoopTimer(action)


def _create() -> int:
    descriptor: int = _libc().timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def _settime() -> Callable[[int, float], None]:
    """A function that arms a timer. It has its own memory for the time, which each call writes anew."""
    function = _libc().timerfd_settime
    spec = (ctypes.c_long * 4)()
    """``struct itimerspec``: seconds and nanoseconds of the interval, then of the first expiration."""
    address = ctypes.byref(spec)

    def settime(descriptor: int, when: float) -> None:
        seconds = int(when)
        spec[2], spec[3] = seconds, int((when - seconds) * 1e9)
        function(descriptor, _TFD_TIMER_ABSTIME, address, None)

    return settime


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
