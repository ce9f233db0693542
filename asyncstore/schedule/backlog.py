"""Instances that wait to be sent. Nothing here waits.

An association carries only what it negotiated, so instances are kept by their pair of SOP class and transfer syntax.
Their order is that of the walk (:mod:`asyncstore.schedule.walk_order`). If there is a gate
(:mod:`asyncstore.schedule.gate`), studies that have begun come first (:mod:`asyncstore.schedule.study_order`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.schedule.gate import Affinity, Gate
from asyncstore.schedule.study_order import StudyOrder
from asyncstore.schedule.walk_order import WalkOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair
    from asyncstore.schedule.gate import Key
    from asyncstore.schedule.walk_order import Carried


def pairs_needed(instances: Iterable[Instance]) -> list[Pair]:
    """The pair that each instance needs."""
    return [(sop_class, transfer_syntax) for sop_class, _, transfer_syntax in [one.identity for one in instances]]


class Backlog:
    """Its owner keeps it within bounds: :attr:`is_full` says when to stop putting.

    Args:
        most_instances: how many instances make it full.
        most_bytes: how many bytes of data sets make it full.
        gate: admits instances to lanes; ``None``: all are admitted, in the order of the walk.
    """

    def __init__(self, most_instances: int, most_bytes: int, gate: Gate | None = None) -> None:
        self._order: WalkOrder | StudyOrder = WalkOrder() if gate is None else StudyOrder(gate)
        self._most_instances = most_instances
        self._most_bytes = most_bytes
        self._bytes = 0

    def __len__(self) -> int:
        """How many instances can be taken now, as far as is known: held ones do not count."""
        return self._order.count

    @property
    def is_empty(self) -> bool:
        """Whether no instance is here, not even a held one."""
        return not (self._order.count or self._order.held_count)

    @property
    def is_full(self) -> bool:
        """Whether its owner should put no more."""
        waiting = self._order.count + self._order.held_count
        return waiting >= self._most_instances or self._bytes >= self._most_bytes

    def put(self, instances: Sequence[Instance]) -> None:
        """Add instances at the end."""
        self._order.put(instances, pairs_needed(instances))
        self._bytes += sum([instance.payload.length for instance in instances])

    def put_back(self, instances: Sequence[Instance]) -> None:
        """Add instances at the front, in their order: they were taken before and not sent."""
        self._order.put_back(instances, pairs_needed(instances))
        self._bytes += sum([instance.payload.length for instance in instances])

    def take(
        self, carried: Carried, most: int, most_bytes: int, lane: object = None, *, overlaps: bool = False
    ) -> list[Instance]:
        """Take up to ``most`` instances of ``carried`` pairs: ``most_bytes`` together, or a single larger one.

        The gate may hold some of them back from ``lane``. ``overlaps``: see
        :meth:`asyncstore.schedule.gate.Gate.admit`.
        """
        taken, size = self._order.take(carried, most, most_bytes, lane, overlaps=overlaps)
        self._bytes -= size
        return taken

    def ended(self, instances: Iterable[Instance], lane: object, *, is_stored: bool) -> bool:
        """``lane`` no longer has these instances. Returns whether there is more to take now.

        If they are put back, this comes first.
        """
        return self._order.ended(instances, lane, is_stored=is_stored)

    def prioritise(self, key: str) -> int:
        """Let the study or patient with this Study Instance UID or Patient ID come first from now on.

        That also holds for instances that are put later. Returns how many instances of it wait.
        """
        if not key:
            return 0
        if isinstance(self._order, WalkOrder):
            order = StudyOrder(Gate(Affinity.NONE), keeps_together=False)
            waiting = self._order.clear()
            order.put(waiting, pairs_needed(waiting))
            self._order = order
        keys: list[Key] = [key]
        for encoding in ("utf-8", "latin-1"):  # nobody knows the character set of the data sets
            with suppress(UnicodeEncodeError):
                keys.append(key.encode(encoding))
        return self._order.prioritise(keys)

    @property
    def counts(self) -> Mapping[Pair, int]:
        """How many instances can be taken of each pair, in no order."""
        return self._order.counts

    def by_age(self) -> list[Pair]:
        """The pairs that instances wait for, the one that comes next first."""
        return self._order.by_age()

    def remove(self, pair: Pair) -> list[Instance]:
        """Take out all instances of ``pair``. Others that are held stay so."""
        removed = self._order.remove(pair)
        self._bytes -= sum([instance.payload.length for instance in removed])
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything."""
        self._bytes = 0
        return self._order.clear()
