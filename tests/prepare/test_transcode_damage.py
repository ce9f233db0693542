"""Frames that are damaged, cut off, too long or too many: nothing but the whole image is sent."""

import struct
import zlib

import numpy as np
import pytest
from openjpeg.utils import encode_array

from support.images import described, encapsulated, native, noise
from support.pixels import (
    DEFLATED_FRAMES,
    EXPLICIT,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    UNCOMPRESSED_FRAMES,
    transcoded,
)

jpeg_ls = pytest.importorskip("jpeg_ls")
rle = pytest.importorskip("rle")

SIZE = (40, 36)
CELLS = noise((3, *SIZE))


def _decoded(syntax, frames, *, allocated=8, **options):
    return transcoded(encapsulated(described(*SIZE, allocated=allocated), syntax, frames, **options), EXPLICIT)


def _even(data):
    return data + b"\0" * (len(data) & 1)


def _literal(data):
    """An RLE segment of literal runs."""
    return _even(b"".join(bytes([len(one) - 1]) + one for one in (data[i : i + 128] for i in range(0, len(data), 128))))


def _rle_frame(*segments):
    starts = np.cumsum([64, *map(len, segments[:-1])])
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


_PIXELS = CELLS[0].tobytes()


@pytest.mark.parametrize(
    ("segment", "length"),
    [
        (_literal(_PIXELS[:-5]), 1435),
        (_literal(_PIXELS) + _literal(b"12345"), 1445),
        (_literal(_PIXELS + bytes(36)), 1476),  # a row more than Rows says
    ],
)
def test_an_rle_segment_of_another_length_is_refused(segment, length):
    reason = f"its pixel data is damaged: an RLE segment was decoded to {length} bytes instead of 1440"
    assert _decoded(RLE, [_rle_frame(segment)]) == reason
    assert _decoded(RLE, [_rle_frame(segment, _literal(_PIXELS))], allocated=16) == reason
    assert _decoded(RLE, [_rle_frame(_literal(_PIXELS), segment)], allocated=16) == reason


@pytest.mark.parametrize("padding", [b"\0", b"\0\0", b"\x80", b"\0\0\0\0"])
def test_an_rle_segment_may_be_padded(padding):
    high, low = _literal(CELLS[0].tobytes()), _literal(CELLS[1].tobytes())
    made = _decoded(RLE, [_rle_frame(high + padding, low + padding)], allocated=16)
    assert made.PixelData == (CELLS[0].astype("<u2") << 8 | CELLS[1]).tobytes()


@pytest.mark.parametrize("syntax", [RLE, DEFLATED_FRAMES, UNCOMPRESSED_FRAMES])
def test_frames_that_number_of_frames_does_not_count_are_not_lost(syntax):
    encode = {
        RLE: lambda cells: rle.rle.encode_frame(cells.tobytes(), *cells.shape, 1, 8, "<"),
        DEFLATED_FRAMES: lambda cells: _even(zlib.compress(cells.tobytes())[2:-4]),
        UNCOMPRESSED_FRAMES: np.ndarray.tobytes,
    }[syntax]
    frames = [bytes(encode(one)) for one in CELLS]
    assert _decoded(syntax, frames).startswith("its pixel data is damaged")
    assert _decoded(syntax, frames[:1], fragments=2).PixelData == CELLS[0].tobytes()


@pytest.mark.parametrize("syntax", [JPEG_LS, JPEG_2000])
def test_two_codestreams_in_a_fragment_are_refused(syntax):
    encode = encode_array if syntax == JPEG_2000 else jpeg_ls.encode_array
    frames = [_even(bytes(encode(one))) for one in CELLS]
    reason = "a codestream of its pixel data has another one behind it, but each frame needs its own"
    assert _decoded(syntax, [frames[0] + frames[1]]) == reason


def test_bytes_behind_a_codestream_of_jpeg_are_refused():
    encoded = bytes(jpeg_ls.encode_array(CELLS[0]))
    for behind in (b"something", b"the rest of another frame\xff\xd9"):
        reason = "its pixel data is damaged: something stands behind the end of a codestream"
        assert _decoded(JPEG_LS, [encoded + behind]) == reason
    for padding in (b"\0", b"\0\0\0\0", b"\xff", b"\xe3", b"\xff" * 15, b"\0\x8a(\xa2\x8a("):
        assert _decoded(JPEG_LS, [encoded + padding]).PixelData == CELLS[0].tobytes()


def test_a_part_of_a_tile_that_is_missing_is_noticed():
    encoded = bytearray(encode_array(CELLS[0]))
    parts = encoded.index(b"\xff\x90") + 11
    assert encoded[parts] == 1
    encoded[parts] = 2
    assert _decoded(JPEG_2000, [bytes(encoded)]) == "its pixel data is damaged: a codestream is cut off"


def test_near_lossless_jpeg_ls_of_signed_values_is_refused():
    cells = noise(SIZE, -2048, 2048, "<i2")
    samples = (cells.view("<u2") & 0xFFF).tobytes()
    for error in (0, 2):
        encoded = bytes(jpeg_ls.encode_buffer(samples, *SIZE, 1, 12, lossy_error=error))
        made = transcoded(encapsulated(described(*SIZE, 1, 16, 12, 1), JPEG_LS, [encoded]), EXPLICIT)
        if error:
            assert made == "its near-lossless JPEG-LS is of signed values, whose signs may be lost"
        else:
            assert made.PixelData == cells.tobytes()


def test_a_codestream_that_openjpeg_cannot_read_is_refused():
    encoded = bytearray(encode_array(CELLS[0]))
    encoded[encoded.index(b"\xff\x52") + 9] = 40  # levels of decomposition
    assert _decoded(JPEG_2000, [bytes(encoded)]).startswith("its pixel data cannot be decoded: Error decoding the J2K")


