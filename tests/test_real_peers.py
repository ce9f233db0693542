"""The SCPs that are out there take what we send, and hold exactly what we say they do."""

from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset

from asyncstore import Result, Sink, Timeouts
from asyncstore.load.archive import write_archive
from support.oracle import DELIVERED, assert_true, nothing_left_behind, send
from support.peers.ctn import running_simple_storage
from support.peers.dcmtk import running_storescp
from support.peers.hostile import Behaviour, accepts, answers_late, running_hostile
from support.peers.odil import running_odil
from support.peers.orthanc import running_orthanc
from support.peers.pynetdicom_scp import running_pynetdicom_scp
from support.trees import data_sets, pydicom_test_files

pytestmark = pytest.mark.slow

EXPLICIT = "1.2.840.10008.1.2.1"

NOT_DICOM = "not a DICOM file"
DIRECTORY = "a DICOMDIR: it describes files, and is not stored itself"
NO_DATA_SET = "nothing after its file meta information looks like a data set"
NO_UIDS = "it holds no SOP class UID and SOP instance UID"
NOT_INSTANCES = {
    "README.txt": NOT_DICOM,
    "README": NOT_DICOM,
    "crayons.icc": NOT_DICOM,
    "zipMR.gz": f"{NOT_DICOM}: it is an archive",
    "rtplan.dump": NOT_DICOM,
    "rtstruct.dump": NOT_DICOM,
    "test1.json": NOT_DICOM,
    "test_PN.json": NOT_DICOM,
    "no_meta.dcm": NOT_DICOM,  # it begins in the middle of an element
    "meta_missing_tsyntax.dcm": NO_DATA_SET,
    "empty_charset_LEI.dcm": NO_UIDS,
    "nested_priv_SQ.dcm": NO_DATA_SET,
    "SC_rgb_jpeg.dcm": (
        "its data set is in LittleEndianImplicit, not in JPEGBaseline, as its file meta information says"
    ),
    "rtplan_truncated.dcm": "it is cut off within (300A,00B0)",
    "MR_truncated.dcm": "it is cut off within its pixel data",
}
"""The files of pydicom's collection that are no instance to be stored, and what is said of them."""

LARGE = 400_000
"""Bytes of a file."""
SOME = 5
"""Every fifth instance of the archive, for peers that take their time."""


def expected_error(path):
    """What is said of a file of pydicom's collection by the probe; ``None`` of an instance."""
    return DIRECTORY if path.name.startswith("DICOMDIR") else NOT_INSTANCES.get(path.name)


