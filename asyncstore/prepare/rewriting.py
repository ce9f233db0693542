"""Edit and mend the data sets of files, in a worker process.

Before an instance waits to be sent, only its head is written anew (:func:`edit`). What cannot be done so is done when
the data set is converted (:func:`changed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Oddity, Payload
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import SOP_CLASS_UID, SOP_INSTANCE_UID, Edit, Kind, Record, Step, from_plain
from asyncstore.prepare.encoding import DamagedDataSet, Unconvertible, deflated, encoding_of, inflated
from asyncstore.prepare.files import FileChanged
from asyncstore.prepare.messages import CONVERTED, LATER, SPLICED, UNSENDABLE
from asyncstore.prepare.source_data import beginning_of, whole
from asyncstore.prepare.splicing import NotOrdinary, TooShort, spliced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.model import Instance
    from asyncstore.prepare.messages import Answer, Order

_GLANCES = (1 << 12, 1 << 20)
"""Nearly always, the elements that identify an instance stand within the first number of bytes."""
_LONGEST_HEAD = 1 << 13
"""Bytes of a new head, which is in memory until the instance is sent: as many as a small data set has there."""
_MAPPED = 1 << 16
"""Files from this size on, in bytes, are mapped: little more than the headers of elements is read of them."""


def edit(orders: Iterable[Order]) -> Iterator[Answer]:
    """Edit data sets that keep their transfer syntax, in order: only their heads change, or nothing yet."""
    return map(_edited, orders)


def memory_to_edit(orders: Iterable[Order]) -> int:
    """The most bytes of memory that these orders need, one after the other."""
    return max((order.instance.length for order in orders if order.edits), default=0)


def changed(order: Order, deflate_level: int, max_inflated: int) -> Instance:
    """The instance of an order, mended and edited, in its own transfer syntax; then its data set is in memory.

    Raises:
        Unconvertible: it cannot be.
        FileChanged: its file is another one now, or was changed.
    """
    found = order.instance
    if order.repairs:
        found = _mended(found, *order.repairs)
    if order.edits:
        found = _edited_as_a_whole(found, order, deflate_level, max_inflated)
    return found


def _edited(order: Order) -> Answer:
    values = order.values
    if values is None:
        return _edited_with_care(order)
    payload = order.instance.payload
    for most in _GLANCES:
        try:
            data = payload.data or beginning_of(payload, most)
            head, rest = spliced(data, order.transfer_syntax_uid, values)
        except TooShort:
            if payload.data is None and most < payload.length:
                continue
            break
        except (NotOrdinary, OSError, FileChanged):
            break
        if payload.data is not None:
            data_set = head + payload.data[rest:]
            return CONVERTED, None, len(data_set), data_set
        if len(head) > _LONGEST_HEAD:
            break
        return SPLICED, head, payload.offset + rest, payload.length - rest
    return _edited_with_care(order) if order.edits else (LATER,)


def _edited_with_care(order: Order) -> Answer:
    """Edit a data set element by element."""
    found = order.instance
    payload = found.payload
    try:
        pieces = edited(whole(found, _MAPPED), order.transfer_syntax_uid, from_plain(order.edits), _record_of(order))
    except (Uneditable, Unconvertible, FileChanged) as reason:
        return UNSENDABLE, str(reason)
    length = sum(map(len, pieces))
    if payload.data is not None or length <= _LONGEST_HEAD:
        return CONVERTED, None, length, b"".join(pieces)
    rest = len(pieces[-1])
    if length - rest > _LONGEST_HEAD or (length - rest) & 1 or not rest:
        return (LATER,)
    return SPLICED, b"".join(pieces[:-1]), payload.offset + payload.length - rest, rest


def _edited_as_a_whole(found: Instance, order: Order, deflate_level: int, max_inflated: int) -> Instance:
    data, encoding = whole(found), encoding_of(found.transfer_syntax_uid)
    try:
        if encoding.is_deflated:
            data = inflated(data, max_inflated)
        pieces = edited(data, found.transfer_syntax_uid, from_plain(order.edits), _record_of(order))
    except DamagedDataSet as damage:
        raise Unconvertible(f"its data set is damaged and cannot be edited: {damage}") from damage
    except Uneditable as reason:
        raise Unconvertible(str(reason)) from reason
    return _in_memory(found, b"".join(deflated(pieces, deflate_level) if encoding.is_deflated else pieces))


def _mended(found: Instance, oddities: int, sop_class_uid: str, sop_instance_uid: str) -> Instance:
    from asyncstore.prepare.element_walk import Flaw, Lost  # few runs mend
    from asyncstore.prepare.repair import with_item_ends

    data, transfer_syntax_uid = bytes(whole(found)), found.transfer_syntax_uid
    try:
        if oddities & Oddity.ITEMS_ENDED:
            data = with_item_ends(data, transfer_syntax_uid)
        if oddities & Oddity.UIDS_ADDED:
            uids = ((SOP_CLASS_UID, sop_class_uid), (SOP_INSTANCE_UID, sop_instance_uid))
            edits = [Edit(Kind.SET, (Step(tag),), uid, "UI") for tag, uid in uids]
            data = b"".join(edited(data, transfer_syntax_uid, edits))
    except (Flaw, Lost, Uneditable) as reason:
        raise Unconvertible(f"it cannot be repaired: {reason}") from reason
    return _in_memory(found, data)


def _in_memory(found: Instance, data: bytes) -> Instance:
    return found._replace(payload=Payload(found.path, 0, len(data), None, data))


def _record_of(order: Order) -> Record | None:
    return Record._make(order.record) if order.record else None
