"""Find the instance in a file from its file meta information (PS3.10 7.1), parsing as little as possible.

Rules:

1. One open, one read of the first kilobytes, one walk over group 0002: some 15 µs, where pydicom takes 135.
2. Strict: preamble, prefix, group length, known VRs, the three UIDs. Unusual files are not guessed at here, but passed
   to :mod:`asyncstore.prepare.lenient_probe`.
3. If data set and file meta information name different UIDs, those of the data set count. If the data set has another
   encoding than file meta information says, it is not sent: no SCP could read it.
4. An incomplete data set is not sent (:mod:`asyncstore.prepare.completeness`).
5. The instance carries the version of its file, so that later reads can check it, or the whole data set.
6. A file never makes it raise: the result is an answer (:mod:`asyncstore.prepare.messages`).
"""

from __future__ import annotations

import os
import re
import stat
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncstore.model import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Oddity
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.completeness import NO_DATA_SET, judge
from asyncstore.prepare.elements import DEFLATED, LONG_VRS, UID_PADDING, inflated
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.files import Window, opened, read_at, version_of
from asyncstore.prepare.messages import INSTANCE, UNSENDABLE, Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncstore.prepare.head import HeadReader
    from asyncstore.prepare.messages import Answer

_HEAD = 8192
"""Bytes read: file meta information takes some 350, and two pages cost hardly more. If the file ends within them, its
data set goes to the main process at once. That takes 1 µs; opening the file again for sending takes 20 µs, and a reader
thread that competes with the event loop for the interpreter lock."""
_PREFIX_END = 132
_BEGINNING = re.compile(rb"DICM\x02\x00\x00\x00UL\x04\x00", re.DOTALL)
"""The prefix and (0002,0000) with its VR and length (PS3.10 table 7.1-1)."""
_GROUP_START = _PREFIX_END + 12
_META_VRS = frozenset((b"UI", b"SH", b"AE", b"UL", b"US", b"LO", b"CS", b"ST"))
"""The VRs with lengths of 16 bits that real file meta information has; others make it unusual."""
_SHORT_HEADER = Struct("<HH2sH")
_LONG_LENGTH = Struct("<I")
_UINT32 = Struct("<I")

_MEDIA_STORAGE_SOP_CLASS_UID = 0x0002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x0003
_TRANSFER_SYNTAX_UID = 0x0010

_UIDS_IN_EXPLICIT_LITTLE = b"\x08\x00\x16\x00UI%c\x00%b\x08\x00\x18\x00UI%c\x00%b"
_UIDS_IN: Mapping[str, bytes] = {
    IMPLICIT_VR_LITTLE_ENDIAN: b"\x08\x00\x16\x00%c\x00\x00\x00%b\x08\x00\x18\x00%c\x00\x00\x00%b",
    EXPLICIT_VR_BIG_ENDIAN: b"\x00\x08\x00\x16UI\x00%c%b\x00\x08\x00\x18UI\x00%c%b",
}
"""SOP class UID and SOP instance UID in a data set, by transfer syntax: a template for length and value of each."""

_LONGEST_UID = 64
_UID = re.compile(r"[0-9.]{1,64}")
"""PS3.5 9.1 without its rules on zeros and dots: real devices break them, and SCPs accept that."""
_PRINTABLE = r"[ -~]{1,64}"
"""UIDs that SCPs still accept: some anonymisers write hexadecimal digits."""
_SEPARATOR = re.compile(r"[/\\]")
"""Not accepted: receivers name files by UIDs, and a backslash separates values (PS3.5 6.4)."""

_ORDINARY = re.compile(
    rb"DICM\x02\0\0\0UL\x04\0(....)(?:\x02\0\x01\0OB\0\0\x02\0\0\0..)?"
    rb"\x02\0\x02\0UI(.)\0([0-9.]+\0?)\x02\0\x03\0UI(.)\0([0-9.]+\0?)\x02\0\x10\0UI(.)\0([0-9.]+\0?)"
    rb"(?:\x02\0\x12\0UI.\0[0-9.]+\0?)?(?:\x02\0\x13\0SH.\0[ -~]*)?(?!\x02\0)(?=..)",
    re.DOTALL,
).match
"""Matches the file meta information of nearly every file, and two more bytes, in 1 µs. By elements it takes 3.5 µs."""

_UID_CHARACTERS = b"0123456789."
_UID_BYTES = b"0123456789.\0"


