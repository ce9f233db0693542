"""Icon images with compressed pixel data: native afterwards, pixel by pixel, or the data set is refused."""

import subprocess
from copy import deepcopy

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence

from support.images import described, encapsulated, instance, items, native, noise
from support.peers.programs import find_program
from support.pixels import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_LS,
    RLE,
    pixels,
    read,
    transcoded,
)

jpeg_ls = pytest.importorskip("jpeg_ls")
rle = pytest.importorskip("rle")
openjpeg = pytest.importorskip("openjpeg.utils")

CELLS = noise((44, 40))
ICON = noise((40, 36), 0, 200)
WIDE = noise((40, 36), 0, 4096, "<u2")
ODD = noise((5, 7))
COLOURS = noise((40, 36, 3))
ENCODE = {
    JPEG_LS: lambda cells: bytes(jpeg_ls.encode_array(cells)),
    JPEG_2000: openjpeg.encode_array,
    RLE: lambda cells: rle.rle.encode_frame(cells.tobytes(), *cells.shape, 1, 8 * cells.itemsize, "<"),
}


def _item(*fragments, **attributes):
    icon = described(**attributes)
    del icon.SOPClassUID, icon.SOPInstanceUID
    icon.PixelData = items(*(one + b"\0" * (len(one) & 1) for one in fragments))
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    icon.DataSetTrailingPadding = b"\0\0"
    return icon


def _icon(cells, syntax, **attributes):
    rows, columns, *_ = cells.shape
    known = {"rows": rows, "columns": columns, "allocated": 8 * cells.itemsize}
    return _item(bytes(ENCODE[syntax](cells)), **known, **attributes)


def _with(icon, syntax, keyword="IconImageSequence"):
    data_set = described(*CELLS.shape)
    data_set.PatientName = "A^B"
    setattr(data_set, keyword, Sequence([icon]))
    return encapsulated(data_set, syntax, [ENCODE[syntax](CELLS)])


def _by_pydicom(icon, syntax):
    """The pixels of the icon, decoded as if it were a data set of its own."""
    alone = deepcopy(icon)
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = syntax
    return pixels(alone)


def _without(data_set, *keywords):
    return [element for element in data_set if element.keyword not in keywords]


@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, JPEG_LS])
@pytest.mark.parametrize(
    ("cells", "source"),
    [(ICON, JPEG_LS), (ICON, JPEG_2000), (ICON, RLE), (WIDE, JPEG_2000), (WIDE, RLE), (ODD, RLE)],
)
def test_an_icon_becomes_native_with_the_pixels_that_pydicom_decodes(cells, source, target):
    if source == target:
        return
    icon = _icon(cells, source)
    made = transcoded(_with(icon, source), target)
    [becomes] = made.IconImageSequence
    assert np.array_equal(_by_pydicom(becomes, BIG if target == BIG else EXPLICIT), _by_pydicom(icon, source))
    assert len(becomes.PixelData) == cells.nbytes + (cells.nbytes & 1)
    assert ("OB" if cells.itemsize == 1 and target != IMPLICIT else "OW") == becomes["PixelData"].VR
    assert _without(becomes, "PixelData") == _without(icon, "PixelData")
    assert np.array_equal(pixels(made), CELLS)
    assert made.PatientName == "A^B"


@pytest.mark.peers
@pytest.mark.parametrize("cells", [ICON, WIDE])
@pytest.mark.parametrize(("source", "tool"), [(RLE, "dcmdrle"), (JPEG_LS, "dcmdjpls")])
def test_an_icon_has_the_pixels_that_dcmtk_decodes(tmp_path, cells, source, tool):
    found = _with(_icon(cells, source), source)
    before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
    written = read(found.data, source)
    written.file_meta.MediaStorageSOPClassUID = written.SOPClassUID
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID
    written.save_as(before, enforce_file_format=True)
    subprocess.run([find_program(tool, "dcmtk"), before, after], check=True)
    [expected] = dcmread(after).IconImageSequence
    [becomes] = transcoded(found, EXPLICIT).IconImageSequence
    assert becomes.PixelData == expected.PixelData
    assert _without(becomes, "PixelData") == _without(expected, "PixelData")


@pytest.mark.parametrize("is_undefined", [True, False])
def test_sequence_and_item_keep_their_kind_of_length(is_undefined):
    found = described(*CELLS.shape)
    found.IconImageSequence = Sequence([_icon(ICON, RLE)])
    found["IconImageSequence"].is_undefined_length = is_undefined
    found.IconImageSequence[0].is_undefined_length_sequence_item = is_undefined
    made = transcoded(encapsulated(found, RLE, [ENCODE[RLE](CELLS)]), EXPLICIT)
    assert made["IconImageSequence"].is_undefined_length == is_undefined
    assert made.IconImageSequence[0].is_undefined_length_sequence_item == is_undefined
    assert made.IconImageSequence[0].PixelData == ICON.tobytes()


