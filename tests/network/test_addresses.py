"""The addresses of a peer: each is tried, none blocks the others, and IPv6 works like IPv4.

``-to`` limits the whole attempt. The silent addresses here drop SYNs, as a firewall does.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from asyncstore import Result, Sender, Sink, UsageError
from asyncstore.cli.text.hints import hint_of
from asyncstore.errors import ConnectFailed
from asyncstore.network.addresses import address_of, connect, listen
from support.commands import DEADLINE, asyncstore, finished, started
from support.oracle import GUARD, assert_true, finish, in_both_loops, nothing_left_behind, send, until
from support.peers.black_hole import black_hole
from support.peers.programs import has_ipv6
from support.peers.pynetdicom_scp import running_pynetdicom_scp
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow

FOREVER = 3600
"""Seconds, longer than any test may take."""


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return instances(tmp_path_factory.mktemp("addresses") / "files", 3)


@pytest.fixture
def resolved(monkeypatch):
    """Resolves every host name to these addresses, in this order."""

    def resolve(*addresses):
        async def _addresses(*_):
            return [
                (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
                for where in addresses
                for host in where[:1]
            ]

        monkeypatch.setattr("asyncstore.network.addresses._addresses", _addresses)

    return resolve


# One of several addresses ---------------------------------------------------------------------------------------------


@in_both_loops
async def test_each_address_of_a_host_is_tried(resolved):
    async with nothing_left_behind():
        with listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            resolved(("127.0.0.2", port), ("127.0.0.3", port), ("127.0.0.1", port))
            with await connect("two.of.three.are.down", port, GUARD) as opened:
                assert opened.getpeername() == ("127.0.0.1", port)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list threads")
@in_both_loops
async def test_a_numeric_address_starts_no_thread():
    """Neither one of ours nor those with which uvloop resolves names."""
    with listen("127.0.0.1", 0) as listening:
        before = set(os.listdir("/proc/self/task"))
        with await connect("127.0.0.1", listening.getsockname()[1], GUARD):
            assert set(os.listdir("/proc/self/task")) <= before


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@in_both_loops
async def test_a_peer_that_listens_in_one_ip_version_is_reached(resolved, host):
    async with nothing_left_behind():
        with listen(host, 0) as listening:
            port = listening.getsockname()[1]
            resolved(("::1", port), ("127.0.0.1", port))
            with await connect("localhost", port, GUARD) as opened:
                assert opened.getpeername()[:2] == (host, port)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6), "localhost"])
async def test_only_a_name_needs_the_thread_of_the_resolver(monkeypatch, host):
    calls = []

    async def call(_thread, function, *arguments, **named):
        calls.append(arguments)
        return function(*arguments, **named)

    monkeypatch.setattr("asyncstore.network.addresses.WaitingThread.call", call)
    async with nothing_left_behind():
        with listen(host, 0) as listening:
            port = listening.getsockname()[1]
            with await connect(host, port, GUARD) as opened:
                assert opened.getpeername() == listening.getsockname()
    assert calls == ([("localhost", port)] if host == "localhost" else [])


@in_both_loops
async def test_a_signal_does_not_end_the_attempt(monkeypatch):
    """The system goes on with it (POSIX, connect(2): EINTR)."""

    class Interrupted(socket.socket):
        def connect(self, address):
            with suppress(BlockingIOError):
                super().connect(address)
            raise InterruptedError

    monkeypatch.setattr(socket, "socket", Interrupted)
    async with nothing_left_behind():
        with (
            listen("127.0.0.1", 0) as listening,
            await connect("127.0.0.1", listening.getsockname()[1], GUARD) as opened,
        ):
            assert opened.getpeername() == listening.getsockname()


@in_both_loops
async def test_a_silent_address_does_not_block_the_next_one(resolved):
    async with nothing_left_behind():
        with black_hole() as silent, listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            resolved(("127.0.0.1", silent), ("127.0.0.1", silent), ("127.0.0.1", port))
            async with asyncio.timeout(GUARD):
                with await connect("the.first.is.behind.a.firewall", port, FOREVER) as opened:
                    assert opened.getpeername() == ("127.0.0.1", port)


@in_both_loops
async def test_a_slow_address_is_still_waited_for_when_the_others_have_failed(resolved, refusing_port):
    async with nothing_left_behind():
        with black_hole() as silent:
            resolved(("127.0.0.1", silent), ("127.0.0.1", refusing_port))
            with pytest.raises(ConnectFailed, match=r"no answer within 0\.6 s"):
                await connect("one.is.silent.and.one.is.down", 104, 0.6)


async def test_two_addresses_that_answer_at_once_make_one_connection(resolved):
    async with nothing_left_behind():
        with listen("127.0.0.1", 0) as first, listen("127.0.0.1", 0) as second:
            resolved(first.getsockname(), second.getsockname())
            with await connect("both.are.up", 104, GUARD) as opened:
                assert opened.getpeername() == first.getsockname()


@needs_ipv6
async def test_addresses_that_failed_differently_are_all_named(resolved, refusing_port):
    resolved(("127.0.0.1", refusing_port), ("127.0.0.1", refusing_port))
    with pytest.raises(ConnectFailed) as failed:
        await connect("down", refusing_port, GUARD)
    assert failed.value.cause == "connection refused: nothing listens there"
    resolved(("ff02::1", refusing_port, 0, 0), ("127.0.0.1", refusing_port))  # multicast is for datagrams
    with pytest.raises(ConnectFailed) as failed:
        await connect("down", refusing_port, GUARD)
    assert re.fullmatch(
        r"ff02::1: [a-z ]+; 127\.0\.0\.1: connection refused: nothing listens there", failed.value.cause
    )


# IP versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "host", "other"), [(6, "127.0.0.1", 4), (4, "::1", 6)])
@in_both_loops
async def test_an_address_of_the_other_ip_version_is_no_peer(version, host, other, refusing_port):
    async with nothing_left_behind():
        with pytest.raises(ConnectFailed) as failed:
            await connect(host, refusing_port, GUARD, version)
    assert failed.value.cause == f"{host} is an IPv{other} address, and only IPv{version} is to be used"
    assert hint_of(failed.value) == f"-i{version} keeps to IPv{version}: -i0 takes every address that the host has."


async def test_a_name_without_an_address_of_the_ip_version_has_its_own_message(monkeypatch):
    def has_none(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", has_none)
    for version, words, has_hint in ((6, " to an IPv6 address", True), (None, "", False)):
        with pytest.raises(ConnectFailed) as failed:
            await connect("pacs", 104, GUARD, version)
        assert failed.value.cause == f"the host name 'pacs' cannot be resolved{words} (Name or service not known)"
        assert ("-i0" in hint_of(failed.value)) == has_hint
        assert "Check how the host name is written" in hint_of(failed.value)
        assert "firewall" not in hint_of(failed.value)


@pytest.mark.parametrize(
    ("host", "error", "hint"),
    [
        ("pacs", socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Check how the host name is written"),
        ("pacs", socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "Check that this machine reaches its name"),
        ("x" * 300, None, "Check how the host name is written"),
    ],
)
async def test_the_hint_for_an_unresolved_name_is_about_the_name(monkeypatch, host, error, hint):
    def fails(*_, **__):
        raise error

    if error is not None:
        monkeypatch.setattr(socket, "getaddrinfo", fails)
    for version in (None, 4):
        with pytest.raises(ConnectFailed) as failed:
            await connect(host, 104, GUARD, version)
        assert hint in hint_of(failed.value)
        assert "firewall" not in hint_of(failed.value)


def test_there_are_two_ip_versions():
    with pytest.raises(UsageError, match="no IP version 5"):
        Sender("localhost", 104, ip_version=5)


async def test_only_addresses_of_one_ip_version_are_tried():
    async with Sink(host="127.0.0.1", port=0, ip_version=4) as sink:
        with await connect("localhost", sink.port, GUARD, 4) as opened:
            assert opened.getpeername() == ("127.0.0.1", sink.port)
    with pytest.raises(UsageError, match=r"cannot listen at 127\.0\.0\.1"):
        async with Sink(host="127.0.0.1", port=0, ip_version=6):
            pass


@pytest.mark.parametrize("host", [pytest.param("::1", marks=needs_ipv6), "localhost"])
@in_both_loops
async def test_our_sink_is_reached_by_other_names_of_this_machine(host, files):
    async with nothing_left_behind(), Sink(host=host, port=0) as sink, Sender(host, sink.port) as sender:
        assert (await finish(sender.send(files))).results == {Result.STORED: 3}


@needs_ipv6
async def test_pynetdicoms_acceptor_is_reached_over_ipv6(files):
    """DCMTK's storescp, up to 3.6.7, listens at IPv4 addresses only."""
    async with running_pynetdicom_scp(host="::1") as scp:
        ran = await send(scp.port, files, peer="::1", ip_version=6)
        assert ran.results == {Result.STORED: 3}
        assert_true(ran, files, scp.stored())


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("::1", "[::1]:104"),
        ("fe80::1%eth0", "[fe80::1%eth0]:104"),
        ("pacs", "pacs:104"),
        ("evil\n\x1b[2J", "evil\\n\\x1b[2J:104"),
    ],
)
def test_an_ipv6_address_is_shown_in_brackets(host, name):
    assert address_of(host, 104) == name


