"""The data sets of files, as worker processes read them."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.files import check_unchanged, opened_unchanged, read_at

if TYPE_CHECKING:
    from asyncstore.model import Instance, Payload

MAPPED = 1 << 20
"""Files from this size on, in bytes, are mapped: reading is faster for smaller ones."""


def whole(found: Instance, mapped: int | None = None) -> bytes | memoryview:
    """A data set; if it has at least ``mapped`` bytes, its file is mapped.

    If another program truncates a mapped file, this process dies (SIGBUS); the next one finds the file changed.

    Raises:
        Unconvertible: it cannot be read.
        FileChanged: the file is another one now, or was changed.
    """
    if found.payload.data is not None:
        return found.payload.data
    try:
        return _read(found.payload, MAPPED if mapped is None else mapped)
    except OSError as error:
        raise Unconvertible(f"cannot be read: {error.strerror}") from error


def _read(payload: Payload, mapped: int) -> bytes | memoryview:
    descriptor = opened_unchanged(payload)
    try:
        if payload.length >= mapped and not payload.head:
            before = payload.offset % mmap.ALLOCATIONGRANULARITY
            length = before + payload.length
            file_map = mmap.mmap(descriptor, length, access=mmap.ACCESS_READ, offset=payload.offset - before)
            return memoryview(file_map)[before:]
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(payload.offset)
            return payload.head + file.read(payload.length - len(payload.head))
    finally:
        os.close(descriptor)


def confirm(payload: Payload) -> None:
    """Check that a file has not changed while its data set was read.

    Raises:
        Unconvertible: it is gone.
        FileChanged: it is another file now, or was changed.
    """
    if payload.data is None:
        try:
            check_unchanged(payload, os.stat(payload.container))
        except OSError as error:
            raise Unconvertible(f"cannot be opened any more: {error.strerror}") from error


def beginning_of(payload: Payload, most: int) -> bytes:
    """The first bytes of a data set, at most ``most``.

    Raises:
        OSError: they cannot be read.
        FileChanged: the file is another one now, or was changed.
    """
    descriptor = opened_unchanged(payload)
    try:
        return payload.head + read_at(descriptor, payload.offset, min(most, payload.length - len(payload.head)))
    finally:
        os.close(descriptor)
