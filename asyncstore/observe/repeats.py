"""Instances whose SOP instance UID came before: a peer that stores both keeps only one of them.

Rules:

1. Memory stays flat: a table of 16 MB, which a small run does not touch as a whole. It knows a million UIDs; those that
   come later are looked up in it, and not added.
2. UIDs are known by 64 bits of a hash: among a million the odds are 1 in 37 million that two different ones are taken
   for the same.
3. An instance costs a third of a microsecond.
"""

from __future__ import annotations

from mmap import mmap
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_UIDS = 1_000_000
"""UIDs that are known at most."""
_SLOTS = 1 << 21
"""Twice as many, so that a free one is near."""
_BYTES = 8
"""Of a slot."""
_MOST_EXAMPLES = 5


class Identified(Protocol):
    """An instance, or the outcome of one."""

    @property
    def path(self) -> str:
        """Of its file."""

    @property
    def sop_instance_uid(self) -> str | None:
        """Its UID, if it is known."""


class Repeated(NamedTuple):
    """Two files with the same SOP instance UID."""

    earlier: str | None
    """``None``: its path is not known any more."""
    path: str


class Repeats:
    """Counts them.

    Args:
        most_paths: of how many UIDs to keep the path, so that examples name both files.

    Attributes:
        count: the instances whose UID came before.
        examples: the first of them.
    """

    def __init__(self, most_paths: int = 0) -> None:
        self.count = 0
        self.examples: list[Repeated] = []
        self._most_paths = most_paths
        self._paths: dict[int, str] = {}
        self._known = 0
        self._is_full = False
        self._slots: memoryview | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every UID that came is known."""
        return not self._is_full

    def add(self, instances: Iterable[Identified]) -> None:
        """Look these up, and know them from now on."""
        if self._slots is None:
            self._slots = memoryview(mmap(-1, _SLOTS * _BYTES)).cast("q")
        slots, last = self._slots, _SLOTS - 1
        for instance in instances:
            key = hash(instance.sop_instance_uid) or 1  # 0 is a free slot
            slot = key & last
            while (held := slots[slot]) and held != key:
                slot = (slot + 1) & last
            if held:
                self._repeated(key, instance)
            elif self._known >= MOST_UIDS:
                self._is_full = True
            else:
                slots[slot] = key
                self._known += 1
                if self._known <= self._most_paths:
                    self._paths[key] = instance.path

    def _repeated(self, key: int, instance: Identified) -> None:
        if instance.sop_instance_uid is None:
            return
        self.count += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(Repeated(self._paths.get(key), instance.path))
