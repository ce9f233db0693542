"""Trees to send from: the awkward things that lie about in real archives, and an independent look into Part 10 files.

The functions that make one awkward thing take a folder and return the path they made there.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pydicom.data
import pytest

from benchmarks.copies import write_copies

ODD_NAMES = (
    b"with space.dcm",
    b" leading space",
    b"new\nline.dcm",
    b"tab\there.dcm",
    b"quote'and\"quote.dcm",
    b"latin-1-\xe4.dcm",
    b"not-utf-8-\xff\xfe.dcm",
    "décomposé-e\u0301-北京.dcm".encode(),
    b"[brackets]*?.dcm",
    b"escape-\x1b[31m.dcm",
    b"@at.dcm",
    b"-aet",
    b"+sd",
    b"no-extension",
    b".hidden.dcm",
)
"""Names of files, as bytes, each of which some program has stumbled over."""


class Part10(NamedTuple):
    """A Part 10 file, read without asyncstore."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes

    @property
    def sha256(self) -> str:
        """The hash of the data set as it lies in the file."""
        return hashlib.sha256(self.data_set).hexdigest()


_LONG_VRS = (b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"OD", b"OL", b"OV", b"UC", b"UR")
"""Those whose length has 32 bits (PS3.5 7.1.2)."""


def read_part10(path: Path) -> Part10:
    """Read a Part 10 file; what comes after the last element of group 0002 is the data set, whatever it is."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        raise ValueError(f"{path} has no DICM prefix")
    elements = {}
    at = 132
    while content[at : at + 2] == b"\x02\x00":
        if content[at + 4 : at + 6] in _LONG_VRS:
            start, length = at + 12, int.from_bytes(content[at + 8 : at + 12], "little")
        else:
            start, length = at + 8, int.from_bytes(content[at + 6 : at + 8], "little")
        elements[content[at + 2 : at + 4]] = content[start : start + length]
        at = start + length
    uids = (elements.get(element, b"").rstrip(b"\0 ").decode() for element in (b"\x02\0", b"\x03\0", b"\x10\0"))
    return Part10(*uids, data_set=content[at:])


def data_sets(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the data set, by SOP instance UID, of every Part 10 file below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and _has_prefix(path):
            instance = read_part10(path)
            found[instance.sop_instance_uid] = instance.sha256
    return found


def _has_prefix(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def instances(folder: Path, count: int = 3, *, data_set_bytes: int = 2800, seed: int = 0) -> list[Path]:
    """Write some CT instances; the folder must be empty or not there yet."""
    archive = write_copies(folder, count=count, data_set_bytes=data_set_bytes, seed=seed)
    return sorted(path for path in archive.folder.rglob("*") if path.is_file())


def pydicom_test_files() -> list[Path]:
    """Return the files that pydicom installs for its own tests; those it would have to download are not among them."""
    return [*_pydicom_test_files()]


@cache
def _pydicom_test_files() -> tuple[Path, ...]:
    """Looking through the folder takes 2 ms, and some tests ask for hundreds of files."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def empty_file(folder: Path) -> Path:
    """Write a file of no bytes."""
    path = folder / "empty.dcm"
    path.touch()
    return path


def random_bytes(folder: Path, size: int = 5000) -> Path:
    """Write noise."""
    path = folder / "random.dcm"
    path.write_bytes(random.Random(size).randbytes(size))  # noqa: S311 - noise, not a secret
    return path


def text_file(folder: Path) -> Path:
    """Write text, as a README left among the files."""
    path = folder / "README.txt"
    path.write_text("This is not DICOM.\n" * 20)
    return path


def prefix_only(folder: Path) -> Path:
    """Write a preamble and the DICM prefix, and nothing after it."""
    path = folder / "prefix-only.dcm"
    path.write_bytes(bytes(128) + b"DICM")
    return path


def truncated(folder: Path, source: Path, keep: int) -> Path:
    """Write the first bytes of a file."""
    path = folder / f"truncated-at-{keep}.dcm"
    path.write_bytes(source.read_bytes()[:keep])
    return path


def directory_named_as_a_file(folder: Path) -> Path:
    """Make an empty directory whose name ends in .dcm."""
    path = folder / "directory.dcm"
    path.mkdir()
    return path


def fifo(folder: Path) -> Path:
    """Make a FIFO that nobody writes to: opening it for reading blocks for ever."""
    path = folder / "fifo.dcm"
    os.mkfifo(path)
    return path


def unix_socket(folder: Path) -> Path:
    """Make a socket of the file system; a long path to it would not fit in its address, so it is bound from there."""
    path = folder / "socket.dcm"
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)
    return path


def endless_device(folder: Path) -> Path:
    """Make a symbolic link to a device that can be read for ever."""
    path = folder / "zeros.dcm"
    path.symlink_to("/dev/zero")
    return path


def symlink_loop(folder: Path) -> Path:
    """Make a directory that holds a symbolic link to the folder it lies in."""
    path = folder / "again"
    path.symlink_to(folder, target_is_directory=True)
    return path


def symlinks_to_each_other(folder: Path) -> Path:
    """Make two symbolic links each of which points to the other."""
    path, other = folder / "this.dcm", folder / "that.dcm"
    path.symlink_to(other)
    other.symlink_to(path)
    return path


def broken_symlink(folder: Path) -> Path:
    """Make a symbolic link to nothing."""
    path = folder / "broken.dcm"
    path.symlink_to(folder / "gone.dcm")
    return path


def unreadable(path: Path) -> Path:
    """Take all permissions from a file or directory; if the user may read it nevertheless, the test is skipped."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything: run the tests as another user than root")
    return path


def oddly_named(folder: Path, source: Path) -> list[bytes]:
    """Copy a file to every odd name, and return the paths; a name the file system refuses is left out."""
    content = source.read_bytes()
    written = []
    for name in ODD_NAMES:
        path = os.path.join(os.fsencode(folder), name)
        try:
            with open(path, "wb") as file:
                file.write(content)
        except OSError:
            continue
        written.append(path)
    return written


def deflated(data: bytes) -> bytes:
    """Deflate a data set as its transfer syntax has it (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()