class _Alike(NamedTuple):
    """File meta information that was ordinary. The next file's mostly differs in its SOP instance UID only."""

    before: bytes
    """The bytes from the prefix to the SOP instance UID."""
    after: bytes
    start: int
    """The position of the SOP instance UID."""
    stop: int
    sop_class_uid: str
    transfer_syntax_uid: str
    end: int
    """The position of the data set."""
    in_data_set: bytes | None
    """What stands before the length of the SOP instance UID in a data set: the length and the value look as in file
    meta information. ``None``: the data set is not in explicit VR little endian, or a UID is not ordinary."""


_alike: list[_Alike] = []
"""The last one, if there was any. A comparison with it takes a third of the time of the regular expression."""

_repairs = [False]
"""Whether files are mended."""

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


def allow_repairs(*, is_allowed: bool) -> None:
    """Let all later probes mend what :mod:`asyncstore.prepare.repair` can mend."""
    _repairs[0] = is_allowed


def probe_file(path: str, file_format: FileFormat = FileFormat.ANY, heads: HeadReader | None = None) -> Answer:
    """Probe one file; answers with an instance, or why there is none to be sent.

    Args:
        path: the file.
        file_format: which files count as instances.
        heads: reads the head of the data set; ``None``: details are not asked for.
    """
    try:
        descriptor = opened(path)
    except (OSError, ValueError) as error:
        return UNSENDABLE, f"cannot be opened: {error.strerror if isinstance(error, OSError) else error}", None
    try:
        return answer(descriptor, file_format, heads)
    except Unfit as reason:
        return UNSENDABLE, str(reason), None if heads is None else _details(os.fstat(descriptor), ())
    except OSError as error:
        return UNSENDABLE, f"cannot be read: {error.strerror}", None
    finally:
        os.close(descriptor)


def _details(status: os.stat_result, head: tuple[Any, ...]) -> tuple[int, int, tuple[Any, ...]]:
    return status.st_size, status.st_mtime_ns, head


def answer(  # noqa: C901 - split up, it takes longer
    descriptor: int, file_format: FileFormat, heads: HeadReader | None, window: Window | None = None
) -> Answer:
    """The instance in an open file, or in a part of it.

    Raises:
        Unfit: it holds none that can be sent.
        OSError: it cannot be read.
    """
    status = os.fstat(descriptor)
    if window is None:
        if not stat.S_ISREG(status.st_mode):
            raise Unfit("not a regular file")
        size = status.st_size
        head = os.read(descriptor, _HEAD)
    else:
        descriptor, size = window, window.length
        head = read_at(descriptor, 0, _HEAD)
    is_bare = file_format is FileFormat.BARE
    is_usual = True
    oddities = 0
    meta = None if is_bare else _like_the_last(head)
    if meta is None:
        meta = read_meta(head)
        if meta is None or is_bare:
            is_usual = False
            meta = _unusual(descriptor, size, file_format)
        elif not _are_in_data_set(head, *meta):
            meta = _as_data_set_says(head, size, *meta)
        oddities = _check(meta, size)
    offset = meta[3]
    reason, has_odd_values = judge(descriptor, size, head, offset, meta[2])
    end = size
    if _repairs[0] and (reason or not is_usual or not _are_in_data_set(head, *meta)):
        reason, end, mended = _mended(descriptor, size, head, meta, reason)
        oddities |= mended
    if reason:
        raise Unfit(reason)
    if has_odd_values:
        oddities |= int(Oddity.ODD_VALUES)
    details = None
    if heads is not None:
        details = _details(status, heads.read_plain(descriptor, head, offset, meta[1], meta[2]))
    if is_usual and len(head) == size:
        return INSTANCE, *meta, end - offset, None, head[offset:end], oddities, details
    version = version_of(status) if end == size else (*version_of(status), status.st_size)
    return INSTANCE, *meta, end - offset, version, None, oddities, details


def _mended(
    descriptor: int, size: int, head: bytes, meta: tuple[str, str, str, int], reason: str | None
) -> tuple[str | None, int, int]:
    """Why an instance cannot be sent even if it is mended, the end of its data set, and what is mended."""
    from asyncstore.prepare.repair import look  # few runs mend

    mended = look(descriptor, size, head, meta, reason)
    return (reason, size, 0) if mended is None else (None, mended.end, mended.oddities)


