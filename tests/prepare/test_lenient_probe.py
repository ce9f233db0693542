"""Files with missing or unusual file meta information, each made from an ordinary one."""

import struct
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.model import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    Unsendable,
)
from asyncstore.prepare import lenient_probe
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.lenient_probe import probe_unusual
from asyncstore.prepare.messages import Unfit
from asyncstore.prepare.probe import read_meta
from support import trees, values
from support.values import probe_file

_FOLDER = Path(trees.pydicom_test_files()[0]).parent
_CASES = sorted((Path(__file__).parents[1] / "cases").glob("*.dcm"))
_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_CT_INSTANCE = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
_CT = (_FOLDER / "CT_small.dcm").read_bytes()
_CT_DATA_SET = _CT[336:]
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PREFIX = bytes(128) + b"DICM"


def _probe(content):
    """What a worker finds in a file with this content, if the lenient probe alone looks into it."""
    try:
        *uids, offset = probe_unusual(BytesIO(content), len(content))
    except Unfit as reason:
        return values.unsendable("file", str(reason))
    return values.instance("file", *uids, offset, len(content) - offset)


def _found(instance):
    return *instance.identity, instance.offset


def _element(element, vr, value):
    if vr == b"OB":
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _uid(element, uid):
    value = uid.encode()
    return _element(element, b"UI", value + b"\0" * (len(value) % 2))


_CLASS, _INSTANCE, _SYNTAX = _uid(2, _CT_CLASS), _uid(3, _CT_INSTANCE), _uid(16, EXPLICIT_VR_LITTLE_ENDIAN)
_META = _CLASS + _INSTANCE + _SYNTAX


def _group_length(length):
    return _element(0, b"UL", struct.pack("<I", length))


def _implicit(*elements):
    return b"".join(
        struct.pack("<HHI", *struct.unpack_from("<HH", element), len(element) - 8) + element[8:] for element in elements
    )


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(_PREFIX + _META, id="no group length"),
        pytest.param(_PREFIX + _group_length(0) + _META, id="group length 0"),
        pytest.param(_PREFIX + _group_length(10) + _META, id="group length too short"),
        pytest.param(_PREFIX + _group_length(500) + _META, id="group length too long"),
        pytest.param(_PREFIX + _group_length(2**32 - 1) + _META, id="group length of 4 GiB"),
        pytest.param(_META, id="no preamble"),
        pytest.param(_PREFIX + _META + _element(0x0102, b"OB", bytes(50000)), id="longer than a page"),
        pytest.param(_PREFIX + _INSTANCE + _SYNTAX, id="no SOP class"),
        pytest.param(_PREFIX + _CLASS + _SYNTAX, id="no SOP instance"),
        pytest.param(_PREFIX + _uid(2, "") + _uid(3, "") + _SYNTAX, id="empty UIDs"),
        pytest.param(_PREFIX + _SYNTAX, id="transfer syntax only"),
        pytest.param(_PREFIX + _CLASS + _INSTANCE, id="no transfer syntax"),
        pytest.param(_PREFIX + _CLASS + _INSTANCE + _uid(16, ""), id="empty transfer syntax"),
        pytest.param(_PREFIX, id="nothing but the prefix"),
        pytest.param(b"", id="no meta information at all"),
        pytest.param(_PREFIX + _implicit(_CLASS, _INSTANCE, _SYNTAX), id="implicit VR"),
        pytest.param(
            _PREFIX + _element(2, b"UI", _CT_CLASS.encode() + b" ") + _INSTANCE + _SYNTAX, id="padded with a space"
        ),
    ],
)
def test_the_instance_in_an_unusual_file_is_found(tmp_path, start):
    content = start + _CT_DATA_SET
    expected = (_CT_CLASS, _CT_INSTANCE, EXPLICIT_VR_LITTLE_ENDIAN, len(start))
    assert _found(_probe(content)) == expected
    assert read_meta(content) is None
    path = tmp_path / "file"
    path.write_bytes(content)
    assert _found(probe_file(str(path))) == expected
    assert probe_file(str(path)).length == len(_CT_DATA_SET)


