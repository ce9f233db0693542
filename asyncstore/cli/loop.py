"""The event loop a command runs in, and the signals that end it.

uvloop where it is installed, otherwise asyncio's own; on Windows the selector loop, because the engine waits for
sockets to be ready, which the proactor loop cannot do.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


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
    """While it lasts, SIGINT, SIGTERM and a hang-up call this in the running loop and do nothing else."""
    loop = asyncio.get_running_loop()

    def from_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(on_interrupt)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, from_signal) for number in numbers]
    try:
        yield
    finally:
        for number, action in zip(numbers, before, strict=True):
            signal.signal(number, action)


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
