"""Real peers store what the sources of a load make."""

import asyncio
import hashlib

import pytest

from asyncstore.load.from_files import FromFiles
from asyncstore.load.generator import Synthetic
from asyncstore.load.kinds import RECIPES
from asyncstore.load.mix import of_size, parse_mix
from asyncstore.negotiation import plan
from asyncstore.network.opening import AssociationOptions, open_association
from support.peers.dcmtk import running_storescp
from support.peers.hostile import running_hostile
from support.peers.orthanc import running_orthanc
from support.trees import instances, pydicom_test_files

_KINDS = parse_mix(",".join(name for name in RECIPES if name != "tomo"))


async def store(source, port, count):
    """Store so many instances over one association. Returns the hashes of their data sets by SOP instance UID."""
    statuses, sent = [], {}
    association = await open_association(
        "127.0.0.1",
        port,
        plan([(kind.sop_class_uid, kind.transfer_syntax_uid) for kind in source.kinds]),
        AssociationOptions(),
        on_attempt=lambda _instance, attempt, _error: statuses.append(attempt.status),
    )
    try:
        async with asyncio.timeout(60):
            for _ in range(count):
                instance, _, pieces = source.next()
                data = b"".join(piece.data for piece in pieces) or instance.payload.data
                sent[instance.identity.sop_instance_uid] = hashlib.sha256(data).hexdigest()
                if pieces:
                    association.submit(pieces)
                else:
                    association.submit_whole([instance], lambda _: None)
            del pieces
            await association.settled()
            await association.release()
    finally:
        await association.close()
    assert statuses == [0] * count
    return sent


@pytest.mark.peers
@pytest.mark.slow
async def test_orthanc_stores_and_indexes_every_kind(tmp_path):
    async with running_orthanc(tmp_path / "orthanc") as orthanc:
        sent = await store(Synthetic([kind._replace(share=0.1) for kind in _KINDS]), orthanc.port, len(_KINDS))
        assert await orthanc.sop_instance_uids() == sent.keys()
        patients = await orthanc.ask("/patients?expand")
        assert len(patients) == len(await orthanc.ask("/studies")) == len(_KINDS)
        assert all(patient["MainDicomTags"]["PatientID"].startswith("SYN-") for patient in patients)


@pytest.mark.peers
@pytest.mark.slow
async def test_storescp_stores_every_kind_as_it_was_made(tmp_path):
    async with running_storescp(tmp_path / "received") as scp:
        sent = await store(Synthetic([kind._replace(share=0.1) for kind in _KINDS]), scp.port, len(_KINDS))
        assert scp.stored() == sent


@pytest.mark.peers
async def test_orthanc_stores_the_instances_of_files_again_in_every_round(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 3, data_set_bytes=200_000))
    async with running_orthanc(tmp_path / "orthanc") as orthanc:
        sent = await store(source, orthanc.port, 6)
        assert await orthanc.sop_instance_uids() == sent.keys()
        assert len(await orthanc.ask("/studies")) == 2


async def test_an_acceptor_receives_the_bytes_of_instances_of_files_in_all_encodings():
    source = FromFiles([path for path in pydicom_test_files() if path.name.startswith(("MR_small", "SC_rgb", "rt"))])
    async with running_hostile() as scp:
        sent = await store(source, scp.port, source.instances)
        assert scp.stored() == sent


@pytest.mark.parametrize("size", [2800, 32_768, 32_770, 5_000_000])
async def test_an_acceptor_receives_the_bytes_of_synthetic_instances_of_all_sizes(size):
    async with running_hostile() as scp:
        sent = await store(Synthetic(of_size(size)), scp.port, 3)
        assert scp.stored() == sent
