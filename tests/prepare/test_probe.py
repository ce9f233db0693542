"""The strict probe agrees with pydicom on all of pydicom's files, or passes them to the lenient probe."""

import struct
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_preamble

from asyncstore.model import Instance, Oddity, Unsendable
from asyncstore.prepare import probe
from asyncstore.prepare import probe as probe_module
from asyncstore.prepare.messages import INSTANCE
from asyncstore.prepare.probe import read_meta
from support import trees
from support.examples import examples
from support.rows import rows
from support.values import probe_file

_FOLDER = Path(trees.pydicom_test_files()[0]).parent
_CT = (_FOLDER / "CT_small.dcm").read_bytes()
_CT_OFFSET = 336
_PAGE = 8192
"""Bytes of a file that are read."""


def _by_pydicom(path):
    """The UIDs and the offset of the data set as pydicom reads the file meta information."""
    with path.open("rb") as file:
        read_preamble(file, force=True)
        meta = _read_file_meta_info(file)
        return (
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            file.tell(),
        )


def _strict(path):
    return read_meta(path.read_bytes()[:_PAGE])


_ORDINARY = [path for path in trees.pydicom_test_files() if _strict(path)]
_UNUSUAL = {
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "README",
    "README.txt",
    "crayons.icc",
    "empty_charset_LEI.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "no_meta_group_length.dcm",
    "rtplan.dump",
    "rtstruct.dcm",
    "rtstruct.dump",
    "test1.json",
    "test_PN.json",
    "zipMR.gz",
}
"""Those of pydicom's files that are no DICOM files, or whose file meta information is missing, empty or incomplete."""


def _by_pydicom_in_data_set(path):
    """The same with the UIDs of the data set, if it has any."""
    tags = ["SOPClassUID", "SOPInstanceUID"]
    with warnings.catch_warnings(action="ignore"):
        data_set = dcmread(path, specific_tags=tags)
    in_meta = _by_pydicom(path)
    return *(str(data_set.get(tag, uid)) for tag, uid in zip(tags, in_meta, strict=False)), *in_meta[2:]


_SHARE = 30
_shares = pytest.mark.parametrize(
    "paths", [pytest.param(_ORDINARY[at : at + _SHARE], id=f"from {at}") for at in range(0, len(_ORDINARY), _SHARE)]
)
"""Tests of all ordinary files, of so many together."""


# Against pydicom.


@_shares
def test_it_reads_the_same_as_pydicom(paths):
    with rows() as row:
        for path in paths:
            with row(str(path.relative_to(_FOLDER))):
                _assert_read_as_by_pydicom(path)


def _assert_read_as_by_pydicom(path):
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, offset = _strict(path)
    assert (sop_class_uid, sop_instance_uid, transfer_syntax_uid, offset) == _by_pydicom(path)
    independent = trees.read_part10(path)
    assert (sop_class_uid, sop_instance_uid, transfer_syntax_uid) == independent[:3]
    assert path.read_bytes()[offset:] == independent.data_set


def test_it_reads_all_files_but_the_unusual():
    assert {path.name for path in trees.pydicom_test_files() if path not in _ORDINARY} == _UNUSUAL


@_shares
def test_the_data_set_lies_where_the_instance_says(paths):
    with rows() as row:
        for path in paths:
            with row(str(path.relative_to(_FOLDER))):
                _assert_found_in_its_place(path)


def _assert_found_in_its_place(path):
    found = probe_file(str(path))
    content = path.read_bytes()
    if isinstance(found, Unsendable):
        assert any(part in path.name for part in ("DICOMDIR", "truncated", "SC_rgb_jpeg.dcm"))
        return
    assert found.path == str(path)
    assert (*found.identity, found.offset) == _by_pydicom_in_data_set(path)
    assert found.offset + found.length == len(content)
    assert found.data == (content[found.offset :] if len(content) <= _PAGE else None)


@pytest.mark.slow
def test_the_uids_of_the_data_set_count():
    """The file meta information of some files in pydicom's collection names another instance."""
    differing = {path.name for path in _ORDINARY if _by_pydicom(path) != _by_pydicom_in_data_set(path)}
    assert differing >= {"badVR.dcm", "rtdose.dcm", "rtdose_expb.dcm", "rtplan.dcm"}


