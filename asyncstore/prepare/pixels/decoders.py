"""Decode one frame after another to pixel cells, and check each against its attributes."""

from __future__ import annotations

import ctypes
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels import syntaxes
from asyncstore.prepare.pixels.codestreams import DAMAGED, SOF_LS, read_jpeg, read_jpeg_2000, rle_segments
from asyncstore.prepare.pixels.colour import decoded_photometric, to_rgb
from asyncstore.prepare.pixels.libjpeg import no_damage
from asyncstore.prepare.pixels.memory import keep_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from asyncstore.prepare.pixels.attributes import Image
    from asyncstore.prepare.pixels.codestreams import Codestream

_PLANES_APART = 0
"""CharLS's mode of interleaving for an image whose components are scans of their own."""


class Decoder:
    """Decodes the frames of one image.

    Args:
        image: its attributes.
        transfer_syntax_uid: of its frames.

    Attributes:
        photometric: the Photometric Interpretation of decoded frames; known after the first one.
        is_lossless: whether no frame so far was compressed with losses, as far as codestreams say.
    """

    def __init__(self, image: Image, transfer_syntax_uid: str) -> None:
        keep_memory()
        self._image = image
        self.photometric = image.photometric
        self.is_lossless = True
        self._read: Callable[[bytes], Codestream] | None = None
        uid = transfer_syntax_uid
        if uid in syntaxes.JPEGS:
            self._read, self._decode = read_jpeg, _by_gdcm
        elif uid in syntaxes.JPEGS_LS:
            self._read, self._decode = read_jpeg, _by_charls
        elif uid in syntaxes.JPEGS_2000:
            self._read, self._decode = read_jpeg_2000, _by_openjpeg
        else:
            self._plain = _PLAIN[uid]

    def frame(self, data: bytes) -> NDArray[Any]:
        """The pixel cells of a frame: an array of rows, columns and samples.

        Raises:
            Unconvertible: the frame is damaged, or contradicts its attributes.
        """
        image = self._image
        if self._read is None:
            self.photometric, _ = decoded_photometric(image, None)
            return _shaped(self._plain(data, image), image)
        stream = self._read(data)
        _check(image, stream)
        _check_near(image, stream)
        self.is_lossless &= stream.is_lossless
        self.photometric, is_ycc = decoded_photometric(image, stream)
        samples = _samples(self._decode(stream), stream)
        if is_ycc:
            to_rgb(samples)
        return _cells(samples, stream, image)


def _check(image: Image, stream: Codestream) -> None:
    """Compare a codestream with its attributes."""
    if (stream.rows, stream.columns) != (image.rows, image.columns):
        raise Unconvertible(
            f"its codestream has {stream.rows} rows and {stream.columns} columns, "
            f"but its attributes say {image.rows} and {image.columns}"
        )
    if stream.components != image.samples:
        raise Unconvertible(
            f"its codestream has {stream.components} components, but Samples per Pixel says {image.samples}"
        )
    if stream.precision > image.allocated:
        raise Unconvertible(f"its codestream has {stream.precision} bits, but Bits Allocated says {image.allocated}")
    if stream.precision < image.stored and image.is_signed and not stream.is_signed:
        raise Unconvertible(
            f"its codestream has {stream.precision} bits, but its {image.stored} Bits Stored are signed"
        )


def _check_near(image: Image, stream: Codestream) -> None:
    """Check that losses of JPEG-LS cannot turn the sign of a value (PS3.5 8.2.3)."""
    if stream.process == SOF_LS and image.is_signed and not stream.is_lossless:
        raise Unconvertible("its near-lossless JPEG-LS is of signed values, whose signs may be lost")


def _samples(decoded: NDArray[np.uint8], stream: Codestream) -> NDArray[Any]:
    """The decoded bytes as an array of rows, columns and components."""
    kind = f"<{'i' if stream.is_signed else 'u'}{_container(stream)}"
    shape = stream.rows, stream.columns, stream.components
    expected = stream.rows * stream.columns * stream.components * _container(stream)
    if decoded.nbytes != expected:
        raise Unconvertible(f"{DAMAGED}: a frame was decoded to {decoded.nbytes} bytes instead of {expected}")
    return decoded.view(kind).reshape(shape)


