"""What holds for every test."""

import signal

import hypothesis
import pytest

from support.peers import programs
from support.trees import data_sets

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Scripts ignore SIGINT in programs that they run in the background; the programs under test would inherit that."""

hypothesis.settings.register_profile("asyncstore", deadline=None)
hypothesis.settings.load_profile("asyncstore")
"""No test depends on how fast the machine is at the moment."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Tell `find_program` which test runs, so that it can ask for the marker `peers`."""
    programs.running_test = item
    try:
        return (yield)
    finally:
        programs.running_test = None


@pytest.fixture(scope="module")
def files(folder):
    """The files of the module's ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def sent(folder):
    """SHA-256 of the data sets of the module's ``folder``, by SOP instance UID."""
    return data_sets(folder)
