"""Maps files into memory, so that the kernel copies them from the page cache to the socket, and nothing else does.

Rules:

1. Only the kernel reads what is mapped. If the file is cut short meanwhile, ``sendmsg`` sends less and fails with
   ``EFAULT``; to read it here would end the process with ``SIGBUS``. So it is not for TLS, and not for data sets that
   are padded or joined with their request.
2. The file is compared with the one that was probed once more when its last byte has left: a page that is cut short
   reads as zeros up to its end.
3. The memory is given back, and the descriptor that belongs to it closed, with its last slice.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from asyncstore.model import Unsendable
from asyncstore.prepare.files import FileChanged, check_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import Instance

WHILE_SENT = "it was being sent, so the peer may hold a part of each version"

_GRANULARITY = mmap.ALLOCATIONGRANULARITY


class Mapping:
    """A part of a file that is being sent; it calls ``on_free`` when it is no longer needed."""

    __slots__ = ("_data", "_instance", "_on_free")

    def __init__(self, instance: Instance, data: memoryview, on_free: Callable[[], None]) -> None:
        self._instance = instance
        self._data = data
        self._on_free = on_free

    def release(self) -> Unsendable | None:
        """All of it has left, or none of it will; why the file is not what was sent, if it has changed."""
        self._data.release()  # so that no frame of a cancelled task keeps it
        self._on_free()
        try:
            payload = self._instance.payload
            check_unchanged(payload, os.stat(payload.container))  # noqa: PTH116 - paths are text
        except OSError as error:
            return Unsendable(self._instance.file, f"cannot be opened any more: {error.strerror}; {WHILE_SENT}")
        except FileChanged as change:
            return Unsendable(self._instance.file, f"{change}; {WHILE_SENT}")
        return None


def mapped(descriptor: int, start: int, length: int) -> memoryview | None:
    """``length`` bytes of a file from ``start`` on; ``None`` if they cannot be mapped."""
    before = start % _GRANULARITY
    try:
        whole = mmap.mmap(descriptor, before + length, mmap.MAP_SHARED, mmap.PROT_READ, offset=start - before)
    except (OSError, ValueError):  # the file system has no maps, or the file has been cut short just now
        return None
    return memoryview(whole)[before:]
