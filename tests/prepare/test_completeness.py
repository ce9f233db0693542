"""An incomplete data set is never sent, and a complete one always is."""

from __future__ import annotations

import itertools
import os
import struct
import warnings
import zlib
from pathlib import Path

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

from asyncstore.model import Instance, Oddity, Unsendable
from asyncstore.prepare import completeness, element_walk, elements
from support import trees, values
from support.rows import rows
from support.values import probe_file

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
"""The number of places at which each file is cut off."""
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_PAGE = 8192
"""Bytes of a file that are read first."""


@pytest.fixture(scope="module")
def collection():
    return {path.name: path for path in trees.pydicom_test_files()}


def _ends_of_elements(path, offset, transfer_syntax_uid):
    """The positions at which pydicom finds elements of the data set itself."""
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
        file.truncate(size)  # None: where the content ends
    return probe_file(str(path))


def test_every_whole_file_of_pydicoms_is_sent(collection):
    """Its name, and pydicom, tell whether a file is whole."""
    for name, path in collection.items():
        found = probe_file(str(path))
        if isinstance(found, Unsendable) and "cut off" in found.reason:
            assert "truncated" in name


@pytest.mark.slow
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
def test_the_reason_names_the_place_of_the_cut(tmp_path, transfer_syntax_uid):
    path = _written(tmp_path, _ct(transfer_syntax_uid))
    reason = "it is cut off within its pixel data"
    assert _cut(path, path.stat().st_size - 48) == values.unsendable(str(path), reason)


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


_DEFLATED = "DeflatedLittleEndianExplicit"


def _deflated(tmp_path, change):
    """A deflated data set, changed before it is deflated again."""
    path = _written(tmp_path, _ct(DeflatedExplicitVRLittleEndian))
    offset, whole = probe_file(str(path)).offset, path.read_bytes()
    data_set = change(zlib.decompress(whole[offset:], -zlib.MAX_WBITS))
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(whole[:offset] + deflater.compress(data_set) + deflater.flush())
    return probe_file(str(path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:-100], "it is cut off within its pixel data"),
        (lambda data: data + b"\r\n", "2 bytes behind its pixel data are no element"),
        (
            lambda data: data.replace(b"\x10\0OW\0\0\0\x08\0\0", b"\x10\0OB\0\0\xff\xff\xff\xff"),
            f"it contradicts itself: its pixel data is encapsulated, but it is said to be in {_DEFLATED}",
        ),
    ],
    ids=["cut off", "bytes behind", "encapsulated"],
)
def test_a_deflated_data_set_is_walked_through(tmp_path, change, reason):
    assert _deflated(tmp_path, change).reason == reason


def test_odd_values_of_a_deflated_data_set_are_seen(tmp_path):
    element = struct.pack("<HH2sH", 0x0071, 0x1001, b"LO", 3) + b"odd"
    insert = lambda data: data.replace(b"\xe0\x7f\x10\0OW", element + b"\xe0\x7f\x10\0OW")  # noqa: E731 - short
    assert _deflated(tmp_path, lambda data: data).oddities == 0
    assert _deflated(tmp_path, insert).oddities == Oddity.ODD_VALUES


def test_a_large_deflated_data_set_is_not_walked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(completeness, "_MOST_HELD", 1000)
    assert isinstance(_deflated(tmp_path, lambda data: data[:-100]), Instance)


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


@pytest.mark.slow
def test_headers_are_found_beyond_the_first_page(tmp_path):
    """Elements before the pixel data push its header over the edge of a page."""
    with rows() as row:
        for lead in (*range(_PAGE - 500, _PAGE + 12, 6), 100_000):
            data_set = _ct(DeformableRegistrationGridSequence=[], ImageComments="x" * 100, VectorGridData=bytes(lead))
            path = _written(tmp_path, data_set)
            whole = path.read_bytes()
            with row(lead):
                assert isinstance(probe_file(str(path)), Instance)
                for missing in (2, 2048, 2054, 2058):
                    path.write_bytes(whole[:-missing])
                    assert "it is cut off" in probe_file(str(path)).reason


