"""Split a data set at its pixel data: what stands before, the pixel data as it is, and what stands behind.

Before and behind are explicit VR little endian, so that attributes of the image can be read and changed there. Icon
images (PS3.3 C.7.6.1.1.6) with encapsulated pixel data become native there.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.data_elements import header_of
from asyncstore.prepare.elements import (
    EXPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    LONG_VRS,
    PIXEL_DATA,
    SHORT_HEADER,
    UNDEFINED,
)
from asyncstore.prepare.encoding import ENCODINGS, DamagedDataSet, Unconvertible
from asyncstore.prepare.pixels.attributes import WANTED, image_of
from asyncstore.prepare.pixels.frames import Fragments
from asyncstore.prepare.reencode import Changes, Reencoder
from asyncstore.prepare.result import Result
from asyncstore.prepare.values import padding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncstore.prepare.encoding import Encoding
    from asyncstore.prepare.reencode import Element

_NEUTRAL = ENCODINGS[EXPLICIT_VR_LITTLE_ENDIAN]
_EXTENDED_OFFSET_TABLE, _EXTENDED_OFFSET_TABLE_LENGTHS, _TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
_OF_ENCAPSULATION = frozenset((_EXTENDED_OFFSET_TABLE, _EXTENDED_OFFSET_TABLE_LENGTHS, _TOTAL_LENGTH))
"""Elements that describe fragments (PS3.3 C.7.6.3.1.8)."""
_ICON_IMAGE_SEQUENCE = 0x00880200
_OTHER_PIXELS = frozenset((0x7FE00008, 0x7FE00009))
"""Float and double float pixel data, which is native in every transfer syntax."""
_SMALL = 2048
"""Bytes: more than 16 values of 64 characters have, such as a long Image Type."""


class Head:
    """The elements before the pixel data, in explicit VR little endian.

    Args:
        data: the elements.
        tags: their tags.
        starts: their positions.
    """

    def __init__(self, data: bytes, tags: list[int], starts: list[int]) -> None:
        self._data = data
        self._tags = tags
        self._starts = [*starts, len(data)]

    def has(self, tag: int) -> bool:
        """Whether this element is there."""
        return tag in self._tags

    def small_values(self, wanted: frozenset[int]) -> dict[int, bytes]:
        """The values of these elements, except long ones."""
        found = {}
        for index, tag in enumerate(self._tags):
            start, stop = self._starts[index : index + 2]
            if tag in wanted and stop - start <= _SMALL + LONG_HEADER:
                is_long = self._data[start + 4 : start + 6] in LONG_VRS
                found[tag] = self._data[start + (LONG_HEADER if is_long else SHORT_HEADER) : stop]
        return found

    def with_values(self, values: Mapping[int, tuple[bytes, bytes]]) -> bytes:
        """The elements, with new VRs and values for some, which are added if they are missing."""
        pieces: list[bytes] = []
        position = 0
        for tag, (vr, value) in sorted(values.items()):
            index = bisect_left(self._tags, tag)
            start = self._starts[index]
            is_there = index < len(self._tags) and self._tags[index] == tag
            pieces += (self._data[position:start], element(tag, vr, value))
            position = self._starts[index + 1] if is_there else start
        return b"".join((*pieces, self._data[position:]))


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian."""
    value += padding(vr) * (len(value) & 1)
    return header_of(EXPLICIT_LITTLE, tag, vr, len(value)) + value


class Split(NamedTuple):
    """A data set, split.

    Attributes:
        head: the elements before the pixel data.
        fragments: the pixel data, if it is encapsulated.
        native: the pixel data, if it is native; words of 16 bits in the byte order of the source if it is OW.
        tail: the elements behind.
    """

    head: Head
    fragments: Fragments | None
    native: memoryview | None
    is_of_words: bool
    tail: bytes


def split(data: memoryview, source: Encoding, changes: Changes, native_icon: Callable[[Split], bytes]) -> Split | None:
    """Split a data set; ``None``: it has no pixel data.

    Args:
        data: the data set.
        source: its encoding.
        changes: how it is written.
        native_icon: returns the elements of an icon image that has encapsulated pixel data, made native.

    Raises:
        DamagedDataSet: ``data`` is no data set in the encoding ``source``.
        Unconvertible: an item that is no icon image has encapsulated pixel data, or the pixel data is of a kind that is
            never compressed.
    """
    return _Splitter(data, source, changes, native_icon).split()


def native_end(data: bytes, source: Encoding) -> int | None:
    """Where the pixel data of a data set ends if it is native, by its attributes; ``None``: they do not tell.

    Args:
        data: the beginning of the data set.
        source: its encoding.
    """
    splitter = _HeadSplitter(memoryview(data), source, Changes(), lambda _: b"")
    try:
        splitter.split()
    except _AtPixelData as stop:
        with suppress(Unconvertible):
            return stop.position + image_of(stop.head.small_values(WANTED)).native_bytes
    except (DamagedDataSet, Unconvertible):
        pass
    return None


