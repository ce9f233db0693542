"""A data set that is not all there is never sent, and one that is all there is never held back."""

from __future__ import annotations

import struct
import warnings

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

import trees
from asyncstore.model import Instance, Unsendable
from asyncstore.prepare import elements
from asyncstore.prepare.probe import probe_file

_NAMES = [
    "CT_small.dcm",  # with padding after its pixel data
    "JPEG2000.dcm",  # with sequences of undefined length, and compressed pixel data
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "693_J2KI.dcm",
]
_CUTS = 400
"""Places at which each file is cut off."""
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_PAGE = 8192
"""How much of a file is read at first."""


@pytest.fixture(scope="module")
def collection():
    return {path.name: path for path in trees.pydicom_test_files()}


def _ends_of_elements(path, offset, transfer_syntax_uid):
    """Where elements of the data set itself begin, which is where others end, as pydicom sees it."""
    is_implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    starts = set()
    with path.open("rb") as file:
        file.seek(offset)

        def note(tag, vr, length):  # noqa: ARG001 - pydicom's signature
            header = 8 if is_implicit or (vr and vr not in _LONG) else 12
            starts.add(file.tell() - header)
            return False

        read_dataset(file, is_implicit, transfer_syntax_uid != ExplicitVRBigEndian, stop_when=note)
    return starts