def _like_the_last(head: bytes) -> tuple[str, str, str, int] | None:
    """As :func:`read_meta`, if file meta information differs from the last file's in the SOP instance UID only.

    The UIDs have been checked then, also against those of the data set.
    """
    if not _alike:
        return None
    before, after, start, stop, sop_class_uid, transfer_syntax_uid, end, in_data_set = _alike[0]
    if (
        in_data_set is None
        or not head.startswith(before, _PREFIX_END - 4)
        or not head.startswith(after, stop)
        or len(head) < end + 2
    ):
        return None
    uid = head[start:stop].rstrip(b"\0")
    if not uid or uid.translate(None, _UID_CHARACTERS) or head.startswith(b"\x02\0", end):
        return None
    if head.find(in_data_set + head[start - 2 : stop], end) < 0:
        return None
    return sop_class_uid, uid.decode(), transfer_syntax_uid, end


def read_meta(head: bytes) -> tuple[str, str, str, int] | None:
    """The three UIDs and the offset of the data set, from the first bytes of a file.

    Returns ``None`` if file meta information is unusual, or longer than ``head``.
    """
    if _alike:
        before, after, start, stop, sop_class_uid, transfer_syntax_uid, end, _ = _alike[0]
        if head.startswith(before, _PREFIX_END - 4) and head.startswith(after, stop) and len(head) >= end + 2:
            uid = head[start:stop]
            if not (uid.translate(None, _UID_BYTES) or uid.startswith(b"\0") or head.startswith(b"\x02\0", end)):
                return sop_class_uid, uid.rstrip(b"\0").decode(), transfer_syntax_uid, end
    ordinary = _ORDINARY(head, _PREFIX_END - 4)
    if ordinary:
        group_length, class_length, sop_class, instance_length, sop_instance, syntax_length, syntax = ordinary.groups()
        end = ordinary.end()
        if (
            _UINT32.unpack(group_length)[0] == end - _GROUP_START
            and class_length[0] == len(sop_class)
            and instance_length[0] == len(sop_instance)
            and syntax_length[0] == len(syntax)
        ):
            sop_class_uid, transfer_syntax_uid = sop_class.rstrip(b"\0").decode(), syntax.rstrip(b"\0").decode()
            start, stop = ordinary.span(5)
            before, after = head[_PREFIX_END - 4 : start], head[stop:end]
            in_data_set = _before_instance_uid(sop_class, stop - start, transfer_syntax_uid)
            _alike[:] = [_Alike(before, after, start, stop, sop_class_uid, transfer_syntax_uid, end, in_data_set)]
            return sop_class_uid, sop_instance.rstrip(b"\0").decode(), transfer_syntax_uid, end
    return _meta_by_elements(head)


def _meta_by_elements(head: bytes) -> tuple[str, str, str, int] | None:  # noqa: C901, PLR0911 - split up, it takes twice as long
    """Do the same element by element."""
    if not _BEGINNING.match(head, _PREFIX_END - 4) or len(head) < _GROUP_START:
        return None
    end = _GROUP_START + _UINT32.unpack_from(head, _GROUP_START - 4)[0]
    if end + 2 > len(head):  # the next tag is needed: the group may be longer than it says
        return None
    position = _GROUP_START
    uids: dict[int, bytes] = {}
    while position < end:
        if end - position < _SHORT_HEADER.size:
            return None
        group, element, vr, length = _SHORT_HEADER.unpack_from(head, position)
        position += _SHORT_HEADER.size
        if vr in LONG_VRS:
            if end - position < _LONG_LENGTH.size:
                return None
            length = _LONG_LENGTH.unpack_from(head, position)[0]
            position += _LONG_LENGTH.size
        elif vr not in _META_VRS:
            return None
        if group != 0x0002 or length > end - position:  # noqa: PLR2004 - the group of file meta information
            return None
        if element in (_MEDIA_STORAGE_SOP_CLASS_UID, _MEDIA_STORAGE_SOP_INSTANCE_UID, _TRANSFER_SYNTAX_UID):
            uids.setdefault(element, head[position : position + length])
        position += length
    if head[position : position + 2] == b"\x02\x00":
        return None
    try:
        sop_class_uid = uids[_MEDIA_STORAGE_SOP_CLASS_UID].rstrip(UID_PADDING).decode("ascii")
        sop_instance_uid = uids[_MEDIA_STORAGE_SOP_INSTANCE_UID].rstrip(UID_PADDING).decode("ascii")
        transfer_syntax_uid = uids[_TRANSFER_SYNTAX_UID].rstrip(UID_PADDING).decode("ascii")
    except (KeyError, UnicodeDecodeError):
        return None
    if not (sop_class_uid and sop_instance_uid and transfer_syntax_uid):
        return None
    return sop_class_uid, sop_instance_uid, transfer_syntax_uid, end


