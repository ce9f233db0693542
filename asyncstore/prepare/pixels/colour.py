"""Colour spaces: what decoded components are, and YCbCr to RGB (ITU-T T.871, 7)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.attributes import RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT
from asyncstore.prepare.pixels.codestreams import DCT_FRAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncstore.prepare.pixels.attributes import Image
    from asyncstore.prepare.pixels.codestreams import Codestream

    _Number = NDArray[np.int32]

_BITS = 16
_CENTRE = 128
_AT_A_TIME = 1 << 18
"""Pixels to convert at a time: more cost memory, fewer cost calls."""


def _number(value: int) -> _Number:
    """A constant: numpy takes an array without dimensions in a twentieth of the time of a number."""
    return np.array(value, np.int32)


_RED_OF_CR, _BLUE_OF_CB, _GREEN_OF_CB, _GREEN_OF_CR = (
    _number(round(factor * (1 << _BITS))) for factor in (1.402, 1.772, -0.34414, -0.71414)
)
"""What a step of chroma adds to a colour, in parts of 65536."""
_HALF, _ZERO, _LEAST, _MOST = map(_number, (1 << (_BITS - 1), _CENTRE, 0, (256 << _BITS) - 1))


def decoded_photometric(image: Image, stream: Codestream | None) -> tuple[str, bool]:
    """The Photometric Interpretation of decoded components, and whether they become RGB by :func:`to_rgb`.

    Args:
        image: the attributes.
        stream: the codestream; ``None``: its kind knows no colours.

    Raises:
        Unconvertible: attributes and codestream contradict each other.
    """
    photometric = image.photometric
    if image.samples == 1:
        return photometric, False
    if stream is None:
        if photometric not in (RGB, YBR_FULL):
            raise Unconvertible(f"its Photometric Interpretation {photometric} does not fit its transfer syntax")
        return photometric, False
    if stream.process in DCT_FRAMES:
        return _of_dct(photometric, stream), _is_ycc(photometric, stream)
    if stream.process:  # lossless JPEG and JPEG-LS give back what they were given
        return _as_given(photometric, stream), False
    return _of_jpeg_2000(photometric, stream), False


def _is_ycc(photometric: str, stream: Codestream) -> bool:
    """Whether components of a DCT are YCbCr: the codestream says so, or else the attribute."""
    return stream.colour == "YBR" if stream.colour is not None else photometric != RGB


def _of_dct(photometric: str, stream: Codestream) -> str:
    if photometric not in (RGB, YBR_FULL, YBR_FULL_422):
        raise Unconvertible(f"its Photometric Interpretation {photometric} does not fit its JPEG codestream")
    if stream.precision != 8:  # noqa: PLR2004
        raise Unconvertible(f"JPEG colours of {stream.precision} bits are not converted")
    return RGB


def _as_given(photometric: str, stream: Codestream) -> str:
    if photometric not in (RGB, YBR_FULL, YBR_FULL_422) or stream.is_subsampled:
        raise Unconvertible(f"its Photometric Interpretation {photometric} does not fit its JPEG codestream")
    if stream.colour is not None and (stream.colour == RGB) != (photometric == RGB):
        raise Unconvertible(
            f"its JPEG codestream says {stream.colour}, but its Photometric Interpretation says {photometric}"
        )
    return RGB if photometric == RGB else YBR_FULL


def _of_jpeg_2000(photometric: str, stream: Codestream) -> str:
    if stream.is_transformed and photometric in (RGB, YBR_RCT, YBR_ICT):
        return RGB
    if not stream.is_transformed and photometric in (RGB, YBR_FULL):
        return photometric
    has = "has a" if stream.is_transformed else "has no"
    raise Unconvertible(
        f"its JPEG 2000 codestream {has} transformation of colours, but its Photometric Interpretation is {photometric}"
    )


def to_rgb(pixels: NDArray[np.uint8]) -> None:
    """Make RGB of YCbCr of 8 bits, in place and in whole numbers: every pixel is the one that libjpeg makes."""
    flat = pixels.reshape(-1, 3)
    room = np.empty((4, min(len(flat), _AT_A_TIME)), np.int32)
    room[0] = _HALF
    for start in range(0, len(flat), _AT_A_TIME):
        some = flat[start : start + _AT_A_TIME]
        _make_rgb(some, room[:, : len(some)])


def _make_rgb(pixels: NDArray[np.uint8], room: NDArray[np.int32]) -> None:
    """Make RGB of some pixels. ``room`` is for numbers in parts of 65536; its first row holds halves, for luma."""
    luma, blue, red, colour = room
    _whole(luma)[:] = pixels[:, 0]
    blue[:], red[:] = pixels[:, 1], pixels[:, 2]
    blue -= _ZERO
    red -= _ZERO
    np.multiply(red, _RED_OF_CR, out=colour)
    _write(pixels[:, 0], colour, luma)
    np.multiply(blue, _BLUE_OF_CB, out=colour)
    _write(pixels[:, 2], colour, luma)
    blue *= _GREEN_OF_CB
    red *= _GREEN_OF_CR
    blue += red
    _write(pixels[:, 1], blue, luma)


def _write(samples: NDArray[np.uint8], chroma: NDArray[np.int32], luma: NDArray[np.int32]) -> None:
    """Write the samples of one colour: luma and what chroma adds to it."""
    chroma += luma
    chroma.clip(_LEAST, _MOST, out=chroma)
    samples[:] = _whole(chroma)


def _whole(parts: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The whole of numbers from 0 to 255 in parts of 65536: the third byte of each. Shifting costs as much again."""
    return parts.view(np.uint8)[_WHOLE :: parts.itemsize]


_WHOLE = 2 if sys.byteorder == "little" else 1
