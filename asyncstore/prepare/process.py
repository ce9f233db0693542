"""A worker process, seen from the thread that talks to it.

A process takes as long to start as the command line takes to import its modules. So a command may start one in advance
(:func:`started_ahead`), and the first pool takes it over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from asyncstore.errors import PrepareError
from asyncstore.isolated import isolated
from asyncstore.prepare.messages import CONVERTED, UNSENDABLE
from asyncstore.prepare.spool import take as take_spooled
from asyncstore.prepare.worker import CONVERT, HELLO, PART, read_message, write_message
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncstore.prepare.file_format import FileFormat
    from asyncstore.prepare.messages import Answer

_OUR_VARIABLES = "ASYNCSTORE_"
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
"""numpy, which pydicom imports, reserves memory for a thread on each core; workers do not compute with it."""

_KILLED_SECONDS = 1.0
"""How long the thread may take to notice that its process was killed; usually a millisecond."""
_DYING_SECONDS = 5.0
"""How long a process may take to end after it closed its output: the system may have to dump core."""


class WorkerDied(Exception):
    """A worker process ended while it had a batch; the message says how."""


class WorkerSilent(Exception):
    """A worker process was silent for too long; the message says how long."""


class Worker:
    """One worker process.

    Args:
        file_format: which files count as instances.

    Raises:
        PrepareError: it cannot be started.
    """

    def __init__(self, file_format: FileFormat) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*isolated("asyncstore.prepare.worker"), file_format.value, str(os.getpid())],
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
            )
        except OSError as error:
            raise PrepareError(f"cannot start a worker process: {error.strerror}") from error

        self._thread = WaitingThread("asyncstore-worker")
        self._exchange = threading.Lock()
        """Held while the thread waits for the process."""
        self._is_ended = False

    def has_started(self) -> bool:
        """Wait, blocking, until the process runs; false if it died."""
        with self._exchange:
            return self._process.stdout is not None and self._process.stdout.read(len(HELLO)) == HELLO

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
                    self._clean_up()

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
            code = self._process.wait(_DYING_SECONDS)
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
            self._clean_up()
            self._exchange.release()
        self._thread.close()

    def _clean_up(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # unwritten bytes cannot be flushed any more
                    continue
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_SECONDS)


def _taken(answer: Answer) -> Answer:
    """The answer about a conversion; if the data set lies in a file, this process has it open."""
    if answer[0] != CONVERTED or answer[1] is None:
        return answer
    try:
        return CONVERTED, take_spooled(answer[1]), *answer[2:]
    except OSError as error:
        return UNSENDABLE, f"its converted data set cannot be opened: {error.strerror}"


def _environment() -> dict[str, str]:
    """The environment without asyncstore's own variables, which may hold passwords."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OUR_VARIABLES)}
    return {**_ONE_THREAD, **kept}


_ahead: list[tuple[FileFormat, Worker]] = []
"""Workers that were started in advance and not taken yet."""


@contextmanager
def started_ahead(file_format: FileFormat) -> Iterator[None]:
    """Start a worker that :func:`take` may hand out until the context ends. Then it ends, if nobody took it.

    If it cannot be started, nothing is raised here: the pool that needs a worker will raise.
    """
    try:
        _ahead.append((file_format, Worker(file_format)))
    except PrepareError:
        yield
        return
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop()[1].end()


def take(file_format: FileFormat) -> Worker:
    """A worker for files of this format: one started in advance if there is one, otherwise a new one.

    Raises:
        PrepareError: it cannot be started.
    """
    for started in _ahead:
        if started[0] is file_format:
            _ahead.remove(started)
            return started[1]
    return Worker(file_format)