@pytest.mark.parametrize(
    ("name", "transfer_syntax"),
    [
        ("MR_small.dcm", EXPLICIT_VR_LITTLE_ENDIAN),
        ("MR_small_implicit.dcm", IMPLICIT_VR_LITTLE_ENDIAN),
        ("MR_small_bigendian.dcm", EXPLICIT_VR_BIG_ENDIAN),
        ("rtplan.dcm", IMPLICIT_VR_LITTLE_ENDIAN),
        ("rtdose_expb.dcm", EXPLICIT_VR_BIG_ENDIAN),
        ("waveform_ecg.dcm", EXPLICIT_VR_LITTLE_ENDIAN),
        ("reportsi.dcm", EXPLICIT_VR_LITTLE_ENDIAN),
    ],
)
@pytest.mark.parametrize("start", [b"", _PREFIX], ids=["bare", "prefix"])
def test_an_encoding_that_nothing_names_is_recognised(name, transfer_syntax, start):
    original = pydicom.dcmread(_FOLDER / name)
    found = _probe(start + trees.read_part10(_FOLDER / name).data_set)
    assert _found(found) == (original.SOPClassUID, original.SOPInstanceUID, transfer_syntax, len(start))


@pytest.mark.parametrize(
    ("name", "transfer_syntax", "offset"),
    [
        ("ExplVR_BigEndNoMeta.dcm", EXPLICIT_VR_BIG_ENDIAN, 0),
        ("ExplVR_LitEndNoMeta.dcm", EXPLICIT_VR_LITTLE_ENDIAN, 0),
        ("rtstruct.dcm", IMPLICIT_VR_LITTLE_ENDIAN, 0),
        ("no_meta_group_length.dcm", IMPLICIT_VR_LITTLE_ENDIAN, 338),
    ],
)
def test_pydicoms_unusual_files_are_read_as_pydicom_reads_them(name, transfer_syntax, offset):
    path = _FOLDER / name
    found = probe_file(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, force=True)
    expected = (
        theirs.get("SOPClassUID", theirs.file_meta.get("MediaStorageSOPClassUID")),
        theirs.get("SOPInstanceUID", theirs.file_meta.get("MediaStorageSOPInstanceUID")),
    )
    assert _found(found) == (*expected, transfer_syntax, offset)
    assert found.length == path.stat().st_size - offset


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty_charset_LEI.dcm", "no SOP class UID and SOP instance UID"),
        ("nested_priv_SQ.dcm", "nothing after its file meta information looks like a data set"),
        ("meta_missing_tsyntax.dcm", ""),
        ("no_meta.dcm", "not a DICOM file"),
        ("README.txt", "not a DICOM file"),
        ("crayons.icc", "not a DICOM file"),
        ("test1.json", "not a DICOM file"),
        ("zipMR.gz", "not a DICOM file"),
    ],
)
def test_a_file_without_an_instance_is_unsendable(name, reason):
    found = probe_file(str(_FOLDER / name))
    assert isinstance(found, Unsendable)
    assert reason in found.reason


# Which files are wanted.

_BARE_TOO = "without file meta information, which is not asked for"
_NAMES_NONE = "names no transfer syntax, and the data set does not show it"
_NOT_BARE = "and only bare data sets are asked for"


