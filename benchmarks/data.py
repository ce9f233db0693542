"""The archives to send: synthetic instances, written on first use."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncstore.sink.files import file_meta_information
from benchmarks.copies import write_copies
from benchmarks.rounds import say

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = 4
"""The number of folders of an archive, so that as many processes can share it."""

_MULTI_FRAME_CLASS = "1.2.840.10008.5.1.4.1.1.7.3"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of instance."""

    name: str
    data_set_bytes: int
    multi_frame: bool = False


CT = Kind("CT 526 kB", 526_336)
CT_QUARTER = Kind("CT 132 kB", 132_096)
SMALL = Kind("small 2.8 kB", 2_432)
"""With file meta information the file has 2.8 kB."""
TINY = Kind("tiny 1.4 kB", 1_024)
MULTI_FRAME = Kind("multi-frame 134 MB", 134_219_776, multi_frame=True)


@dataclass(frozen=True, slots=True)
class Archive:
    """Instances of one kind, in folders that hold about the same number each."""

    folders: tuple[Path, ...]
    instances: int
    bytes: int

    def first_folders(self, number: int) -> Archive:
        """The part of the archive in its first folders."""
        share = number / len(self.folders)
        return Archive(self.folders[:number], round(self.instances * share), round(self.bytes * share))


class Archives:
    """Archives below one folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[Path, Archive] = {}

    def get(self, kind: Kind, instances: int, *, folders: int = SPLIT, seed: int = 0) -> Archive:
        """An archive of that many instances, which is kept for later calls."""
        root = self._folder / f"{kind.name.replace(' ', '-')}-{instances}-{folders}-{seed}"
        if root not in self._written:
            say(f"writing {instances:,} x {kind.name}")
            written = write_copies(
                root,
                count=instances,
                data_set_bytes=kind.data_set_bytes,
                multi_frame=kind.multi_frame,
                per_series=math.ceil(instances / folders),
                seed=seed,
            )
            self._written[root] = Archive(tuple(sorted(root.iterdir())), instances, written.bytes)
        return self._written[root]

    def one_each(self, kind: Kind) -> Archive:
        """An archive with one instance in each folder; no other archive has these instances."""
        return self.get(kind, SPLIT, seed=1)

    def sparse(self, data_set_bytes: int) -> Archive:
        """An archive of one large file whose pixels take no room on the disk."""
        root = self._folder / f"sparse-{data_set_bytes}"
        if root not in self._written:
            root.mkdir()
            _write_sparse(root / "sparse.dcm", data_set_bytes)
            self._written[root] = Archive((root,), 1, data_set_bytes)
        return self._written[root]

    def clear(self) -> None:
        """Delete all archives."""
        for root in self._written:
            shutil.rmtree(root)
        self._written.clear()


def _write_sparse(path: Path, data_set_bytes: int) -> None:
    """Write SOP class, SOP instance and a hole for Pixel Data (explicit VR little endian, PS3.5 7.1.2)."""
    uid = "2.25.1"
    meta = file_meta_information(_MULTI_FRAME_CLASS.encode(), uid.encode(), _EXPLICIT_LITTLE.encode())
    uids = _uid_element(0x0016, _MULTI_FRAME_CLASS) + _uid_element(0x0018, uid)
    pixel_data = b"\xe0\x7f\x10\x00OW\0\0"
    length = data_set_bytes - len(uids) - len(pixel_data) - 4
    with path.open("wb") as file:
        file.write(meta + uids + pixel_data + length.to_bytes(4, "little"))
        file.truncate(len(meta) + data_set_bytes)


def _uid_element(element: int, uid: str) -> bytes:
    """Encode a UID of group 0008."""
    value = uid.encode() + b"\0" * (len(uid) & 1)
    return b"\x08\x00" + element.to_bytes(2, "little") + b"UI" + len(value).to_bytes(2, "little") + value
