"""Processes of our own beside this one. They end with their standard input, so also if this process is killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncstore.errors import PrepareError
from asyncstore.waiting import called_in_thread, finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_PATIENCE = 20.0
"""Seconds that a process has for its first line. It takes less than one."""
_STOP_TIME = 5.0
"""Seconds that a process has to end; then it is killed."""


def start(words: Sequence[str], stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Start one with subprocess: the selector loop of Windows has no processes of asyncio.

    It does not see Ctrl-C at the terminal, so what works with it ends before it. Our variables may hold passwords, and
    are left out.

    Raises:
        PrepareError: it cannot be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - our own program, our own words
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")},
            start_new_session=True,
        )
    except OSError as error:
        raise PrepareError(f"cannot start another process: {words[0]}: {error.strerror}") from error


@asynccontextmanager
async def running(process: subprocess.Popen[bytes]) -> AsyncIterator[bytes]:
    """Within this context the process runs. Gives its first line; empty: it printed none in time."""
    with process:
        try:
            yield await _first_line(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await finished(called_in_thread(end, process))


async def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_PATIENCE):
            return b"" if process.stdout is None else await called_in_thread(process.stdout.readline)
    except TimeoutError:
        process.kill()
        return b""


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process that was told to end, and kill it if it takes too long."""
    try:
        process.wait(_STOP_TIME)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
