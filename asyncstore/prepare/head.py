"""Read what an instance belongs to from the beginning of its data set: patient, study and series.

Rules:

1. Only elements of the data set itself count. Sequences are skipped, with all elements inside.
2. One regular expression matches runs of small elements and captures the wanted ones
   (:mod:`~asyncstore.prepare.small_elements`): 5 µs for an ordinary image. Other headers are read one by one.
3. The data set has been judged before (:mod:`~asyncstore.prepare.completeness`). Here damage ends the reading: it
   raises nothing, and what was not found stays empty.
4. The reading is bounded: headers, and pages of the file. Of a deflated data set the first bytes are inflated.
"""

from __future__ import annotations

import zlib

from asyncstore.model import Head
from asyncstore.prepare.elements import (
    DEFLATED,
    DELIMITERS,
    IMPLICIT_LITTLE,
    ITEM_END,
    LONG_HEADER,
    SEQUENCE_END,
    UID_PADDING,
    UNDEFINED,
    layout_of,
)
from asyncstore.prepare.files import read_at
from asyncstore.prepare.small_elements import head_elements, plain_elements

_STUDY_DATE = 0x0008_0020
_MODALITY = 0x0008_0060
_PATIENT_ID = 0x0010_0020
_STUDY_INSTANCE_UID = 0x0020_000D
_SERIES_INSTANCE_UID = 0x0020_000E
_WANTED = (_STUDY_DATE, _MODALITY, _PATIENT_ID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
"""In ascending order."""

_MOST_HEADERS = 2000
"""Headers that are read one by one: real data sets have a handful before their Series Instance UID, and some hundreds
if long sequences of undefined length stand there."""
_PAGE = 1 << 13
_MOST_PAGES = 64
"""Pages that are read behind the first bytes of a file: half a mebibyte."""
_MOST_INFLATED = 1 << 16
_LONGEST_VALUE = 1024
"""Real values have 64 bytes at most; longer ones are not read."""


def read_head(descriptor: int, head: bytes, offset: int, transfer_syntax_uid: str) -> Head:
    """What the instance in a file belongs to.

    Args:
        descriptor: its file, open for reading.
        head: the first bytes of the file.
        offset: the position of the data set.
        transfer_syntax_uid: the transfer syntax of the data set.

    Raises:
        OSError: the file cannot be read.
    """
    if transfer_syntax_uid in DEFLATED:
        values = _values(_Pages(None, _inflated(head[offset:])), 0, transfer_syntax_uid)
    else:
        values = _values(_Pages(descriptor, head), offset, transfer_syntax_uid)
    return Head(
        _text(values.get(_STUDY_INSTANCE_UID, b"")),
        _text(values.get(_SERIES_INSTANCE_UID, b"")),
        values.get(_PATIENT_ID, b"").strip(UID_PADDING),
        _text(values.get(_STUDY_DATE, b"")),
        _text(values.get(_MODALITY, b"")),
    )


def _values(pages: _Pages, position: int, transfer_syntax_uid: str) -> dict[int, bytes]:
    """The values of the wanted elements, by tag."""
    layouts = [layout_of(transfer_syntax_uid)]
    """The layout of the data set, and those of the sequences that are open."""
    elements = head_elements(layouts[0], _WANTED)
    length_bytes = 4 if layouts[0].is_implicit else 2
    values: dict[int, bytes] = {}
    for _ in range(_MOST_HEADERS):
        if not pages.reach(position, LONG_HEADER):
            break
        if len(layouts) == 1:
            run = elements(pages.bytes, position - pages.start)
            values |= {tag: value[length_bytes:] for tag, value in zip(_WANTED, run.groups(), strict=True) if value}
        else:
            run = plain_elements(layouts[-1])(pages.bytes, position - pages.start, len(pages.bytes))
        position = pages.start + run.end()
        if not pages.reach(position, LONG_HEADER):
            break
        tag, vr, length, header = layouts[-1].header(pages.bytes, position - pages.start)
        position += header
        if len(layouts) == 1 and tag > _SERIES_INSTANCE_UID:
            break
        if len(layouts) == 1 and tag in _WANTED and length <= _LONGEST_VALUE and pages.reach(position, length):
            values[tag] = pages.bytes[position - pages.start :][:length]
        if tag == SEQUENCE_END and len(layouts) > 1:
            layouts.pop()
        elif length != UNDEFINED and tag not in (ITEM_END, SEQUENCE_END):  # a delimiter's length means nothing
            position += length
        elif tag >> 16 != DELIMITERS:
            # UN: a sequence in implicit VR little endian, in every transfer syntax (PS3.5 6.2.2)
            layouts.append(IMPLICIT_LITTLE if vr == b"UN" else layouts[-1])
    return values


class _Pages:
    """The page of a data set in which its elements are read; the first one is known already.

    Attributes:
        bytes: the page.
        start: its position in the file.
    """

    def __init__(self, descriptor: int | None, first: bytes) -> None:
        self.bytes = first
        self.start = 0
        self._descriptor = descriptor
        self._left = _MOST_PAGES

    def reach(self, position: int, count: int) -> bool:
        """Turn the page if it does not hold these bytes; false if they cannot be read."""
        if self.start <= position and position + count <= self.start + len(self.bytes):
            return True
        if self._descriptor is None or not self._left:
            return False
        self._left -= 1
        self.bytes, self.start = read_at(self._descriptor, position, _PAGE), position
        return count <= len(self.bytes)


def _inflated(deflated: bytes) -> bytes:
    """The first bytes of a deflated data set."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _MOST_INFLATED)
    except zlib.error:
        return b""


def _text(value: bytes) -> str:
    """A value that should be ASCII, without its padding."""
    return value.strip(UID_PADDING).decode("ascii", "backslashreplace")
