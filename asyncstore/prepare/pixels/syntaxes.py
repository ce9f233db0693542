"""Which transfer syntaxes can be decoded and encoded, and which library does it.

This module imports none of the libraries: the main process asks which are installed.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_JPEG = "1.2.840.10008.1.2.4."

JPEG_BASELINE, JPEG_EXTENDED = f"{_JPEG}50", f"{_JPEG}51"
JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = f"{_JPEG}57", f"{_JPEG}70"
JPEG_LS_LOSSLESS, JPEG_LS = f"{_JPEG}80", f"{_JPEG}81"
JPEG_2000_LOSSLESS, JPEG_2000 = f"{_JPEG}90", f"{_JPEG}91"
HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K = f"{_JPEG}201", f"{_JPEG}202", f"{_JPEG}203"
RLE = "1.2.840.10008.1.2.5"
UNCOMPRESSED_FRAMES = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

JPEGS = frozenset((JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1))
"""JPEG (ISO/IEC 10918-1), DCT and lossless."""
JPEGS_LS = frozenset((JPEG_LS_LOSSLESS, JPEG_LS))
JPEGS_2000 = frozenset((JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K))

_NUMPY, _GDCM, _CHARLS, _OPENJPEG, _RLE = "numpy", "gdcm", "_CharLS", "_openjpeg", "rle"
"""Modules of numpy, python-gdcm, pyjpegls, pylibjpeg-openjpeg and pylibjpeg-rle."""

_DECODERS: Mapping[str, str] = {
    **dict.fromkeys(JPEGS, _GDCM),
    **dict.fromkeys(JPEGS_LS, _CHARLS),
    **dict.fromkeys(JPEGS_2000, _OPENJPEG),
    RLE: _RLE,
    UNCOMPRESSED_FRAMES: _NUMPY,
    DEFLATED_FRAMES: _NUMPY,
}
_ENCODERS: Mapping[str, str] = {
    JPEG_LS_LOSSLESS: _CHARLS,
    JPEG_2000_LOSSLESS: _OPENJPEG,
    RLE: _RLE,
    DEFLATED_FRAMES: _NUMPY,
    UNCOMPRESSED_FRAMES: _NUMPY,
}
"""The lossless ones that are written, the preferred ones first."""

_LOSSY_ENCODERS: Mapping[str, str] = {JPEG_LS: _CHARLS, JPEG_2000: _OPENJPEG}


@cache
def decodable() -> frozenset[str]:
    """The transfer syntaxes that can be decoded with what is installed."""
    return frozenset(_with_libraries(_DECODERS))


@cache
def encodable() -> tuple[str, ...]:
    """The transfer syntaxes that can be encoded with what is installed, the preferred ones first."""
    return tuple(_with_libraries(_ENCODERS))


@cache
def encodable_with_losses() -> tuple[str, ...]:
    """The transfer syntaxes that can be encoded with losses, the preferred ones first."""
    return tuple(_with_libraries(_LOSSY_ENCODERS))


def _with_libraries(libraries: Mapping[str, str]) -> list[str]:
    installed = {name for name in {_NUMPY, *libraries.values()} if find_spec(name) is not None}
    return [uid for uid, name in libraries.items() if {_NUMPY, name} <= installed]


KNOWN = frozenset(_DECODERS)
"""The transfer syntaxes that could be decoded if every library were installed."""
