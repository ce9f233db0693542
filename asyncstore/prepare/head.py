"""Read what an instance belongs to from the beginning of its data set: patient, study and series.

Rules:

1. Only elements of the data set itself count. Sequences are skipped, with all elements inside.
2. A regular expression skips the small elements (:mod:`~asyncstore.prepare.small_elements`). Other headers are read
   one by one. That takes 10 µs for an ordinary image.
3. The data set has been judged before (:mod:`~asyncstore.prepare.completeness`). Here damage ends the reading: it
   raises nothing, and what was not found stays empty.
4. The reading is bounded: headers, and pages of the file. Of a deflated data set the first bytes are inflated.
5. Most files belong to the series of the file before, and have the wanted elements at the same places behind their
   SOP Instance UID: comparing bytes shows that in 1 µs.
"""

from __future__ import annotations

from typing import Any

from asyncstore.model import Head
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import (
    DEFLATED,
    DELIMITERS,
    IMPLICIT_LITTLE,
    ITEM_END,
    LONG_HEADER,
    SEQUENCE_END,
    UID_PADDING,
    UNDEFINED,
    inflated,
    layout_of,
)
from asyncstore.prepare.files import read_at
from asyncstore.prepare.small_elements import elements_before, plain_elements

_STUDY_DATE = 0x0008_0020
_MODALITY = 0x0008_0060
_PATIENT_ID = 0x0010_0020
_STUDY_INSTANCE_UID = 0x0020_000D
_SERIES_INSTANCE_UID = 0x0020_000E
_WANTED = (_STUDY_DATE, _MODALITY, _PATIENT_ID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
"""In ascending order."""
_ALL_WANTED = frozenset(_WANTED)

_MOST_HEADERS = 2000
"""Headers that are read one by one: real data sets have a handful before their Series Instance UID, and some hundreds
if long sequences of undefined length stand there."""
_PAGE = 1 << 13
_MOST_PAGES = 64
"""Pages that are read behind the first bytes of a file: half a mebibyte."""
_LONGEST_VALUE = 1024
"""Real values have 64 bytes at most; longer ones are not read."""


_NO_HEAD = Head()


class _Alike(NamedTuple):
    """A head that was read, and where its elements are."""

    transfer_syntax_uid: str
    elements: tuple[tuple[int, bytes], ...]
    """The wanted elements: bytes from the end of the SOP Instance UID, and header with value."""
    head: Head


class HeadReader:
    """Reads the heads of files, one after the other."""

    def __init__(self) -> None:
        self._last = _Alike("", (), _NO_HEAD)
        """The last head with all wanted elements in the first bytes of its file."""
        self._plain: tuple[Head, tuple[Any, ...]] = _NO_HEAD, ()
        """A head as it was read, and as a plain tuple."""

    def read(self, descriptor: int, start: bytes, offset: int, sop_instance_uid: str, transfer_syntax_uid: str) -> Head:
        """What the instance in a file belongs to.

        Args:
            descriptor: its file, open for reading.
            start: the first bytes of the file.
            offset: the position of the data set.
            sop_instance_uid: the instance's.
            transfer_syntax_uid: the transfer syntax of the data set.

        Raises:
            OSError: the file cannot be read.
        """
        behind_uid = offset + (len(sop_instance_uid) + 1 & ~1)  # an odd length is padded (PS3.5 9.1)
        last_transfer_syntax, elements_alike, last_head = self._last
        if transfer_syntax_uid == last_transfer_syntax:
            for position, element in elements_alike:
                if not start.startswith(element, behind_uid + position):
                    break
            else:
                return last_head
        if transfer_syntax_uid in DEFLATED:
            return head_of(start[offset:], transfer_syntax_uid)
        elements = _elements(_Pages(descriptor, start), offset, transfer_syntax_uid)
        head = _head(elements)
        if elements.keys() == _ALL_WANTED:
            self._last = _Alike(
                transfer_syntax_uid,
                tuple((found.position - behind_uid, found.encoded) for found in elements.values()),
                head,
            )
        return head

    def read_plain(
        self, descriptor: int, start: bytes, offset: int, sop_instance_uid: str, transfer_syntax_uid: str
    ) -> tuple[Any, ...]:
        """The same as a plain tuple, one object for all files of a series: it travels once a batch then."""
        head = self.read(descriptor, start, offset, sop_instance_uid, transfer_syntax_uid)
        if head is not self._plain[0]:
            self._plain = head, tuple(head)
        return self._plain[1]


def head_of(beginning: bytes, transfer_syntax_uid: str) -> Head:
    """What an instance belongs to, as far as the first bytes of its data set say."""
    return _head(_elements(_Pages(None, inflated(beginning, transfer_syntax_uid)), 0, transfer_syntax_uid))


class Element(NamedTuple):
    """A wanted element."""

    position: int
    """Of its header in the file."""
    encoded: bytes
    """Header and value."""
    value: bytes


def locate(
    descriptor: int, start: bytes, offset: int, transfer_syntax_uid: str, wanted: tuple[int, ...]
) -> dict[int, Element]:
    """Where elements of a data set stand in its file, by tag; those that are not found are missing.

    Args:
        descriptor: the file, open for reading.
        start: the first bytes of the file.
        offset: the position of the data set.
        transfer_syntax_uid: of the data set, which is not deflated.
        wanted: tags of groups up to 0020, in ascending order.

    Raises:
        OSError: the file cannot be read.
    """
    return _elements(_Pages(descriptor, start), offset, transfer_syntax_uid, wanted)


def _head(elements: dict[int, Element]) -> Head:
    values = {tag: element.value.strip(UID_PADDING) for tag, element in elements.items()}
    texts = {tag: value.decode("ascii", "backslashreplace") for tag, value in values.items() if tag != _PATIENT_ID}
    return Head(
        texts.get(_STUDY_INSTANCE_UID, ""),
        texts.get(_SERIES_INSTANCE_UID, ""),
        values.get(_PATIENT_ID, b""),
        texts.get(_STUDY_DATE, ""),
        texts.get(_MODALITY, ""),
    )


def _elements(
    pages: _Pages, position: int, transfer_syntax_uid: str, wanted: tuple[int, ...] = _WANTED
) -> dict[int, Element]:
    """The wanted elements, by tag."""
    layouts = [layout_of(transfer_syntax_uid)]
    """The layout of the data set, and those of the sequences that are open."""
    before_wanted = elements_before(layouts[0], wanted)
    found: dict[int, Element] = {}
    for _ in range(_MOST_HEADERS):
        if not pages.reach(position, LONG_HEADER):
            break
        index = position - pages.start
        if len(layouts) == 1:
            run = before_wanted(pages.bytes, index)
        else:
            run = plain_elements(layouts[-1])(pages.bytes, index, len(pages.bytes))
        position = pages.start + run.end()
        if not pages.reach(position, LONG_HEADER):
            break
        tag, vr, length, header = layouts[-1].header(pages.bytes, position - pages.start)
        if len(layouts) == 1 and tag > wanted[-1]:
            break
        if len(layouts) == 1 and tag in wanted and length <= _LONGEST_VALUE and pages.reach(position, header + length):
            index = position - pages.start
            element = pages.bytes[index : index + header + length]
            found[tag] = Element(position, element, element[header:])
        position += header
        if tag == SEQUENCE_END and len(layouts) > 1:
            layouts.pop()
        elif length != UNDEFINED and tag not in (ITEM_END, SEQUENCE_END):  # a delimiter's length means nothing
            position += length
        elif tag >> 16 != DELIMITERS:
            # UN: a sequence in implicit VR little endian, in every transfer syntax (PS3.5 6.2.2)
            layouts.append(IMPLICIT_LITTLE if vr == b"UN" else layouts[-1])
    return found


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
