"""Native pixel data (PS3.5 8.1 and 8.2): frames from it, and frames into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.attributes import YBR_FULL_422

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from asyncstore.prepare.pixels.attributes import Image

_BYTE = 8
_WORD = 2


def native_frames(data: memoryview, image: Image, *, is_swapped: bool) -> Iterator[NDArray[Any]]:
    """The frames of native pixel data: arrays of rows, columns and samples, little endian.

    Args:
        data: the pixel data.
        image: its attributes.
        is_swapped: whether it is OW in big endian: then words of 16 bits are swapped, whatever they hold (PS3.5 7.3).

    Raises:
        Unconvertible: it has another length than its attributes say, or its chroma is subsampled.
    """
    if image.photometric == YBR_FULL_422:
        raise Unconvertible("its native pixel data has subsampled colours, which are not compressed")
    expected = image.native_bytes
    if not expected <= len(data) <= expected + (expected & 1):
        raise Unconvertible(f"its pixel data has {len(data)} bytes, but its attributes ask for {expected}")
    if is_swapped:
        check_byte_order(image)
        data = memoryview(np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes())
    size = image.bytes_per_sample
    for number in range(image.frames):
        if image.allocated == 1:
            yield _bits(data, number * image.frame_samples, image)
            continue
        start = number * image.frame_bytes
        raw = np.frombuffer(data[start : start + image.frame_bytes], np.uint8)
        cells = raw.view(f"<{'i' if image.is_signed else 'u'}{size}")
        if image.is_planar:
            cells = cells.reshape(image.samples, -1).transpose()
        yield np.ascontiguousarray(cells).reshape(image.rows, image.columns, image.samples)


def _bits(data: memoryview, start: int, image: Image) -> NDArray[Any]:
    """A frame of cells of one bit, which may begin within a byte."""
    first, skipped = divmod(start, _BYTE)
    stop = -(-(start + image.frame_samples) // _BYTE)
    bits = np.unpackbits(np.frombuffer(data[first:stop], np.uint8), bitorder="little")
    return bits[skipped : skipped + image.frame_samples].reshape(image.rows, image.columns, image.samples)


def check_byte_order(image: Image) -> None:
    """Check that readers agree about these pixel cells in big endian.

    Raises:
        Unconvertible: some swap the two words of a cell of 32 bits, and some do not.
    """
    if image.bytes_per_sample > _WORD:
        raise Unconvertible("pixel cells of 32 bits are not converted to or from big endian: readers differ")


def native_chunks(frames: Iterable[NDArray[Any]], image: Image, *, is_little: bool) -> Iterator[bytes | memoryview]:
    """The bytes of native pixel data, padded to an even length, a frame at a time."""
    if not is_little:
        check_byte_order(image)
    if image.allocated == 1:
        yield from _packed(frames)
    else:
        for frame in frames:
            if is_little or image.bytes_per_sample == 1:
                yield np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data
            else:
                yield frame.view("<u2").byteswap().tobytes()
    yield b"\0"[: image.native_bytes & 1]


def _packed(frames: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    """Cells of one bit, eight in a byte, across frames."""
    rest: NDArray[Any] = np.empty(0, np.uint8)
    for frame in frames:
        bits = np.concatenate((rest, frame.reshape(-1)))
        whole = len(bits) // _BYTE * _BYTE
        rest = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    yield np.packbits(rest, bitorder="little").tobytes()
