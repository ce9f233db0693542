"""Check that a data set is complete before it is sent.

A broken copy or a full disk leaves files that begin well and end too early. Many SCPs store them without an error, so
the archive would lose data that both sides call stored.

Rules:

1. Nearly every image ends with its pixel data. The bytes that were read already show that: a regular expression skips
   the small elements (:mod:`~asyncstore.prepare.small_elements`), the others are read one by one.
2. Other data sets are walked element by element (:mod:`~asyncstore.prepare.element_walk`). Of a long file little more
   than the headers is read.
3. Only a certain flaw keeps a data set from being sent. If the walk loses its way (encodings that change, tags that do
   not ascend) or would take too long, the data set is sent and the SCP judges.
4. Values of odd length (PS3.5 7.1.1) are noticed in the first 8 kB of a file and by the walk of rule 2. No file is read
   only to find them, so two odd values or fragments behind the first 8 kB may go unnoticed if their sum is even.
5. Deflated data sets are inflated, 10 ms per megabyte. Those of up to 16 MiB are walked; of larger ones only the end of
   the deflated stream is checked.
"""

from __future__ import annotations

import time
import zlib

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
    UNCOMPRESSED,
    UNDEFINED,
    VRS,
    inflated_limit,
    is_encapsulated,
    layout_of,
)
from asyncstore.prepare.files import read_at
from asyncstore.prepare.small_elements import small_elements

NO_DATA_SET = "it has no data set after its file meta information"

_INFLATED_STEP = 1 << 18
"""Bytes of a deflated data set that are read and inflated at once, so that memory stays flat."""

_MOST_HELD = 1 << 24
"""Bytes of an inflated data set that a worker process holds to walk through them."""

_INFLATING_SECONDS = 3.0
"""Inflating stops after so many seconds, and the data set is sent."""

_ITEM_NUMBER = ITEM & 0xFFFF
_IS_ITEM_END = {ITEM_END & 0xFFFF: True, SEQUENCE_END & 0xFFFF: False}
"""The delimiters by their element numbers: whether they end an item or a sequence."""

_END_OF_FRAGMENTS = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""The last bytes of encapsulated pixel data (PS3.5 A.4)."""


def judge(descriptor: int, size: int, head: bytes, offset: int, transfer_syntax_uid: str) -> tuple[str | None, bool]:
    """Why a data set cannot be sent, or ``None``; and whether it has values of odd length.

    Args:
        descriptor: its file, open for reading.
        size: the size of the file in bytes.
        head: the first bytes of the file.
        offset: the position of the data set.
        transfer_syntax_uid: the transfer syntax of the data set.
    """
    if transfer_syntax_uid in DEFLATED:
        inflated = _inflated(descriptor, size, offset)
        if not isinstance(inflated, bytes):
            return inflated, False
        size, head, offset = len(inflated), inflated, 0
    elif _is_whole(descriptor, size, head, offset, transfer_syntax_uid):
        return None, False
    from asyncstore.prepare.element_walk import Flaw, Lost, Walk  # ordinary images do not need it

    walk = Walk(descriptor, size, head, transfer_syntax_uid)
    try:
        walk.to_the_end(offset)
    except Flaw as flaw:
        return str(flaw), False
    except Lost:
        pass
    return None, walk.has_odd_values or bool((size - offset) & 1)


def _is_whole(descriptor: int, size: int, head: bytes, position: int, transfer_syntax_uid: str) -> bool:  # noqa: C901 - split up, it takes twice as long
    """Whether a data set ends with pixel data that begins within ``head``, without a flaw before it (rule 1)."""
    skip, layout, unpack = small_elements(transfer_syntax_uid)
    is_in_item: list[bool] = []
    """For each open sequence or item of undefined length, whether it is an item."""
    last = len(head) - LONG_HEADER
    while (position := skip(head, position).end()) <= last:
        group, number, vr, _, length = unpack(head, position)
        if group == DELIMITERS:
            if number == _ITEM_NUMBER:
                (length,) = layout.implicit.unpack_from(head, position)
                if is_in_item[-1:] == [True] or (length == UNDEFINED and not is_in_item):
                    return False
                if length == UNDEFINED:
                    is_in_item.append(True)
            elif not is_in_item or is_in_item.pop() != _IS_ITEM_END.get(number):
                return False
            position += SHORT_HEADER
            continue
        tag = group << 16 | number
        if vr in LONG_VRS and not layout.is_implicit:
            position += LONG_HEADER
        else:
            tag, vr, length, header = layout.header(head, position)
            position += header
        if tag == PIXEL_DATA and not is_in_item and (length == UNDEFINED or position + length == size):
            return _ends_well(descriptor, size, head, position, length, transfer_syntax_uid)
        if not length & 1 and (not vr or vr in VRS):
            position += length
        elif length == UNDEFINED and vr in (b"SQ", b""):
            is_in_item.append(False)
        else:
            return False
    return False


def _ends_well(descriptor: int, size: int, head: bytes, value: int, length: int, transfer_syntax_uid: str) -> bool:
    """Whether the last element, pixel data, has an even length and fits the transfer syntax."""
    is_native = transfer_syntax_uid in UNCOMPRESSED
    if length != UNDEFINED:
        return not length & 1 and (is_native or not is_encapsulated(transfer_syntax_uid))
    if is_native:
        return False
    header = layout_of(transfer_syntax_uid).header
    while value + LONG_HEADER <= len(head):
        tag, _, length, _ = header(head, value)
        if tag != ITEM or length & 1:
            return False
        value += SHORT_HEADER + length
    if size <= len(head):
        return value + SHORT_HEADER == size and head.endswith(_END_OF_FRAGMENTS)
    end = read_at(descriptor, size - 2 * SHORT_HEADER, 2 * SHORT_HEADER)
    return end.endswith(_END_OF_FRAGMENTS) and not end.startswith(_END_OF_FRAGMENTS)  # some writers end it twice


def _inflated(descriptor: int, size: int, position: int) -> bytes | str | None:
    """A deflated data set, or why it cannot be inflated; ``None``: it is too large for memory."""
    pieces: list[bytes] = []
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = inflated_limit(size - position)
    deadline = time.monotonic() + _INFLATING_SECONDS
    piece = b""
    held = 0
    try:
        while not inflater.eof and left > 0 and time.monotonic() < deadline:
            if not piece:
                piece = read_at(descriptor, position, _INFLATED_STEP)
                position += len(piece)
            inflated = inflater.decompress(piece, _INFLATED_STEP)
            if not (piece or inflated or inflater.eof):
                return "it is cut off: its deflated data set has no end"
            piece = inflater.unconsumed_tail
            left -= len(inflated)
            held += len(inflated)
            if held <= _MOST_HELD:
                pieces.append(inflated)
            else:
                pieces.clear()
    except zlib.error as error:
        return f"its deflated data set is damaged: {error}"
    return b"".join(pieces) if inflater.eof and held <= _MOST_HELD else None
