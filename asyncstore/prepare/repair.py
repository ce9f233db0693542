"""Mend data sets that are refused otherwise, if the user asks for it.

Rules:

1. Only flaws that have one right remedy are mended: bytes behind the last element are not sent, the end of an item is
   written where another item, or the end of its sequence, begins within it, and SOP class and instance UID are written
   into a data set that lacks them. Everything else stays refused.
   Bytes behind the last element may be the rest of a damaged data set. They are dropped only behind pixel data that is
   as long as its attributes say, or if they are all the same.
2. The walk that found the flaw (:mod:`~asyncstore.prepare.element_walk`) must reach the end of the data set.
3. The files stay as they are. Bytes behind the last element are left out by the length of the payload; the rest is
   mended when the data set is converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Oddity
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.edits import SOP_INSTANCE_UID
from asyncstore.prepare.element_walk import MOST_PADDING, Flaw, Lost, Walk
from asyncstore.prepare.elements import (
    DEFLATED,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_HEADER,
    UNCOMPRESSED,
    UNDEFINED,
    item_header,
    layout_of,
)
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.lenient_probe import lacks_uids, uids_in_data_set
from asyncstore.prepare.splitting import native_end

if TYPE_CHECKING:
    from asyncstore.prepare.element_walk import Level

_MOST_HEADERS = 100
_GLANCE = 1 << 20
"""The pixel data of nearly every instance begins within so many bytes, also behind private elements of MR slices."""


class Mended(NamedTuple):
    """How a data set is mended."""

    oddities: int
    """Flags of :class:`~asyncstore.model.Oddity`."""
    end: int
    """The position of its end in its file."""


class _MendingWalk(Walk):
    """A walk that goes on behind a flaw that can be mended.

    Attributes:
        end: where the data set ends.
        item_ends: where the end of an item is missing, and how it is encoded.
    """

    def __init__(self, descriptor: int, size: int, head: bytes, transfer_syntax_uid: str) -> None:
        super().__init__(descriptor, size, head, transfer_syntax_uid)
        self.end = size
        self.item_ends: list[tuple[int, bytes]] = []
        self._start = 0

    def to_the_end(self, position: int) -> None:
        self._start = position
        super().to_the_end(position)

    def _behind(self, position: int) -> int:
        try:
            return super()._behind(position)
        except Flaw:
            if not (self._is_filler(position) if self._last_tag < PIXEL_DATA else self._is_behind_pixels(position)):
                raise
            self.end = position
            return self._size

    def _is_filler(self, position: int) -> bool:
        """Whether the bytes from ``position`` on are all the same, and not too many."""
        rest = self._read(position, MOST_PADDING + 1)
        return len(rest) <= MOST_PADDING and not rest.strip(rest[:1])

    def _is_behind_pixels(self, position: int) -> bool:
        """Whether pixel data that is native may end before ``position``, by its attributes."""
        uid = self._transfer_syntax_uid
        if uid not in UNCOMPRESSED:
            return True
        beginning = self._read(self._start, min(position - self._start, _GLANCE))
        end = native_end(beginning, encoding_of(uid))
        return end is None or self._start + end <= position

    def _in_item(self, level: Level, position: int, tag: int, vr: bytes, length: int, value: int) -> int:
        if tag in (SEQUENCE_END, ITEM) and all(around.is_open for around in self._levels):  # others would get longer
            self.item_ends.append((position, item_header(ITEM_END, 0, self._layout.byte_order)))
            self._layout = self._levels.pop().around
            return position
        return super()._in_item(level, position, tag, vr, length, value)


def look(descriptor: int, size: int, head: bytes, meta: tuple[str, str, str, int], reason: str | None) -> Mended | None:
    """How to mend the instance in a file; ``None``: it is not mended.

    Args:
        descriptor: the file, open for reading.
        size: its size in bytes.
        head: its first bytes.
        meta: the UIDs of the instance, and the position of its data set.
        reason: why the data set cannot be sent; ``None``: it can.
    """
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, offset = meta
    oddities, end = 0, size
    if transfer_syntax_uid in DEFLATED:
        return None
    if reason is not None:
        walk = _MendingWalk(descriptor, size, head, transfer_syntax_uid)
        try:
            walk.to_the_end(offset)
        except (Flaw, Lost):
            return None
        end = walk.end
        oddities |= Oddity.TAIL_DROPPED if end < size else 0
        oddities |= Oddity.ITEMS_ENDED if walk.item_ends else 0
        oddities |= Oddity.ODD_VALUES if walk.has_odd_values or (end - offset) & 1 else 0
        if not oddities & (Oddity.TAIL_DROPPED | Oddity.ITEMS_ENDED):
            return None
    if sop_class_uid and sop_instance_uid and _data_set_lacks_uids(head, offset, end, transfer_syntax_uid):
        oddities |= Oddity.UIDS_ADDED
    if offset and lacks_uids(head):
        oddities |= Oddity.META_COMPLETED
    return Mended(int(oddities), end) if oddities else None


def with_item_ends(data: bytes, transfer_syntax_uid: str) -> bytes:
    """A data set with the ends of its items.

    Raises:
        Flaw: it has another flaw.
        Lost: the walk does not understand it.
    """
    walk = _MendingWalk(-1, len(data), data, transfer_syntax_uid)
    walk.to_the_end(0)
    parts: list[bytes] = []
    start = 0
    for position, end in walk.item_ends:
        parts += (data[start:position], end)
        start = position
    return b"".join((*parts, data[start:]))


def _data_set_lacks_uids(head: bytes, position: int, end: int, transfer_syntax_uid: str) -> bool:
    """Whether a data set that ends at ``end`` certainly lacks its SOP class or its SOP instance UID."""
    if uids_in_data_set(head[position:end], transfer_syntax_uid) is not None:
        return False
    layout = layout_of(transfer_syntax_uid)
    page = head + bytes(LONG_HEADER - SHORT_HEADER)
    for _ in range(_MOST_HEADERS):
        if position == end:
            return True
        if position + SHORT_HEADER > len(head):
            return False
        tag, _, length, header = layout.header(page, position)
        if tag > SOP_INSTANCE_UID:
            return True
        if length == UNDEFINED:
            return False
        position += header + length
    return False
