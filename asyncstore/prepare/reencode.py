"""A data set in another encoding (PS3.5 7 and A.1 to A.5): its elements copied one by one, their values untouched.

Rules:

1. Only what the encoding demands is changed: headers, the byte order of numbers, the lengths of sequences. Texts are
   never decoded, so what was stored with the wrong character set arrives as it was.
2. Where the source names no VRs the data dictionary does; what it does not know is UN (PS3.5 6.2.2).
3. Group lengths are left out: they are retired, and would be wrong (PS3.5 7.2).
4. Sequences and items keep their kind of length, defined or not; compressed pixel data is copied as it is. What has
   no pixel data goes into transfer syntaxes for compressed pixel data too; what has is :class:`NotCompressed`.
5. Large values are slices of the source in the result: nothing is joined here.
6. What cannot be followed to its end is :class:`DamagedDataSet`, never a guess.
"""

from __future__ import annotations

import array
import zlib
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.prepare.elements import (
    DEFLATED,
    DELIMITERS,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_HEADER,
    SHORT_VRS,
    UNDEFINED,
    inflated_limit,
    tag_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Chunk = bytes | memoryview

_PIXEL_REPRESENTATION = 0x00280103
_SHORT_LENGTH_LIMIT = 0xFFFF

YOUNG_VRS = frozenset(vr.encode() for vr in ["OD", "OF", "OL", "OV", "SV", "UC", "UN", "UR", "UT", "UV"])
"""VRs that the standard of 1993 did not have: receivers as old as that take them for damage."""

_WORDS: Mapping[bytes, str] = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), "H"),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), "I"),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), "Q"),
}
"""The VRs whose values have a byte order, with the array type of their words."""

_DEEPEST = 64
"""Sequences within sequences; real ones have a handful of levels."""


class DamagedDataSet(Exception):
    """The bytes are no data set in the encoding they are said to have; the message says what is wrong."""


class NotCompressed(Exception):
    """There is pixel data, and it would have to be compressed."""


class Encoding(NamedTuple):
    """How a data set is encoded."""

    is_implicit: bool
    is_little: bool
    is_deflated: bool = False
    is_compressed: bool = False
    """Whether pixel data is."""


