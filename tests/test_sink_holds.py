"""The sink against hostile requestors: they cannot take the resources of others."""

import asyncio
import os
import re
import socket
import stat
import struct
import time
import tracemalloc
import warnings
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.filereader import read_file_meta_info
from pynetdicom.pdu import A_ASSOCIATE_AC

from asyncstore import Result, RetryOptions, Sink, UsageError
from support.commands import running_sink
from support.oracle import GUARD, in_both_loops, nothing_left_behind, send, until
from support.peers.acceptor import ABORT, ASSOCIATE_AC, LAST, P_DATA, item, pdu, pdv
from support.peers.certificates import sink_and_requestor
from support.peers.requestor import (
    CT,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    associate_request,
    associated,
    connected,
    last_word,
    store_request,
)
from support.trees import instances

pytestmark = pytest.mark.slow

DATA_SET = pdu(P_DATA, pdv(1, LAST, b"\x08\x00\x18\x00UI\x02\x001\0"))
HOURS = 3600.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sent")
    instances(folder, 3, data_set_bytes=3000)
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def no_errors_of_the_loop():
    """Check that no exception reaches the event loop."""
    errors = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: errors.append(context))
    try:
        yield
    finally:
        loop.set_exception_handler(None)
    assert errors == []


def store_of(uid, sop_class=None):
    """Encode a C-STORE-RQ with these bytes as SOP instance UID, and a data set."""
    placeholder = "1" * (len(uid) + len(uid) % 2)
    elements = {} if sop_class is None else {"AffectedSOPClassUID": "2" * len(sop_class)}
    with warnings.catch_warnings(action="ignore"):  # of a UID that is too long
        request = store_request(placeholder, **elements)
    request = request.replace(placeholder.encode(), uid.ljust(len(placeholder), b"\0"))
    return request.replace(b"2" * len(sop_class), sop_class) + DATA_SET if sop_class else request + DATA_SET


def status_of(body):
    """Return the status in a response."""
    [status] = re.findall(rb"\0\0\0\x09\x02\0\0\0(..)", body, re.DOTALL)
    return int.from_bytes(status, "little")


# Time -----------------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_a_silent_association_ends_and_makes_room_for_another(files, caplog):
    async with (
        nothing_left_behind(),
        Sink(port=0, max_associations=1, idle_timeout=0.2) as sink,
        associated(sink.port) as silent,
    ):
        assert await silent.read_pdu() == (ABORT, bytes(4))
        await until(lambda: sink.tally.associations == 0)
        ran = await send(sink.port, files, associations=1, retry=RetryOptions(9))  # on a busy machine it is silent, too
        assert ran.results == {Result.STORED: len(files)}
    assert ": nothing was sent or taken for 0.2 s; the association is aborted" in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(store_request("1.2.3")[:20], id="a command"),
        pytest.param(store_request("1.2.3"), id="a message"),
        pytest.param(store_request("1.2.3") + pdu(P_DATA, pdv(1, 0, bytes(100))), id="a data set"),
        pytest.param(store_request("1.2.3") + pdu(P_DATA, pdv(1, LAST, bytes(100)))[:50], id="a fragment"),
    ],
)
async def test_silence_within_a_message_ends_it_and_leaves_no_file(tmp_path, said):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, idle_timeout=0.5) as sink:
        async with associated(sink.port) as scu:
            await scu.write(said)
            assert await scu.read_pdu() == (ABORT, bytes(4))
        await until(lambda: sink.tally.associations == 0)
        assert list(tmp_path.iterdir()) == []


async def test_a_slow_requestor_is_not_idle(tmp_path):
    async with Sink(port=0, output=tmp_path, idle_timeout=1.0) as sink, associated(sink.port) as scu:
        for byte in (store_request("1.2.3") + DATA_SET)[:-24]:
            await scu.write(bytes((byte,)))
        for byte in (store_request("1.2.3") + DATA_SET)[-24:]:
            await asyncio.sleep(0.1)
            await scu.write(bytes((byte,)))
        kind, body = await scu.read_pdu()
        assert (kind, status_of(body)) == (P_DATA, 0)