def assert_all_stored(ran, files):
    """Every file that is an instance is stored, and of every other one it is said why not."""
    assert ran.failure is None
    for path in files:
        outcome = ran.of(path)
        expected = Result.STORED if expected_error(path) is None else Result.NOT_SENT
        assert (outcome.result, outcome.error) == (expected, expected_error(path)), path.name


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Half of the bytes of an archive: of each series all small instances, and the first large ones."""
    folder = write_archive(tmp_path_factory.mktemp("archive") / "archive").folder
    for series in folder.glob("*/*/*"):
        large = sorted(path for path in series.iterdir() if path.stat().st_size > LARGE)
        for path in large[4:]:
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def archive_files(archive):
    return sorted(path for path in archive.rglob("*") if path.is_file())


# pydicom's collection: compressed, deflated, big endian, implicit, without meta information, cut off, no DICOM at all


@pytest.mark.parametrize("associations", [1, 4])
async def test_the_sink_stores_all_of_pydicoms_files_byte_for_byte(tmp_path, associations):
    files = pydicom_test_files()
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        ran = await send(sink.port, files, associations=associations)
        assert_all_stored(ran, files)
        assert_true(ran, files, data_sets(tmp_path))


@pytest.mark.peers
async def test_storescp_stores_all_of_pydicoms_files_byte_for_byte(tmp_path):
    files = pydicom_test_files()
    async with running_storescp(tmp_path) as scp, nothing_left_behind():
        ran = await send(scp.port, files, associations=1)  # some files have the same UID: one after the other, then
        assert_all_stored(ran, files)
        assert_true(ran, files, scp.stored())


async def test_pynetdicom_receives_all_of_pydicoms_files_byte_for_byte():
    files = pydicom_test_files()
    async with running_pynetdicom_scp() as scp, nothing_left_behind():
        ran = await send(scp.port, files, associations=2)
        assert_all_stored(ran, files)
        assert_true(ran, files, scp.stored())


@pytest.mark.peers
async def test_orthanc_holds_what_is_called_stored_of_pydicoms_files_and_nothing_else(tmp_path):
    files = pydicom_test_files()
    async with running_orthanc(tmp_path) as orthanc, nothing_left_behind():
        ran = await send(orthanc.port, files, associations=2)
        held = await orthanc.sop_instance_uids()
        assert_true(ran, files, held)
        assert held == {outcome.sop_instance_uid for outcome in ran.outcomes if outcome.result in DELIVERED}
        assert await orthanc.count() == len(held)
        assert ran.results[Result.STORED] > 130
        for path in files:
            if expected_error(path):
                assert ran.of(path).error == expected_error(path)
            else:  # Orthanc refuses some: lossy syntaxes it was not built for, instances without a patient
                assert ran.of(path).result in (Result.STORED, Result.FAILED)


def _damaged(path, folder):
    """A copy that looks well, whose data set in implicit VR has an element in explicit VR before its pixel data."""
    damaged = folder / path.name
    before, pixel_data, after = path.read_bytes().rpartition(b"\xe0\x7f\x10\x00")
    damaged.write_bytes(before + b"\x51\x70\x10\x00LO\x04\x00TEST" + pixel_data + after)
    return damaged


@pytest.mark.peers
async def test_orthanc_which_never_answers_what_it_cannot_read_to_its_end_is_given_up_after_the_dimse_timeout(tmp_path):
    wholes = [path for path in pydicom_test_files() if path.name in ("MR_small_implicit.dcm", "rtdose.dcm")]
    files = [_damaged(path, tmp_path) for path in wholes]
    async with running_orthanc(tmp_path) as orthanc, nothing_left_behind():
        ran = await send(orthanc.port, files, associations=2, timeouts=Timeouts(dimse=1.0))
        assert_true(ran, files, await orthanc.sop_instance_uids())
        assert ran.results == {Result.UNKNOWN: len(files)}
        assert all("no response within 1 s" in outcome.error for outcome in ran.outcomes)


@pytest.mark.peers
async def test_where_storescp_aborts_at_what_it_cannot_read_the_outcome_says_that_the_file_may_be_the_cause(tmp_path):
    [whole] = [path for path in pydicom_test_files() if path.name == "MR_small_implicit.dcm"]
    damaged = _damaged(whole, tmp_path)
    async with running_storescp(tmp_path / "out", bit_preserving=False) as scp, nothing_left_behind():
        ran = await send(scp.port, [damaged, whole], associations=1)
    assert ran.of(whole).result is Result.STORED
    assert ran.of(damaged).result is Result.UNKNOWN
    assert "the peer aborted the association" in ran.of(damaged).error
    assert "the content of this file may be the cause" in ran.of(damaged).error


# A varied archive, whole, over one and several associations


@asynccontextmanager
async def running_sink(folder):
    async with Sink(port=0, output=folder) as sink:
        yield SimpleNamespace(port=sink.port, stored=lambda: data_sets(folder))


@asynccontextmanager
async def running_pynetdicom(_folder):
    async with running_pynetdicom_scp() as scp:
        yield scp


@pytest.mark.peers
@pytest.mark.parametrize("associations", [1, 4, 8, None])
@pytest.mark.parametrize("running", [running_sink, running_storescp])
async def test_the_receiver_has_the_archive_byte_for_byte(archive, archive_files, tmp_path, running, associations):
    async with running(tmp_path) as scp, nothing_left_behind():
        ran = await send(scp.port, [archive], associations=associations)
        received = scp.stored()
    assert ran.failure is None
    assert ran.results == {Result.STORED: len(archive_files)}
    assert_true(ran, archive_files, received)
    assert len(received) == len(archive_files)


@pytest.mark.peers
async def test_a_receiver_that_serves_one_association_at_a_time_has_the_archive_byte_for_byte(archive_files, tmp_path):
    async with running_storescp(tmp_path, fork=False) as scp, nothing_left_behind():
        ran = await send(scp.port, archive_files, associations=4)
        received = scp.stored()
    assert ran.results == {Result.STORED: len(archive_files)}
    assert_true(ran, archive_files, received)
    assert len(received) == len(archive_files)


@pytest.mark.parametrize("associations", [1, 4, 8])
async def test_pynetdicom_receives_instances_from_all_over_the_archive_byte_for_byte(archive_files, associations):
    files = archive_files[::SOME]
    async with running_pynetdicom_scp() as scp, nothing_left_behind():
        ran = await send(scp.port, files, associations=associations)
        assert ran.results == {Result.STORED: len(files)}
        assert_true(ran, files, scp.stored())
        assert len(scp.received) == len(files)


@pytest.mark.peers
async def test_orthanc_holds_the_same_over_any_number_of_associations(archive_files, tmp_path):
    sent = set()
    async with running_orthanc(tmp_path) as orthanc, nothing_left_behind():
        for turn, associations in enumerate((1, 4, 8)):
            # What it holds already it is not sent again: its threads then remove and make folders in each other's way,
            # and the one that fails never answers.
            files = archive_files[turn::SOME]
            ran = await send(orthanc.port, files, associations=associations)
            sent |= {outcome.sop_instance_uid for outcome in ran.outcomes}
            assert ran.results == {Result.STORED: len(files)}
            assert await orthanc.sop_instance_uids() == sent
            assert_true(ran, files, sent)
        assert await orthanc.count() == len(sent)


@pytest.mark.parametrize("associations", [1, 4])
async def test_with_a_window_the_receiver_has_the_archive_byte_for_byte(archive, archive_files, tmp_path, associations):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, latency=0.002, async_operations=16) as sink:
        ran = await send(sink.port, [archive], associations=associations, async_operations=0)
        assert ran.results == {Result.STORED: len(archive_files)}
        assert_true(ran, archive_files, data_sets(tmp_path))


async def test_the_window_is_used_as_far_as_the_peer_grants_it(archive_files):
    behaviour = Behaviour(on_request=accepts(window=(3, 1)), on_store=answers_late(0.05))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, archive_files[:12], associations=1, async_operations=8)
        assert ran.results == {Result.STORED: 12}
        assert scp.violations == []
        assert max(association.most_outstanding for association in scp.associations) == 3


@pytest.mark.peers
@pytest.mark.parametrize("running", [running_storescp, running_pynetdicom])
async def test_a_peer_that_does_not_answer_the_window_gets_one_store_after_the_other(archive_files, tmp_path, running):
    async with running(tmp_path) as scp, nothing_left_behind():
        ran = await send(scp.port, archive_files[:20], associations=1, async_operations=8)
        assert ran.results == {Result.STORED: 20}
        assert_true(ran, archive_files[:20], scp.stored())


# Several hundred small instances in several contexts, to SCPs that few programs are tried with


@pytest.fixture(scope="module")
def several_hundred(tmp_path_factory):
    """Instances of two SOP classes in two transfer syntaxes each: a path to each SHA-256 of pixel data."""
    folder = tmp_path_factory.mktemp("several-hundred")
    kinds = list(product(("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"), ("1.2.840.10008.1.2", EXPLICIT)))
    made = {}
    for number in range(400):
        data_set = Dataset()
        data_set.SOPClassUID, syntax = kinds[number % len(kinds)]
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        data_set.Modality, data_set.PatientID = "OT", "SEVERAL"
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        data_set.BitsAllocated = 16
        data_set.add_new("PixelData", "OW", sha256(bytes(number)).digest())
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = syntax
        path = folder / f"{number:04}.dcm"
        dcmwrite(path, data_set, enforce_file_format=True)
        made[path] = sha256(data_set.PixelData).hexdigest()
    return made


@pytest.mark.peers
@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("running", [running_odil, running_simple_storage])
async def test_several_hundred_instances_in_several_contexts_arrive(several_hundred, tmp_path, running, associations):
    async with running(tmp_path) as scp, nothing_left_behind():
        ran = await send(scp.port, several_hundred, associations=associations)
        received = scp.stored()
    assert ran.failure is None
    assert ran.results == {Result.STORED: len(several_hundred)}
    assert {one.sop_instance_uid: several_hundred[Path(one.path)] for one in ran.outcomes} == received


@pytest.mark.peers
async def test_odil_answers_in_another_context_and_that_is_warned_of_once(several_hundred, tmp_path, caplog):
    async with running_odil(tmp_path) as scp:
        ran = await send(scp.port, several_hundred, associations=4)
    assert ran.results == {Result.STORED: len(several_hundred)}
    warnings = [record.getMessage() for record in caplog.records if "against the DICOM standard" in record.getMessage()]
    [warning] = warnings
    assert "another presentation context" in warning
    assert f"127.0.0.1:{scp.port}" in warning
