"""The storage SCP of CTN, the software of the first DICOM demonstrations (1993), which Debian still has."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

from support.peers.programs import find_program, made, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class SimpleStorage:
    """A running simple_storage."""

    port: int
    folder: Path

    def stored(self) -> dict[str, str]:
        """Return what it stored: the SHA-256 of the pixel data by SOP instance UID."""
        found = (dcmread(path, force=True) for path in self.folder.rglob("*") if path.is_file())
        return {one.SOPInstanceUID: hashlib.sha256(one.PixelData).hexdigest() for one in found}


@asynccontextmanager
async def running_simple_storage(folder: Path) -> AsyncIterator[SimpleStorage]:
    """Run it: it serves several associations at once, and prints nothing of what it stores.

    It stores each SOP class in a folder of its own and creates that folder when the first instance comes. Where two of
    its processes do so at once, the one that comes second never answers. So the folders are there before it runs.

    Args:
        folder: where it stores. It is created.
    """
    program = find_program("simple_storage", "ctn")
    for modality in ("CT", "MR"):
        made(folder / modality)

    def words(port: int) -> list[str]:
        return [program, "-f", "-i", "-s", "-x", str(folder), str(port)]

    async with running(words, connects=False) as peer:
        yield SimpleStorage(peer.port, folder)
