"""Convert the data sets of files, in a worker process.

Small results come back in memory, large ones in a file (:mod:`asyncstore.prepare.spool`). A large source is mapped into
memory, not read, so no process copies values that stay the same.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.model import Oddity, Payload
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import SOP_CLASS_UID, SOP_INSTANCE_UID, Edit, Kind, Record, Step, from_plain
from asyncstore.prepare.elements import DEFLATED
from asyncstore.prepare.encoding import (
    MAX_INFLATED,
    DamagedDataSet,
    Encoding,
    Unconvertible,
    deflated,
    encoding_of,
    inflated,
)
from asyncstore.prepare.files import FileChanged, opened_unchanged, read_at
from asyncstore.prepare.messages import CONVERTED, CONVERTIBLE, LATER, SPLICED, UNSENDABLE
from asyncstore.prepare.reencode import Changes, NotCompressed, reencode
from asyncstore.prepare.splicing import NotOrdinary, TooShort, spliced
from asyncstore.prepare.spool import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.model import Instance
    from asyncstore.prepare.messages import Answer, Order
    from asyncstore.prepare.result import Chunk

_IN_MEMORY = 1 << 20
"""Data sets up to this size in bytes come back in memory: half of a reader's buffer, and 0.3 ms through a pipe."""

_MAPPED = 1 << 20
"""Files from this size on, in bytes, are mapped: reading is faster for smaller ones."""
_MAPPED_TO_LOOK = 1 << 16
"""The same if only the headers of elements are read."""

_NEEDS_COMPRESSION = "its pixel data would have to be compressed"
_NO_MEMORY = "converting it takes more memory than its size explains, or than there is"

_GLANCE = 1 << 16
"""The pixel data of nearly every instance begins within so many bytes."""

_GLANCES = (1 << 12, 1 << 20)
"""Nearly always, the elements that identify an instance stand within the first number of bytes."""
_LONGEST_HEAD = 1 << 13
"""Bytes of a new head, which is in memory until the instance is sent: as many as a small data set has there."""

_UNCHANGED = Changes()


class Settings(NamedTuple):
    """How to convert data sets.

    Attributes:
        folder: where large results are written.
        new_vrs: whether VRs younger than 1993 may be written.
        deflate_level: zlib's level, 0 to 9.
        max_inflated: the greatest size of an inflated data set, in bytes.
    """

    folder: str
    new_vrs: bool = True
    deflate_level: int = 6
    max_inflated: int = MAX_INFLATED


def convert(orders: Iterable[Order], settings: Settings) -> Iterator[Answer]:
    """Convert data sets, in order; large results lie in files that :func:`asyncstore.prepare.spool.take` opens."""
    return (_converted(order, Changes({}, *settings[1:]), settings.folder) for order in orders)


def edit(orders: Iterable[Order], settings: Settings) -> Iterator[Answer]:
    """Edit data sets that keep their transfer syntax, in order: only their heads change, or nothing yet."""
    del settings
    return map(_edited, orders)


def judge(orders: Iterable[Order], settings: Settings) -> Iterator[Answer]:
    """Tell whether each data set can be converted, in order."""
    for found, target, *_ in orders:
        reason = obstacle(found, target, settings.max_inflated)
        yield (CONVERTIBLE,) if reason is None else (UNSENDABLE, reason)


def memory_needed(orders: Iterable[Order], settings: Settings) -> int:
    """The most bytes of memory that these orders need, one after the other.

    The worst case is a data set of empty elements: it takes its own size, that of the copy, which is half as large
    again, and the room reserved for the copy to grow.
    """
    return max((_MOST_COPIES * _size(order.instance, settings) for order in orders), default=0)


_MOST_COPIES = 4


def _size(found: Instance, settings: Settings) -> int:
    return found.length + (settings.max_inflated if found.transfer_syntax_uid in DEFLATED else 0)


