"""Frames without numpy: ellipses of noise, which look enough like slices of a body and compress like them."""

from __future__ import annotations

import math
from array import array
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.uid import ExplicitVRBigEndian

from asyncstore.load.writing import fill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from pydicom.dataset import Dataset
    from pydicom.uid import UID

_TYPE_CODES: Final = {8: "B", 16: "H"}
"""The array type of pixels with so many bits allocated."""


class Ellipse(NamedTuple):
    """A region of one gray level; place and size are fractions of the frame's columns and rows."""

    x: float
    y: float
    half_width: float
    half_height: float
    level: int


class Drawing:
    """Draws frames: ellipses of noise on a black ground.

    The noise of a gray level is made once, and each row of a region is a slice of it from another place: drawing pixel
    by pixel would take minutes.
    """

    _SPARE: Final = 4096
    """How many values the noise has beyond a row: from that many places a slice may begin."""
    _STEP: Final = 1571
    """From row to row the slice begins so much further on; a prime number, so that no pattern shows."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._noise = cache(self._make_noise)

    def frame(self, rows: int, columns: int, ellipses: Sequence[Ellipse], *, bits: int = 16) -> array[int]:
        """Draw the ellipses in their order, each over those before it."""
        frame = array(_TYPE_CODES[bits], bytes(rows * columns * bits // 8))
        pixels = memoryview(frame)
        for ellipse in ellipses:
            noise = self._noise(ellipse.level, columns, bits)
            start = self._random.randrange(self._SPARE)
            top = max(0, math.ceil((ellipse.y - ellipse.half_height) * rows))
            bottom = min(rows, math.ceil((ellipse.y + ellipse.half_height) * rows))
            for row in range(top, bottom):
                height = (row / rows - ellipse.y) / ellipse.half_height
                half_width = ellipse.half_width * math.sqrt(max(0.0, 1 - height * height))
                left = max(0, int((ellipse.x - half_width) * columns))
                right = min(columns, int((ellipse.x + half_width) * columns))
                start = (start + self._STEP) % self._SPARE
                pixels[row * columns + left : row * columns + right] = noise[start : start + right - left]
        return frame

    def _make_noise(self, level: int, columns: int, bits: int) -> memoryview:
        """Make the noise of one gray level: the brighter, the more."""
        largest = (1 << min(bits, 12)) - 1
        values = (int(self._random.gauss(level, level / 40)) for _ in range(columns + self._SPARE))
        return memoryview(array(_TYPE_CODES[bits], [min(max(value, 0), largest) for value in values]))


def pixel_bytes(frame: array[int], transfer_syntax_uid: UID) -> bytes:
    """Encode a frame in the byte order of the transfer syntax (PS3.5 7.3)."""
    if transfer_syntax_uid == ExplicitVRBigEndian:
        frame = frame[:]
        frame.byteswap()
    return frame.tobytes()


def describe_pixels(dataset: Dataset, rows: int, columns: int, bits: int) -> None:
    """Set what tells the meaning of monochrome pixels (PS3.3 C.7.6.3)."""
    stored = min(bits, 12)
    fill(
        dataset,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=bits,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=0,
    )