_SYNTAXES = pytest.mark.parametrize(
    "transfer_syntax_uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda uid: uid.name
)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(struct.pack("<HH2s2xI", 0xFFFC, 0xFFFC, b"OB", 6) + bytes(6), id="padding as the standard has it"),
        pytest.param(struct.pack("<HH2sH4s", 0x7FE1, 0x0010, b"LO", 4, b"TEST"), id="a private element"),
        pytest.param(struct.pack("<HH2sH4s", 0x0010, 0x0020, b"LO", 4, b"TEST"), id="an element in the wrong place"),
        *(pytest.param(bytes(count), id=f"{count} zeros") for count in (2, 4, 6, 8, 100, 512, 5000)),
    ],
)
def test_elements_and_zeros_behind_pixel_data_do_not_hold_them_back(tmp_path, more):
    assert isinstance(probe_file(str(_written(tmp_path, _ct(), more))), Instance)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"\0", id="one zero"),
        pytest.param(b"\n", id="a line feed"),
        pytest.param(bytes(3), id="three zeros"),
        pytest.param(b"\x1a" * 512, id="a pattern"),
        pytest.param(b"\xff" * 512, id="ones"),
        pytest.param(b" " * 512, id="spaces"),
        pytest.param(b"\r\n", id="the end of a line"),
        pytest.param(b"\x1a\x1a", id="the end of a text"),
        pytest.param(struct.pack("<HH2sH", 0xFFFC, 0xFFFD, b"??", 9999), id="an unknown VR"),
        pytest.param(bytes(8) + b"noise..!", id="something behind zeros"),
        pytest.param(bytes(range(7, 247)) * 4, id="noise"),
        pytest.param(bytes((1 << 20) + 2), id="more zeros than padding has"),
    ],
)
@pytest.mark.parametrize("pixels", [2048, 1 << 16], ids=["small", "large"])
@_SYNTAXES
def test_bytes_behind_pixel_data_that_are_no_element_are_named_as_such(tmp_path, transfer_syntax_uid, pixels, more):
    found = probe_file(str(_written(tmp_path, _ct(transfer_syntax_uid, pixels), more)))
    behind = f"{len(more)} bytes behind its pixel data are no element"
    assert found.reason == ("a byte stands behind its last element" if len(more) == 1 else behind)


@_SYNTAXES
def test_the_beginning_of_another_element_behind_pixel_data_is_called_cut_off(tmp_path, transfer_syntax_uid):
    found = probe_file(str(_written(tmp_path, _ct(transfer_syntax_uid), b"\xe1\x7f\x10\x00LO")))
    assert found.reason == "it is cut off within an element's header"


@_SYNTAXES
def test_zeros_behind_a_data_set_without_pixel_data_are_padding(tmp_path, transfer_syntax_uid):
    data_set = _ct(transfer_syntax_uid)
    del data_set.PixelData
    assert isinstance(probe_file(str(_written(tmp_path, data_set, bytes(512)))), Instance)


@pytest.mark.parametrize("count", [8, 10, 512])
@pytest.mark.parametrize("padding", [b" ", b"\xff", b"\x1a", b"\n"])
@_SYNTAXES
def test_other_filler_behind_a_data_set_is_no_element(tmp_path, transfer_syntax_uid, padding, count):
    """Orthanc and storescp abort the association when they meet it."""
    data_set = _ct(transfer_syntax_uid)
    del data_set.PixelData
    found = probe_file(str(_written(tmp_path, data_set, padding * count)))
    assert found.reason == f"{count} bytes behind its last element are no element"


# Sequences and their ends.


