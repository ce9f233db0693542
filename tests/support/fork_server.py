"""A process that has imported asyncstore's commands, and runs each command in a fork of itself.

It is a script: ``python fork_server.py NUMBER``, with the file descriptor of a socket for requests. Each request is a
packet of JSON (``words``, ``environment``, ``folder``, ``umask``, ``session``) with four descriptors: the command's
standard input, output and error, and a socket for the answer: a line with its process id, and a line with its exit
status when it has ended. The process ends when the socket for requests is closed.

A fork runs what the installed program ``asyncstore`` runs, and ends as that does. The worker process that a command
starts first is a fork of it. The words ``worker`` and a file format ask for a worker process alone.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_ROOT = str(Path(__file__).parents[2])
_NOT_IMPORTED = ("asyncstore.__main__", "asyncstore.prepare.pixels.", "asyncstore.prepare.transcode")
"""Beginnings of the names of modules: one runs a command, and others import numpy, which only worker processes do."""
_LONGEST = 1 << 20
_STREAMS = 3


def import_commands() -> None:
    """Import what commands import, pydicom too, which takes 0.15 s, but not what pydicom imports where it is there."""
    import asyncstore  # the script sets sys.path before

    hidden: dict[str, Any] = dict.fromkeys(("gdcm", "numpy", "requests"))
    sys.modules.update(hidden)  # importing them fails
    for module in pkgutil.walk_packages(asyncstore.__path__, "asyncstore."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    import encodings.idna  # noqa: F401 - of host names

    import uvloop  # noqa: F401 - as above; commands import it when they run

    for name in hidden:
        del sys.modules[name]


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Answer requests until the socket is closed. In each fork it returns the request."""
    running: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                poll.unregister(ready)
                process, answers = running.pop(ready)
                _report(process, answers)
                os.close(ready)
                continue
            packet, descriptors, _, _ = socket.recv_fds(requests, _LONGEST, _STREAMS + 1)
            if not packet:
                return None
            answers = socket.socket(fileno=descriptors.pop())
            process = os.fork()
            if not process:
                requests.close()
                answers.close()
                for descriptor, (_, other) in running.items():
                    os.close(descriptor)
                    other.close()
                _take_streams(descriptors)
                return json.loads(packet)
            for descriptor in descriptors:
                os.close(descriptor)
            descriptor = os.pidfd_open(process)
            running[descriptor] = process, answers
            poll.register(descriptor, select.POLLIN)
            with suppress(OSError):  # nobody waits for it any more
                answers.sendall(b"%d\n" % process)


def _report(process: int, answers: socket.socket) -> None:
    _, status = os.waitpid(process, 0)
    with answers, suppress(OSError):
        answers.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _take_streams(descriptors: list[int]) -> None:
    """Make the descriptors the standard streams, and open Python's files on them anew, as the interpreter does."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name in ("stdin", "stdout", "stderr"):
        old = getattr(sys, name)
        mode = "r" if name == "stdin" else "w"
        new = open(old.fileno(), mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        if name == "stderr":
            new.reconfigure(line_buffering=True)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _run_worker(file_format: str) -> NoReturn:
    """Be a worker process of this process's parent."""
    from asyncstore.prepare import worker

    sys.argv = ["-c", file_format, str(os.getppid())]
    worker.main()
    sys.stdout.flush()
    os._exit(0)


class _Worker:
    """A worker process that is a fork of a command, with what is used of :class:`subprocess.Popen`."""

    def __init__(self, file_format: str) -> None:
        reading, self_writing = os.pipe()
        self_reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            with suppress(Exception):
                signal.signal(signal.SIGINT, signal.default_int_handler)
                _take_streams([reading, writing, os.open(os.devnull, os.O_RDWR)])
                os.closerange(_STREAMS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
                os.setsid()
                _run_worker(file_format)
            os._exit(1)
        os.close(reading)
        os.close(writing)
        self.stdin, self.stdout = open(self_writing, "wb"), open(self_reading, "rb")  # noqa: SIM115 - they stay open
        self._status: int | None = None

    def kill(self) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):  # a thread is about to note its end
                os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float) -> int:
        if self._status is None:
            ended = os.pidfd_open(self.pid)
            try:
                if not select.select([ended], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("a worker", timeout)
            finally:
                os.close(ended)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status


def _fork_workers() -> None:
    """Let the command start its worker processes as forks, as long as it has no other thread."""
    from asyncstore.prepare import start

    start_anew = start._start  # noqa: SLF001 - the seam

    def start_forked(file_format: Any) -> Any:
        is_alone = len(os.listdir("/proc/self/task")) == 1
        return _Worker(file_format.value) if is_alone else start_anew(file_format)

    start._start = start_forked  # noqa: SLF001 - as above


def _become(request: dict[str, Any]) -> None:
    """Take over the surroundings of the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["umask"])
    os.chdir(request["folder"])
    if request["session"]:
        os.setsid()
    sys.path[0] = request["folder"]
    sys.argv = [str(Path(_ROOT, "asyncstore", "__main__.py")), *request["words"]]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end this process
    sys.path.insert(1, _ROOT)
    import_commands()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all pages
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is None:
        os._exit(0)
    _become(asked)
    if asked["words"][:1] == ["worker"]:
        _run_worker(asked["words"][1])
    _fork_workers()
    from asyncstore.__main__ import main

    sys.exit(main())