def _container(stream: Codestream) -> int:
    """Bytes of a sample in memory."""
    return 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4  # noqa: PLR2004


def _cells(samples: NDArray[Any], stream: Codestream, image: Image) -> NDArray[Any]:
    """Samples as pixel cells of the attributes' size and sign.

    Unsigned samples are the bits of a cell, also where the attributes call them signed: then the highest one is the
    sign. Signed samples are numbers.
    """
    kind = f"<{'i' if image.is_signed else 'u'}{image.bytes_per_sample}"
    if image.is_signed and not stream.is_signed:
        spare = 8 * image.bytes_per_sample - stream.precision
        cells = samples.astype(f"<u{image.bytes_per_sample}", copy=False)
        cells = (cells << spare).view(kind) >> spare if spare else cells.view(kind)
    elif stream.is_signed and not image.is_signed:
        if samples.min() < 0:
            raise Unconvertible("its codestream has negative values, but its Pixel Representation is unsigned")
        cells = samples.astype(kind)
    else:
        cells = samples.astype(kind, copy=False)
    is_whole_cell = stream.is_lossless and stream.precision == image.allocated  # with overlays in its high bits, say
    if stream.precision > image.stored and not is_whole_cell:
        check_range(cells, image)  # readers would cut off the high bits of others
    return cells