@pytest.mark.parametrize(
    ("start", "with_meta", "bare"),
    [
        pytest.param(_CT[:336], None, _NOT_BARE, id="ordinary"),
        pytest.param(_PREFIX + _META, None, _NOT_BARE, id="no group length"),
        pytest.param(_META, None, _NOT_BARE, id="no preamble"),
        pytest.param(_PREFIX + _SYNTAX, None, _NOT_BARE, id="transfer syntax only"),
        pytest.param(_PREFIX + _CLASS + _INSTANCE, _NAMES_NONE, _NOT_BARE, id="no transfer syntax"),
        pytest.param(_PREFIX, _NAMES_NONE, _NOT_BARE, id="nothing but the prefix"),
        pytest.param(b"", _BARE_TOO, None, id="bare"),
    ],
)
def test_a_file_of_the_format_that_is_not_wanted_is_unsendable_and_says_what_takes_it(tmp_path, start, with_meta, bare):
    path = tmp_path / "file"
    path.write_bytes(start + _CT_DATA_SET)
    taken = probe_file(str(path))
    assert isinstance(taken, Instance)
    for file_format, reason in ((FileFormat.WITH_META, with_meta), (FileFormat.BARE, bare)):
        found = probe_file(str(path), file_format)
        if reason is None:
            assert (_found(found), found.length) == (_found(taken), taken.length)
        else:
            assert isinstance(found, Unsendable)
            assert reason in found.reason


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_file_without_an_instance_has_none_in_any_format(file_format):
    assert probe_file(str(_FOLDER / "README.txt"), file_format).reason == "not a DICOM file"


# Bare data sets.


def _data_set(order, *elements, explicit=True):
    """Elements as (tag, VR, value) in a byte order."""
    encoded = b""
    for tag, vr, value in elements:
        encoded += struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        encoded += vr + struct.pack(f"{order}H", len(value)) if explicit else struct.pack(f"{order}I", len(value))
        encoded += value
    return encoded


_SOP_CLASS = (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0")
_SOP_INSTANCE = (0x00080018, b"UI", b"1.2.3.45")
_PATIENT_NAME = (0x00100010, b"PN", b"A^B ")
_PATIENT_ID = (0x00100020, b"LO", b"ID")


@pytest.mark.parametrize(
    ("order", "explicit", "transfer_syntax"),
    [
        ("<", True, EXPLICIT_VR_LITTLE_ENDIAN),
        ("<", False, IMPLICIT_VR_LITTLE_ENDIAN),
        (">", True, EXPLICIT_VR_BIG_ENDIAN),
    ],
)
@pytest.mark.parametrize(
    "first",
    [
        pytest.param((), id="SOP class"),
        pytest.param(((0x00080000, b"UL", b"\0\0\0\0"),), id="group length"),
        pytest.param(((0x00080005, b"CS", b"ISO_IR 192"),), id="character set"),
        pytest.param(((0x00080002, b"LO", b"XX"),), id="unknown element"),
        pytest.param(((0x00041130, b"CS", b"FS"),), id="group 0004"),
        pytest.param(((0x00070010, b"LO", b"PRIVATE "),), id="group 0007"),
        pytest.param((_PATIENT_NAME,), id="not in order"),
    ],
)
def test_a_bare_data_set_is_recognised_by_its_first_element(order, explicit, transfer_syntax, first):
    content = _data_set(order, *first, _SOP_CLASS, _SOP_INSTANCE, _PATIENT_NAME, explicit=explicit)
    assert _found(_probe(content)) == (_CT_CLASS, "1.2.3.45", transfer_syntax, 0)


def test_implicit_vr_big_endian_is_named_for_what_it_is():
    content = _data_set(">", _SOP_CLASS, _SOP_INSTANCE, explicit=False)
    assert "implicit VR big endian" in _probe(content).reason


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        pytest.param((_PATIENT_NAME, _PATIENT_ID), "not a DICOM file", id="neither UID, another group"),
        pytest.param((_SOP_CLASS, _PATIENT_ID), "it holds no SOP class UID and SOP instance UID", id="one UID"),
        pytest.param(((0x00000000, b"UL", bytes(4)), _SOP_CLASS, _SOP_INSTANCE), "not a DICOM file", id="a command"),
        pytest.param(
            (_PATIENT_NAME, (0x00020002, b"UI", b"1.2\0"), _SOP_CLASS, _SOP_INSTANCE), "not a DICOM file", id="group 2"
        ),
    ],
)
def test_a_data_set_that_is_no_instance_is_unsendable(elements, reason):
    assert _probe(_data_set("<", *elements)).reason == reason


