"""Find the instance in a file whose file meta information is missing or unusual.

Seen in real archives, and handled: no preamble, no file meta information, no group length or a wrong one, file meta
information longer than a page or in big endian, elements of its group behind its end, no SOP class, SOP instance or
transfer syntax UID in it. Missing UIDs are read from the data set.

Rules:

1. If nothing names the encoding, the first element shows it, as in DCMTK: the right byte order makes its group number
   small, and the letters of a VR mean explicit VR.
2. A file without file meta information is a data set if its first element looks like one and it holds a SOP class UID
   and a SOP instance UID, even if its elements are not in order. Any other file is not DICOM.
3. Whether the user wants such a file (:mod:`~asyncstore.prepare.file_format`) is decided here, so that the check costs
   usual files nothing. If only bare data sets are wanted, every file comes here.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, BinaryIO

from asyncstore.model import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.prepare.completeness import NO_DATA_SET
from asyncstore.prepare.edits import SOP_CLASS_UID, SOP_INSTANCE_UID
from asyncstore.prepare.elements import (
    DEFLATED,
    IMPLICIT_LITTLE,
    ITEM_END,
    LONG_HEADER,
    LONG_VRS,
    SEQUENCE_END,
    SHORT_HEADER,
    UID_PADDING,
    UNDEFINED,
    VRS,
    inflated,
    is_vr,
    layout_of,
)
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import Unfit

if TYPE_CHECKING:
    from asyncstore.prepare.elements import Layout

_STANDARD = "1.2.840.10008.1.2."
"""The prefix of the standard's transfer syntaxes in explicit VR; all but one are in little endian (PS3.5 A)."""

_PREAMBLE = 128
_PREFIX = b"DICM"
META_LIMIT = 1 << 20
"""Private information (0002,0102) may be long, but file meta information has less than a mebibyte."""
_MOST_ELEMENTS = 20_000
"""The UIDs are looked for among so many elements, in 20 ms. They stand near the beginning of a data set."""

_META_UIDS = {0x0002: "sop_class", 0x0003: "sop_instance", 0x0010: "transfer_syntax"}

_FIRST_GROUP = 0x0008
"""With which nearly every data set begins: that of SOP class and instance UID."""
_GROUPS = range(0x0004, 0x0100)
"""The first group of a bare data set. Real ones begin with 0008 or an earlier group; groups below 0004 belong to
commands and file meta information (PS3.5 7.1)."""
_META_GROUP = 0x0002

_ANY_SIZE = 1 << 62
_NOT_DICOM = "not a DICOM file"
_ARCHIVE = "not a DICOM file: it is an archive"
_EMPTY = "it is empty"
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")
"""How zip, gzip and Zstandard begin."""
_IMPLICIT_BIG = "a data set in implicit VR big endian, for which DICOM has no transfer syntax"
_NOT_WITH_META = "a data set without file meta information, which is not asked for"
_NO_TRANSFER_SYNTAX = "its file meta information names no transfer syntax, and the data set does not show it"
_NOT_BARE = "it has file meta information, and only bare data sets are asked for"


def probe_unusual(file: BinaryIO, size: int, file_format: FileFormat = FileFormat.ANY) -> tuple[str, str, str, int]:
    """Probe a file that the fast probe did not understand, or did not see. It is open at its beginning.

    Returns the three UIDs and the offset of the data set.

    Raises:
        Unfit: it holds no instance, or none that is wanted.
    """
    head = file.read(META_LIMIT)
    meta = _lenient_meta(head)
    if meta is None:
        raise Unfit("it is cut off within its file meta information")
    uids, start, offset = meta
    if 0 < offset == size:
        raise Unfit(NO_DATA_SET)
    found = _after_meta(head, size, uids, offset) if offset > start else _bare(head, size, offset)
    refusal = _refusal(file_format, has_meta=offset > 0, names_syntax="transfer_syntax" in uids)
    if refusal:
        raise Unfit(refusal)
    return *found, offset


