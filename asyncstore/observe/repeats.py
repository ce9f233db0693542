"""Instances with the SOP instance UID of an earlier one: a peer that stores both keeps only one of them.

Rules:

1. Memory stays flat: 8 bytes for each of the first two million instances, the same again during the comparison, and
   the paths of the first files.
2. UIDs are compared by 64 bits of a hash. Among two million, the odds of a false match are 1 in 9 million.
3. Adding an instance costs 0.1 µs. The comparison at the end takes half a second for two million.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.model import Instance, Outcome

MOST_UIDS = 2_000_000
"""Only so many UIDs are compared: 16 MB."""
_MOST_PATHS = 50_000
"""Only so many paths are kept as examples: some 10 MB."""
_MOST_EXAMPLES = 5
_PARTS = 32
"""UIDs are compared in so many parts, one after another: a set then takes 6 MB instead of 150."""
_AT_ONCE = 1 << 16
"""So few are compared at once: that takes a third of the time."""
_NONE = hash(None)


class Pair(NamedTuple):
    """Two files with the same SOP instance UID."""

    earlier: str
    path: str


class Repeats:
    """Finds instances with repeated UIDs.

    Attributes:
        is_exact: whether every UID is compared; false once there are more than :data:`MOST_UIDS`.
    """

    def __init__(self) -> None:
        self.is_exact = True
        self._hashes = array("q")
        self._paths: list[str] = []

    def add(self, uids: Sequence[str | None], found: Sequence[Instance | Outcome]) -> None:
        """Add the UIDs of some instances, or of the outcomes of instances."""
        if len(self._hashes) + len(uids) > MOST_UIDS:
            self.is_exact = False
            return
        self._hashes.extend(map(hash, uids))
        if len(self._paths) < _MOST_PATHS:
            self._paths += [one.file.path for one in found]

    def count(self) -> int:
        """The number of instances with the UID of an earlier one."""
        parts = [self._hashes]
        if len(self._hashes) > _AT_ONCE:
            parts = [array("q") for _ in range(_PARTS)]
            append_to = [part.append for part in parts]
            for key in self._hashes:
                append_to[key % _PARTS](key)
        without_uid = self._hashes.count(_NONE)
        return sum(len(part) - len(set(part)) for part in parts) - max(without_uid - 1, 0)

    def examples(self) -> list[Pair]:
        """The first pairs whose paths are known."""
        return [pair for pair, _ in zip(self._pairs(), range(_MOST_EXAMPLES), strict=False)]

    def _pairs(self) -> Iterator[Pair]:
        first: dict[int, str] = {}
        for key, path in zip(self._hashes, self._paths, strict=False):
            earlier = first.setdefault(key, path)
            if earlier is not path and key != _NONE:
                yield Pair(earlier, path)
