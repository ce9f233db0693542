"""Instances that wait to be sent, by the pair they need. Nothing here waits.

An association carries only what it negotiated, so there is a queue for each pair of SOP class and transfer syntax. Of
the queues that an association carries, the one whose head has waited longest is served first. That keeps the order of
the walk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Protocol

from asyncstore.negotiation import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized

    from asyncstore.model import Instance


def pairs_needed(instances: Iterable[Instance]) -> list[Pair]:
    """The pair that each instance needs."""
    return [(sop_class, transfer_syntax) for sop_class, _, transfer_syntax in [one.identity for one in instances]]


class Carried(Protocol):
    """The pairs that can be sent now."""

    def __contains__(self, pair: Pair, /) -> bool: ...
    def __iter__(self) -> Iterator[Pair]: ...
    def __len__(self) -> int: ...


class _Counts(Mapping[Pair, int]):
    """The lengths of the queues."""

    def __init__(self, queues: Mapping[Pair, Sized]) -> None:
        self._queues = queues

    def __getitem__(self, pair: Pair) -> int:
        return len(self._queues[pair])

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._queues)

    def __len__(self) -> int:
        return len(self._queues)


class Backlog:
    """Its owner keeps it within bounds: :attr:`is_full` says when to stop putting.

    Args:
        most_instances: how many instances make it full.
        most_bytes: how many bytes of data sets make it full.
    """

    def __init__(self, most_instances: int, most_bytes: int) -> None:
        self._queues: dict[Pair, deque[tuple[int, Instance]]] = {}
        self._most_instances = most_instances
        self._most_bytes = most_bytes
        self._sequence = 0
        self._first_sequence = 0
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether its owner should put no more."""
        return self._count >= self._most_instances or self._bytes >= self._most_bytes

    def put(self, instances: Sequence[Instance]) -> None:
        """Add instances at the end."""
        pairs = pairs_needed(instances)
        places = range(self._sequence + 1, self._sequence + 1 + len(instances))
        if len(set(pairs)) == 1:  # mostly it is so
            self._queue_of(pairs[0]).extend(zip(places, instances, strict=True))
        else:
            for pair, place, instance in zip(pairs, places, instances, strict=True):
                self._queue_of(pair).append((place, instance))
        self._sequence += len(instances)
        self._count += len(instances)
        self._bytes += sum([instance.payload.length for instance in instances])

    def put_back(self, instances: list[Instance]) -> None:
        """Add instances at the front, in their order: they were taken before and not sent."""
        for pair, instance in zip(reversed(pairs_needed(instances)), reversed(instances), strict=True):
            self._first_sequence -= 1
            self._queue_of(pair).appendleft((self._first_sequence, instance))
            self._bytes += instance.payload.length
            self._count += 1

    def take(self, carried: Carried, most: int, most_bytes: int) -> list[Instance]:
        """Take up to ``most`` instances of ``carried`` pairs: ``most_bytes`` together, or a single larger one."""
        taken: list[Instance] = []
        size = 0
        heads = self._heads(carried)
        while heads and len(taken) < most:
            pair = heads[0][1]
            queue = self._queues[pair]
            until = min(heads[1:3])[0] if len(heads) > 1 else None  # the children of a heap's root
            while queue and len(taken) < most and (until is None or queue[0][0] < until):
                length = queue[0][1].payload.length
                if taken and size + length > most_bytes:
                    most = 0
                    break
                taken.append(queue.popleft()[1])
                size += length
            if queue:
                heapreplace(heads, (queue[0][0], pair))
            else:
                heappop(heads)
                del self._queues[pair]
        self._count -= len(taken)
        self._bytes -= size
        return taken

    def _heads(self, carried: Carried) -> list[tuple[int, Pair]]:
        """A heap of the waiting pairs that are carried, the one that waits longest first.

        There may be thousands of waiting or carried pairs; the smaller collection is searched.
        """
        queues = self._queues
        fewer: Iterable[Pair] = queues if len(queues) <= len(carried) else carried
        heads = [(queues[pair][0][0], pair) for pair in fewer if pair in queues and pair in carried]
        heapify(heads)
        return heads

    @property
    def counts(self) -> Mapping[Pair, int]:
        """How many instances wait for each pair, in no order: a view, free of cost."""
        return _Counts(self._queues)

    def waiting(self) -> dict[Pair, int]:
        """How many instances wait for each pair, the pair that waits longest first."""
        return {pair: len(self._queues[pair]) for pair in self.by_age()}

    def by_age(self) -> list[Pair]:
        """The pairs that instances wait for, the one that waits longest first."""
        heads = {pair: queue[0][0] for pair, queue in self._queues.items()}
        return sorted(heads, key=heads.__getitem__)

    def remove(self, pair: Pair) -> list[Instance]:
        """Take out all instances of ``pair``."""
        removed = [instance for _, instance in self._queues.pop(pair, ())]
        self._count -= len(removed)
        self._bytes -= sum([instance.payload.length for instance in removed])
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything."""
        return [instance for pair in list(self.waiting()) for instance in self.remove(pair)]

    def _queue_of(self, pair: Pair) -> deque[tuple[int, Instance]]:
        queue = self._queues.get(pair)
        if queue is None:
            queue = self._queues[pair] = deque()
        return queue
