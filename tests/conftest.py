"""What holds for every test."""

import os
import re
import signal
import tempfile
from itertools import count

import hypothesis
import pytest

from support.crashes import processes_with
from support.forked import running_server
from support.oracle import nothing_left_by_the_test, warm_up
from support.peers import programs
from support.trees import data_sets

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Scripts ignore SIGINT in programs that they run in the background; the programs under test would inherit that."""

hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100)
hypothesis.settings.register_profile("asyncstore", deadline=None, max_examples=50)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=15)
hypothesis.settings.load_profile("thorough" if os.environ.get("CI") else "asyncstore")
"""No test depends on how fast the machine is at the moment. ``make test-fast`` takes the quick one."""


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
    folder = tmp_path_factory.mktemp("TMPDIR")
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None
    warm_up()
    with running_server():
        yield folder
    del os.environ["TMPDIR"]
    if before[0] is not None:
        os.environ["TMPDIR"] = before[0]
    tempfile.tempdir = before[1]
    assert not processes_with(b"TMPDIR=" + os.fsencode(folder) + b"\0")


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
    with nothing_left_by_the_test(temporary_folder):
        yield


@pytest.fixture(scope="module")
def files(folder):
    """The files of the module's ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def sent(folder):
    """SHA-256 of the data sets of the module's ``folder``, by SOP instance UID."""
    return data_sets(folder)
