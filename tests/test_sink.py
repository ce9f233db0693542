"""The sink: other senders can use it, it stores byte for byte, and no peer can block or crash it."""

import asyncio
import random
import socket
import struct
import warnings
from contextlib import AsyncExitStack, contextmanager

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.sop_class import CTImageStorage, Verification

from asyncstore import AssociationRejected, Result, Sender, Sink, Timeouts, UsageError
from asyncstore.load.archive import write_archive
from asyncstore.network.addresses import listen
from support.oracle import GUARD, assert_true, in_both_loops, nothing_left_behind, send, until
from support.peers.acceptor import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    LAST,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    command_set,
    item,
    pdu,
    pdv,
)
from support.peers.certificates import sink_and_requestor
from support.peers.dcmtk import WITHOUT_NAGLE, echoscu, storescu
from support.peers.hostile import (
    COMMAND_SET_OF_GARBAGE,
    EMPTY_P_DATA,
    HTTP,
    PDU_OF_4_GIB,
    PDV_LONGER_THAN_ITS_PDU,
    PDV_SHORTER_THAN_ITS_HEADER,
    UNASKED_DATA_SET,
    UNKNOWN_PDU,
)
from support.peers.programs import find_program, run
from support.peers.requestor import (
    CT,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    associate_request,
    associated,
    connected,
    last_word,
    store_request,
)
from support.trees import data_sets, instances, read_part10

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sent") / "files"
    instances(folder, 8, data_set_bytes=300_000)
    return folder


# Other senders --------------------------------------------------------------------------------------------------------


@pytest.mark.peers
@in_both_loops
async def test_storescu_stores_byte_for_byte(files, sent, tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        assert (await storescu(sink.port, files)).returncode == 0
        assert data_sets(tmp_path) == sent
        assert sink.tally.instances == len(files)
        assert sink.tally.bytes == 300_000 * len(files)
        await until(lambda: sink.tally.associations == 0)


@pytest.mark.peers
@pytest.mark.parametrize("options", [["--max-pdu", "4096", "--max-send-pdu", "4096"], ["--max-send-pdu", "131072"]])
async def test_storescu_with_pdus_short_and_long(files, sent, tmp_path, options):
    async with Sink(port=0, output=tmp_path) as sink:
        assert (await storescu(sink.port, files, *options)).returncode == 0
        assert data_sets(tmp_path) == sent


@pytest.mark.peers
async def test_dcmsend_stores_an_archive_of_several_transfer_syntaxes(tmp_path):
    archive = write_archive(tmp_path / "archive", patients=1)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path / "out") as sink:
        words = [find_program("dcmsend", "dcmtk"), "-dn", "+sd", "+r", "127.0.0.1", str(sink.port), archive.folder]
        ended = await run(*words, environment=WITHOUT_NAGLE)
        assert ended.returncode == 0, ended.output
        assert data_sets(tmp_path / "out").keys() == data_sets(archive.folder).keys()


@pytest.mark.peers
async def test_echoscu_is_answered_and_counted():
    async with nothing_left_behind(), Sink(port=0) as sink:
        assert (await echoscu(sink.port, "--repeat", "3")).returncode == 0
        assert sink.tally.echoes == 3
        assert sink.tally.instances == 0


async def test_pynetdicom_stores_and_verifies(files, sent, tmp_path):
    def status(port, context, request, *values):
        """The status of one request on an association of its own.

        A second request of the same association races with pynetdicom's idle thread, which may take the response.
        """
        ae = AE()
        ae.add_requested_context(*context)
        association = ae.associate("127.0.0.1", port)
        answered = getattr(association, request)(*values)
        association.release()
        return answered.Status

    async with Sink(port=0, output=tmp_path) as sink:
        assert await asyncio.to_thread(status, sink.port, [Verification], "send_c_echo") == 0
        for path in files:
            store = [CTImageStorage, EXPLICIT], "send_c_store", dcmread(path)
            assert await asyncio.to_thread(status, sink.port, *store) == 0
        assert data_sets(tmp_path).keys() == sent.keys()


