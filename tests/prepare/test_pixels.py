"""Images with known pixels: what is decoded exactly, and what is refused because it cannot be."""

import struct
import subprocess
import zlib

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import Dataset, dcmread

from asyncstore.prepare.conversion import Settings
from asyncstore.prepare.messages import Order
from support import values
from support.images import CT, described, encapsulated, instance, items, native, noise
from support.peers.programs import find_program
from support.pixels import (
    BIG,
    DEFLATED_FRAMES,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    UNCOMPRESSED_FRAMES,
    pixels,
    read,
    transcoded,
)

jpeg_ls = pytest.importorskip("jpeg_ls")
rle = pytest.importorskip("rle")

HTJ2K = "1.2.840.10008.1.2.4.201"
LOSSLESS = (RLE, JPEG_LS, JPEG_2000, DEFLATED_FRAMES, UNCOMPRESSED_FRAMES)
KINDS = [
    # allocated, stored, signed, samples, frames
    (8, 8, 0, 1, None),
    (8, 6, 0, 1, None),
    (8, 8, 1, 1, None),
    (16, 8, 0, 1, None),
    (16, 7, 0, 1, None),
    (16, 8, 1, 1, None),
    (16, 12, 0, 1, None),
    (16, 12, 1, 1, None),
    (16, 16, 0, 1, 3),
    (16, 16, 1, 1, 3),
    (8, 8, 0, 3, None),
    (8, 8, 0, 3, 2),
    (16, 12, 0, 3, None),
    (32, 32, 0, 1, None),
    (32, 20, 1, 1, None),
]


def _image(allocated, stored, signed, samples, frames, size=(40, 36), **attributes):
    shape = (frames or 1, *size, *([samples] if samples > 1 else []))
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    cells = noise(shape, low, high, f"<{'i' if signed else 'u'}{allocated // 8}")
    return described(*size, samples, allocated, stored, signed, frames, **attributes), cells


def _there_and_back(found, target):
    """The data set after compression and decompression, and what was between; or the reason."""
    between = transcoded(found, target)
    return (between, None) if isinstance(between, str) else (between, transcoded(instance(between, target), EXPLICIT))


def _decoded_by_dcmtk(folder, made):
    """The pixel cells of an image in JPEG-LS."""
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = CT, "1.2.3"
    made.save_as(folder / "encoded.dcm", enforce_file_format=True)
    program = find_program("dcmdjpls", "dcmtk")
    subprocess.run([program, "-q", folder / "encoded.dcm", folder / "decoded.dcm"], check=True)
    decoded = dcmread(folder / "decoded.dcm")
    return np.frombuffer(decoded.PixelData, f"<u{decoded.BitsAllocated // 8}")


@pytest.mark.peers
@pytest.mark.parametrize("kind", [(8, 2, 0), (8, 6, 0), (8, 7, 1), (16, 7, 1), (16, 8, 0)], ids=str)
def test_dcmtk_decodes_jpeg_ls_of_few_bits(tmp_path, kind):
    data_set, cells = _image(*kind, 1, None)
    decoded = _decoded_by_dcmtk(tmp_path, transcoded(native(data_set, cells), JPEG_LS))
    bits = (1 << kind[1]) - 1
    assert np.array_equal(decoded & bits, cells.reshape(-1).view(decoded.dtype) & bits)


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_pixel_cell_survives_compression_and_decompression(kind, target):
    data_set, cells = _image(*kind)
    found = native(data_set, cells)
    between, back = _there_and_back(found, target)
    if back is None:
        assert kind[0] == 32
        assert between.startswith(f"pixel cells of {kind[1]} bits are too large for JPEG")
        return
    assert back.PixelData == cells.tobytes() + b"\0" * (cells.nbytes & 1)
    assert back.PhotometricInterpretation == data_set.PhotometricInterpretation
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"):
        assert back[keyword].value == data_set[keyword].value
    assert ("OB" if kind[0] == 8 else "OW") == back["PixelData"].VR
    if target not in (DEFLATED_FRAMES, UNCOMPRESSED_FRAMES):
        assert np.array_equal(pixels(between), np.squeeze(cells))


