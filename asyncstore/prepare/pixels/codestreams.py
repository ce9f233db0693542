"""Read the headers of codestreams.

JPEG and JPEG-LS (ISO/IEC 10918-1 B, 14495-1 C), JPEG 2000 (15444-1 A), and RLE (PS3.5 G).

Every codestream is read to its end, so one that was cut off is found: decoders fill the rest with grey or zeros.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct, error, unpack_from
from typing import TYPE_CHECKING

import numpy as np

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.encoding import Unconvertible

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_MARKER = 0xFF
"""Every marker begins with it."""
SOF_LOSSLESS, SOF_LS = 0xC3, 0xF7
_FRAMES = frozenset((*range(0xC0, 0xD0), SOF_LS)) - {0xC4, 0xC8, 0xCC}
"""The markers of frames, without tables of Huffman and arithmetic codes and an extension."""
DCT_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers without a segment."""
_RGB_IDS = (b"RGB", b"rgb")
_ADOBE_TRANSFORM = 11
_ADOBE_COLOURS = {0: "RGB", 1: "YBR"}
"""The transform in Adobe's segment, and where it stands."""

_COD, _SOT = 0xFF52, 0xFF90
_SOC_AND_SIZ = b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP"
_IMAGE = Struct(">HHIIIIIIIIH")
"""The beginning of the SIZ segment: length, capabilities, size, offset, tile size, tile offset, components."""

_ALIGNMENT = 8
"""Bytes: some devices align frames in memory and send what is there. DCMTK's dcmcjpls pads with any byte."""

DAMAGED = "its pixel data is damaged"
CUT_OFF = f"{DAMAGED}: a codestream is cut off"
_ANOTHER = "a codestream of its pixel data has another one behind it, but each frame needs its own"


class Codestream(NamedTuple):
    """What the header of a codestream says.

    Attributes:
        components: how many there are.
        precision: bits of a sample.
        is_signed: whether samples are signed; only JPEG 2000 knows that.
        process: the second byte of JPEG's marker of the frame; 0: not JPEG.
        colour: the colour space that the codestream names, ``RGB`` or ``YBR``; ``None``: it does not.
        is_transformed: whether the components were transformed when they were compressed (JPEG 2000), so a decoder
            gives the colours back.
        is_subsampled: whether components have different sizes.
        is_lossless: whether its compression loses nothing, as far as the header says.
        data: the codestream itself, without what is around it.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool
    process: int
    colour: str | None
    is_transformed: bool
    is_subsampled: bool
    is_lossless: bool
    data: bytes


def read_jpeg(data: bytes) -> Codestream:
    """Read a codestream of JPEG or JPEG-LS.

    Raises:
        Unconvertible: it is damaged, cut off, or contradicts itself.
    """
    try:
        return _jpeg(data)
    except (error, IndexError) as damage:
        raise Unconvertible(CUT_OFF) from damage


def _jpeg(data: bytes) -> Codestream:
    if not data.startswith(_SOI):
        raise Unconvertible(f"{DAMAGED}: a frame is no JPEG codestream")
    colours: set[str] = set()
    frame: tuple[int, bytes] | None = None
    near = scan = 0
    for marker, segment, scan in _segments(data):  # noqa: B007 - the last one is where the first scan begins
        if marker == _APP0 and segment.startswith(b"JFIF\0"):
            if segment[5] != 1:  # GDCM aborts the process
                raise Unconvertible(f"its JPEG codestream is of JFIF {segment[5]}, which is not known")
            colours.add("YBR")
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) > _ADOBE_TRANSFORM:
            colours.add(_ADOBE_COLOURS.get(segment[_ADOBE_TRANSFORM], "another one"))
        elif marker == _SOS:
            near = segment[-3]
        elif marker in _FRAMES:
            if frame is not None:
                raise Unconvertible("its JPEG codestreams are hierarchical, which is not converted")
            frame = marker, segment
    if frame is None:
        raise Unconvertible(f"{DAMAGED}: a JPEG codestream has no frame")
    return _of_jpeg_frame(*frame, colours, _to_its_end(data, scan), is_near=frame[0] == SOF_LS and bool(near))


def _to_its_end(data: bytes, scan: int) -> bytes:
    """A codestream of JPEG without the padding behind it; its first scan is at ``scan``."""
    end = _first_end(data, scan)
    behind = data[end:].lstrip(b"\0")
    if behind.startswith(_SOI):
        raise Unconvertible(_ANOTHER)
    if len(behind.strip(b"\0\xff")) >= _ALIGNMENT:
        raise Unconvertible(f"{DAMAGED}: something stands behind the end of a codestream")
    return data[:end]


def _first_end(data: bytes, scan: int) -> int:
    """Where the codestream ends: scans do not contain the marker. ``bytes.find`` takes eight times as long."""
    encoded = np.frombuffer(data, np.uint8)[scan:]
    is_marker = (encoded[:-1] == _EOI[0]) & (encoded[1:] == _EOI[1])
    first = int(is_marker.argmax()) if is_marker.size else 0
    if not is_marker.size or not is_marker[first]:
        raise Unconvertible(CUT_OFF)
    return scan + first + len(_EOI)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The markers with segments, up to the first scan, and where each segment ends."""
    position, marker = len(_SOI), 0
    while marker != _SOS:
        while data[position] == data[position + 1] == _MARKER:  # fill bytes (B.1.1.2)
            position += 1
        if data[position] != _MARKER or not data[position + 1]:
            raise Unconvertible(f"{DAMAGED}: something else stands where a marker of JPEG should be")
        marker = data[position + 1]
        position += 2
        if marker in _ALONE:
            continue
        length: int = unpack_from(">H", data, position)[0]
        segment = data[position + 2 : position + length]
        if len(segment) != length - 2:  # the length counts itself
            raise Unconvertible(CUT_OFF)
        position += length
        yield marker, segment, position


