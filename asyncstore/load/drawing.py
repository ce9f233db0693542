"""Frames without numpy: noise over a gradient, which compresses like a modality's frames."""

from __future__ import annotations

from array import array
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

_TYPE_CODES: Final = {8: "B", 16: "H"}
"""The array type for each number of bits allocated."""


class Drawing:
    """Draws frames: bands of noise that grow brighter from top to bottom.

    The noise of each gray level is made once; rows are slices of it. Drawing pixel by pixel would take minutes.
    """

    _BANDS: Final = 8
    _SPARE: Final = 4096
    """Values of the noise beyond a row: the number of places where a slice may begin."""
    _STEP: Final = 1571
    """The distance between the slices of two rows; prime, so no pattern shows."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._noise = cache(self._make_noise)

    def frame(self, rows: int, columns: int, brightest: int, *, bits: int = 16) -> array[int]:
        """Draw a frame; its last rows have the gray level ``brightest``."""
        frame = array(_TYPE_CODES[bits])
        start = self._random.randrange(self._SPARE)
        for row in range(rows):
            level = brightest * (row * self._BANDS // rows + 1) // self._BANDS
            start = (start + self._STEP) % self._SPARE
            frame += self._noise(level, columns, bits)[start : start + columns]
        return frame

    def _make_noise(self, level: int, columns: int, bits: int) -> array[int]:
        """Make the noise of one gray level; brighter levels have more."""
        largest = (1 << min(bits, 12)) - 1
        values = (int(self._random.gauss(level, level / 40)) for _ in range(columns + self._SPARE))
        return array(_TYPE_CODES[bits], [min(max(value, 0), largest) for value in values])
