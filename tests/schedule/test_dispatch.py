"""The dispatcher among simulated associations, readers and outlets: no sockets, no files."""

import asyncio
import itertools
import logging
import time
from collections import Counter
from functools import partial
from itertools import chain
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.errors import AbortedHere, LinkLost, PrepareError
from asyncstore.model import IMPLICIT_VR_LITTLE_ENDIAN, Details, Head, LaneState, Result, Unsendable
from asyncstore.negotiation import Planned, listed
from asyncstore.protocol.associate import MOST_CONTEXTS
from asyncstore.schedule.batch_size import BatchSize
from asyncstore.schedule.gate import Affinity
from asyncstore.schedule.pacing import Limits, Pacing
from asyncstore.schedule.peer_health import Patience
from asyncstore.schedule.retry import NO_RETRIES, RetryOptions
from asyncstore.schedule.timetable import rate_table, stores_table
from support import values
from support.examples import examples
from support.fakes import SYNTAX, Conduct, FakeReader, Gate, World, instance, no_instance
from support.oracle import until
from support.virtual_time import in_virtual_time

_AS_IT_IS, _OTHER = IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.1"
"""Transfer syntaxes one of which is converted into the other."""
_PATIENCE = 60
"""Seconds after which a run hangs."""


@pytest.fixture(scope="module", autouse=True)
def _without_pauses():
    """Retries and trials follow at once."""
    with (
        mock.patch("asyncstore.schedule.retry._FIRST_DELAY", 0),
        mock.patch("asyncstore.schedule.peer_health._FIRST_PAUSE", 0.0005),
    ):
        yield


async def _ran(world, instances, **options):
    """Run with all of these; the dispatcher afterwards."""
    dispatcher = world.dispatcher(**options)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(instances)
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances)
    return dispatcher


def _assert_in_order(world, dispatcher, instances, unsendable=()):
    """What holds whatever happened."""
    paths = Counter([one.path for one in (*instances, *unsendable)])
    assert Counter(outcome.path for outcome in world.outcomes) == paths
    begun = Counter(world.begun)
    retries = world.options.retry.retries
    for outcome in world.outcomes:
        status = world.answers.get(outcome.path)
        if outcome.result is Result.UNKNOWN:
            assert outcome.path in world.begun
        else:
            assert outcome.status == status
        if outcome.result in (Result.STORED, Result.WARNING, Result.FAILED):
            assert status is not None
        assert (outcome.error is None) == (outcome.result is Result.STORED)
        assert outcome.attempts == begun[outcome.path]
    assert max(begun.values(), default=0) <= 1 + retries, "no instance is sent more often than asked for"
    assert dispatcher.retrying == 0
    assert dispatcher.retries == sum(max(outcome.attempts - 1, 0) for outcome in world.outcomes)
    assert world.open_now == 0
    assert world.unreleased == 0
    assert world.readers == 0
    assert world.converting == 0
    assert dispatcher.lanes() == ()
    assert dispatcher.stopped.is_set()
    assert dispatcher.associations_asked_for == world.asked_for
    assert dispatcher.associations_opened == len(world.associations)


def _results(world):
    return Counter(outcome.result for outcome in world.outcomes)


def _names(count, start=0):
    return [instance(number) for number in range(start, start + count)]


_until = partial(until, every=0)
"""It returns in the very moment that the condition holds."""


async def _a_while():
    """More steps of the loop than anything here needs to happen."""
    for _ in range(100):
        await asyncio.sleep(0)


def _is_waiting(dispatcher):
    return [lane.state for lane in dispatcher.lanes()] == [LaneState.WAITING]


# At work.


async def test_everything_is_stored_and_every_association_released():
    world = World()
    await _ran(world, _names(100))
    assert _results(world) == {Result.STORED: 100}
    assert {association.end for association in world.associations} == {"released"}


async def test_one_lane_keeps_the_order_of_the_walk():
    world = World()
    await _ran(world, _names(50), associations=1)
    assert world.begun == [str(number) for number in range(50)]
    assert len(world.associations) == 1


async def test_without_input_no_association_is_opened():
    world = World()
    await _ran(world, [])
    assert world.asked_for == 0


async def test_there_are_as_many_associations_as_asked_for_and_no_more_than_instances():
    for associations, count, expected in ((1, 20, 1), (3, 20, 3), (8, 2, 2)):
        world = World()
        world.answering.clear()
        dispatcher = world.dispatcher(associations=associations)
        running = asyncio.create_task(dispatcher.run())
        await dispatcher.put(_names(count))
        dispatcher.end_input()
        await _until(lambda: len(world.associations) == expected)  # noqa: B023 - awaited at once
        await _a_while()
        assert world.open_now == expected
        assert [lane.number for lane in dispatcher.lanes()] == list(range(1, expected + 1))
        world.answering.set()
        await asyncio.wait_for(running, _PATIENCE)
        assert _results(world) == {Result.STORED: count}


async def test_files_that_are_no_instances_get_their_outcome_at_once():
    world = World()
    dispatcher = world.dispatcher()
    unsendable = [no_instance("a", "empty"), no_instance("b", "not DICOM")]
    dispatcher.refuse(unsendable)
    assert [(outcome.path, outcome.result, outcome.error) for outcome in world.outcomes] == [
        ("a", Result.NOT_SENT, "empty"),
        ("b", Result.NOT_SENT, "not DICOM"),
    ]
    dispatcher.end_input()
    await asyncio.wait_for(dispatcher.run(), _PATIENCE)
    _assert_in_order(world, dispatcher, [], unsendable)


async def test_statuses_become_results():
    world = World([Conduct(statuses=(0, 0xB000, 0xA700))])
    await _ran(world, _names(30), associations=1)
    assert _results(world) == {Result.STORED: 10, Result.WARNING: 10, Result.FAILED: 10}


async def test_a_window_is_filled():
    world = World([Conduct(window=5)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    dispatcher.end_input()
    await _until(lambda: len(world.begun) == 5)
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    assert world.associations[0].most_outstanding == 5
    _assert_in_order(world, dispatcher, _names(20))


@pytest.mark.slow
async def test_putting_waits_for_a_peer_that_does_not_keep_up():
    world = World()
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    instances = _names(10000)
    put = 0

    async def feed():
        nonlocal put
        for start in range(0, len(instances), 100):
            await dispatcher.put(instances[start : start + 100])
            put += 100
        dispatcher.end_input()

    feeding = asyncio.create_task(feed())
    await _until(lambda: put > 4000)
    await asyncio.wait({feeding}, timeout=0.1)
    assert put < 4300
    world.answering.set()
    await asyncio.wait_for(asyncio.gather(feeding, running), 2 * _PATIENCE)
    _assert_in_order(world, dispatcher, instances)


async def test_sending_waits_for_whoever_does_not_take_the_outcomes():
    world = World()
    world.room_left.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(50))
    dispatcher.end_input()
    await _until(lambda: world.room_left.waiting)
    await _a_while()
    assert len(world.outcomes) < 10
    world.room_left.set()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(50))


