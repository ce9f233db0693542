import hashlib
import os
import stat
import warnings

from pydicom.filereader import read_file_meta_info

from support import trees


def test_our_reader_of_part_10_agrees_with_pydicom():
    agreed = 0
    for path in trees.pydicom_test_files():
        content = path.read_bytes()
        if content[128:140] != b"DICM\x02\0\0\0UL\x04\0":  # it begins with a group length
            continue
        with warnings.catch_warnings(action="ignore"):  # many of pydicom's test files are wrong on purpose
            meta = read_file_meta_info(path)
        found = trees.read_part10(path)
        assert found.sop_instance_uid == meta.get("MediaStorageSOPInstanceUID", "")
        assert found.transfer_syntax_uid == meta.get("TransferSyntaxUID", "")
        assert found.sha256 == hashlib.sha256(content[144 + meta.FileMetaInformationGroupLength :]).hexdigest()
        agreed += 1
    assert agreed > 50


def test_odd_names_are_written_unchanged(tmp_path):
    [source] = trees.instances(tmp_path / "source", 1)
    (tmp_path / "odd").mkdir()
    written = trees.oddly_named(tmp_path / "odd", source)
    assert {os.fsencode(path) for path in (tmp_path / "odd").iterdir()} == set(written)
    assert len(trees.data_sets(tmp_path / "odd")) == 1


def test_special_files_have_their_types(tmp_path):
    assert stat.S_ISFIFO(trees.fifo(tmp_path).stat().st_mode)
    assert stat.S_ISSOCK(trees.unix_socket(tmp_path).stat().st_mode)
    assert stat.S_ISCHR(trees.endless_device(tmp_path).stat().st_mode)
    assert trees.symlink_loop(tmp_path).resolve() == tmp_path.resolve()
    assert not trees.broken_symlink(tmp_path).exists()