@pytest.mark.peers
async def test_pydicom_and_dcmtk_read_the_stored_file(files, tmp_path):
    async with Sink(port=0, output=tmp_path) as sink:
        await send(sink.port, files[:1])
    [path] = tmp_path.iterdir()
    assert path.name == f"{read_part10(files[0]).sop_instance_uid}.dcm"
    assert read_part10(path) == read_part10(files[0])
    assert dcmread(path, force=False) == dcmread(files[0])
    dumped = await run(find_program("dcmdump", "dcmtk"), path)
    assert dumped.returncode == 0
    assert "E:" not in dumped.output
    assert "W:" not in dumped.output


async def test_an_instance_that_comes_again_replaces_the_first_and_is_counted_again(files, tmp_path):
    async with Sink(port=0, output=tmp_path) as sink:
        ran = await send(sink.port, [files[0]] * 5, associations=3)
        assert ran.results == {Result.STORED: 5}
        assert (sink.tally.instances, sink.tally.replaced) == (5, 4)
    assert [path.name for path in tmp_path.iterdir()] == [f"{read_part10(files[0]).sop_instance_uid}.dcm"]


@pytest.mark.peers
async def test_without_a_folder_it_counts_and_keeps_nothing(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with Sink(port=0) as sink:
        assert (await storescu(sink.port, files)).returncode == 0
        assert sink.tally.instances == len(files)
    assert list(tmp_path.iterdir()) == []


# Options --------------------------------------------------------------------------------------------------------------


@pytest.mark.peers
async def test_it_rejects_another_called_ae_title(files):
    async with nothing_left_behind(), Sink(port=0, ae_title="SINK") as sink:
        wrong = await storescu(sink.port, files, "-aec", "OTHER")
        assert wrong.returncode != 0
        assert "Called AE Title Not Recognized" in wrong.output
        ran = await send(sink.port, files, called_ae_title="OTHER", associations=1)
        assert isinstance(ran.failure, AssociationRejected)
        assert (ran.failure.result, ran.failure.source, ran.failure.reason) == (1, 1, 7)
        assert (await storescu(sink.port, files, "-aec", "SINK")).returncode == 0
        assert sink.tally.rejected == 2
        assert sink.tally.instances == len(files)


@pytest.mark.peers
async def test_it_limits_the_number_of_associations():
    async with (
        nothing_left_behind(),
        Sink(port=0, max_associations=2) as sink,
        associated(sink.port) as first,
        associated(sink.port),
    ):
        assert sink.tally.associations == 2
        refused = await echoscu(sink.port)
        assert refused.returncode != 0
        assert "Local Limit Exceeded" in refused.output
        await first.release()
        await until(lambda: sink.tally.associations == 1)
        assert (await echoscu(sink.port)).returncode == 0
        assert sink.tally.rejected == 1
        assert sink.tally.associations_total == 3


@pytest.mark.parametrize(("status", "result"), [(0xA700, Result.FAILED), (0xB000, Result.WARNING)])
async def test_it_answers_with_the_given_status(files, tmp_path, status, result):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, status=status) as sink:
        ran = await send(sink.port, files)
        assert ran.results == {result: len(files)}
        assert {outcome.status for outcome in ran.outcomes} == {status}
        assert sink.tally.instances == ran.results[Result.WARNING]
        assert sink.tally.refused[status] == ran.results[Result.FAILED]
        if result is Result.FAILED:
            assert list(tmp_path.iterdir()) == []


async def test_an_instance_answered_with_a_warning_is_stored(files, tmp_path):
    """A warning means that the instance is stored (PS3.7 annex C)."""
    async with Sink(port=0, output=tmp_path, status=0xB000) as sink:
        ran = await send(sink.port, files)
        assert_true(ran, files, data_sets(tmp_path))