_OF_THREE_BITS = bytes.fromhex(
    "ffd8ffc3000b030005000601011100ffc40017000101010100000000000000000000000000010403"
    "ffda0008010100040000e76db68282867a33e8ffd9"
)


def test_lossless_jpeg_of_less_than_eight_bits_is_decoded():
    pytest.importorskip("gdcm")
    cells = (np.add.outer(np.arange(5), np.arange(6)) % 8).astype("u1")
    found = encapsulated(described(5, 6, stored=3), JPEG_LOSSLESS, [_OF_THREE_BITS])
    assert transcoded(found, EXPLICIT).PixelData == cells.tobytes()


@pytest.mark.parametrize("rest", [b"\xff\xd9", b"\x3e\xff\xd9"])
def test_a_scan_that_ends_too_early_is_refused_and_not_filled(rest, capfd):
    pytest.importorskip("gdcm")
    found = encapsulated(described(5, 6, stored=3), JPEG_LOSSLESS, [_OF_THREE_BITS[:-7] + rest])
    reason = "its pixel data is damaged: a JPEG codestream ends too early or holds wrong codes"
    assert transcoded(found, EXPLICIT) == reason
    assert capfd.readouterr().err == ""
    whole = encapsulated(described(5, 6, stored=3), JPEG_LOSSLESS, [_OF_THREE_BITS])
    assert len(transcoded(whole, EXPLICIT).PixelData) == 30  # what is wrong with one is not said of the next


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({3: 0}, "its pixel data is damaged: something else stands where a marker of JPEG should be"),
        ({11: 2}, "its JPEG codestream is of JFIF 2, which is not known"),
    ],
)
def test_headers_that_gdcm_cannot_bear_are_refused(wrong, reason):
    encoded = bytearray.fromhex("ffd8ffe000104a46494600010100000100010000") + _OF_THREE_BITS[2:]
    for position, byte in wrong.items():
        encoded[position] = byte
    assert transcoded(encapsulated(described(5, 6, stored=3), JPEG_LOSSLESS, [bytes(encoded)]), EXPLICIT) == reason


@pytest.mark.parametrize("components", [0, 0xFFFF])
def test_a_jpeg_2000_header_that_claims_other_components_than_it_has_is_refused(components):
    encoded = bytearray(encode_array(CELLS[0]))
    encoded[40:42] = components.to_bytes(2, "big")
    reason = "its pixel data is damaged: its JPEG 2000 header has another length than its components need"
    assert _decoded(JPEG_2000, [bytes(encoded)]) == reason


def test_a_jpeg_2000_image_without_a_size_is_refused():
    encoded = bytearray(encode_array(CELLS[0]))
    encoded[16:20] = b"\xff\0\0\0"  # the offset of the image, from which its width is counted
    reason = "its pixel data is damaged: its JPEG 2000 image has no size"
    assert _decoded(JPEG_2000, [bytes(encoded)]) == reason


@pytest.mark.parametrize("stored", [10, 12])
def test_values_beyond_bits_stored_are_refused_unless_the_codestream_holds_whole_cells(stored):
    cells = noise(SIZE, 0, 4096, "<u2")
    for precision in (12, 16):
        encoded = bytes(jpeg_ls.encode_buffer(cells.tobytes(), *SIZE, 1, precision))
        made = transcoded(encapsulated(described(*SIZE, 1, 16, stored), JPEG_LS, [encoded]), EXPLICIT)
        if stored < precision < 16:
            assert made == "its codestream has values that do not fit into its 10 Bits Stored"
        else:
            assert made.PixelData == cells.tobytes()


def test_an_image_that_is_too_small_for_a_codec_is_refused_with_its_size():
    found = native(described(4, 4), noise((4, 4)))
    for target in (JPEG_LS, JPEG_2000):
        assert transcoded(found, target).endswith(": 4 rows and 4 columns may be too few")


# Losses that nobody can want.


@pytest.mark.parametrize("target", [JPEG_LS[:-1] + "1", JPEG_2000[:-1] + "1"])
@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"photometric": "PALETTE COLOR"}, "pixel data in PALETTE COLOR with 8 bits is not compressed with losses"),
        ({"stored": 2}, "pixel data in MONOCHROME2 with 2 bits is not compressed with losses"),
        ({"allocated": 16, "stored": 12}, "its pixel data has values that do not fit into its 12 Bits Stored"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "segmentations are not compressed with losses"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "radiation doses are not compressed with losses"),
    ],
)
def test_no_losses_where_values_are_not_brightness_or_hide_others(image, reason, target):
    sop_class = {key: image[key] for key in image if key == "SOPClassUID"}
    data_set = described(*SIZE, **{key: image[key] for key in image if key not in sop_class})
    data_set.update(sop_class)
    cells = noise(SIZE, 0, 1 << data_set.BitsStored, f"<u{data_set.BitsAllocated // 8}")
    if data_set.BitsAllocated == 16:
        cells[3, 4] |= 1 << 12  # an overlay
    assert transcoded(native(data_set, cells), target, may_lose=True).startswith(reason)


def test_a_long_image_type_is_kept_when_it_becomes_derived():
    data_set = described(*SIZE)
    data_set.ImageType = ["ORIGINAL", "PRIMARY", *["SIXTEEN LETTERS"] * 6]
    made = transcoded(native(data_set, CELLS[0]), JPEG_2000[:-1] + "1", may_lose=True)
    assert list(made.ImageType) == ["DERIVED", "PRIMARY", *["SIXTEEN LETTERS"] * 6]
