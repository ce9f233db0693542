"""Instances that wait to be sent, by the pair they need. Nothing here waits.

An association carries only what it negotiated, so there is a queue for each pair of SOP class and transfer syntax. Of
the queues that an association carries, the one whose head has waited longest is served first. That keeps the order of
the walk.

If there is a gate (:mod:`asyncstore.schedule.gate`), instances that it does not admit are *held*, in their order, until
their study or patient is free. Then they come to the front: studies that have begun are finished before others begin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Protocol

from asyncstore.negotiation import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized

    from asyncstore.model import Head, Instance
    from asyncstore.schedule.gate import Gate, Key


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
        gate: admits instances to lanes; ``None``: all are admitted.
    """

    def __init__(self, most_instances: int, most_bytes: int, gate: Gate | None = None) -> None:
        self._queues: dict[Pair, deque[tuple[int, Instance]]] = {}
        self._most_instances = most_instances
        self._most_bytes = most_bytes
        self._sequence = 0
        self._first_sequence = 0
        self._count = 0
        self._bytes = 0
        self._gate = gate
        self._held: dict[Key, deque[Instance]] = {}
        """The instances that the gate has not admitted, by what they wait for."""
        self._held_count = 0

    def __len__(self) -> int:
        """How many instances can be taken now, as far as is known: held ones do not count."""
        return self._count

    @property
    def is_empty(self) -> bool:
        """Whether no instance is here, not even a held one."""
        return not (self._count or self._held_count)

    @property
    def is_full(self) -> bool:
        """Whether its owner should put no more."""
        return self._count + self._held_count >= self._most_instances or self._bytes >= self._most_bytes

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

    def put_back(self, instances: Sequence[Instance]) -> None:
        """Add instances at the front, in their order: they were taken before and not sent."""
        self._put_in_front(instances)
        self._count += len(instances)
        self._bytes += sum([instance.payload.length for instance in instances])

    def take(
        self, carried: Carried, most: int, most_bytes: int, lane: object = None, *, overlaps: bool = False
    ) -> list[Instance]:
        """Take up to ``most`` instances of ``carried`` pairs: ``most_bytes`` together, or a single larger one.

        The gate may hold some of them back from ``lane``. ``overlaps``: see
        :meth:`asyncstore.schedule.gate.Gate.admit`.
        """
        if self._gate is not None:
            return self._take_admitted(self._gate, carried, most, most_bytes, lane, overlaps=overlaps)
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
        self._count -= len(taken)
        self._bytes -= size
        return taken

    def _take_admitted(
        self, gate: Gate, carried: Carried, most: int, most_bytes: int, lane: object, *, overlaps: bool
    ) -> list[Instance]:
        """:meth:`take` with a gate, apart so that runs without one do not pay for it."""
        taken: list[Instance] = []
        for key in [key for key in self._held if gate.goes_on(key, lane, overlaps=overlaps)]:
            if not self._take_held(gate, key, carried, most, most_bytes, lane, taken):
                most = 0
        size = sum([instance.payload.length for instance in taken])
        moved = -len(taken)
        heads = self._heads(carried)
        while heads and len(taken) < most:
            pair = heads[0][1]
            queue = self._queues[pair]
            until = min(heads[1:3])[0] if len(heads) > 1 else None  # the children of a heap's root
            while queue and len(taken) < most and (until is None or queue[0][0] < until):
                instance = queue[0][1]
                length = instance.payload.length
                if taken and size + length > most_bytes:
                    most = 0
                    break
                details = instance.details
                if details is not None and details.head is not gate.last:
                    awaited = gate.admit(details.head, lane, overlaps=overlaps)
                    if awaited is not None:
                        moved += self._hold(queue, details.head, awaited)
                        continue
                taken.append(instance)
                queue.popleft()
                size += length
            self._advance(heads)
        self._count -= len(taken) + moved
        self._bytes -= size
        return taken

    def _hold(self, queue: deque[tuple[int, Instance]], head: Head, key: Key) -> int:
        """Let all instances with ``head`` at the front of ``queue`` wait for ``key``; how many."""
        held = self._held.setdefault(key, deque())
        before = len(held)
        while queue and (details := queue[0][1].details) is not None and details.head is head:
            held.append(queue.popleft()[1])
        self._held_count += len(held) - before
        return len(held) - before

    def _take_held(  # noqa: PLR0917 - those of take
        self, gate: Gate, key: Key, carried: Carried, most: int, most_bytes: int, lane: object, taken: list[Instance]
    ) -> bool:
        """Take more of the instances that wait for ``key``, which ``lane`` has claimed; whether there is room left."""
        held = self._held[key]
        size = sum([instance.payload.length for instance in taken])
        while held and len(taken) < most:
            instance = held[0]
            if taken and size + instance.payload.length > most_bytes:
                return False
            sop_class, _, transfer_syntax = instance.identity
            if (sop_class, transfer_syntax) not in carried or instance.details is None:
                break
            del held[0]
            other = gate.admit(instance.details.head, lane)
            if other is None:
                taken.append(instance)
                size += instance.payload.length
                self._held_count -= 1
            else:
                self._held.setdefault(other, deque()).append(instance)
        if not held:
            del self._held[key]
        return True

    def ended(self, instances: Iterable[Instance], lane: object, *, is_stored: bool) -> bool:
        """``lane`` no longer has these instances. Returns whether there is more to take now.

        If they are put back, this comes first.
        """
        gate = self._gate
        if gate is None or not gate.claims:
            return False
        freed: list[Key] = []
        for instance in instances:
            details = instance.found.details
            if details is not None:
                freed += gate.ended(details.head, lane, is_stored=is_stored)
        if not freed:
            return False
        held = [key for key in freed if key in self._held]
        self._free(held)
        return bool(held)

    def _free(self, keys: Iterable[Key]) -> None:
        """The instances that wait for ``keys`` are free: they come to the front."""
        for key in keys:
            instances = self._held.pop(key)
            self._held_count -= len(instances)
            self._count += len(instances)
            self._put_in_front(instances)

    def _put_in_front(self, instances: Sequence[Instance]) -> None:
        self._first_sequence -= len(instances)
        pairs = pairs_needed(instances)
        places = range(self._first_sequence, self._first_sequence + len(instances))
        if len(set(pairs)) == 1:  # mostly it is so
            self._queue_of(pairs[0]).extendleft(zip(reversed(places), reversed(instances), strict=True))
        else:
            for pair, place, instance in zip(reversed(pairs), reversed(places), reversed(instances), strict=True):
                self._queue_of(pair).appendleft((place, instance))

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
        """Take out all instances of ``pair``. Others that are held stay so: nobody would be told that they are free."""
        removed = [instance for _, instance in self._queues.pop(pair, ())]
        self._count -= len(removed)
        for key, held in list(self._held.items()):
            pairs = pairs_needed(held)
            if pair in pairs:
                removed += [one for one, needed in zip(held, pairs, strict=True) if needed == pair]
                kept = deque(one for one, needed in zip(held, pairs, strict=True) if needed != pair)
                self._held_count -= len(held) - len(kept)
                if kept:
                    self._held[key] = kept
                else:
                    del self._held[key]
        self._bytes -= sum([instance.payload.length for instance in removed])
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything."""
        self._free(list(self._held))
        return [instance for pair in list(self.waiting()) for instance in self.remove(pair)]

    def _queue_of(self, pair: Pair) -> deque[tuple[int, Instance]]:
        queue = self._queues.get(pair)
        if queue is None:
            queue = self._queues[pair] = deque()
        return queue