def _ct(transfer_syntax_uid=ExplicitVRLittleEndian, pixels=2048, **more):
    """A small CT slice as a data set with file meta information."""
    slice_ = Dataset()
    slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, "1.2.3"
    slice_.Rows, slice_.Columns, slice_.BitsAllocated, slice_.PixelRepresentation = 256, pixels // 512, 16, 0
    slice_.PixelData = bytes(range(256)) * (pixels // 256)
    slice_["PixelData"].VR = "OW"
    for name, value in more.items():
        setattr(slice_, name, value)
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = transfer_syntax_uid
    return slice_


def _written(tmp_path, data_set, more=b""):
    path = tmp_path / "file"
    dcmwrite(path, data_set, enforce_file_format=True)
    with path.open("ab") as file:
        file.write(more)
    return path


def _icon(pixels=512):
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelRepresentation = 16, 16, 16, 0
    icon.PixelData = bytes(pixels)
    icon["PixelData"].VR = "OW"
    return Sequence([icon])


def _cut(path, size):
    with path.open("r+b") as file:
        file.truncate(size)
    return probe_file(str(path))


def test_every_whole_file_of_pydicoms_is_sent(collection):
    """Whether a file is whole is what its name says, and pydicom."""
    for name, path in collection.items():
        found = probe_file(str(path))
        if isinstance(found, Unsendable) and "cut off" in found.reason:
            assert "truncated" in name


@pytest.mark.parametrize("name", _NAMES)
def test_a_file_cut_off_anywhere_but_between_elements_is_not_sent(collection, tmp_path, name):
    content = collection[name].read_bytes()
    whole = probe_file(str(collection[name]))
    assert isinstance(whole, Instance)
    with warnings.catch_warnings(action="ignore"):
        between = _ends_of_elements(collection[name], whole.offset, whole.transfer_syntax_uid)
    assert len(between) > 30
    identity_end = content.index(whole.sop_instance_uid.encode(), whole.offset) + 64
    path = tmp_path / "cut"
    step = max(1, (len(content) - identity_end) // _CUTS) | 1
    for size in range(identity_end, len(content), step):
        path.write_bytes(content[:size])
        found = probe_file(str(path))
        assert isinstance(found, Instance) == (size in between and not (size - whole.offset) & 1), size


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda uid: uid.name,
)
def test_it_is_said_where_it_is_cut_off(tmp_path, transfer_syntax_uid):
    path = _written(tmp_path, _ct(transfer_syntax_uid))
    reason = "it is cut off within its pixel data"
    assert _cut(path, path.stat().st_size - 48) == Unsendable(str(path), reason)


def test_compressed_pixel_data_must_come_to_its_end(tmp_path):
    data_set = _ct(JPEGBaseline8Bit)
    data_set.PixelData = encapsulate([bytes(1000), bytes(1000)])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    path = _written(tmp_path, data_set)
    size = path.stat().st_size
    assert isinstance(probe_file(str(path)), Instance)
    assert _cut(path, size - 8).reason == "it is cut off within a sequence"
    reason = "it is cut off within a fragment or item"
    assert _cut(path, size - 10).reason == reason


@pytest.mark.parametrize("pixels", [2048, 1 << 20])
def test_a_deflated_data_set_must_come_to_its_end(tmp_path, pixels):
    path = _written(tmp_path, _ct(DeflatedExplicitVRLittleEndian, pixels))
    whole, found = path.read_bytes(), probe_file(str(path))
    assert isinstance(found, Instance)
    for size in range(len(whole) - 4, 500, -max(1, len(whole) // 50)):
        path.write_bytes(whole[:size])
        assert probe_file(str(path)).reason == "it is cut off: its deflated data set has no end"
    path.write_bytes(whole[: found.offset] + b"\xff" + whole[found.offset + 1 :])
    assert "its deflated data set is damaged" in probe_file(str(path)).reason


def test_a_deflated_bomb_is_not_inflated_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "_INFLATED_LIMIT", 1 << 19)
    monkeypatch.setattr(elements, "_INFLATED_RATIO", 1)
    path = _written(tmp_path, _ct(DeflatedExplicitVRLittleEndian, 1 << 22))
    assert isinstance(_cut(path, path.stat().st_size - 100), Instance)


@pytest.mark.parametrize("is_undefined", [False, True])
def test_the_pixel_data_of_an_icon_are_not_taken_for_those_of_the_image(tmp_path, is_undefined):
    data_set = _ct(IconImageSequence=_icon())
    data_set["IconImageSequence"].is_undefined_length = is_undefined
    data_set.IconImageSequence[0].is_undefined_length_sequence_item = is_undefined
    path = _written(tmp_path, data_set)
    assert isinstance(probe_file(str(path)), Instance)
    assert _cut(path, path.stat().st_size - 2).reason == "it is cut off within its pixel data"


@pytest.mark.parametrize("lead", [*range(_PAGE - 500, _PAGE + 12, 6), 100_000])
def test_headers_are_found_wherever_in_the_file_they_are(tmp_path, lead):
    """What comes before the pixel data pushes their header over the edge of what is read at once."""
    path = _written(
        tmp_path, _ct(DeformableRegistrationGridSequence=[], ImageComments="x" * 100, VectorGridData=bytes(lead))
    )
    whole = path.read_bytes()
    assert isinstance(probe_file(str(path)), Instance)
    for missing in (2, 2048, 2054, 2058):
        path.write_bytes(whole[:-missing])
        assert "it is cut off" in probe_file(str(path)).reason


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(struct.pack("<HH2s2xI", 0xFFFC, 0xFFFC, b"OB", 6) + bytes(6), id="padding as the standard has it"),
        pytest.param(bytes(2), id="two zeros"),
        pytest.param(bytes(100), id="zeros"),
        pytest.param(b"\x1a" * 512, id="a pattern"),
        pytest.param(b"\xff" * 512, id="ones"),
        pytest.param(b"\r\n", id="the end of a line"),
        pytest.param(b"\x1a\x1a", id="the end of a text"),
        pytest.param(b"\xe1\x7f\x10\x00LO", id="the beginning of another element"),
        pytest.param(struct.pack("<HH2sH", 0xFFFC, 0xFFFD, b"??", 9999), id="an unknown VR"),
    ],
)
@pytest.mark.parametrize(
    "transfer_syntax_uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_what_follows_whole_pixel_data_does_not_hold_them_back(tmp_path, transfer_syntax_uid, more):
    assert isinstance(probe_file(str(_written(tmp_path, _ct(transfer_syntax_uid), more))), Instance)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\xff"])
@pytest.mark.parametrize(
    "transfer_syntax_uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_what_a_data_set_without_pixel_data_is_filled_up_with_does_not_hold_it_back(
    tmp_path, transfer_syntax_uid, padding
):
    data_set = _ct(transfer_syntax_uid)
    del data_set.PixelData
    assert isinstance(probe_file(str(_written(tmp_path, data_set, padding * 512))), Instance)


@pytest.mark.parametrize("length", [4, 0x4F422020, 0xFFFFFFFF])
@pytest.mark.parametrize("delimiter", [0xE00D, 0xE0DD])
def test_nobody_looks_at_the_length_of_a_delimiter(tmp_path, delimiter, length):
    """It should be zero (PS3.5 7.5.2), but what else it is says nothing about the data set."""
    data_set = _ct(IconImageSequence=_icon())
    data_set["IconImageSequence"].is_undefined_length = True
    data_set.IconImageSequence[0].is_undefined_length_sequence_item = True
    path = _written(tmp_path, data_set)
    empty = struct.pack("<HHI", 0xFFFE, delimiter, 0)
    whole = path.read_bytes()
    assert whole.count(empty) == 1
    path.write_bytes(whole.replace(empty, struct.pack("<HHI", 0xFFFE, delimiter, length)))
    assert isinstance(probe_file(str(path)), Instance)
    assert _cut(path, len(whole) - 2).reason == "it is cut off within its pixel data"


def test_a_sequence_of_unknown_vr_and_length_is_walked_through(tmp_path):
    """It is in implicit VR little endian, whatever is around it (PS3.5 6.2.2)."""
    unknown = struct.pack("<HH2s2xI", 0x7FE1, 0x1001, b"UN", 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    unknown += struct.pack("<HHI4s", 0x0008, 0x0060, 4, b"CT  ")
    delimiters = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    after = struct.pack("<HH2sH4s", 0x7FE3, 0x0010, b"LO", 4, b"TEST")
    whole = unknown + delimiters + after
    path = _written(tmp_path, _ct(), whole)
    size = path.stat().st_size
    assert isinstance(probe_file(str(path)), Instance)
    assert _cut(path, size - 2).reason == "it is cut off within (7FE3,0010)"
    assert _cut(path, size - len(after) - 8).reason == "it is cut off within a sequence"


@pytest.mark.parametrize("transfer_syntax_uid", [ExplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda uid: uid.name)
def test_explicit_items_of_an_unknown_sequence_are_left_to_the_peer(tmp_path, transfer_syntax_uid):
    """They should be in implicit VR little endian, but not every device knows."""
    order = "<" if transfer_syntax_uid == ExplicitVRLittleEndian else ">"
    sequence = struct.pack(f"{order}HH2s2xI", 0x7FE1, 0x1001, b"UN", 0xFFFFFFFF)
    sequence += struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence += struct.pack(f"{order}HH2sH4s", 0x0008, 0x0060, b"CS", 4, b"CT  ")
    sequence += struct.pack(f"{order}HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    assert isinstance(probe_file(str(_written(tmp_path, _ct(transfer_syntax_uid), sequence))), Instance)


def test_a_data_set_that_changes_its_encoding_on_the_way_is_left_to_the_peer(tmp_path):
    """Lengths that are read in the wrong place reach beyond any file."""
    data_set = _ct(ImplicitVRLittleEndian)
    del data_set.PixelData
    explicit = struct.pack("<HH2sH4s", 0x7FE1, 0x0010, b"LO", 4, b"TEST")
    assert isinstance(probe_file(str(_written(tmp_path, data_set, explicit))), Instance)