async def test_it_waits_before_each_answer(files):
    async with nothing_left_behind(), Sink(port=0, latency=0.05) as sink:
        ran = await send(sink.port, files, associations=2)
        assert all(outcome.seconds > 0.025 for outcome in ran.outcomes)  # half of it: uvloop rounds


@pytest.mark.parametrize(("granted", "proposed", "answered"), [(5, 8, 5), (8, 5, 5), (0, 5, 5), (5, 0, 5), (0, 0, 0)])
async def test_it_grants_a_window_no_larger_than_its_own(granted, proposed, answered):
    async with (
        nothing_left_behind(),
        Sink(port=0, async_operations=granted) as sink,
        associated(sink.port, window=proposed) as scu,
    ):
        assert item(0x53, struct.pack(">HH", answered, 1)) in scu.accepted


async def test_it_grants_no_window_without_a_proposal():
    async with Sink(port=0) as sink, associated(sink.port) as scu:
        assert b"\x53\x00\x00\x04" not in scu.accepted


async def test_within_a_window_it_takes_everything_before_it_answers(files, sent, tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, latency=0.2) as sink:
        ran = await send(sink.port, files, associations=1, async_operations=0)
        assert ran.results == {Result.STORED: len(files)}
        assert data_sets(tmp_path) == sent


async def test_it_announces_the_longest_pdu_and_aborts_at_a_longer_one():
    async with nothing_left_behind(), Sink(port=0, max_pdu=16384) as sink, associated(sink.port) as scu:
        assert item(0x51, struct.pack(">L", 16384)) in scu.accepted
        await scu.write(pdu(P_DATA, pdv(1, COMMAND, bytes(16384))))
        assert (await scu.read_pdu())[0] == ABORT


@pytest.mark.parametrize("options", [{"port": 1}, {"host": "192.0.2.1"}, {"host": "no such host"}])
async def test_an_address_that_cannot_be_bound_is_an_error(options):
    if options == {"port": 1}:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            await _is_refused(Sink(port=taken.getsockname()[1]), "cannot listen at")
    else:
        await _is_refused(Sink(port=0, **options), "cannot listen at")


