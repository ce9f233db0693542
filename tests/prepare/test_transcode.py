"""Every compressed file of pydicom's test folder, in each target transfer syntax: its outcome, and its pixels."""

import subprocess
import warnings

import numpy as np
import pytest
from pydicom import dcmread

from support.peers.programs import find_program
from support.pixels import BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LS, RLE, pixels, transcoded
from support.rows import rows
from support.trees import pydicom_test_files

pytest.importorskip("gdcm")

_TOO_LARGE_LS = "pixel cells of 32 bits are too large for JPEG-LS"
_TOO_LARGE_2000 = "pixel cells of 32 bits are too large for JPEG 2000"
_NO_BIG = "pixel cells of 32 bits are not converted to or from big endian: readers differ"
_DAMAGED = "its pixel data is damaged: a codestream is cut off"
_CHARLS = "its pixel data cannot be compressed: Encoding error"
_OPENJPEG = "its pixel data cannot be compressed: Error encoding the data"

TABLE = {
    # file: Photometric Interpretation of its native pixels, and reasons by the targets that it cannot have
    "693_J2KI.dcm": ("MONOCHROME2", {}),
    "GDCMJ2K_TextGBR.dcm": ("RGB", {}),
    "J2K_pixelrep_mismatch.dcm": ("MONOCHROME2", {}),
    "JPEG-lossy.dcm": ("MONOCHROME2", {}),
    "JPEG2000-embedded-sequence-delimiter.dcm": (None, dict.fromkeys((EXPLICIT, IMPLICIT, BIG, DEFLATED), _DAMAGED)),
    "JPEG2000.dcm": ("MONOCHROME2", {}),
    "JPEGLSNearLossless_08.dcm": ("MONOCHROME2", {JPEG_2000: _OPENJPEG}),
    "JPEGLSNearLossless_16.dcm": ("MONOCHROME2", {JPEG_2000: _OPENJPEG}),
    "JPGExtended.dcm": ("MONOCHROME2", {}),
    "MR_small_RLE.dcm": ("MONOCHROME2", {}),
    "MR_small_jp2klossless.dcm": ("MONOCHROME2", {}),
    "MR_small_jpeg_ls_lossless.dcm": ("MONOCHROME2", {}),
    "SC_jpeg_no_color_transform.dcm": ("RGB", {}),
    "SC_jpeg_no_color_transform_2.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cr.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cy+n1.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cy+n2.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cy+s2.dcm": ("RGB", {}),
    "SC_rgb_dcmtk_+eb+cy+s4.dcm": ("RGB", {}),
    "SC_rgb_gdcm_KY.dcm": ("RGB", {}),
    "SC_rgb_jls_lossy_line.dcm": ("RGB", {}),
    "SC_rgb_jls_lossy_sample.dcm": ("RGB", {}),
    "SC_rgb_jpeg_app14_dcmd.dcm": ("RGB", {}),
    "SC_rgb_jpeg_dcmtk.dcm": ("RGB", {}),
    "SC_rgb_jpeg_gdcm.dcm": ("RGB", {}),
    "SC_rgb_jpeg_lossy_gdcm.dcm": ("RGB", {}),
    "SC_rgb_rle.dcm": ("RGB", {}),
    "SC_rgb_rle_16bit.dcm": ("RGB", {}),
    "SC_rgb_rle_16bit_2frame.dcm": ("RGB", {}),
    "SC_rgb_rle_2frame.dcm": ("RGB", {}),
    "SC_rgb_rle_32bit.dcm": ("RGB", {BIG: _NO_BIG, JPEG_LS: _TOO_LARGE_LS, JPEG_2000: _TOO_LARGE_2000}),
    "SC_rgb_rle_32bit_2frame.dcm": ("RGB", {BIG: _NO_BIG, JPEG_LS: _TOO_LARGE_LS, JPEG_2000: _TOO_LARGE_2000}),
    "SC_rgb_small_odd_jpeg.dcm": ("RGB", {JPEG_LS: _CHARLS, JPEG_2000: _OPENJPEG}),
    "examples_jpeg2k.dcm": ("RGB", {}),
    "examples_ybr_color.dcm": ("RGB", {}),
    "rtdose_rle.dcm": ("MONOCHROME2", {BIG: _NO_BIG, JPEG_LS: _TOO_LARGE_LS, JPEG_2000: _TOO_LARGE_2000}),
    "rtdose_rle_1frame.dcm": ("MONOCHROME2", {BIG: _NO_BIG, JPEG_LS: _TOO_LARGE_LS, JPEG_2000: _TOO_LARGE_2000}),
}
_12_BITS = ("JPEG-lossy.dcm", "JPGExtended.dcm")
"""pydicom decodes no DCT of 12 bits with the libraries that are installed: dcmdjpeg is the witness."""
_JPEGS_2000 = {"693_J2KI.dcm", "GDCMJ2K_TextGBR.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small_jp2klossless.dcm"}
_JPEGS_2000 |= {"JPEG2000-embedded-sequence-delimiter.dcm", "JPEG2000.dcm", "SC_rgb_gdcm_KY.dcm", "examples_jpeg2k.dcm"}
"""DCMTK decodes none. pydicom decodes them with GDCM here, asyncstore with OpenJPEG's own library."""
_NOT_BY_GDCMCONV = {"JPEG2000-embedded-sequence-delimiter.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm"}
_NOT_BY_GDCMCONV |= {"SC_rgb_rle_32bit.dcm", "SC_rgb_rle_32bit_2frame.dcm"}
"""It fails, or mixes up the bytes of wide samples: dcmdrle and pydicom agree about these files."""
_SLOW = {"examples_ybr_color.dcm": pytest.mark.slow}
_OF_ANY_CODEC = {"JPEG2000-embedded-sequence-delimiter.dcm": _DAMAGED}
_TOOLS = {"1.2.840.10008.1.2.4.8": "dcmdjpls", "1.2.840.10008.1.2.5": "dcmdrle", "1.2.840.10008.1.2.4.5": "dcmdjpeg"}
_TOOLS["1.2.840.10008.1.2.4.70"] = "dcmdjpeg"


