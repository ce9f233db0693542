"""Rewrite a data set in another encoding (PS3.5 7 and A.1 to A.5), element by element, without touching values.

Rules:

1. Only headers, the byte order of numbers and the lengths of sequences change. Texts are never decoded, so a text with
   the wrong character set arrives unchanged.
2. If the source has no VRs, they come from the data dictionary; unknown elements become UN (PS3.5 6.2.2).
3. Group lengths are dropped: they are retired, and would be wrong (PS3.5 7.2).
4. Values and fragments of odd length are padded (PS3.5 6.2 and 7.1.1).
5. Sequences and items keep their kind of length, defined or undefined. A data set without pixel data may go into a
   transfer syntax for compressed pixel data; with native pixel data that is :class:`NotCompressed`. Fragments never go
   into any other transfer syntax.
6. It reads all that DCMTK reads: unknown VRs, items that reach beyond the end of their sequence, delimiters in
   sequences and items of defined length.
7. Memory follows the size of the data set, not the number of its elements: headers and small values are joined, large
   values are slices of the source.
8. A data set that cannot be read to its end is :class:`DamagedDataSet`. Nothing is guessed.
"""

from __future__ import annotations

import array
from struct import Struct
from typing import TYPE_CHECKING

from asyncstore.model import IMPLICIT_VR_LITTLE_ENDIAN
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import (
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
    tag_name,
)
from asyncstore.prepare.encoding import (
    ENCODINGS,
    MAX_INFLATED,
    DamagedDataSet,
    Encoding,
    Unconvertible,
    deflated,
    inflated,
)
from asyncstore.prepare.result import Chunk, Result
from asyncstore.prepare.values import WORDS, padding, shifted, swapped

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIXEL_REPRESENTATION = 0x00280103
_EXTENDED_OFFSET_TABLE = 0x7FE00001
_OFFSET, _EXTENDED_OFFSET = Struct("<I"), Struct("<Q")
"""An offset in the basic and in the extended offset table (PS3.5 A.4, PS3.3 C.7.6.3.1.8)."""
_SHORT_LENGTH_LIMIT = 0xFFFF

YOUNG_VRS = frozenset(vr.encode() for vr in ["OD", "OF", "OL", "OV", "SV", "UC", "UN", "UR", "UT", "UV"])
"""VRs that the standard of 1993 did not have: receivers of that age cannot read them."""

_DEEPEST = 64
"""Levels of nested sequences; real data sets have a handful."""


class NotCompressed(Exception):
    """There is pixel data, and it would have to be compressed."""


class Changes(NamedTuple):
    """Changes besides the encoding.

    Attributes:
        new_vrs: whether VRs younger than 1993 may be written; otherwise they become OB.
        deflate_level: zlib's level, 0 to 9.
        max_inflated: the greatest size of an inflated source, in bytes.
    """

    new_vrs: bool = True
    deflate_level: int = 6
    max_inflated: int = MAX_INFLATED


def reencode(data: bytes | memoryview, source: Encoding, target: Encoding, changes: Changes) -> list[Chunk]:
    """The data set in the encoding ``target``, in consecutive buffers of even length in total.

    Raises:
        DamagedDataSet: ``data`` is no data set in the encoding ``source``.
        NotCompressed: the pixel data is native, and ``target`` is for compressed pixel data.
        Unconvertible: it inflates to more than is allowed, or its pixel data is encapsulated and must not be.
    """
    if source.is_deflated:
        data = inflated(data, changes.max_inflated)
    chunks = Reencoder(memoryview(data), source, target, changes).data_set()
    if target.is_deflated:
        chunks = deflated(chunks, changes.deflate_level)
    return chunks


class Element(NamedTuple):
    """The header of an element."""

    tag: int
    vr: bytes
    length: int
    value: int
    """The position of its value."""


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