def test_colours_of_an_icon_are_described_as_they_are_decoded():
    encoded = openjpeg.encode_array(COLOURS, photometric_interpretation=1, use_mct=True)
    icon = _item(encoded, rows=40, columns=36, samples=3, photometric="YBR_RCT")
    del icon.PlanarConfiguration
    [becomes] = transcoded(_with(icon, JPEG_2000), EXPLICIT).IconImageSequence
    assert (becomes.PhotometricInterpretation, becomes.PlanarConfiguration) == ("RGB", 0)
    assert becomes.PixelData == COLOURS.tobytes()


def test_an_icon_deep_in_other_sequences_is_decompressed():
    around = described()
    around.IconImageSequence = Sequence([_icon(ICON, RLE)])
    made = transcoded(_with(around, RLE, "ReferencedImageSequence"), IMPLICIT)
    assert made.ReferencedImageSequence[0].IconImageSequence[0].PixelData == ICON.tobytes()


@pytest.mark.parametrize("target", [EXPLICIT, RLE])
def test_a_native_icon_stays_as_it_is(target):
    icon = described(*ICON.shape)
    icon.PixelData = ICON.tobytes()
    icon["PixelData"].VR = "OB"
    assert list(transcoded(_with(icon, JPEG_LS), target).IconImageSequence) == [icon]


@pytest.mark.parametrize(
    ("icon", "reason"),
    [
        (_item(b"1234", rows=40, columns=36), "its pixel data is damaged: a frame is no JPEG codestream"),
        (_item(ENCODE[JPEG_LS](ICON)[:-20], rows=40, columns=36), "its pixel data is damaged: a codestream is cut off"),
        (
            _item(ENCODE[JPEG_2000](ICON), rows=40, columns=36),
            "its pixel data is damaged: a frame is no JPEG codestream",
        ),
        (
            _item(ENCODE[JPEG_LS](ICON), rows=36, columns=40),
            "its codestream has 40 rows and 36 columns, but its attributes say 36 and 40",
        ),
        (_item(rows=40, columns=36), "it has 0 fragments for 1 frames"),
        (_item(*[ENCODE[JPEG_LS](ICON)] * 2, rows=40, columns=36, frames=2), "it has 2 frames with samples of 8 bits"),
        (_item(b"1234", rows=40, columns=36, allocated=32), "it has 1 frames with samples of 32 bits"),
        (
            _item(b"1234", rows=30_000, columns=30_000),
            "a frame of it has 900000000 bytes, more than the 268435456 allowed",
        ),
    ],
)
def test_an_icon_that_cannot_be_decoded_rightly_is_refused(icon, reason):
    assert transcoded(_with(icon, JPEG_LS), EXPLICIT) == f"its icon image cannot be decompressed: {reason}"


def test_icons_together_are_no_larger_than_one_frame_may_be():
    found = described(*CELLS.shape)
    found.IconImageSequence = Sequence([_icon(ICON, RLE), _icon(ICON, RLE)])
    found = encapsulated(found, RLE, [ENCODE[RLE](CELLS)])
    size = ICON.nbytes
    assert transcoded(found, EXPLICIT, max_inflated=2 * size).IconImageSequence[1].PixelData == ICON.tobytes()
    reason = "its icon image cannot be decompressed: a frame of it has 1440 bytes, more than the 1439 allowed"
    assert transcoded(found, EXPLICIT, max_inflated=2 * size - 1) == reason


def test_compressed_pixels_of_an_item_that_is_no_icon_are_refused():
    found = _with(_icon(ICON, JPEG_LS), JPEG_LS, "ReferencedImageSequence")
    assert transcoded(found, EXPLICIT) == "an item of it that is no icon image has compressed pixel data"


def test_a_compressed_icon_in_a_transfer_syntax_for_native_pixel_data_is_refused():
    data_set = described(*CELLS.shape)
    data_set.IconImageSequence = Sequence([_icon(ICON, RLE)])
    reason = "its icon image cannot be decompressed: its transfer syntax is one for native pixel data"
    assert transcoded(native(data_set, CELLS), RLE) == reason
    assert transcoded(instance(data_set, EXPLICIT), IMPLICIT).startswith("its pixel data is encapsulated")
