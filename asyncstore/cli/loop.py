"""The event loop a command runs in, and the signals that end it.

uvloop where it is installed, otherwise asyncio's own; on Windows the selector loop, because the engine waits for
sockets to be ready, which the proactor loop cannot do.
"""

from __future__ import annotations

import asyncio
import atexit
import signal
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

    _Action = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

T = TypeVar("T")

_INTERRUPTS = ("SIGINT", "SIGTERM", "SIGHUP")
"""By their names: not every system has all of them."""

_HELD_UP = 1.0
"""Seconds after which a signal that the loop has not taken up shows that it cannot: somebody does not read what is
printed, and it waits for that."""


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in a loop of its own."""
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(main)
    finally:
        main.close()  # Ctrl-C may come before it has begun, and Python would warn of that


def _new_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop there is."""
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()
    try:
        import uvloop  # noqa: PLC0415 - it may not be there, and takes its time
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@contextmanager
def interrupts(on_interrupt: Callable[[], None]) -> Iterator[None]:
    """While it lasts, SIGINT, SIGTERM and a hang-up call this in the running loop and do nothing else.

    Where the loop is held up, the next one ends the program as the system does it.

    What is ignored stays ignored: whoever started the program wants it so, as ``nohup`` does with a hang-up, and a
    shell without job control with SIGINT for what it puts into the background (POSIX.1-2017, XCU 2.11). One that comes
    afterwards is too late: the program is about to end with the exit code it has told. The next one acts as ever.
    """
    loop = asyncio.get_running_loop()
    untaken_since: float | None = None

    def from_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal untaken_since
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
        yield
    finally:
        for number, action in zip(numbers, before, strict=True):
            signal.signal(number, _ignoring_one(action))
            atexit.register(signal.signal, number, signal.SIG_IGN)  # the interpreter's end would restore what kills


def _ignoring_one(action: _Action) -> Callable[[int, FrameType | None], None]:
    """An action for one signal that does nothing, and leaves those that follow to ``action``."""

    def ignore(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, action)

    return ignore


@contextmanager
def every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """While it lasts, do this in the running loop: now, and each time after that many seconds."""
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
