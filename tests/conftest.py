"""What holds for every test."""

import signal

import pytest

from support.trees import data_sets

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Who runs the tests in the background of a script has SIGINT ignored, and so would have the programs under test."""


@pytest.fixture(scope="module")
def files(folder):
    """The files of the module's ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def sent(folder):
    """SHA-256 of the data sets of the module's ``folder``, by SOP instance UID."""
    return data_sets(folder)