def obstacle(found: Instance, transfer_syntax_uid: str, max_inflated: int = MAX_INFLATED) -> str | None:
    """Why a data set cannot be converted; ``None`` if it can.

    The beginning of a data set shows whether its pixel data would have to be compressed; only others are read whole.
    """
    target = encoding_of(transfer_syntax_uid)
    try:
        if _has_early_pixel_data(found, target):
            return _NEEDS_COMPRESSION
        _chunks(found, target, Changes(max_inflated=max_inflated))
    except NotCompressed:
        return _NEEDS_COMPRESSION
    except MemoryError:
        return _NO_MEMORY
    except Unconvertible as reason:
        return str(reason)
    return None


def _has_early_pixel_data(found: Instance, target: Encoding) -> bool:
    """Whether the beginning of a data set shows that its pixel data would have to be compressed."""
    if found.data is not None:
        return False
    try:
        reencode(_beginning(found.payload, _GLANCE), encoding_of(found.transfer_syntax_uid), target, _UNCHANGED)
    except NotCompressed:
        return True
    except (DamagedDataSet, Unconvertible, OSError, FileChanged):
        pass  # the beginning is not the whole
    return False


def _converted(order: Order, changes: Changes, folder: str) -> Answer:
    target = order.transfer_syntax_uid
    try:
        if order.repairs:
            order = order._replace(instance=_mended(order.instance, *order.repairs))
        found = _edited_as_a_whole(order, changes) if order.edits else order.instance
        chunks = _chunks(found, encoding_of(target), changes)
        length = sum(map(len, chunks))
        if length <= _IN_MEMORY:
            return CONVERTED, None, length, b"".join(chunks)
        return CONVERTED, _written(chunks, folder), length, None
    except Unconvertible as reason:
        return UNSENDABLE, str(reason)
    except MemoryError:
        return UNSENDABLE, _NO_MEMORY
    except NotCompressed:
        from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - seldom needed

        return UNSENDABLE, f"the peer takes it in {name_of(target)} only, and {_NEEDS_COMPRESSION}"


def _edited(order: Order) -> Answer:
    values = order.values
    if values is None:
        return _edited_with_care(order)
    payload = order.instance.payload
    for most in _GLANCES:
        try:
            data = payload.data or _beginning(payload, most)
            head, rest = spliced(data, order.transfer_syntax_uid, values)
        except TooShort:
            if payload.data is None and most < payload.length:
                continue
            break
        except (NotOrdinary, OSError, FileChanged):
            break
        if payload.data is not None:
            whole = head + payload.data[rest:]
            return CONVERTED, None, len(whole), whole
        if len(head) > _LONGEST_HEAD:
            break
        return SPLICED, head, payload.offset + rest, payload.length - rest
    return _edited_with_care(order) if order.edits else (LATER,)


def _edited_with_care(order: Order) -> Answer:
    """Edit a data set element by element."""
    found = order.instance
    payload = found.payload
    try:
        data = _whole(found, _MAPPED_TO_LOOK)
        pieces = edited(data, order.transfer_syntax_uid, from_plain(order.edits), _record_of(order))
    except (Uneditable, Unconvertible) as reason:
        return UNSENDABLE, str(reason)
    length = sum(map(len, pieces))
    if payload.data is not None or length <= _LONGEST_HEAD:
        return CONVERTED, None, length, b"".join(pieces)
    rest = len(pieces[-1]) if isinstance(pieces[-1], memoryview) else 0
    if length - rest > _LONGEST_HEAD or (length - rest) & 1 or not rest:
        return (LATER,)
    return SPLICED, b"".join(pieces[:-1]), payload.offset + payload.length - rest, rest