def test_a_bare_data_set_cut_off_within_its_uids_is_no_instance():
    whole = _data_set("<", _SOP_CLASS, _SOP_INSTANCE)
    for length in range(len(whole)):
        assert isinstance(_probe(whole[:length]), Unsendable)
    assert isinstance(_probe(whole), Instance)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"  ", b" \0"])
def test_uids_padded_with_spaces_are_taken_without_them(padding):
    padded = (0x00080018, b"UI", b"1.2.3.45" + padding)
    assert _probe(_data_set("<", _SOP_CLASS, padded, _PATIENT_ID)).sop_instance_uid == "1.2.3.45"


def _in_big_endian(*elements):
    return b"".join(struct.pack(">HH2sH", *struct.unpack_from("<HH2sH", element)) + element[8:] for element in elements)


@pytest.mark.parametrize("has_group_length", [False, True])
def test_file_meta_information_in_big_endian_is_read(has_group_length):
    start = _PREFIX + _in_big_endian(*[_group_length(0)] * has_group_length, _CLASS, _INSTANCE, _SYNTAX)
    assert _found(_probe(start + _CT_DATA_SET)) == (_CT_CLASS, _CT_INSTANCE, EXPLICIT_VR_LITTLE_ENDIAN, len(start))


@pytest.mark.parametrize("stray", [_uid(16, "1.2.840.10008.1.2.4.50"), _uid(16, "1.2.840.10008.1.2"), _uid(3, "9.9")])
@pytest.mark.parametrize("is_implicit", [False, True])
def test_an_element_behind_the_end_of_file_meta_information_belongs_to_nothing(tmp_path, is_implicit, stray):
    start = _PREFIX + _group_length(len(_META)) + _META + (_implicit(stray) if is_implicit else stray)
    path = tmp_path / "file"
    path.write_bytes(start + _CT_DATA_SET)
    assert _found(probe_file(str(path))) == (_CT_CLASS, _CT_INSTANCE, EXPLICIT_VR_LITTLE_ENDIAN, len(start))


def test_the_uids_of_a_data_set_are_looked_for_among_so_many_elements(monkeypatch):
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 50
    sequence = struct.pack("<HH2sHI", 8, 6, b"SQ", 0, 0xFFFFFFFF) + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    content = sequence + _data_set("<", _SOP_CLASS, _SOP_INSTANCE)
    assert isinstance(_probe(content), Instance)
    monkeypatch.setattr(lenient_probe, "_MOST_ELEMENTS", 50)
    assert isinstance(_probe(content), Unsendable)


def test_uids_are_also_looked_for_in_deflated_data_sets():
    start = _PREFIX + _uid(16, "1.2.840.10008.1.2.1.99")
    found = _probe(start + trees.deflated(_CT_DATA_SET))
    assert (found.sop_class_uid, found.sop_instance_uid) == (_CT_CLASS, _CT_INSTANCE)
    damaged = _probe(start + b"deflated")
    assert isinstance(damaged, Unsendable)
    assert "no SOP class UID and SOP instance UID" in damaged.reason


@pytest.mark.parametrize("meta", [_SYNTAX, _group_length(len(_SYNTAX)) + _SYNTAX, b""])
def test_a_data_set_behind_file_meta_information_need_not_be_in_order(meta):
    content = _PREFIX + meta + _data_set("<", _PATIENT_NAME, _SOP_INSTANCE, _SOP_CLASS)
    assert _found(_probe(content)) == (_CT_CLASS, "1.2.3.45", EXPLICIT_VR_LITTLE_ENDIAN, len(_PREFIX + meta))


