"""Whether a data set is all there: whether its last element ends where its file does.

A copy that broke off and a disk that was full leave files that begin as they should. An SCP that looks no closer takes
them, and an archive has lost what both sides call stored. So the end is looked at before anything is sent.

Rules:

1. What ends with its pixel data, as nearly every image does, is recognised by the header of those among the bytes that
   were read already: 1 µs, and 2 more where the end of compressed pixel data is looked up.
2. Anything else is walked from element to element, over the values, into what has no length of its own: some 0.5 µs
   an element. Of a long file little more than the headers is read.
3. Only what is certain is said: an element that reaches beyond the end of its file, an end within a header or within a
   sequence. Where the walk loses its way (unknown VRs, tags that do not ascend, padding after the end) nothing is
   said, and the SCP judges.
4. Deflated data sets, which are rare, are inflated to nowhere: some 10 ms for each megabyte.
"""

from __future__ import annotations

import os
import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncstore.model import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
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

NO_DATA_SET = "it has no data set after its file meta information"
ODD_LENGTH = "its data set has an odd length: the file is cut off or damaged"
"""What else is wrong with an end."""

_STEP = 4096
"""Bytes read at once on a walk: a page, and mostly many elements."""

_INFLATED_STEP = 1 << 18
"""Bytes read and inflated at once of a deflated data set: memory stays flat."""