def _edited_as_a_whole(order: Order, changes: Changes) -> Instance:
    """An instance with its edited data set in memory, in its own transfer syntax."""
    found = order.instance
    data, encoding = _whole(found, _MAPPED), encoding_of(found.transfer_syntax_uid)
    try:
        if encoding.is_deflated:
            data = inflated(data, changes.max_inflated)
    except DamagedDataSet as damage:
        raise _damaged(damage) from damage
    try:
        pieces = edited(data, found.transfer_syntax_uid, from_plain(order.edits), _record_of(order))
    except Uneditable as reason:
        raise Unconvertible(str(reason)) from reason
    whole = b"".join(deflated(pieces, changes.deflate_level) if encoding.is_deflated else pieces)
    return found._replace(payload=Payload(found.path, 0, len(whole), None, whole))


def _mended(found: Instance, oddities: int, sop_class_uid: str, sop_instance_uid: str) -> Instance:
    """An instance with its mended data set in memory."""
    from asyncstore.prepare.element_walk import Flaw, Lost  # noqa: PLC0415 - few runs mend
    from asyncstore.prepare.repair import with_item_ends  # noqa: PLC0415 - as above

    data, transfer_syntax_uid = bytes(_whole(found, _MAPPED)), found.transfer_syntax_uid
    if oddities & Oddity.ITEMS_ENDED:
        try:
            data = with_item_ends(data, transfer_syntax_uid)
        except (Flaw, Lost) as flaw:
            raise Unconvertible(f"it cannot be repaired: {flaw}") from flaw
    if oddities & Oddity.UIDS_ADDED:
        uids = ((SOP_CLASS_UID, sop_class_uid), (SOP_INSTANCE_UID, sop_instance_uid))
        edits = [Edit(Kind.SET, (Step(tag),), uid, "UI") for tag, uid in uids]
        try:
            data = b"".join(edited(data, transfer_syntax_uid, edits))
        except Uneditable as reason:
            raise Unconvertible(f"it cannot be repaired: {reason}") from reason
    return found._replace(payload=Payload(found.path, 0, len(data), None, data))


def _record_of(order: Order) -> Record | None:
    return Record._make(order.record) if order.record else None


def _whole(found: Instance, mapped: int) -> bytes | memoryview:
    """The data set; a file of at least ``mapped`` bytes is mapped."""
    try:
        return found.data or _data_of(found, mapped)
    except OSError as error:
        raise Unconvertible(f"cannot be read: {error.strerror}") from error
    except FileChanged as change:
        raise Unconvertible(str(change)) from change


def _damaged(damage: DamagedDataSet) -> Unconvertible:
    return Unconvertible(f"its data set is damaged and cannot be converted: {damage}")


def _chunks(found: Instance, target: Encoding, changes: Changes) -> list[Chunk]:
    try:
        return reencode(_whole(found, _MAPPED), encoding_of(found.transfer_syntax_uid), target, changes)
    except DamagedDataSet as damage:
        raise _damaged(damage) from damage


def _beginning(payload: Payload, most: int) -> bytes:
    """The first bytes of a data set, at most ``most``."""
    descriptor = opened_unchanged(payload)
    try:
        return payload.head + read_at(descriptor, payload.offset, min(most, payload.length - len(payload.head)))
    finally:
        os.close(descriptor)


def _data_of(found: Instance, mapped: int) -> bytes | memoryview:
    """The data set of a file.

    If another program truncates a mapped file, this process dies (SIGBUS); the next one finds the file changed.
    """
    descriptor = opened_unchanged(found.payload)
    try:
        if found.length >= mapped and not found.payload.head:
            before = found.offset % mmap.ALLOCATIONGRANULARITY
            whole = mmap.mmap(descriptor, before + found.length, access=mmap.ACCESS_READ, offset=found.offset - before)
            return memoryview(whole)[before:]
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(found.offset)
            return found.payload.head + file.read(found.length - len(found.payload.head))
    finally:
        os.close(descriptor)


def _written(chunks: list[Chunk], folder: str) -> str:
    """Write chunks to a file and return its path."""
    try:
        return write(chunks, folder)
    except OSError as error:
        raise Unconvertible(f"no room for its converted data set in {folder}: {error.strerror}") from error