@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("target", [RLE, JPEG_LS])
@pytest.mark.parametrize("kind", [(8, 8, 0, 1, None), (16, 12, 1, 1, 2)], ids=str)
def test_native_pixels_of_every_byte_order_are_compressed_alike(kind, source, target):
    data_set, cells = _image(*kind)
    written = cells.astype(cells.dtype.newbyteorder(">")) if source == BIG else cells
    _, back = _there_and_back(native(data_set, written, source), target)
    assert back.PixelData == cells.tobytes()


@pytest.mark.parametrize("target", [RLE, JPEG_LS, JPEG_2000])
def test_colours_in_planes_become_pixels(target):
    data_set, cells = _image(8, 8, 0, 3, 2)
    data_set.PlanarConfiguration = 1
    _, back = _there_and_back(native(data_set, np.moveaxis(cells, -1, 1).copy()), target)
    assert back.PlanarConfiguration == 0
    assert back.PixelData == cells.tobytes()


@pytest.mark.parametrize("target", [DEFLATED_FRAMES, UNCOMPRESSED_FRAMES, JPEG_2000])
@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("size", [(40, 40), (35, 37)])
def test_cells_of_one_bit_are_compressed_frame_by_frame_and_packed_again(size, frames, target):
    bits = noise((frames or 1, *size), 0, 2)
    packed = np.packbits(bits.reshape(-1), bitorder="little")
    found = native(described(*size, allocated=1, frames=frames), packed)
    between, back = _there_and_back(found, target)
    assert back.PixelData == found.data[-len(back.PixelData) :]
    assert back.BitsAllocated == between.BitsAllocated == 1


# Frames and fragments.


def _rle_frame(cells):
    return rle.rle.encode_frame(cells.tobytes(), *cells.shape, 1, 8 * cells.itemsize, "<")


@pytest.fixture(params=[JPEG_LS, JPEG_2000])
def frames(request):
    cells = noise((3, 40, 36))
    if request.param == JPEG_LS:
        return request.param, cells, [bytes(jpeg_ls.encode_array(one)) for one in cells]
    return request.param, cells, [encode_array(one) for one in cells]


@pytest.mark.parametrize(
    "options",
    [
        {"basic": True},
        {"basic": False},
        {"extended": True},
        {"basic": True, "fragments": 3},
        {"basic": False, "fragments": 3},
    ],
    ids=str,
)
def test_frames_are_found_by_any_offset_table_and_by_none(frames, options):
    syntax, cells, encoded = frames
    found = encapsulated(described(40, 36, frames=3), syntax, encoded, **options)
    back = transcoded(found, EXPLICIT)
    assert back.PixelData == cells.tobytes()
    assert "ExtendedOffsetTable" not in back
    assert "ExtendedOffsetTableLengths" not in back


@pytest.mark.parametrize("table", [struct.pack("<3I", 0, 7, 9), struct.pack("<2I", 0, 1), b"ab"])
def test_a_wrong_offset_table_does_not_mislead(frames, table):
    syntax, cells, encoded = frames
    data_set = described(40, 36, frames=3)
    even = [one + b"\0" * (len(one) & 1) for one in encoded]
    data_set.PixelData = items(*even, table=table)
    assert transcoded(instance(data_set, syntax), EXPLICIT).PixelData == cells.tobytes()


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (None, "its pixel data holds 3 codestreams, but Number of Frames says 1"),
        (1, "its pixel data holds 3 codestreams, but Number of Frames says 1"),
        (2, "its pixel data holds 3 codestreams, but Number of Frames says 2"),
        (4, "it has 3 fragments for 4 frames"),
        (1_000_000, "it has 3 fragments for 1000000 frames"),
    ],
)
def test_another_number_of_frames_than_there_are_is_refused(frames, count, reason):
    syntax, _, encoded = frames
    found = encapsulated(described(40, 36, frames=count), syntax, encoded)
    assert transcoded(found, EXPLICIT) == reason


