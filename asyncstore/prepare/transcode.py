"""Transcode a data set: its pixel data into another transfer syntax, everything else re-encoded to fit.

Rules:

1. A data set without pixel data is not transcoded: it is re-encoded only.
2. Attributes of the image change with its pixel data: Photometric Interpretation, Planar Configuration, and the tables
   of offsets. Lossy Image Compression stays: what was lost before stays lost.
3. Sizes are checked before anything is decoded. A data set that grows without measure is a bomb.
4. An icon image with encapsulated pixel data becomes native, also where the target is compressed (PS3.5 A.4 allows
   both). A native one stays as it is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN
from asyncstore.prepare.elements import (
    ITEM,
    PIXEL_DATA,
    SEQUENCE_END,
    UNDEFINED,
    inflated_limit,
    item_header,
    tag_bytes,
)
from asyncstore.prepare.encoding import ENCODINGS, Unconvertible, deflated, encoding_of
from asyncstore.prepare.pixels import attributes, syntaxes
from asyncstore.prepare.pixels.frames import frames_of
from asyncstore.prepare.reencode import NotCompressed, reencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from asyncstore.prepare.elements import ByteOrder
    from asyncstore.prepare.encoding import Encoding
    from asyncstore.prepare.pixels.allowance import Allowance
    from asyncstore.prepare.pixels.attributes import Image
    from asyncstore.prepare.pixels.decoders import Decoder as Decodes
    from asyncstore.prepare.reencode import Changes
    from asyncstore.prepare.result import Chunk
    from asyncstore.prepare.splitting import Split

_NEUTRAL = ENCODINGS[EXPLICIT_VR_LITTLE_ENDIAN]
_LARGEST_VALUE = UNDEFINED - 1
"""The longest value of an element, in bytes (PS3.5 7.1.1)."""
_FRAME_COPIES = 8
"""Memory that a frame takes while it is decoded or encoded, in its own size: openjpeg has 32 bits for each sample."""


def transcode(
    parts: Split, source_uid: str, target_uid: str, changes: Changes, allowance: Allowance
) -> Iterator[Chunk]:
    """The data set in the transfer syntax ``target_uid``, in consecutive buffers.

    The buffers are made while they are taken: errors come then as well.

    Raises:
        NotCompressed: the target is for compressed pixel data, and no codec for it is installed, or it would lose
            something and must not.
        Unconvertible: it is not converted.
    """
    target = encoding_of(target_uid)
    image = attributes.image_of(parts.head.small_values(attributes.WANTED))
    frames = _frames(parts, image, source_uid, allowance)
    if target.is_compressed:
        return _encapsulated(parts, frames, target_uid, changes, may_lose=allowance.may_lose)
    chunks = _native(parts, frames, target, changes)
    return iter(deflated(chunks, changes.deflate_level)) if target.is_deflated else chunks


class Icons:
    """Decompresses the icon images of a data set.

    Args:
        source_uid: the transfer syntax of the data set.
        changes: how it is written.
        allowance: of all its icon images together.
    """

    def __init__(self, source_uid: str, changes: Changes, allowance: Allowance) -> None:
        self._source_uid = source_uid
        self._changes = changes
        self._allowance = allowance
        self._left = allowance.frame

    def native(self, parts: Split) -> bytes:
        """The elements of an icon image whose pixel data is encapsulated, with native pixel data.

        They are explicit VR little endian. Whether it was compressed with losses is not told: the attributes of an icon
        image have no place for that.

        Raises:
            Unconvertible: it cannot be decompressed.
        """
        try:
            return self._native(parts)
        except Unconvertible as reason:
            raise Unconvertible(f"its icon image cannot be decompressed: {reason}") from reason

    def _native(self, parts: Split) -> bytes:
        if not encoding_of(self._source_uid).is_compressed:
            raise Unconvertible("its transfer syntax is one for native pixel data")
        image = attributes.image_of(parts.head.small_values(attributes.WANTED))
        if image.frames != 1 or image.bytes_per_sample > _ICON_SAMPLE:
            raise Unconvertible(f"it has {image.frames} frames with samples of {image.allocated} bits")
        frames = _frames(parts, image, self._source_uid, self._allowance._replace(frame=self._left))
        frames.image = frames.image._replace(is_lossy=False)
        self._left -= image.frame_bytes
        return b"".join(_native(parts, frames, _NEUTRAL, self._changes))


_ICON_SAMPLE = 2
"""Bytes: readers differ about larger samples in big endian."""


def _frames(parts: Split, image: Image, source_uid: str, allowance: Allowance) -> _Frames:
    """The frames of a data set or of an item."""
    if image.frame_bytes > allowance.frame:
        raise Unconvertible(f"a frame of it has {image.frame_bytes} bytes, more than the {allowance.frame} allowed")
    allowance.memory(_FRAME_COPIES * image.frame_bytes)
    return _Frames(parts, image, encoding_of(source_uid), source_uid, allowance)


class _Frames:
    """The frames of a data set, decoded one after another.

    Attributes:
        image: the image of the decoded frames.
    """

    def __init__(self, parts: Split, image: Image, source: Encoding, source_uid: str, allowance: Allowance) -> None:
        from asyncstore.prepare.pixels.decoders import Decoder  # it imports numpy
        from asyncstore.prepare.pixels.native import native_frames

        self.image = image
        self._before_each = partial(allowance.memory, _FRAME_COPIES * image.frame_bytes)
        if parts.native is not None:
            self._iterator = native_frames(parts.native, image, is_swapped=parts.is_of_words and not source.is_little)
            self.image = image._replace(is_planar=False)
            return
        if parts.fragments is None or source_uid not in syntaxes.KNOWN:
            raise Unconvertible("its pixel data would have to be decompressed, and no codec for it is known")
        if source_uid not in syntaxes.decodable():
            raise Unconvertible(f"its pixel data would have to be decompressed, {NO_CODEC}")
        numbers = frames_of(parts.fragments, image.frames, has_markers=source_uid in _WITH_MARKERS)
        size = sum(length for _, length in parts.fragments.places)
        if image.native_bytes > inflated_limit(size):
            raise Unconvertible(f"its {size} bytes of pixel data claim to be {image.native_bytes}, decompressed")
        decoder = Decoder(image, source_uid)
        fragments = parts.fragments
        self._first: NDArray[Any] | None = decoder.frame(fragments.joined(numbers[0]))
        is_lossy = image.is_lossy or not decoder.is_lossless
        self.image = image._replace(photometric=decoder.photometric, is_planar=False, is_lossy=is_lossy)
        self._iterator = self._decoded(decoder, numbers[1:])
        self._fragments = fragments

    def _decoded(self, decoder: Decodes, numbers: list[range]) -> Iterator[NDArray[Any]]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        del first
        for number in numbers:
            frame = decoder.frame(self._fragments.joined(number))
            if decoder.photometric != self.image.photometric:
                raise Unconvertible("its frames are of different colour spaces")
            yield frame

    def __iter__(self) -> Iterator[NDArray[Any]]:
        self._before_each()
        for frame in self._iterator:
            yield frame
            self._before_each()


NO_CODEC = "for which no codec is installed: install asyncstore with its extra codecs"
_WITH_MARKERS = syntaxes.JPEGS | syntaxes.JPEGS_LS | syntaxes.JPEGS_2000


def _native(parts: Split, frames: _Frames, target: Encoding, changes: Changes) -> Iterator[Chunk]:
    from asyncstore.prepare.pixels.native import native_chunks  # it imports numpy

    image = frames.image
    length = image.native_bytes + (image.native_bytes & 1)
    if length > _LARGEST_VALUE:
        raise Unconvertible(f"decompressed, its pixel data has {length} bytes, more than an element can hold")
    head, tail = _around(parts, image, target, changes)
    head += _pixel_header(target, length, is_of_words=image.allocated > 8)  # noqa: PLR2004
    pixels = native_chunks(frames, image, is_little=target.is_little)
    return _joined(head, pixels, tail)


def _encapsulated(
    parts: Split, frames: _Frames, target_uid: str, changes: Changes, *, may_lose: bool
) -> Iterator[Chunk]:
    is_lossy = may_lose and target_uid in syntaxes.encodable_with_losses()
    if not is_lossy and target_uid not in syntaxes.encodable():
        raise NotCompressed
    from asyncstore.prepare.pixels.encoders import Encoder  # it imports numpy

    encoder = Encoder(frames.image, target_uid)
    image = frames.image._replace(photometric=encoder.photometric, is_planar=bool(encoder.planar))
    target = encoding_of(target_uid)
    encoded: Iterable[bytes] = map(encoder.frame, frames)
    losses = None
    if is_lossy:  # the ratio stands before the pixel data
        from asyncstore.prepare.lossy import check_may_lose, lossy_values

        check_may_lose(parts.head)
        encoded = list(encoded)
        losses = lossy_values(parts.head, target_uid, image.native_bytes, sum(map(len, encoded)))
    head, tail = _around(parts, image, target, changes, losses)
    head += _pixel_header(target, UNDEFINED, is_of_words=False) + item_header(ITEM, 0)

    def pixels() -> Iterator[Chunk]:
        for frame in encoded:
            yield item_header(ITEM, len(frame))
            yield frame
        yield item_header(SEQUENCE_END, 0)

    return _joined(head, pixels(), tail)


def _around(
    parts: Split,
    image: Image,
    target: Encoding,
    changes: Changes,
    others: dict[int, tuple[bytes, bytes]] | None = None,
) -> tuple[bytes, bytes]:
    """The elements before and behind the pixel data, changed to describe ``image``; ``others`` change as well."""
    values = {attributes.PHOTOMETRIC_INTERPRETATION: (b"CS", image.photometric.encode())} | (others or {})
    if image.is_lossy:
        values[attributes.LOSSY_IMAGE_COMPRESSION] = b"CS", b"01"
    if image.samples > 1:
        values[attributes.PLANAR_CONFIGURATION] = b"US", int(image.is_planar).to_bytes(2, "little")
    head, tail = parts.head.with_values(values), parts.tail
    plain = target._replace(is_deflated=False, is_compressed=False)
    if plain == _NEUTRAL:
        return head, tail
    return tuple(b"".join(reencode(part, _NEUTRAL, plain, changes)) for part in (head, tail))  # type: ignore[return-value]


def _pixel_header(target: Encoding, length: int, *, is_of_words: bool) -> bytes:
    """The header of pixel data (PS3.5 A.1 to A.4). Cells of up to 8 bits are OB: they have no byte order."""
    order: ByteOrder = "little" if target.is_little else "big"
    vr = b"" if target.is_implicit else b"OW\0\0" if is_of_words else b"OB\0\0"
    return tag_bytes(PIXEL_DATA, order) + vr + length.to_bytes(4, order)


def _joined(head: bytes, pixels: Iterator[Chunk], tail: bytes) -> Iterator[Chunk]:
    yield head
    yield from pixels
    if tail:
        yield tail
