"""The files that a DICOMDIR names: in its order, whatever their names look like on the disk, and no others."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from asyncstore.discovery.dicomdir import dicomdir_at, referenced
from asyncstore.discovery.walk import walk
from asyncstore.errors import ReadFailed
from asyncstore.model import SourceFile, Unsendable

CD = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"


def dicomdir(folder, *file_ids, in_use=()):
    """Write a DICOMDIR that names these files."""
    records = []
    modes = ("reading_validation_mode", "writing_validation_mode")
    before = {mode: getattr(config.settings, mode) for mode in modes}
    for mode in modes:
        setattr(config.settings, mode, config.IGNORE)
    for number, file_id in enumerate(file_ids):
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.RecordInUseFlag = 0 if number in in_use else 0xFFFF
        record.ReferencedFileID = file_id
        records.append(record)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    directory.DirectoryRecordSequence = records
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    for mode in modes:
        setattr(config.settings, mode, before[mode])
    return str(folder / "DICOMDIR")


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def found(folder, *file_ids, **more):
    """What is found: names below the folder, and reasons of those that are not to be read."""
    return [
        item.reason if isinstance(item, Unsendable) else str(Path(item).relative_to(folder))
        for item in referenced(dicomdir(folder, *file_ids, **more))
    ]


def test_the_files_of_a_cd_come_in_the_order_of_its_records():
    directory = pydicom.dcmread(CD / "DICOMDIR")
    named = [record.ReferencedFileID for record in directory.DirectoryRecordSequence if "ReferencedFileID" in record]
    paths = list(referenced(str(CD / "DICOMDIR")))
    assert paths == [str(CD.joinpath(*components)) for components in named]
    assert all(Path(path).is_file() for path in paths)
    assert len(paths) == 31


def test_the_pydicom_of_the_caller_checks_values_as_before(tmp_path):
    def state():
        return config.settings.reading_validation_mode, config.logger.level

    before = state()
    list(referenced(str(CD / "DICOMDIR")))
    (tmp_path / "text").write_text("no DICOM at all")
    with pytest.raises(ReadFailed):
        list(referenced(str(tmp_path / "text")))
    assert state() == before


@pytest.mark.parametrize("other", ["DICOMDIR-reordered", "DICOMDIR-implicit", "DICOMDIR-bigEnd", "DICOMDIR-nooffset"])
def test_unusual_ones_name_the_same_files(other):
    assert set(referenced(str(CD / other))) == set(referenced(str(CD / "DICOMDIR")))


@pytest.mark.parametrize("change", ["cut off in a record", "cut off in its last bytes", "other bytes at its end"])
def test_one_that_is_not_whole_is_reported_after_the_files_that_it_still_names(change, tmp_path):
    content = (CD / "DICOMDIR").read_bytes()
    written = {
        "cut off in a record": content[:5000],
        "cut off in its last bytes": content[:-3],
        "other bytes at its end": content[:5000] + b"\1" * (len(content) - 5000),
    }
    (tmp_path / "DICOMDIR").write_bytes(written[change])
    *named, itself = referenced(str(tmp_path / "DICOMDIR"))
    assert 10 < len(named) < 32
    assert (itself.path, "a DICOMDIR that is cut off or damaged" in itself.reason) == (f"{tmp_path}/DICOMDIR", True)


@pytest.mark.parametrize(
    "stored", ["DIR/FILE", "dir/file", "DIR/FILE;1", "dir/file;1", "DIR/FILE.", "DIR/FILE.;1", "Dir/fIle"]
)
def test_names_are_found_as_the_file_system_has_them(stored, tmp_path):
    put(tmp_path, stored)
    assert found(tmp_path, ["DIR", "FILE"]) == [stored]


def test_the_exact_name_goes_before_a_similar_one(tmp_path):
    put(tmp_path, "a", "A", "A;1")
    assert found(tmp_path, "A") == ["A"]


def test_files_that_are_missing_are_named_all_the_same(tmp_path):
    put(tmp_path, "HERE")
    assert found(tmp_path, ["GONE", "FILE"], "HERE") == ["GONE/FILE", "HERE"]


def test_a_file_is_named_once_and_only_if_its_record_is_in_use(tmp_path):
    put(tmp_path, "A", "B")
    assert found(tmp_path, "A", "B", "A", in_use={1}) == ["A"]


@pytest.mark.parametrize("name", [["..", "A"], ["D", "..", "..", "A"], "/etc/passwd", "../A", ["D/../../A"]])
def test_names_that_lead_out_of_the_folder_are_refused(name, tmp_path):
    put(tmp_path, "A", "cd/D/B")
    assert found(tmp_path / "cd", name, ["D", "B"]) == ["the DICOMDIR names a file outside of its folder", "D/B"]


@pytest.mark.parametrize("link", ["LINK", "D/LINK"])
def test_links_that_lead_out_of_the_folder_are_refused(link, tmp_path):
    put(tmp_path, "secret/A", "cd/D/B")
    (tmp_path / "cd" / link).symlink_to(tmp_path / "secret" / "A")
    (tmp_path / "cd" / "FOLDER").symlink_to(tmp_path / "secret")
    refused = "the DICOMDIR names a file outside of its folder"
    assert found(tmp_path / "cd", link.split("/"), ["FOLDER", "A"], ["D", "B"]) == [refused, refused, "D/B"]


def test_paths_in_one_component_are_taken_apart(tmp_path):
    put(tmp_path, "DIR/FILE")
    assert found(tmp_path, "DIR/FILE") == ["DIR/FILE"]


def test_the_folder_may_be_named_in_place_of_the_file(tmp_path):
    put(tmp_path, "dicomdir")
    assert dicomdir_at(str(tmp_path)) == str(tmp_path / "dicomdir")
    assert dicomdir_at(str(tmp_path / "dicomdir")) == str(tmp_path / "dicomdir")


def test_another_file_is_no_dicomdir(tmp_path):
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm"), tmp_path / "ct")
    (tmp_path / "text").write_text("no DICOM at all")
    for name in ("ct", "text"):
        with pytest.raises(ReadFailed, match="is no DICOMDIR"):
            list(referenced(str(tmp_path / name)))
    with pytest.raises(ReadFailed, match="cannot be read: No such file"):
        list(referenced(str(tmp_path / "gone")))


@pytest.mark.slow
def test_one_that_is_cut_off_anywhere_is_an_error_of_ours_or_reported(tmp_path):
    whole = (CD / "DICOMDIR").read_bytes()
    for at in range(300, len(whole), len(whole) // 40):
        (tmp_path / "DICOMDIR").write_bytes(whole[:at])
        with suppress(ReadFailed):
            *_, last = referenced(str(tmp_path / "DICOMDIR"))
            assert isinstance(last, Unsendable)
            assert "cut off" in last.reason


def test_a_number_of_another_length_is_an_error_of_ours(tmp_path):
    whole = (CD / "DICOMDIR").read_bytes()
    length = b"\2\0\0\0UL\4\0"
    assert length in whole
    (tmp_path / "DICOMDIR").write_bytes(whole.replace(length, length[:6] + b"\2\0"))
    with pytest.raises(ReadFailed, match="is damaged"):
        list(referenced(str(tmp_path / "DICOMDIR")))


_NESTED = b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"


@pytest.mark.parametrize("change", ["nested", "numbers", "deflated", "wrong length"])
def test_damage_of_any_kind_is_an_error_of_ours_that_quotes_nothing(change, tmp_path):
    path = Path(dicomdir(tmp_path, "SECRET"))
    content = path.read_bytes()
    at = content.index(b"\x04\x00\x20\x12")
    changed = {
        "nested": content[:at] + _NESTED * 2000,
        "numbers": content.replace(b"\x04\x00\x00\x15CS", b"\x04\x00\x00\x15US"),
        "deflated": content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99").replace(
            b"\x02\0\x10\0UI\x14\0", b"\x02\0\x10\0UI\x16\0"
        ),
        "wrong length": content.replace(b"\x02\0\0\0UL\4\0", b"\x02\0\0\0UL\5\0"),
    }[change]
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(ReadFailed, match="DICOMDIR is d") as raised:
        list(referenced(str(path)))
    assert "SECRET" not in str(raised.value)


def test_the_walk_gives_refused_files_their_place():
    paths = iter(referenced(str(CD / "DICOMDIR")))
    items = list(walk([next(paths), Unsendable(SourceFile("x"), "refused"), next(paths)]))
    assert [item.ordinal for item in items] == [1, 2, 3]
    assert items[1].reason == "refused"