def check_range(cells: NDArray[Any], image: Image, what: str = "codestream") -> None:
    """Check that values fit into Bits Stored.

    Raises:
        Unconvertible: ``what`` holds others.
    """
    values = 1 << image.stored
    low, high = (-values // 2, values // 2 - 1) if image.is_signed else (0, values - 1)
    if cells.min() < low or cells.max() > high:
        raise Unconvertible(f"its {what} has values that do not fit into its {image.stored} Bits Stored")


def _by_gdcm(stream: Codestream) -> NDArray[np.uint8]:
    """Decode JPEG. Nothing is said about the attributes: the codec reads the codestream, and changes no colours."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream.data + b"\0"[: len(stream.data) & 1])
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    encoded, decoded = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010)), gdcm.DataElement()
    encoded.SetValue(fragments.__ref__())
    codec = gdcm.JPEGCodec()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((stream.columns, stream.rows, 1))
    codec.SetPlanarConfiguration(0)
    kind = gdcm.PhotometricInterpretation.MONOCHROME2 if stream.components == 1 else gdcm.PhotometricInterpretation.RGB
    codec.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    bits = 8 * _container(stream)
    stored = max(stream.precision, 8)  # GDCM aborts the process with fewer
    codec.SetPixelFormat(gdcm.PixelFormat(stream.components, bits, stored, stored - 1, 0))
    with no_damage():
        value = decoded.GetByteValue() if codec.Decode(encoded, decoded) else None
    if value is None or not (length := int(str(value.GetLength()))):
        raise Unconvertible(f"{DAMAGED}: a JPEG codestream cannot be decoded")
    expected = stream.rows * stream.columns * stream.components * _container(stream)
    memory: Any = (ctypes.c_ubyte * length).from_address(int(value.GetVoidPointer()))
    memory.owner = decoded  # the memory is the element's: it lives as long as the array
    whole: NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
    return whole[:-1] if length == expected + 1 and expected & 1 else whole


def _by_charls(stream: Codestream) -> NDArray[np.uint8]:
    import _CharLS

    try:
        header = _CharLS.read_header(stream.data)
        decoded = np.frombuffer(_CharLS._decode(stream.data), np.uint8)  # noqa: SLF001 - its package hides no other
    except (RuntimeError, ValueError) as failure:
        raise Unconvertible(f"{DAMAGED}: a JPEG-LS codestream cannot be decoded") from failure
    if stream.components > 1 and header["interleave_mode"] == _PLANES_APART:
        return _interleaved(decoded, stream.components, stream.rows, stream.columns, _container(stream))
    return decoded


def _by_openjpeg(stream: Codestream) -> NDArray[np.uint8]:
    import _openjpeg

    try:
        code, decoded = _openjpeg.decode(BytesIO(stream.data), 0, as_array=True)
    except RuntimeError as failure:
        raise Unconvertible(f"its pixel data cannot be decoded: {failure}") from failure
    if code:
        raise Unconvertible(f"{DAMAGED}: a JPEG 2000 codestream cannot be decoded")
    return np.asarray(decoded, np.uint8)


def _by_rle(data: bytes, image: Image) -> NDArray[np.uint8]:
    from rle.rle import decode_segment

    if image.allocated == 1:
        raise Unconvertible("pixel cells of one bit in RLE are not converted: writers pack them in different ways")
    size = image.rows * image.columns
    cells = np.empty((size, image.samples, image.bytes_per_sample), np.uint8)
    for number, segment in enumerate(rle_segments(data, image.samples * image.bytes_per_sample)):
        try:
            decoded = decode_segment(segment)
        except ValueError as failure:
            raise Unconvertible(f"{DAMAGED}: an RLE frame cannot be decoded") from failure
        excess = len(decoded) - size
        if excess < 0 or (
            excess and (excess >= image.columns or any(decoded[size:]))
        ):  # zeros may pad it (PS3.5 G.3.2)
            raise Unconvertible(f"{DAMAGED}: an RLE segment was decoded to {len(decoded)} bytes instead of {size}")
        sample, byte = divmod(number, image.bytes_per_sample)
        cells[:, sample, -1 - byte] = np.frombuffer(decoded, np.uint8, size)  # the first segment has the highest bytes
    return cells.reshape(-1)


def _by_zlib(data: bytes, image: Image) -> NDArray[np.uint8]:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    expected = native_frame_bytes(image)
    try:
        whole = decompressor.decompress(data, expected + 2)
    except zlib.error as failure:
        raise Unconvertible(f"{DAMAGED}: a deflated frame cannot be inflated") from failure
    if not decompressor.eof:
        raise Unconvertible(f"{DAMAGED}: a deflated frame is too long or cut off")
    if decompressor.unused_data not in (b"", b"\0"):
        raise Unconvertible(f"{DAMAGED}: something stands behind a deflated frame")
    return _of_native_frame(whole, image)


def _of_native_frame(data: bytes, image: Image) -> NDArray[np.uint8]:
    """A frame that is native but for its place in a fragment."""
    expected = native_frame_bytes(image)
    if len(data) not in (expected, expected + (expected & 1)):
        raise Unconvertible(f"{DAMAGED}: a frame has {len(data)} bytes instead of {expected}")
    samples = np.frombuffer(data, np.uint8, expected)
    if image.allocated == 1:
        return np.unpackbits(samples, count=image.frame_samples, bitorder="little")
    if image.is_planar:
        return _interleaved(samples, image.samples, image.rows, image.columns, image.bytes_per_sample)
    return samples


def native_frame_bytes(image: Image) -> int:
    """Bytes of a native frame that begins with a byte of its own."""
    return (image.frame_samples * image.allocated + 7) // 8


def _interleaved(planes: NDArray[np.uint8], samples: int, rows: int, columns: int, size: int) -> NDArray[np.uint8]:
    """Planes of samples of ``size`` bytes as pixels."""
    apart = planes.reshape(samples, rows * columns, size)
    return np.ascontiguousarray(apart.transpose(1, 0, 2)).reshape(-1)


def _shaped(samples: NDArray[np.uint8], image: Image) -> NDArray[Any]:
    """Bytes of pixel cells as an array of them."""
    if samples.nbytes != image.frame_bytes:
        raise Unconvertible(f"{DAMAGED}: a frame was decoded to {samples.nbytes} bytes instead of {image.frame_bytes}")
    kind = f"<{'i' if image.is_signed else 'u'}{image.bytes_per_sample}"
    return samples.view(kind).reshape(image.rows, image.columns, image.samples)


_PLAIN = {
    syntaxes.RLE: _by_rle,
    syntaxes.DEFLATED_FRAMES: _by_zlib,
    syntaxes.UNCOMPRESSED_FRAMES: _of_native_frame,
}