@pytest.fixture(scope="module")
def collection():
    return {path.name: path for path in pydicom_test_files()}


def test_the_table_has_every_compressed_file(collection):
    with warnings.catch_warnings(action="ignore"):
        heads = {name: dcmread(path, force=True) for name, path in collection.items()}
    compressed = {
        name
        for name, head in heads.items()
        if "PixelData" in head and getattr(head.file_meta, "TransferSyntaxUID", IMPLICIT) not in _NATIVE
    }
    assert compressed - {"SC_rgb_jpeg.dcm"} == set(TABLE)  # that one says it is explicit VR, and is not


_NATIVE = (IMPLICIT, EXPLICIT, BIG, DEFLATED)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=_SLOW.get(name, ())) for name in TABLE])
def test_pixels_are_those_that_pydicom_decodes(collection, tmp_path, name):
    with warnings.catch_warnings(action="ignore"):
        original = dcmread(collection[name])
    shown = None if name in _12_BITS or name in _OF_ANY_CODEC else pixels(original)
    with rows() as row:
        for target in (*_NATIVE, RLE, JPEG_LS, JPEG_2000):
            with row(target):
                made = transcoded(collection[name], target, tmp_path)
                _assert_the_same(original, shown, made, name, target)


def _assert_the_same(original, shown, made, name, target):
    photometric, refused = TABLE[name]
    reason = refused.get(target) or _OF_ANY_CODEC.get(name)
    if original.file_meta.TransferSyntaxUID == target:
        assert made.PixelData == original.PixelData
        return
    if reason is not None:
        assert made.startswith(reason)
        return
    coded = "YBR_RCT" if target == JPEG_2000 and photometric == "RGB" else photometric
    assert made.PhotometricInterpretation == coded
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        assert made[keyword].value == original[keyword].value
    if made.SamplesPerPixel > 1:
        assert made.PlanarConfiguration == (target == RLE)
    if shown is not None:
        assert np.array_equal(pixels(made), shown)


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in TABLE if name not in _JPEGS_2000])
def test_pixels_are_those_that_dcmtk_decodes(collection, tmp_path, name):
    with warnings.catch_warnings(action="ignore"):
        original = dcmread(collection[name])
    tool = next(tool for uid, tool in _TOOLS.items() if original.file_meta.TransferSyntaxUID.startswith(uid))
    made = transcoded(collection[name], EXPLICIT, tmp_path)
    decoded = tmp_path / "decoded.dcm"
    subprocess.run([find_program(tool, "dcmtk"), "-q", collection[name], decoded], check=True)
    expected = dcmread(decoded)
    assert made.PhotometricInterpretation == expected.PhotometricInterpretation
    assert np.array_equal(pixels(made), pixels(expected))


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in TABLE if name not in _NOT_BY_GDCMCONV])
def test_pixels_are_those_that_gdcmconv_decodes(collection, tmp_path, name):
    made = transcoded(collection[name], EXPLICIT, tmp_path)
    decoded = tmp_path / "decoded.dcm"
    program = find_program("gdcmconv", "libgdcm-tools")
    subprocess.run([program, "--raw", collection[name], decoded], check=True, capture_output=True)
    assert np.array_equal(pixels(made), pixels(dcmread(decoded)))
