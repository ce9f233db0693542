"""Convert the data sets of files, in a worker process.

Small results come back in memory, large ones in a file (:mod:`asyncstore.prepare.spool`). A large source is mapped into
memory, not read, so no process copies values that stay the same.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.prepare.elements import DEFLATED
from asyncstore.prepare.encoding import MAX_INFLATED, DamagedDataSet, Encoding, Unconvertible, encoding_of
from asyncstore.prepare.files import FileChanged, opened_unchanged, read_at
from asyncstore.prepare.messages import CONVERTED, CONVERTIBLE, LATER, SPLICED, UNSENDABLE
from asyncstore.prepare.reencode import Changes, NotCompressed, reencode
from asyncstore.prepare.splicing import NotOrdinary, TooShort, spliced
from asyncstore.prepare.spool import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.model import Instance, Payload
    from asyncstore.prepare.messages import Answer, Order
    from asyncstore.prepare.result import Chunk

_IN_MEMORY = 1 << 20
"""Data sets up to this size in bytes come back in memory: half of a reader's buffer, and 0.3 ms through a pipe."""

_MAPPED = 1 << 20
"""Files from this size on, in bytes, are mapped: reading is faster for smaller ones."""

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
    return (_converted(order, Changes(order.values, *settings[1:]), settings.folder) for order in orders)


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
        chunks = _chunks(order.instance, encoding_of(target), changes)
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
    payload = order.instance.payload
    for most in _GLANCES:
        try:
            data = payload.data or _beginning(payload, most)
            head, rest = spliced(data, order.transfer_syntax_uid, order.values)
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
    return (LATER,)


def _chunks(found: Instance, target: Encoding, changes: Changes) -> list[Chunk]:
    try:
        return reencode(found.data or _data_of(found), encoding_of(found.transfer_syntax_uid), target, changes)
    except DamagedDataSet as damage:
        raise Unconvertible(f"its data set is damaged and cannot be converted: {damage}") from damage
    except OSError as error:
        raise Unconvertible(f"cannot be read: {error.strerror}") from error
    except FileChanged as change:
        raise Unconvertible(str(change)) from change


def _beginning(payload: Payload, most: int) -> bytes:
    """The first bytes of a data set, at most ``most``."""
    descriptor = opened_unchanged(payload)
    try:
        return payload.head + read_at(descriptor, payload.offset, min(most, payload.length - len(payload.head)))
    finally:
        os.close(descriptor)


def _data_of(found: Instance) -> bytes | memoryview:
    """The data set of a file.

    If another program truncates a mapped file, this process dies (SIGBUS); the next one finds the file changed.
    """
    descriptor = opened_unchanged(found.payload)
    try:
        if found.length >= _MAPPED and not found.payload.head:
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