def test_an_rle_frame_is_one_fragment():
    cells = noise((2, 40, 36))
    encoded = [_rle_frame(one) for one in cells]
    found = encapsulated(described(40, 36, frames=2), RLE, encoded, fragments=2)
    assert transcoded(found, EXPLICIT) == "it has 4 fragments for 2 frames, and each must be one fragment"


def test_a_codestream_in_many_fragments_is_one_frame():
    cells = noise((40, 36))
    found = encapsulated(described(40, 36), JPEG_2000, [encode_array(cells)], fragments=5)
    assert transcoded(found, EXPLICIT).PixelData == cells.tobytes()


@pytest.mark.parametrize("padding", [b"\0", b"\xe3"])
def test_a_padded_codestream_ends_before_the_next_one(padding):
    cells = noise((2, 41, 36))
    encoded = [bytes(jpeg_ls.encode_array(one)) for one in cells]
    assert all(len(one) & 1 for one in encoded)
    padded = [one + padding for one in encoded]
    found = encapsulated(described(41, 36, frames=2), JPEG_LS, padded, basic=False, fragments=2)
    assert transcoded(found, EXPLICIT).PixelData == cells.tobytes()


# What contradicts itself.


def test_codestreams_that_are_cut_off_are_refused(frames):
    syntax, _, encoded = frames
    cut = [encoded[0], encoded[1][: len(encoded[1]) // 2], encoded[2]]
    reason = transcoded(encapsulated(described(40, 36, frames=3), syntax, cut), EXPLICIT)
    assert reason == "its pixel data is damaged: a codestream is cut off"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"rows": 20}, "its codestream has 40 rows and 36 columns, but its attributes say 20 and 36"),
        ({"columns": 72, "rows": 20}, "its codestream has 40 rows and 36 columns, but its attributes say 20 and 72"),
        ({"samples": 3}, "its codestream has 1 components, but Samples per Pixel says 3"),
        ({"photometric": "YBR_FULL"}, "its Photometric Interpretation 'YBR_FULL' with 1 samples is not converted"),
        ({"allocated": 12}, "pixel cells with 12 of 12 bits are not converted"),
        ({"allocated": 16, "signed": 1}, "its codestream has 8 bits, but its 16 Bits Stored are signed"),
    ],
)
def test_a_codestream_that_its_attributes_contradict_is_refused(attributes, reason):
    encoded = bytes(jpeg_ls.encode_buffer(noise((40, 36)).tobytes(), 40, 36, 1, 8))
    found = encapsulated(described(**{"rows": 40, "columns": 36, **attributes}), JPEG_LS, [encoded])
    assert transcoded(found, EXPLICIT) == reason


def test_more_bits_than_are_allocated_are_refused():
    encoded = bytes(jpeg_ls.encode_buffer(noise((40, 36), 0, 4096, "<u2").tobytes(), 40, 36, 1, 12))
    found = encapsulated(described(40, 36), JPEG_LS, [encoded])
    assert transcoded(found, EXPLICIT) == "its codestream has 12 bits, but Bits Allocated says 8"


@pytest.mark.parametrize("missing", ["Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"])
def test_missing_attributes_are_named(missing):
    data_set = described(40, 36)
    del data_set[missing]
    name = "".join(f" {letter}" if letter.isupper() else letter for letter in missing).strip()
    found = encapsulated(data_set, JPEG_LS, [b"1234"])
    assert transcoded(found, EXPLICIT) == f"it has pixel data without {name}, so it cannot be decoded"


def test_signed_codestreams_of_jpeg_2000_are_numbers():
    cells = noise((40, 36), -2048, 2048, "<i2")
    encoded = encode_array(cells, bits_stored=12)
    found = encapsulated(described(40, 36, 1, 16, 12, 1), JPEG_2000, [encoded])
    assert transcoded(found, EXPLICIT).PixelData == cells.tobytes()
    found = encapsulated(described(40, 36, 1, 16, 12, 0), JPEG_2000, [encoded])
    assert transcoded(found, EXPLICIT) == (
        "its codestream has negative values, but its Pixel Representation is unsigned"
    )


