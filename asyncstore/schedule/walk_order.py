"""Instances that wait, in the order of the walk. Nothing here waits.

There is a queue for each pair of SOP class and transfer syntax. Of the queues that an association carries, the one
whose head has waited longest is served first.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heapreplace
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair


class Carried(Protocol):
    """The pairs that can be sent now."""

    def __contains__(self, pair: Pair, /) -> bool: ...
    def __iter__(self) -> Iterator[Pair]: ...
    def __len__(self) -> int: ...


def common(waiting: Mapping[Pair, object], carried: Carried) -> list[Pair]:
    """The waiting pairs that are carried. There may be thousands of either; the smaller collection is searched.

    ``carried`` is asked for each of them: a selection notes then whether it has to be converted.
    """
    fewer = waiting if len(waiting) <= len(carried) else carried
    return [pair for pair in fewer if pair in waiting and pair in carried]


class WalkOrder:
    """Queues of instances by pair.

    Attributes:
        count: how many instances wait.
        held_count: how many more must not be taken now: none.
    """

    held_count = 0

    def __init__(self) -> None:
        self._queues: dict[Pair, deque[tuple[int, Instance]]] = {}
        self._sequence = 0
        self._first_sequence = 0
        self.count = 0

    def put(self, instances: Sequence[Instance], pairs: Sequence[Pair]) -> None:
        """Add instances, which need these pairs, at the end."""
        places = range(self._sequence + 1, self._sequence + 1 + len(instances))
        if len(set(pairs)) == 1:  # mostly it is so
            self._queue_of(pairs[0]).extend(zip(places, instances, strict=True))
        else:
            for pair, place, instance in zip(pairs, places, instances, strict=True):
                self._queue_of(pair).append((place, instance))
        self._sequence += len(instances)
        self.count += len(instances)

    def put_back(self, instances: Sequence[Instance], pairs: Sequence[Pair]) -> None:
        """Add instances, which need these pairs, at the front, in their order."""
        self._first_sequence -= len(instances)
        places = range(self._first_sequence, self._first_sequence + len(instances))
        if len(set(pairs)) == 1:  # mostly it is so
            self._queue_of(pairs[0]).extendleft(zip(reversed(places), reversed(instances), strict=True))
        else:
            for pair, place, instance in zip(reversed(pairs), reversed(places), reversed(instances), strict=True):
                self._queue_of(pair).appendleft((place, instance))
        self.count += len(instances)

    def take(
        self, carried: Carried, most: int, most_bytes: int, lane: object, *, overlaps: bool
    ) -> tuple[list[Instance], int]:
        """Take instances as :meth:`asyncstore.schedule.backlog.Backlog.take` does; also returns their bytes."""
        del lane, overlaps
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
            self._advance(heads)
        self.count -= len(taken)
        return taken, size

    def ended(self, instances: Iterable[Instance], lane: object, *, is_stored: bool) -> bool:
        """Nothing waits for the end of an instance."""
        del instances, lane, is_stored
        return False

    def _advance(self, heads: list[tuple[int, Pair]]) -> None:
        """Something was taken from the queue of the first of ``heads``."""
        pair = heads[0][1]
        queue = self._queues[pair]
        if queue:
            heapreplace(heads, (queue[0][0], pair))
        else:
            heappop(heads)
            del self._queues[pair]

    def _heads(self, carried: Carried) -> list[tuple[int, Pair]]:
        """A heap of the waiting pairs that are carried, the one that waits longest first."""
        heads = [(self._queues[pair][0][0], pair) for pair in common(self._queues, carried)]
        heapify(heads)
        return heads

    @property
    def counts(self) -> Mapping[Pair, int]:
        """How many instances wait for each pair, in no order."""
        return {pair: len(queue) for pair, queue in self._queues.items()}

    def by_age(self) -> list[Pair]:
        """The pairs that instances wait for, the one that waits longest first."""
        heads = {pair: queue[0][0] for pair, queue in self._queues.items()}
        return sorted(heads, key=heads.__getitem__)

    def remove(self, pair: Pair) -> list[Instance]:
        """Take out all instances of ``pair``."""
        removed = [instance for _, instance in self._queues.pop(pair, ())]
        self.count -= len(removed)
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything, in the order of the walk."""
        places = sorted((place for queue in self._queues.values() for place in queue), key=itemgetter(0))
        self._queues.clear()
        self.count = 0
        return [instance for _, instance in places]

    def _queue_of(self, pair: Pair) -> deque[tuple[int, Instance]]:
        queue = self._queues.get(pair)
        if queue is None:
            queue = self._queues[pair] = deque()
        return queue
