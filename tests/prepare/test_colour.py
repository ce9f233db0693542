"""Colours of JPEG: those that libjpeg makes of YCbCr."""

import pytest

np = pytest.importorskip("numpy")

from asyncstore.prepare.pixels.colour import to_rgb  # noqa: E402 - it imports numpy


def test_every_colour_is_that_of_libjpeg():
    luma, blue, red = np.meshgrid([0, 1, 100, 254, 255], range(256), range(256), indexing="ij")
    cb, cr, half = blue - 128, red - 128, 1 << 15
    expected = np.stack(
        [
            luma + (91881 * cr + half >> 16),  # 1.402 and so on, in parts of 65536 (jdcolor.c)
            luma + (-22554 * cb - 46802 * cr + half >> 16),
            luma + (116130 * cb + half >> 16),
        ],
        axis=-1,
    ).clip(0, 255)
    pixels = np.stack([luma, blue, red], axis=-1).astype(np.uint8)
    to_rgb(pixels)
    assert np.array_equal(pixels, expected)