@pytest.mark.parametrize(
    "options",
    [
        {"port": 65536},
        {"port": -1},
        {"ae_title": "MORE THAN SIXTEEN"},
        {"latency": -0.1},
        {"status": 0x10000},
        {"status": 0xFF00},
        {"max_pdu": -1},
        {"max_associations": 0},
        {"async_operations": 65536},
        {"ip_version": 5},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused_at_once(options):
    with pytest.raises(UsageError):
        Sink(**options)


async def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    await _is_refused(Sink(port=0, output=tmp_path / "file"), "cannot store files in")
    await _is_refused(Sink(port=0, output=tmp_path / "file" / "below"), "cannot store files in")


async def _is_refused(sink, words):
    async with nothing_left_behind():
        with pytest.raises(UsageError, match=words):
            await sink.__aenter__()


async def test_a_disk_that_takes_nothing_is_out_of_resources(files, tmp_path, caplog):
    """The folder vanishes while the sink runs; other failures of writing have the same answer."""
    output = tmp_path / "out"
    async with nothing_left_behind(), Sink(port=0, output=output) as sink:
        output.rmdir()
        ran = await send(sink.port, files)
        assert ran.results == {Result.FAILED: len(files)}
        assert {outcome.status for outcome in ran.outcomes} == {0xA700}
        assert sink.tally.refused == {0xA700: len(files)}
        [warning] = [record.getMessage() for record in caplog.records if record.name == "asyncstore.sink.files"]
        assert warning.startswith(f"cannot store files in {output}: No such file or directory; ")
        output.mkdir()
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}
        assert (sink.tally.instances, sink.tally.replaced) == (len(files), 0)


async def test_a_folder_that_cannot_be_written_or_cleaned_is_out_of_resources(files, tmp_path):
    """A file has replaced the folder; a file system that became read-only behaves alike."""
    output = tmp_path / "out"
    async with nothing_left_behind(), Sink(port=0, output=output) as sink:
        output.rmdir()
        output.touch()
        ran = await send(sink.port, files, timeouts=Timeouts(socket=5.0))
        assert {(outcome.result, outcome.status) for outcome in ran.outcomes} == {(Result.FAILED, 0xA700)}
        assert sink.tally.refused == {0xA700: len(files)}


async def test_what_cannot_have_its_name_is_refused_and_leaves_no_partial_file(files, tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}
        names = list(tmp_path.iterdir())
        for name in names:
            name.unlink()
            name.mkdir()
        ran = await send(sink.port, files)
        assert {(outcome.result, outcome.status) for outcome in ran.outcomes} == {(Result.FAILED, 0xA700)}
        assert sink.tally.refused == {0xA700: len(files)}
        assert set(tmp_path.iterdir()) == set(names)


async def test_a_full_disk_leaves_no_partial_file(files, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # Python ignores SIGXFSZ: writing raises EFBIG
        try:
            ran = await send(sink.port, files)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert {outcome.status for outcome in ran.outcomes} == {0xA700}
        assert list(tmp_path.iterdir()) == []
        assert sink.tally.instances == 0


# No descriptors are left ----------------------------------------------------------------------------------------------


@contextmanager
def no_descriptors_left():
    """Allow no more descriptors; open ones remain open."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def ask_for_an_association(connection, port):
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    await loop.sock_connect(connection, ("127.0.0.1", port))
    await loop.sock_sendall(connection, associate_request())


@in_both_loops
async def test_without_descriptors_it_neither_spins_nor_floods_the_log(caplog, monkeypatch):
    monkeypatch.setattr("asyncstore.network.port._PAUSE", 3600.0)
    async with nothing_left_behind(), Sink(port=0) as sink:
        with socket.socket() as connection, no_descriptors_left():
            await ask_for_an_association(connection, sink.port)
            await until(lambda: caplog.messages)
            for _ in range(50):
                await asyncio.sleep(0.001)
    [line] = caplog.messages
    assert line == (
        f"127.0.0.1:{sink.port}: cannot accept a connection: too many open files; "
        "ulimit -n sets how many a process may have; trying again in 3600 s"
    )


@in_both_loops
async def test_waiting_connections_are_served_once_descriptors_are_free(caplog, monkeypatch):
    monkeypatch.setattr("asyncstore.network.port._PAUSE", 0.01)
    async with nothing_left_behind(), Sink(port=0) as sink:
        with socket.socket() as connection:
            with no_descriptors_left():
                await ask_for_an_association(connection, sink.port)
                await until(lambda: len(caplog.messages) > 2)  # it tried again and warned again
            async with asyncio.timeout(GUARD):
                answer = await asyncio.get_running_loop().sock_recv(connection, 1)
            assert answer == bytes([ASSOCIATE_AC])


@in_both_loops
async def test_leaving_the_block_without_descriptors_cancels_the_pause(caplog, monkeypatch):
    pause = 0.1
    monkeypatch.setattr("asyncstore.network.port._PAUSE", pause)
    async with nothing_left_behind():
        with socket.socket() as connection:
            async with Sink(port=0) as sink:
                with no_descriptors_left():
                    await ask_for_an_association(connection, sink.port)
                    await until(lambda: caplog.messages)
            # The port's pause would end before this one. Adding a reader to a closed port would be logged as an error.
            await asyncio.sleep(pause)
    assert [record.name for record in caplog.records if record.name == "asyncio"] == []


# Leaving it -----------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_leaving_the_block_aborts_open_associations(tmp_path):
    async with nothing_left_behind(), AsyncExitStack() as peers:
        async with Sink(port=0, output=tmp_path) as sink:
            storing = await peers.enter_async_context(associated(sink.port))
            idle = await peers.enter_async_context(associated(sink.port))
            silent = await peers.enter_async_context(connected(sink.port))
            await storing.write(store_request("1.2.3") + pdu(P_DATA, pdv(1, 0, bytes(1000))))
            await until(lambda: list(tmp_path.iterdir()))
        assert list(tmp_path.iterdir()) == []
        for scu in (storing, idle):
            kind, body = await scu.read_pdu()
            assert (kind, body[2]) == (ABORT, 0)
        assert (await last_word(silent))[0] in (None, ABORT)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", sink.port)


@in_both_loops
async def test_the_same_port_can_be_reused_at_once(files):
    async with Sink(port=0) as sink:
        port = sink.port
        await send(port, files[:1])
    async with Sink(port=port) as sink:
        assert (await send(port, files[:1])).results == {Result.STORED: 1}


async def test_the_tally_remains_after_the_block(files):
    async with Sink(port=0) as sink:
        await send(sink.port, files)
    assert sink.tally.instances == len(files)
    assert sink.tally.associations == 0


# Bad peers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["close", "reset", "abort"])
async def test_a_requestor_that_dies_in_the_middle_leaves_no_partial_file(files, tmp_path, ending):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink, associated(sink.port) as scu:
        await scu.write(store_request("1.2.3") + pdu(P_DATA, pdv(1, 0, bytes(10_000))))
        await until(lambda: list(tmp_path.iterdir()))
        assert not list(tmp_path.glob("*.dcm"))  # only complete files have their names
        if ending == "abort":
            await scu.write(pdu(ABORT, bytes(4)))
            scu.close()
        else:
            getattr(scu, ending)()
        await until(lambda: sink.tally.associations == 0)
        assert list(tmp_path.iterdir()) == []
        assert sink.tally.instances == 0
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}


NOISE = random.Random(1).randbytes(5000)  # noqa: S311 - noise, not a secret


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(NOISE, id="noise"),
        pytest.param(b"\x01" + NOISE, id="noise that begins as A-ASSOCIATE-RQ"),
        pytest.param(b"\x04" + NOISE, id="noise that begins as P-DATA-TF"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: sink\r\n\r\n", id="web browser"),
        pytest.param(HTTP, id="web server"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
        pytest.param(b"\x01\x00\xff\xff\xff\xff", id="A-ASSOCIATE-RQ of 4 GiB"),
        pytest.param(PDU_OF_4_GIB, id="P-DATA-TF of 4 GiB"),
        pytest.param(UNKNOWN_PDU, id="unknown PDU"),
        pytest.param(pdu(RELEASE_RQ, bytes(4)), id="A-RELEASE-RQ first"),
        pytest.param(pdu(ABORT, bytes(4)), id="A-ABORT first"),
        pytest.param(pdu(1, bytes(10)), id="short A-ASSOCIATE-RQ"),
        pytest.param(pdu(1, struct.pack(">H66x", 1) + item(0x20, b"\x01")), id="cut off context"),
        pytest.param(pdu(1, struct.pack(">H66x", 1) + struct.pack(">BxH", 0x10, 5000)), id="item beyond its PDU"),
        pytest.param(pdu(1, struct.pack(">H66x", 2)), id="other protocol version"),
        pytest.param(associate_request(application_context="1.2.3"), id="other application context"),
    ],
)
async def test_other_protocols_are_closed_and_other_requestors_served(files, said):
    async with nothing_left_behind(), Sink(port=0) as sink:
        async with connected(sink.port) as scu:
            await scu.write(said)
            assert (await last_word(scu))[0] in (None, ABORT, ASSOCIATE_RJ)
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}
        await until(lambda: sink.tally.associations == 0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: sink\r\n\r\n", "it speaks HTTP"),
        (HTTP, "it speaks HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "it speaks TLS, and this port speaks plain TCP"),
        (UNKNOWN_PDU, "what it sent is no association request"),
        (pdu(RELEASE_RQ, bytes(4)), "what it sent is no association request"),
    ],
)
async def test_other_protocols_are_logged_in_one_line(said, words, caplog):
    async with Sink(port=0) as sink, connected(sink.port) as scu:
        await scu.write(said)
        await last_word(scu)
        [line] = caplog.messages
    assert line.partition(": ")[2] == f"{words}; the connection is closed"


async def test_a_silent_connection_is_logged_at_level_info(caplog, monkeypatch):
    monkeypatch.setattr("asyncstore.network.acceptor.ARTIM", 0.2)
    caplog.set_level("INFO")
    async with Sink(port=0) as sink, connected(sink.port) as scu:
        assert await last_word(scu) == (None, b"")
        [line] = caplog.messages
    assert line.endswith(": no association request within 0.2 s; the connection is closed")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(NOISE, id="noise"),
        pytest.param(UNKNOWN_PDU, id="unknown PDU"),
        pytest.param(PDU_OF_4_GIB, id="PDU of 4 GiB"),
        pytest.param(EMPTY_P_DATA, id="empty P-DATA-TF"),
        pytest.param(PDV_LONGER_THAN_ITS_PDU, id="PDV beyond its PDU"),
        pytest.param(PDV_SHORTER_THAN_ITS_HEADER, id="PDV cut off"),
        pytest.param(COMMAND_SET_OF_GARBAGE, id="garbage as command set"),
        pytest.param(UNASKED_DATA_SET, id="data set without a command"),
        pytest.param(associate_request(), id="a second A-ASSOCIATE-RQ"),
        pytest.param(store_request("1.2", context_id=3), id="a context that was not proposed"),
        pytest.param(store_request("1.2", context_id=2), id="an even context"),
        pytest.param(store_request("1.2", CommandDataSetType=0x0101), id="a C-STORE-RQ without data set"),
        pytest.param(store_request(""), id="a C-STORE-RQ without instance UID"),
        pytest.param(store_request("1.2") * 2, id="a command where a data set was to follow"),
        pytest.param(pdu(P_DATA, pdv(1, COMMAND, bytes(16_000))) * 8, id="a command set without end"),
        pytest.param(pdu(RELEASE_RP, bytes(4)), id="A-RELEASE-RP"),
        pytest.param(pdu(RELEASE_RQ, bytes(4)) * 2, id="A-RELEASE-RQ twice"),
    ],
)
async def test_violations_are_aborted_and_other_requestors_served(files, tmp_path, said):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, max_pdu=16384) as sink:
        async with associated(sink.port) as scu:
            await scu.write(said)
            kind, body = await scu.read_pdu()
            while kind == RELEASE_RP:
                kind, body = await last_word(scu)
            assert (kind, body[2:3]) in ((ABORT, b"\x02"), (None, b""))
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}
        await until(lambda: sink.tally.associations == 0)
        assert data_sets(tmp_path).keys() == {path.stem for path in tmp_path.glob("*.dcm")}
        assert len(list(tmp_path.iterdir())) == len(files)


async def test_a_transfer_syntax_that_is_no_uid_is_not_accepted(files):
    request = associate_request(contexts=((1, CT, ("1" * 20_000,)),)).replace(b"1" * 20_000, b"\xff" * 20_000)
    async with nothing_left_behind(), Sink(port=0, max_associations=1) as sink, connected(sink.port) as scu:
        await scu.write(request)
        kind, body = await scu.read_pdu()
        assert kind == ASSOCIATE_AC
        assert item(0x21, b"\1\0\4\0" + item(0x40, b"")) in body
        scu.close()
        await until(lambda: sink.tally.associations == 0)
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}


async def test_ae_titles_and_reserved_bytes_are_sent_back_unchanged_and_escaped_in_logs(caplog):
    echoed = b" \0EVIL\n\x1b[2J\xff    " + b"ME\r\n" + bytes(12) + bytes(range(32))
    request = associate_request()
    with caplog.at_level("INFO", "asyncstore"):
        async with nothing_left_behind(), Sink(port=0) as sink, connected(sink.port) as scu:
            await scu.write(request[:10] + echoed + request[74:])
            kind, body = await scu.read_pdu()
            scu.close()
            await until(lambda: sink.tally.associations == 0)
    assert kind == ASSOCIATE_AC
    assert body[4:68] == echoed
    messages = [record.getMessage() for record in caplog.records]
    assert any("association of ME\\r\\n to EVIL\\n\\x1b[2J\\xff" in message for message in messages)
    assert all(message.isprintable() for message in messages)


@pytest.mark.parametrize(
    "uid", ["../../../escaped", "/escaped", "..", ".", "a/b", "nul\0byte", "x" * 300, "\u00e4", "CON", "\x1b[31m"]
)
async def test_a_uid_that_is_a_path_stays_within_the_folder(tmp_path, uid):
    output = tmp_path / "deep" / "er" / "out"
    async with nothing_left_behind(), Sink(port=0, output=output) as sink, associated(sink.port) as scu:
        encoded = uid.encode("utf-8")
        encoded += b"\0" * (len(encoded) % 2)
        placeholder = "1" * len(encoded)
        with warnings.catch_warnings(action="ignore"):  # of a UID that is too long
            request = store_request(placeholder).replace(placeholder.encode(), encoded)
        await scu.write(request + pdu(P_DATA, pdv(1, LAST, b"\x08\x00\x18\x00UI\x02\x001\0")))
        kind, _ = await scu.read_pdu()
        assert kind in (P_DATA, ABORT)
        scu.close()
        await until(lambda: sink.tally.associations == 0)
        everything = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(everything) == sink.tally.instances
        assert all(path.parent == output and path.suffix == ".dcm" for path in everything)


async def test_uids_that_are_no_safe_names_have_files_of_their_own(tmp_path):
    uids = ["1.2/3", "1.2_3", "1.2.3/", "..", "~.", "1.2.3.4", "." + "1" * 63, "." + "1" * 62 + "2"]
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink, associated(sink.port) as scu:
        for uid in uids:
            request = store_request("1" * len(uid)).replace(b"1" * len(uid), uid.encode())
            await scu.write(request + pdu(P_DATA, pdv(1, LAST, b"\x08\x00\x18\x00UI\x02\x001\0")))
            assert (await scu.read_pdu())[0] == P_DATA
        assert (sink.tally.instances, sink.tally.replaced) == (len(uids), 0)
    assert len(list(tmp_path.iterdir())) == len(uids)
    assert tmp_path / "1.2.3.4.dcm" in tmp_path.iterdir()


async def test_data_after_a_violation_is_ignored(tmp_path):
    store = store_request("1.2.3.4") + pdu(P_DATA, pdv(1, LAST, b"\x08\x00\x18\x00UI\x02\x001\0"))
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink, associated(sink.port) as scu:
        await scu.write(COMMAND_SET_OF_GARBAGE + store)
        assert (await scu.read_pdu())[0] == ABORT
        scu.close()
        await until(lambda: sink.tally.associations == 0)
    assert sink.tally.instances == 0
    assert list(tmp_path.iterdir()) == []


async def test_a_silent_connection_does_not_block_others(files):
    async with nothing_left_behind(), Sink(port=0, max_associations=1) as sink:
        silent = [await asyncio.open_connection("127.0.0.1", sink.port) for _ in range(20)]
        assert (await send(sink.port, files, associations=1)).results == {Result.STORED: len(files)}
        for _, writer in silent:
            writer.close()


async def test_a_requestor_that_does_not_read_does_not_block_others(files):
    async with nothing_left_behind(), Sink(port=0) as sink, associated(sink.port, window=0) as greedy:
        for _ in range(50):
            await greedy.write(ECHO * 20)
        assert (await send(sink.port, files)).results == {Result.STORED: len(files)}


@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "TLS"])
async def test_receiving_pauses_while_a_requestor_does_not_read(is_secured, tmp_path, monkeypatch):
    """Otherwise the answers would fill the memory."""

    def listen_with_a_small_buffer(*arguments):
        listening = listen(*arguments)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        return listening

    monkeypatch.setattr("asyncstore.network.port.listen", listen_with_a_small_buffer)
    many = 30_000
    ours, theirs = sink_and_requestor(tmp_path) if is_secured else (None, None)
    async with (
        nothing_left_behind(),
        Sink(port=0, tls=ours) as sink,
        associated(sink.port, theirs, window=0) as greedy,
    ):
        reading = greedy._writer.get_extra_info("socket")  # noqa: SLF001 - no other test needs a small buffer there
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        asking = asyncio.create_task(greedy.write(ECHO * many))
        taken = -1
        while sink.tally.echoes != taken or not taken:
            taken = sink.tally.echoes
            await asyncio.sleep(0.3)
        assert taken < many
        for _ in range(many):
            assert (await greedy.read_pdu())[0] == P_DATA
        await asking
        assert sink.tally.echoes == many
        await greedy.release()


SMALL_BUFFER = 1 << 16
"""Buffers of this size do not grow: those of loopback hold 10 MB, and so 100 000 answers."""


async def test_contexts_are_answered_one_by_one():
    contexts = (
        (1, CT, (IMPLICIT, EXPLICIT)),
        (3, CT, ("1.2.840.10008.1.2.4.90",)),
        (5, STUDY_ROOT_FIND, (IMPLICIT,)),
        (7, "1.2.826.0.1.3680043.2.1143.999", (EXPLICIT,)),
        (9, CT, ()),
        (255, "1.2.840.10008.1.1", (IMPLICIT,)),
    )
    async with Sink(port=0) as sink, associated(sink.port, contexts=contexts) as scu:
        answered = A_ASSOCIATE_AC()
        answered.decode(pdu(ASSOCIATE_AC, scu.accepted))
    results = {context.context_id: context.result for context in answered.presentation_context}
    assert results == {1: 0, 3: 0, 5: 3, 7: 0, 9: 4, 255: 0}
    assert answered.presentation_context[0].transfer_syntax == IMPLICIT  # the first that was proposed


async def test_an_unknown_operation_is_answered_as_unrecognized():
    find = command_set(AffectedSOPClassUID=CT, CommandField=0x20, MessageID=7, Priority=0, CommandDataSetType=0x0101)
    async with nothing_left_behind(), Sink(port=0) as sink, associated(sink.port) as scu:
        await scu.write(pdu(P_DATA, pdv(1, COMMAND | LAST, find)))
        kind, body = await scu.read_pdu()
        assert kind == P_DATA
        assert struct.pack("<HHLH", 0, 0x0900, 2, 0x0211) in body
        await scu.release()


async def test_bytes_may_come_one_by_one(tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink, connected(sink.port) as scu:
        data_set = bytes(range(200))
        stream = associate_request() + store_request("1.2.3") + pdu(P_DATA, pdv(1, 0, data_set[:100]))
        stream += pdu(P_DATA, pdv(1, 0, b"") + pdv(1, LAST, data_set[100:])) + pdu(RELEASE_RQ, bytes(4))
        for byte in stream:
            await scu.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert [(await scu.read_pdu())[0] for _ in range(3)] == [ASSOCIATE_AC, P_DATA, RELEASE_RP]
        scu.close()
        assert read_part10(tmp_path / "1.2.3.dcm").data_set == data_set


@in_both_loops
async def test_several_senders_at_once_do_not_mix(tmp_path):
    folders = [tmp_path / f"{number}" for number in range(4)]
    for number, folder in enumerate(folders):
        instances(folder, 30, data_set_bytes=20_000, seed=number)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path / "out") as sink:
        ran = await asyncio.gather(*(send(sink.port, [folder], associations=2) for folder in folders))
        assert all(one.results == {Result.STORED: 30} for one in ran)
        assert data_sets(tmp_path / "out") == {
            uid: sha256 for folder in folders for uid, sha256 in data_sets(folder).items()
        }


async def test_a_sender_works_in_the_same_block(folder):
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        assert [outcome.result async for outcome in sender.send([folder])] == [Result.STORED] * 8