@in_both_loops
async def test_a_requestor_that_waits_for_its_response_is_not_idle():
    async with Sink(port=0, latency=0.8, idle_timeout=0.5) as sink, associated(sink.port) as scu:
        await scu.write(ECHO)
        assert (await scu.read_pdu())[0] == P_DATA


async def test_without_an_idle_timeout_an_association_may_be_silent():
    async with Sink(port=0, idle_timeout=0) as sink, associated(sink.port) as scu:
        await asyncio.sleep(0.2)
        await scu.write(ECHO)
        assert (await scu.read_pdu())[0] == P_DATA


@in_both_loops
async def test_a_requestor_that_never_reads_its_responses_ends():
    async with (
        nothing_left_behind(),
        Sink(port=0, idle_timeout=0.5) as sink,
        associated(sink.port, window=0) as greedy,
    ):
        asking = asyncio.create_task(greedy.write(ECHO * 200_000))
        await until(lambda: sink.tally.echoes)
        await until(lambda: sink.tally.associations == 0)
        await asyncio.gather(asking, return_exceptions=True)


async def test_the_command_takes_an_idle_timeout_and_lets_the_group_read(tmp_path):
    options = ("--output", tmp_path / "out", "--group-readable", "--idle-timeout", "0.5")
    async with running_sink(*options) as sink, associated(sink.port) as scu:
        await scu.write(store_of(b"1.2.3"))
        assert [(await scu.read_pdu())[0] for _ in range(2)] == [P_DATA, ABORT]
    assert stat.S_IMODE((tmp_path / "out" / "1.2.3.dcm").stat().st_mode) == 0o640


def test_an_idle_timeout_below_zero_is_refused():
    with pytest.raises(UsageError, match=r"^idle_timeout: -1 is not 0 or more"):
        Sink(idle_timeout=-1)


# Memory ---------------------------------------------------------------------------------------------------------------