def _are_in_data_set(head: bytes, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, at: int) -> bool:
    """Whether the data set at ``at`` has the UIDs of file meta information.

    SCPs compare the request with the data set. Tools that change its UIDs often forget file meta information.
    """
    sop_class, sop_instance = sop_class_uid.encode("ascii"), sop_instance_uid.encode("ascii")
    if len(sop_class) > _LONGEST_UID or len(sop_instance) > _LONGEST_UID:
        return False
    if len(sop_class) & 1:
        sop_class += b"\0"
    if len(sop_instance) & 1:
        sop_instance += b"\0"
    if transfer_syntax_uid in DEFLATED:
        head, at = inflated(head[at:], transfer_syntax_uid), 0
    template = _UIDS_IN.get(transfer_syntax_uid, _UIDS_IN_EXPLICIT_LITTLE)
    return head.find(template % (len(sop_class), sop_class, len(sop_instance), sop_instance), at) >= 0


def _before_instance_uid(sop_class: bytes, length: int, transfer_syntax_uid: str) -> bytes | None:
    """See :attr:`_Alike.in_data_set`."""
    uid = sop_class.rstrip(b"\0").decode()
    are_ordinary = length <= _LONGEST_UID and len(uid) <= _LONGEST_UID and len(transfer_syntax_uid) <= _LONGEST_UID
    is_explicit_little = transfer_syntax_uid not in _UIDS_IN and transfer_syntax_uid not in DEFLATED
    if not are_ordinary or not is_explicit_little or uid == _MEDIA_STORAGE_DIRECTORY:
        return None
    return b"\x08\x00\x16\x00UI%c\x00%b\x08\x00\x18\x00UI" % (len(sop_class), sop_class)


def _check(meta: tuple[str, str, str, int], size: int) -> int:
    """Check the UIDs of an instance in a file of ``size`` bytes; returns the oddities found.

    Raises:
        Unfit: no peer could store it.
    """
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, offset = meta
    oddities = 0
    if not (_is_usual(sop_class_uid) and _UID.fullmatch(sop_instance_uid) and _is_usual(transfer_syntax_uid)):
        _check_uids(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        oddities = int(Oddity.UNUSUAL_UID)
    if sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise Unfit("a DICOMDIR: it describes files, and is not stored itself")
    if size <= offset:
        raise Unfit(NO_DATA_SET)
    return oddities


@lru_cache(1024)
def _is_usual(uid: str) -> bool:
    """Whether a SOP class or transfer syntax UID is as PS3.5 9.1 has it: most files have the same ones."""
    return _UID.fullmatch(uid) is not None


def _check_uids(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> None:
    """Check UIDs that are not ordinary.

    Raises:
        Unfit: no SCP would accept one of them.
    """
    for name, uid in (("SOP class UID", sop_class_uid), ("SOP instance UID", sop_instance_uid)):
        if len(uid) > _LONGEST_UID:
            raise Unfit(f"its {name} has {len(uid)} characters: no more than {_LONGEST_UID} are allowed")
        if not re.fullmatch(_PRINTABLE, uid):
            raise Unfit(f"its {name} holds characters that cannot be printed: {uid!a}")
        if _SEPARATOR.search(uid):
            raise Unfit(f"its {name} holds a slash or a backslash, which no UID may: {uid}")
    if not _UID.fullmatch(transfer_syntax_uid):
        raise Unfit(f"its transfer syntax UID is none: {transfer_syntax_uid[:_LONGEST_UID]!a}")


def _as_data_set_says(
    head: bytes, size: int, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, offset: int
) -> tuple[str, str, str, int]:
    """The same with the UIDs of the data set, if it has any.

    Raises:
        Unfit: the data set contradicts its transfer syntax.
    """
    from asyncstore.prepare.lenient_probe import contradiction, uids_in_data_set

    data_set = head[offset:]
    reason = contradiction(data_set, size - offset, transfer_syntax_uid)
    if reason is not None:
        raise Unfit(reason)
    uids = uids_in_data_set(data_set, transfer_syntax_uid) or (sop_class_uid, sop_instance_uid)
    return *uids, transfer_syntax_uid, offset


def _unusual(descriptor: int, size: int, file_format: FileFormat) -> tuple[str, str, str, int]:
    """Probe an unusual file.

    Raises:
        Unfit: it holds no instance, or none that is wanted.
    """
    from io import BytesIO

    from asyncstore.prepare.lenient_probe import META_LIMIT, probe_unusual  # few files are unusual

    if isinstance(descriptor, Window):
        return probe_unusual(BytesIO(read_at(descriptor, 0, META_LIMIT)), size, file_format)
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return probe_unusual(file, size, file_format)
