"""Data sets as Part 10 files in a folder, named by their SOP instance UIDs."""

from __future__ import annotations

import logging
import os
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


class Folder:
    """Where files are stored, and what came of that.

    Args:
        path: the folder.
        tally: what has come in so far.
    """

    def __init__(self, path: Path, tally: SinkTally) -> None:
        self.path = path
        self._tally = tally
        self._complaints: set[int | None] = set()

    def make(self) -> None:
        """See that it is there.

        Raises:
            UsageError: it cannot be.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: it is not a directory") from error
        except OSError as error:
            raise UsageError(f"cannot store files in {str(self.path)!r}: {error.strerror}") from error

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
        uid = request.sop_instance_uid or ""
        self._final = folder.path / f"{_safe(uid)}.dcm"
        self._temporary = folder.path / f".{_safe(uid)}.{os.getpid()}.{id(self):x}.partial"
        self._failure: OSError | None = None
        try:
            self._file = self._temporary.open("wb", buffering=0)
            self._file.write(file_meta_information(request.sop_class_uid or "", uid, transfer_syntax))
        except OSError as error:
            self._failure = error

    def write(self, data: memoryview) -> None:
        """Take the next piece."""
        self._length += len(data)
        if self._failure is None:
            try:
                written = self._file.write(data)
                while written < len(data):
                    written += self._file.write(data[written:])
            except OSError as error:
                self._failure = error

    def finish(self) -> int:
        """Give the file its name; the status to answer."""
        if self._failure is not None:
            self.discard()
            return self._folder.failed(self._failure)
        try:
            self._file.close()
            is_there = self._final.exists()
            self._temporary.replace(self._final)
        except OSError as error:
            self.discard()
            return self._folder.failed(error)
        self._folder.stored(self._length, in_place_of_another=is_there)
        return self._status

    def discard(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):  # what keeps it from being written may keep it from being closed and removed
            if hasattr(self, "_file"):
                self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def _safe(uid: str) -> str:
    """A UID as a file name: a peer may send anything as UID, a path out of the folder for example.

    What cannot be a name as it is gets one that no other UID has.
    """
    safe = "".join(character if character.isalnum() or character in ".-" else "_" for character in uid)[:64].lstrip(".")
    return safe if safe and safe == uid else f"{safe}_{blake2b(os.fsencode(uid), digest_size=8).hexdigest()}"


def file_meta_information(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) to stand before a data set."""
    elements = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01"
    for element, vr, text in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ):
        value = text.encode("ascii", "replace")
        value += (b"\0" if vr == b"UI" else b" ") * (len(value) & 1)
        elements += b"\x02\x00" + element.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + len(elements).to_bytes(4, "little") + elements