def request_of(length):
    """Encode the header of an A-ASSOCIATE-RQ of this length, and half of the rest."""
    return struct.pack(">BxL", 1, length) + struct.pack(">H66x", 1) + bytes(length // 2)


@pytest.mark.parametrize("length", [(320 << 10) + 1, 1 << 20])
async def test_an_overlong_association_request_is_refused_at_its_header(length, monkeypatch):
    monkeypatch.setattr("asyncstore.network.acceptor.ARTIM", HOURS)
    async with nothing_left_behind(), Sink(port=0) as sink, connected(sink.port) as scu:
        await scu.write(struct.pack(">BxL", 1, length))
        assert (await scu.read_pdu())[0] == ABORT


async def test_the_longest_useful_association_request_is_accepted():
    every = tuple(uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax")
    contexts = tuple((number, f"{CT}.{number}".ljust(64, "1"), every) for number in range(1, 256, 2))
    identity = item(0x58, struct.pack(">BxH", 4, 65_000) + bytes(65_000) + bytes(2))
    request = bytearray(associate_request(contexts=contexts))
    user = request.rindex(item(0x51, struct.pack(">L", 16384)))
    request += identity
    request[user - 2 : user] = (len(request) - user).to_bytes(2, "big")
    request[2:6] = (len(request) - 6).to_bytes(4, "big")
    assert len(request) > 256 << 10
    async with Sink(port=0) as sink, connected(sink.port) as scu:
        await scu.write(bytes(request))
        kind, body = await scu.read_pdu()
        assert kind == ASSOCIATE_AC
        assert set(results_of(body).values()) == {0}


@in_both_loops
async def test_an_association_request_within_an_association_is_not_collected():
    async with nothing_left_behind(), Sink(port=0) as sink, associated(sink.port) as scu:
        await scu.write(struct.pack(">BxL", 1, 300_000))
        assert (await scu.read_pdu())[0] == ABORT


def descriptors(process="self"):
    """Return the number of open descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which descriptors are open")
@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "TLS"])
async def test_few_connections_without_an_association_are_open_at_once(tmp_path, monkeypatch, is_secured):
    for module in ("acceptor", "tls"):
        monkeypatch.setattr(f"asyncstore.network.{module}.ARTIM", HOURS)
    monkeypatch.setattr("asyncstore.network.port._MOST_NEGOTIATING", 10)
    monkeypatch.setattr("asyncstore.network.port._PATIENCE", 0.05)
    ours, theirs = sink_and_requestor(tmp_path) if is_secured else (None, None)
    async with nothing_left_behind(), AsyncExitStack() as peers, Sink(port=0, tls=ours, max_associations=1) as sink:
        before = descriptors()
        silent = [peers.enter_context(socket.socket()) for _ in range(100)]
        most = 0
        for number, one in enumerate(silent):
            if number % 30 == 20:
                time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still, and all of them have had their time
            one.setblocking(False)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", sink.port))
            begun = b"\x16\x03\x01" if is_secured else request_of(1000)
            await asyncio.get_running_loop().sock_sendall(one, begun)
            most = max(most, descriptors() - before - len(silent))
        assert most <= 10
        async with asyncio.timeout(GUARD):
            answered = await peers.enter_async_context(associated(sink.port, theirs))
        await answered.release()


async def test_many_connections_at_once_are_all_served(monkeypatch):
    monkeypatch.setattr("asyncstore.network.port._MOST_NEGOTIATING", 2)
    monkeypatch.setattr("asyncstore.network.port._CROWDED_PAUSE", 0.01)
    async with nothing_left_behind(), Sink(port=0) as sink, AsyncExitStack() as peers:
        scus = await asyncio.gather(*(peers.enter_async_context(connected(sink.port)) for _ in range(40)))
        await asyncio.gather(*(scu.write(associate_request()) for scu in scus))
        assert {(await scu.read_pdu())[0] for scu in scus} == {ASSOCIATE_AC}
        assert sink.tally.associations == 40


@in_both_loops
async def test_receiving_pauses_while_too_many_responses_wait():
    many = 200_000
    async with nothing_left_behind(), Sink(port=0, latency=HOURS) as sink, associated(sink.port, window=0) as greedy:
        asking = asyncio.create_task(greedy.write(ECHO * many))
        taken = -1
        while sink.tally.echoes != taken or not taken:
            taken = sink.tally.echoes
            await asyncio.sleep(0.3)
        assert taken < 5000
        asking.cancel()


@in_both_loops
async def test_all_delayed_responses_are_sent(monkeypatch):
    monkeypatch.setattr("asyncstore.network.acceptor._MOST_DELAYED", 10)
    many = 20_000
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink, associated(sink.port, window=0) as scu:
        asking = asyncio.create_task(scu.write(ECHO * many))
        for _ in range(many):
            assert (await scu.read_pdu())[0] == P_DATA
        await asking
        await scu.release()


async def test_delayed_responses_in_tiny_pdus_take_little_memory():
    many = 1000
    async with (
        nothing_left_behind(),
        Sink(port=0, latency=HOURS) as sink,
        associated(sink.port, window=0, maximum_length=8) as scu,
    ):
        tracemalloc.start()
        try:
            await scu.write(ECHO * many)
            await until(lambda: sink.tally.echoes == many)
            assert tracemalloc.get_traced_memory()[0] < 3000 * many  # in lists of pieces they take 11 kB each
        finally:
            tracemalloc.stop()


# Descriptors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_associated", [False, True], ids=["connections", "associations"])
async def test_an_association_keeps_a_descriptor_for_its_file(tmp_path, is_associated):
    resource = pytest.importorskip("resource")
    async with running_sink("--output", tmp_path) as sink, associated(sink.port) as scu:
        _, hard = resource.prlimit(sink.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(sink.process.pid, resource.RLIMIT_NOFILE, (60, hard))
        async with AsyncExitStack() as others:
            for _ in range(100):
                other = await others.enter_async_context(connected(sink.port))
                if is_associated:
                    await other.write(associate_request())
            many = -1
            while many != descriptors(sink.process.pid):
                many = descriptors(sink.process.pid)
                await asyncio.sleep(0.5)
            for number in range(3):
                await scu.write(store_of(b"1.2.%d" % number))
                kind, body = await scu.read_pdu()
                assert (kind, status_of(body)) == (P_DATA, 0)
    assert len(list(tmp_path.iterdir())) == 3


# Faults of our own ----------------------------------------------------------------------------------------------------


class FaultySink(Sink):
    """A sink with a fault in one place, which occurs once."""

    def __init__(self, where, **options):
        super().__init__(**options)
        self._where = where

    def _fail(self, where):
        if self._where == where:
            self._where = ""
            raise RuntimeError("a fault")

    def decide(self, request):
        self._fail("decide")
        return super().decide(request)

    def store(self, request, transfer_syntax):
        self._fail("store")
        storing = super().store(request, transfer_syntax)
        for name in ("write", "finish"):
            method = getattr(storing, name)
            setattr(storing, name, lambda *data, name=name, method=method: (self._fail(name), method(*data))[1])
        return storing

    def echoed(self):
        self._fail("echoed")
        super().echoed()


@in_both_loops
@pytest.mark.parametrize("where", ["decide", "store", "write", "finish", "echoed"])
async def test_a_fault_of_our_own_ends_one_association_and_no_other(files, tmp_path, caplog, where):
    async with nothing_left_behind(), FaultySink(where, port=0, output=tmp_path, max_associations=1) as sink:
        with no_errors_of_the_loop():
            async with connected(sink.port) as scu:
                await scu.write(associate_request())
                kind, _ = await scu.read_pdu()
                if where != "decide":
                    assert kind == ASSOCIATE_AC
                    await scu.write(ECHO if where == "echoed" else store_of(b"1.2.3"))
                    kind, _ = await scu.read_pdu()
                assert kind == ABORT
            await until(lambda: sink.tally.associations == 0)
            assert list(tmp_path.iterdir()) == []
            assert (await send(sink.port, files, associations=1)).results == {Result.STORED: len(files)}
    assert ": a fault of this program; the association is aborted" in caplog.text


@pytest.mark.parametrize("length", [65_000, 66_000, 100_000])
async def test_a_uid_of_any_length_leaves_no_partial_file_and_the_others_are_served(files, tmp_path, length):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        with no_errors_of_the_loop():
            async with associated(sink.port) as scu:
                for _ in range(10):  # so that the kernel delivers much at once
                    await scu.write(store_request("1.2.3") + pdu(P_DATA, pdv(1, LAST, bytes(100_000))))
                    assert (await scu.read_pdu())[0] == P_DATA
                await scu.write(store_of(b"1" * length))
                kind, _ = await last_word(scu)
                assert kind == (P_DATA if length == 65_000 else ABORT)
            await until(lambda: sink.tally.associations == 0)
            assert list(tmp_path.glob(".*")) == []
            assert (await send(sink.port, files)).results == {Result.STORED: len(files)}


# Files ----------------------------------------------------------------------------------------------------------------


async def stored(sink, *uids):
    """Store an instance with each UID, and return the statuses."""
    statuses = []
    async with associated(sink.port) as scu:
        for uid in uids:
            await scu.write(store_of(uid))
            kind, body = await scu.read_pdu()
            assert kind == P_DATA
            statuses.append(status_of(body))
    return statuses


UIDS = [
    b"1.2.3", b"1.2.3.", b".1.2.3", b"1.2.3/", b"1.2/3", b"1.2\\3", b"1.2_3", b"1.2\0003", b"1.2 3", b"1.2\n3",
    b" 1.2.3", b"1.2\xff", b"1.2\xfe", b"1.2\xef\xbf\xbd", b"1.2?", b"1.2\xc3\xa4", b"1.2a\xcc\x88",
    b"1.2.A", b"1.2.a", b"1.2.FF", b"1.2.ff", b"CON", b"con", b"nul", b"aux.1", b"~", b"-", b"\x1b[31m",
    b"..", b".", b"...", b"/", b"//", b"../1.2.3", b"/1.2.3",
    b"1" * 64, b"1" * 65, b"1" * 66, b"1" * 300, b"/" * 64, b"/" * 65,
]  # fmt: skip


async def test_two_uids_never_share_a_file_even_if_case_is_ignored(tmp_path):
    output = tmp_path / "out"
    async with nothing_left_behind(), Sink(port=0, output=output) as sink:
        assert await stored(sink, *UIDS) == [0] * len(UIDS)
        assert (sink.tally.instances, sink.tally.replaced) == (len(UIDS), 0)
        names = {path.name for path in output.iterdir()}
        assert len({name.casefold() for name in names}) == len(UIDS)
        assert all(re.fullmatch(r"[0-9a-z._-]{1,110}\.dcm", name) for name in names)
        assert {"1.2.3.dcm", "1.2.3..dcm", "1.2.a.dcm", f"{'1' * 64}.dcm"} <= names
        assert list(tmp_path.iterdir()) == [output]
        assert await stored(sink, *UIDS) == [0] * len(UIDS)  # each of them finds its own again
        assert sink.tally.replaced == len(UIDS)


async def test_the_file_meta_information_has_the_uid_unchanged(tmp_path):
    async with Sink(port=0, output=tmp_path) as sink:
        await stored(sink, b"1.2\xff")
    [path] = tmp_path.iterdir()
    assert b"\x02\x00\x03\x00UI\x04\x001.2\xff" in path.read_bytes()
    assert read_file_meta_info(path).TransferSyntaxUID == EXPLICIT


def link_to_a_file(path, target):
    path.symlink_to(target)


def link_to_nothing(path, target):
    path.symlink_to(target.parent / "not there")


def folder_instead(path, _target):
    path.mkdir()


def pipe_instead(path, _target):
    os.mkfifo(path)


@pytest.mark.parametrize("planted", [link_to_a_file, link_to_nothing, folder_instead, pipe_instead])
@pytest.mark.parametrize("name", ["1.2.3.dcm", ".0123.partial"])
async def test_only_regular_files_are_replaced(tmp_path, monkeypatch, caplog, planted, name):
    output, target = tmp_path / "out", tmp_path / "target"
    output.mkdir()
    target.write_text("precious")
    planted(output / name, target)
    before = (output / name).lstat()
    monkeypatch.setattr("secrets.token_hex", lambda _length: "0123")
    async with nothing_left_behind(), Sink(port=0, output=output) as sink:
        assert await stored(sink, b"1.2.3") == [0xA700]
    assert (target.read_text(), sorted(tmp_path.iterdir())) == ("precious", [output, target])
    assert [path.name for path in output.iterdir()] == [name]
    assert (output / name).lstat().st_ino == before.st_ino
    assert f"cannot store files in {output}: " in caplog.text


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("options", "file", "folder"), [({}, 0o600, 0o700), ({"group_readable": True}, 0o640, 0o750)])
async def test_only_the_owner_can_read_files_unless_the_group_may(tmp_path, options, file, folder, umask):
    before = os.umask(umask)
    try:
        async with Sink(port=0, output=tmp_path / "out", **options) as sink:
            await stored(sink, b"1.2.3")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == folder
    assert stat.S_IMODE((tmp_path / "out" / "1.2.3.dcm").stat().st_mode) == file


async def test_an_existing_folder_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    async with Sink(port=0, output=tmp_path, group_readable=True):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="RLIMIT_FSIZE works as it does on Linux")
async def test_a_file_that_cannot_be_written_is_removed_at_once(files, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink, associated(sink.port) as scu:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            await scu.write(store_request("1.2.3") + pdu(P_DATA, pdv(1, 0, bytes(1000))))
            await until(lambda: list(tmp_path.iterdir()))
            await scu.write(pdu(P_DATA, pdv(1, 0, bytes(20_000))))
            await until(lambda: not list(tmp_path.iterdir()))  # its data set has not ended yet
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await scu.write(pdu(P_DATA, pdv(1, LAST, bytes(1000))))
        assert status_of((await scu.read_pdu())[1]) == 0xA700
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}


# Contexts -------------------------------------------------------------------------------------------------------------


def results_of(accepted):
    """Return the result of each context of an A-ASSOCIATE-AC by its id; twice the same id is an error."""
    answered = A_ASSOCIATE_AC()
    answered.decode(pdu(ASSOCIATE_AC, accepted))
    results = [(context.context_id, context.result) for context in answered.presentation_context]
    return dict(results)


NOT_ASCII = "\u00e4"
LONG = "1" * 65


@pytest.mark.parametrize(
    ("abstract", "transfer_syntaxes", "result"),
    [
        ("", (EXPLICIT,), 3),
        ("\0", (EXPLICIT,), 3),
        (" ", (EXPLICIT,), 3),
        ("1.2 3", (EXPLICIT,), 3),
        ("1.2\n3", (EXPLICIT,), 3),
        (NOT_ASCII, (EXPLICIT,), 3),
        (LONG, (EXPLICIT,), 3),
        ("1" * 60_000, (EXPLICIT,), 3),
        (CT, (), 4),
        (CT, ("",), 4),
        (CT, ("", "\0", NOT_ASCII, LONG, NOT_ASCII * 10_000), 4),
        (CT, ("", NOT_ASCII, IMPLICIT, EXPLICIT), 0),
        ("1" * 64, (EXPLICIT,), 0),
        ("0A1B2C3D", (EXPLICIT,), 0),  # as anonymisers write, and some peers take
    ],
    ids=lambda value: ascii(value)[:20],
)
async def test_an_unusable_context_is_rejected_and_others_are_accepted(abstract, transfer_syntaxes, result):
    contexts = ((1, abstract, transfer_syntaxes), (3, CT, (EXPLICIT,)))
    async with Sink(port=0) as sink, associated(sink.port, contexts=contexts) as scu:
        assert results_of(scu.accepted) == {1: result, 3: 0}
        await scu.write(store_request("1.2.3", context_id=3) + pdu(P_DATA, pdv(3, LAST, bytes(100))))
        assert (await scu.read_pdu())[0] == P_DATA
        await scu.release()


@pytest.mark.parametrize("ids", [(1, 1), (3, 1, 5, 1), (0,), (2,), (254,), (2, 2)], ids=str)
async def test_even_and_repeated_context_ids_are_rejected(ids):
    contexts = (*((number, CT, (EXPLICIT,)) for number in ids), (7, CT, (EXPLICIT,)))
    async with Sink(port=0) as sink, associated(sink.port, contexts=contexts) as scu:
        wrong = {number for number in ids if number % 2 == 0 or ids.count(number) > 1}
        assert results_of(scu.accepted) == {number: 2 if number in wrong else 0 for number in (*ids, 7)}


async def test_thousands_of_contexts_are_answered_and_repeated_ids_rejected():
    contexts = tuple((2 * number % 256 + 1, CT, (EXPLICIT,)) for number in range(4000))
    async with nothing_left_behind(), Sink(port=0) as sink, associated(sink.port, contexts=contexts) as scu:
        assert set(results_of(scu.accepted).values()) == {2}
        await scu.release()
