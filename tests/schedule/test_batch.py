"""A batch on its way to one association that takes whatever it is given."""

import asyncio

import pytest

from asyncstore.errors import LinkLost, PrepareError
from asyncstore.negotiation import Planned
from asyncstore.negotiation.selection import Selection
from asyncstore.schedule.batch import Batch
from support.fakes import SYNTAX, FakeConverter, FakeReader, World, instance
from support.oracle import until


class _Association:
    """Takes pieces, and releases them at once."""

    def __init__(self):
        self.error = None
        self.is_idle = True
        self.begun, self.taken = [], []
        self.on_submit = lambda: None

    def submit(self, pieces):
        for piece in pieces:
            if piece.is_first:
                assert piece.problem is None
                self.begun.append(piece.instance)
            self.taken.append(piece.instance.found.path)
            piece.buffer.release()
        self.on_submit()

    def is_taking(self, whose):
        return bool(self.begun) and self.begun[-1] is whose


def _selection(*, changes_everything=False):
    pair = ("1.1", SYNTAX)
    return Selection(Planned(), Planned().contexts([pair]), {pair: 1}, changes_everything=changes_everything)


class _Sent:
    """What became of a batch of instances 0, 1, 2 ... over one association."""

    def __init__(self, world, count=8, *, converted=False):
        self.world, self.association = world, _Association()
        self.problems = []
        self.instances = [instance(number) for number in range(count)]
        self.batch = Batch(self.instances, self.association, self.on_problem)
        self.converted = converted

    def on_problem(self, whose, problem):
        self.problems.append((whose.path, problem.reason))

    async def go(self):
        selection = _selection(changes_everything=self.converted)
        for one in self.instances:
            assert (one.sop_class_uid, one.transfer_syntax_uid) in selection
        await self.batch.submit(selection, FakeReader(self.world), FakeConverter(self.world))
        assert self.world.unreleased == self.world.converting == 0
        return [one.found.path for one in self.association.begun]


@pytest.mark.parametrize("converted", [False, True])
async def test_instances_are_submitted_in_their_order(converted):
    sent = _Sent(World(large=["2", "5"]), converted=converted)
    assert await sent.go() == list("01234567")
    assert sent.association.taken == list("012223455567")
    assert sent.batch.withdraw() == []


@pytest.mark.parametrize(
    ("files", "converted"),
    [({"unreadable": "036"}, False), ({"broken": "036"}, True), ({"broken": "06", "unreadable": "3"}, True)],
)
async def test_what_has_a_problem_is_told_in_its_turn_and_the_others_go_on(files, converted):
    sent = _Sent(World(**files, large="4"), converted=converted)
    before = []
    sent.association.on_submit = lambda: before.append((len(sent.association.begun), len(sent.problems)))
    assert await sent.go() == list("12457")
    assert [path for path, _ in sent.problems] == list("036")
    assert before[-1] == (5, 3)
    assert sent.batch.withdraw() == []


@pytest.mark.parametrize("files", [{"unreadable": "4"}, {"broken": "4"}])
async def test_who_is_told_of_a_problem_may_withdraw_the_others(files):
    sent = _Sent(World(**files), converted="broken" in files)
    behind = []
    sent.batch = Batch(sent.instances, sent.association, lambda *_: behind.extend(sent.batch.withdraw()))
    assert await sent.go() == list("0123")
    assert [one.path for one in behind] == list("567")


@pytest.mark.parametrize("converted", [False, True])
async def test_what_is_withdrawn_while_it_is_read_is_not_submitted(converted):
    sent = _Sent(World(), converted=converted)
    withdrawn = []
    sent.association.on_submit = lambda: withdrawn.extend(sent.batch.withdraw())
    assert await sent.go() == list("012")
    assert [one.path for one in withdrawn] == list("34567")


async def test_instances_being_converted_may_be_left_and_are_submitted():
    """A conversion of seconds that is begun anew each second never ends."""
    world = World()
    world.conversion.clear()
    sent = _Sent(world, converted=True)
    going = asyncio.create_task(sent.go())
    await until(lambda: world.converting)
    assert sent.batch.withdraw(all_of_it=False) == []
    world.conversion.set()
    assert await going == list("01234567")
    assert len(world.conversions) == 1


@pytest.mark.parametrize(("is_idle", "sent_here"), [(True, ["0"]), (False, [])])
async def test_the_one_being_read_for_an_idle_association_may_be_left_and_is_submitted(is_idle, sent_here):
    world = World()
    world.reading.clear()
    sent = _Sent(world)
    sent.association.is_idle = is_idle
    going = asyncio.create_task(sent.go())
    await until(lambda: world.reading.waiting)
    assert [one.path for one in sent.batch.withdraw(all_of_it=False)] == list("01234567")[len(sent_here) :]
    world.reading.set()
    assert await going == sent_here


async def test_a_large_file_that_has_begun_goes_on_when_the_others_are_withdrawn():
    sent = _Sent(World(large="0"))
    sent.association.on_submit = sent.batch.withdraw
    await sent.go()
    assert sent.association.taken == list("000")


@pytest.mark.parametrize("converted", [False, True])
async def test_when_the_association_has_ended_the_rest_is_still_there_as_it_was_found(converted):
    sent = _Sent(World(), converted=converted)

    def end():
        sent.association.error = LinkLost("peer:104", "reset")

    sent.association.on_submit = end
    assert await sent.go() == list("012")
    assert sent.batch.withdraw() == sent.instances[3:]


async def test_where_nothing_can_be_converted_everything_is_still_there():
    world = World()
    world.unprepared = PrepareError("worker processes die as soon as they start")
    sent = _Sent(world, converted=True)
    with pytest.raises(PrepareError):
        await sent.go()
    assert sent.batch.withdraw() == sent.instances


async def test_cancelled_while_it_is_read_the_rest_is_still_there():
    world = World()
    sent = _Sent(world)
    submitted = asyncio.Event()
    sent.association.on_submit = lambda: (world.reading.clear(), submitted.set())
    going = asyncio.create_task(sent.go())
    await submitted.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert sent.batch.withdraw() == sent.instances[3:]
