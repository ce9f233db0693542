"""Colour spaces: what decoded components are, and YCbCr to RGB (ITU-T T.871, 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
_AT_A_TIME = 1 << 17
"""Pixels to convert at a time: more cost memory, fewer cost calls."""


def _number(value: int) -> _Number:
    """A constant: numpy takes an array without dimensions in a twentieth of the time of a number."""
    return np.array(value, np.int32)


def _step(factor: float) -> int:
    return round(factor * (1 << _BITS))


def _at_0(*factors: float) -> _Number:
    """What chroma of 0 adds to a colour, and a half, so that it is rounded."""
    return _number((1 << (_BITS - 1)) - _CENTRE * sum(map(_step, factors)))


_CR_TO_RED, _CB_TO_BLUE, _CB_TO_GREEN, _CR_TO_GREEN = 1.402, 1.772, -0.34414, -0.71414
_RED_OF_CR, _BLUE_OF_CB, _GREEN_OF_CB, _GREEN_OF_CR = (
    _number(_step(factor)) for factor in (_CR_TO_RED, _CB_TO_BLUE, _CB_TO_GREEN, _CR_TO_GREEN)
)
"""What a step of chroma adds to a colour, in parts of 65536."""
_RED_AT_0, _BLUE_AT_0, _GREEN_AT_0 = _at_0(_CR_TO_RED), _at_0(_CB_TO_BLUE), _at_0(_CB_TO_GREEN, _CR_TO_GREEN)
_SHIFT, _LEAST, _MOST = map(_number, (_BITS, 0, 255))


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


def to_rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    """YCbCr of 8 bits to RGB, in whole numbers: every pixel is the one that libjpeg makes."""
    flat = pixels.reshape(-1, 3)
    rgb = np.empty_like(flat)
    for start in range(0, len(flat), _AT_A_TIME):
        _write_rgb(rgb[start : start + _AT_A_TIME], flat[start : start + _AT_A_TIME])
    return rgb.reshape(pixels.shape)


def _write_rgb(rgb: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Write the RGB of some pixels of YCbCr. It works in place: new arrays cost as much as the arithmetic."""
    luma, blue, red = (pixels[:, number].astype(np.int32) for number in range(3))
    _write(rgb[:, 0], red * _RED_OF_CR, _RED_AT_0, luma)
    _write(rgb[:, 2], blue * _BLUE_OF_CB, _BLUE_AT_0, luma)
    blue *= _GREEN_OF_CB
    red *= _GREEN_OF_CR
    blue += red
    _write(rgb[:, 1], blue, _GREEN_AT_0, luma)


def _write(colour: NDArray[np.uint8], chroma: NDArray[np.int32], at_0: _Number, luma: NDArray[np.int32]) -> None:
    """Write one colour: luma and what chroma adds to it, given in parts of 65536 without its constant."""
    chroma += at_0
    chroma >>= _SHIFT
    chroma += luma
    chroma.clip(_LEAST, _MOST, out=chroma)
    colour[:] = chroma