def refused_by(beginning: bytes) -> str | None:
    """Why no file with these first bytes holds an instance, whatever follows them; ``None``: one may.

    The first :data:`META_LIMIT` bytes are all that this module reads of a file.
    """
    meta = _lenient_meta(beginning)
    if meta is None or meta[2] > meta[1]:
        return None
    try:
        _bare(beginning, _ANY_SIZE, meta[1])  # a greater size makes more beginnings look like data sets
    except Unfit as reason:
        return str(reason)
    return None


def _refusal(file_format: FileFormat, *, has_meta: bool, names_syntax: bool) -> str | None:
    """Why a file with an instance is not wanted; ``None`` if it is."""
    if file_format is FileFormat.BARE and has_meta:
        return _NOT_BARE
    if file_format is FileFormat.WITH_META and not names_syntax:
        return _NO_TRANSFER_SYNTAX if has_meta else _NOT_WITH_META
    return None


def lacks_uids(head: bytes) -> bool:
    """Whether the file meta information at the beginning of a file lacks one of the three UIDs."""
    meta = _lenient_meta(head)
    return meta is not None and meta[2] > meta[1] and not all(meta[0].get(name) for name in _META_UIDS.values())


def _after_meta(head: bytes, size: int, uids: dict[str, str], offset: int) -> tuple[str, str, str]:
    """The UIDs of the data set behind file meta information with these UIDs."""
    _, recognised = _recognised(head[offset:], size - offset)
    transfer_syntax = uids.get("transfer_syntax") or recognised
    if transfer_syntax is None or not (recognised or transfer_syntax in DEFLATED):
        raise Unfit("nothing after its file meta information looks like a data set")
    reason = contradiction(head[offset:], size - offset, transfer_syntax)
    if reason is not None:
        raise Unfit(reason)
    in_data_set = uids_in_data_set(head[offset:], transfer_syntax)
    sop_class, sop_instance = in_data_set or (uids.get("sop_class"), uids.get("sop_instance"))
    if sop_class and sop_instance:
        return sop_class, sop_instance, transfer_syntax
    raise Unfit("it holds no SOP class UID and SOP instance UID")


def _bare(head: bytes, size: int, offset: int) -> tuple[str, str, str]:
    """The UIDs of a file without file meta information (rule 2); it may still have a preamble and a prefix."""
    group, transfer_syntax = _recognised(head[offset:], size - offset)
    if transfer_syntax is None:
        raise Unfit(_IMPLICIT_BIG if group == _FIRST_GROUP else _no_dicom(head))
    in_data_set = uids_in_data_set(head[offset:], transfer_syntax)
    if in_data_set is None:
        raise Unfit("it holds no SOP class UID and SOP instance UID" if group == _FIRST_GROUP else _no_dicom(head))
    return *in_data_set, transfer_syntax


def _no_dicom(head: bytes) -> str:
    """Why a file is no DICOM file."""
    if not head:
        return _EMPTY
    is_tar = head[257:262] == b"ustar"
    return _ARCHIVE if is_tar or head.startswith(_ARCHIVES) else _NOT_DICOM


def _lenient_meta(head: bytes) -> tuple[dict[str, str], int, int] | None:
    """The UIDs in group 0002, and the beginning and the end of the group, by its elements instead of its length.

    The first value of each UID counts. Elements of group 0002 behind the end of file meta information belong neither to
    it nor to the data set, and are skipped. Returns ``None`` if ``head`` ends before the group does.
    """
    uids: dict[str, str] = {}
    start = position = _PREAMBLE + len(_PREFIX) if head[_PREAMBLE:].startswith(_PREFIX) else 0
    order = ">" if head[start : start + 2] == b"\x00\x02" else "<"  # big endian is illegal, but readable
    tag_vr, implicit, long_length = Struct(f"{order}HH2sH"), Struct(f"{order}4xI"), Struct(f"{order}I")
    while position + SHORT_HEADER <= len(head):
        group, element, vr, length = tag_vr.unpack_from(head, position)
        if group != _META_GROUP:
            return uids, start, position
        value = position + SHORT_HEADER
        if vr not in VRS:
            (length,) = implicit.unpack_from(head, position)
        elif vr in LONG_VRS:
            if value + long_length.size > len(head):
                return None
            (length,) = long_length.unpack_from(head, value)
            value += long_length.size
        if value + length > len(head):
            return None
        name = _META_UIDS.get(element)
        if name and not uids.get(name):
            uids[name] = head[value : value + length].rstrip(UID_PADDING).decode("ascii", "replace")
        position = value + length
    return None if head[position : position + 2] in (b"\x02\x00", b"\x00\x02") else (uids, start, position)


