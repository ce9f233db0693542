"""Whatever the peer and the user do: every instance that was offered ends once, and nothing is left open."""

import asyncio

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asyncstore.errors import AssociationRejected
from asyncstore.load.driving import loads
from asyncstore.load.driving.driver import Driver
from asyncstore.load.plan.phases import around, closed, exams, open_rate, stages
from support.examples import examples
from support.loads import CT, KeptMeasurements, SmallSource
from support.virtual_time import Clockwork, Queue, fixed, in_virtual_time

SYNTAX = SmallSource().kinds[0].transfer_syntax_uid
SECONDS = st.floats(0.0, 3.0)
MEASURED = st.one_of(
    st.lists(st.builds(closed, st.integers(1, 4), st.just(1.0)), min_size=1, max_size=3),
    st.builds(open_rate, st.sampled_from([5, 50, 500]), st.just(1.0), st.integers(1, 4)).map(lambda one: [one]),
    st.builds(exams, st.sampled_from([3.0, 30.0]), st.just(1.0), st.integers(1, 4)).map(lambda one: [one]),
    st.builds(stages, st.lists(st.tuples(st.just(0.5), st.sampled_from([20, 200])), min_size=1), st.integers(1, 4)),
)
PLANS = st.builds(
    around, MEASURED, repeats=st.integers(1, 2), warm_up=st.sampled_from([0, 0.5]), cool_down=st.sampled_from([0, 0.5])
)


class Course:
    """A measurement in which associations are lost, and refused, at these times, and the user stops it."""

    def __init__(self, plan, service, window, losses, refusals, stops, *, carries_all):
        self.measurements = KeptMeasurements()
        self.plan, self.service, self.window = plan, service, window
        self.losses, self.refusals, self.stops = losses, refusals, stops
        self.accepted = None if carries_all else {(CT, SYNTAX): 1}
        in_virtual_time(self.run)

    async def run(self, loop):
        self.queue = Queue(loop, fixed(self.service))
        driver = Driver(self.open, SmallSource(), self.measurements, **vars(Clockwork(loop)))
        for at in self.losses:
            loop.call_at(at, self.lose)
        for at in self.stops:
            loop.call_at(at, driver.stop)
        loop.call_at(60.0, driver.stop)
        loop.call_at(61.0, driver.stop)
        try:
            await driver.run(self.plan)
        except AssociationRejected:
            assert not self.measurements.phases
        assert loop.time() <= 62

    async def open(self, number, on_stored, on_end):
        await asyncio.sleep(0.01)
        if number in self.refusals:
            raise AssociationRejected("peer:104", 2, 3, 2)
        return await self.queue.open(number, on_stored, on_end, window=self.window, accepted=self.accepted)

    def lose(self):
        for association in self.queue.associations:
            if association.end is None:
                association.lose()
                return


@pytest.mark.slow
@given(
    plan=PLANS,
    service=st.sampled_from([0.0003, 0.01, 0.3, 100.0]),
    window=st.sampled_from([1, 2, 5]),
    losses=st.lists(SECONDS, max_size=6),
    refusals=st.sets(st.integers(1, 12)),
    stops=st.lists(SECONDS, max_size=2),
    carries_all=st.booleans(),
)
@example(
    plan=[exams(30.0, 1.0, 2)],
    service=0.01,
    window=2,
    losses=[0.2, 0.21, 0.5, 1.1],
    refusals=set(),
    stops=[1.2],
    carries_all=True,
)
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
def test_every_instance_that_was_offered_ends_once(**course):
    before, loads.MOST_WAITING = loads.MOST_WAITING, 30
    try:
        done = Course(**course)
    finally:
        loads.MOST_WAITING = before
    phases = done.measurements.phases
    counts = [phase.counts for phase in phases]
    assert sum(each.pop("offered") for each in counts) == sum(sum(each.values()) for each in counts)
    assert all(association.end is not None for association in done.queue.associations)
    assert [bool(phase.ended) for phase in phases] == [
        place + 1 == len(phases) or not done.plan[place + 1].follows_on for place in range(len(phases))
    ]
    arrived = sum(studies for phase in phases for _, studies, _ in phase.offered)
    assert sum(len(phase.studies) for phase in phases) <= arrived