@pytest.mark.parametrize(
    "rest",
    [b"", b"\0", b"\2\0", b"\2\0\2\1OB", b"\2\0\2\1OB\0\0", b"\2\0\2\1OB\0\0\xff\xff\xff\xff", b"\2\0\3\0UI\4\0ab"],
)
def test_a_file_that_ends_within_its_file_meta_information_is_no_instance(tmp_path, rest):
    path = tmp_path / "file"
    path.write_bytes(_PREFIX + _META + rest)
    assert isinstance(probe_file(str(path)), Unsendable)


def test_cut_off_anywhere_before_the_data_set_it_is_no_instance(tmp_path):
    path = tmp_path / "file"
    for length in range(337):
        path.write_bytes(_CT[:length])
        assert isinstance(probe_file(str(path)), Unsendable)


def _looks_like_a_data_set(found, content):
    order = "big" if found.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "little"
    return 4 <= int.from_bytes(content[found.offset : found.offset + 2], order) <= 0xFF


@pytest.mark.slow
def test_no_damaged_bit_makes_something_else_the_data_set(tmp_path):
    path = tmp_path / "file"
    for position in range(336):
        for bit in range(8):
            damaged = bytearray(_CT[:1000])
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            found = probe_file(str(path))
            assert isinstance(found, Unsendable) or _looks_like_a_data_set(found, damaged), (position, bit, found)


def test_a_length_that_lies_costs_no_memory(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(_PREFIX + struct.pack("<HH2sHI", 8, 5, b"UN", 0, 300 << 20))
        file.truncate(400 << 20)
    tracemalloc.start()
    try:
        assert isinstance(probe_file(str(path)), Unsendable)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_sequences_nested_without_end_are_no_instance():
    item = struct.pack("<HH2sHI", 8, 6, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert isinstance(_probe(_PREFIX + item * 20000), Unsendable)


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", _PREFIX, _PREFIX + _SYNTAX, _PREFIX + _CLASS, _PREFIX + _uid(16, EXPLICIT_VR_BIG_ENDIAN)]),
)
def test_any_bytes_are_an_instance_within_their_bounds_or_unsendable(data, start):
    found = _probe(start + data)
    if isinstance(found, Instance):
        assert found.offset + found.length == len(start + data)


@settings(deadline=None)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_data_set_is_an_instance_or_unsendable(position, damage, has_meta):
    content = bytearray((_PREFIX + _META if has_meta else b"") + _CT_DATA_SET[:2000])
    content[position : position + len(damage)] = damage
    found = _probe(bytes(content))
    assert isinstance(found, (Instance, Unsendable))


class TestRefusedByTheBeginning:
    def test_no_file_that_holds_an_instance_is(self):
        instances = 0
        for path in [*trees.pydicom_test_files(), *_CASES]:
            content = path.read_bytes()
            bare = trees.read_part10(path).data_set if content[128:134] == b"DICM\2\0" else content
            for whole in (content, bare):
                if not isinstance(_probe(whole), Unsendable):
                    instances += 1
                    assert lenient_probe.refused_by(whole[: lenient_probe.META_LIMIT]) is None, path
        assert instances > 100

    @given(st.binary(max_size=600), st.integers(0, 600), st.sampled_from([_CT[:600], _CT_DATA_SET[:600]]))
    def test_what_is_refused_so_holds_none_as_a_whole(self, noise, at, beginning):
        whole = beginning[:at] + noise + beginning[at + len(noise) :]
        if lenient_probe.refused_by(whole) is not None:
            assert isinstance(_probe(whole), Unsendable)

    @pytest.mark.parametrize("beginning", [b"text " * 300, bytes(5000), bytes(range(256)) * 9])
    def test_other_files_are(self, beginning):
        assert lenient_probe.refused_by(beginning) == "not a DICOM file"

    def test_empty_files_are_named(self):
        assert lenient_probe.refused_by(b"") == "it is empty"

    def test_archives_are_named(self):
        assert lenient_probe.refused_by(b"PK\3\4" + bytes(5000)) == "not a DICOM file: it is an archive"
