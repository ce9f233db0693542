"""Start programs, wait until they end, and measure their cost.

Rules:

1. The clock runs from before the first start until the last program has ended. Meanwhile this process does nothing, or
   only reads a terminal or samples memory.
2. Processor time is that of the program and of the processes that it started and waited for, as the kernel counts it.
3. A program that fails, or does not end in time, is an error that shows its output.
"""

from __future__ import annotations

import fcntl
import os
import pty
import selectors
import shlex
import signal
import struct
import subprocess
import tempfile
import termios
import time
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NO_DELAY = {"TCP_NODELAY": "1"}
"""In the environment of DCMTK's programs and Orthanc it turns Nagle's algorithm off."""

_NOT_INHERITED = ("ASYNCSTORE_", "TCP_", "PYTHON")

_DEADLINE = 1800.0
"""Seconds; the longest run takes a tenth of them."""
_SAMPLE_INTERVAL = 0.02
_TERMINAL_SIZE = (30, 120)
"""Rows and columns."""
_SHOWN_BYTES = 2000
"""Bytes of the output of a failed program."""


class RunFailed(Exception):
    """A measured program failed."""


class Cost(NamedTuple):
    """The cost of running programs from their start to their end."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of all cores together, user and system."""


def run(
    commands: Sequence[Sequence[str]],
    *,
    no_delay: bool = True,
    terminal: bool = False,
    sample: Callable[[Sequence[int]], None] | None = None,
) -> Cost:
    """Run programs at the same time until the last one has ended.

    Args:
        commands: their command lines.
        no_delay: whether DCMTK's programs turn Nagle's algorithm off.
        terminal: whether standard error is a terminal, which is read.
        sample: called with the process ids fifty times a second.

    Raises:
        RunFailed: one ended with another code than 0, or not in time.
    """
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        selector = stack.enter_context(selectors.DefaultSelector())
        errors: IO[bytes] | int = output
        if terminal:
            errors = stack.enter_context(_terminal(selector))
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_end_all, processes)
        begin = time.perf_counter()
        for command in commands:
            processes.append(_start(command, output, errors, environment(no_delay=no_delay)))
            descriptor = os.pidfd_open(processes[-1].pid)
            stack.callback(os.close, descriptor)
            selector.register(descriptor, selectors.EVENT_READ, processes[-1])
        cpu = 0.0
        running = len(processes)
        while running:
            if time.perf_counter() - begin > _DEADLINE:
                raise RunFailed(f"{shlex.join(commands[0])} has not ended in {_DEADLINE:.0f} s")
            for key, _ in selector.select(_DEADLINE if sample is None else _SAMPLE_INTERVAL):
                if isinstance(key.data, subprocess.Popen):
                    selector.unregister(key.fd)
                    cpu += _wait(key.data)
                    running -= 1
                else:
                    os.read(key.fd, 1 << 16)
            if sample is not None:
                sample([process.pid for process in processes if process.returncode is None])
        wall = time.perf_counter() - begin
        for process, command in zip(processes, commands, strict=True):
            if process.returncode:
                raise RunFailed(f"{shlex.join(command)} ended with {process.returncode}: {_tail(output)}")
        return Cost(wall, cpu)


def environment(*, no_delay: bool) -> dict[str, str]:
    """The environment of this process without variables that would make runs differ.

    Some of Python's variables keep it from using installed bytecode, which doubles the time of a start.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return {**inherited, "TERM": "xterm-256color", **(NO_DELAY if no_delay else {})}


def _start(
    command: Sequence[str], output: IO[bytes], errors: IO[bytes] | int, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=variables)


def _wait(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process that has ended; returns its processor time."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes that still run, after an error or an interrupt."""
    for process in processes:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def _terminal(selector: selectors.BaseSelector) -> Iterator[int]:
    """A terminal: yields the end for programs and registers the other end with the selector."""
    reading, writing = pty.openpty()
    try:
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", *_TERMINAL_SIZE, 0, 0))
        selector.register(reading, selectors.EVENT_READ)
        yield writing
    finally:
        os.close(writing)
        os.close(reading)


def _tail(output: IO[bytes]) -> str:
    """The end of the output."""
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - _SHOWN_BYTES))
    return output.read().decode(errors="replace").strip() or "(it printed nothing)"
