"""Keep the memory of a frame for the next one.

glibc gives large blocks back to the system when they are freed. Codecs take and free several of them for each frame,
and the system clears each one anew: a quarter of the time of GDCM.
"""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
_FROM_HEAP = 32 << 20
"""Bytes: the largest block of the heap, the most that glibc allows. Larger blocks are given back as before."""
_KEPT = 64 << 20
"""Bytes: the most free memory that stays at the end of the heap."""


@cache
def keep_memory() -> None:
    """Keep freed memory in this process, where its C library can."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    set_option(_MMAP_THRESHOLD, _FROM_HEAP)
    set_option(_TRIM_THRESHOLD, _KEPT)
