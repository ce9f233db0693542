"""The peers: storage SCPs, and a relay to one. Each is started on a free port and ended after use.

storescp and Orthanc listen on all addresses; the benchmarks reach them through loopback only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import RunFailed, environment
from benchmarks.programs import asyncstore_program, their_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")  # noqa: S108 - the peers' own folders are made in it
"""A file system in memory."""
_START_SECONDS = 30.0
_ATTEMPTS = 3


@contextmanager
def storescp(*options: str, no_delay: bool) -> Iterator[int]:
    """DCMTK's storescp, which discards all instances; yields its port."""
    words = [their_program("storescp"), "--fork", "--ignore", *options]
    with _listening(lambda port: [*words, str(port)], no_delay=no_delay) as port:
        yield port


@contextmanager
def orthanc(*, no_delay: bool, in_memory: bool = False) -> Iterator[int]:
    """An empty Orthanc with its default settings, but its own folder and port, and no web server; yields its port.

    ``in_memory``: its folder is in memory, so that the disk is not measured.
    """
    root = str(MEMORY) if in_memory else None
    with tempfile.TemporaryDirectory(prefix="asyncstore-orthanc-", dir=root) as folder:

        def words(port: int) -> list[str]:
            configuration = {
                "StorageDirectory": folder,
                "IndexDirectory": folder,
                "DicomPort": port,
                "HttpServerEnabled": False,
            }
            file = Path(folder) / "orthanc.json"
            file.write_text(json.dumps(configuration))
            return [orthanc_program() or "Orthanc", str(file)]

        with _listening(words, no_delay=no_delay) as port:
            yield port


def orthanc_program() -> str | None:
    """The path of Orthanc, if it is installed."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def sink(latency: float = 0.0) -> Iterator[int]:
    """Our own SCP, which discards all instances and waits before it answers; yields its port."""

    def words(port: int) -> list[str]:
        return [asyncstore_program(), "sink", "--quiet", "--port", str(port), "--latency", str(latency)]

    with _listening(words) as port:
        yield port


@contextmanager
def relay(to: int, *, delay: float = 0.0, rate: float = 0.0) -> Iterator[int]:
    """A relay to a port; yields its own port."""

    def words(port: int) -> list[str]:
        command = [sys.executable, "-m", "benchmarks.relay", "--port", str(port), "--to", str(to)]
        return [*command, "--delay", str(delay), "--rate", str(rate)]

    with _listening(words) as port:
        yield port


@contextmanager
def _listening(words: Callable[[int], Sequence[str]], *, no_delay: bool = True) -> Iterator[int]:
    """A program that listens on a port; yields the port."""
    with tempfile.TemporaryFile() as output:
        for _ in range(_ATTEMPTS):  # another process may take the port before the program does
            port = _free_port()
            process = subprocess.Popen(
                words(port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=_ROOT,
                env=environment(no_delay=no_delay),
                start_new_session=True,  # so that its process group can be ended
            )
            try:
                if _accepts(process, port):
                    yield port
                    return
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        printed = output.read().decode(errors="replace")
        raise RunFailed(f"{words(port)[0]} does not listen on its port; it printed: {printed}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port is open; false if the program has ended or takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        time.sleep(0.02)
    return False
