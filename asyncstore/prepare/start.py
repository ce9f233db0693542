"""Start worker processes, one of them in advance.

A process takes as long to start as the command line takes to import its modules. So a command may start one in advance
(:func:`started_ahead`), and the first pool takes it over. This module imports little, so the process starts early.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from asyncstore.errors import PrepareError
from asyncstore.isolated import isolated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.prepare.file_format import FileFormat

_OUR_VARIABLES = "ASYNCSTORE_"
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
"""numpy, which pydicom imports, reserves memory for a thread on each core; workers do not compute with it."""

_PIPE = 1 << 20
"""Bytes; Linux's limit for users (pipe(7))."""

DYING_SECONDS = 5.0
"""How long a process may take to end after it closed its output: the system may have to dump core."""


def _start(file_format: FileFormat) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*isolated("asyncstore.prepare.worker"), file_format.value, str(os.getpid())],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
        )
    except OSError as error:
        raise PrepareError(f"cannot start a worker process: {sys.executable}: {error.strerror}") from error
    _widen(process.stdout)
    return process


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole answer, where the system allows it: both processes then wait less for each other."""
    if sys.platform == "linux" and pipe is not None:
        from fcntl import F_SETPIPE_SZ, fcntl  # not on every system

        with suppress(OSError):  # the user's pipes hold too much already
            fcntl(pipe.fileno(), F_SETPIPE_SZ, _PIPE)


def _environment() -> dict[str, str]:
    """The environment without asyncstore's own variables, which may hold passwords."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OUR_VARIABLES)}
    return {**_ONE_THREAD, **kept}


_ahead: list[tuple[FileFormat, subprocess.Popen[bytes]]] = []
"""Processes that were started in advance and not taken yet."""


@contextmanager
def started_ahead(file_format: FileFormat) -> Iterator[None]:
    """Start a process that :func:`take` may hand out until the context ends. Then it ends, if nobody took it.

    If it cannot be started, nothing is raised here: the pool that needs a worker will raise.
    """
    with suppress(PrepareError):
        _ahead.append((file_format, _start(file_format)))
    try:
        yield
    finally:
        while _ahead:
            _, process = _ahead.pop()
            process.kill()
            clean_up(process)


def take(file_format: FileFormat) -> subprocess.Popen[bytes]:
    """A process for files of this format: one started in advance if there is one, otherwise a new one.

    Raises:
        PrepareError: it cannot be started.
    """
    for started in _ahead:
        if started[0] is file_format:
            _ahead.remove(started)
            return started[1]
    return _start(file_format)


def clean_up(process: subprocess.Popen[bytes]) -> None:
    """Release the pipes of a killed process, and wait for its end."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # unwritten bytes cannot be flushed any more
                continue
    with suppress(subprocess.TimeoutExpired):
        process.wait(DYING_SECONDS)
