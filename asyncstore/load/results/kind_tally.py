"""The stores of each kind of instance in a phase, and the same stores in groups of kinds."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from asyncstore.load.results.document import Group, Groups
from asyncstore.load.results.histogram import Histogram, total_of
from asyncstore.model import Result
from asyncstore.protocol.status import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.load.values import Kind

_SIZE_CLASSES: Final = ((100_000, "under 100 kB"), (1_000_000, "100 kB to 1 MB"), (10_000_000, "1 MB to 10 MB"))
_LARGEST: Final = "10 MB and more"


class KindTally:
    """The stores of one kind."""

    __slots__ = ("in_time", "latency", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[int | None] = Counter()
        self.latency = Histogram()
        self.in_time = 0.0
        """Stored instances; those that ended late count by the share of their time that lies in the phase."""

    def count(self, result: Result) -> int:
        """How many ended with this result."""
        return sum(
            count for status, count in self.statuses.items() if status is not None and result_of(status) is result
        )


def groups_of(tallies: Sequence[tuple[Kind, KindTally]]) -> Groups:
    """The stores of all kinds, grouped in four ways. A kind without a store is in no group."""

    def grouped(name_of: Callable[[Kind], str]) -> dict[str, Group]:
        found: defaultdict[str, list[tuple[Kind, KindTally]]] = defaultdict(list)
        for kind, tally in tallies:
            if tally.statuses:
                found[name_of(kind)].append((kind, tally))
        return {name: _group(members) for name, members in found.items()}

    return Groups(
        modality=grouped(lambda kind: kind.modality),
        sop_class=grouped(lambda kind: kind.sop_class_uid),
        transfer_syntax=grouped(lambda kind: kind.transfer_syntax_uid),
        size_class=grouped(lambda kind: size_class(kind.bytes)),
    )


def _group(members: Sequence[tuple[Kind, KindTally]]) -> Group:
    return Group(
        stored=sum(tally.latency.count for _, tally in members),
        failed=sum(tally.count(Result.FAILED) for _, tally in members),
        bytes=sum(tally.latency.count * kind.bytes for kind, tally in members),
        latency=total_of(tally.latency for _, tally in members),
    )


def size_class(size: int) -> str:
    """The class of a data set's size in bytes, in words."""
    return next((name for limit, name in _SIZE_CLASSES if size < limit), _LARGEST)