@pytest.mark.parametrize(
    "transfer_syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
)
def test_other_uids_in_the_data_set_are_found_in_every_encoding(tmp_path, transfer_syntax):
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.Modality = "1.2.840.10008.5.1.4.1.1.4", "1.2.34", "MR"
    path = tmp_path / "file"
    for meta in (("1.2.840.10008.5.1.4.1.1.2", "1.2.34"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.3")):
        data_set.preamble, data_set.file_meta = bytes(128), FileMetaDataset()
        data_set.file_meta.MediaStorageSOPClassUID, data_set.file_meta.MediaStorageSOPInstanceUID = meta
        data_set.file_meta.TransferSyntaxUID = transfer_syntax
        dcmwrite(path, data_set)
        found = probe_file(str(path))
        assert found.identity == ("1.2.840.10008.5.1.4.1.1.4", "1.2.34", transfer_syntax)


# Strictness.


def _element(element, vr, value, group=2):
    if vr in (b"OB", b"UN"):
        return struct.pack("<HH2sHI", group, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


_CLASS = _element(0x0002, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0")
_INSTANCE = _element(0x0003, b"UI", b"1.2.3.4.5\0")
_SYNTAX = _element(0x0010, b"UI", b"1.2.840.10008.1.2.1\0")


def _meta(*elements, length=None, prefix=b"DICM"):
    group = b"".join(elements)
    length = len(group) if length is None else length
    return bytes(128) + prefix + _element(0x0000, b"UL", struct.pack("<I", length)) + group


_DATA_SET = _element(0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0", group=8)


def test_the_shortest_file_meta_information_is_read():
    head = _meta(_CLASS, _INSTANCE, _SYNTAX)
    assert read_meta(head + _DATA_SET) == ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5", "1.2.840.10008.1.2.1", len(head))


def test_the_first_value_of_an_element_counts():
    for elements in ((_CLASS, _INSTANCE, _SYNTAX), (_SYNTAX, _INSTANCE, _CLASS)):
        more = (_element(0x0003, b"UI", b"1.9\0"), _element(0x0010, b"UI", b"1.2.840.10008.1.2\0"))
        head = _meta(*elements, *more)
        assert read_meta(head + _DATA_SET) == (*read_meta(_meta(*elements) + _DATA_SET)[:3], len(head))


def test_elements_come_in_any_order_and_any_vr_of_the_standard():
    head = _meta(
        _element(0x0001, b"OB", b"\0\1"), _SYNTAX, _element(0x0016, b"AE", b"TITLE "), _INSTANCE,
        _element(0x0102, b"OB", bytes(4000)), _element(0x0013, b"SH", b"NAME"), _CLASS,
    )  # fmt: skip
    assert read_meta(head + _DATA_SET)[3] == len(head)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(128) + b"DICM", id="prefix only"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, prefix=b"DICN") + _DATA_SET, id="no prefix"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX)[132:] + _DATA_SET, id="no preamble"),
        pytest.param(bytes(128) + b"DICM" + _CLASS + _INSTANCE + _SYNTAX + _DATA_SET, id="no group length"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, length=0) + _DATA_SET, id="group length 0"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, length=len(_CLASS)) + _DATA_SET, id="group length too short"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, length=120) + _DATA_SET, id="group length too long"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, length=2**32 - 1) + _DATA_SET, id="group length of 4 GiB"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX[:-2]) + _DATA_SET, id="element beyond the group"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, b"\2\0\1\0OB") + _DATA_SET, id="cut off in a header"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, b"\2\0\1\0OB\0\0\0") + _DATA_SET, id="cut off in a long header"),
        pytest.param(_meta(_INSTANCE, _SYNTAX) + _DATA_SET, id="no SOP class"),
        pytest.param(_meta(_CLASS, _SYNTAX) + _DATA_SET, id="no SOP instance"),
        pytest.param(_meta(_CLASS, _INSTANCE) + _DATA_SET, id="no transfer syntax"),
        pytest.param(_meta(_CLASS, _element(3, b"UI", b""), _SYNTAX) + _DATA_SET, id="empty SOP instance"),
        pytest.param(_meta(_CLASS, _element(3, b"UI", b"1.\xe4\0"), _SYNTAX) + _DATA_SET, id="UID not ASCII"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, _element(1, b"XX", b"")) + _DATA_SET, id="unknown VR"),
        pytest.param(
            _meta(struct.pack("<HHI", 2, 2, 26) + _CLASS[8:], _INSTANCE, _SYNTAX) + _DATA_SET, id="implicit VR"
        ),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX, _DATA_SET), id="another group in it"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX) + _element(0x16, b"AE", b"NAME"), id="group goes on after it"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX), id="nothing after it"),
        pytest.param(
            _meta(_CLASS, _INSTANCE, _SYNTAX, _element(0x0102, b"OB", bytes(9000)))[:_PAGE],
            id="longer than what was read",
        ),
    ],
)
def test_unusual_files_are_passed_on(head):
    assert read_meta(head) is None