ENCODINGS: Mapping[str, Encoding] = {
    IMPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=True, is_little=True),
    EXPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=False, is_little=True),
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Encoding(is_implicit=False, is_little=True, is_deflated=True),
    EXPLICIT_VR_BIG_ENDIAN: Encoding(is_implicit=False, is_little=False),
}
"""The transfer syntaxes without compressed pixel data: a data set in one of them can be had in all of them."""


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How data sets of this transfer syntax are encoded."""
    return ENCODINGS.get(transfer_syntax_uid) or Encoding(
        is_implicit=False, is_little=True, is_deflated=transfer_syntax_uid in DEFLATED, is_compressed=True
    )


class Changes(NamedTuple):
    """What else is to be different.

    Attributes:
        values: new values, padded to even length, for elements of the data set itself; those it does not have are not
            added.
        new_vrs: whether VRs younger than 1993 may be written; where not, OB stands for them.
        deflate_level: 0 to 9, as zlib counts.
    """

    values: Mapping[int, bytes] = {}
    new_vrs: bool = True
    deflate_level: int = 6


def reencode(data: bytes, source: Encoding, target: Encoding, changes: Changes) -> list[Chunk]:
    """The data set in ``target``, as buffers that follow one another; of even length altogether.

    Raises:
        DamagedDataSet: ``data`` is no data set in ``source``.
        NotCompressed: only ``target`` is for compressed pixel data, and there is some.
    """
    if source.is_deflated:
        data = _inflated(data)
    chunks = _Reencoder(memoryview(data), target, changes).data_set(source)
    if target.is_deflated:
        chunks = _deflated(chunks, changes.deflate_level)
    return chunks


def _inflated(data: bytes) -> bytes:
    limit = inflated_limit(len(data))
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = decompressor.decompress(data, limit)
    except zlib.error as error:
        raise DamagedDataSet(f"it cannot be inflated: {error}") from error
    if decompressor.eof:
        return inflated
    raise DamagedDataSet(f"it inflates to more than {limit} bytes" if len(inflated) == limit else "it ends too early")


def _deflated(chunks: list[Chunk], level: int) -> list[Chunk]:
    compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    deflated: list[Chunk] = [*map(compressor.compress, chunks), compressor.flush()]
    if sum(map(len, deflated)) & 1:
        deflated.append(b"\0")  # PS3.5 A.5
    return deflated


class _Element(NamedTuple):
    tag: int
    vr: bytes
    length: int
    value: int
    """Where its value begins."""


class _Order(NamedTuple):
    """The structures of one byte order."""

    tag: Struct
    explicit: Struct
    length: Struct
    short: Struct


_ORDERS = {
    is_little: _Order(*(Struct(mark + kind) for kind in ("HH", "HH2sH", "I", "H")))
    for is_little, mark in ((True, "<"), (False, ">"))
}


class _Reencoder:
    def __init__(self, data: memoryview, target: Encoding, changes: Changes) -> None:
        self._data = data
        self._target = target
        self._written = _ORDERS[target.is_little]
        self._changes = changes
        self._is_signed = False
        self._forbids_pixel_data = False

    def data_set(self, source: Encoding) -> list[Chunk]:
        self._forbids_pixel_data = self._target.is_compressed and not source.is_compressed
        chunks: list[Chunk] = []
        end = self._elements(source, 0, len(self._data), chunks, self._changes.values, 0)
        if end != len(self._data):
            raise DamagedDataSet(f"an item ends at byte {end}, where none had begun")
        return chunks

    def _elements(
        self,
        source: Encoding,
        position: int,
        end: int,
        chunks: list[Chunk],
        values: Mapping[int, bytes],
        depth: int,
    ) -> int:
        """Re-encode the elements up to ``end`` or the end of their item, and tell where that is."""
        while position < end:
            element = self._header(source, position, end)
            if element.tag == ITEM_END:
                return position
            if element.tag >> 16 == DELIMITERS:
                raise DamagedDataSet(f"{tag_name(element.tag)} at byte {position} is where an element should be")
            position = self._element(source, element, end, chunks, values, depth)
        return position

    def _element(
        self,
        source: Encoding,
        element: _Element,
        end: int,
        chunks: list[Chunk],
        values: Mapping[int, bytes],
        depth: int,
    ) -> int:
        """Re-encode one element, and tell where it ends."""
        tag, vr, length, start = element
        if tag == PIXEL_DATA and self._forbids_pixel_data and not depth:
            raise NotCompressed
        if tag == PIXEL_DATA and length == UNDEFINED:
            stop = self._end_of_fragments(source, start)
            chunks += (self._head(tag, vr, UNDEFINED), self._data[start:stop])
            return stop
        if vr == b"SQ" or length == UNDEFINED:
            # UN of undefined length is a sequence in implicit VR little endian, whatever is around it (PS3.5 6.2.2).
            inner = source if vr == b"SQ" else ENCODINGS[IMPLICIT_VR_LITTLE_ENDIAN]
            return self._sequence(inner, element, end, chunks, depth)
        stop = start + length
        if stop > end:
            raise DamagedDataSet(f"element {tag_name(tag)} at byte {start} reaches {stop - end} bytes beyond its end")
        if not tag & 0xFFFF:
            return stop
        value: Chunk = self._data[start:stop]
        if tag == _PIXEL_REPRESENTATION and length == _ORDERS[True].short.size:
            self._is_signed = _ORDERS[source.is_little].short.unpack(value)[0] == 1
        if tag in values:
            value = values[tag]
        elif source.is_little != self._target.is_little and vr in _WORDS:
            value = self._swapped(tag, vr, self._data[start:stop])
        chunks += (self._head(tag, vr, len(value)), value)
        return stop

    def _sequence(self, source: Encoding, element: _Element, end: int, chunks: list[Chunk], depth: int) -> int:
        tag, _, length, position = element
        if depth == _DEEPEST:
            raise DamagedDataSet(f"more than {_DEEPEST} sequences lie within each other")
        is_defined = length != UNDEFINED
        stop = position + length if is_defined else end
        if stop > end:
            raise DamagedDataSet(f"sequence {tag_name(tag)} reaches {stop - end} bytes beyond its end")
        items: list[Chunk] = []
        while position < stop:
            item = self._header(source, position, stop)
            position = item.value
            if item.tag == SEQUENCE_END and not is_defined:
                break
            if item.tag != ITEM:
                raise DamagedDataSet(f"sequence {tag_name(tag)} holds {tag_name(item.tag)} instead of an item")
            position = self._item(source, item, stop, items, depth)
        else:
            if not is_defined:
                raise DamagedDataSet(f"sequence {tag_name(tag)} does not end")
        size = sum(map(len, items)) if is_defined else UNDEFINED
        chunks += (self._head(tag, b"SQ", size), *items)
        if not is_defined:
            chunks.append(self._delimiter(SEQUENCE_END, 0))
        return position

    def _item(self, source: Encoding, item: _Element, end: int, chunks: list[Chunk], depth: int) -> int:
        is_defined = item.length != UNDEFINED
        stop = item.value + item.length if is_defined else end
        if stop > end:
            raise DamagedDataSet(f"an item reaches {stop - end} bytes beyond its sequence")
        inherited = self._is_signed
        elements: list[Chunk] = []
        position = self._elements(source, item.value, stop, elements, {}, depth + 1)
        self._is_signed = inherited
        if is_defined:
            if position != stop:
                raise DamagedDataSet("an item ends before its length")
            chunks += (self._delimiter(ITEM, sum(map(len, elements))), *elements)
            return stop
        if position >= stop:
            raise DamagedDataSet("an item does not end")
        chunks += (self._delimiter(ITEM, UNDEFINED), *elements, self._delimiter(ITEM_END, 0))
        return position + SHORT_HEADER

    def _end_of_fragments(self, source: Encoding, position: int) -> int:
        while True:
            fragment = self._header(source, position, len(self._data))
            if fragment.tag == SEQUENCE_END:
                return fragment.value
            if fragment.tag != ITEM or fragment.length == UNDEFINED:
                raise DamagedDataSet("compressed pixel data holds something else than fragments")
            position = fragment.value + fragment.length

    def _header(self, source: Encoding, position: int, end: int) -> _Element:
        order = _ORDERS[source.is_little]
        if end - position < SHORT_HEADER:
            raise DamagedDataSet(f"it ends within an element's header, at byte {position}")
        group, number = order.tag.unpack_from(self._data, position)
        tag = group << 16 | number
        if source.is_implicit or group == DELIMITERS:
            length = order.length.unpack_from(self._data, position + 4)[0]
            vr = b"" if group == DELIMITERS else self._vr_of(tag, length)
            return _Element(tag, vr, length, position + SHORT_HEADER)
        _, _, vr, length = order.explicit.unpack_from(self._data, position)
        if vr in SHORT_VRS:
            return _Element(tag, vr, length, position + SHORT_HEADER)
        if vr not in LONG_VRS or end - position < LONG_HEADER:
            raise DamagedDataSet(f"element {tag_name(tag)} at byte {position} has no known VR")
        return _Element(tag, vr, order.length.unpack_from(self._data, position + 8)[0], position + LONG_HEADER)

    def _vr_of(self, tag: int, length: int) -> bytes:
        """The VR of an element of a data set in implicit VR."""
        if length == UNDEFINED and tag != PIXEL_DATA:
            return b"SQ"
        if tag & 0x10000:  # private elements (PS3.5 7.8.1)
            return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"  # noqa: PLR2004 - private creators
        from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - 0.2 s that only this kind of source needs

        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return b"UN" if tag & 0xFFFF else b"UL"
        if vr == "US or SS":
            return b"SS" if self._is_signed else b"US"
        return vr.split(" or ")[-1].encode()  # "OB or OW" and its like are OW in implicit VR (PS3.5 A.1)

    def _head(self, tag: int, vr: bytes, length: int) -> bytes:
        head = self._written.tag.pack(tag >> 16, tag & 0xFFFF)
        if self._target.is_implicit:
            return head + self._written.length.pack(length)
        if not self._changes.new_vrs and vr in YOUNG_VRS:
            vr = b"OB"
        elif vr in SHORT_VRS:
            if length <= _SHORT_LENGTH_LIMIT:
                return head + vr + self._written.short.pack(length)
            vr = b"UN" if self._changes.new_vrs else b"OB"  # PS3.5 6.2.2 note 4: what does not fit its VR's length
        return head + vr + b"\0\0" + self._written.length.pack(length)

    def _delimiter(self, tag: int, length: int) -> bytes:
        return self._written.tag.pack(tag >> 16, tag & 0xFFFF) + self._written.length.pack(length)

    def _swapped(self, tag: int, vr: bytes, value: memoryview) -> bytes:
        words = array.array(_WORDS[vr])
        if len(value) % words.itemsize:
            raise DamagedDataSet(f"element {tag_name(tag)} of VR {vr.decode()} has {len(value)} bytes")
        words.frombytes(value)
        words.byteswap()
        return words.tobytes()
