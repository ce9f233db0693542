"""Thousands of SOP classes, or of transfer syntaxes: the work grows with them, no faster. It is counted, not timed."""

import asyncio
from collections import Counter
from typing import ClassVar

import pytest

from asyncstore.model import Result
from asyncstore.negotiation import MOST_WANTED, Planned, listed
from asyncstore.negotiation.selection import Selection
from asyncstore.protocol.associate import MOST_CONTEXTS
from asyncstore.schedule.backlog import Backlog
from asyncstore.schedule.gate import Affinity, Gate
from support import values
from support.fakes import SYNTAX, Conduct, World, instance

pytestmark = pytest.mark.slow

COUNT = 600
_PATIENCE = 60
"""Seconds after which a run hangs."""


class _Counting(Planned):
    """Counts what it is asked to look at."""

    looked_at: ClassVar[Counter[str]] = Counter()

    def contexts(self, pairs):
        pairs = list(pairs)
        self.looked_at["contexts"] = max(self.looked_at["contexts"], len(pairs))
        return super().contexts(pairs)

    def covers(self, contexts, pair):
        self.looked_at["covers"] += 1
        return super().covers(contexts, pair)


@pytest.fixture(autouse=True)
def _count_anew():
    _Counting.looked_at.clear()


def _classes(count):
    return [instance(number, f"1.2.{number}") for number in range(count)]


def _syntaxes(count):
    return [values.instance(str(number), "1.1", f"1.9.{number}", f"1.3.{number}", 0, 10) for number in range(count)]


async def _ran(world, instances, **options):
    dispatcher = world.dispatcher(proposal=_Counting(), **options)
    running = asyncio.create_task(dispatcher.run())
    for first in range(0, len(instances), 250):
        await dispatcher.put(instances[first : first + 250])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert Counter(outcome.path for outcome in world.outcomes) == Counter(one.path for one in instances)
    return Counter(outcome.result for outcome in world.outcomes)


@pytest.mark.parametrize("made", [_classes, _syntaxes])
@pytest.mark.parametrize("associations", [1, 8, 32])
async def test_each_association_costs_what_it_proposes_and_not_what_was_ever_seen(made, associations):
    world = World()
    assert await _ran(world, made(COUNT), associations=associations) == {Result.STORED: COUNT}
    assert _Counting.looked_at["contexts"] <= MOST_WANTED
    assert _Counting.looked_at["covers"] <= world.asked_for * (2 * MOST_CONTEXTS + 10)


@pytest.mark.parametrize("associations", [1, 4, 16])
async def test_associations_at_a_time_carry_different_pairs_where_one_cannot_carry_all(associations):
    world = World()
    await _ran(world, _classes(COUNT), associations=associations)
    assert world.asked_for <= -(-COUNT // MOST_CONTEXTS) + 2 * associations


@pytest.mark.parametrize("associations", [1, 8])
async def test_what_a_peer_refuses_costs_no_more(associations):
    world = World([Conduct(takes=frozenset())])
    assert await _ran(world, _classes(COUNT), associations=associations) == {Result.NOT_SENT: COUNT}
    assert _Counting.looked_at["contexts"] <= MOST_WANTED
    assert _Counting.looked_at["covers"] <= world.asked_for * (2 * MOST_CONTEXTS + 10)


class _Looked(set):
    """Pairs that count how often one is looked for."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.often = 0

    def __contains__(self, pair):
        self.often += 1
        return super().__contains__(pair)


def test_taking_looks_at_what_is_carried_and_not_at_all_that_waits():
    backlog = Backlog(10 * COUNT, 1 << 40)
    backlog.put(_classes(COUNT))
    carried = _Looked((f"1.2.{number}", SYNTAX) for number in (7, 501, 13))
    assert [one.path for one in backlog.take(carried, 64, 1 << 40)] == ["7", "13", "501"]
    assert carried.often <= 3


def test_taking_looks_once_at_each_pair_however_many_it_takes_of():
    backlog = Backlog(10 * COUNT, 1 << 40)
    backlog.put(_classes(64))
    carried = _Looked((f"1.2.{number}", SYNTAX) for number in range(100))
    assert len(backlog.take(carried, 64, 1 << 40)) == 64
    assert carried.often <= 64


class _Compared(tuple):
    """A pair that counts how often it is compared with another."""

    often: ClassVar = 0
    __slots__ = ()

    def __eq__(self, other):
        _Compared.often += 1
        return super().__eq__(other)

    __hash__ = tuple.__hash__


def test_taking_out_a_pair_looks_at_what_waits_for_it_and_not_at_all_that_waits():
    backlog = Backlog(10 * COUNT, 1 << 40, Gate(Affinity.FIRST))
    backlog.put(_classes(COUNT))
    assert [one.path for one in backlog.remove(_Compared(("1.2.7", SYNTAX)))] == ["7"]
    assert _Compared.often <= 3


def test_a_selection_lists_all_that_it_carries():
    implicit, explicit, jpeg = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
    selection = Selection(listed(), listed().contexts(()), [("1.2.840.10008.5.1.4.1.1.2", explicit)])
    assert {syntax for _, syntax in selection} >= {implicit, explicit}
    assert all(pair in selection for pair in selection)
    assert ("1.2.840.10008.5.1.4.1.1.2", jpeg) not in list(selection)
    assert len(selection) == len(list(selection)) == 4
