"""Instances that wait to be sent, by the context they need. Everything here is decided at once, without waiting.

An association can carry only what it negotiated, so the backlog is a queue for each pair of SOP class and transfer
syntax; among the queues an association can carry, the one whose head has waited longest is served first, which keeps
the order of the walk.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from asyncstore.negotiation import Pair, pair_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Instance


class Carried(Protocol):
    """The pairs that can be sent now."""

    def __contains__(self, pair: Pair, /) -> bool: ...


class Backlog:
    """Bounded by its owner: :attr:`is_full` tells when to stop putting.

    Args:
        most_instances: instances to hold at most.
        most_bytes: bytes their data sets have at most.
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
        """Whether no more should be put."""
        return self._count >= self._most_instances or self._bytes >= self._most_bytes

    def put(self, instances: Iterable[Instance]) -> None:
        """Add instances at the end."""
        for instance in instances:
            self._sequence += 1
            self._queue_of(instance).append((self._sequence, instance))
            self._bytes += instance.length
            self._count += 1

    def put_back(self, instances: list[Instance]) -> None:
        """Add instances at the front, in their order: they were taken before and are still to be sent."""
        for instance in reversed(instances):
            self._first_sequence -= 1
            self._queue_of(instance).appendleft((self._first_sequence, instance))
            self._bytes += instance.length
            self._count += 1

    def take(self, carried: Carried, most: int, most_bytes: int) -> list[Instance]:
        """Up to ``most`` instances that need one of ``carried``; of ``most_bytes`` together, or a single larger one."""
        taken: list[Instance] = []
        size = 0
        while len(taken) < most:
            heads = [(queue[0][0], pair) for pair, queue in self._queues.items() if pair in carried]
            if not heads:
                break
            heads.sort()
            until = heads[1][0] if len(heads) > 1 else None
            pair = heads[0][1]
            queue = self._queues[pair]
            while queue and len(taken) < most and (until is None or queue[0][0] < until):
                length = queue[0][1].length
                if taken and size + length > most_bytes:
                    most = 0
                    break
                taken.append(queue.popleft()[1])
                size += length
            if not queue:
                del self._queues[pair]
        self._count -= len(taken)
        self._bytes -= size
        return taken

    def waiting(self) -> dict[Pair, int]:
        """How many instances wait for each pair, the pair that waits longest first."""
        by_age = sorted(self._queues.items(), key=lambda item: item[1][0][0])
        return {pair: len(queue) for pair, queue in by_age}

    def remove(self, pair: Pair) -> list[Instance]:
        """Take out all that need ``pair``."""
        removed = [instance for _, instance in self._queues.pop(pair, ())]
        self._count -= len(removed)
        self._bytes -= sum(instance.length for instance in removed)
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything."""
        return [instance for pair in list(self.waiting()) for instance in self.remove(pair)]

    def _queue_of(self, instance: Instance) -> deque[tuple[int, Instance]]:
        pair = pair_of(instance.sop_class_uid, instance.transfer_syntax_uid)
        queue = self._queues.get(pair)
        if queue is None:
            queue = self._queues[pair] = deque()
        return queue