@asynccontextmanager
async def sink_at(*options):
    """An ``asyncstore sink``, as host and port."""
    process = await started("sink", "--port", "0", *options)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE)
        host, port = re.match(rb"listening on \[?(.+?)\]?:(\d+) as", line).groups()
        yield host.decode(), port.decode()
    finally:
        process.kill()
        await process.communicate()


@needs_ipv6
async def test_minus_i6_on_the_command_line(files, tmp_path):
    async with sink_at("-i6", "--output", tmp_path) as (host, port):
        assert host == "::1"
        assert (await asyncstore("send", "-i6", host, port, *files)).returncode == 0
        assert data_sets(tmp_path) == data_sets(files[0].parent)
        assert (await asyncstore("echo", "-i0", "--count", "1", host, port)).returncode == 0
        refused = await asyncstore("send", "-i4", host, port, *files)
    assert refused.returncode == 1
    assert f"asyncstore send: [::1]:{port}: cannot connect: ::1 is an IPv6 address, and only IPv4" in refused.err


async def test_minus_i6_to_a_peer_that_has_only_ipv4(files):
    async with sink_at() as (host, port):
        refused = await asyncstore("send", "-i6", host, port, *files)
        assert (await asyncstore("send", "-i6", "-i0", host, port, *files)).returncode == 0  # the last one counts
    assert refused.returncode == 1
    assert "127.0.0.1 is an IPv4 address, and only IPv6 is to be used" in refused.err
    assert "-i6 keeps to IPv6: -i0 takes every address that the host has." in refused.err


