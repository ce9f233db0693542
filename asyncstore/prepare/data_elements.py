"""A data set as elements in their places, which can be changed and written again (PS3.5 7).

Only the elements of the data set itself are found at first; a sequence is opened when an element in it is to be
changed. What was not changed is written as it was, byte for byte, in slices of the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.prepare.elements import (
    DELIMITERS,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_HEADER,
    SHORT_VRS,
    UNDEFINED,
    item_header,
    tag_bytes,
    tag_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.prepare.elements import Layout

_SHORT_LENGTH_LIMIT = 0xFFFF
_MOST_HEADERS = 2_000_000
"""Headers within one sequence of undefined length, and elements of one level: some seconds, and 600 MB of memory."""
_DEEPEST = 64
"""Levels of nested sequences; real data sets have a handful."""


class Unreadable(Exception):
    """The bytes are no data set in the stated encoding; the message says what is wrong."""


class CutOff(Unreadable):
    """The bytes end within an element."""


class Element:
    """An element: as it was found, or with a new value."""

    __slots__ = ("end", "is_undefined", "levels", "new", "start", "tag", "value", "vr")

    def __init__(self, tag: int, vr: bytes, places: tuple[int, int, int], *, is_undefined: bool = False) -> None:
        self.tag = tag
        self.vr = vr
        """Empty in implicit VR."""
        self.start, self.value, self.end = places
        """Where its header, its value and its end are in the source."""
        self.is_undefined = is_undefined
        """Whether it is a sequence of undefined length."""
        self.new: bytes | None = None
        """Its new value."""
        self.levels: list[Level] | None = None
        """Its items, if it is a sequence that was opened to be changed."""

    @property
    def is_changed(self) -> bool:
        """Whether it is not written as it was."""
        return self.new is not None or self.levels is not None


class Level:
    """A data set, or an item of a sequence: its elements, in their order.

    Args:
        data: the source.
        layout: how its headers are written.
        elements: the elements.
        is_undefined: whether it is an item of undefined length.
        depth: how many sequences are around it.
    """

    def __init__(
        self,
        data: memoryview,
        layout: Layout,
        elements: list[Element] | None = None,
        *,
        is_undefined: bool = False,
        depth: int = 0,
    ) -> None:
        self.data = data
        self.layout = layout
        self.elements = [] if elements is None else elements
        self.is_undefined = is_undefined
        self._depth = depth

    def find(self, tag: int) -> Element | None:
        """The element with this tag."""
        return next((element for element in self.elements if element.tag == tag), None)

    def add(self, tag: int, vr: bytes) -> Element:
        """Add an element without a value in its place."""
        element = Element(tag, vr, (0, 0, 0))
        element.new = b""
        place = next((place for place, other in enumerate(self.elements) if other.tag > tag), len(self.elements))
        self.elements.insert(place, element)
        return element

    def remove(self, tag: int) -> bool:
        """Remove the elements with this tag; whether there were any."""
        before = len(self.elements)
        self.elements = [element for element in self.elements if element.tag != tag]
        return len(self.elements) < before

    def value(self, element: Element) -> bytes:
        """The value of an element that is no opened sequence."""
        return bytes(self.data[element.value : element.end]) if element.new is None else element.new

    def open(self, element: Element) -> list[Level]:
        """The items of a sequence, from now on to be changed.

        Raises:
            Unreadable: it is no sequence, or damaged.
        """
        if element.levels is None:
            element.levels = [] if element.new is not None else list(self._items(element))
            element.new = None
        return element.levels

    def add_item(self, element: Element) -> Level:
        """Add an empty item to a sequence.

        Raises:
            Unreadable: it is no sequence, or damaged.
        """
        items = self.open(element)
        items.append(Level(self.data, self._layout_in(element), depth=self._depth + 1))
        return items[-1]

    def _layout_in(self, element: Element) -> Layout:
        """How the items of a sequence are written: those of VR UN in implicit VR little endian (PS3.5 6.2.2)."""
        return IMPLICIT_LITTLE if element.vr == b"UN" else self.layout

    def _items(self, element: Element) -> Iterator[Level]:
        layout = self._layout_in(element)
        if element.vr not in (b"SQ", b"UN", b""):
            raise Unreadable(f"{tag_name(element.tag)} is no sequence in it")
        if self._depth == _DEEPEST:
            raise Unreadable(f"more than {_DEEPEST} sequences lie within each other")
        data, position = self.data, element.value
        while position < element.end:
            tag, _, length, header = header_at(data, layout, position)
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise Unreadable(f"its sequence {tag_name(element.tag)} holds something else than items")
            position += header
            is_undefined = length == UNDEFINED
            stop = element.end if is_undefined else position + length
            if stop > element.end:
                raise Unreadable(f"an item of its sequence {tag_name(element.tag)} is longer than the sequence")
            elements, position = elements_of(data, layout, position, stop)
            if is_undefined or position < stop:
                position += SHORT_HEADER  # the delimiter
            yield Level(data, layout, elements, is_undefined=is_undefined, depth=self._depth + 1)

    def written(self) -> list[bytes | memoryview]:
        """The level in consecutive pieces. Elements that were not changed are slices of the source."""
        pieces: list[bytes | memoryview] = []
        start = end = 0
        for element in self.elements:
            if not element.is_changed and element.start == end:
                end = element.end
                continue
            if start < end:
                pieces.append(self.data[start:end])
            start = end = 0
            if element.is_changed:
                pieces += self._element(element)
            else:
                start, end = element.start, element.end
        if start < end:
            pieces.append(self.data[start:end])
        return pieces

    def _element(self, element: Element) -> list[bytes | memoryview]:
        """A changed element."""
        if element.levels is None:
            value = element.new or b""
            return [header_of(self.layout, element.tag, element.vr, len(value)), value]
        pieces: list[bytes | memoryview] = []
        for level in element.levels:
            inner = level.written()
            length = UNDEFINED if level.is_undefined else sum(map(len, inner))
            pieces += (item_header(ITEM, length, level.layout.byte_order), *inner)
            if level.is_undefined:
                pieces.append(item_header(ITEM_END, 0, level.layout.byte_order))
        if element.is_undefined:
            pieces.append(item_header(SEQUENCE_END, 0, self._layout_in(element).byte_order))
        length = UNDEFINED if element.is_undefined else sum(map(len, pieces))
        return [header_of(self.layout, element.tag, element.vr or b"SQ", length), *pieces]


def elements_of(data: memoryview, layout: Layout, position: int, stop: int) -> tuple[list[Element], int]:
    """The elements from ``position`` up to ``stop``, the end of their item, or padding; and the position behind them.

    Raises:
        Unreadable: they cannot be told apart.
    """
    elements: list[Element] = []
    while position < stop:
        tag, vr, length, header = header_at(data, layout, position)
        if tag == ITEM_END or not tag:
            break
        if len(elements) == _MOST_HEADERS:
            raise Unreadable(f"it has more than {_MOST_HEADERS} elements")
        if tag >> 16 == DELIMITERS:
            raise Unreadable(f"{tag_name(tag)} is where an element should be")
        value = position + header
        is_undefined = length == UNDEFINED
        inner = IMPLICIT_LITTLE if vr == b"UN" else layout
        end = end_of(data, inner, value) if is_undefined else value + length
        if end > stop:
            raise Unreadable(f"its element {tag_name(tag)} reaches beyond its end")
        elements.append(Element(tag, vr, (position, value, end), is_undefined=is_undefined))
        position = end
    return elements, position


def header_at(data: bytes | memoryview, layout: Layout, position: int) -> tuple[int, bytes, int, int]:
    """Tag, VR, value length and header length of the element at this position; of padding, a tag of 0.

    Raises:
        CutOff: the data ends before.
    """
    left = len(data) - position
    if left <= 0 or (left < SHORT_HEADER and any(data[position:])):
        raise CutOff("it ends within an element's header")
    if left < LONG_HEADER:
        return layout.header(bytes(data[position:]) + bytes(LONG_HEADER), 0)
    return layout.header(data, position)


def end_of(data: bytes | memoryview, layout: Layout, position: int) -> int:
    """The position behind the delimiter of a sequence of undefined length, or of encapsulated pixel data.

    Raises:
        CutOff: the data ends before.
        Unreadable: it is no sequence.
    """
    layouts = [layout]
    """Those of the open sequences and items."""
    for _ in range(_MOST_HEADERS):
        layout = layouts[-1]
        tag, vr, length, header = header_at(data, layout, position)
        position += header
        if tag in (ITEM_END, SEQUENCE_END):
            layouts.pop()
            if not layouts:
                return position
        elif length != UNDEFINED:
            position += length
        elif len(layouts) <= 2 * _DEEPEST and (tag in (ITEM, PIXEL_DATA) or vr in (b"SQ", b"UN", b"")):
            layouts.append(IMPLICIT_LITTLE if vr == b"UN" else layout)
        else:
            break
    raise Unreadable("it has a sequence whose end is not to be found")


def header_of(layout: Layout, tag: int, vr: bytes, length: int) -> bytes:
    """The header of an element.

    Raises:
        Unreadable: the value is too long for its VR.
    """
    order = layout.byte_order
    head = tag_bytes(tag, order)
    if layout.is_implicit:
        return head + length.to_bytes(4, order)
    if vr in LONG_VRS or (vr not in SHORT_VRS and vr.isupper()):
        return head + vr + b"\0\0" + length.to_bytes(4, order)
    if length > _SHORT_LENGTH_LIMIT:
        raise Unreadable(f"its element {tag_name(tag)} would be too long for its VR")
    return head + vr + length.to_bytes(2, order)
