"""Wait for blocking calls, which may never return, and for work that a cancelled caller must finish.

A disk, a file server, a name server or another process may never answer, so blocking calls have a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar, cast

from asyncstore.errors import NoThread, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop that runs the caller.

    Raises:
        UsageError: there is none, or one of another library.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("no event loop of asyncio runs here: asyncstore works in asyncio, not in trio") from None


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop for a program of ours: uvloop if it is installed, otherwise asyncio's own.

    On Windows it is the selector loop: the engine waits for sockets to be ready, which the proactor loop cannot do.
    """
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()
    try:
        import uvloop  # it may not be installed, and its import takes time
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def start_thread(name: str, work: Callable[[], object]) -> threading.Thread:
    """Start a thread that does not keep the program from ending.

    Raises:
        NoThread: the system allows no more.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise NoThread from None
    return thread


class WaitingThread:
    """A thread that makes one call after the other. The first call starts it.

    It is a daemon, so the program can end even if a call hangs in a dead network file system. A call costs half as much
    as through an executor.

    Args:
        name: the name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_started = False

    def start(self) -> None:
        """Start the thread now.

        Raises:
            NoThread: the system allows no more.
        """
        if not self._is_started:
            start_thread(self._name, self._serve)
            self._is_started = True

    async def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function in the thread. If the caller is cancelled, the call goes on and its result is dropped.

        Raises:
            NoThread: the thread cannot be started.
        """
        self.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def answer(result: T | None, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast("T", result))

        def do() -> None:
            result, failure = None, None
            try:
                result = function(*arguments, **named)
            except BaseException as error:  # noqa: BLE001 - raised in the caller
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(answer, result, failure)

        self._calls.put(do)
        return await future

    def close(self) -> None:
        """End the thread after its current calls, without waiting for that."""
        self._calls.put(None)

    def _serve(self) -> None:
        while call := self._calls.get():
            call()


async def called_in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function in a thread of its own. If the caller is cancelled, the call goes on, its result is dropped.

    Raises:
        NoThread: the thread cannot be started.
    """
    thread = WaitingThread("asyncstore-call")
    try:
        return await thread.call(function, *arguments, **named)
    finally:
        thread.close()


async def finished(work: Coroutine[object, object, T]) -> T:
    """Carry out work to its end. A caller that is cancelled meanwhile still waits for it, and is cancelled then.

    The work is a task of its own, which nobody cancels.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError as error:
        await _wait_shielded(task, error)
    return task.result()


async def _wait_shielded(task: asyncio.Task[T], cancelled: asyncio.CancelledError) -> NoReturn:
    """Wait for a task, then raise the last cancellation."""
    from anyio import CancelScope  # its import takes 30 ms, and most callers are never cancelled

    while not task.done():
        try:
            with CancelScope(shield=True):  # a caller's cancel scope would cancel again in each turn of the loop
                await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.cancelled():
        task.exception()  # asyncio would log one that nobody has asked for
    raise cancelled