# Silent peers ---------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_a_pending_connection_times_out_and_can_be_cancelled():
    async with nothing_left_behind():
        with black_hole() as port:
            with pytest.raises(ConnectFailed, match=r"no answer within 0\.3 s"):
                await connect("127.0.0.1", port, 0.3)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await connect("127.0.0.1", port, None)


async def test_minus_to_ends_the_attempt(files):
    with black_hole() as port:
        ended = await asyncstore("send", "-to", "1", "127.0.0.1", str(port), *files)
    assert ended.returncode == 1
    assert f"asyncstore send: 127.0.0.1:{port}: cannot connect: no answer within 1 s\n" in ended.err
    assert "no firewall stands between" in ended.err
    assert "Traceback" not in ended.err


def is_dialling(pid):
    """Whether a socket of the process awaits an answer to its SYN (state 2 of proc(5))."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(fields[3] == "02" and fields[9] in inodes for fields in sockets)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not tell of its sockets")
async def test_ctrl_c_ends_a_command_that_is_connecting(files):
    """Without ``-to`` the system would go on for minutes."""
    with black_hole() as port:
        process = await started("send", "127.0.0.1", str(port), *files)
        await until(lambda: is_dialling(process.pid))
        process.send_signal(signal.SIGINT)
        ended = await finished(process)
    assert ended.returncode == 130
    assert "Interrupted" in ended.err
    assert "Traceback" not in ended.err


_IMPATIENT = """
ip link set lo up
echo 0 > /proc/sys/net/ipv4/tcp_syn_linear_timeouts 2>&- || true
echo 1 > /proc/sys/net/ipv4/tcp_syn_retries
exec "$@"
"""
"""Runs a command in a separate network where the system gives up a SYN after 3 seconds."""


async def test_without_minus_to_the_system_gives_up(files):
    """As storescu, which has no limit of its own."""
    private = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*private, _IMPATIENT, "sh", "true"], check=False).returncode:  # noqa: ASYNC221 - nothing else is under way
        pytest.skip("no network of its own is to be had here")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from asyncstore.cli.main import main; from support.peers.black_hole import black_hole\n"
        "with black_hole() as port: sys.exit(main(['send', '127.0.0.1', str(port), sys.argv[2]]))"
    )
    tests = Path(__file__).parents[1]
    words = [*private, _IMPATIENT, "sh", sys.executable, "-c", program, str(tests), str(files[0])]
    process = await asyncio.create_subprocess_exec(*words, stdin=-1, stdout=-1, stderr=-1)
    ended = await finished(process)
    assert ended.returncode == 1
    assert "cannot connect: no answer, and the system gave up waiting\n" in ended.err
