"""A worker process, seen from the thread that talks to it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncstore.prepare.messages import CONVERT, CONVERTED, HELLO, PART, UNSENDABLE, read_message, write_message
from asyncstore.prepare.spool import take as take_spooled
from asyncstore.prepare.start import DYING_SECONDS, clean_up
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.prepare.messages import Answer

_KILLED_SECONDS = 1.0
"""How long the thread may take to notice that its process was killed; usually a millisecond."""


class WorkerDied(Exception):
    """A worker process ended while it had a batch; the message says how."""


class WorkerSilent(Exception):
    """A worker process was silent for too long; the message says how long."""


class Worker:
    """One worker process.

    Args:
        process: the process, from :func:`asyncstore.prepare.start.take`.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._thread = WaitingThread("asyncstore-worker")
        self._exchange = threading.Lock()
        """Held while the thread waits for the process."""
        self._is_ended = False

    def has_started(self) -> bool:
        """Wait, blocking, until the process runs; false if it died."""
        with self._exchange:
            return self._process.stdout is not None and self._process.stdout.read(len(HELLO)) == HELLO

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def lower_priority(self, niceness: int) -> None:
        """Lower the priority of the process by so much, where the system has priorities."""
        if niceness and hasattr(os, "setpriority"):
            with suppress(OSError):  # it has just ended
                os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)

    async def do(self, order: list[Any], answers: list[Answer], seconds: float) -> None:
        """Carry out an order. A caller that is cancelled must call :meth:`end`.

        Args:
            order: the order.
            answers: the answers are appended to it, those before an error too.
            seconds: how long the process may be silent.

        Raises:
            WorkerDied: the process ended.
            WorkerSilent: it was silent for too long; call :meth:`end`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds) as limit:

                def is_alive() -> None:
                    with suppress(RuntimeError):  # the timeout has already expired
                        limit.reschedule(loop.time() + seconds)

                await self._thread.call(self._do, order, answers, lambda: loop.call_soon_threadsafe(is_alive))
        except TimeoutError as error:
            raise WorkerSilent(f"{seconds:.0f} seconds") from error

    def _do(self, order: list[Any], answers: list[Answer], on_part: Callable[[], object]) -> None:
        with self._exchange:
            try:
                self._answer(order, answers, on_part)
            finally:
                if self._is_ended:
                    clean_up(self._process)

    def _answer(self, order: list[Any], answers: list[Answer], on_part: Callable[[], object]) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise WorkerDied("no pipes")
        try:
            write_message(self._process.stdin, order)
            kind = PART
            while kind == PART:
                kind, part = read_message(self._process.stdout)
                answers += map(_taken, part) if order[0] == CONVERT else part
                on_part()
        except (OSError, EOFError, ValueError) as error:
            raise WorkerDied(self._exit_reason()) from error

    def _exit_reason(self) -> str:
        """How the process ended: the signal of a system short of memory differs from the exit code of a bug."""
        try:
            code = self._process.wait(DYING_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its pipes"
        try:
            return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        except ValueError:  # a real-time signal
            return f"signal {-code}"

    def end(self) -> None:
        """Kill the process and release its resources. It holds nothing unfinished.

        A process that hangs in a dead file system cannot be killed; its thread goes on waiting for it.
        """
        self._is_ended = True
        self._process.kill()
        if self._exchange.acquire(timeout=_KILLED_SECONDS):
            clean_up(self._process)
            self._exchange.release()
        self._thread.close()


def _taken(answer: Answer) -> Answer:
    """The answer about a conversion; if the data set lies in a file, this process has it open."""
    if answer[0] != CONVERTED or answer[1] is None:
        return answer
    try:
        return CONVERTED, take_spooled(answer[1]), *answer[2:]
    except OSError as error:
        return UNSENDABLE, f"its converted data set cannot be opened: {error.strerror}", None
