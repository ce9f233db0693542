"""What an acceptor saw of a program, without what is of no account.

Rules:

1. Contexts are a set: their ids and their order say nothing. The order of transfer syntaxes within one does.
2. Every item of the user information counts, byte for byte, but the implementation class UID and version name, which
   tell the programs apart.
3. Data sets are compared element by element, in all depths: lengths of groups, sequences and items may be written in
   several ways that mean the same, and values may be padded in several.
"""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from pydicom.filereader import read_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

    from support.peers.acceptor import Record, Store

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
EXPLICIT_BIG, DEFLATED_LITTLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"

_FIXED_PART = 6 + 68
"""Bytes of an A-ASSOCIATE-RQ before its items: header, version, titles (PS3.8 9.3.2)."""
_PRESENTATION_CONTEXT, _ABSTRACT_SYNTAX, _USER_INFORMATION = 0x20, 0x30, 0x50
_OF_THE_IMPLEMENTATION = (0x52, 0x55)
_UNCOMPRESSED = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE)
_PADDING = b"\0 "
_PIXEL_DATA = 0x7FE00010
"""Compressed it is OB (PS3.5 A.4): where a file says OW, DCMTK corrects it."""
_TRAILING_PADDING = 0xFFFCFFFC
"""DCMTK does not send it."""


_IN_TURN = threading.Lock()
"""Filters of warnings are the process's: threads that change them at the same time would restore each other's."""


class Proposal(NamedTuple):
    """An A-ASSOCIATE-RQ."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[tuple[str, tuple[str, ...]], ...]
    """Abstract syntax and transfer syntaxes of each, sorted."""
    user_information: tuple[tuple[int, bytes], ...]
    """Type and value of each item, sorted."""

    @classmethod
    def of(cls, request: bytes) -> Proposal:
        """Decode one."""
        titles = (request[start : start + 16].decode().strip() for start in (10, 26))
        contexts, user_information = [], []
        for kind, value in _items(request[_FIXED_PART:]):
            if kind == _PRESENTATION_CONTEXT:
                contexts.append(_context(value[4:]))
            elif kind == _USER_INFORMATION:
                user_information += [item for item in _items(value) if item[0] not in _OF_THE_IMPLEMENTATION]
        return cls(*titles, tuple(sorted(contexts)), tuple(sorted(user_information)))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from(">BxH", data, position)
        position += 4
        yield kind, data[position : position + length]
        position += length


def _context(items: bytes) -> tuple[str, tuple[str, ...]]:
    uids = [(kind, value.rstrip(_PADDING).decode()) for kind, value in _items(items)]
    [abstract_syntax] = [uid for kind, uid in uids if kind == _ABSTRACT_SYNTAX]
    return abstract_syntax, tuple(uid for kind, uid in uids if kind != _ABSTRACT_SYNTAX)


Plain = tuple[tuple[object, ...], ...]
"""A data set as tag, VR and value of each element; the value of a sequence is its items."""


class Stored(NamedTuple):
    """A C-STORE-RQ."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    priority: int
    data_set: Plain

    @classmethod
    def of(cls, store: Store) -> Stored:
        """Decode one."""
        data_set = plain(b"".join(store.fragments), store.transfer_syntax_uid)
        return cls(
            store.sop_class_uid, store.sop_instance_uid, store.transfer_syntax_uid, store.priority or 0, data_set
        )

    def __repr__(self) -> str:
        return f"<{self.sop_instance_uid} in {self.transfer_syntax_uid}, {hash(self.data_set):x}>"


def plain(data: bytes, transfer_syntax_uid: str) -> Plain:
    """Take a data set apart."""
    if transfer_syntax_uid == DEFLATED_LITTLE:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)
    is_implicit, is_little = transfer_syntax_uid == IMPLICIT_LITTLE, transfer_syntax_uid != EXPLICIT_BIG
    with _IN_TURN, warnings.catch_warnings(action="ignore"):  # of what is wrong in files that are meant to be
        elements = _plain(read_dataset(BytesIO(data), is_implicit, is_little), is_implicit=is_implicit)
    if transfer_syntax_uid in _UNCOMPRESSED:
        return elements
    return tuple((_PIXEL_DATA, "OB", value) if tag == _PIXEL_DATA else (tag, vr, value) for tag, vr, value in elements)


def _plain(data_set: Dataset, *, is_implicit: bool) -> Plain:
    tags = sorted(tag for tag in data_set.keys() if tag.element and tag != _TRAILING_PADDING)  # noqa: SIM118 - values are elements
    return tuple(_element(data_set, data_set.get_item(tag), is_implicit=is_implicit) for tag in tags)


def _element(data_set: Dataset, element: RawDataElement | DataElement, *, is_implicit: bool) -> tuple[object, ...]:
    tag, vr = int(element.tag), "" if is_implicit else element.VR
    if element.VR in ("SQ", None) and data_set[tag].VR == "SQ":
        return tag, vr, tuple(_plain(item, is_implicit=is_implicit) for item in data_set[tag].value)
    return tag, vr, bytes(element.value or b"").rstrip(_PADDING)


class Association(NamedTuple):
    """What came of one association."""

    proposal: Proposal | None
    stored: tuple[Stored, ...]
    end: str
    """How the requestor ended it: released, aborted, or gone."""
    accepted: int
    """How many instances were answered with success or a warning."""
    longest_pdu: int

    @classmethod
    def of(cls, record: Record) -> Association:
        """Take a record in."""
        end = "released" if record.released else "aborted" if record.aborted else "gone"
        proposal = Proposal.of(record.request_pdu) if record.request_pdu else None
        return cls(proposal, tuple(map(Stored.of, record.stores)), end, len(record.acknowledged), record.longest_pdu)
