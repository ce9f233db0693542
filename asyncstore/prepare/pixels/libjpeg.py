"""Hear what libjpeg says about damage: GDCM passes its errors on, but not its warnings.

Where a codestream is damaged, libjpeg fills the rest with grey or zeros, prints a warning and goes on.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.codestreams import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAMAGE = (b"premature end", b"Premature end", b"bad Huffman code", b"bad arithmetic code", b"found marker")
"""In warnings after which pixels are missing. Others are harmless, such as bytes between scans and markers."""
_STANDARD_ERROR = 2


@cache
def _sink() -> int:
    """A file in memory for what is printed, kept until the process ends: a new pipe for each frame took 0.1 ms."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("asyncstore-warnings")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextmanager
def no_damage() -> Iterator[None]:
    """Read what is printed to standard error within the context.

    Raises:
        Unconvertible: libjpeg has found damage.
    """
    sink = _sink()
    kept = os.dup(_STANDARD_ERROR)
    os.dup2(sink, _STANDARD_ERROR)
    try:
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(kept)
        printed = _taken(sink)
    if printed and any(words in printed for words in _DAMAGE):
        raise Unconvertible(f"{DAMAGED}: a JPEG codestream ends too early or holds wrong codes")


def _taken(sink: int) -> bytes:
    """All that was printed; the file is empty then."""
    length = os.lseek(sink, 0, os.SEEK_CUR)
    if not length:
        return b""
    printed = os.pread(sink, length, 0)
    os.ftruncate(sink, 0)
    os.lseek(sink, 0, os.SEEK_SET)
    return printed