async def test_instances_that_come_later_go_over_the_association_that_waits():
    world = World()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    for start in (0, 10, 20):
        await dispatcher.put(_names(10, start))
        await _until(lambda: len(world.outcomes) == start + 10 and _is_waiting(dispatcher))  # noqa: B023 - as above
    assert len(world.associations) == 1
    assert world.open_now == 1
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(30))


async def test_lanes_show_what_they_do():
    world = World(large=["0"])
    world.opening.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(3))
    await _until(lambda: world.asked_for)
    (lane,) = dispatcher.lanes()
    assert (lane.number, lane.state, lane.association, lane.stored, lane.path) == (1, LaneState.OPENING, 1, 0, None)
    world.answering.clear()
    world.opening.set()
    await _until(lambda: world.begun)
    (lane,) = dispatcher.lanes()
    assert (lane.state, lane.path, lane.bytes) == (LaneState.SENDING, "0", 10)
    world.answering.set()
    await _until(lambda: _is_waiting(dispatcher))
    (lane,) = dispatcher.lanes()
    assert (lane.stored, lane.path) == (3, None)
    assert dispatcher.bytes_sent == 5 * len(b"data")
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert dispatcher.bytes_sent == 5 * len(b"data")


async def test_a_lane_closes_only_when_the_store_under_way_has_ended():
    world = World()
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(3))
    await _until(lambda: world.begun)
    dispatcher.end_input()
    dispatcher.stop("interrupted")
    await _until(lambda: len(world.outcomes) == 2)
    (lane,) = dispatcher.lanes()
    assert (lane.state, lane.path) == (LaneState.SENDING, "0")
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 1, Result.NOT_SENT: 2}


# Contexts.


@pytest.mark.slow
async def test_a_context_is_proposed_for_each_pair_once():
    world = World()
    instances = [instance(number, f"1.{number % 5}") for number in range(50)]
    await _ran(world, instances, associations=1)
    assert world.associations[0].proposed == [(f"1.{number}", SYNTAX) for number in range(5)]


async def test_pairs_beyond_what_one_association_can_carry_are_all_sent():
    world = World()
    pairs = 3 * MOST_CONTEXTS + 10
    instances = [instance(number, f"1.{number % pairs}") for number in range(2 * pairs)]
    await _ran(world, instances, associations=2)
    assert _results(world) == {Result.STORED: 2 * pairs}
    assert all(len(association.proposed) <= MOST_CONTEXTS for association in world.associations)


@pytest.mark.parametrize("conduct", [Conduct(refuses=frozenset(["1.2"])), Conduct(ignores=frozenset(["1.2"]))])
async def test_a_refused_pair_is_not_sent_and_the_others_are(conduct):
    world = World([conduct])
    await _ran(world, [instance(number, f"1.{number % 3}") for number in range(30)], associations=2)
    assert _results(world) == {Result.STORED: 20, Result.NOT_SENT: 10}
    for outcome in world.outcomes:
        assert (outcome.sop_class_uid == "1.2") == (outcome.result is Result.NOT_SENT)
        assert outcome.result is Result.STORED or "for 1.2 in JPEGBaseline" in outcome.error


async def test_a_peer_that_refuses_every_pair_ends_the_run_and_is_no_failure():
    world = World([Conduct(refuses=frozenset(["1.1"]))])
    dispatcher = await _ran(world, _names(30))
    assert _results(world) == {Result.NOT_SENT: 30}
    assert dispatcher.failure is None


async def test_a_refused_pair_is_not_asked_for_again():
    world = World([Conduct(refuses=frozenset(["1.2"]))])
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put([instance("a", "1.2")])
    await _until(lambda: len(world.outcomes) == 1)
    await dispatcher.put([instance("b", "1.2"), instance("c", "1.3"), instance("d", "1.2")])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, [instance(name) for name in "abcd"])
    assert _results(world) == {Result.NOT_SENT: 3, Result.STORED: 1}
    assert world.associations[-1].proposed == [("1.3", SYNTAX)]


async def test_a_pair_that_was_not_proposed_brings_another_association():
    world = World()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(5))
    await _until(lambda: len(world.outcomes) == 5)
    await dispatcher.put([instance("new", "1.7"), instance("old")])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 7}
    first, second = world.associations
    assert first.end == "released"
    assert set(second.proposed) == {("1.1", SYNTAX), ("1.7", SYNTAX)}


async def test_one_lane_of_all_that_wait_replaces_its_association_for_a_late_pair():
    world = World()
    dispatcher = world.dispatcher(associations=4)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(8))
    await _until(
        lambda: len(world.outcomes) == 8 and {lane.state for lane in dispatcher.lanes()} == {LaneState.WAITING}
    )
    await dispatcher.put([instance(8, "1.2")])
    await _until(lambda: len(world.outcomes) == 9)
    await _a_while()
    assert world.asked_for == 5
    assert world.open_now == 4
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("associations", [1, 3])
async def test_a_pair_that_no_association_was_asked_for_does_not_wait_for_the_end_of_the_walk(
    monkeypatch, associations
):
    monkeypatch.setattr("asyncstore.schedule.concurrency.INTERVAL", 0.001)
    monkeypatch.setattr("asyncstore.schedule.dispatch._STRANDED", 0)
    world = World()
    dispatcher = world.dispatcher(associations=associations)
    running = asyncio.create_task(dispatcher.run())
    instances = _names(20 * associations)
    await dispatcher.put(instances)
    await _until(lambda: len(world.associations) == associations)
    instances.append(instance("rare", "1.2"))
    await dispatcher.put(instances[-1:])
    while "rare" not in world.begun and len(instances) < 20_000:
        instances += _names(100, len(instances))
        await dispatcher.put(instances[-100:])
    assert "rare" in world.begun
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances)
    assert len(world.associations) == associations + 1


@pytest.mark.slow
def test_with_more_pairs_than_fit_a_lane_makes_way_only_now_and_then(monkeypatch):
    async def run(loop):
        monkeypatch.setattr(time, "monotonic", lambda: loop.now)
        monkeypatch.setattr(Gate, "wait", lambda _: asyncio.sleep(0.02))
        world = World()
        instances = [instance(number, f"1.{number % 300}") for number in range(1000)]
        await _ran(world, instances, associations=1)
        assert loop.now > 20
        assert world.asked_for < 12

    in_virtual_time(run)


async def test_a_pair_that_is_refused_at_times_does_not_keep_the_run_from_ending():
    world = World([Conduct(dies_before=0), Conduct(refuses=frozenset(["1.1"]))])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(1))
    await _until(lambda: world.begun)
    world.reading.clear()
    await dispatcher.put(_names(20, 1))
    await _until(lambda: len(world.associations) == 2)
    world.reading.set()
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(21))


async def test_what_comes_back_of_a_pair_that_was_refused_elsewhere_does_not_wait_for_ever():
    refusing = Conduct(refuses=frozenset(["1.1"]))
    world = World([Conduct(dies_before=0), refusing, refusing, Conduct(opens=False)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=3)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put([instance("a"), instance("b")])
    await _until(lambda: world.begun)
    await dispatcher.put([instance(name, "1.2") for name in "cdefgh"] + [instance("i")])
    await _until(lambda: len(world.associations) == 3)
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, [instance(name) for name in "abcdefghi"])