class Reencoder:
    """Re-encodes one data set; :func:`reencode` says how."""

    def __init__(self, data: memoryview, source: Encoding, target: Encoding, changes: Changes) -> None:
        self._data = data
        self._source = source
        self._target = target
        self._written = _ORDERS[target.is_little]
        self._changes = changes
        self._result = Result()
        self._is_signed = False
        self._extended_offsets: bytearray | None = None

    def data_set(self) -> list[Chunk]:
        """The data set, in consecutive buffers."""
        end = self._elements(self._source, 0, len(self._data), 0)
        if end != len(self._data):
            raise DamagedDataSet(f"an item ends at byte {end}, where none had begun")
        return self._result.end()

    def _elements(self, source: Encoding, position: int, stop: int, depth: int) -> int:
        """Re-encode the elements up to ``stop`` or the end of their item; returns the position of that end.

        It lies beyond ``stop`` if the last item of a sequence is longer than the sequence.
        """
        while position < stop:
            element = self._header(source, position, stop)
            if element.tag == ITEM_END:
                return position
            if element.tag >> 16 == DELIMITERS:
                raise DamagedDataSet(f"{tag_name(element.tag)} at byte {position} is where an element should be")
            position = self._element(source, element, stop, depth)
        return position

    def _element(self, source: Encoding, element: Element, stop: int, depth: int) -> int:
        """Re-encode one element; returns the position of its end."""
        tag, vr, length, start = element
        if tag == PIXEL_DATA:
            self._check_pixel_data(length, depth)
            if length == UNDEFINED:
                return self._fragments(source, vr, start)
        if vr == b"SQ" or length == UNDEFINED:
            # UN of undefined length is a sequence in implicit VR little endian in every encoding (PS3.5 6.2.2).
            inner = source if vr == b"SQ" else ENCODINGS[IMPLICIT_VR_LITTLE_ENDIAN]
            return self._sequence(inner, element, stop, depth)
        end = start + length
        if end > stop:
            raise DamagedDataSet(f"element {tag_name(tag)} at byte {start} reaches {end - stop} bytes beyond its end")
        if tag & 0xFFFF:
            self._plain(source, element, depth)
        return end

    def _plain(self, source: Encoding, element: Element, depth: int) -> None:
        """Re-encode an element that is no sequence."""
        tag, vr, length, start = element
        end = start + length
        value: Chunk = self._data[start:end]
        if tag == _PIXEL_REPRESENTATION and length == _ORDERS[True].short.size:
            self._is_signed = _ORDERS[source.is_little].short.unpack(value)[0] == 1
        if source.is_little != self._target.is_little and vr in WORDS:
            value = swapped(vr, self._data[start:end])
        is_odd = len(value) & 1
        if tag == _EXTENDED_OFFSET_TABLE and not depth and not length % _EXTENDED_OFFSET.size:
            self._extended_offsets = value = bytearray(value)  # changes if fragments are padded
        self._result.add(self._head(tag, vr, len(value) + is_odd), value)
        if is_odd:
            self._result.add(padding(vr))

    def _check_pixel_data(self, length: int, depth: int) -> None:
        """Check that the target may hold this pixel data: encapsulated or native.

        In items, such as an icon image, pixel data may be native in every transfer syntax (PS3.5 A.4).
        """
        if length == UNDEFINED and not self._source.is_compressed:
            raise Unconvertible("its pixel data is encapsulated, and its transfer syntax is one for native pixel data")
        if length == UNDEFINED and not self._target.is_compressed:
            raise Unconvertible("its pixel data is encapsulated, and would have to be decompressed")
        if not depth and self._target.is_compressed and not self._source.is_compressed:
            raise NotCompressed

    def _fragments(self, source: Encoding, vr: bytes, position: int) -> int:
        """Copy encapsulated pixel data; returns the position of its end."""
        end, odd, is_odd_table = self._odd_fragments(source, position)
        head = self._head(PIXEL_DATA, vr, UNDEFINED)
        if not odd and not is_odd_table:
            self._result.add(head, self._data[position:end])
            return end
        self._result.add(head)
        is_table = True
        for start, length in self._each_fragment(source, position):
            value: Chunk = self._data[start : start + length]
            if is_table and not length % _OFFSET.size:
                value = shifted(value, _OFFSET, odd)
            is_table = False
            self._result.add(self._delimiter(ITEM, length + (length & 1)), value)
            self._result.add(b"\0"[: length & 1])
        self._result.add(self._delimiter(SEQUENCE_END, 0))
        if self._extended_offsets is not None:
            self._extended_offsets[:] = shifted(self._extended_offsets, _EXTENDED_OFFSET, odd)
        return end

    def _odd_fragments(self, source: Encoding, position: int) -> tuple[int, array.array[int], bool]:
        """The end of encapsulated pixel data, and the offsets (PS3.5 A.4) of its fragments of odd length.

        And whether the basic offset table has an odd length, whose padding moves no offset.
        """
        odd, is_odd_table = array.array("Q"), False
        first = end = position
        for start, length in self._each_fragment(source, position):
            if end == position:
                first, is_odd_table = start + length, bool(length & 1)
            elif length & 1:
                odd.append(start - SHORT_HEADER - first)
            end = start + length
        return end + SHORT_HEADER, odd, is_odd_table

    def _each_fragment(self, source: Encoding, position: int) -> Iterator[tuple[int, int]]:
        """The position and the length of each fragment's value."""
        while True:
            fragment = self._header(source, position, len(self._data))
            if fragment.tag == SEQUENCE_END:
                return
            if fragment.tag != ITEM or fragment.length == UNDEFINED:
                raise DamagedDataSet("compressed pixel data holds something else than fragments")
            yield fragment.value, fragment.length
            position = fragment.value + fragment.length

    def _sequence(self, source: Encoding, element: Element, stop: int, depth: int) -> int:
        tag, _, length, position = element
        if depth == _DEEPEST:
            raise DamagedDataSet(f"more than {_DEEPEST} sequences lie within each other")
        is_defined = length != UNDEFINED
        end = position + length if is_defined else len(self._data)
        if is_defined and end > stop:
            raise DamagedDataSet(f"sequence {tag_name(tag)} reaches {end - stop} bytes beyond its end")
        self._result.add(self._head(tag, b"SQ", 0 if is_defined else UNDEFINED))
        mark, begin = self._result.mark(), self._result.tell()
        while position < end:
            item = self._header(source, position, len(self._data))
            position = item.value
            if item.tag == SEQUENCE_END and (not is_defined or position >= end):
                break
            if item.tag != ITEM:
                raise DamagedDataSet(f"sequence {tag_name(tag)} holds {tag_name(item.tag)} instead of an item")
            position = self._item(source, item, depth)
        else:
            if not is_defined:
                raise DamagedDataSet(f"sequence {tag_name(tag)} does not end")
        if is_defined:
            self._patch(mark, begin)
        else:
            self._result.add(self._delimiter(SEQUENCE_END, 0))
        return position

    def _item(self, source: Encoding, item: Element, depth: int) -> int:
        is_defined = item.length != UNDEFINED
        self._result.add(self._delimiter(ITEM, 0 if is_defined else UNDEFINED))
        mark, begin = self._result.mark(), self._result.tell()
        position = self._item_elements(source, item, depth)
        if is_defined:
            self._patch(mark, begin)
        else:
            self._result.add(self._delimiter(ITEM_END, 0))
        return position

    def _item_elements(self, source: Encoding, item: Element, depth: int) -> int:
        """Re-encode the elements of an item; returns the position of its end."""
        is_defined = item.length != UNDEFINED
        stop = item.value + item.length if is_defined else len(self._data)
        if stop > len(self._data):
            raise DamagedDataSet(f"an item reaches {stop - len(self._data)} bytes beyond the end")
        inherited = self._is_signed
        position = self._elements(source, item.value, stop, depth + 1)
        self._is_signed = inherited
        if is_defined:
            if position < stop:
                position += SHORT_HEADER  # a superfluous delimiter
            if position < stop:
                raise DamagedDataSet("an item ends before its length")
            return position
        if position >= stop:
            raise DamagedDataSet("an item does not end")
        return position + SHORT_HEADER

    def _patch(self, mark: tuple[bytearray, int], begin: int) -> None:
        """Write the number of bytes since ``begin`` into the length at ``mark``."""
        length = self._result.tell() - begin
        if length >= UNDEFINED:
            raise DamagedDataSet("a sequence is too long")
        self._written.length.pack_into(*mark, length)

    def _header(self, source: Encoding, position: int, end: int) -> Element:
        order = _ORDERS[source.is_little]
        if end - position < SHORT_HEADER:
            if position < end and not any(self._data[position:end]):
                return Element(0, b"UN", 0, end)  # padding
            raise DamagedDataSet(f"it ends within an element's header, at byte {position}")
        group, number = order.tag.unpack_from(self._data, position)
        tag = group << 16 | number
        if source.is_implicit or group == DELIMITERS:
            length = order.length.unpack_from(self._data, position + 4)[0]
            vr = b"" if group == DELIMITERS else self._vr_of(tag, length)
            return Element(tag, vr, length, position + SHORT_HEADER)
        _, _, vr, length = order.explicit.unpack_from(self._data, position)
        if vr in SHORT_VRS:
            return Element(tag, vr, length, position + SHORT_HEADER)
        if vr not in LONG_VRS:
            is_long = vr.isalpha() and vr.isupper()
            vr = b"UN"
            if not is_long:  # such as "??", from devices whose VRs all had lengths of 16 bits
                return Element(tag, vr, length, position + SHORT_HEADER)
        if end - position < LONG_HEADER:
            raise DamagedDataSet(f"it ends within an element's header, at byte {position}")
        return Element(tag, vr, order.length.unpack_from(self._data, position + 8)[0], position + LONG_HEADER)

    def _vr_of(self, tag: int, length: int) -> bytes:
        """The VR of an element of a data set in implicit VR."""
        if length == UNDEFINED and tag != PIXEL_DATA:
            return b"SQ"
        if tag & 0x10000:  # private elements (PS3.5 7.8.1)
            return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"  # noqa: PLR2004 - private creators
        from pydicom.datadict import dictionary_VR  # the import takes 0.2 s, and only implicit VR needs it

        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return b"UN" if tag & 0xFFFF else b"UL"
        if vr == "US or SS":
            return b"SS" if self._is_signed else b"US"
        return vr.split(" or ")[-1].encode()  # "OB or OW" is OW in implicit VR (PS3.5 A.1)

    def _head(self, tag: int, vr: bytes, length: int) -> bytes:
        head = self._written.tag.pack(tag >> 16, tag & 0xFFFF)
        if self._target.is_implicit:
            return head + self._written.length.pack(length)
        if not self._changes.new_vrs and vr in YOUNG_VRS:
            vr = b"OB"
        elif vr in SHORT_VRS:
            if length <= _SHORT_LENGTH_LIMIT:
                return head + vr + self._written.short.pack(length)
            vr = b"UN" if self._changes.new_vrs else b"OB"  # PS3.5 6.2.2 note 4: too long for its VR
        return head + vr + b"\0\0" + self._written.length.pack(length)

    def _delimiter(self, tag: int, length: int) -> bytes:
        return self._written.tag.pack(tag >> 16, tag & 0xFFFF) + self._written.length.pack(length)