def _item_without_end(kind):
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack(
        "<HH2sH6s", 0x0008, 0x1155, b"UI", 6, b"1.2.3\0"
    )
    if kind == "an item begins in it":
        item += struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    return item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _with_sequence(tmp_path, items, lead=0, pixels=2048):
    """A CT slice with a sequence of undefined length before its pixel data, behind ``lead`` bytes."""
    path = _written(tmp_path, _ct(ImageComments="x" * 100, VectorGridData=bytes(lead), pixels=pixels))
    content = path.read_bytes()
    sequence = struct.pack("<HH2s2xI", 0x0071, 0x1001, b"SQ", 0xFFFFFFFF) + items
    at = content.rindex(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(content[:at] + sequence + content[at:])
    return str(path)


@pytest.mark.parametrize("lead", [0, 20_000])
@pytest.mark.parametrize("kind", ["its sequence ends", "an item begins in it"])
def test_an_item_without_its_delimiter_is_not_called_cut_off(tmp_path, kind, lead):
    found = probe_file(_with_sequence(tmp_path, _item_without_end(kind), lead))
    assert found.reason == "the end of an item is missing in its sequence (0071,1001)"


@pytest.mark.parametrize("lead", [0, 20_000])
def test_a_sequence_without_its_delimiter_is_not_called_cut_off(tmp_path, lead):
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    found = probe_file(_with_sequence(tmp_path, items, lead))
    assert found.reason == ("its sequence (0071,1001) has no end: something else stands where its next item should be")


@pytest.mark.parametrize("zeros", [8, 4096])
def test_zeros_in_the_place_of_delimiters_are_no_end(tmp_path, zeros):
    data_set = _ct()
    del data_set.PixelData
    sequence = struct.pack("<HH2s2xI", 0x0071, 0x1001, b"SQ", 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert "(0071,1001) has no end" in probe_file(str(_written(tmp_path, data_set, sequence + bytes(zeros)))).reason
    found = probe_file(str(_written(tmp_path, data_set, sequence + item + bytes(zeros))))
    assert "the end of an item is missing" in found.reason


def test_zeros_in_the_place_of_items_are_damage_also_where_the_sequence_has_a_length(tmp_path):
    data_set = _ct()
    del data_set.PixelData
    sequence = struct.pack("<HH2s2xI", 0x0071, 0x1001, b"SQ", 0xFFFFFFF0)
    path = _written(tmp_path, data_set, sequence)
    os.truncate(path, 1 << 33)
    reason = "its sequence (0071,1001) is damaged: zeros stand where its next item should be"
    assert probe_file(str(path)).reason == reason


@pytest.mark.parametrize("pixels", [100, 20_000])
def test_an_items_delimiter_is_no_end_of_fragments(tmp_path, pixels):
    path = _written(tmp_path, _compressed(encapsulate([bytes(pixels)])))
    content = path.read_bytes()
    path.write_bytes(content[:-8] + struct.pack("<HHI", 0xFFFE, 0xE00D, 0))
    assert "its encapsulated pixel data has no end" in probe_file(str(path)).reason


@pytest.mark.parametrize("pixels", [100, 20_000])
def test_fragments_end_once(tmp_path, pixels):
    path = _written(tmp_path, _compressed(encapsulate([bytes(pixels)])), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    assert probe_file(str(path)).reason == "8 bytes behind its pixel data are no element"


# Native and encapsulated pixel data.

_FRAGMENTS = encapsulate([bytes(range(100))])


def _compressed(pixel_data=_FRAGMENTS, **more):
    data_set = _ct(JPEGBaseline8Bit, **more)
    data_set.PixelData = pixel_data
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set


def _called(path, transfer_syntax_uid):
    """Write this transfer syntax into file meta information."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.4.50", transfer_syntax_uid.encode().ljust(22, b"\0"), 1))
    return probe_file(str(path))


@pytest.mark.parametrize("lead", [0, 20_000])
def test_encapsulated_pixel_data_contradicts_an_uncompressed_transfer_syntax(tmp_path, lead):
    found = _called(_written(tmp_path, _compressed(VectorGridData=bytes(lead))), "1.2.840.10008.1.2.1")
    assert found.reason == (
        "it contradicts itself: its pixel data is encapsulated, but it is said to be in LittleEndianExplicit"
    )


@pytest.mark.parametrize("lead", [0, 20_000])
@pytest.mark.parametrize("syntax", ["4.50", "4.70", "4.90", "4.201", "5", "1.98", "8.1"])
def test_native_pixel_data_contradicts_a_transfer_syntax_for_encapsulated_ones(tmp_path, syntax, lead):
    path = _written(tmp_path, _ct(VectorGridData=bytes(lead)))
    content = path.read_bytes()
    value = content.index(b"1.2.840.10008.1.2.1\0")
    uid = f"1.2.840.10008.1.2.{syntax}".encode()
    uid += b"\0" * (len(uid) % 2)
    group_length = struct.pack("<I", struct.unpack_from("<I", content, 140)[0] + len(uid) - 20)
    named = struct.pack("<H", len(uid)) + uid
    path.write_bytes(content[:140] + group_length + content[144 : value - 2] + named + content[value + 20 :])
    assert "it contradicts itself: its pixel data is native, but it is said to be in" in probe_file(str(path)).reason


def test_empty_pixel_data_of_defined_length_contradicts_a_compressed_transfer_syntax(tmp_path):
    """DCMTK reads no such data set, and aborts the association for it."""
    path = _written(tmp_path, _compressed())
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00OB") + 8
    path.write_bytes(content[:at] + bytes(4))
    assert probe_file(str(path)).reason == (
        "it contradicts itself: its pixel data is native and empty, but it is said to be in JPEGBaseline"
    )


@pytest.mark.parametrize("is_undefined", [False, True])
def test_the_icon_of_a_compressed_image_may_be_native(tmp_path, is_undefined):
    """PS3.5 A.4 demands encapsulation outside of sequences only."""
    data_set = _compressed(IconImageSequence=_icon())
    data_set["IconImageSequence"].is_undefined_length = is_undefined
    assert isinstance(probe_file(str(_written(tmp_path, data_set))), Instance)


def test_the_icon_of_a_native_image_is_left_to_the_peer(tmp_path):
    icon = Dataset()
    icon.PixelData = _FRAGMENTS
    icon["PixelData"].VR = "OB"
    icon["PixelData"].is_undefined_length = True
    assert isinstance(probe_file(str(_written(tmp_path, _ct(IconImageSequence=Sequence([icon]))))), Instance)


# Values of odd length.


def _raw(*elements, order="<", is_implicit=False):
    """Elements as (tag, VR, value), encoded without padding."""
    encoded = b""
    for tag, vr, value in elements:
        head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if is_implicit:
            head += struct.pack(f"{order}I", len(value))
        elif vr.decode() in _LONG:
            head += vr + struct.pack(f"{order}2xI", len(value))
        else:
            head += vr + struct.pack(f"{order}H", len(value))
        encoded += head + value
    return encoded


_IDENTITY = ((0x00080016, b"UI", CTImageStorage.encode() + b"\0"), (0x00080018, b"UI", b"1.2.3\0"))
_IMAGE = (0x7FE00010, b"OW", bytes(2048))
_LARGE_IMAGE = (0x7FE00010, b"OW", bytes(1 << 16))


def _in_a_file(tmp_path, *elements, syntax=ExplicitVRLittleEndian):
    is_implicit, order = syntax == ImplicitVRLittleEndian, ">" if syntax == ExplicitVRBigEndian else "<"
    data_set = _ct(syntax)
    whole = _written(tmp_path, data_set)
    offset = probe_file(str(whole)).offset
    encoded = _raw(*_IDENTITY, *elements, is_implicit=is_implicit, order=order)
    whole.write_bytes(whole.read_bytes()[:offset] + encoded)
    return probe_file(str(whole))


@pytest.mark.parametrize("image", [_IMAGE, _LARGE_IMAGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "elements",
    [
        pytest.param(((0x00100010, b"PN", b"A"),), id="a name"),
        pytest.param(((0x00100010, b"PN", b"A"), (0x00100020, b"LO", b"123")), id="two next to each other"),
        pytest.param(((0x00100010, b"PN", b"A"), (0x00104000, b"LT", b"c" * 301)), id="a long one"),
        pytest.param(((0x00100010, b"PN", b"A"), (0x00400000, b"UL", bytes(4)), (0x00711001, b"UN", b"1")), id="UN"),
        pytest.param(((0x00100010, b"PN", b"A"), (0x00711001, b"OB", bytes(999))), id="OB"),
        pytest.param(
            ((0x00100010, b"PN", b"A"), (0x00711001, b"OB", bytes(7000)), (0x00711002, b"LO", b"1")), id="far"
        ),
    ],
)
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda uid: uid.name
)
def test_odd_values_in_the_first_8_kb_are_noticed_even_if_their_sum_is_even(tmp_path, syntax, elements, image):
    found = _in_a_file(tmp_path, *elements, image, syntax=syntax)
    assert found.oddities == Oddity.ODD_VALUES
    padded = ((tag, vr, value + b" " * (len(value) % 2)) for tag, vr, value in elements)
    assert _in_a_file(tmp_path, *padded, image, syntax=syntax).oddities == 0


@pytest.mark.parametrize("is_undefined", [False, True])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda uid: uid.name
)
def test_odd_values_in_items_are_seen(tmp_path, syntax, is_undefined):
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    is_implicit = syntax == ImplicitVRLittleEndian
    inner = _raw((0x00081150, b"UI", b"1.2"), (0x00081155, b"UI", b"1.3"), order=order, is_implicit=is_implicit)
    item = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF if is_undefined else len(inner)) + inner
    if is_undefined:
        item += struct.pack(f"{order}HHI", 0xFFFE, 0xE00D, 0)
    assert _in_a_file(tmp_path, (0x00081140, b"SQ", item), _LARGE_IMAGE, syntax=syntax).oddities == Oddity.ODD_VALUES


@pytest.mark.parametrize("zeros", [2, 4, 500])
def test_zeros_behind_odd_values_are_padding_too(tmp_path, zeros):
    path = Path(_in_a_file(tmp_path, (0x00100010, b"PN", b"A")).path)
    path.write_bytes(path.read_bytes() + bytes(zeros))
    assert probe_file(str(path)).oddities == Oddity.ODD_VALUES


@pytest.mark.parametrize("size", [2047, (1 << 16) + 1])
def test_native_pixel_data_of_odd_length_are_seen(tmp_path, size):
    assert _in_a_file(tmp_path, (0x7FE00010, b"OB", bytes(size))).oddities == Oddity.ODD_VALUES


@pytest.mark.parametrize("fragments", [[3], [3, 5], [4, 3, 5, 4]])
def test_fragments_of_odd_length_are_seen(tmp_path, fragments):
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, length) + bytes(length) for length in [0, *fragments])
    path = _written(tmp_path, _compressed())
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00OB") + 12
    path.write_bytes(content[:at] + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    assert probe_file(str(path)).oddities == Oddity.ODD_VALUES


def test_no_even_value_of_pydicoms_files_is_called_odd(collection):
    odd = {name for name, path in collection.items() if getattr(probe_file(str(path)), "oddities", 0)}
    assert odd == set()


# Bounds.


def _sparse(tmp_path, size, *elements):
    path = _written(tmp_path, _ct(ImplicitVRLittleEndian))
    offset = probe_file(str(path)).offset
    content = path.read_bytes()[:offset] + _raw(*_IDENTITY, is_implicit=True) + b"".join(elements)
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)  # None: where the content ends
    return path


_SEQUENCE = struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF)
_OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


@pytest.fixture
def bytes_read(monkeypatch):
    """Count the bytes that are read of files."""
    read, counted = os.read, []

    def counting(descriptor, count):
        data = read(descriptor, count)
        counted.append(len(data))
        return data

    monkeypatch.setattr(os, "read", counting)
    return counted


@pytest.mark.parametrize("elements", [[_SEQUENCE], [_SEQUENCE, _OPEN_ITEM], []], ids=["sequence", "item", "data set"])
def test_a_hole_of_any_size_is_not_read_through(tmp_path, bytes_read, elements):
    path = _sparse(tmp_path, 1 << 40, *elements)
    assert isinstance(probe_file(str(path)), Unsendable)
    assert sum(bytes_read) < 8 << 20


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["_MOST_ELEMENTS", "_MOST_PAGES", "_DEEPEST"])
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(_SEQUENCE + _OPEN_ITEM, id="nested"),
        pytest.param(struct.pack("<HHI", 0x0011, 0x1001, 0), id="empty elements"),
        pytest.param(struct.pack("<HHI", 0x0011, 0x1001, 6000) + bytes(6000), id="large elements"),
        pytest.param(struct.pack("<HHI", 0x0011, 0x1001, 66) + bytes(66), id="elements"),
    ],
)
def test_a_walk_that_is_too_long_or_too_deep_leaves_the_file_to_the_peer(tmp_path, monkeypatch, bound, piece):
    path = _sparse(tmp_path, None, _SEQUENCE, _OPEN_ITEM, piece * 3000)
    is_bounded_already = piece == _SEQUENCE + _OPEN_ITEM  # by depth
    assert isinstance(probe_file(str(path)), Instance) == is_bounded_already
    monkeypatch.setattr(element_walk, bound, 1)
    assert isinstance(probe_file(str(path)), Instance)


def test_a_walk_ends_after_so_many_seconds(tmp_path, monkeypatch):
    private = b"".join(struct.pack("<HHI", 0x0011, 0x1001 + n, 8000) + bytes(8000) for n in range(20))
    path = _sparse(tmp_path, None, private + struct.pack("<HHI", 0x7FE1, 0x1001, 1000))
    assert "it is cut off" in probe_file(str(path)).reason
    clock = itertools.count()
    monkeypatch.setattr(element_walk.time, "monotonic", lambda: float(next(clock)))
    assert isinstance(probe_file(str(path)), Instance)


@pytest.mark.parametrize("length", [4, 0x4F422020, 0xFFFFFFFF])
@pytest.mark.parametrize("delimiter", [0xE00D, 0xE0DD])
def test_the_length_of_a_delimiter_is_ignored(tmp_path, delimiter, length):
    """It should be zero (PS3.5 7.5.2). Another value says nothing about the data set."""
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
    """It is in implicit VR little endian in every transfer syntax (PS3.5 6.2.2)."""
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
    """They should be in implicit VR little endian, but some devices write explicit VR."""
    order = "<" if transfer_syntax_uid == ExplicitVRLittleEndian else ">"
    sequence = struct.pack(f"{order}HH2s2xI", 0x7FE1, 0x1001, b"UN", 0xFFFFFFFF)
    sequence += struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence += struct.pack(f"{order}HH2sH4s", 0x0008, 0x0060, b"CS", 4, b"CT  ")
    sequence += struct.pack(f"{order}HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    assert isinstance(probe_file(str(_written(tmp_path, _ct(transfer_syntax_uid), sequence))), Instance)


def test_a_data_set_that_changes_its_encoding_on_the_way_is_left_to_the_peer(tmp_path):
    """A length that is read at the wrong place lies beyond the end of the file."""
    data_set = _ct(ImplicitVRLittleEndian)
    del data_set.PixelData
    explicit = struct.pack("<HH2sH4s", 0x7FE1, 0x0010, b"LO", 4, b"TEST")
    assert isinstance(probe_file(str(_written(tmp_path, data_set, explicit))), Instance)