_END_OF_FRAGMENTS = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""How compressed pixel data ends (PS3.5 A.4)."""

_TRAILING_PADDING = 0xFFFCFFFC
"""The last tag that a data set may have (PS3.10 7.2)."""


class _Layout(NamedTuple):
    """How the headers of an encoding look."""

    is_implicit: bool
    explicit: Struct
    """Group, element number, VR, a length of 16 bits, and what is a length of 32 bits if the VR has one."""
    implicit: Struct
    """The length alone."""
    pixel_data: bytes
    """Its tag."""
    pixel_data_header: int
    """Bytes of its header, which end with the length."""


_EXPLICIT_LITTLE: Final = _Layout(
    is_implicit=False,
    explicit=Struct("<HH2sHI"),
    implicit=Struct("<4xI"),
    pixel_data=b"\xe0\x7f\x10\x00",
    pixel_data_header=LONG_HEADER,
)
_LAYOUTS: Mapping[str, _Layout] = {
    IMPLICIT_VR_LITTLE_ENDIAN: _EXPLICIT_LITTLE._replace(is_implicit=True, pixel_data_header=SHORT_HEADER),
    EXPLICIT_VR_BIG_ENDIAN: _Layout(
        is_implicit=False,
        explicit=Struct(">HH2sHI"),
        implicit=Struct(">4xI"),
        pixel_data=b"\x7f\xe0\x00\x10",
        pixel_data_header=LONG_HEADER,
    ),
}


def why_cut_off(descriptor: int, size: int, head: bytes, offset: int, transfer_syntax_uid: str) -> str | None:
    """How it shows that a data set is not all there; ``None`` for one that is, and where it does not show.

    Args:
        descriptor: its file, open for reading.
        size: of the file, in bytes.
        head: what the file begins with.
        offset: where the data set begins.
        transfer_syntax_uid: of the data set.
    """
    if transfer_syntax_uid in DEFLATED:
        return _why_not_inflated(descriptor, size, offset)
    layout = _LAYOUTS.get(transfer_syntax_uid, _EXPLICIT_LITTLE)
    if _ends_with_pixel_data(descriptor, size, head, offset, layout):
        return None
    return _Walk(descriptor, size, head, layout).why_cut_off(offset)


def _ends_with_pixel_data(descriptor: int, size: int, head: bytes, offset: int, layout: _Layout) -> bool:
    """Whether pixel data that begins within ``head`` ends the file."""
    at = head.find(layout.pixel_data, offset)
    value = at + layout.pixel_data_header
    if at < 0 or value > len(head):
        return False
    (length,) = layout.implicit.unpack_from(head, value - layout.implicit.size)
    if length == UNDEFINED:
        return _read(descriptor, size - len(_END_OF_FRAGMENTS), len(_END_OF_FRAGMENTS)) == _END_OF_FRAGMENTS
    return bool(value + length == size)


class _CutOff(Exception):
    """The message says within what."""


class _Lost(Exception):
    """What stands there is not understood."""


class _Walk:
    """A walk over the elements of a data set, a page of its file at a time."""

    def __init__(self, descriptor: int, size: int, head: bytes, layout: _Layout) -> None:
        self._descriptor = descriptor
        self._size = size
        self._layout = layout
        self._is_implicit = layout.is_implicit
        self._enclosing: list[bool] = []
        """Sequences and items without a length that have not ended: whether what is around each is implicit."""
        self._last_tag = -1
        """Of the data set itself, not of items."""
        self._page = head
        self._page_start = 0
        self._last_in_page = len(head) - LONG_HEADER
        """Where the last header may begin."""

    def why_cut_off(self, position: int) -> str | None:
        """Walk from ``position`` of the file to its end."""
        try:
            self._to_the_end(position)
        except _CutOff as reason:
            return f"it is cut off within {reason}"
        except _Lost:
            pass
        return None

    def _to_the_end(self, position: int) -> None:
        while position < self._size:
            tag, vr, length, value = self._header(position)
            if tag in (SEQUENCE_END, ITEM_END):
                self._leave()
                length = 0  # whatever it says: readers do not look at it
            elif not self._enclosing:
                self._go_on_to(tag)
            if length == UNDEFINED:
                self._enter(vr)
                position = value
                continue
            position = value + length
            if position > self._size:
                raise self._beyond_the_end(tag, length, value)
        if self._enclosing:
            raise _CutOff("a sequence")

    def _go_on_to(self, tag: int) -> None:
        if not self._last_tag < tag <= _TRAILING_PADDING:
            raise _Lost
        self._last_tag = tag

    def _enter(self, vr: bytes) -> None:
        self._enclosing.append(self._is_implicit)
        if vr == b"UN":  # in implicit VR little endian, whatever is around it (PS3.5 6.2.2)
            if self._layout is not _EXPLICIT_LITTLE:
                raise _Lost
            self._is_implicit = True

    def _leave(self) -> None:
        if not self._enclosing:
            raise _Lost
        self._is_implicit = self._enclosing.pop()

    def _header(self, position: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, length and beginning of the value of the element at ``position``."""
        if position > self._last_in_page:
            self._turn_page(position)
        index = position - self._page_start
        group, number, vr, length, long_length = self._layout.explicit.unpack_from(self._page, index)
        tag = group << 16 | number
        if self._is_implicit and group != DELIMITERS and (vr in SHORT_VRS or vr in LONG_VRS):
            raise _Lost  # it may be a length, but more likely this is explicit, whatever is said of it
        if self._is_implicit or group == DELIMITERS:
            return tag, b"", self._layout.implicit.unpack_from(self._page, index)[0], position + SHORT_HEADER
        if vr in SHORT_VRS:
            return tag, vr, length, position + SHORT_HEADER
        if vr in LONG_VRS:
            return tag, vr, long_length, position + LONG_HEADER
        raise _Lost

    def _turn_page(self, position: int) -> None:
        page = _read(self._descriptor, position, _STEP)
        if len(page) < SHORT_HEADER:
            raise self._within_header(page)
        if len(page) < LONG_HEADER:
            page += bytes(LONG_HEADER - len(page))
        self._page, self._page_start, self._last_in_page = page, position, position + len(page) - LONG_HEADER

    def _beyond_the_end(self, tag: int, length: int, value: int) -> Exception:
        """What to say where an element of ``length`` bytes from ``value`` on reaches beyond the end of the file."""
        if value > self._size:
            return self._within_header(self._page)
        if tag == length:
            return _Lost()  # blanks, and what else files are filled up with
        what = "its pixel data" if tag == PIXEL_DATA else "a fragment or item" if tag == ITEM else tag_name(tag)
        return _CutOff(what)

    def _within_header(self, rest: bytes) -> Exception:
        """What to say where nothing but ``rest`` is left of the file, too little for a header."""
        is_complete = self._last_tag >= PIXEL_DATA and not self._enclosing
        return _Lost() if is_complete or not any(rest) else _CutOff("an element's header")


def _why_not_inflated(descriptor: int, size: int, position: int) -> str | None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = inflated_limit(size - position)
    piece = b""
    try:
        while not inflater.eof and left > 0:
            if not piece:
                piece = _read(descriptor, position, _INFLATED_STEP)
                position += len(piece)
            inflated = inflater.decompress(piece, _INFLATED_STEP)
            if not (piece or inflated or inflater.eof):
                return "it is cut off: its deflated data set has no end"
            piece = inflater.unconsumed_tail
            left -= len(inflated)
    except zlib.error as error:
        return f"its deflated data set is damaged: {error}"
    return None


def _read(descriptor: int, position: int, count: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, count)
