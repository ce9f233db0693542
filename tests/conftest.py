"""What holds for every test.

The process that hands the tests out reads this as well: what imports pydicom, which takes 0.4 s, stands in fixtures.
"""

import gc
import os
import re
import signal
import socket
import tempfile
from itertools import count

import hypothesis
import pytest

from asyncstore.network.addresses import connect
from support.forked import fork_workers, running_server, start_worker_anew
from support.peers import programs

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Scripts ignore SIGINT in programs that they run in the background; the programs under test would inherit that."""

hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100, derandomize=True)
hypothesis.settings.register_profile("asyncstore", deadline=None, max_examples=15)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=8)
hypothesis.settings.load_profile("thorough" if os.environ.get("CI") else "asyncstore")
"""No test depends on how fast the machine is at the moment. ``make test-fast`` takes the quick one. CI tries the same
examples each time, so that a failure there belongs to the change."""


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector away from what is collected here: it lives as long as the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Tell `find_program` which test runs, so that it can ask for the marker `peers`."""
    programs.running_test = item
    try:
        return (yield)
    finally:
        programs.running_test = None


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory):
    """The TMPDIR of the tests and of the programs that they start. None of these outlives the tests."""
    from support.crashes import processes_with
    from support.oracle import warm_up

    folder = tmp_path_factory.mktemp("TMPDIR")
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None
    warm_up()
    fork_workers()
    with running_server():
        yield folder
    del os.environ["TMPDIR"]
    if before[0] is not None:
        os.environ["TMPDIR"] = before[0]
    tempfile.tempdir = before[1]
    assert not processes_with(b"TMPDIR=" + os.fsencode(folder) + b"\0")


@pytest.fixture(scope="session", autouse=True)
def _threads_that_end_soon():
    """Threads that fetch and unpack end as soon as they are idle: every test waits for their end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncstore.discovery.ahead._IDLE_SECONDS", 0.01)
        yield


@pytest.fixture
def tmp_path(request, tmp_path_factory):
    """A new folder; pytest's own would also move a symbolic link to the newest one, at each test."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(_numbers)}"
    folder.mkdir(0o700)
    return folder


_numbers = count()


@pytest.fixture(autouse=True)
def _nothing_left(temporary_folder):
    """Every test closes, ends and removes all that it opens, starts and makes."""
    from support.oracle import nothing_left_by_the_test

    with nothing_left_by_the_test(temporary_folder):
        yield


@pytest.fixture
def refusing_port():
    """A port of loopback on which nobody listens while the test runs."""
    with programs.reserved_port() as port:
        yield port


@pytest.fixture
def real_workers(monkeypatch):
    """Worker processes are new interpreters, as the product starts them, and not forks."""
    monkeypatch.setattr("asyncstore.prepare.start._start", start_worker_anew)


@pytest.fixture
def small_send_buffers(monkeypatch):
    """Sockets take as little as on a real network; loopback takes megabytes."""

    async def connect_with_a_small_buffer(*arguments):
        connected = await connect(*arguments)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        return connected

    monkeypatch.setattr("asyncstore.network.opening.connect", connect_with_a_small_buffer)


@pytest.fixture(scope="module")
def files(folder):
    """The files of the module's ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def sent(folder):
    """SHA-256 of the data sets of the module's ``folder``, by SOP instance UID."""
    from support.trees import data_sets

    return data_sets(folder)
