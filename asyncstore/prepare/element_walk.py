"""Walk over the elements of a data set in a file, header by header, and find flaws.

Rules:

1. Values are skipped. Sequences and items are entered, also those of defined length, to find odd values in them. A
   small element costs some 60 ns, any other 1 µs.
2. A :class:`Flaw` is certain: an element beyond the end of the file, a wrong delimiter, bytes behind the last element
   that are no element, pixel data of the wrong kind. If the walk cannot tell, it is :class:`Lost`.
3. The walk is bounded: elements, bytes read, depth and seconds. Beyond a bound it is lost.
4. Up to a mebibyte of zeros behind the last element is padding, which storescp and Orthanc take.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import (
    DEFLATED,
    DELIMITERS,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_HEADER,
    UNCOMPRESSED,
    UNDEFINED,
    VRS,
    is_encapsulated,
    is_vr,
    layout_of,
    tag_name,
)
from asyncstore.prepare.files import read_at
from asyncstore.prepare.small_elements import plain_elements

if TYPE_CHECKING:
    from asyncstore.prepare.elements import Layout

_SECONDS = 3.0
"""Seconds for one data set."""
_MOST_ELEMENTS = 500_000
"""They take half a second; a structure set with all its contours has some 100 000."""
_MOST_PAGES = 1 << 15
"""Pages that are read: 128 MiB."""
_DEEPEST = 200
"""Levels of nested sequences and items; real data sets have a handful."""

_STEP = 4096
"""Bytes read at once: a page, and mostly many elements."""
MOST_PADDING = 1 << 20
"""Bytes of padding."""

_OPEN = sys.maxsize
"""Stands for the end of a sequence or item of undefined length."""

_SIGNATURES = 0xFFFA
_TRAILING_PADDING = 0xFFFCFFFC
"""The last tag that a data set may have (PS3.10 7.2)."""
_PIXEL_GROUP = PIXEL_DATA >> 16
_TAG_BYTES = 4
_ITEM_BYTES = b"\xfe\xff\x00\xe0"


class Flaw(Exception):
    """The data set cannot be sent; the message says why."""


class Lost(Exception):
    """The walk does not understand the data set, or exceeds a bound."""


class Level(NamedTuple):
    """An open sequence, item, or encapsulated pixel data."""

    tag: int
    """The tag of the sequence or pixel data, or ``ITEM``."""
    end: int
    around: Layout
    """The layout of the headers around it."""

    @property
    def is_open(self) -> bool:
        """Whether its length is undefined."""
        return self.end == _OPEN


class Walk:
    """A walk over one data set.

    Args:
        descriptor: its file, open for reading; not used if ``head`` is all of it.
        size: the size of the file in bytes.
        head: the first bytes of the file.
        transfer_syntax_uid: the transfer syntax of the data set.

    Attributes:
        has_odd_values: whether a value so far has an odd length.
    """

    def __init__(self, descriptor: int, size: int, head: bytes, transfer_syntax_uid: str) -> None:
        self.has_odd_values = False
        self._descriptor = descriptor
        self._size = size
        self._transfer_syntax_uid = transfer_syntax_uid
        self._layout = layout_of(transfer_syntax_uid)
        self._levels: list[Level] = []
        self._last_tag = -1
        """The greatest tag so far of the data set itself, not of items."""
        self._whole = head if len(head) == size else None
        self._page = head
        self._page_start = 0
        self._last_in_page = len(head) - LONG_HEADER
        """The last position at which a whole header fits in the page."""
        self._pages_left = _MOST_PAGES
        self._deadline = time.monotonic() + _SECONDS

    def to_the_end(self, position: int) -> None:
        """Walk from ``position`` of the file to its end.

        Raises:
            Flaw: the data set cannot be sent.
            Lost: the walk cannot tell.
        """
        levels = self._levels
        for _ in range(_MOST_ELEMENTS):
            while levels and position >= levels[-1].end:
                self._layout = levels.pop().around
            if position >= self._size:
                break
            position = self._over_small_elements(position) or self._step(position)
        else:
            raise Lost
        if levels:
            raise _cut_off("a sequence")

    def _over_small_elements(self, position: int) -> int | None:
        """Skip small elements in this page; returns the position behind them, ``None`` if there are none."""
        end = self._size
        if self._levels:
            tag, end, _ = self._levels[-1]
            if tag != ITEM:
                return None
        start = self._page_start
        match = plain_elements(self._layout)(self._page, position - start, min(end, self._size) - start)
        stop: int = match.end()
        if stop <= position - start:
            return None
        if not self._levels:
            order = self._layout.byte_order
            tag = int.from_bytes(match[1][:2], order) << 16 | int.from_bytes(match[1][2:], order)
            last = self._last_tag
            if tag >= PIXEL_DATA or last >= PIXEL_DATA or (self._layout.is_implicit and tag <= last):
                return None  # here the walk checks every tag
            self._last_tag = max(tag, self._last_tag)
        return start + stop

    def _step(self, position: int) -> int:
        """Read the header at ``position``; returns the position of the next one."""
        if position > self._last_in_page and not self._turn_page(position):
            return self._size
        tag, vr, length, header = self._layout.header(self._page, position - self._page_start)
        value = position + header
        if value > self._size:
            return self._rest(position)
        if not self._levels:
            return self._of_data_set(position, tag, vr, length, value)
        level = self._levels[-1]
        if level.tag == ITEM:
            return self._in_item(level, position, tag, vr, length, value)
        return self._in_sequence(level, tag, length, value)

    def _of_data_set(self, position: int, tag: int, vr: bytes, length: int, value: int) -> int:
        """Judge an element of the data set itself, outside of items."""
        is_new = tag > self._last_tag
        is_element = tag != 0 and (self._layout.is_implicit or is_vr(vr)) and tag <= _TRAILING_PADDING
        if self._last_tag >= PIXEL_DATA:
            if not is_element or not (vr in VRS or (is_new and _may_follow_pixel_data(tag))):
                return self._behind(position)
        elif not is_element or (self._layout.is_implicit and not is_new):
            return self._behind_or_lost(position, may_be_element=tag != 0 and self._fits(position))
        if tag == PIXEL_DATA:
            self._check_pixel_data(length)
        if length != UNDEFINED and value + length > self._size:
            if self._last_tag >= PIXEL_DATA and not is_new:
                return self._behind(position)
            if tag == length or not is_new:  # blanks or other filler
                return self._behind_or_lost(position, may_be_element=True)
        self._last_tag = max(tag, self._last_tag)
        return self._element(tag, vr, length, value)

    def _check_pixel_data(self, length: int) -> None:
        uid = self._transfer_syntax_uid
        if length == UNDEFINED and (uid in UNCOMPRESSED or uid in DEFLATED):
            raise _contradiction("encapsulated", uid)
        if length != UNDEFINED and is_encapsulated(uid):  # DCMTK aborts the association even where it is empty
            raise _contradiction("native" if length else "native and empty", uid)

    def _in_sequence(self, level: Level, tag: int, length: int, value: int) -> int:
        """Judge an item or fragment, or the delimiter behind the last one."""
        if tag == SEQUENCE_END:
            if level.end == _OPEN:
                self._layout = self._levels.pop().around
            return value  # readers ignore the length of a delimiter
        if tag != ITEM or (length == UNDEFINED and level.tag == PIXEL_DATA):
            if not tag:  # a hole, which may have terabytes
                raise _no_end_of(level.tag) if level.end == _OPEN else _nothing_but_zeros_in(level.tag)
            if level.end != _OPEN or (tag == ITEM_END and level.tag != PIXEL_DATA):
                raise Lost
            raise _no_end_of(level.tag)
        if length == UNDEFINED:
            self._enter(ITEM, _OPEN)
            return value
        end = value + length
        if end > self._size:
            raise _cut_off("a fragment or item")
        if level.tag == PIXEL_DATA:
            self.has_odd_values |= bool(length & 1)
            return end
        self._enter(ITEM, end)
        return value

    def _in_item(self, level: Level, position: int, tag: int, vr: bytes, length: int, value: int) -> int:
        """Judge an element of an item, or the delimiter of the item."""
        if tag >> 16 == DELIMITERS:
            if tag == ITEM_END:
                if level.end == _OPEN:
                    self._layout = self._levels.pop().around
                return value
            if level.end != _OPEN:
                raise Lost
            raise Flaw(f"the end of an item is missing in its sequence {tag_name(self._levels[-2].tag)}")
        if tag == 0:
            return self._after_zeros(position)
        return self._element(tag, vr, length, value)

    def _element(self, tag: int, vr: bytes, length: int, value: int) -> int:
        """Enter a sequence or skip a value; returns the position of the next header."""
        index = value - self._page_start
        if not is_vr(vr) if vr else self._page[index - 4 : index - 2] in VRS:  # a VR where implicit VR has a length
            raise Lost
        if length == UNDEFINED:
            self._enter_open(tag, vr)
            return value
        end = value + length
        if end > self._size:
            if vr and vr not in VRS:
                raise Lost
            raise _cut_off("its pixel data" if tag == PIXEL_DATA else tag_name(tag))
        if vr == b"SQ" or (not vr and length >= SHORT_HEADER and self._page.startswith(_ITEM_BYTES, index)):
            self._enter(tag, end)
            return value
        self.has_odd_values |= bool(length & 1)
        return end

    def _enter_open(self, tag: int, vr: bytes) -> None:
        """Enter a sequence of undefined length, or encapsulated pixel data."""
        if tag != PIXEL_DATA and vr not in (b"SQ", b"UN", b""):
            raise Lost
        self._enter(tag, _OPEN)
        if vr == b"UN":  # a sequence in implicit VR little endian, in every transfer syntax (PS3.5 6.2.2)
            if self._layout is not EXPLICIT_LITTLE:  # some devices write it in big endian
                raise Lost
            self._layout = IMPLICIT_LITTLE

    def _enter(self, tag: int, end: int) -> None:
        if len(self._levels) == _DEEPEST:
            raise Lost
        self._levels.append(Level(tag, end, self._layout))

    def _turn_page(self, position: int) -> bool:
        """Read a page from ``position``; false if only padding is left."""
        self._pages_left -= 1
        if self._pages_left < 0 or time.monotonic() > self._deadline:
            raise Lost
        page = self._read(position, _STEP)
        self._page, self._page_start = page, position
        if len(page) < SHORT_HEADER:
            self._rest(position)
            return False
        if len(page) < LONG_HEADER:
            self._page = page + bytes(LONG_HEADER - len(page))
        self._last_in_page = position + len(self._page) - LONG_HEADER
        return True

    def _rest(self, position: int) -> int:
        """Judge the rest of the file, which is too short for a header; returns the end of the file."""
        rest = self._read(position, LONG_HEADER)
        if self._levels:
            raise _cut_off("an element's header") if any(rest) else _no_end_of(self._levels[-1].tag)
        if _may_begin_an_element(rest, self._last_tag, self._layout):
            raise _cut_off("an element's header")
        return self._behind(position)

    def _behind(self, position: int) -> int:
        """Judge the rest of the file, which is no element; returns the end of the file."""
        count = self._size - position
        is_padding = count <= MOST_PADDING and not count & 1
        if is_padding and not any(self._read(position, count)):
            return self._size
        what = "pixel data" if self._last_tag == PIXEL_DATA else "last element"
        if count == 1:
            raise Flaw("a byte stands behind its last element")
        raise Flaw(f"{count} bytes behind its {what} are no element")

    def _behind_or_lost(self, position: int, *, may_be_element: bool) -> int:
        """Judge the rest of the file like ``_behind``; if it may still be an element, it must be one repeated byte."""
        if may_be_element:
            index = position - self._page_start
            start = self._page[index : index + self._size - position]  # a short page has zeros behind it
            if start.strip(start[:1]):
                raise Lost
            start = self._read(position, min(self._size - position, MOST_PADDING))
            if start.strip(start[:1]):
                raise Lost
        return self._behind(position)

    def _read(self, position: int, count: int) -> bytes:
        if self._whole is not None:
            return self._whole[position : position + count]
        return read_at(self._descriptor, position, count)

    def _fits(self, position: int) -> bool:
        """Whether an element in another encoding may begin here: its length, in one of them, fits into the file."""
        index = position - self._page_start
        _, _, _, short, _ = self._layout.explicit.unpack_from(self._page, index)
        (long,) = self._layout.implicit.unpack_from(self._page, index)
        room = self._size - position - SHORT_HEADER
        return bool(short <= room or long <= room or long == UNDEFINED)

    def _after_zeros(self, position: int) -> int:
        """The position of the first header behind zeros in an item."""
        start = self._read(position, MOST_PADDING)
        zeros = len(start) - len(start.lstrip(b"\0"))
        self._pages_left -= zeros // _STEP
        if zeros == len(start):
            raise _no_end_of(self._levels[-1].tag)
        return position + max(zeros // SHORT_HEADER * SHORT_HEADER, SHORT_HEADER)


def _may_follow_pixel_data(tag: int) -> bool:
    """Whether a data set may have an element with this tag behind its pixel data."""
    group = tag >> 16
    return group in (_PIXEL_GROUP, _SIGNATURES) or tag == _TRAILING_PADDING or bool(group & 1 and tag & 0xFFF0)


def _may_begin_an_element(rest: bytes, last_tag: int, layout: Layout) -> bool:
    """Whether ``rest``, the end of a file, may be the beginning of a header."""
    if len(set(rest)) == 1:
        return False
    order = layout.byte_order
    group = int.from_bytes(rest[:2], order)
    if len(rest) < _TAG_BYTES:
        return len(rest) > 1 and not group & 1 and last_tag >> 16 <= group <= _PIXEL_GROUP
    tag = group << 16 | int.from_bytes(rest[2:4], order)
    if tag <= last_tag or tag > _TRAILING_PADDING or (last_tag >= PIXEL_DATA and not _may_follow_pixel_data(tag)):
        return False
    vr = rest[4:6]
    return layout.is_implicit or vr[:1].isalpha() or not vr


def _cut_off(where: str) -> Flaw:
    return Flaw(f"it is cut off within {where}")


def _no_end_of(tag: int) -> Flaw:
    """A sequence, an item or encapsulated pixel data of undefined length has no delimiter."""
    if tag == PIXEL_DATA:
        return Flaw("its encapsulated pixel data has no end: something else stands where its next fragment should be")
    if tag == ITEM:
        return Flaw("the end of an item is missing: there are nothing but zeros")
    return Flaw(f"its sequence {tag_name(tag)} has no end: something else stands where its next item should be")


def _nothing_but_zeros_in(tag: int) -> Flaw:
    """A sequence of defined length has a hole."""
    return Flaw(f"its sequence {tag_name(tag)} is damaged: zeros stand where its next item should be")


def _contradiction(kind: str, transfer_syntax_uid: str) -> Flaw:
    """The pixel data is native or encapsulated, and the transfer syntax demands the other."""
    from asyncstore.negotiation.names import name_of

    return Flaw(
        f"it contradicts itself: its pixel data is {kind}, but it is said to be in {name_of(transfer_syntax_uid)}"
    )
