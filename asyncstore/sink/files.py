"""Data sets as Part 10 files in a folder, named by their SOP instance UIDs.

Rules:

1. A file gets its name when it is complete. Until then it has a random one; if writing fails, nothing stays behind.
2. Only regular files are replaced, and no links followed: an instance that comes again replaces the first.
3. Files are patient data: only their owner can read them, unless the group is allowed to.
4. Two SOP instance UIDs never share a file, not even unusual or hostile ones.
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
"""Create a file only where nothing is, not even a symbolic link. O_BINARY is for Windows."""

_PLAIN = re.compile(rb"[0-9][0-9a-z.-]{0,63}")
"""UIDs that are safe file names: distinct even if the file system ignores case, and never a device of Windows."""
_IMPLEMENTATION_CLASS_UID = IMPLEMENTATION_CLASS_UID.encode()
_IMPLEMENTATION_VERSION_NAME = IMPLEMENTATION_VERSION_NAME.encode()

_UNSAFE = re.compile(rb"[^0-9a-z.-]")


class Folder:
    """The folder for the files; it counts successes and failures.

    Args:
        path: the folder.
        tally: the sink's counts.
        group_readable: whether the group may read the files, and the folder if it is new.
    """

    def __init__(self, path: Path, tally: SinkTally, *, group_readable: bool = False) -> None:
        self.path = path
        self.file_mode = 0o640 if group_readable else 0o600
        self._group_readable = group_readable
        self._folder_mode = 0o750 if group_readable else 0o700
        self._tally = tally
        self._complaints: set[int | None] = set()

    def make(self) -> None:
        """Create the folder if it does not exist.

        Raises:
            UsageError: it cannot be created.
        """
        try:
            is_new = not self.path.is_dir()
            self.path.mkdir(self._folder_mode, parents=True, exist_ok=True)
            if is_new and self._group_readable:
                self.path.chmod(self._folder_mode)  # despite the umask
        except FileExistsError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: it is not a directory") from error
        except OSError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: {error.strerror}") from error

    def let_group_in(self, file: int) -> None:
        """Let the group read a file, if it may, despite the umask."""
        if self._group_readable and hasattr(os, "fchmod"):
            os.fchmod(file, self.file_mode)

    def stored(self, length: int, *, in_place_of_another: bool) -> None:
        """Count an instance that is now a file."""
        self._tally.instances += 1
        self._tally.bytes += length
        self._tally.replaced += in_place_of_another

    def failed(self, error: OSError) -> int:
        """Count an instance that could not be stored, and return the status for the response.

        Each cause is logged once: a full disk may refuse a million instances.
        """
        self._tally.refused[_OUT_OF_RESOURCES] += 1
        if error.errno not in self._complaints:
            self._complaints.add(error.errno)
            complaint = "cannot store files in %s: %s; what cannot be stored is refused with %s"
            _log.warning(complaint, self.path, error.strerror, describe(_OUT_OF_RESOURCES))
        return _OUT_OF_RESOURCES


class Writing:
    """Writes to a temporary file and renames it when it is complete.

    It writes in the event loop: writing to the page cache of a local disk costs less than a thread.
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
        """Give the file its name, and return the status for the response."""
        is_there = False
        if self._file is not None:
            try:
                is_there = _has_file(self._final)
                self._close()
                os.replace(self._temporary, self._final)
                self._is_begun = False
            except OSError as error:
                self._fail(error)
        if self._failure is not None:
            return self._folder.failed(self._failure)
        self._folder.stored(self._length, in_place_of_another=is_there)
        return self._status

    def discard(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # closing and removing may fail like writing
            self._close()
        if self._is_begun:
            self._is_begun = False
            with suppress(OSError):
                os.unlink(self._temporary)

    def _fail(self, error: OSError) -> None:
        """Remove the file at once: on a full disk others need the room before this data set ends."""
        self._failure = error
        self.discard()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _has_file(path: str) -> bool:
    """Whether a regular file has this name.

    Raises:
        FileExistsError: something else has this name; it must not be replaced.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "what has the name of a file there is no regular file", path)
    return True


def _unpadded(uid: bytes | None) -> bytes:
    """A UID without its padding: NUL (PS3.5 9.1), or spaces as some peers send."""
    return (uid or b"").rstrip(b"\0 ")


def _file_name(uid: bytes) -> str:
    """The file name for a UID; a peer may send a path out of the folder, or the name of a device.

    UIDs that are no safe names get one with a hash, which no other UID has.
    """
    if _PLAIN.fullmatch(uid):
        return f"{uid.decode()}.dcm"
    legible = _UNSAFE.sub(b"_", uid.lower())[:64].lstrip(b".").decode()
    return f"{legible}_{blake2b(uid, digest_size=16).hexdigest()}.dcm"


def file_meta_information(sop_class_uid: bytes, sop_instance_uid: bytes, transfer_syntax_uid: bytes) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) for a data set."""
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