def _of_jpeg_frame(process: int, frame: bytes, colours: set[str], data: bytes, *, is_near: bool) -> Codestream:
    precision, rows, columns, components = unpack_from(">BHHB", frame)
    fields = frame[6 : 6 + 3 * components]
    ids, sampling = fields[::3], set(fields[1::3])
    if components == 3 and ids in _RGB_IDS:  # noqa: PLR2004
        colours.add("RGB")
    if len(sampling) > 1:
        colours.add("YBR")
    if components != 3:  # noqa: PLR2004 - JFIF with one component is grey
        colours = set()
    if len(colours) > 1 or "another one" in colours:
        raise Unconvertible("its JPEG codestream contradicts itself about its colours")
    is_lossless = process in (SOF_LOSSLESS, SOF_LS) and not is_near
    colour = colours.pop() if colours else None
    return Codestream(
        rows, columns, components, precision, False, process, colour, False, len(sampling) > 1, is_lossless, data
    )


def read_jpeg_2000(data: bytes) -> Codestream:
    """Read a codestream of JPEG 2000 or HTJ2K.

    Raises:
        Unconvertible: it is damaged, cut off, or its components are of different kinds.
    """
    if data.startswith(_JP2):
        start = data.find(_SOC_AND_SIZ)
        data = data[start:] if start > 0 else b""  # PS3.5 A.4.4 allows no boxes; what they say is not used
    if not data.startswith(_SOC_AND_SIZ):
        raise Unconvertible(f"{DAMAGED}: a frame is no JPEG 2000 codestream")
    try:
        return _jpeg_2000(data)
    except (error, IndexError) as damage:
        raise Unconvertible(CUT_OFF) from damage


def _jpeg_2000(data: bytes) -> Codestream:
    length, _, width, height, left, top, tile_width, tile_height, tiles_left, tiles_top, components = (
        _IMAGE.unpack_from(data, 4)
    )
    if length != 38 + 3 * components:
        raise Unconvertible(f"{DAMAGED}: its JPEG 2000 header has another length than its components need")
    kinds = {data[42 + 3 * number : 45 + 3 * number] for number in range(components)}
    kind = kinds.pop() if len(kinds) == 1 else b""
    if kind[1:] != b"\1\1":
        raise Unconvertible("the components of its JPEG 2000 codestream differ in size or precision")
    is_transformed, is_reversible = False, True
    position = 4 + length
    while (marker := _word(data, position)) != _SOT:
        if marker == _COD:
            is_transformed = bool(data[position + 8])
            is_reversible = data[position + 13] == 1
        position += 2 + _word(data, position + 2)
    if width <= left or height <= top:
        raise Unconvertible(f"{DAMAGED}: its JPEG 2000 image has no size")
    if not tile_width or not tile_height:
        raise Unconvertible(f"{DAMAGED}: its JPEG 2000 tiles have no size")
    across, down = -(-(width - tiles_left) // tile_width), -(-(height - tiles_top) // tile_height)
    _check_tiles(data, position, across * down)
    if any(_EOI + padding + _SOC_AND_SIZ in data for padding in (b"", b"\0")):
        raise Unconvertible(_ANOTHER)
    return Codestream(
        height - top,
        width - left,
        components,
        (kind[0] & 0x7F) + 1,
        bool(kind[0] & 0x80),
        0,
        None,
        is_transformed,
        False,
        is_reversible,
        data,
    )


def _check_tiles(data: bytes, position: int, tiles: int) -> None:
    """Check that every tile is there, to its end."""
    seen: dict[int, int] = {}
    asked: dict[int, int] = {}
    while position + 12 <= len(data) and _word(data, position) == _SOT:
        tile = _word(data, position + 4)
        seen[tile] = seen.get(tile, 0) + 1
        asked[tile] = max(asked.get(tile, 0), data[position + 11])  # its number of parts; 0: not told here
        part: int = unpack_from(">I", data, position + 6)[0]
        if not part:  # the last part reaches to the end of the codestream
            position = len(data)
            if not data.rstrip(b"\0\xff").endswith(_EOI):
                raise Unconvertible(CUT_OFF)
            break
        position += part
    if position > len(data) or len(seen) != tiles or any(seen[tile] < parts for tile, parts in asked.items()):
        raise Unconvertible(CUT_OFF)


def _word(data: bytes, position: int) -> int:
    word: int = unpack_from(">H", data, position)[0]
    return word


def rle_segments(data: bytes, segments: int) -> list[bytes]:
    """The segments of an RLE frame that must have so many, still encoded.

    Raises:
        Unconvertible: it is damaged.
    """
    if len(data) < 64:  # noqa: PLR2004 - the header (PS3.5 G.5)
        raise Unconvertible(f"{DAMAGED}: an RLE frame is cut off")
    count, *offsets = unpack_from("<16I", data)
    if count != segments:
        raise Unconvertible(f"its RLE frames have {count} segments, but its attributes ask for {segments}")
    used = offsets[:count]
    if used != sorted(set(used)) or used[0] < 64 or used[-1] >= len(data):  # noqa: PLR2004
        raise Unconvertible(f"{DAMAGED}: the segments of an RLE frame are out of place")
    return [data[start:stop] for start, stop in pairwise([*used, len(data)])]
