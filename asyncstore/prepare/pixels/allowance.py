"""What transcoding one data set may use and do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Allowance(NamedTuple):
    """What transcoding may use and do.

    Attributes:
        frame: the largest frame, in bytes.
        memory: called before each frame with the bytes of memory that it needs.
        may_lose: whether pixel data may be encoded with losses.
    """

    frame: int
    memory: Callable[[int], None]
    may_lose: bool = False
