"""A walk over the elements of a data set in a file, from header to header: what it meets, and whether it ends well.

Rules:

1. Values are jumped over; items and sequences are entered, whatever kind of length they have, for odd values are looked
   for in them too. Some 60 ns for a small element, and 1 µs for others.
2. Only what is certain is said (:mod:`~asyncstore.prepare.flaws`): an element beyond the end of its file, a delimiter
   of the wrong kind, bytes behind the last element that cannot be one, pixel data of the wrong kind. Where the walk
   loses its way it ends with :class:`Lost`.
3. It is bounded: elements, bytes read, depth and seconds. Beyond that it is lost.
4. Zeros behind the last element do no harm: storescp and Orthanc take them. They are no padding any more, though,
   where they go on for a mebibyte.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.prepare.elements import (
    DEFLATED,
    DELIMITERS,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_HEADER,
    SHORT_VRS,
    UNCOMPRESSED,
    UNDEFINED,
    is_encapsulated,
    is_vr,
    layout_of,
    tag_name,
)
from asyncstore.prepare.flaws import Flaw, contradiction, cut_off, no_end_of, nothing_but_zeros_in
from asyncstore.prepare.small_elements import plain_elements

if TYPE_CHECKING:
    from asyncstore.prepare.elements import Layout

_SECONDS = 3.0
"""What looking at one data set may take; beyond that nothing is said of it."""
_MOST_ELEMENTS = 500_000
"""Half a second; a structure set with all its contours has some 100 000."""
_MOST_PAGES = 1 << 15
"""128 MiB read."""
_DEEPEST = 200
"""Sequences and items within each other; real ones have a handful."""

_STEP = 4096
"""Bytes read at once: a page, and mostly many elements."""
_MOST_ZEROS = 1 << 20
"""Bytes of padding, at most."""

_OPEN = sys.maxsize
"""Where a sequence or item of undefined length ends."""

_SIGNATURES = 0xFFFA
_TRAILING_PADDING = 0xFFFCFFFC
"""The last tag that a data set may have (PS3.10 7.2)."""
_LAST_PRIVATE_GROUP = 0xFFFB
_PIXEL_GROUP = PIXEL_DATA >> 16
_TAG_BYTES = 4


class Lost(Exception):
    """What stands there is not understood, or there is too much of it."""


class _Level(NamedTuple):
    """A sequence, an item, or encapsulated pixel data that the walk is in."""

    tag: int
    """Its own: that of the sequence or pixel data, or ``ITEM``."""
    end: int
    is_implicit_around: bool


class Walk:
    """A walk over one data set.

    Args:
        descriptor: its file, open for reading; not used where ``head`` is all of it.
        size: of the file, in bytes.
        head: what the file begins with.
        transfer_syntax_uid: of the data set.

    Attributes:
        has_odd_values: whether one of the values met so far has an odd length.
    """

    def __init__(self, descriptor: int, size: int, head: bytes, transfer_syntax_uid: str) -> None:
        self.has_odd_values = False
        self._descriptor = descriptor
        self._size = size
        self._transfer_syntax_uid = transfer_syntax_uid
        self._around = self._layout = layout_of(transfer_syntax_uid)
        self._levels: list[_Level] = []
        self._last_tag = -1
        """Of the data set itself, not of items."""
        self._whole = head if len(head) == size else None
        self._page = head
        self._page_start = 0
        self._last_in_page = len(head) - LONG_HEADER
        """Where the last header may begin."""
        self._pages_left = _MOST_PAGES
        self._deadline = time.monotonic() + _SECONDS

    def to_the_end(self, position: int) -> None:
        """Walk from ``position`` of the file to its end.

        Raises:
            Flaw: the data set cannot be sent.
            Lost: that cannot be told.
        """
        levels = self._levels
        for _ in range(_MOST_ELEMENTS):
            while levels and position >= levels[-1].end:
                self._leave()
            if position >= self._size:
                break
            position = self._over_small_elements(position) or self._step(position)
        else:
            raise Lost
        if levels:
            raise cut_off("a sequence")

    def _over_small_elements(self, position: int) -> int | None:
        """Pass over elements of this page that nothing needs to be said of; where to go on, ``None`` if here."""
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
            if tag >= PIXEL_DATA or self._last_tag >= PIXEL_DATA or (self._is_implicit and tag <= self._last_tag):
                return None  # then each tag is looked at
            self._last_tag = max(tag, self._last_tag)
        return start + stop

    def _step(self, position: int) -> int:
        """Look at what begins at ``position``; where to go on."""
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
        """Look at an element that is in no item."""
        is_new = tag > self._last_tag
        is_element = tag != 0 and (self._is_implicit or is_vr(vr)) and tag <= _TRAILING_PADDING
        if self._last_tag >= PIXEL_DATA:
            is_element = is_element and (vr in SHORT_VRS or vr in LONG_VRS or (is_new and _may_follow_pixel_data(tag)))
            if not is_element:
                return self._behind(position)
        elif not is_element or (self._is_implicit and not is_new):
            return self._behind_or_lost(position, may_be_element=tag != 0 and self._fits(position))
        if tag == PIXEL_DATA:
            self._check_pixel_data(length)
        if length != UNDEFINED and value + length > self._size:
            if self._last_tag >= PIXEL_DATA and not is_new:
                return self._behind(position)
            if tag == length or not is_new:  # blanks, and what else files are filled up with
                return self._behind_or_lost(position, may_be_element=True)
        self._last_tag = max(tag, self._last_tag)
        return self._element(tag, vr, length, value)

    def _check_pixel_data(self, length: int) -> None:
        uid = self._transfer_syntax_uid
        if length == UNDEFINED and (uid in UNCOMPRESSED or uid in DEFLATED):
            raise contradiction("encapsulated", uid)
        if length != UNDEFINED and is_encapsulated(uid):  # DCMTK aborts the association even where it is empty
            raise contradiction("native" if length else "native and empty", uid)

    def _in_sequence(self, level: _Level, tag: int, length: int, value: int) -> int:
        """Look at an item or fragment, or the end of them."""
        if tag == SEQUENCE_END:
            if level.end == _OPEN:
                self._leave()
            return value  # whatever its length says: readers do not look at it
        if tag != ITEM or (length == UNDEFINED and level.tag == PIXEL_DATA):
            if not tag:  # a hole, which may have terabytes
                raise no_end_of(level.tag) if level.end == _OPEN else nothing_but_zeros_in(level.tag)
            if level.end != _OPEN or (tag == ITEM_END and level.tag != PIXEL_DATA):
                raise Lost
            raise no_end_of(level.tag)
        if length == UNDEFINED:
            self._enter(ITEM, _OPEN)
            return value
        end = value + length
        if end > self._size:
            raise cut_off("a fragment or item")
        if level.tag == PIXEL_DATA:
            self.has_odd_values |= bool(length & 1)
            return end
        self._enter(ITEM, end)
        return value

    def _in_item(self, level: _Level, position: int, tag: int, vr: bytes, length: int, value: int) -> int:
        """Look at an element of an item, or its end."""
        if tag >> 16 == DELIMITERS:
            if tag == ITEM_END:
                if level.end == _OPEN:
                    self._leave()
                return value
            if level.end != _OPEN:
                raise Lost
            raise Flaw(f"the end of an item is missing in its sequence {tag_name(self._levels[-2].tag)}")
        if tag == 0:
            return self._after_zeros(position)
        return self._element(tag, vr, length, value)

    def _element(self, tag: int, vr: bytes, length: int, value: int) -> int:
        """Enter a sequence, or pass over a value; where to go on."""
        if not is_vr(vr) if vr else self._looks_explicit(value):
            raise Lost
        if length == UNDEFINED:
            self._enter_open(tag, vr)
            return value
        end = value + length
        if end > self._size:
            if vr and vr not in SHORT_VRS and vr not in LONG_VRS:
                raise Lost
            raise cut_off("its pixel data" if tag == PIXEL_DATA else tag_name(tag))
        if vr == b"SQ" or (not vr and length >= SHORT_HEADER and self._is_item_at(value)):
            self._enter(tag, end)
            return value
        self.has_odd_values |= bool(length & 1)
        return end

    def _enter_open(self, tag: int, vr: bytes) -> None:
        """Enter a sequence of undefined length, or encapsulated pixel data."""
        if tag != PIXEL_DATA and vr not in (b"SQ", b"UN", b""):
            raise Lost
        self._enter(tag, _OPEN)
        if vr == b"UN":  # in implicit VR little endian, whatever is around it (PS3.5 6.2.2)
            if self._around is not EXPLICIT_LITTLE:
                raise Lost
            self._layout = IMPLICIT_LITTLE

    @property
    def _is_implicit(self) -> bool:
        return self._layout.is_implicit

    def _looks_explicit(self, value: int) -> bool:
        """Whether a known VR stands where implicit VR has the length: more likely it is one, whatever is said of it."""
        index = value - SHORT_HEADER - self._page_start
        letters = self._page[index + 4 : index + 6]
        return letters in SHORT_VRS or letters in LONG_VRS

    def _is_item_at(self, position: int) -> bool:
        """Whether an item begins there; what is not on the page is not read for that."""
        index = position - self._page_start
        return self._page[index : index + _TAG_BYTES] == b"\xfe\xff\x00\xe0"

    def _enter(self, tag: int, end: int) -> None:
        if len(self._levels) == _DEEPEST:
            raise Lost
        self._levels.append(_Level(tag, end, self._is_implicit))

    def _leave(self) -> None:
        level = self._levels.pop()
        self._layout = IMPLICIT_LITTLE if level.is_implicit_around else self._around

    def _turn_page(self, position: int) -> bool:
        """Read on from ``position``; False where nothing but padding is left."""
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
        """Judge what is left of the file, too little for a header."""
        rest = self._read(position, LONG_HEADER)
        if self._levels:
            raise cut_off("an element's header") if any(rest) else no_end_of(self._levels[-1].tag)
        if _may_begin_an_element(rest, self._last_tag, self._layout):
            raise cut_off("an element's header")
        return self._behind(position)

    def _behind(self, position: int) -> int:
        """Judge the bytes from ``position`` on, which are no element; where to go on: at the end."""
        count = self._size - position
        is_padding = count <= _MOST_ZEROS and not count & 1 and not self.has_odd_values
        if is_padding and not any(self._read(position, count)):
            return self._size
        what = "pixel data" if self._last_tag == PIXEL_DATA else "last element"
        if count == 1:
            raise Flaw("a byte stands behind its last element")
        raise Flaw(f"{count} bytes behind its {what} are no element")

    def _behind_or_lost(self, position: int, *, may_be_element: bool) -> int:
        """Judge them where an element was expected: what may be one after all is left to the peer."""
        if may_be_element:
            index = position - self._page_start
            start = self._page[index : index + self._size - position]  # a short page has zeros behind it
            if start.strip(start[:1]):
                raise Lost
            start = self._read(position, min(self._size - position, _MOST_ZEROS))
            if start.strip(start[:1]):
                raise Lost
        return self._behind(position)

    def _read(self, position: int, count: int) -> bytes:
        if self._whole is not None:
            return self._whole[position : position + count]
        os.lseek(self._descriptor, position, os.SEEK_SET)
        return os.read(self._descriptor, count)

    def _fits(self, position: int) -> bool:
        """Whether an element that is not encoded like the others may begin there: its length does not lie."""
        index = position - self._page_start
        _, _, _, short, _ = self._layout.explicit.unpack_from(self._page, index)
        (long,) = self._layout.implicit.unpack_from(self._page, index)
        room = self._size - position - SHORT_HEADER
        return bool(short <= room or long <= room or long == UNDEFINED)

    def _after_zeros(self, position: int) -> int:
        """The first element of an item that is not all zeros."""
        start = self._read(position, _MOST_ZEROS)
        zeros = len(start) - len(start.lstrip(b"\0"))
        self._pages_left -= zeros // _STEP
        if zeros == len(start):
            raise no_end_of(self._levels[-1].tag)
        return position + max(zeros // SHORT_HEADER * SHORT_HEADER, SHORT_HEADER)


def _may_follow_pixel_data(tag: int) -> bool:
    """Whether a data set may have this tag behind its pixel data."""
    group = tag >> 16
    return group in (_PIXEL_GROUP, _SIGNATURES) or tag == _TRAILING_PADDING or bool(group & 1 and tag & 0xFFF0)


def _may_begin_an_element(rest: bytes, last_tag: int, layout: Layout) -> bool:
    """Whether a file that ends so may be cut off within the header of an element."""
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