# Associations that fail.


async def test_where_no_association_can_be_had_nothing_is_sent_for_that_reason():
    world = World([Conduct(opens=False)])
    dispatcher = await _ran(world, _names(20), associations=3)
    assert _results(world) == {Result.NOT_SENT: 20}
    assert dispatcher.failure is not None
    assert {outcome.error for outcome in world.outcomes} == {str(dispatcher.failure)}
    assert world.asked_for <= 3


async def test_what_is_put_after_that_is_not_sent_either():
    world = World([Conduct(opens=False)])
    dispatcher = world.dispatcher()
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(3))
    await dispatcher.stopped.wait()
    await dispatcher.put(_names(3, 3))
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(6))


async def test_with_fewer_associations_than_asked_for_the_run_goes_on():
    world = World([Conduct(), Conduct(opens=False)])
    dispatcher = await _ran(world, _names(200), associations=4)
    assert _results(world) == {Result.STORED: 200}
    assert dispatcher.failure is None
    assert len(world.associations) == 1
    assert world.asked_for <= 4


async def test_the_last_file_is_sent_though_it_takes_long_to_read_while_other_lanes_are_free():
    class SlowAtTheEnd:
        reads = 0

        async def wait(self):
            self.reads += 1
            if self.reads > 3:
                await asyncio.sleep(0.05)

    world = World()
    world.reading = SlowAtTheEnd()
    with mock.patch("asyncstore.schedule.concurrency.INTERVAL", 0.002):
        await _ran(world, _names(4), associations=4)
    assert _results(world) == {Result.STORED: 4}
    assert world.asked_for == 4


@pytest.mark.slow
async def test_a_peer_that_still_serves_a_retiring_lane_is_not_asked_again_and_again_for_another():
    world = World([Conduct(), Conduct(), Conduct(opens=False)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    await _until(lambda: len(world.begun) == 2)
    with mock.patch("asyncstore.schedule.concurrency.INTERVAL", 0.001):
        dispatcher.set_associations(1)
    await _until(lambda: len(dispatcher._lanes._active()) == 1)  # noqa: SLF001 - nothing shows it outside
    dispatcher.set_associations(2)
    await _a_while()
    assert world.asked_for == 2
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 20}


async def test_when_an_association_is_lost_only_what_had_begun_is_unknown_and_the_rest_goes_on():
    world = World([Conduct(dies_before=5), Conduct()])
    await _ran(world, _names(30), associations=1)
    assert _results(world) == {Result.STORED: 29, Result.UNKNOWN: 1}
    assert [association.end for association in world.associations] == ["lost", "released"]


async def test_associations_lost_again_and_again_do_not_keep_the_run_from_going_on():
    world = World([Conduct(dies_before=3)])
    await _ran(world, _names(100), associations=2)
    results = _results(world)
    assert results[Result.UNKNOWN] <= 26
    assert results[Result.STORED] + results[Result.UNKNOWN] == 100


async def test_a_peer_that_never_answers_anything_is_given_up():
    world = World([Conduct(dies_before=0)])
    dispatcher = await _ran(world, _names(100), associations=1)
    results = _results(world)
    assert results[Result.UNKNOWN] == len(world.begun) <= 5
    assert results[Result.NOT_SENT] == 100 - results[Result.UNKNOWN]
    assert dispatcher.failure is not None


async def test_an_association_lost_while_it_waited_costs_nothing():
    world = World([Conduct()])
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    for start in range(5):
        await dispatcher.put(_names(1, start))
        await _until(lambda: len(world.outcomes) == start + 1)  # noqa: B023 - awaited at once
        await _until(lambda: _is_waiting(dispatcher))
        world.associations[-1].abort()
        await _until(lambda: world.open_now == 0)
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 5}
    assert len(world.associations) == 5


async def test_an_error_of_the_program_is_raised_and_every_instance_has_its_outcome():
    world = World()
    dispatcher = world.dispatcher()
    dispatcher._open_association = None  # noqa: SLF001 - any error that is nobody's fault but ours
    await dispatcher.put(_names(10))
    dispatcher.end_input()
    with pytest.raises(BaseExceptionGroup):
        await asyncio.wait_for(dispatcher.run(), _PATIENCE)
    assert _results(world) == {Result.NOT_SENT: 10}


# Files that fail.


async def test_files_that_cannot_be_read_are_not_sent_and_the_others_are():
    world = World(unreadable=["1", "2", "10", "19"], large=["5"])
    await _ran(world, _names(20))
    assert _results(world) == {Result.STORED: 16, Result.NOT_SENT: 4}
    assert {outcome.error for outcome in world.outcomes} == {None, "cannot be read"}
    assert len(world.associations) <= 4


@pytest.mark.parametrize("window", [1, 4])
async def test_a_file_that_cannot_be_read_to_its_end_costs_its_association_only(window):
    world = World([Conduct(window=window)], breaking=["3", "7"], large=["5"])
    await _ran(world, _names(20), associations=1)
    assert _results(world) == {Result.STORED: 18, Result.NOT_SENT: 2}
    assert {outcome.error for outcome in world.outcomes} == {None, "cut short"}
    assert [association.end for association in world.associations] == ["aborted", "aborted", "released"]


async def test_files_that_break_one_after_the_other_are_not_the_peers_fault():
    world = World(breaking=[str(number) for number in range(10)])
    dispatcher = await _ran(world, _names(15), associations=1)
    assert _results(world) == {Result.STORED: 5, Result.NOT_SENT: 10}
    assert dispatcher.failure is None


# Stopping.


@pytest.mark.parametrize("window", [1, 3])
async def test_stopping_lets_what_has_begun_finish_and_starts_nothing(window):
    world = World([Conduct(window=window)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(30))
    await _until(lambda: len(world.begun) == 2 * window)
    dispatcher.stop("enough")
    assert dispatcher.stopped.is_set()
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(30))
    assert _results(world) == {Result.STORED: 2 * window, Result.NOT_SENT: 30 - 2 * window}
    assert {outcome.error for outcome in world.outcomes} == {None, "enough"}
    assert {association.end for association in world.associations} == {"released"}


async def test_a_large_file_that_has_begun_is_sent_to_its_end():
    world = World(large=["0"])
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(2))
    await _until(lambda: world.begun)
    world.reading.clear()
    dispatcher.stop("enough")
    world.reading.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(2))
    assert {outcome.path: outcome.result for outcome in world.outcomes} == {"0": Result.STORED, "1": Result.NOT_SENT}


async def test_what_is_being_read_when_the_run_stops_is_not_begun():
    world = World()
    world.reading.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(5))
    await _until(lambda: world.reading.waiting)
    dispatcher.stop("enough")
    world.reading.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(5))
    assert world.begun == []