def test_a_shorter_head_gives_the_same_or_nothing():
    for length in range(700):
        read = read_meta(_CT[:length])
        assert read is None or read == read_meta(_CT)
        assert (read is None) == (length < _CT_OFFSET + 2)


def test_no_single_bit_makes_it_answer_another_offset():
    for position in range(_CT_OFFSET + 4):
        for bit in range(8):
            damaged = bytearray(_CT[:_PAGE])
            damaged[position] ^= 1 << bit
            read = read_meta(bytes(damaged))
            assert read is None or read[3] == _CT_OFFSET


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_passed_on(data, has_prefix):
    read = read_meta(bytes(128) + b"DICM\2\0\0\0UL\4\0" + data if has_prefix else data)
    assert read is None or read[3] <= 144 + len(data)


# Files.


def _written(folder, content):
    path = folder / "file.dcm"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("size", [_PAGE - 2, _PAGE, _PAGE + 2, 2 * _PAGE])
def test_a_file_that_was_read_whole_brings_its_data_set_along(tmp_path, size):
    beginning = _CT[: _CT.index(b"\x10\x00\x10\x00PN")]
    content = beginning + _element(0x1001, b"OB", bytes(size - len(beginning) - 12), group=0x7FE1)
    found = probe_file(_written(tmp_path, content))
    assert (found.offset, found.length) == (_CT_OFFSET, size - _CT_OFFSET)
    assert found.data == (content[_CT_OFFSET:size] if size <= _PAGE else None)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"  ", b"\0\0", b"\t", b"\r\n", b" \t\0"])
def test_padding_does_not_belong_to_a_uid(tmp_path, padding):
    instance = _element(0x0003, b"UI", b"1.2.3.4.5" + padding)
    found = probe_file(_written(tmp_path, _meta(_CLASS, instance, _SYNTAX) + _DATA_SET))
    assert found.sop_instance_uid == "1.2.3.4.5"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX), "no data set", id="no data set"),
        pytest.param(_meta(_CLASS, _INSTANCE, _SYNTAX) + _DATA_SET[:-1], "cut off", id="cut off"),
        pytest.param(
            _meta(_CLASS, _INSTANCE, _SYNTAX) + _DATA_SET + b"\0", "a byte stands behind its last element", id="odd"
        ),
        pytest.param(
            _meta(_CLASS, _element(3, b"UI", b"1" * 66), _SYNTAX) + _DATA_SET,
            "its SOP instance UID has 66 characters: no more than 64 are allowed",
            id="SOP instance UID too long",
        ),
        pytest.param(
            _meta(_CLASS, _element(3, b"UI", b"1\x1b[2J.3"), _SYNTAX) + _DATA_SET,
            r"its SOP instance UID holds characters that cannot be printed: '1\x1b[2J.3'",
            id="SOP instance UID with an escape",
        ),
        pytest.param(
            _meta(_element(2, b"UI", b"1.\n2"), _INSTANCE, _SYNTAX) + _DATA_SET,
            r"its SOP class UID holds characters that cannot be printed: '1.\n2'",
            id="SOP class UID with a line feed",
        ),
        pytest.param(
            _meta(_CLASS, _element(3, b"UI", b"1.2\\1.3"), _SYNTAX) + _DATA_SET,
            r"its SOP instance UID holds a slash or a backslash, which no UID may: 1.2\1.3",
            id="two SOP instance UIDs",
        ),
        pytest.param(
            _meta(_CLASS, _INSTANCE, _element(0x10, b"UI", b"JPEG")) + _DATA_SET,
            "its transfer syntax UID is none: 'JPEG'",
            id="transfer syntax of letters",
        ),
        pytest.param(
            _meta(_element(2, b"UI", b"1.2.840.10008.1.3.10"), _INSTANCE, _SYNTAX) + _DATA_SET,
            "DICOMDIR",
            id="DICOMDIR",
        ),
    ],
)
def test_a_file_that_no_peer_could_store_is_unsendable(tmp_path, content, reason):
    found = probe_file(_written(tmp_path, content))
    assert isinstance(found, Unsendable)
    assert reason in found.reason


