"""Notifications to a service manager, which is a socket of the test."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from asyncstore.errors import UsageError
from asyncstore.network.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")


@pytest.fixture(params=["in a folder", "abstract"])
def manager(request, tmp_path):
    """A service manager's socket and its address as NOTIFY_SOCKET has it."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        if sys.platform != "linux":
            pytest.skip("abstract addresses are Linux's")
        name = f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name.replace("@", "\0"))
        bound.settimeout(10)
        yield bound, name


def test_lines_arrive_as_one_message(manager):
    bound, name = manager
    notifier = Notifier.of({"NOTIFY_SOCKET": name})
    assert notifier.send("READY=1", "STATUS=so far \udce9")
    assert bound.recv(1000) == b"READY=1\nSTATUS=so far \\udce9"
    notifier.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_there_is_no_notifier(environment):
    assert Notifier.of(environment) is None


@pytest.mark.parametrize("address", ["vsock:2:1", "relative", "-"])
def test_an_address_of_another_kind_is_an_error(address):
    with pytest.raises(UsageError, match=f"NOTIFY_SOCKET holds no address of a Unix socket: {address}"):
        Notifier.of({"NOTIFY_SOCKET": address})


def test_a_manager_that_has_gone_or_reads_nothing_blocks_nobody(tmp_path):
    name = str(tmp_path / "notify")
    notifier = Notifier(name)
    assert not notifier.send("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name)
        sent = sum(notifier.send("STATUS=x") for _ in range(10_000))
    assert 0 < sent < 10_000
    notifier.close()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_the_watchdog_is_fed_if_it_is_meant_for_this_process(variables, seconds):
    notifier = Notifier.of({"NOTIFY_SOCKET": "/run/notify", **variables})
    assert notifier.watchdog == seconds
    notifier.close()
