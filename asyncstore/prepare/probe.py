"""What instance a file holds, read from its file meta information (PS3.10 7.1) without parsing what need not be.

Rules:

1. One open, one read of the first kilobytes, one walk over group 0002: some 15 µs, where pydicom takes 135.
2. Strict: preamble, prefix, group length, known VRs, the three UIDs that matter. Whatever is out of the ordinary is
   not guessed here but handed to :mod:`asyncstore.prepare.unusual`.
3. What the data set calls itself counts, and is looked for where file meta information calls it something else. One
   that is encoded otherwise than file meta information says is not sent: no SCP could read it.
4. A data set that is not all there is not sent: :mod:`asyncstore.prepare.ending`.
5. Never raises for what a file is or does: the answer is an :class:`~asyncstore.model.Instance` or an
   :class:`~asyncstore.model.Unsendable`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from struct import Struct
from typing import TYPE_CHECKING

from asyncstore.model import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Instance, Unsendable
from asyncstore.prepare.elements import DEFLATED, LONG_VRS
from asyncstore.prepare.ending import NO_DATA_SET, ODD_LENGTH, why_cut_off
from asyncstore.prepare.file_format import FileFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HEAD = 8192
"""Bytes read: file meta information takes some 350, and two pages cost hardly more than less of them. A file that
ends within them comes along whole: handing it over between processes (1 µs) is far cheaper than opening it again for
sending (20 µs, and a reader thread's quarrel with the event loop over the interpreter lock)."""
_PREFIX_END = 132
_BEGINNING = re.compile(rb"DICM\x02\x00\x00\x00UL\x04\x00", re.DOTALL)
"""The prefix and (0002,0000) with its VR and length (PS3.10 table 7.1-1)."""
_GROUP_START = _PREFIX_END + 12
_META_VRS = frozenset((b"UI", b"SH", b"AE", b"UL", b"US", b"LO", b"CS", b"ST"))
"""The VRs with 16 bits for the length that file meta information is seen with; any other one makes it unusual."""
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
"""How SOP class UID and SOP instance UID stand in a data set of a transfer syntax: length and value of each."""

_LONGEST_UID = 64
_UID = re.compile(r"[0-9.]{1,64}")
"""PS3.5 9.1, but for its rules on zeros and dots: real devices break them, and SCPs take what they send."""

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""O_NONBLOCK: what was a file when it was found may be a FIFO now, and must not block."""


_NOT_NOW = (errno.EAGAIN, errno.EMFILE, errno.ENFILE)
"""Somebody holds a lease on the file, as Samba does for its clients (fcntl(2)), or descriptors are short."""
_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to open a file that cannot be opened just now."""


def opened(path: str) -> int:
    """A descriptor of this file; blocks for some seconds where it cannot be opened just now.

    Raises:
        OSError: it cannot be opened.
    """
    for pause in _PAUSES:
        try:
            return os.open(path, OPEN_FLAGS)
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
        time.sleep(pause)
    return os.open(path, OPEN_FLAGS)


def probe(paths: Iterable[str], file_format: FileFormat = FileFormat.ANY) -> list[Instance | Unsendable]:
    """Look into each file, in order."""
    return [probe_file(path, file_format) for path in paths]


def probe_file(path: str, file_format: FileFormat = FileFormat.ANY) -> Instance | Unsendable:
    """Look into one file."""
    try:
        descriptor = opened(path)
    except (OSError, ValueError) as error:
        return Unsendable(path, f"cannot be opened: {error.strerror if isinstance(error, OSError) else error}")
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Unsendable(path, "not a regular file")
        head = os.read(descriptor, _HEAD)
        meta = read_meta(head)
        if meta is None or file_format is FileFormat.BARE:
            found = _unusual(path, descriptor, status.st_size, file_format)
        else:
            offset = meta[3]
            found = Instance(
                path, *meta, status.st_size - offset, head[offset:] if len(head) == status.st_size else None
            )
            if not _are_in_data_set(head, *meta):
                found = _as_data_set_says(found, head)
        reason = _complaint(found, descriptor, head) if isinstance(found, Instance) else None
    except OSError as error:
        return Unsendable(path, f"cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)
    return Unsendable(path, reason) if reason else found


def read_meta(head: bytes) -> tuple[str, str, str, int] | None:  # noqa: C901, PLR0911 - split up, it takes twice as long
    """SOP class, SOP instance, transfer syntax and the offset of the data set, from a file's first bytes.

    ``None`` where the file meta information is out of the ordinary, or longer than ``head``.
    """
    if not _BEGINNING.match(head, _PREFIX_END - 4) or len(head) < _GROUP_START:
        return None
    end = _GROUP_START + _UINT32.unpack_from(head, _GROUP_START - 4)[0]
    if end + 2 > len(head):  # what follows must be seen, lest the group be longer than it says
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
            uids[element] = head[position : position + length]
        position += length
    if head[position : position + 2] == b"\x02\x00":
        return None
    try:
        sop_class_uid = uids[_MEDIA_STORAGE_SOP_CLASS_UID].rstrip(b"\0 ").decode("ascii")
        sop_instance_uid = uids[_MEDIA_STORAGE_SOP_INSTANCE_UID].rstrip(b"\0 ").decode("ascii")
        transfer_syntax_uid = uids[_TRANSFER_SYNTAX_UID].rstrip(b"\0 ").decode("ascii")
    except (KeyError, UnicodeDecodeError):
        return None
    if not (sop_class_uid and sop_instance_uid and transfer_syntax_uid):
        return None
    return sop_class_uid, sop_instance_uid, transfer_syntax_uid, end


def _are_in_data_set(head: bytes, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, at: int) -> bool:
    """Whether the data set that begins ``at`` says of itself what its file meta information says, or cannot be asked.

    It is the data set that counts: SCPs compare the request with it. Tools that change UIDs often forget the others.
    """
    if transfer_syntax_uid in DEFLATED:
        return True
    sop_class, sop_instance = sop_class_uid.encode("ascii"), sop_instance_uid.encode("ascii")
    if len(sop_class) > _LONGEST_UID or len(sop_instance) > _LONGEST_UID:
        return False
    if len(sop_class) & 1:
        sop_class += b"\0"
    if len(sop_instance) & 1:
        sop_instance += b"\0"
    template = _UIDS_IN.get(transfer_syntax_uid, _UIDS_IN_EXPLICIT_LITTLE)
    return head.find(template % (len(sop_class), sop_class, len(sop_instance), sop_instance), at) >= 0


def _complaint(instance: Instance, descriptor: int, head: bytes) -> str | None:
    """Why ``instance`` cannot be stored, whatever the peer is."""
    _, sop_class_uid, sop_instance_uid, transfer_syntax_uid, offset, length, *_ = instance
    if not (_UID.fullmatch(sop_class_uid) and _UID.fullmatch(sop_instance_uid) and _UID.fullmatch(transfer_syntax_uid)):
        return "one of its UIDs (SOP class, SOP instance, transfer syntax) is not a valid UID"
    if sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        return "a DICOMDIR: it describes files, and is not stored itself"
    if length <= 0:
        return NO_DATA_SET
    cut_off = why_cut_off(descriptor, offset + length, head, offset, transfer_syntax_uid)
    return cut_off or (ODD_LENGTH if length & 1 and transfer_syntax_uid not in DEFLATED else None)


def _as_data_set_says(found: Instance, head: bytes) -> Instance | Unsendable:
    """The same with the UIDs of the data set, where there are any."""
    from asyncstore.prepare.unusual import contradiction, uids_in_data_set  # noqa: PLC0415 - see _unusual

    data_set = head[found.offset :]
    reason = contradiction(data_set, found.length, found.transfer_syntax_uid)
    if reason is not None:
        return Unsendable(found.path, reason)
    uids = uids_in_data_set(data_set, found.transfer_syntax_uid)
    return found if uids is None else found._replace(sop_class_uid=uids[0], sop_instance_uid=uids[1])


def _unusual(path: str, descriptor: int, size: int, file_format: FileFormat) -> Instance | Unsendable:
    """Importing pydicom takes 0.4 s, so only a worker that meets an unusual file does."""
    from asyncstore.prepare.unusual import probe_unusual  # noqa: PLC0415 - see above

    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return probe_unusual(path, file, size, file_format)