@pytest.mark.parametrize("uid", [b"dcc959908713174", b"0123456789abcdef" * 4, b"1.2-3_4 5", b"!~"])
@pytest.mark.parametrize("element", [0x0002, 0x0003])
def test_a_uid_of_up_to_64_printable_characters_is_sent_as_it_is_and_marked(tmp_path, element, uid):
    value = _element(element, b"UI", uid + b"\0" * (len(uid) % 2))
    elements = [value, _INSTANCE] if element == 0x0002 else [_CLASS, value]
    found = probe_file(_written(tmp_path, _meta(*elements, _SYNTAX) + _DATA_SET))
    assert found.identity[element - 2] == uid.decode()
    assert found.oddities == Oddity.UNUSUAL_UID


def test_a_file_that_is_read_later_has_a_version(tmp_path):
    content = _CT[: _CT.index(b"\x10\x00\x10\x00PN")]
    for size in (10, 2 * _PAGE):
        path = _written(tmp_path, content + _element(0x1001, b"OB", bytes(size), group=0x7FE1))
        status = Path(path).stat()
        version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        assert probe_file(path).version == (None if size < _PAGE else version)
    without_length = content[:132] + content[144:]
    path = _written(tmp_path, without_length + _element(0x1001, b"OB", bytes(10), group=0x7FE1))
    assert probe_file(path).version[1] == Path(path).stat().st_ino


@pytest.mark.parametrize(
    "syntax", [b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.4.95\0", b"1.2.840.10008.1.2.4.205\0"]
)
def test_a_deflated_data_set_may_be_of_odd_length(tmp_path, syntax):
    for data in (trees.deflated(_DATA_SET), trees.deflated(_DATA_SET + _element(0x0018, b"UI", b"1.2", group=8))):
        found = probe_file(_written(tmp_path, _meta(_CLASS, _INSTANCE, _element(0x0010, b"UI", syntax)) + data))
        assert isinstance(found, Instance)
        assert (found.length, found.data) == (len(data), data)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(trees.empty_file, id="empty"),
        pytest.param(trees.random_bytes, id="random"),
        pytest.param(trees.text_file, id="text"),
        pytest.param(trees.prefix_only, id="prefix only"),
        pytest.param(trees.directory_named_as_a_file, id="directory"),
        pytest.param(trees.fifo, id="FIFO"),
        pytest.param(trees.unix_socket, id="socket"),
        pytest.param(trees.endless_device, id="device"),
        pytest.param(trees.broken_symlink, id="broken link"),
        pytest.param(trees.symlinks_to_each_other, id="links to each other"),
        pytest.param(lambda folder: folder / "gone", id="gone"),
        pytest.param(lambda folder: folder / "with\0nul", id="no name"),
        pytest.param(lambda folder: trees.unreadable(trees.text_file(folder)), id="unreadable"),
    ],
)
def test_another_file_is_unsendable_for_a_reason_without_its_path(tmp_path, make):
    path = str(make(tmp_path))
    found = probe_file(path)
    assert isinstance(found, Unsendable)
    assert found.path == path
    assert found.reason
    assert path not in found.reason


