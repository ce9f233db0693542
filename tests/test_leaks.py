"""What a test leaves behind is noticed after it."""

import socket
import subprocess
import sys
import threading

import pytest

from support import oracle
from support.oracle import nothing_left_by_the_test


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(oracle, "_SETTLING_SECONDS", 0.05)


def test_nothing_is_said_where_nothing_is_left(tmp_path):
    with nothing_left_by_the_test(tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "file").unlink()


def test_a_socket_that_is_left_open_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match=r"left behind: .*socket:"), nothing_left_by_the_test(tmp_path):
        left = socket.socket()
    left.close()


def test_a_file_that_is_left_in_the_temporary_folder_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match=r"left behind: .*/file"), nothing_left_by_the_test(tmp_path):
        (tmp_path / "file").touch()


def test_a_thread_that_goes_on_is_noticed(tmp_path):
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="goes on")
    with pytest.raises(AssertionError, match=r"left behind: .*goes on"), nothing_left_by_the_test(tmp_path):
        thread.start()
    over.set()
    thread.join()


def test_a_process_that_goes_on_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match=r"left behind: .*child process"), nothing_left_by_the_test(tmp_path):
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.communicate()