async def test_stopping_does_not_wait_for_associations_that_are_being_opened():
    world = World()
    world.opening.clear()
    dispatcher = world.dispatcher(associations=3)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(5))
    await _until(lambda: world.asked_for == 3)
    dispatcher.stop("enough")
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.NOT_SENT: 5}


async def test_a_reader_of_the_log_may_stop_the_run_when_an_association_is_refused(monkeypatch):
    world = World([Conduct(), Conduct(opens=False)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=2)
    monkeypatch.setattr(logging.getLogger("asyncstore.schedule.dispatch"), "warning", lambda *_: dispatcher.stop("no"))
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(5))
    await _until(lambda: dispatcher.stop_reason is not None)
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(5))


@pytest.mark.slow
async def test_stopping_wakes_whoever_waits_to_put():
    world = World()
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    instances = _names(10000)
    await dispatcher.put(instances[:9000])
    putting = asyncio.create_task(dispatcher.put(instances[9000:]))
    await asyncio.wait({putting}, timeout=0.01)
    assert not putting.done()
    dispatcher.stop("enough")
    await asyncio.wait_for(putting, _PATIENCE)
    world.answering.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances)


async def test_only_the_first_reason_to_stop_counts():
    world = World()
    dispatcher = world.dispatcher()
    await dispatcher.put(_names(1))
    dispatcher.stop("first")
    dispatcher.stop("second")
    await dispatcher.put(_names(1, 1))
    dispatcher.end_input()
    await asyncio.wait_for(dispatcher.run(), _PATIENCE)
    assert [outcome.error for outcome in world.outcomes] == ["first", "first"]


async def test_at_the_end_associations_are_aborted_where_that_is_wanted():
    world = World()
    await _ran(world, _names(10), abort_at_end=True)
    assert {association.end for association in world.associations} == {"aborted"}
    assert _results(world) == {Result.STORED: 10}


# Halting on the first failure.


async def test_the_first_failure_halts():
    world = World([Conduct(statuses=(0, 0, 0xA700))])
    dispatcher = await _ran(world, _names(30), associations=1, halt_on_failure=True)
    assert _results(world) == {Result.STORED: 2, Result.FAILED: 1, Result.NOT_SENT: 27}
    (failed,) = (outcome.error for outcome in world.outcomes if outcome.result is Result.FAILED)
    assert all(failed in outcome.error for outcome in world.outcomes if outcome.result is Result.NOT_SENT)
    assert dispatcher.failure is None
    assert dispatcher.is_halted
    assert world.associations[0].end == "released"


async def test_a_warning_does_not_halt():
    world = World([Conduct(statuses=(0xB000,))])
    dispatcher = await _ran(world, _names(30), halt_on_failure=True)
    assert _results(world) == {Result.WARNING: 30}
    assert not dispatcher.is_halted


async def test_a_run_that_has_no_association_any_more_is_not_halted_by_a_failure_whose_turn_never_came():
    world = World([Conduct(opens=False)])
    dispatcher = world.dispatcher(halt_on_failure=True)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(3))
    dispatcher.refuse([no_instance("a", "empty")])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(3), [no_instance("a", "")])
    assert dispatcher.stop_reason == str(dispatcher.failure)
    assert not dispatcher.is_halted


async def test_a_file_that_is_no_instance_halts():
    world = World()
    dispatcher = world.dispatcher(halt_on_failure=True)
    running = asyncio.create_task(dispatcher.run())
    dispatcher.refuse([no_instance("a", "empty"), no_instance("b", "empty")])
    await dispatcher.put(_names(3))
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(3), [no_instance("a", ""), no_instance("b", "")])
    assert world.begun == []


async def test_an_unreadable_file_halts_before_the_rest_of_its_load_begins():
    world = World(unreadable=["0"])
    await _ran(world, _names(3), associations=1, halt_on_failure=True)
    assert world.begun == []
    assert _results(world) == {Result.NOT_SENT: 3}


@pytest.mark.parametrize("number", [1, 2, 5, 9])
@pytest.mark.parametrize("window", [1, 4])
async def test_an_unreadable_file_halts_when_it_is_its_turn(number, window):
    world = World([Conduct(window=window)], unreadable=[str(number)])
    await _ran(world, _names(10), associations=1, halt_on_failure=True)
    assert world.begun == [str(before) for before in range(number)]
    assert _results(world) == {Result.STORED: number, Result.NOT_SENT: 10 - number}


async def test_a_refused_pair_halts_also_where_others_come_with_it():
    world = World([Conduct(refuses=frozenset(["1.2"]))])
    await _ran(world, [instance("a", "1.2"), instance("b")], associations=1, halt_on_failure=True)
    assert world.begun == []


async def test_a_pair_that_was_refused_before_the_run_was_to_halt_ends_it_all_the_same():
    world = World([Conduct(refuses=frozenset(["1.2"]))])
    dispatcher = world.dispatcher(associations=1, halt_on_failure=True)
    dispatcher._stock._demand.refuse(("1.2", SYNTAX), "refused")  # noqa: SLF001 - as it is when the halt comes while it is being put
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put([instance("a"), instance("b", "1.2"), instance("c")])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, [instance(name) for name in "abc"])
    assert world.begun == ["a"]


# Being cancelled.


@pytest.mark.parametrize("gate", ["opening", "reading", "answering", "room_left"])
async def test_cancelled_at_any_stage_every_instance_has_its_outcome(gate):
    world = World([Conduct(window=2)], large=["0", "3"])
    getattr(world, gate).clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    dispatcher.end_input()
    await _until(lambda: getattr(world, gate).waiting >= 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(20))
    assert _results(world)[Result.UNKNOWN] <= 4


@pytest.mark.slow
async def test_a_put_that_is_cancelled_while_it_waits_leaves_no_instance_without_an_outcome():
    world = World()
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    instances = _names(6000)
    await dispatcher.put(instances[:5000])
    putting = asyncio.create_task(dispatcher.put(instances[5000:]))
    await _until(lambda: world.answering.waiting)
    assert not putting.done()
    for task in (putting, running):
        task.cancel()
    await asyncio.gather(putting, running, return_exceptions=True)
    _assert_in_order(world, dispatcher, instances)


async def _with_suspects(instances, **options):
    """A run whose one or two instances lost two associations: one is under way, another one waits for it."""
    dies = Conduct(dies_before=0, window=2)
    world = World([dies, dies, Conduct(window=2)])
    dispatcher = world.dispatcher(associations=1, overlaps=True, retry=RetryOptions(3), **options)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(instances)
    await _until(lambda: len(world.associations) == 3)
    world.answering.clear()
    await _until(lambda: world.associations[2].outstanding)
    await _a_while()
    assert len(world.associations[2].outstanding) == 1
    return world, dispatcher, running


async def test_nothing_begins_beside_a_suspect_that_is_under_way():
    instances = _names(6)
    world, dispatcher, running = await _with_suspects(instances[:1])
    await dispatcher.put(instances[1:])
    dispatcher.end_input()
    await _a_while()
    assert [one.path for one in world.associations[2].outstanding] == ["0"]
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances)


