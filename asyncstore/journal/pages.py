"""The records in the pages of a damaged database, read without its trees.

Rules:

1. A tree whose upper pages are lost cannot be walked, though its rows are there. So each page is looked at by itself.
   The formats are those of https://www.sqlite.org/fileformat2.html, chapters 1.6 and 2.1.
2. A page that is no page of a tree, and a record that does not fit into its page, are passed over.
3. Nothing says which table a page belongs to: the caller tells by the columns.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.journal.schema import WIDTH
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.journal.querying import Value

_HEADER = 100
"""Bytes before the tree on the first page."""
_ROWS = 0x0D
"""The type of a page with rows of a table that has row numbers."""
_KEYS = {0x0A: 8, 0x02: 12}
"""The types of pages with rows of a table without row numbers, or of an index, and the bytes of their headers."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""The bytes of integers by their serial type."""
_ZERO, _ONE, _REAL = 8, 9, 7
_FIRST_BLOB = 12
_SIGN = 1 << 63


class Record(NamedTuple):
    """A record."""

    number: int | None
    """The number of its row; ``None``: its table has none, or it belongs to an index."""
    values: tuple[Value, ...]


def records(path: str) -> Iterator[Record]:
    """The records of all pages of the file at ``path``. Those that continue on other pages are left out.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        size = int.from_bytes(file.read(_HEADER)[16:18], "big")
        size = 1 << 16 if size == 1 else size
        if size < 512 or size & (size - 1):  # noqa: PLR2004 - the smallest page size
            size = 4096
        for at in range(0, os.stat(path).st_size - size + 1, size):
            file.seek(at)
            with suppress(OSError):  # a bad sector costs its page
                page = file.read(size)
                if len(page) == size:
                    yield from of_page(page, 0 if at else _HEADER)


def of_page(page: bytes, start: int) -> Iterator[Record]:
    """The records of one page, whose tree begins at ``start``."""
    kind = page[start]
    header = _KEYS.get(kind, 8)
    if kind != _ROWS and kind not in _KEYS:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + header
    if first + 2 * count > len(page):
        return
    most = len(page) - 35 if kind == _ROWS else (len(page) - 12) * 64 // 255 - 23
    for (at,) in struct.iter_unpack(">H", page[first : first + 2 * count]):
        try:
            record = _record(page, at + header - 8, most, has_number=kind == _ROWS)
        except (IndexError, ValueError):  # it does not fit into the page, or is no text
            continue
        if record is not None:
            yield record


def _record(page: bytes, at: int, most: int, *, has_number: bool) -> Record | None:
    """The record of the cell at ``at``; ``None``: it continues on another page."""
    length, at = _number(page, at)
    number = None
    if has_number:
        number, at = _number(page, at)
        number = (number ^ _SIGN) - _SIGN  # in nine bytes, negative ones are two's complements
    if length > most:
        return None
    end = at + length
    header_length, place = _number(page, at)
    value_at = at + header_length
    values: list[Value] = []
    while place < at + header_length:
        if len(values) == WIDTH:
            raise ValueError("a journal has no such row")
        kind, place = _number(page, place)
        value, value_at = _value(page, kind, value_at)
        values.append(value)
    if value_at != end or end > len(page):
        raise ValueError("its length is wrong")
    return Record(number, tuple(values))


def _value(page: bytes, kind: int, at: int) -> tuple[Value, int]:
    """The value of a serial type, and where it ends."""
    if kind == 0:
        return None, at
    if kind in (_ZERO, _ONE):
        return kind - _ZERO, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(page[at:end], "big", signed=True), end
    if kind < _FIRST_BLOB or kind == _REAL:
        raise ValueError("a journal has no such values")
    end = at + (kind - _FIRST_BLOB) // 2
    value = page[at:end]
    return (value.decode() if kind & 1 else value), end


def _number(page: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = page[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the last byte has its highest bit clear
            return value, place + 1
    return value << 8 | page[at + 8], at + 9