@settings(max_examples=examples(50), deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", bytes(128) + b"DICM", bytes(128) + b"DICM\2\0\0\0UL\4\0"]))
def test_any_file_is_an_instance_within_its_bounds_or_unsendable(data, start):
    with tempfile.TemporaryDirectory() as folder:
        found = probe_file(_written(Path(folder), start + data))
    if isinstance(found, Instance):
        assert found.offset + found.length == len(start + data)
        assert found.length > 0


_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"
"""A transfer syntax of General Electric's: implicit VR little endian, but for the byte order of its pixel data."""
_PAPYRUS_IMPLICIT = "1.2.840.10008.1.20"
"""Papyrus 3 Implicit VR Little Endian, which is retired."""


@pytest.mark.parametrize("without_group_length", [False, True], ids=["", "no group length"])
@pytest.mark.parametrize(
    ("name", "named", "said"),
    [
        ("MR_small.dcm", "1.2.840.10008.1.2", "its data set is in LittleEndianExplicit, not in LittleEndianImplicit"),
        ("MR_small.dcm", "1.2.840.10008.1.2.2", "its data set is in LittleEndianExplicit, not in BigEndianExplicit"),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2.1", "in LittleEndianImplicit, not in LittleEndianExplicit"),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2.4.50", "in LittleEndianImplicit, not in JPEGBaseline"),
        ("MR_small_bigendian.dcm", "1.2.840.10008.1.2.1", "in BigEndianExplicit, not in LittleEndianExplicit"),
        ("MR_small_implicit.dcm", _PRIVATE_IMPLICIT, None),
        ("MR_small_implicit.dcm", _PAPYRUS_IMPLICIT, None),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2", None),
    ],
)
def test_a_data_set_in_another_encoding_than_its_file_says_is_not_sent(
    tmp_path, name, named, said, without_group_length
):
    """No SCP could read it. The encoding of private transfer syntaxes is not known."""
    [path] = [path for path in trees.pydicom_test_files() if path.name == name]
    whole = trees.read_part10(path)
    syntax = _element(0x0010, b"UI", named.encode() + b"\0" * (len(named) & 1))
    meta = _meta(_CLASS, _INSTANCE, syntax)
    if without_group_length:
        meta = meta[:132] + meta[144:]
    found = probe_file(_written(tmp_path, meta + whole.data_set))
    assert found.transfer_syntax_uid == named if said is None else said in found.reason


@pytest.mark.parametrize("digits", [64, 65, 254, 255, 256, 1000])
def test_a_uid_of_any_length_in_the_file_meta_information_gives_way_to_that_of_the_data_set(tmp_path, digits):
    [path] = [path for path in trees.pydicom_test_files() if path.name == "MR_small.dcm"]
    whole = trees.read_part10(path)
    meta = _meta(_CLASS, _element(0x0003, b"UI", b"1" * (digits + digits % 2)), _SYNTAX)
    found = probe_file(_written(tmp_path, meta + whole.data_set))
    assert found.sop_instance_uid == whole.sop_instance_uid


def test_meta_information_like_the_last_files_is_read_as_if_it_were_the_first():
    """One that resembles the file before, but for a byte anywhere in it, is not taken for the same."""
    whole = _meta(_CLASS, _INSTANCE, _SYNTAX) + _DATA_SET
    heads = [whole]
    for position in range(128, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        heads.append(bytes(damaged))
    for head in heads:
        probe_module._alike.clear()  # noqa: SLF001 - as in a process that has read no file
        alone = read_meta(head)
        read_meta(whole)
        assert read_meta(head) == alone


_CT_UID = b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


def _with_uid(in_meta, in_data_set):
    """The CT with these SOP instance UIDs; both have 47 bytes."""
    return _CT[:_CT_OFFSET].replace(_CT_UID, in_meta) + _CT[_CT_OFFSET:].replace(_CT_UID, in_data_set)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_CT, id="the same"),
        pytest.param(_with_uid(b"1." + b"2" * 45, b"1." + b"2" * 45), id="another UID"),
        pytest.param(_with_uid(b"1." + b"2" * 45, b"1." + b"3" * 45), id="another UID in the data set"),
        pytest.param(_with_uid(b"1." + b"2" * 44 + b"\0", b"1." + b"2" * 44 + b"\0"), id="a shorter UID"),
        pytest.param(_with_uid(b"1\0" + b"2" * 45, b"1\0" + b"2" * 45), id="NUL within a UID"),
        pytest.param(_with_uid(b"1/" + b"2" * 45, b"1/" + b"2" * 45), id="a slash in a UID"),
        pytest.param(_with_uid(b"\0" * 47, b"\0" * 47), id="an empty UID"),
        pytest.param(_CT[:_CT_OFFSET], id="no data set"),
        pytest.param(_CT[:_CT_OFFSET] + b"\x02\0\x16\0AE\x02\0AB" + _CT[_CT_OFFSET:], id="more file meta information"),
        pytest.param(_CT[:-2], id="cut off"),
    ],
)
def test_a_file_like_the_last_one_is_probed_as_if_it_came_alone(tmp_path, monkeypatch, content):
    monkeypatch.setattr(probe, "_alike", [])
    path = _written(tmp_path, content)
    alone = probe.probe_file(path)
    assert probe.probe_file(str(_FOLDER / "CT_small.dcm"))[0] == INSTANCE
    assert probe.probe_file(path) == alone
