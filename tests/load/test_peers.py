"""The peers that other tests rely on, checked with other senders than asyncstore."""

import asyncio
import struct
import sys

import pytest

from support.peers import programs
from support.peers.acceptor import C_STORE_RQ, COMMAND, LAST, P_DATA, RELEASE_RQ, command_set, item, pdu, pdv
from support.peers.dcmtk import echoscu, running_storescp, storescu
from support.peers.hostile import (
    HTTP,
    ITEM_LONGER_THAN_ITS_PDU,
    PDU_OF_4_GIB,
    Behaviour,
    aborts,
    accepts,
    accepts_no_context,
    after,
    answers,
    answers_in_reverse,
    answers_late,
    answers_twice,
    closes,
    collides,
    never_answers,
    obedient,
    rejects,
    resets,
    running_hostile,
    says,
    stops_reading,
    then,
)
from support.peers.orthanc import running_orthanc
from support.peers.programs import find_program, find_system_python_with, running
from support.peers.pynetdicom_scp import running_pynetdicom_scp
from support.trees import data_sets, instances

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@pytest.fixture
def files(tmp_path):
    return instances(tmp_path / "sent", 3, data_set_bytes=40_000)


@pytest.fixture
def sent(files):
    return data_sets(files[0].parent)


@pytest.mark.parametrize("find", [find_program, find_system_python_with])
def test_a_test_that_looks_for_a_program_of_others_without_the_marker_fails(find):
    with pytest.raises(pytest.fail.Exception, match=r"mark it with pytest\.mark\.peers"):
        find("sys", "nothing")


def test_a_program_that_is_missing_skips_the_test_but_not_in_continuous_integration(monkeypatch):
    monkeypatch.setattr(programs, "running_test", None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install nothing"):
        find_program("no-such-program", "nothing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install nothing"):
        find_program("no-such-program", "nothing")


@pytest.mark.peers
async def test_storescp_stores_the_data_sets_that_are_sent(files, sent, tmp_path):
    async with running_storescp(tmp_path / "received") as scp:
        sender = await storescu(scp.port, files)
        assert sender.returncode == 0, sender.output
        assert scp.stored() == sent
        assert (await echoscu(scp.port)).returncode == 0


@pytest.mark.peers
async def test_storescp_that_ignores_stores_nothing(files, tmp_path):
    async with running_storescp(tmp_path / "received", "-v", ignore=True) as scp:
        assert (await storescu(scp.port, files)).returncode == 0
        assert scp.stored() == {}
        assert "Association Received" in scp.output()


@pytest.mark.peers
async def test_orthanc_holds_the_instances_that_are_sent(files, sent, tmp_path):
    async with running_orthanc(tmp_path / "orthanc") as orthanc:
        sender = await storescu(orthanc.port, files)
        assert sender.returncode == 0, sender.output
        assert await orthanc.count() == len(files)
        assert await orthanc.sop_instance_uids() == sent.keys()


@pytest.mark.slow
@pytest.mark.peers
async def test_pynetdicom_records_the_data_sets_that_are_sent(files, sent):
    async with running_pynetdicom_scp() as scp:
        sender = await storescu(scp.port, files, "-aet", "TESTING")
        assert sender.returncode == 0, sender.output
        assert scp.stored() == sent
        assert scp.requests[0].calling_ae_title == "TESTING"
        assert (await echoscu(scp.port)).returncode == 0
        assert scp.echoes == 1


@pytest.mark.peers
async def test_pynetdicom_answers_as_it_is_told(files):
    async with running_pynetdicom_scp(0xA700) as scp:
        assert (await storescu(scp.port, files)).returncode != 0
        assert len(scp.received) == 1


async def fail_while_it_runs(folder):
    async with running_storescp(folder, "-v") as scp:
        await echoscu(scp.port)
        raise ZeroDivisionError


@pytest.mark.peers
async def test_a_programs_output_is_added_to_the_failure_of_a_test(tmp_path):
    with pytest.raises(ZeroDivisionError) as failure:
        await fail_while_it_runs(tmp_path)
    assert "Association Received" in failure.value.__notes__[0]


async def test_a_program_that_does_not_listen_fails_the_test():
    with pytest.raises(pytest.fail.Exception) as failure:
        async with running(lambda _port: [sys.executable, "-c", "raise SystemExit('no such thing')"]):
            pass
    assert "no such thing" in failure.value.__notes__[0]


@pytest.mark.peers
async def test_an_obedient_acceptor_records_the_data_sets_that_are_sent(files, sent):
    async with running_hostile() as scp:
        sender = await storescu(scp.port, files, "-aet", "TESTING")
        assert sender.returncode == 0, sender.output
        assert scp.stored() == sent
        assert scp.acknowledged == [store.sop_instance_uid for store in scp.stores]
        assert scp.violations == []
        [association] = scp.associations
        assert association.request.calling_ae_title == "TESTING"
        assert association.released
        assert (await echoscu(scp.port)).returncode == 0
        assert scp.associations[1].echoes == 1


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        (Behaviour(on_connect=then(says(HTTP), closes())), "Unrecognized PDU type: 48"),
        (Behaviour(on_request=rejects(1, 1, 7)), "Called AE Title Not Recognized"),
        (Behaviour(on_request=rejects(2, 3, 1)), "Temporary Congestion"),
        (Behaviour(on_request=accepts_no_context()), "No Acceptable Presentation Contexts"),
        (Behaviour(on_request=accepts(max_length=7)), "max PDU size of 7 is illegal"),
        (Behaviour(on_request=says(ITEM_LONGER_THAN_ITS_PDU)), "Association Request Failed"),
        (Behaviour(once_associated=closes()), "Peer aborted Association"),
        (Behaviour(amid_data=aborts()), "Peer aborted Association"),
        (Behaviour(amid_data=resets()), "Peer aborted Association"),
        (Behaviour(on_store=says(PDU_OF_4_GIB)), "Illegal PDU Length 4294967295"),
        (Behaviour(on_release=collides()), "Peer Requested Release"),
        (answers_twice, "Unexpected Response MsgId: 1"),
        (never_answers, "No data available"),
    ],
)
async def test_storescu_complains_of_what_the_acceptor_does(files, behaviour, complaint):
    async with running_hostile(behaviour) as scp:
        sender = await storescu(scp.port, files, "-ta", "1", "-td", "1")
        assert sender.returncode != 0
        assert complaint in sender.output
        assert scp.violations == []


