"""The event loop of a command, and the signals that end it."""

from __future__ import annotations

import asyncio
import atexit
import signal
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from asyncstore.waiting import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

    _Action = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

T = TypeVar("T")

_INTERRUPTS = ("SIGINT", "SIGTERM", "SIGHUP")
"""By name: not every system has all of them."""
_HANGUP = getattr(signal, "SIGHUP", None)

_HELD_UP = 1.0
"""Seconds that the loop has to take up a signal. After that it is taken to be blocked, for example by writing to a pipe
that nobody reads."""


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in a new loop.

    Raises:
        KeyboardInterrupt: Ctrl-C outside of :func:`interrupts`.
    """
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)
    except asyncio.CancelledError:  # only Ctrl-C cancels it; the runner mostly says so itself
        raise KeyboardInterrupt from None
    finally:
        main.close()  # Python would warn of a coroutine that Ctrl-C kept from starting


@contextmanager
def interrupts(on_interrupt: Callable[[], None], on_hangup: Callable[[], None] | None = None) -> Iterator[None]:
    """Within this context SIGINT, SIGTERM and SIGHUP only call ``on_interrupt`` in the running loop.

    If there is an ``on_hangup``, SIGHUP calls that instead. If the loop is blocked, the next signal ends the program as
    the system does it.

    Signals that were ignored stay ignored: ``nohup`` ignores SIGHUP, and a shell without job control ignores SIGINT for
    programs in the background (POSIX.1-2017, XCU 2.11). One signal after the context is ignored: the program is about
    to end, and has already reported its exit code. The next one acts as before the context.

    Raises:
        KeyboardInterrupt: one came before the context. It has cancelled the task, which would end at its next wait.
    """
    loop = asyncio.get_running_loop()
    untaken_since: float | None = None

    def from_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal untaken_since
        if on_hangup is not None and number == _HANGUP:
            loop.call_soon_threadsafe(on_hangup)
            return
        if untaken_since is not None and monotonic() - untaken_since > _HELD_UP:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        untaken_since = monotonic() if untaken_since is None else untaken_since
        loop.call_soon_threadsafe(take)

    def take() -> None:
        nonlocal untaken_since
        untaken_since = None
        on_interrupt()

    there_are = [getattr(signal, name) for name in _INTERRUPTS if hasattr(signal, name)]
    numbers = [number for number in there_are if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, from_signal) for number in numbers]
    try:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise KeyboardInterrupt
        yield
    finally:
        for number, action in zip(numbers, before, strict=True):
            signal.signal(number, _ignoring_one(action))
            atexit.register(signal.signal, number, signal.SIG_IGN)  # not the default, which kills


def _ignoring_one(action: _Action) -> Callable[[int, FrameType | None], None]:
    """A signal handler that ignores one signal and then puts ``action`` in its place."""

    def ignore(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, action)

    return ignore


@contextmanager
def every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Within this context call ``action`` in the running loop: now, and again every so many seconds."""
    loop = asyncio.get_running_loop()
    handle: asyncio.Handle | None = None

    def act() -> None:
        nonlocal handle
        handle = loop.call_later(seconds, act)
        action()

    handle = loop.call_soon(act)
    try:
        yield
    finally:
        handle.cancel()
