"""What instance a file holds when its file meta information is missing or out of the ordinary.

Seen in real archives, and handled: no preamble, no file meta information at all, no group length or a wrong one, meta
information longer than a page, SOP class and instance UIDs missing from it, no transfer syntax UID. What is missing
is looked for in the data set with pydicom; its encoding, where nothing says it, is recognised by the look of its
first element, as DCMTK does.
"""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from struct import Struct
from typing import TYPE_CHECKING, BinaryIO

from pydicom.filereader import read_dataset

from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.probe import DEFLATED, NO_DATA_SET

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_PREAMBLE = 128
_PREFIX = b"DICM"
_META_LIMIT = 1 << 20
"""Private information (0002,0102) may be long; beyond a mebibyte it is no file meta information."""

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_META_UIDS = {0x0002: "sop_class", 0x0003: "sop_instance", 0x0010: "transfer_syntax"}

_VR = re.compile(rb"AE|AS|AT|CS|DA|DS|DT|FL|FD|IS|LO|LT|O[BDFLVW]|PN|S[HLQSTV]|TM|U[CILNRSTV]")
_LONG = re.compile(rb"O[BDFLVW]|S[QV]|U[CNRTV]")
_TAG_VR = Struct("<HH2sH")
_IMPLICIT = Struct("<HHI")
_LENGTH = Struct("<I")

_NOT_DICOM = "not a DICOM file"


def probe_unusual(path: str, file: BinaryIO, size: int) -> Instance | Unsendable:
    """Look into a file, given open at its beginning, that the fast reader did not understand."""
    head = file.read(_META_LIMIT)
    start = _PREAMBLE + len(_PREFIX) if head[_PREAMBLE:].startswith(_PREFIX) else 0
    meta = _lenient_meta(head, start)
    if meta is None:
        return Unsendable(path, "it is cut off within its file meta information")
    uids, offset = meta
    if 0 < offset == size:
        return Unsendable(path, NO_DATA_SET)
    recognised = _recognised(head[offset : offset + 8])
    transfer_syntax = uids.get("transfer_syntax") or recognised
    if transfer_syntax is None or (recognised is None and transfer_syntax not in DEFLATED):
        return Unsendable(
            path, "nothing after its file meta information looks like a data set" if offset else _NOT_DICOM
        )
    if not (uids.get("sop_class") and uids.get("sop_instance")):
        if transfer_syntax in DEFLATED:
            return Unsendable(path, "its file meta information names no SOP instance")
        in_data_set = _uids_in_data_set(head[offset:], transfer_syntax)
        if in_data_set is None:
            return Unsendable(path, _NOT_DICOM if not offset else "it holds no SOP class UID and SOP instance UID")
        uids["sop_class"], uids["sop_instance"] = in_data_set
    return Instance(path, uids["sop_class"], uids["sop_instance"], transfer_syntax, offset, size - offset)


def _lenient_meta(head: bytes, start: int) -> tuple[dict[str, str], int] | None:
    """The UIDs in group 0002 and where the group ends, trusting its elements instead of its length.

    ``None`` where ``head`` ends before the group does.
    """
    uids: dict[str, str] = {}
    position = start
    while position + _TAG_VR.size <= len(head):
        group, element, vr, length = _TAG_VR.unpack_from(head, position)
        if group != 0x0002:  # noqa: PLR2004 - the group of file meta information
            return uids, position
        value = position + _TAG_VR.size
        if not _VR.fullmatch(vr):
            length = _IMPLICIT.unpack_from(head, position)[2]
        elif _LONG.fullmatch(vr):
            if value + _LENGTH.size > len(head):
                return None
            length = _LENGTH.unpack_from(head, value)[0]
            value += _LENGTH.size
        if value + length > len(head):
            return None
        if element in _META_UIDS:
            uids[_META_UIDS[element]] = head[value : value + length].rstrip(b"\0 ").decode("ascii", "replace")
        position = value + length
    return None if head[position : position + 2] == b"\x02\x00" else (uids, position)


def _recognised(first_element: bytes) -> str | None:
    """The encoding of a data set that begins so: its group tells the byte order, letters of a VR that it is explicit.

    It begins in group 0008, where the SOP class UID stands that every stored instance has; lower groups are those of
    commands, file meta information and DICOMDIRs.
    """
    if len(first_element) < _TAG_VR.size:
        return None
    is_explicit = _VR.fullmatch(first_element[4:6]) is not None
    if first_element.startswith(b"\x08\x00"):
        if is_explicit:
            return EXPLICIT_LITTLE
        return IMPLICIT_LITTLE if first_element[7] == 0 else None
    return EXPLICIT_BIG if is_explicit and first_element.startswith(b"\x00\x08") else None


def _uids_in_data_set(head: bytes, transfer_syntax: str) -> tuple[str, str] | None:
    """SOP class and SOP instance. They stand near the beginning; lengths that lie make nobody read beyond ``head``."""

    def beyond(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's signature
        return int(tag) > _SOP_INSTANCE_UID

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read_dataset(
                BytesIO(head),
                is_implicit_VR=transfer_syntax == IMPLICIT_LITTLE,
                is_little_endian=transfer_syntax != EXPLICIT_BIG,
                stop_when=beyond,
                specific_tags=None,
            )
            return str(found[_SOP_CLASS_UID].value), str(found[_SOP_INSTANCE_UID].value)
    except Exception:  # noqa: BLE001 - whatever pydicom raises for bytes that are no data set, they are none
        return None