@pytest.mark.parametrize(
    ("uses_mct", "photometric", "expected"),
    [
        (True, "YBR_RCT", "RGB"),
        (True, "YBR_ICT", "RGB"),
        (True, "RGB", "RGB"),
        (False, "RGB", "RGB"),
        (False, "YBR_FULL", "YBR_FULL"),
        (False, "YBR_RCT", None),
        (True, "YBR_FULL", None),
        (True, "YBR_FULL_422", None),
    ],
)
def test_colours_of_jpeg_2000_go_by_the_transformation_of_its_codestream(uses_mct, photometric, expected):
    cells = noise((40, 36, 3))
    encoded = encode_array(cells, photometric_interpretation=1, use_mct=uses_mct)
    found = encapsulated(described(40, 36, 3, photometric=photometric), JPEG_2000, [encoded])
    back = transcoded(found, EXPLICIT)
    if expected is None:
        assert f"but its Photometric Interpretation is {photometric}" in back
    else:
        assert back.PhotometricInterpretation == expected
        assert back.PixelData == cells.tobytes()


def test_pixel_data_of_floating_point_numbers_is_refused():
    data_set = described(4, 4)
    data_set.FloatPixelData = bytes(64)
    assert transcoded(instance(data_set, EXPLICIT), RLE).startswith("its pixel data is of floating point numbers")


def test_a_data_set_without_pixel_data_is_only_re_encoded():
    data_set = Dataset()
    data_set.SOPInstanceUID, data_set.PatientName = "1.2.3", "A"
    for source, target in ((JPEG_BASELINE, EXPLICIT), (EXPLICIT, RLE), (JPEG_LOSSLESS, IMPLICIT)):
        assert transcoded(instance(data_set, source), target) == data_set


# Sizes.


def test_a_bomb_is_not_decoded():
    rows = columns = 30_000
    bomb = zlib.compress(bytes(1 << 20))[2:-4]
    found = encapsulated(described(rows, columns), DEFLATED_FRAMES, [bomb])
    assert transcoded(found, EXPLICIT) == f"a frame of it has {rows * columns} bytes, more than the {1 << 28} allowed"
    found = encapsulated(described(10_000, 10_000, frames=20), DEFLATED_FRAMES, [bomb] * 20)
    assert "claim to be 2000000000, decompressed" in transcoded(found, EXPLICIT)


def test_native_pixel_data_of_another_length_than_its_attributes_say_is_refused():
    assert transcoded(native(described(4, 4), bytes(18)), RLE) == (
        "its pixel data has 18 bytes, but its attributes ask for 16"
    )


def test_cells_with_bits_beyond_bits_stored_are_not_compressed_where_they_would_be_lost():
    cells = noise((40, 36), 0, 1 << 16, "<u2")
    found = native(described(40, 36, 1, 16, 12), cells)
    for target in (JPEG_LS, JPEG_2000):
        assert transcoded(found, target).startswith("its pixel data cannot be compressed")
    assert transcoded(instance(transcoded(found, RLE), RLE), EXPLICIT).PixelData == cells.tobytes()


def test_attributes_are_added_and_the_rest_stays():
    data_set, cells = _image(8, 8, 0, 3, None)
    data_set.PatientName, data_set.LossyImageCompression = "A^B", "01"
    data_set.DataSetTrailingPadding = b"\0\0"
    encoded = encode_array(cells[0], photometric_interpretation=1)
    del data_set.PlanarConfiguration
    data_set.PhotometricInterpretation = "YBR_RCT"
    back = transcoded(encapsulated(data_set, JPEG_2000, [encoded]), EXPLICIT)
    assert back.PlanarConfiguration == 0
    assert (back.PatientName, back.LossyImageCompression) == ("A^B", "01")
    assert back.DataSetTrailingPadding == b"\0\0"
    assert [element.tag for element in back] == sorted(element.tag for element in back)


# With losses.

LOSSY_LS, LOSSY_2000 = "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"