class _AtPixelData(Exception):
    """The pixel data begins."""

    def __init__(self, head: Head, position: int) -> None:
        self.head = head
        self.position = position


class _Splitter(Reencoder):
    def __init__(
        self,
        data: memoryview,
        source: Encoding,
        changes: Changes,
        native_icon: Callable[[Split], bytes],
        top: int = 0,
    ) -> None:
        super().__init__(data, source, _NEUTRAL, changes)
        self._native_icon = native_icon
        self._top = top
        """How deep the elements lie that it splits: 0 in a data set, more in an item."""
        self._sequence_tag = 0
        self._tags: list[int] = []
        self._starts: list[int] = []
        self._before: Head | None = None
        self._found_fragments: Fragments | None = None
        self._found_native: memoryview | None = None
        self._is_of_words = False
        self._extended = b""

    def split(self) -> Split | None:
        """The parts of the data set; ``None``: it has no pixel data."""
        return self._parts(b"".join(self.data_set()))

    def split_item(self, source: Encoding, item: Element) -> tuple[Split | None, int]:
        """The parts of an item, and the position of its end."""
        end = self._item_elements(source, item, self._top - 1)
        return self._parts(b"".join(self._result.end())), end

    def _parts(self, rest: bytes) -> Split | None:
        return (
            None
            if self._before is None
            else Split(self._before, self._found_fragments, self._found_native, self._is_of_words, rest)
        )

    def _sequence(self, source: Encoding, element: Element, stop: int, depth: int) -> int:
        outer, self._sequence_tag = self._sequence_tag, element.tag
        position = super()._sequence(source, element, stop, depth)
        self._sequence_tag = outer
        return position

    def _item(self, source: Encoding, item: Element, depth: int) -> int:
        if self._sequence_tag != _ICON_IMAGE_SEQUENCE:
            return super()._item(source, item, depth)
        parts, end = _Splitter(self._data, self._source, self._changes, self._native_icon, depth + 1).split_item(
            source, item
        )
        if parts is None or parts.fragments is None:
            return super()._item(source, item, depth)
        elements = self._native_icon(parts)
        is_defined = item.length != UNDEFINED
        self._result.add(self._delimiter(ITEM, len(elements) if is_defined else UNDEFINED), elements)
        if not is_defined:
            self._result.add(self._delimiter(ITEM_END, 0))
        return end

    def _element(self, source: Encoding, element: Element, stop: int, depth: int) -> int:
        tag, vr, length, start = element
        if depth > self._top:
            if tag == PIXEL_DATA and length == UNDEFINED:
                raise Unconvertible("an item of it that is no icon image has compressed pixel data")
            return super()._element(source, element, stop, depth)
        if tag in _OTHER_PIXELS and not self._top:
            raise Unconvertible("its pixel data is of floating point numbers, which are not converted")
        if tag in _OF_ENCAPSULATION and length != UNDEFINED and start + length <= stop:
            if tag == _EXTENDED_OFFSET_TABLE:
                self._extended = bytes(self._data[start : start + length])
            return start + length
        if tag != PIXEL_DATA:
            if self._before is None:
                self._tags.append(tag)
                self._starts.append(self._result.tell())
            return super()._element(source, element, stop, depth)
        if self._before is not None:
            raise DamagedDataSet("it has pixel data twice")
        if self._tags != sorted(set(self._tags)):
            raise DamagedDataSet("its elements are not in order")
        self._before = Head(b"".join(self._result.end()), self._tags, self._starts)
        self._result = Result()
        self._is_of_words = vr == b"OW"
        return self._pixel_data(source, length, start, stop)

    def _pixel_data(self, source: Encoding, length: int, start: int, stop: int) -> int:
        if length != UNDEFINED:
            if start + length > stop:
                raise DamagedDataSet(f"its pixel data reaches {start + length - stop} bytes beyond its end")
            self._found_native = self._data[start : start + length]
            return start + length
        places = list(self._each_fragment(source, start))
        basic, *others = places or [(start + SHORT_HEADER, 0)]
        end = sum(places[-1]) if places else start
        table = bytes(self._data[basic[0] : sum(basic)])
        self._found_fragments = Fragments(self._data, others, table, self._extended)
        return end + SHORT_HEADER


class _HeadSplitter(_Splitter):
    """Reads no further than to the pixel data."""

    def _pixel_data(self, source: Encoding, length: int, start: int, stop: int) -> int:
        if self._before is None:
            return super()._pixel_data(source, length, start, stop)
        raise _AtPixelData(self._before, start)
