"""A file's data set as it is to be sent, where that is not as it lies in the file: the work of a worker process.

What is small comes back in memory, what is large in a file of a folder that the orderer empties; so no process holds
more than one large data set, and none is sent through a pipe.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.ending import ODD_LENGTH
from asyncstore.prepare.probe import OPEN_FLAGS
from asyncstore.prepare.reencode import Changes, DamagedDataSet, Encoding, NotCompressed, encoding_of, reencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncstore.prepare.reencode import Chunk

_IN_MEMORY = 1 << 20
"""Bytes up to which a data set comes back in memory: half of a reader's buffer, and 0.3 ms through a pipe."""

_NEEDS_COMPRESSION = "its pixel data would have to be compressed"

_GLANCE = 1 << 16
"""Bytes within which the pixel data of nearly every instance begins."""

_UNCHANGED = Changes()
_numbers = count()


class Order(NamedTuple):
    """A data set to be converted.

    Attributes:
        instance: what is in the file.
        transfer_syntax_uid: what it is to be in.
        sop_instance_uid: what it is to be called.
        values: new values of elements, see :class:`~asyncstore.prepare.reencode.Changes`.
    """

    instance: Instance
    transfer_syntax_uid: str
    sop_instance_uid: str
    values: Mapping[int, bytes] = {}


def convert(orders: Iterable[Order], new_vrs: bool, deflate_level: int, folder: str) -> list[Instance | Unsendable]:  # noqa: FBT001 - they come through a pipe
    """What was ordered, in order; large data sets in files of ``folder``."""
    return [_converted(order, Changes(order.values, new_vrs, deflate_level), folder) for order in orders]


def obstacle(found: Instance, transfer_syntax_uid: str) -> str | None:
    """Why a data set cannot be converted, for who wants to know beforehand; ``None`` where it can be.

    Pixel data that would have to be compressed shows early, and is not read; all else is read as for sending.
    """
    target = encoding_of(transfer_syntax_uid)
    try:
        if _has_early_pixel_data(found, target):
            return _NEEDS_COMPRESSION
        _chunks(found, target)
    except NotCompressed:
        return _NEEDS_COMPRESSION
    except _Unconvertible as reason:
        return str(reason)
    return None


def _has_early_pixel_data(found: Instance, target: Encoding) -> bool:
    """Whether the beginning of a data set tells that its pixel data would have to be compressed."""
    if found.data is not None:
        return False
    try:
        reencode(_read(found, _GLANCE), encoding_of(found.transfer_syntax_uid), target, Changes())
    except NotCompressed:
        return True
    except (DamagedDataSet, OSError):
        pass  # the beginning is not the whole
    return False


class _Unconvertible(Exception):
    """The message is the reason."""


def _converted(order: Order, changes: Changes, folder: str) -> Instance | Unsendable:
    found, target, sop_instance_uid, _ = order
    try:
        chunks = _chunks(found, encoding_of(target), changes)
        length = sum(map(len, chunks))
        there = Instance(found.path, found.sop_class_uid, sop_instance_uid, target, 0, length)
        if length <= _IN_MEMORY:
            return there._replace(data=b"".join(chunks))
        return there._replace(path=_written(chunks, folder))
    except _Unconvertible as reason:
        return Unsendable(found.path, str(reason))
    except NotCompressed:
        from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - it is seldom needed

        return Unsendable(found.path, f"the peer takes it in {name_of(target)} only, and {_NEEDS_COMPRESSION}")


def _chunks(found: Instance, target: Encoding, changes: Changes = _UNCHANGED) -> list[Chunk]:
    try:
        data = found.data or _read(found)
        if len(data) != found.length:
            raise _Unconvertible("its size has changed since it was found")
        chunks = reencode(data, encoding_of(found.transfer_syntax_uid), target, changes)
    except DamagedDataSet as damage:
        raise _Unconvertible(f"its data set is damaged and cannot be converted: {damage}") from damage
    except OSError as error:
        raise _Unconvertible(f"cannot be read: {error.strerror}") from error
    if sum(map(len, chunks)) & 1:
        raise _Unconvertible(ODD_LENGTH)
    return chunks


def _read(found: Instance, most: int = -1) -> bytes:
    with os.fdopen(os.open(found.path, OPEN_FLAGS), "rb") as file:
        file.seek(found.offset)
        return file.read(most)


def _written(chunks: list[Chunk], folder: str) -> str:
    """The path of a file that holds them."""
    path = Path(folder, f"{os.getpid()}-{next(_numbers)}")
    try:
        with path.open("wb") as file:
            file.writelines(chunks)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _Unconvertible(f"no room for its converted data set in {folder}: {error.strerror}") from error
    return str(path)
