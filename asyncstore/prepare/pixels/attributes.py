"""The image of a data set: what its attributes say about its pixel data (PS3.3 C.7.6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.encoding import Unconvertible

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT = 0x00280100, 0x00280101, 0x00280102
PIXEL_REPRESENTATION = 0x00280103
LOSSY_IMAGE_COMPRESSION, LOSSY_RATIO, LOSSY_METHOD = 0x00282110, 0x00282112, 0x00282114
IMAGE_TYPE = 0x00080008
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
DERIVATION_DESCRIPTION, SOURCE_IMAGE_SEQUENCE = 0x00082111, 0x00082112

_NUMBERS = {
    SAMPLES_PER_PIXEL: "Samples per Pixel",
    ROWS: "Rows",
    COLUMNS: "Columns",
    BITS_ALLOCATED: "Bits Allocated",
    BITS_STORED: "Bits Stored",
    HIGH_BIT: "High Bit",
    PIXEL_REPRESENTATION: "Pixel Representation",
    PLANAR_CONFIGURATION: "Planar Configuration",
}
WANTED = frozenset((*_NUMBERS, PHOTOMETRIC_INTERPRETATION, NUMBER_OF_FRAMES, LOSSY_IMAGE_COMPRESSION))
"""The elements that describe an image."""

_ALLOCATIONS = (1, 8, 16, 32)
RGB, YBR_FULL, YBR_FULL_422 = "RGB", "YBR_FULL", "YBR_FULL_422"
YBR_RCT, YBR_ICT = "YBR_RCT", "YBR_ICT"
_OF_ONE_SAMPLE = frozenset(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"))
_OF_THREE_SAMPLES = frozenset((RGB, YBR_FULL, YBR_FULL_422, YBR_RCT, YBR_ICT))


class Image(NamedTuple):
    """The pixel data of a data set, as its attributes describe it."""

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    is_signed: bool
    photometric: str
    is_planar: bool
    """Whether each frame holds one colour after the other (Planar Configuration 1)."""
    is_lossy: bool
    """Whether Lossy Image Compression says that it was compressed with losses before."""

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of a sample in memory; samples of one bit take one each."""
        return max(self.allocated // 8, 1)

    @property
    def frame_samples(self) -> int:
        """Samples of a frame."""
        return self.rows * self.columns * self.samples

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame in memory."""
        return self.frame_samples * self.bytes_per_sample

    @property
    def native_bytes(self) -> int:
        """Bytes of the native pixel data of all frames, without padding (PS3.5 8.1.1)."""
        return (self.frames * self.frame_samples * self.allocated + 7) // 8


def image_of(values: Mapping[int, bytes]) -> Image:
    """The image that these elements describe, given as they are encoded in little endian.

    Raises:
        Unconvertible: an element is missing or wrong, or it is a kind of image that is not converted.
    """
    numbers = {tag: _number(values, tag) for tag in _NUMBERS}
    samples = _needed(numbers, SAMPLES_PER_PIXEL)
    photometric = values.get(PHOTOMETRIC_INTERPRETATION, b"").rstrip(b" \0").decode("ascii", "replace")
    if photometric not in (_OF_ONE_SAMPLE if samples == 1 else _OF_THREE_SAMPLES if samples == 3 else ()):  # noqa: PLR2004
        raise Unconvertible(f"its Photometric Interpretation {photometric!r} with {samples} samples is not converted")
    allocated, stored = _needed(numbers, BITS_ALLOCATED), _needed(numbers, BITS_STORED)
    if allocated not in _ALLOCATIONS or not 1 <= stored <= allocated:
        raise Unconvertible(f"pixel cells with {stored} of {allocated} bits are not converted")
    if numbers[HIGH_BIT] not in (None, stored - 1):
        raise Unconvertible(f"its High Bit {numbers[HIGH_BIT]} does not fit its {stored} Bits Stored")
    rows, columns = _needed(numbers, ROWS), _needed(numbers, COLUMNS)
    if not rows or not columns:
        raise Unconvertible(f"its image has {rows} rows and {columns} columns")
    return Image(
        rows,
        columns,
        _frames(values.get(NUMBER_OF_FRAMES, b"")),
        samples,
        allocated,
        stored,
        _needed(numbers, PIXEL_REPRESENTATION) == 1,
        photometric,
        samples > 1 and numbers[PLANAR_CONFIGURATION] == 1,
        values.get(LOSSY_IMAGE_COMPRESSION, b"").strip(b" \0") == b"01",
    )


def _number(values: Mapping[int, bytes], tag: int) -> int | None:
    value = values.get(tag, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None  # noqa: PLR2004 - a US


def _needed(numbers: Mapping[int, int | None], tag: int) -> int:
    number = numbers[tag]
    if number is None:
        raise Unconvertible(f"it has pixel data without {_NUMBERS[tag]}, so it cannot be decoded")
    return number


def _frames(value: bytes) -> int:
    text = value.strip(b" \0")
    if not text:
        return 1
    if not text.isdigit() or not int(text):
        raise Unconvertible(f"its Number of Frames {text.decode('ascii', 'replace')!r} is none")
    return int(text)
