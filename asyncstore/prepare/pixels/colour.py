"""Colour spaces: what decoded components are, and YCbCr to RGB (ITU-T T.871, 7)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.attributes import RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT
from asyncstore.prepare.pixels.codestreams import DCT_FRAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncstore.prepare.pixels.attributes import Image
    from asyncstore.prepare.pixels.codestreams import Codestream

_BITS = 16
_HALF = 1 << (_BITS - 1)
_CENTRE = 128


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
    red_of_cr, blue_of_cb, green_of_both = _tables()
    luma = pixels[..., 0].astype(np.int16)
    blue, red = np.ascontiguousarray(pixels[..., 1]), np.ascontiguousarray(pixels[..., 2])
    both = blue.astype(np.uint16)
    both <<= 8
    both |= red
    rgb = np.empty(pixels.shape, np.uint8)
    for number, (table, index) in enumerate(((red_of_cr, red), (green_of_both, both), (blue_of_cb, blue))):
        colour = np.take(table, index)
        colour += luma
        np.clip(colour, 0, 255, out=colour)
        rgb[..., number] = colour
    return rgb


@cache
def _tables() -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """What red adds to luma by the value of Cr, blue by that of Cb, and green by 256 times Cb and Cr."""
    chroma = np.arange(256, dtype=np.int64) - _CENTRE

    def times(factor: float) -> NDArray[np.int64]:
        return chroma * round(factor * (1 << _BITS))

    green = (-times(0.34414) + _HALF)[:, None] - times(0.71414)[None, :]
    return (
        ((times(1.402) + _HALF) >> _BITS).astype(np.int16),
        ((times(1.772) + _HALF) >> _BITS).astype(np.int16),
        (green >> _BITS).astype(np.int16).reshape(-1),
    )
