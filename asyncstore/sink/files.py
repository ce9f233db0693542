"""Data sets as Part 10 files in a folder, named by their SOP instance UIDs.

Rules:

1. A file has its name when it is complete: it is written under a random one, and nothing of it is left if that fails.
2. Nothing is followed or overwritten but regular files: an instance that comes again takes the place of the first.
3. What is stored is for its owner only, unless the group is let in: it is patient data.
4. Two SOP instance UIDs never share a file, be they unusual or hostile.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from asyncstore.errors import UsageError
from asyncstore.protocol.associate import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from asyncstore.protocol.status import describe

if TYPE_CHECKING:
    from pathlib import Path

    from asyncstore.protocol.command import Command
    from asyncstore.sink.tally import SinkTally

_log = logging.getLogger(__name__)

_OUT_OF_RESOURCES = 0xA700
"""PS3.4 table B.2-1."""

_CREATED = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""How a file is created where there was none, not even a symbolic link. O_BINARY is Windows's."""

_PLAIN = re.compile(rb"[0-9][0-9a-z.-]{0,63}")
"""UIDs that are names of files as they are. They differ also where a file system takes capital letters for small ones,
and none is the name of a device of Windows."""
_IMPLEMENTATION_CLASS_UID = IMPLEMENTATION_CLASS_UID.encode()
_IMPLEMENTATION_VERSION_NAME = IMPLEMENTATION_VERSION_NAME.encode()

_UNSAFE = re.compile(rb"[^0-9a-z.-]")


class Folder:
    """Where files are stored, and what came of that.

    Args:
        path: the folder.
        tally: what has come in so far.
        group_readable: whether the group may read the files, and the folder if it is made.
    """

    def __init__(self, path: Path, tally: SinkTally, *, group_readable: bool = False) -> None:
        self.path = path
        self.file_mode = 0o640 if group_readable else 0o600
        self._group_readable = group_readable
        self._folder_mode = 0o750 if group_readable else 0o700
        self._tally = tally
        self._complaints: set[int | None] = set()

    def make(self) -> None:
        """See that it is there.

        Raises:
            UsageError: it cannot be.
        """
        try:
            is_new = not self.path.is_dir()
            self.path.mkdir(self._folder_mode, parents=True, exist_ok=True)
            if is_new and self._group_readable:
                self.path.chmod(self._folder_mode)  # whatever the umask is
        except FileExistsError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: it is not a directory") from error
        except OSError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: {error.strerror}") from error

    def let_group_in(self, file: int) -> None:
        """Let the group read a file, if it may, whatever the umask is."""
        if self._group_readable and hasattr(os, "fchmod"):
            os.fchmod(file, self.file_mode)

    def stored(self, length: int, *, in_place_of_another: bool) -> None:
        """Count an instance that is now a file."""
        self._tally.instances += 1
        self._tally.bytes += length
        self._tally.replaced += in_place_of_another

    def failed(self, error: OSError) -> int:
        """Count an instance that could not be stored, say why if that was not said yet, and give the status to answer.

        A disk that is full may be full for a million instances: the tally counts them.
        """
        self._tally.refused[_OUT_OF_RESOURCES] += 1
        if error.errno not in self._complaints:
            self._complaints.add(error.errno)
            complaint = "cannot store files in %s: %s; what cannot be stored is refused with %s"
            _log.warning(complaint, self.path, error.strerror, describe(_OUT_OF_RESOURCES))
        return _OUT_OF_RESOURCES


class Writing:
    """Writes to a temporary file that gets its name when it is complete, so that no partial file is ever found.

    It writes from within the event loop: to the page cache of a local disk this takes less time than handing the
    pieces to a thread.
    """

    def __init__(self, folder: Folder, request: Command, transfer_syntax: str, status: int) -> None:
        self._folder = folder
        self._status = status
        self._length = 0
        uid = _unpadded(request.instance_uid_value)
        self._final = f"{folder.path}/{_file_name(uid)}"
        self._temporary = f"{folder.path}/.{secrets.token_hex(8)}.partial"
        self._is_begun = False
        self._file: int | None = None
        self._failure: OSError | None = None
        try:
            self._file = os.open(self._temporary, _CREATED, folder.file_mode)
            self._is_begun = True
            folder.let_group_in(self._file)
        except OSError as error:
            self._fail(error)
        self._write(file_meta_information(_unpadded(request.class_uid_value), uid, transfer_syntax.encode("ascii")))

    def write(self, data: memoryview) -> None:
        """Take the next piece."""
        self._length += len(data)
        self._write(data)

    def _write(self, data: bytes | memoryview) -> None:
        if self._file is None:
            return
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            self._fail(error)

    def finish(self) -> int:
        """Give the file its name; the status to answer."""
        is_there = False
        if self._file is not None:
            try:
                is_there = _has_file(self._final)
                self._close()
                os.replace(self._temporary, self._final)  # noqa: PTH105 - a Path would have to be made of each
                self._is_begun = False
            except OSError as error:
                self._fail(error)
        if self._failure is not None:
            return self._folder.failed(self._failure)
        self._folder.stored(self._length, in_place_of_another=is_there)
        return self._status

    def discard(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):  # what keeps it from being written may keep it from being closed and removed
            self._close()
        if self._is_begun:
            self._is_begun = False
            with suppress(OSError):
                os.unlink(self._temporary)  # noqa: PTH108 - as above

    def _fail(self, error: OSError) -> None:
        """Leave nothing of it at once: where a disk is full, others need the room before this data set ends."""
        self._failure = error
        self.discard()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _has_file(path: str) -> bool:
    """Whether there is a file of this name.

    Raises:
        FileExistsError: there is something else of this name, which is not ours to replace.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "what has the name of a file there is no regular file", path)
    return True


def _unpadded(uid: bytes | None) -> bytes:
    """A UID without its padding: NUL (PS3.5 9.1), or spaces, which some write in its place."""
    return (uid or b"").rstrip(b"\0 ")


def _file_name(uid: bytes) -> str:
    """The name of the file of a UID, which a peer may have chosen to be a path out of the folder, or a device.

    What is no name as it is gets one with a hash, which no other UID has.
    """
    if _PLAIN.fullmatch(uid):
        return f"{uid.decode()}.dcm"
    legible = _UNSAFE.sub(b"_", uid.lower())[:64].lstrip(b".").decode()
    return f"{legible}_{blake2b(uid, digest_size=16).hexdigest()}.dcm"


def file_meta_information(sop_class_uid: bytes, sop_instance_uid: bytes, transfer_syntax_uid: bytes) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) to stand before a data set."""
    elements = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01"
    for element, vr, value in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", _IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", _IMPLEMENTATION_VERSION_NAME),
    ):
        padded = value + (b"\0" if vr == b"UI" else b" ") * (len(value) & 1)
        elements += b"\x02\x00" + element.to_bytes(2, "little") + vr + len(padded).to_bytes(2, "little") + padded
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + len(elements).to_bytes(4, "little") + elements
