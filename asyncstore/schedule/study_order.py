"""Instances that wait, by their studies. Nothing here waits.

Rules:

1. A study has begun when an instance of it was taken. The study that began first is served first; then those that have
   not begun, in the order of the walk. An instance that arrives later goes to the place of its study.
2. Begun studies without waiting instances are remembered. The one that has had none for longest is forgotten first.
3. Studies and patients that the user prioritised come before all others, the last one first.
4. Instances without a study keep the order of the walk; all do if studies are not kept together.
5. Instances that the gate (:mod:`asyncstore.schedule.gate`) does not admit are *held*, and keep their place, until
   their study or patient is free.

Instances of one study and patient that need the same pair are one *group*: the gate admits all of it or none. Places
are numbers. There is a heap of groups for each pair; an entry whose group has moved is left in it and skipped.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from asyncstore.model import Head
from asyncstore.schedule.walk_order import common

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.model import Instance
    from asyncstore.negotiation import Pair
    from asyncstore.schedule.gate import Gate, Key
    from asyncstore.schedule.walk_order import Carried

_REMEMBERED = 2000
"""Some 3 MB. An interleaved walk has fewer studies open at a time."""
_NO_HEAD = Head()

_OF_BEGUN = -1 << 60
"""The place of the first study that begins; others follow. Instances that arrive count up from 0."""
_Place = tuple[int, int]
"""How often something had been prioritised when the study or patient was, negative; then the place of the study."""


class _Study:
    """A study with waiting instances, or one that has begun."""

    __slots__ = ("groups", "has_begun", "place", "uid")

    def __init__(self, uid: str, place: int) -> None:
        self.uid = uid
        self.place = place
        self.has_begun = False
        self.groups: dict[tuple[Pair, bytes], _Group] = {}
        """Those with instances, by pair and patient."""


class _Group:
    """Instances of one study and patient that need one pair, in the order in which they arrived."""

    __slots__ = ("awaited", "head", "instances", "number", "pair", "place", "study")

    def __init__(self, pair: Pair, head: Head, study: _Study | None, place: _Place, number: int) -> None:
        self.pair = pair
        self.head = head
        self.study = study
        self.place = place
        self.number = number
        self.instances: deque[Instance] = deque()
        self.awaited: Key | None = None
        """The study or patient that it is held for."""


_Entry = tuple[_Place, int, _Group]
"""The place of a group when the entry was made, the number of the group, and the group."""


class _Batch:
    """Instances that one lane takes."""

    __slots__ = ("instances", "is_full", "lane", "most", "most_bytes", "overlaps", "size")

    def __init__(self, lane: object, most: int, most_bytes: int, *, overlaps: bool) -> None:
        self.lane = lane
        self.most = most
        self.most_bytes = most_bytes
        self.overlaps = overlaps
        self.instances: list[Instance] = []
        self.size = 0
        self.is_full = most <= 0


class StudyOrder:
    """Groups of instances in the order in which they are to be taken.

    Args:
        gate: admits instances to lanes.
        keeps_together: whether begun studies are finished before others begin; otherwise the order is that of the walk.
        remembered: how many begun studies without waiting instances are remembered.

    Attributes:
        count: how many instances can be taken now, as far as is known.
        held_count: how many more are held.
    """

    def __init__(self, gate: Gate, *, keeps_together: bool = True, remembered: int = _REMEMBERED) -> None:
        self.count = 0
        self.held_count = 0
        self._gate = gate
        self._keeps_together = keeps_together
        self._remembered = remembered
        self._studies: dict[str, _Study] = {}
        self._heaps: dict[Pair, list[_Entry]] = {}
        self._counts: dict[Pair, int] = {}
        """How many instances of each pair can be taken."""
        self._held: dict[Key, list[_Group]] = {}
        self._idle: dict[str, None] = {}
        """The begun studies without waiting instances, the one to forget next first."""
        self._prioritised: dict[Key, int] = {}
        self._first_place = self._last_place = self._groups_made = 0
        self._studies_begun = self._times_prioritised = 0

    @property
    def counts(self) -> Mapping[Pair, int]:
        """How many instances of each pair can be taken, in no order."""
        return self._counts

    def put(self, instances: Sequence[Instance], pairs: Sequence[Pair]) -> None:
        """Add instances, which need these pairs, at the end of their groups."""
        last_pair, last, append, is_held = None, None, None, False
        held: list[Pair] = []
        for instance, pair in zip(instances, pairs, strict=True):
            head = _NO_HEAD if instance.details is None else instance.details.head
            if head is not last or append is None or pair != last_pair:
                group = self._group(pair, head)
                last_pair, last, append, is_held = pair, head, group.instances.append, group.awaited is not None
            append(instance)
            if is_held:
                held.append(pair)
        for pair, run in groupby(pairs):
            self._change(pair, len(list(run)))
        self.held_count += len(held)
        for pair in held:
            self._change(pair, -1)

    def put_back(self, instances: Sequence[Instance], pairs: Sequence[Pair]) -> None:
        """Add instances, which need these pairs, at the front of their groups, in their order."""
        for start, end, head in reversed(list(_runs(instances, pairs))):
            group = self._group(pairs[start], head, is_back=True)
            group.instances.extendleft(reversed(instances[start:end]))
            if group.awaited is None:
                self._change(pairs[start], end - start)
            else:
                self.held_count += end - start

    def take(
        self, carried: Carried, most: int, most_bytes: int, lane: object, *, overlaps: bool
    ) -> tuple[list[Instance], int]:
        """Take instances as :meth:`asyncstore.schedule.backlog.Backlog.take` does; also returns their bytes."""
        batch = _Batch(lane, most, most_bytes, overlaps=overlaps)
        heads = self._heads(carried, batch)
        while heads and not batch.is_full:
            group = heads[0][-1]
            was_held = group.awaited is not None
            moved = self._take_from(group, batch)
            entry = None if was_held else self._first(group.pair)
            if moved:
                heads = self._heads(carried, batch)
            elif entry is not None:
                heapreplace(heads, entry)
            else:
                heappop(heads)
        return batch.instances, batch.size

    def ended(self, instances: Iterable[Instance], lane: object, *, is_stored: bool) -> bool:
        """``lane`` no longer has these instances. Returns whether there is more to take now."""
        gate = self._gate
        if not gate.claims:
            return False
        freed: list[Key] = []
        for instance in instances:
            details = instance.found.details
            if details is not None:
                freed += gate.ended(details.head, lane, is_stored=is_stored)
        held = [key for key in freed if key in self._held]
        for key in held:
            self._free(key)
        return bool(held)

    def by_age(self) -> list[Pair]:
        """The pairs that instances wait for, the one that comes next first."""
        entries = [entry for pair in list(self._heaps) if (entry := self._first(pair)) is not None]
        return [entry[-1].pair for entry in sorted(entries, key=itemgetter(0, 1))]

    def remove(self, pair: Pair) -> list[Instance]:
        """Take out all instances of ``pair``. Others that are held stay so: nobody would be told that they are free."""
        waiting = sorted(filter(_is_current, self._heaps.pop(pair, ())), key=itemgetter(0, 1))
        groups = [group for _, _, group in waiting] + [group for group in self._all_held() if group.pair == pair]
        removed = [instance for group in groups for instance in group.instances]
        for group in groups:
            if group.awaited is not None:
                self._leave_held(group)
                self.held_count -= len(group.instances)
            else:
                self.count -= len(group.instances)
            group.instances.clear()
            self._emptied(group)
        self._counts.pop(pair, None)
        return removed

    def clear(self) -> list[Instance]:
        """Take out everything."""
        for key in list(self._held):
            self._free(key)
        return [instance for pair in list(self._counts) for instance in self.remove(pair)]

    def prioritise(self, keys: Iterable[Key]) -> int:
        """Let these studies and patients come first from now on. Returns how many instances of them wait."""
        wanted = frozenset(keys)
        self._times_prioritised += 1
        self._prioritised |= dict.fromkeys(wanted, -self._times_prioritised)
        count = 0
        waiting = [entry[-1] for heap in self._heaps.values() for entry in heap if _is_current(entry)]
        for group in (*waiting, *self._all_held()):
            if group.head.study_instance_uid in wanted or group.head.patient_id in wanted:
                group.place = -self._times_prioritised, group.place[1]
                count += len(group.instances)
                self._push(group)
        return count

    # Groups come and go.

    def _group(self, pair: Pair, head: Head, *, is_back: bool = False) -> _Group:
        """The group that an instance belongs to; a new one if there is none."""
        study = self._studies.get(head.study_instance_uid)
        group = study.groups.get((pair, head.patient_id)) if study is not None else None
        return group or self._new_group(pair, head, study, is_back=is_back)

    def _new_group(self, pair: Pair, head: Head, study: _Study | None, *, is_back: bool) -> _Group:
        priority = self._priority(head)
        uid = head.study_instance_uid
        if study is None and uid and (self._keeps_together or priority):
            study = self._studies[uid] = _Study(uid, self._next_place(is_back=is_back))
        place = self._next_place(is_back=is_back) if study is None else study.place
        self._groups_made += 1
        group = _Group(pair, head, study, (priority, place), -self._groups_made if is_back else self._groups_made)
        if study is not None:
            study.groups[pair, head.patient_id] = group
            self._idle.pop(study.uid, None)
        self._push(group)
        return group

    def _next_place(self, *, is_back: bool) -> int:
        if is_back:
            self._first_place -= 1
            return self._first_place
        self._last_place += 1
        return self._last_place

    def _priority(self, head: Head) -> int:
        """0, or less for a study or patient that was prioritised."""
        get = self._prioritised.get
        return min(get(head.study_instance_uid, 0), get(head.patient_id, 0))

    def _change(self, pair: Pair, number: int) -> None:
        """So many more instances of ``pair`` can be taken; fewer if ``number`` is negative."""
        self.count += number
        left = self._counts.get(pair, 0) + number
        if left:
            self._counts[pair] = left
        else:
            self._counts.pop(pair, None)

    def _emptied(self, group: _Group) -> None:
        """``group`` has no instance any more."""
        study = group.study
        if study is None:
            return
        del study.groups[group.pair, group.head.patient_id]
        if study.groups:
            return
        if not study.has_begun:
            del self._studies[study.uid]
            return
        self._idle[study.uid] = None
        if len(self._idle) > self._remembered:
            forgotten = next(iter(self._idle))
            del self._idle[forgotten], self._studies[forgotten]

    def _all_held(self) -> Iterator[_Group]:
        return chain.from_iterable(self._held.values())

    # Taking.

    def _heads(self, carried: Carried, batch: _Batch) -> list[_Entry]:
        """A heap of the first group of each carried pair, and of those that are held for the lane itself."""
        heads = [entry for pair in common(self._counts, carried) if (entry := self._first(pair)) is not None]
        for key, groups in self._held.items():
            if self._gate.goes_on(key, batch.lane, overlaps=batch.overlaps):
                heads += [(group.place, group.number, group) for group in groups if group.pair in carried]
        heapify(heads)
        return heads

    def _take_from(self, group: _Group, batch: _Batch) -> bool:
        """Take as much as possible of ``group``; whether that moved other groups."""
        gate, head = self._gate, group.head
        instances, taken, most, most_bytes = group.instances, batch.instances, batch.most, batch.most_bytes
        before, size = len(taken), batch.size
        awaited = None
        asks = True
        while instances:
            length = instances[0].payload.length
            if len(taken) >= most or (taken and size + length > most_bytes):
                batch.is_full = True
                break
            if asks:
                awaited = gate.admit(head, batch.lane, overlaps=batch.overlaps)
                if awaited is not None:
                    break
                asks = gate.last is not head
            taken.append(instances.popleft())
            size += length
        batch.size = size
        number = len(taken) - before
        if group.awaited is not None:
            self.held_count -= number
        elif number:
            self._change(group.pair, -number)
        if awaited is not None:
            self._hold(group, awaited)
        return self._took(group) if number else False

    def _took(self, group: _Group) -> bool:
        """Instances of ``group`` were taken; whether that moved other groups."""
        study = group.study
        moved = self._begin(study) if study is not None and not study.has_begun else False
        if not group.instances:
            self._leave_held(group)
            self._emptied(group)
        return moved

    def _begin(self, study: _Study) -> bool:
        """An instance of ``study`` was taken for the first time; whether there is more than one group of it."""
        study.has_begun = True
        study.place = _OF_BEGUN + self._studies_begun
        self._studies_begun += 1
        for group in study.groups.values():
            group.place = group.place[0], study.place
            if group.instances:
                self._push(group)
        return len(study.groups) > 1

    def _hold(self, group: _Group, key: Key) -> None:
        """Let ``group`` wait for ``key``."""
        if group.awaited is not None:
            self._leave_held(group)
        else:
            self._change(group.pair, -len(group.instances))
            self.held_count += len(group.instances)
        group.awaited = key
        self._held.setdefault(key, []).append(group)

    def _leave_held(self, group: _Group) -> None:
        """``group`` does not wait for its key any more."""
        if group.awaited is not None:
            groups = self._held[group.awaited]
            groups.remove(group)
            if not groups:
                del self._held[group.awaited]
            group.awaited = None

    def _free(self, key: Key) -> None:
        """The groups that wait for ``key`` are free."""
        for group in self._held.pop(key):
            group.awaited = None
            self.held_count -= len(group.instances)
            self._change(group.pair, len(group.instances))
            self._push(group)

    # The heaps.

    def _push(self, group: _Group) -> None:
        """Enter ``group`` at its place, unless it is held."""
        if group.awaited is None:
            heappush(self._heaps.setdefault(group.pair, []), (group.place, group.number, group))

    def _first(self, pair: Pair) -> _Entry | None:
        """The entry of the first group that needs ``pair``."""
        heap = self._heaps.get(pair)
        while heap:
            if _is_current(heap[0]):
                return heap[0]
            heappop(heap)
        self._heaps.pop(pair, None)
        return None


def _is_current(entry: _Entry) -> bool:
    """Whether the group of ``entry`` is still at that place."""
    place, _, group = entry
    return group.place == place and group.awaited is None and bool(group.instances)


def _runs(instances: Sequence[Instance], pairs: Sequence[Pair]) -> Iterator[tuple[int, int, Head]]:
    """The runs of neighbours with the same head and pair: their start, their end, and the head."""
    heads = [_NO_HEAD if one.details is None else one.details.head for one in instances]
    start, number = 0, len(heads)
    while start < number:
        head, pair, end = heads[start], pairs[start], start + 1
        while end < number and heads[end] is head and pairs[end] == pair:
            end += 1
        yield start, end, head
        start = end