async def test_a_suspect_that_waits_for_another_one_has_its_outcome_when_the_run_is_cancelled():
    instances = _names(2)
    world, dispatcher, running = await _with_suspects(instances)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    _assert_in_order(world, dispatcher, instances)


async def test_a_suspect_that_waits_for_another_one_has_its_outcome_when_the_program_fails(monkeypatch):
    monkeypatch.setattr(BatchSize, "update", lambda *_: 2)
    dies = Conduct(dies_before=0, window=2)
    world = World([dies, dies, Conduct()])
    dispatcher = world.dispatcher(associations=1, retry=RetryOptions(3))
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(2))
    await _until(lambda: len(world.associations) == 2)
    world.opening.clear()
    await _until(lambda: world.asked_for == 3)
    monkeypatch.setattr(FakeReader, "read", None)
    world.opening.set()
    with pytest.raises(BaseExceptionGroup):
        await asyncio.wait_for(running, _PATIENCE)
    assert sorted(outcome.path for outcome in world.outcomes) == ["0", "1"]


async def test_a_suspect_that_waits_for_another_one_does_not_begin_behind_a_failure():
    failing, instances = no_instance("a", "empty"), _names(2)
    world, dispatcher, running = await _with_suspects(instances, halt_on_failure=True)
    begun = len(world.begun)
    dispatcher.refuse([failing])
    dispatcher.end_input()
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances, [failing])
    assert len(world.begun) == begun


# Whatever happens.

_CLASSES = [f"1.{number}" for number in range(4)]
_CONDUCTS = st.lists(
    st.builds(
        Conduct,
        opens=st.sampled_from([True, True, True, False]),
        refuses=st.frozensets(st.sampled_from(_CLASSES), max_size=2),
        ignores=st.frozensets(st.sampled_from(_CLASSES), max_size=1),
        statuses=st.lists(st.sampled_from([0, 0, 0, 0xB000, 0xA700]), min_size=1, max_size=4).map(tuple),
        dies_before=st.none() | st.integers(0, 4),
        window=st.integers(1, 3),
    ),
    min_size=1,
    max_size=5,
)
_AFFINITIES = {
    "affinity": st.sampled_from(list(Affinity)),
    "overlaps": st.booleans(),
    "retry": st.sampled_from([NO_RETRIES, RetryOptions(2)]),
    "patience": st.sampled_from([Patience(0, 0), Patience(0, 0.01), Patience(0.01, 0.01)]),
}
_BATCHES = st.lists(st.lists(st.sampled_from(_CLASSES), max_size=8), max_size=5)
_ENDS = st.one_of(st.just(("end", 0)), st.tuples(st.sampled_from(["stop", "cancel"]), st.integers(1, 60)))


async def _scripted(conducts, batches, end, options, files):
    files = dict(files)
    convertible, changes_everything = files.pop("convertible", ()), files.pop("changes_everything", False)
    world = World(conducts, **files)
    world.changes_everything = changes_everything
    dispatcher = world.dispatcher(**options)
    running = asyncio.create_task(dispatcher.run())
    how, ticks = end
    instances = []

    async def feed():
        for batch in batches:
            made = [instance(len(instances) + number, one) for number, one in enumerate(batch)]
            made = [
                values.changed(one, transfer_syntax_uid=_AS_IT_IS) if one.path in convertible else one for one in made
            ]
            instances.extend(made)
            await dispatcher.put(made)
            await asyncio.sleep(0)
        dispatcher.end_input()

    feeding = asyncio.create_task(feed())
    if how != "end":
        for _ in range(ticks):
            await asyncio.sleep(0)
        if how == "stop":
            dispatcher.stop("enough")
        else:
            running.cancel()
    await asyncio.wait_for(feeding, _PATIENCE)
    await asyncio.wait({running}, timeout=_PATIENCE)
    assert running.done(), "it hangs"
    assert running.cancelled() or running.exception() is None
    _assert_in_order(world, dispatcher, instances)
    return world, dispatcher


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(
    _CONDUCTS,
    _BATCHES,
    _ENDS,
    st.fixed_dictionaries(
        {"associations": st.none() | st.integers(1, 4), "halt_on_failure": st.booleans(), **_AFFINITIES}
    ),
    st.fixed_dictionaries(
        {name: st.frozensets(st.integers(0, 20).map(str), max_size=4) for name in ("unreadable", "breaking", "large")}
    ),
)
def test_whatever_happens_every_instance_has_exactly_one_outcome(conducts, batches, end, options, files):
    asyncio.run(_scripted(conducts, batches, end, options, files))


_FATES = st.sampled_from(
    [*["good"] * 8, "unreadable", "breaking", "broken", "refused", "refused", "no instance", "no context"]
)


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(_FATES, max_size=30),
    st.booleans(),
    st.integers(1, 3),
    st.fixed_dictionaries({"associations": st.integers(1, 4), **_AFFINITIES}),
)
def test_whatever_fails_exactly_what_stands_before_the_first_failure_is_sent(fates, is_converted, window, options):
    asyncio.run(_halted_in_turn(fates, is_converted=is_converted, window=window, **options))


async def _halted_in_turn(fates, *, is_converted, associations, window, **options):
    if not is_converted:
        fates = ["good" if fate == "broken" else fate for fate in fates]
    of = {fate: [str(number) for number, one in enumerate(fates) if one == fate] for fate in set(fates)}
    world = World(
        [_takes(_OTHER if is_converted else SYNTAX, refuses=frozenset({"1.2"}), window=window)],
        **{fate: of.get(fate, ()) for fate in ("unreadable", "breaking", "broken", "refused")},
    )
    dispatcher = world.dispatcher(associations=associations, halt_on_failure=True, **options)
    running = asyncio.create_task(dispatcher.run())
    instances, unsendable = [], []
    for number, fate in enumerate(fates):
        if fate == "no instance":
            unsendable.append(no_instance(str(number), "not a DICOM file"))
            dispatcher.refuse(unsendable[-1:])
        else:
            one = instance(number, "1.2" if fate == "no context" else "1.1")
            instances.append(values.changed(one, transfer_syntax_uid=_AS_IT_IS) if is_converted else one)
            await dispatcher.put(instances[-1:])
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances, unsendable)
    first = next((number for number, fate in enumerate(fates) if fate != "good"), len(fates))
    results = {int(one.path): one for one in world.outcomes}
    assert all(results[number].result is Result.STORED for number in range(first))
    assert dispatcher.is_halted == (first < len(fates))
    if first == len(fates):
        return
    assert not results[first].is_withdrawn
    assert results[first].result in (Result.FAILED, Result.NOT_SENT)
    begun, retries = set(map(int, world.begun)), world.options.retry.retries
    for number in range(first + 1, len(fates)):
        assert results[number].is_withdrawn or number in begun
        assert number not in begun or not results[number].is_withdrawn or retries
        if results[number].is_withdrawn and number not in begun:
            assert results[first].error in results[number].error
    if associations == window == 1 and not options.get("overlaps") and not retries:
        assert max(begun, default=0) <= first


