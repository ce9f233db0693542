"""Commands, and worker processes, in forks of a process that has imported asyncstore already.

A command starts in 10 ms instead of 140, a worker process in 10 ms instead of 40, or of 200 if it imports pydicom.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asyncstore.isolated import isolated
from asyncstore.prepare import start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asyncstore.prepare.file_format import FileFormat

_SCRIPT = Path(__file__).with_name("fork_server.py")
_AT_START = ("PYTHON", "LANG", "LC_", "LD_")
"""Beginnings of the variables that an interpreter reads when it starts."""
_NAMES = ("stdin", "stdout", "stderr")


class Forked:
    """A command that runs in a fork; it has the methods and attributes of :class:`asyncio.subprocess.Process`.

    Args:
        pid: its process id.
        answers: tells its exit status.
        ending: closed with ``answers``.
        streams: our ends of its standard streams, of those that are pipes.
    """

    def __init__(
        self,
        pid: int,
        answers: asyncio.StreamReader,
        ending: asyncio.StreamWriter,
        streams: Mapping[str, asyncio.StreamReader | asyncio.StreamWriter],
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = (streams.get(name) for name in _NAMES)
        self._ended = asyncio.create_task(self._end(answers, ending))

    async def _end(self, answers: asyncio.StreamReader, ending: asyncio.StreamWriter) -> None:
        try:
            self.returncode = int(await answers.readline())
        finally:
            ending.close()

    async def wait(self) -> int:
        """Wait for its end."""
        await asyncio.shield(self._ended)
        return self.returncode

    async def communicate(self, data: bytes | None = None) -> tuple[bytes | None, bytes | None]:
        """Give it its input, and wait for its end; returns what it wrote to its pipes."""
        out, err, _ = await asyncio.gather(self._rest(self.stdout), self._rest(self.stderr), self._give(data))
        await self.wait()
        return out, err

    async def _rest(self, stream: asyncio.StreamReader | None) -> bytes | None:
        return None if stream is None else await stream.read()

    async def _give(self, data: bytes | None) -> None:
        if self.stdin is not None:
            with suppress(BrokenPipeError, ConnectionResetError):  # it does not read all of it
                self.stdin.write(data or b"")
                await self.stdin.drain()
            self.stdin.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkedWorker:
    """A worker process that is a fork, with what is used of :class:`subprocess.Popen`."""

    def __init__(self, answers: socket.socket, streams: Mapping[str, int]) -> None:
        self._socket, self._answers = answers, answers.makefile("rb", buffering=0)
        self.pid = int(self._answers.readline())
        self.stdin, self.stdout = os.fdopen(streams["stdin"], "wb"), os.fdopen(streams["stdout"], "rb")
        self._status: int | None = None
        self._waiting = threading.Lock()

    def kill(self) -> None:
        """Send SIGKILL, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Return its exit status; ``None``: it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns its exit status. Several threads may wait at once, one of them only to kill it."""
        if not self._waiting.acquire(timeout=timeout):
            raise subprocess.TimeoutExpired("a worker", timeout)
        try:
            if self._status is None:
                if not select.select([self._socket], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("a worker", timeout)
                self._status = int(self._answers.readline())
                self._answers.close()
                self._socket.close()
            return self._status
        finally:
            self._waiting.release()


def fork_workers() -> None:
    """Let the product start its worker processes as forks of the server."""
    start._start = start_worker  # noqa: SLF001 - the seam


start_worker_anew = start._start  # noqa: SLF001 - as above
"""Starts a worker process as the product does."""


def start_worker(file_format: FileFormat) -> ForkedWorker | subprocess.Popen[bytes]:
    """Start a worker process; a new interpreter if there is no server, or if a test lets it run other code."""
    if server is None or start.isolated is not isolated or not server.fits(os.environ):
        return start_worker_anew(file_format)
    return server.start_worker(file_format)


class Server:
    """The process that forks.

    Attributes:
        pid: its process id.
    """

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, _SCRIPT, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._environment = _read_at_start(os.environ)
        self.pid = self._process.pid

    def end(self) -> None:
        """End it; it has nothing to tidy up."""
        self._requests.close()
        self._process.kill()
        self._process.wait()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a new interpreter would start in this environment as the server's did."""
        return _read_at_start(environment) == self._environment

    def start_worker(self, file_format: FileFormat) -> ForkedWorker:
        """Start a worker process."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        answers, ours = self._ask(["worker", file_format.value], start._environment(), streams, session=True)  # noqa: SLF001
        return ForkedWorker(answers, ours)

    async def start(
        self, words: Sequence[str], environment: Mapping[str, str], streams: Mapping[str, int], *, session: bool
    ) -> Forked:
        """Start a command.

        Args:
            words: its words.
            environment: all its variables.
            streams: by name, a descriptor, ``PIPE``, ``DEVNULL`` or ``STDOUT``.
            session: whether it leads a new session.
        """
        answers, ours = self._ask(words, environment, streams, session=session)
        reader, writer = await asyncio.open_connection(sock=answers)
        pid = int(await reader.readline())
        opened = {name: await _stream(name, descriptor) for name, descriptor in ours.items()}
        return Forked(pid, reader, writer, opened)

    def _ask(
        self, words: Sequence[str], environment: Mapping[str, str], streams: Mapping[str, int], *, session: bool
    ) -> tuple[socket.socket, dict[str, int]]:
        """Ask for a process; returns the socket for the answers, and our ends of its streams."""
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "words": words,
            "environment": dict(environment),
            "folder": str(Path.cwd()),
            "umask": umask,
            "session": session,
        }
        ours, theirs = {}, []
        answers, their_answers = socket.socketpair()
        try:
            for name in _NAMES:
                _open_stream(name, streams[name], ours, theirs)
            socket.send_fds(self._requests, [json.dumps(request).encode()], [*theirs, their_answers.fileno()])
        finally:
            their_answers.close()
            for descriptor in theirs:
                os.close(descriptor)
        return answers, ours


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


def _open_stream(name: str, chosen: int, ours: dict[str, int], theirs: list[int]) -> None:
    """Add their end of a stream to theirs, and our end to ours if it is a pipe."""
    if chosen == subprocess.PIPE:
        reading, writing = os.pipe()
        ours[name] = writing if name == "stdin" else reading
        theirs.append(reading if name == "stdin" else writing)
    elif chosen == subprocess.DEVNULL:
        theirs.append(os.open(os.devnull, os.O_RDWR))
    else:
        theirs.append(os.dup(theirs[1] if chosen == subprocess.STDOUT else chosen))


async def _stream(name: str, descriptor: int) -> asyncio.StreamReader | asyncio.StreamWriter:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    file = os.fdopen(descriptor, "wb" if name == "stdin" else "rb", buffering=0)  # the transport closes it
    if name != "stdin":
        await loop.connect_read_pipe(lambda: protocol, file)
        return reader
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    return asyncio.StreamWriter(transport, protocol, reader, loop)


server: Server | None = None
"""The server of these tests, while there is one."""


@contextmanager
def running_server() -> Iterator[None]:
    """Run a server where the system can tell of a process's end (Linux); otherwise commands are started anew."""
    global server  # noqa: PLW0603 - one for all tests of a process
    if not hasattr(os, "pidfd_open"):
        yield
        return
    server = Server()
    try:
        yield
    finally:
        server.end()
        server = None
