"""Maps files into memory, so that the kernel copies them from the page cache straight to the socket.

Rules:

1. Only the kernel reads mapped files. If one is cut short meanwhile, ``sendmsg`` sends less and fails with ``EFAULT``;
   reading it here would end the process with ``SIGBUS``. So data sets are not mapped if they go over TLS, are padded,
   or are joined with their request.
2. When its last byte has been sent, the file is compared once more with the one that was probed: the missing part of a
   page reads as zeros.
3. The last slice of a map frees its memory and closes its descriptor.
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

WHILE_SENT = "it was being sent, so the peer may hold it, or a part of each version"

_GRANULARITY = mmap.ALLOCATIONGRANULARITY


class Mapping:
    """A part of a file that is being sent; it calls ``on_free`` when it is no longer needed."""

    __slots__ = ("_data", "_instance", "_on_free")

    def __init__(self, instance: Instance, data: memoryview, on_free: Callable[[], None]) -> None:
        self._instance = instance
        self._data = data
        self._on_free = on_free

    def release(self) -> Unsendable | None:
        """This part was sent, or will not be. Returns how the file has changed since the probe, if it has."""
        self._data.release()  # so that no frame of a cancelled task keeps it
        self._on_free()
        try:
            payload = self._instance.payload
            check_unchanged(payload, os.stat(payload.container))
        except OSError as error:
            return Unsendable(self._instance.file, f"cannot be opened any more: {error.strerror}; {WHILE_SENT}")
        except FileChanged as change:
            return Unsendable(self._instance.file, f"{change}; {WHILE_SENT}", has_changed=True)
        return None


def mapped(descriptor: int, start: int, length: int) -> memoryview | None:
    """``length`` bytes of a file from ``start`` on, mapped; ``None``: they cannot be."""
    before = start % _GRANULARITY
    try:
        whole = mmap.mmap(descriptor, before + length, mmap.MAP_SHARED, mmap.PROT_READ, offset=start - before)
    except (OSError, ValueError):  # the file system has no maps, or the file has been cut short just now
        return None
    return memoryview(whole)[before:]