@settings(max_examples=examples(50), deadline=None)
@given(_BATCHES, st.integers(1, 4), st.integers(1, 3), st.fixed_dictionaries(_AFFINITIES))
def test_where_nothing_goes_wrong_everything_is_stored(batches, associations, window, affinity):
    options = {"associations": associations, "halt_on_failure": True, **affinity}
    world, dispatcher = asyncio.run(_scripted([Conduct(window=window)], batches, ("end", 0), options, {}))
    assert set(_results(world)) <= {Result.STORED}
    assert dispatcher.failure is None
    assert dispatcher.stop_reason is None
    assert {association.end for association in world.associations} <= {"released"}


# A failure that is known before its turn.


async def _halted(conduct, instances, unsendable=(), behind=()):
    world = World([conduct])
    dispatcher = world.dispatcher(associations=2, halt_on_failure=True)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(instances)
    dispatcher.refuse(unsendable)
    await dispatcher.put(list(behind))
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, [*instances, *behind], unsendable)
    return world


async def test_halting_sends_what_stands_before_a_file_that_cannot_be_sent_and_nothing_behind_it():
    before, bad, behind = _names(20), no_instance("bad", "not a DICOM file"), _names(20, start=20)
    world = await _halted(Conduct(), before, [bad], behind)
    assert {outcome.path for outcome in world.outcomes if outcome.result is Result.STORED} == {
        str(n) for n in range(20)
    }
    withdrawn = [outcome for outcome in world.outcomes if outcome.is_withdrawn]
    assert {outcome.path for outcome in withdrawn} == {str(number) for number in range(20, 40)}
    assert all("not a DICOM file" in outcome.error for outcome in withdrawn)


async def test_halting_sends_what_stands_before_a_file_without_context_and_nothing_behind_it():
    files = [instance(number, "1.2" if number == 12 else "1.1") for number in range(30)]
    world = await _halted(Conduct(refuses=frozenset(["1.2"])), files)
    assert {outcome.path for outcome in world.outcomes if outcome.result is Result.STORED} == {
        str(n) for n in range(12)
    }
    failed = [one for one in world.outcomes if one.result is Result.NOT_SENT and not one.is_withdrawn]
    assert [one.path for one in failed] == ["12"]


@pytest.mark.parametrize("load", [3, 8])
async def test_halting_begins_nothing_behind_a_failure_that_its_own_lane_took_before_it(monkeypatch, load):
    """A lane takes study by study: those behind may stand before the failure in its batch."""
    monkeypatch.setattr(BatchSize, "update", lambda *_: 8)
    world = World(unreadable=["1"], load=load)
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1, halt_on_failure=True, affinity=Affinity.STUDY)
    running = asyncio.create_task(dispatcher.run())
    studies = [Details(10, 1, Head(study)) for study in "ABAAAB"]
    instances = [one._replace(details=study) for one, study in zip(_names(6), studies, strict=True)]
    await dispatcher.put(instances)
    dispatcher.end_input()
    await asyncio.wait_for(dispatcher.stopped.wait(), _PATIENCE)
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, instances)
    assert world.begun == ["0"]


async def test_halting_with_nothing_but_a_file_that_cannot_be_sent_ends():
    world = await _halted(Conduct(), [], [no_instance("bad", "not a DICOM file")])
    assert _results(world) == {Result.NOT_SENT: 1}


@pytest.mark.parametrize("halt_on_failure", [False, True])
async def test_a_full_backlog_that_is_refused_as_a_whole_lets_the_next_files_in(monkeypatch, halt_on_failure):
    monkeypatch.setattr("asyncstore.schedule.stock._INSTANCES", 10)
    world = World([Conduct(refuses=frozenset(["1.1"]))])
    world.opening.clear()
    dispatcher = world.dispatcher(associations=1, halt_on_failure=halt_on_failure)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(10))
    putting = asyncio.create_task(dispatcher.put(_names(10, start=10)))
    await _until(lambda: world.asked_for == 1)
    world.opening.set()
    await asyncio.wait_for(putting, _PATIENCE)
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(20))
    assert _results(world) == {Result.NOT_SENT: 20}


async def test_a_file_that_cannot_be_read_halts_while_others_wait_for_room(monkeypatch):
    """Files behind it leave the backlog to make room, and their turn never comes either."""
    monkeypatch.setattr("asyncstore.schedule.stock._INSTANCES", 10)
    world = World(unreadable=["2"])
    world.reading.clear()
    dispatcher = world.dispatcher(associations=1, halt_on_failure=True)
    running = asyncio.create_task(dispatcher.run())
    putting = [asyncio.create_task(dispatcher.put(_names(10, start=start))) for start in (0, 10, 20, 30)]
    await _until(lambda: len(world.associations) == 1)
    world.reading.set()
    _, waiting = await asyncio.wait(putting, timeout=_PATIENCE)
    assert not waiting
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(40))
    assert _results(world) == {Result.STORED: 2, Result.NOT_SENT: 38}


async def test_who_is_cancelled_while_it_waits_for_room_does_not_keep_a_run_from_halting(monkeypatch):
    monkeypatch.setattr("asyncstore.schedule.stock._INSTANCES", 10)
    world = World(unreadable=["0"])
    world.reading.clear()
    dispatcher = world.dispatcher(associations=1, halt_on_failure=True)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(10))
    await dispatcher.put(_names(10, start=10))
    putting = asyncio.create_task(dispatcher.put(_names(10, start=20)))
    await asyncio.sleep(0)  # it waits now
    await _until(lambda: world.reading.waiting)
    assert not putting.done()
    with mock.patch.object(dispatcher.stopped, "set", putting.cancel):
        world.reading.set()
        await asyncio.wait({putting})
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _names(30))
    assert putting.cancelled()
    assert dispatcher.is_halted
    assert _results(world) == {Result.NOT_SENT: 30}


async def test_what_an_association_has_taken_goes_over_it_before_another_one_takes_its_place():
    """The peer may refuse the other one."""
    world = World([Conduct(), Conduct(opens=False)])
    world.answering.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    await _until(lambda: world.associations and not world.associations[0].is_idle)
    await dispatcher.put([instance(20, "1.2")])
    dispatcher.end_input()
    await _a_while()
    world.answering.set()
    await asyncio.wait_for(running, _PATIENCE)
    assert world.asked_for == 2
    assert _results(world) == {Result.STORED: 20, Result.NOT_SENT: 1}


# What has to be converted.


def _convertible(count, start=0, sop_class_uid="1.1"):
    return [
        values.changed(instance(number, sop_class_uid), transfer_syntax_uid=_AS_IT_IS)
        for number in range(start, start + count)
    ]


def _takes(*transfer_syntaxes, **conduct):
    return Conduct(takes=frozenset(transfer_syntaxes), **conduct)


