"""Encode frames. Those encoded without losses are decoded again and compared with what was encoded."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels import syntaxes
from asyncstore.prepare.pixels.attributes import RGB, YBR_FULL, YBR_ICT, YBR_RCT
from asyncstore.prepare.pixels.decoders import Decoder, check_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from asyncstore.prepare.pixels.attributes import Image

_LS_BITS, _LS_BY_PIXEL = 16, 2
"""JPEG-LS takes samples of up to 16 bits; we write them pixel by pixel."""
_J2K_BITS, _J2K_RGB, _J2K_OTHER = 24, 1, 0
"""openjpeg's limit, and its colour spaces: the transformation of colours is for the first one."""
_CODESTREAM = 0
_SMALLEST = 32
"""Smaller images fail in openjpeg, which halves them five times, and very small ones in CharLS."""
_DEFLATE_LEVEL = 6
_PALETTE, _FEWEST_LOSSY_BITS = "PALETTE COLOR", 8
"""What is not compressed with losses: indices of colours, and cells so small that they are masks or labels."""
NEAR = 2
"""The greatest difference of a sample that JPEG-LS may make where losses are asked for."""
RATIO = 10
"""The ratio that JPEG 2000 aims at where losses are asked for."""


class Encoder:
    """Encodes the frames of one image: without losses, unless the transfer syntax is one for losses.

    Args:
        image: its attributes; the Photometric Interpretation is that of its native frames.
        transfer_syntax_uid: of the encoded frames.

    Attributes:
        photometric: the Photometric Interpretation of the encoded frames.
        planar: their Planar Configuration; it counts for images of several samples only.

    Raises:
        Unconvertible: images of this kind are not encoded so.
    """

    def __init__(self, image: Image, transfer_syntax_uid: str) -> None:
        self.photometric = image.photometric
        self.planar = int(transfer_syntax_uid == syntaxes.RLE)
        if image.samples > 1 and image.photometric not in (RGB, YBR_FULL):
            raise Unconvertible(f"pixel data in {image.photometric} is not compressed")
        self._is_lossless = transfer_syntax_uid in syntaxes.encodable()
        if transfer_syntax_uid in syntaxes.JPEGS_2000 and image.photometric == RGB:
            self.photometric = YBR_RCT if self._is_lossless else YBR_ICT
        if transfer_syntax_uid in _NEED_BYTES and image.allocated == 1:
            raise Unconvertible("pixel cells of one bit are not compressed so")
        if not self._is_lossless and (image.photometric == _PALETTE or image.stored < _FEWEST_LOSSY_BITS):
            raise Unconvertible(
                f"pixel data in {image.photometric} with {image.stored} bits is not compressed with losses: "
                "its values would become others"
            )
        if transfer_syntax_uid == syntaxes.JPEG_LS and image.is_signed:
            raise Unconvertible("signed pixel data is not compressed with losses by JPEG-LS: it would wrap around")
        if transfer_syntax_uid in syntaxes.JPEGS_LS and image.stored > _LS_BITS:
            raise Unconvertible(f"pixel cells of {image.stored} bits are too large for JPEG-LS")
        if transfer_syntax_uid in syntaxes.JPEGS_2000 and image.stored > _J2K_BITS:
            raise Unconvertible(f"pixel cells of {image.stored} bits are too large for JPEG 2000")
        self._image = image
        self._encode = _ENCODERS[transfer_syntax_uid]
        self._decoder = Decoder(image._replace(photometric=self.photometric, is_planar=False), transfer_syntax_uid)

    def frame(self, cells: NDArray[Any]) -> bytes:
        """A frame, encoded, of even length.

        Raises:
            Unconvertible: the frame cannot be encoded without losses.
        """
        if not self._is_lossless:
            check_range(cells, self._image, "pixel data")  # higher bits, such as overlays, would vanish
        try:
            encoded = self._encode(cells, self._image)
        except (RuntimeError, ValueError) as failure:
            rows, columns = self._image.rows, self._image.columns
            small = f": {rows} rows and {columns} columns may be too few" if min(rows, columns) < _SMALLEST else ""
            raise Unconvertible(f"its pixel data cannot be compressed: {failure}{small}") from failure
        decoded = self._decoder.frame(encoded)
        if self._is_lossless and not np.array_equal(decoded, cells):
            raise Unconvertible("its pixel data cannot be compressed without losses: decoded again, it differs")
        return encoded + b"\0" * (len(encoded) & 1)


def _by_charls(cells: NDArray[Any], image: Image, near: int = 0) -> bytes:
    """JPEG-LS. DCMTK decodes no samples of less than 8 bits, and in cells of 16 bits none of less than 9."""
    import _CharLS

    precision = max(image.stored, 9 if image.bytes_per_sample > 1 else 8)
    size = 1 if precision <= 8 else 2  # noqa: PLR2004
    samples = cells.view(f"<u{image.bytes_per_sample}") & ((1 << precision) - 1)
    if near and precision > image.stored:  # losses must not reach the bit that is only there for DCMTK
        near //= 2
        samples = np.minimum(samples, (1 << image.stored) - 1 - near)
    mode = _LS_BY_PIXEL if image.samples > 1 else 0
    return bytes(
        _CharLS._encode(  # noqa: SLF001 - its package hides no other
            samples.astype(f"<u{size}", copy=False).tobytes(),
            near,
            mode,
            image.rows,
            image.columns,
            image.samples,
            precision,
        )
    )


def _by_openjpeg(cells: NDArray[Any], image: Image, ratio: int | None = None) -> bytes:
    from openjpeg.utils import encode_buffer

    size = 1 if image.stored <= 8 else 2 if image.stored <= 16 else 4  # noqa: PLR2004
    encoded = encode_buffer(
        cells.astype(f"<{'i' if image.is_signed else 'u'}{size}", copy=False).tobytes(),
        image.columns,
        image.rows,
        image.samples,
        image.stored,
        image.is_signed,
        photometric_interpretation=_J2K_RGB if image.photometric == RGB else _J2K_OTHER,
        use_mct=image.photometric == RGB,
        compression_ratios=None if ratio is None else [ratio],
        codec_format=_CODESTREAM,
    )
    return bytes(encoded)


def _by_rle(cells: NDArray[Any], image: Image) -> bytes:
    from rle.rle import encode_frame

    encoded = encode_frame(cells.tobytes(), image.rows, image.columns, image.samples, image.allocated, "<")
    return bytes(encoded)


def _by_zlib(cells: NDArray[Any], image: Image) -> bytes:
    compressor = zlib.compressobj(_DEFLATE_LEVEL, wbits=-zlib.MAX_WBITS)
    return compressor.compress(_native(cells, image)) + compressor.flush()


def _native(cells: NDArray[Any], image: Image) -> bytes:
    if image.allocated == 1:
        return np.packbits(cells.reshape(-1), bitorder="little").tobytes()
    return cells.tobytes()


_ENCODERS: Mapping[str, Callable[[NDArray[Any], Image], bytes]] = {
    syntaxes.JPEG_LS_LOSSLESS: _by_charls,
    syntaxes.JPEG_2000_LOSSLESS: _by_openjpeg,
    syntaxes.JPEG_LS: partial(_by_charls, near=NEAR),
    syntaxes.JPEG_2000: partial(_by_openjpeg, ratio=RATIO),
    syntaxes.RLE: _by_rle,
    syntaxes.DEFLATED_FRAMES: _by_zlib,
    syntaxes.UNCOMPRESSED_FRAMES: _native,
}
_NEED_BYTES = syntaxes.JPEGS_LS | {syntaxes.RLE, syntaxes.JPEG_2000}