@pytest.mark.peers
async def test_an_acceptor_obeys_until_it_misbehaves(files):
    async with running_hostile(Behaviour(on_store=after(2, aborts())), obedient) as scp:
        await storescu(scp.port, files)
        assert [store.sop_instance_uid for store in scp.stores[:2]] == scp.acknowledged
        assert len(scp.stores) == 3
        assert (await storescu(scp.port, files)).returncode == 0
        assert len(scp.acknowledged) == 2 + len(files)


@pytest.mark.peers
async def test_a_failure_status_acknowledges_nothing_and_a_warning_does(files):
    async with running_hostile(Behaviour(on_store=answers(0xC001)), Behaviour(on_store=answers(0xB000))) as scp:
        await storescu(scp.port, files)
        assert scp.acknowledged == []
        await storescu(scp.port, files)
        assert len(scp.acknowledged) == len(files)


def associate_request():
    """Encode an A-ASSOCIATE-RQ with one presentation context, 1, and no window."""
    syntaxes = item(0x30, CT.encode()) + item(0x40, EXPLICIT_VR_LITTLE_ENDIAN.encode())
    items = [
        item(0x10, b"1.2.840.10008.3.1.1.1"),
        item(0x20, struct.pack(">Bxxx", 1) + syntaxes),
        item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"2.25.1")),
    ]
    return pdu(1, struct.pack(">Hxx16s16s32x", 1, b"WITNESS".ljust(16), b"TEST".ljust(16)) + b"".join(items))


def store_request(message_id, data_set):
    """Encode a C-STORE request in two PDUs."""
    command = command_set(
        AffectedSOPClassUID=CT,
        CommandField=C_STORE_RQ,
        MessageID=message_id,
        Priority=0,
        CommandDataSetType=1,
        AffectedSOPInstanceUID=f"2.25.{message_id}",
    )
    return pdu(P_DATA, pdv(1, COMMAND | LAST, command)) + pdu(P_DATA, pdv(1, LAST, data_set))


async def send_all_at_once(port, *data_sets):
    """Send C-STORE requests without waiting for answers, and a release; return what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requests = [store_request(number, data_set) for number, data_set in enumerate(data_sets, start=1)]
    writer.write(associate_request() + b"".join(requests))
    answered = b""
    while answered.count(b"2.25.") < 1 + len(data_sets):  # the acceptor's implementation class UID is one of them
        answered += await reader.read(65536)
    writer.write(pdu(RELEASE_RQ, bytes(4)))
    await reader.readexactly(10)
    writer.close()
    await writer.wait_closed()
    return answered


@pytest.mark.slow
async def test_violations_of_the_sender_are_recorded():
    behaviour = Behaviour(on_request=accepts(max_length=1000), on_store=answers_late(0.1))
    async with running_hostile(behaviour) as scp:
        await send_all_at_once(scp.port, bytes(2000), bytes(7))
        assert scp.violations == [
            "P-DATA-TF of 2006 bytes, where the maximum length is 1000",
            "2 outstanding requests, where the window is 1",
            "fragment of 7 bytes, where an even number is required",
        ]
        assert scp.associations[0].most_outstanding == 2


@pytest.mark.slow
async def test_answers_come_out_of_order_within_the_window():
    behaviour = Behaviour(on_request=accepts(window=(3, 1)), on_store=answers_in_reverse(3))
    async with running_hostile(behaviour) as scp:
        answered = await send_all_at_once(scp.port, *[bytes(100)] * 4)
        assert sorted(range(1, 5), key=lambda number: answered.index(f"2.25.{number}".encode())) == [3, 2, 1, 4]
        assert scp.violations == []


@pytest.mark.slow
async def test_an_acceptor_that_stops_reading_blocks_the_sender():
    async with running_hostile(Behaviour(once_associated=stops_reading()), receive_buffer=4096) as scp:
        reader, writer = await asyncio.open_connection("127.0.0.1", scp.port)
        writer.write(associate_request() + store_request(1, bytes(20_000_000)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        assert await reader.read(1) == b"\x02"
        writer.transport.abort()