async def test_what_the_peer_takes_in_another_transfer_syntax_only_is_converted():
    world = World([_takes(_OTHER)])
    await _ran(world, _convertible(100), associations=2)
    assert _results(world) == {Result.STORED: 100}
    assert {(one.transfer_syntax_uid, one.sent_transfer_syntax_uid) for one in world.outcomes} == {(_AS_IT_IS, _OTHER)}
    assert sorted(chain.from_iterable(world.conversions)) == sorted(map(str, range(100)))
    assert {one.sop_instance_uid for one in world.outcomes} == {"1.7"}  # what the peer has, not what was found


async def test_what_the_peer_takes_as_it_is_is_not_converted():
    world = World([_takes(_AS_IT_IS, _OTHER)])
    await _ran(world, _convertible(20))
    assert _results(world) == {Result.STORED: 20}
    assert world.conversions == []


async def test_unless_everything_is_to_be_changed():
    world = World([_takes(_AS_IT_IS)])
    world.changes_everything = True
    await _ran(world, _convertible(20), associations=1)
    assert _results(world) == {Result.STORED: 20}
    assert [*chain.from_iterable(world.conversions)] == [str(number) for number in range(20)]
    assert {one.sent_transfer_syntax_uid for one in world.outcomes} == {_AS_IT_IS}


async def test_converted_or_not_the_order_is_kept():
    world = World([_takes(_OTHER, SYNTAX)])
    instances = [one for number in range(20) for one in (*_convertible(1, number), instance(f"as it is {number}"))]
    await _ran(world, instances, associations=1)
    assert _results(world) == {Result.STORED: 40}
    assert world.begun == [one.path for one in instances]
    assert len(world.associations) == 1


async def test_a_data_set_that_cannot_be_converted_is_not_sent_and_the_others_are():
    world = World([_takes(_OTHER)], broken=["3", "4", "50"], unreadable=["7"], large=["8"])
    await _ran(world, _convertible(60), associations=2)
    assert _results(world) == {Result.STORED: 56, Result.NOT_SENT: 4}
    assert {one.error for one in world.outcomes} == {None, "damaged", "cannot be read"}


async def test_where_none_can_be_converted_the_run_ends():
    world = World([_takes(_OTHER)], broken=[str(number) for number in range(50)])
    dispatcher = await _ran(world, _convertible(50), associations=1)
    assert _results(world) == {Result.NOT_SENT: 50}
    assert dispatcher.failure is None


@pytest.mark.parametrize("number", [0, 1, 5, 40, 59])
async def test_what_cannot_be_converted_halts_a_run_that_is_to_halt_when_it_is_its_turn(number):
    world = World([_takes(_OTHER, SYNTAX)], broken=[str(number)])
    instances = [*_convertible(50), *_names(3, 50), *_convertible(50, 53)]
    await _ran(world, instances, associations=1, halt_on_failure=True)
    assert world.begun == [str(before) for before in range(number)]
    assert {one.path for one in world.outcomes if not one.is_withdrawn} == {str(one) for one in range(number + 1)}
    assert _results(world)[Result.STORED] == number


async def test_what_is_being_converted_when_the_run_stops_is_not_begun():
    world = World([_takes(_OTHER)])
    world.conversion.clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_convertible(200))
    await _until(lambda: world.converting == 2)
    dispatcher.stop("enough")
    world.conversion.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _convertible(200))
    assert world.begun == []
    assert {one.error for one in world.outcomes} == {"enough"}


async def test_what_was_being_converted_for_an_association_that_ended_is_converted_for_the_next_one():
    world = World([_takes(_OTHER), _takes(_AS_IT_IS)])
    world.conversion.clear()
    dispatcher = world.dispatcher(associations=1)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_convertible(10))
    await _until(lambda: world.converting)
    world.associations[0].abort()
    world.conversion.set()
    dispatcher.end_input()
    await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _convertible(10))
    assert _results(world) == {Result.STORED: 10}
    assert {one.sent_transfer_syntax_uid for one in world.outcomes} == {_AS_IT_IS}


async def test_cancelled_amid_a_conversion_every_instance_has_its_outcome():
    world = World([_takes(_OTHER)])
    world.conversion.clear()
    dispatcher = world.dispatcher(associations=2)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_convertible(100))
    dispatcher.end_input()
    await _until(lambda: world.converting == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, _PATIENCE)
    _assert_in_order(world, dispatcher, _convertible(100))
    assert _results(world) == {Result.NOT_SENT: 100}


async def test_where_nothing_can_be_converted_any_more_the_run_stops_and_says_why():
    world = World([_takes(_OTHER)])
    world.unprepared = PrepareError("worker processes die as soon as they start")
    dispatcher = await _ran(world, _convertible(100), associations=2)
    assert dispatcher.unconverted is world.unprepared
    assert {(one.result, one.error) for one in world.outcomes} == {(Result.NOT_SENT, str(world.unprepared))}
    assert {association.end for association in world.associations} <= {"released"}


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.builds(
            Conduct,
            opens=st.just(True),
            ignores=st.just(frozenset()),
            statuses=st.sampled_from([(0,), (0, 0xA700)]),
            refuses=st.frozensets(st.sampled_from(_CLASSES), max_size=1),
            takes=st.sampled_from([None, frozenset({_OTHER}), frozenset({_AS_IT_IS}), frozenset({_OTHER, SYNTAX})]),
            dies_before=st.none() | st.integers(0, 4),
            window=st.integers(1, 3),
        ),
        min_size=1,
        max_size=4,
    ),
    _BATCHES,
    _ENDS,
    st.fixed_dictionaries(
        {"associations": st.none() | st.integers(1, 4), "halt_on_failure": st.booleans(), **_AFFINITIES}
    ),
    st.fixed_dictionaries(
        {
            name: st.frozensets(st.integers(0, 20).map(str), max_size=4)
            for name in ("unreadable", "breaking", "large", "broken", "convertible")
        }
        | {"changes_everything": st.booleans()}
    ),
)
def test_whatever_is_converted_every_instance_has_exactly_one_outcome(conducts, batches, end, options, files):
    asyncio.run(_scripted(conducts, batches, end, options, files))


# Whatever happens, in whatever order.

_GATES = st.sampled_from(["opening", "reading", "conversion", "answering", "room_left"])
_STEP = st.one_of(
    st.tuples(st.just("put"), st.lists(st.sampled_from(_CLASSES), min_size=1, max_size=6)),
    st.tuples(st.just("refuse"), st.integers(1, 2)),
    st.tuples(st.sampled_from(["shut", "shut", "open"]), _GATES),
    st.tuples(st.just("lose"), st.integers(0, 3)),
    st.tuples(st.just("break"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 12)),
)
_OTHERWISE = st.sampled_from([("wait", 1)] * 4 + [("stop", 0), ("cancel", 0), ("unprepare", 0)])