@pytest.mark.parametrize(("target", "method", "most"), [(LOSSY_LS, "ISO_14495_1", 2), (LOSSY_2000, "ISO_15444_1", 256)])
def test_an_image_compressed_with_losses_is_another_instance_that_says_so(target, method, most):
    data_set = described(64, 64, 3)
    cells = noise((64, 64, 3), 100, 110)
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    found = native(data_set, cells)
    [made] = values.converted([Order(found, target, "1.2.3")], Settings("", transcodes=True, may_lose=True))
    between = read(made.data, target)
    assert between.SOPInstanceUID == made.sop_instance_uid != "1.2.3"
    assert list(between.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (between.LossyImageCompression, between.LossyImageCompressionMethod) == ("01", method)
    assert between.LossyImageCompressionRatio > 2
    [source] = between.SourceImageSequence
    assert (source.ReferencedSOPInstanceUID, source.ReferencedSOPClassUID) == ("1.2.3", data_set.SOPClassUID)
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert 0 < np.abs(pixels(between).astype(int) - cells).max() <= most
    [again] = values.converted([Order(found, target, "1.2.3")], Settings("", transcodes=True, may_lose=True))
    assert again.data == made.data
    back = transcoded(instance(between, target), EXPLICIT)
    assert back.LossyImageCompression == "01"
    assert back.SOPInstanceUID == made.sop_instance_uid


def test_white_space_behind_a_uid_makes_no_other_instance_of_an_image_compressed_with_losses():
    found = native(described(64, 64), noise((64, 64)))
    found = values.changed(found, data=found.data.replace(b"1.2.3\0", b"1.2.3\t"))
    [made] = values.converted([Order(found, LOSSY_2000, "1.2.3")], Settings("", transcodes=True, may_lose=True))
    assert read(made.data, LOSSY_2000).SOPInstanceUID == made.sop_instance_uid


@pytest.mark.peers
@pytest.mark.parametrize("allocated", [8, 16])
def test_dcmtk_decodes_samples_of_eight_bits_that_jpeg_ls_changed_by_two_at_most(tmp_path, allocated):
    data_set, cells = _image(allocated, 8, 0, 1, None)
    cells[:, :10] = 255
    made = transcoded(native(data_set, cells), LOSSY_LS, may_lose=True)
    assert _decoded_by_dcmtk(tmp_path, made).dtype == cells.dtype
    for decoded in (_decoded_by_dcmtk(tmp_path, made), pixels(made).reshape(-1)):
        assert 0 < np.abs(decoded.astype(int) - cells.reshape(-1)).max() <= 2


@pytest.mark.parametrize("target", [LOSSY_LS, LOSSY_2000])
def test_nothing_is_compressed_with_losses_unless_that_is_allowed(target):
    found = native(described(64, 64), noise((64, 64)))
    assert transcoded(found, target).endswith("only, and its pixel data would have to be compressed")
    between = transcoded(found, JPEG_LS)
    assert transcoded(instance(between, JPEG_LS), target).endswith("its pixel data would have to be compressed")


def test_signed_pixels_are_not_compressed_with_losses_by_jpeg_ls():
    data_set, cells = _image(16, 12, 1, 1, None)
    assert transcoded(native(data_set, cells), LOSSY_LS, may_lose=True) == (
        "signed pixel data is not compressed with losses by JPEG-LS: it would wrap around"
    )


def test_a_document_keeps_its_uid_where_images_would_be_compressed_with_losses():
    data_set = Dataset()
    data_set.SOPInstanceUID = "1.2.3"
    found = instance(data_set, EXPLICIT)
    [made] = values.converted([Order(found, LOSSY_2000, "1.2.3")], Settings("", transcodes=True, may_lose=True))
    assert made.sop_instance_uid == "1.2.3"


def test_what_was_lost_before_stays_lost():
    cells = noise((40, 36))
    encoded = encode_array(cells, compression_ratios=[4])
    assert (
        transcoded(encapsulated(described(40, 36), "1.2.840.10008.1.2.4.91", [encoded]), EXPLICIT).LossyImageCompression
        == "01"
    )
    assert "LossyImageCompression" not in transcoded(
        encapsulated(described(40, 36), JPEG_2000, [encode_array(cells)]), EXPLICIT
    )
