"""Hear what libjpeg says about damage: GDCM passes its errors on, but not its warnings.

Where a codestream is damaged, libjpeg fills the rest with grey or zeros, prints a warning and goes on.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.codestreams import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAMAGE = (b"premature end", b"Premature end", b"bad Huffman code", b"bad arithmetic code", b"found marker")
"""In warnings after which pixels are missing. Others are harmless, such as bytes between scans and markers."""
_STANDARD_ERROR = 2
_MOST = 1 << 16


@contextmanager
def no_damage() -> Iterator[None]:
    """Read what is printed to standard error within the context.

    Raises:
        Unconvertible: libjpeg has found damage.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # so that a flood of warnings cannot stop the process
    kept = os.dup(_STANDARD_ERROR)
    os.dup2(writer, _STANDARD_ERROR)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)  # it closes the last writer, so that reading ends
        os.close(kept)
        printed = os.read(reader, _MOST)
        os.close(reader)
    if any(words in printed for words in _DAMAGE):
        raise Unconvertible(f"{DAMAGED}: a JPEG codestream ends too early or holds wrong codes")