class _Script:
    """A run, step by step, among whatever happens."""

    def __init__(self, world, options, most_waiting):
        self.world = world
        with mock.patch("asyncstore.schedule.stock._INSTANCES", most_waiting):
            self.dispatcher = world.dispatcher(**options)
        self.running = asyncio.create_task(self.dispatcher.run())
        self.files = asyncio.Queue()
        self.feeding = asyncio.create_task(self.feed())
        self.instances, self.unsendable = [], []

    async def feed(self):
        """What was found, in its order; as in a run, a full backlog keeps the rest waiting."""
        while (found := await self.files.get()) is not None:
            if isinstance(found[0], Unsendable):
                self.dispatcher.refuse(found)
            else:
                await self.dispatcher.put(found)
        self.dispatcher.end_input()

    async def take(self, step, what):
        world = self.world
        if step == "put":
            found = [instance(len(self.instances) + number, one) for number, one in enumerate(what)]
            found = [one if int(one.path) % 3 else values.changed(one, transfer_syntax_uid=_AS_IT_IS) for one in found]
            self.instances += found
            self.files.put_nowait(found)
        elif step == "refuse":
            found = [no_instance(f"no instance {len(self.unsendable) + number}", "empty") for number in range(what)]
            self.unsendable += found
            self.files.put_nowait(found)
        elif step == "shut":
            getattr(world, what).clear()
        elif step == "open":
            getattr(world, what).set()
        elif step in ("lose", "break") and what < len(world.associations):
            error = AbortedHere("peer:104", "a test") if step == "lose" else LinkLost("peer:104", "reset")
            world.associations[-1 - what].lose(error)
        elif step == "wait":
            for _ in range(what):
                await asyncio.sleep(0)
        else:
            self.steer(step)

    def steer(self, step):
        if step in ("pause", "resume"):
            getattr(self.dispatcher, step)()
        elif step == "stop":
            self.dispatcher.stop("enough")
        elif step == "cancel":
            self.running.cancel()
        elif step == "unprepare":
            self.world.unprepared = PrepareError("worker processes die as soon as they start")

    async def end(self):
        for gate in ("opening", "reading", "conversion", "answering", "room_left"):
            getattr(self.world, gate).set()
        self.dispatcher.resume()
        self.files.put_nowait(None)
        await asyncio.wait({self.running, self.feeding}, timeout=_PATIENCE)
        assert self.running.done(), "it hangs"
        assert self.feeding.done(), "it takes no more files"
        assert self.running.cancelled() or self.running.exception() is None
        assert self.feeding.exception() is None
        _assert_in_order(self.world, self.dispatcher, self.instances, self.unsendable)


async def _played(world, options, most_waiting, steps):
    script = _Script(world, options, most_waiting)
    await asyncio.sleep(0)  # it runs
    for step in steps:
        await script.take(*step)
    await script.end()


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.builds(
            Conduct,
            opens=st.sampled_from([True, True, True, False]),
            refuses=st.frozensets(st.sampled_from(_CLASSES), max_size=2),
            statuses=st.sampled_from([(0,), (0, 0, 0xA700)]),
            takes=st.sampled_from([None, frozenset({_OTHER, SYNTAX}), frozenset({_AS_IT_IS}), frozenset({_OTHER})]),
            dies_before=st.none() | st.integers(0, 4),
            window=st.integers(1, 3),
        ),
        min_size=1,
        max_size=4,
    ),
    st.fixed_dictionaries(
        {
            "associations": st.none() | st.integers(1, 3),
            "halt_on_failure": st.booleans(),
            "abort_at_end": st.booleans(),
            **_AFFINITIES,
            "proposal": st.sampled_from([Planned(), Planned(), listed(required=True)]),
        }
    ),
    st.sampled_from([1, 4, 4096]),
    st.fixed_dictionaries(
        {
            name: st.frozensets(st.integers(0, 20).map(str), max_size=2)
            for name in ("unreadable", "breaking", "large", "broken")
        }
    ),
    st.tuples(st.lists(_STEP, max_size=12), _OTHERWISE, st.lists(_STEP, max_size=6)),
)
def test_in_whatever_order_it_happens_every_file_has_exactly_one_outcome(conducts, options, most_waiting, files, steps):
    before, otherwise, after = steps

    async def play():
        await _played(World(conducts, **files), options, most_waiting, [*before, otherwise, *after])

    asyncio.run(play())


# Under limits.


def _limited(**limits):
    pacing = Pacing(Limits(**limits), time.monotonic)
    pacing.look(0)
    return pacing


async def test_lanes_that_wait_for_their_turn_hold_no_instances_and_do_not_spin():
    world = World()
    pacing = _limited(stores=stores_table("1/h"))
    dispatcher = world.dispatcher(associations=4, pacing=pacing)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    dispatcher.end_input()
    await _until(lambda: world.outcomes)
    await _a_while()
    with mock.patch.object(pacing, "portion", wraps=pacing.portion) as asked:
        await _a_while()
    assert asked.call_count == 0
    assert len(world.begun) == 1
    assert world.open_now == 0
    pacing.stores = None
    pacing.look(0)
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 20}


async def test_a_turn_that_comes_while_a_lane_looks_whether_it_has_come_is_not_missed():
    moments = itertools.count()
    pacing = Pacing(Limits(stores=stores_table("100/s")), lambda: next(moments) * 0.003)
    pacing.look(0)
    world = World()
    await _ran(world, _names(60), associations=1, pacing=pacing)
    assert _results(world) == {Result.STORED: 60}


async def test_a_stop_ends_the_wait_for_a_turn():
    world = World()
    dispatcher = world.dispatcher(associations=2, pacing=_limited(stores=stores_table("1/s")))
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(20))
    dispatcher.end_input()
    await _until(lambda: world.outcomes)
    await _a_while()
    assert world.open_now
    dispatcher.stop("enough")
    await _a_while()
    assert running.done()
    await running
    assert _results(world)[Result.NOT_SENT] >= 18


async def test_a_pause_of_the_limits_takes_back_what_has_not_begun():
    world = World()
    world.answering.clear()
    pacing = _limited()
    dispatcher = world.dispatcher(associations=1, pacing=pacing)
    running = asyncio.create_task(dispatcher.run())
    await dispatcher.put(_names(10))
    dispatcher.end_input()
    await _until(lambda: world.begun)
    pacing.rate = rate_table("pause")
    pacing.look(0)
    world.answering.set()
    await _until(lambda: world.open_now == 0)
    await _a_while()
    assert len(world.outcomes) == len(world.begun) == 1
    pacing.rate = None
    pacing.look(0)
    await asyncio.wait_for(running, _PATIENCE)
    assert _results(world) == {Result.STORED: 10}


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None)
@given(
    _CONDUCTS,
    _BATCHES,
    _ENDS,
    st.fixed_dictionaries({"associations": st.none() | st.integers(1, 4), **_AFFINITIES}),
    st.sampled_from(["300/s", "2000/s", "pause"]),
)
def test_under_limits_too_every_instance_has_exactly_one_outcome(conducts, batches, end, options, rate):
    pacing = _limited(stores=stores_table(rate))

    async def scripted():
        if rate == "pause":
            asyncio.get_running_loop().call_later(0.02, lambda: (setattr(pacing, "stores", None), pacing.look(0)))
        await _scripted(conducts, batches, end, {**options, "pacing": pacing}, {})

    with mock.patch("asyncstore.schedule.turns._LONG_WAIT", 0.005):
        asyncio.run(scripted())
