"""Programs that are not ours: found, started on a free port of loopback, waited for, and ended by their process id."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

START_SECONDS = 60
"""A busy machine may take so long to start Orthanc."""


running_test: pytest.Item | None = None
"""The test that runs now; ``conftest.py`` sets it. While modules are collected there is none."""


def find_program(name: str, package: str) -> str:
    """Return the program's path; without it the test is skipped, or fails where the environment says CI.

    The test must have the marker ``peers``, or it fails: ``make test-fast`` leaves such tests out.
    """
    _check_marker(name)
    ours = str(Path(sys.executable).parent)  # pynetdicom installs programs with the names of DCMTK's
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != ours]
    path = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        _lacking(f"{name} is not installed: apt install {package} (Debian, Ubuntu) or brew install {package} (macOS)")
    return path


def find_system_python_with(module: str, package: str) -> str:
    """Return the path of the system's Python, which has a module of a Debian package; without it as above."""
    python = "/usr/bin/python3"
    _check_marker(python)
    try:
        subprocess.run([python, "-c", f"import {module}"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        _lacking(f"{python} has no module {module}: apt install {package} (Debian, Ubuntu)")
    return python


def _check_marker(program: str) -> None:
    if running_test is not None and running_test.get_closest_marker("peers") is None:
        pytest.fail(f"the test runs {program}, which is not ours: mark it with pytest.mark.peers")


def _lacking(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def reserved_port() -> Iterator[int]:
    """Provide a port of loopback that the system gives to nobody else: connections to it are refused.

    A program that is told this port can listen on it: servers set SO_REUSEADDR.
    """
    with socket.socket() as reserving:
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserving.bind(("127.0.0.1", 0))
        yield reserving.getsockname()[1]


def has_ipv6() -> bool:
    """Whether loopback has an IPv6 address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def made(folder: Path) -> Path:
    """Make the folder that a peer works in, where it does not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Finished(NamedTuple):
    """A program that ran to its end."""

    returncode: int
    output: str
    """Standard output and standard error together."""


async def run(*words: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run a program to its end; it is killed when the caller's deadline cancels this."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode, output.decode(errors="replace"))


@dataclass
class Running:
    """A program that was started, and listens on a port."""

    name: str
    port: int
    pid: int
    output_file: Path

    def output(self) -> str:
        """Return what it printed so far."""
        return self.output_file.read_text(errors="replace")


@asynccontextmanager
async def running(
    words: Callable[[int], Sequence[str | os.PathLike[str]]],
    environment: Mapping[str, str] | None = None,
    *,
    connects: bool = True,
) -> AsyncIterator[Running]:
    """Start a program that listens on a port, wait until it does, and end it with all that it forked.

    When the test fails in the meantime, what the program printed is added to the failure.

    Args:
        words: the command line, for a given port.
        environment: variables it gets besides the test's own.
        connects: a connection tells whether it listens; otherwise the system does (Linux): some programs end with the
            first connection over which no association is requested.
    """
    with tempfile.NamedTemporaryFile(prefix="peer-") as output, reserved_port() as port:
        command = words(port)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # so that it leads a process group, which can be ended as a whole
        )
        peer = Running(str(command[0]), port, process.pid, Path(output.name))
        try:
            if not await _listens(process, port, connects=connects):
                pytest.fail(f"{peer.name} does not listen on its port")
            yield peer
        except BaseException as error:
            error.add_note(f"{peer.name} on port {port} printed:\n{peer.output()[-4000:]}")
            raise
        finally:
            await _end(process)


async def _listens(process: asyncio.subprocess.Process, port: int, *, connects: bool) -> bool:
    """Wait until the port is open; tell whether it is, or the program has ended or taken too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while process.returncode is None and loop.time() < deadline:
        if await _takes_connections(port) if connects else _is_open(port):
            return True
        await asyncio.sleep(0.02)
    return False


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    except OSError:
        return False
    return True


def _is_open(port: int) -> bool:
    """Whether some process listens on the port: the system's table has its local address, and 0A for LISTEN."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process group that the program leads: what it would tidy up is thrown away anyway, and takes seconds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
