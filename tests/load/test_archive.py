import re
import subprocess
import sys

import pytest
from pydicom import dcmread

from asyncstore.errors import UsageError
from asyncstore.load.archive import write_archive
from support.disks import small_disk
from support.peers.dcmtk import WITHOUT_NAGLE, running_storescp
from support.peers.programs import find_program, run
from support.trees import data_sets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def files(archive):
    return sorted(archive.folder.rglob("*.dcm"))


def test_it_counts_what_it_wrote(archive, files):
    assert archive.instances == len(files)
    assert archive.bytes == sum(file.stat().st_size for file in files)
    assert archive.series == len({file.parent for file in files})
    assert archive.studies == len({file.parent.parent for file in files})
    assert archive.patients == len(list(archive.folder.iterdir())) == 3


def test_it_is_varied_and_takes_a_while_to_send(archive, files):
    assert 150 <= archive.instances <= 250
    assert 40_000_000 <= archive.bytes <= 80_000_000
    assert {"CT", "MR", "US", "DX", "CR", "SR"} == set(archive.modalities)
    assert len({dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID for file in files}) == 5


def test_nothing_in_it_looks_like_a_real_patient(files):
    for file in files:
        dataset = dcmread(file, stop_before_pixels=True)
        assert str(dataset.PatientName).startswith("SYNTHETIC^")
        assert dataset.PatientID.startswith("SYN-")


def test_every_uid_is_valid_and_no_instance_is_repeated(archive, files):
    uids = set(data_sets(archive.folder))
    assert len(uids) == len(files)
    assert all(re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid) for uid in uids)


def test_every_value_can_be_read_back(files):
    for file in files:
        dataset = dcmread(file)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        for element in dataset:
            assert element.value is not None or element.VM == 0


def test_the_seed_decides_the_instances(tmp_path):
    first, again, other = (
        data_sets(write_archive(tmp_path / name, patients=1, seed=seed).folder)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    assert not first.keys() & other.keys()


def test_it_needs_no_numpy(tmp_path):
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from asyncstore.load.archive import write_archive\n"
        "print(write_archive(sys.argv[1]).instances)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "archive")], check=True, timeout=60)


@pytest.mark.peers
async def test_dcmtk_reads_and_sends_all_of_it(archive, files, tmp_path):
    checked = await run(find_program("dcmftest", "dcmtk"), *files)
    assert checked.output.count("yes: ") == len(files), checked.output
    async with running_storescp(tmp_path / "received", bit_preserving=False) as scp:
        dcmsend = [find_program("dcmsend", "dcmtk"), "+sd", "+r", "--decompress-never", "127.0.0.1", str(scp.port)]
        sent = await run(*dcmsend, archive.folder, environment=WITHOUT_NAGLE)
        assert sent.returncode == 0, sent.output
        assert scp.stored().keys() == data_sets(archive.folder).keys()


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "somebody's").touch()
    with pytest.raises(UsageError, match="not empty"):
        write_archive(tmp_path)


def test_a_folder_that_cannot_be_created_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_archive(tmp_path / "file" / "below")


@pytest.mark.slow
def test_a_full_disk_is_told_in_one_line(tmp_path):
    with small_disk(tmp_path / "disk") as disk, pytest.raises(UsageError) as told:
        write_archive(disk / "archive")
    assert str(told.value) == f"{disk}/archive: synthetic instances cannot be written: No space left on device"


def test_an_archive_without_patients_is_refused(tmp_path):
    with pytest.raises(UsageError, match="at least 1"):
        write_archive(tmp_path, patients=0)