def _recognised(data_set: bytes, size: int) -> tuple[int | None, str | None]:
    """The group of the first element and the transfer syntax of a data set of ``size`` bytes (rule 1).

    Both are ``None`` if it is no data set; the transfer syntax is ``None`` for implicit VR big endian.
    """
    if len(data_set) < SHORT_HEADER:
        return None, None
    little, big = (int.from_bytes(data_set[:2], order) for order in ("little", "big"))
    is_big = little not in _GROUPS
    group = big if is_big else little
    if group not in _GROUPS:
        return None, None
    if data_set[4:6] in VRS:
        return group, EXPLICIT_VR_BIG_ENDIAN if is_big else EXPLICIT_VR_LITTLE_ENDIAN
    length = int.from_bytes(data_set[4:8], "big" if is_big else "little")
    if length > size - SHORT_HEADER and length != UNDEFINED:
        return None, None
    return group, None if is_big else IMPLICIT_VR_LITTLE_ENDIAN


def contradiction(head: bytes, size: int, transfer_syntax: str) -> str | None:
    """How a data set of ``size`` bytes, beginning with ``head``, contradicts its stated transfer syntax.

    ``None`` if no contradiction shows, and for private transfer syntaxes, whose encoding is not known.
    """
    if transfer_syntax in DEFLATED or not (transfer_syntax + ".").startswith(_STANDARD):
        return None
    said = (
        transfer_syntax
        if transfer_syntax in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
        else EXPLICIT_VR_LITTLE_ENDIAN
    )
    _, recognised = _recognised(head, size)
    if recognised is None or recognised == said:
        return None
    from asyncstore.negotiation.names import name_of

    called = f"{name_of(transfer_syntax)}, as its file meta information says"
    return f"its data set is in {name_of(recognised)}, not in {called}"


def uids_in_data_set(head: bytes, transfer_syntax: str) -> tuple[str, str] | None:
    """SOP class UID and SOP instance UID in ``head``, the beginning of a data set; ``None`` if one is not found."""
    head, layout = inflated(head, transfer_syntax), layout_of(transfer_syntax)
    uids: dict[int, str] = {}
    around: list[Layout] = []
    """The layouts around the open sequences and items."""
    page, position = head + bytes(LONG_HEADER - SHORT_HEADER), 0
    for _ in range(_MOST_ELEMENTS):
        if position + SHORT_HEADER > len(head):
            break
        tag, vr, length, header = layout.header(page, position)
        position += header
        if tag in (ITEM_END, SEQUENCE_END):
            if not around:
                break
            layout = around.pop()
            continue
        if tag >> 16 == _META_GROUP or (vr and not is_vr(vr)):
            break
        if length == UNDEFINED:
            around.append(layout)
            layout = IMPLICIT_LITTLE if vr == b"UN" else layout  # PS3.5 6.2.2
            continue
        end = position + length
        if tag in (SOP_CLASS_UID, SOP_INSTANCE_UID) and not around:
            if end > len(head):
                break
            uids[tag] = head[position:end].rstrip(UID_PADDING).decode("ascii", "replace")
            if uids.get(SOP_CLASS_UID) and uids.get(SOP_INSTANCE_UID):
                return uids[SOP_CLASS_UID], uids[SOP_INSTANCE_UID]
        position = end
    return None
