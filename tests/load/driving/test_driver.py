"""What the driver does on a simulated clock, with associations that open, end and answer as a test wants."""

import asyncio
import gc
import sys
from itertools import pairwise

import pytest

from asyncstore.errors import (
    AbortedHere,
    AssociationRejected,
    AsyncstoreError,
    ConnectFailed,
    LinkLost,
    UsageError,
)
from asyncstore.load.driving import driver as driving
from asyncstore.load.driving import loads
from asyncstore.load.driving.driver import Driver
from asyncstore.load.plan.arrivals import Arrival
from asyncstore.load.plan.phases import Planned, around, closed, exams, open_rate, stages
from asyncstore.load.values import Phase
from support.loads import CT, KeptMeasurements, SmallSource
from support.virtual_time import Clockwork, Queue, QueueAssociation, fixed, in_virtual_time


class Rig:
    """A driver against a queue on a simulated clock; ``script`` runs beside it."""

    def __init__(self, plan, service=0.01, *, window=1, accepted=None, source=None, opens=None, script=None):
        self.measurements = KeptMeasurements()
        self.source = source or SmallSource()
        self.error = None
        self.asked = 0
        self._plan, self._service, self._window, self._accepted = plan, service, window, accepted
        self._opens, self._script = opens or (lambda _number: None), script
        in_virtual_time(self._run)

    async def _run(self, loop):
        self.loop = loop
        self.queue = Queue(loop, fixed(self._service))
        self.driver = Driver(self._open, self.source, self.measurements, **vars(Clockwork(loop)))
        beside = asyncio.ensure_future(self._script(self)) if self._script else None
        try:
            await self.driver.run(self._plan)
        except AsyncstoreError as error:
            self.error = error
        self.finished_at = loop.time()
        if beside is not None:
            await beside
        for measured in self.phases:
            measured.check()
        assert all(association.end for association in self.queue.associations)

    async def _open(self, number, on_stored, on_end):
        self.asked += 1
        await asyncio.sleep(0.003)
        error = self._opens(number)
        if error is not None:
            raise error
        return await self.queue.open(number, on_stored, on_end, window=self._window, accepted=self._accepted)

    @property
    def phases(self):
        return self.measurements.phases

    @property
    def associations(self):
        return self.queue.associations


REJECTED = AssociationRejected("peer:104", 2, 3, 2)


# Phases ---------------------------------------------------------------------------------------------------------------


def test_associations_are_open_before_the_phase_begins_and_their_times_belong_to_it():
    rig = Rig([closed(4, 1.0)])
    [measured] = rig.phases
    assert measured.begun == pytest.approx(0.003)
    assert [(one.connect, one.tls, one.associate) for one in measured.opened] == [(0.001, 0.0, 0.002)] * 4
    assert len(measured.released) == 4
    assert measured.ended == [pytest.approx(measured.begun + 1.0 + 0.04, abs=0.011)]


def test_each_step_has_its_number_of_associations():
    rig = Rig([closed(number, 1.0) for number in (2, 5, 1)])
    assert [len(measured.opened) for measured in rig.phases] == [2, 3, 0]
    assert [len(measured.released) for measured in rig.phases] == [0, 4, 1]
    for measured, number in zip(rig.phases, (2, 5, 1), strict=True):
        assert {round(sample.ended - sample.begun, 6) for sample in measured.samples[number:]} == {number * 0.01}


def test_phases_that_follow_on_leave_no_gap_and_no_associations_behind():
    rig = Rig(around([open_rate(1000, 1.0, 4)], warm_up=0.5, cool_down=0.25), 0.0005)
    first, second, third = rig.phases
    assert [measured.phase.name for measured in rig.phases] == ["warm-up", "1000/s", "cool-down"]
    assert [measured.phase.is_counted for measured in rig.phases] == [False, True, False]
    assert second.begun == pytest.approx(first.begun + 0.5)
    assert third.begun == pytest.approx(first.begun + 1.5)
    intended = [sample.intended for measured in rig.phases for sample in measured.samples]
    gaps = {round(later - earlier, 6) for earlier, later in pairwise(intended)}
    assert gaps == {0.001}
    assert (first.ended, second.ended) == ([], [])
    assert len(third.ended) == 1
    assert len(rig.associations) == 4


def test_in_stages_the_rate_changes_evenly_and_every_arrival_is_counted_in_its_stage():
    rig = Rig(stages([(10.0, 50.0), (10.0, 150.0), (10.0, 0.0)], 8), 0.001)
    assert [measured.counts["stored"] for measured in rig.phases] == [250, 1000, 750]


def test_stopping_lets_stores_finish_and_begins_nothing_more():
    async def script(rig):
        await asyncio.sleep(0.5)
        rig.driver.stop()

    rig = Rig([closed(3, 10.0), closed(5, 10.0)], 0.1, script=script)
    [measured] = rig.phases
    assert rig.finished_at < 0.9
    assert measured.counts["unknown"] == 0
    assert measured.ended
    assert [association.end for association in rig.associations] == ["released"] * 3


def test_stopping_twice_aborts_what_is_under_way():
    async def script(rig):
        await asyncio.sleep(0.5)
        rig.driver.stop()
        await asyncio.sleep(0.001)
        rig.driver.stop()

    rig = Rig([closed(3, 10.0)], 100.0, script=script)
    [measured] = rig.phases
    assert measured.counts == {"offered": 3, "stored": 0, "warning": 0, "failed": 0, "unknown": 3, "dropped": 0}
    assert {type(error) for error in measured.lost} == {AbortedHere}
    assert rig.finished_at < 1


def test_a_cancelled_driver_aborts_its_associations():
    async def main(loop):
        queue = Queue(loop, fixed(100.0))
        driver = Driver(queue.open, SmallSource(), KeptMeasurements(), **vars(Clockwork(loop)))
        running = asyncio.ensure_future(driver.run([closed(3, 10.0)]))
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [association.end for association in queue.associations] == ["aborted"] * 3

    in_virtual_time(main)


# Closed and open loads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 16])
def test_a_closed_load_keeps_the_window_full(window):
    rig = Rig([closed(2, 10.0)], window=window)
    [measured] = rig.phases
    assert {round(one.ended - one.begun, 6) for one in measured.samples[2 * window :]} == {2 * window * 0.01}
    assert all(one.intended == one.begun for one in measured.samples)


@pytest.mark.parametrize("window", [1, 4])
def test_an_open_load_uses_all_places_of_the_windows(window):
    rig = Rig([open_rate(100, 10.0, 4 // window)], 0.0399, window=window)  # one server, for which this is too much
    [measured] = rig.phases
    busy = [one for one in measured.samples if one.intended > measured.begun + 1]
    assert {round(one.ended - one.begun, 6) for one in busy} == {4 * 0.0399}


def test_latency_counts_from_the_time_at_which_a_store_was_to_begin():
    rig = Rig([open_rate(10, 1.0, 1)], 0.15)
    [measured] = rig.phases
    begun = measured.begun
    assert [one.intended - begun for one in measured.samples] == pytest.approx([0.05 + 0.1 * n for n in range(7)])
    assert [one.ended - begun for one in measured.samples] == pytest.approx([0.05 + 0.15 * (n + 1) for n in range(7)])
    assert measured.counts["dropped"] == 3  # they waited when the phase was over


def test_lateness_is_measured_where_an_association_was_free():
    rig = Rig([open_rate(10, 1.0, 1)], 0.15)
    assert rig.phases[0].late == pytest.approx([0.0])
    rig = Rig([open_rate(10, 1.0, 2)], 0.05)
    assert rig.phases[0].late == pytest.approx([0.0] * 10)


def test_arrivals_that_no_memory_should_be_kept_for_are_dropped(monkeypatch):
    monkeypatch.setattr(loads, "MOST_WAITING", 5)
    rig = Rig([open_rate(100, 1.0, 1)], 100.0)
    [measured] = rig.phases
    assert measured.counts == {"offered": 100, "stored": 1, "warning": 0, "failed": 0, "unknown": 0, "dropped": 99}


def test_arrivals_may_come_together_and_say_their_kind():
    arrivals = [Arrival(0.0, 3), Arrival(0.5, 2, kind=0), Arrival(9.0)]
    source = SmallSource()
    source.of_kind = source.make
    rig = Rig([Planned(Phase("some", True, 8, 1.0), arrivals)], source=source)
    [measured] = rig.phases
    assert [one.intended - measured.begun for one in measured.samples] == pytest.approx([0, 0, 0, 0.5, 0.5])
    assert [one.kind for one in measured.samples[3:]] == [0, 0]


# Studies --------------------------------------------------------------------------------------------------------------


def test_a_study_takes_one_association_and_its_instances_follow_each_other():
    rig = Rig([exams(1.0, 4.0, 3, how="fixed")], 0.01)
    [measured] = rig.phases
    assert measured.counts["stored"] == 16
    assert measured.studies == pytest.approx([0.04] * 4)
    assert sum(studies for _, studies, _ in measured.offered) == 4
    offsets = [one.intended - measured.begun for one in measured.samples]
    assert offsets == pytest.approx([study + 0.5 + 0.01 * place for study in range(4) for place in range(4)])


def test_a_study_uses_the_window_of_its_association():
    rig = Rig([exams(1.0, 2.0, 1, how="fixed")], 0.01, window=3)
    [measured] = rig.phases
    offsets = [one.intended - measured.begun for one in measured.samples]
    assert offsets == pytest.approx([0.5, 0.5, 0.5, 0.51, 1.5, 1.5, 1.5, 1.51])
    assert measured.studies == pytest.approx([0.04] * 2)


def test_studies_wait_for_an_association_of_their_own():
    rig = Rig([exams(10.0, 1.0, 1, how="fixed")], 0.1)
    [measured] = rig.phases
    assert measured.studies == pytest.approx([0.4, 0.7, 1.0])  # the third one begins in the phase, and ends after it
    assert measured.counts["stored"] == 12
    assert measured.counts["dropped"] == 4 * 7


def test_the_rest_of_a_study_goes_over_another_association_when_one_is_lost():
    async def script(rig):
        await asyncio.sleep(0.003 + 0.5 + 0.015)
        rig.associations[0].lose()

    rig = Rig([exams(1.0, 2.0, 2, how="fixed")], 0.01, script=script)
    [measured] = rig.phases
    assert measured.counts == {"offered": 8, "stored": 7, "warning": 0, "failed": 0, "unknown": 1, "dropped": 0}
    assert [association.stored for association in rig.associations] == [1, 6, 0]
    assert len(measured.studies) == 2


def test_stopping_cuts_studies_short():
    async def script(rig):
        await asyncio.sleep(0.003 + 0.5 + 0.015)
        rig.driver.stop()

    rig = Rig([exams(1.0, 10.0, 2, how="fixed")], 0.01, script=script)
    [measured] = rig.phases
    assert measured.counts["stored"] == 2
    assert measured.studies == []


# Peers that misbehave -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectFailed("peer:104", "connection refused"), REJECTED])
def test_a_peer_that_refuses_all_associations_at_the_start_is_an_error(error):
    rig = Rig([closed(4, 10.0)], opens=lambda _number: error)
    assert rig.error is error
    assert not rig.phases
    assert rig.finished_at < 1


@pytest.mark.parametrize("plan", [[closed(4, 10.0)], [open_rate(50, 10.0, 4)], [exams(10, 10.0, 4)]])
def test_a_peer_that_accepts_half_of_the_associations_is_measured_with_those(plan):
    rig = Rig(plan, opens=lambda number: REJECTED if number % 2 or number > 4 else None)
    [measured] = rig.phases
    assert len(measured.opened) == 2
    assert measured.counts["stored"] > 100
    assert measured.counts["unknown"] == 0
    assert 4 < len(measured.lost) < 30  # with growing pauses


def test_a_peer_that_restarts_gets_its_load_back():
    async def script(rig):
        await asyncio.sleep(2.0)
        for association in rig.associations[:]:
            association.lose()

    rig = Rig(
        [open_rate(200, 10.0, 4)],
        0.001,
        script=script,
        opens=lambda number: ConnectFailed("peer:104", "refused") if 4 < number < 20 else None,
    )
    [measured] = rig.phases
    assert len(measured.opened) == 8
    assert measured.counts["offered"] == 2000
    assert measured.counts["unknown"] <= 4
    assert measured.counts["dropped"] == 0
    assert {type(error) for error in measured.lost} == {LinkLost, ConnectFailed}
    assert max(one.ended - one.intended for one in measured.samples) > 1  # the outage shows


def test_a_peer_that_dies_and_does_not_come_back_leads_to_an_honest_end():
    async def script(rig):
        await asyncio.sleep(2.0)
        for association in rig.associations[:]:
            association.lose()

    rig = Rig(
        [open_rate(100, 5.0, 4), closed(2, 5.0)],
        script=script,
        opens=lambda number: ConnectFailed("peer:104", "refused") if number > 4 else None,
    )
    first, second = rig.phases
    assert first.counts["offered"] == 500
    assert first.counts["dropped"] >= 298
    assert second.counts["offered"] == 0
    assert second.lost
    assert rig.error is None


def test_the_peer_is_away_when_the_last_association_is_lost_and_not_when_this_side_ends_it():
    async def script(rig):
        await asyncio.sleep(1.0)
        first, second = rig.associations
        first.lose()
        second.lose()
        await asyncio.sleep(1.0)
        rig.driver.stop()
        rig.driver.stop()

    rig = Rig([closed(2, 5.0)], 10.0, script=script)
    assert rig.measurements.none_open == [False, True, False, False]


def test_a_phase_that_waits_for_its_associations_when_it_is_stopped_never_begins():
    async def script(rig):
        await asyncio.sleep(1.001)
        rig.driver.stop()

    rig = Rig([closed(1, 1.0), closed(3, 1.0)], script=script)
    assert [measured.phase.associations for measured in rig.phases] == [1]
    assert rig.error is None


def test_it_says_how_many_associations_it_waits_for():
    async def script(rig):
        await asyncio.sleep(0.001)
        seen.append(rig.driver.wanted)
        await asyncio.sleep(0.5)
        seen.append(rig.driver.wanted)

    seen = []
    Rig([closed(3, 1.0)], script=script)
    assert seen == [3, None]


def test_a_peer_that_never_answers_ends_with_unknown_outcomes():
    async def script(rig):
        await asyncio.sleep(70.0)
        for association in rig.associations:
            association.lose()  # as a timeout would

    rig = Rig([open_rate(10, 5.0, 4)], 1000.0, script=script)
    [measured] = rig.phases
    assert measured.counts == {"offered": 50, "stored": 0, "warning": 0, "failed": 0, "unknown": 4, "dropped": 46}


@pytest.mark.slow
def test_instances_of_a_sop_class_that_the_peer_refuses_fail_and_the_others_go_on():
    accepted = {(CT, SmallSource().kinds[0].transfer_syntax_uid): 1}
    for plan in ([closed(2, 1.0)], [open_rate(50, 1.0, 2)], [exams(10, 1.0, 2, how="fixed")]):
        [measured] = Rig(plan, accepted=accepted).phases
        assert measured.counts["stored"] > 10
        assert measured.counts["failed"] == pytest.approx(measured.counts["stored"], abs=4)
        assert {(one.kind, one.status) for one in measured.samples} == {(0, 0), (1, 0x0122)}


def test_a_peer_that_accepts_no_sop_class_is_an_error():
    rig = Rig([closed(2, 1.0)], accepted={})
    assert isinstance(rig.error, AbortedHere)
    assert not rig.phases


@pytest.mark.parametrize(
    "plan", [[closed(2, 10.0)], [open_rate(100, 10.0, 2)], [open_rate(1000, 10.0, 2)], [exams(20, 10.0, 2)]]
)
def test_a_source_that_has_nothing_more_ends_the_measurement(plan):
    """All files of the user are gone, for example."""

    class Ending(SmallSource):
        def next(self):
            made = super().next()
            if made.instance.file.ordinal > 20:
                raise UsageError("no file is left")
            return made

        def study(self):
            if self.studies == 5:
                raise UsageError("no file is left")
            return super().study()

    rig = Rig(plan, source=Ending())
    assert str(rig.error) == "no file is left"
    assert rig.finished_at < 2
    [measured] = rig.phases
    assert 16 < measured.counts["stored"] <= 20  # another study is cut short
    assert measured.ended
    assert {association.end for association in rig.associations} == {"released"}


@pytest.mark.parametrize("number", [2, 5])
def test_an_error_that_is_not_the_peers_ends_the_measurement(number):
    async def script(rig):
        await asyncio.sleep(0.5)
        rig.associations[0].lose()

    rig = Rig([closed(4, 10.0)], script=script, opens=lambda asked: UsageError("too long") if asked == number else None)
    assert isinstance(rig.error, UsageError)
    assert rig.finished_at < 1
    assert {association.end for association in rig.associations} == {"aborted"}


def test_stores_that_had_not_begun_when_an_association_was_lost_go_over_another_one():
    """A link that takes nothing more keeps them in the queue of the association."""

    class Blocked(QueueAssociation):
        def submit_whole(self, instances, load):
            if self.number > 1 or not self._outstanding:
                super().submit_whole(instances, load)

    async def script(rig):
        await asyncio.sleep(0.5)
        rig.associations[0].lose()

    async def opened(self, number, on_stored, on_end, **options):
        association = Blocked(self, number, on_stored, on_end, options["window"], options["accepted"])
        self.associations.append(association)
        return association

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "open", opened)
        rig = Rig([open_rate(100, 1.0, 1)], 0.3, window=8, script=script)
        [measured] = rig.phases
        assert measured.counts["unknown"] == 1
        assert measured.counts["stored"] > 3
        rig = Rig([closed(1, 1.0)], 0.3, window=8, script=script)
        [measured] = rig.phases
        assert measured.counts["unknown"] == 1
        assert measured.counts["dropped"] == 7


# The generator itself -------------------------------------------------------------------------------------------------


def test_the_generator_watches_itself():
    rig = Rig([closed(1, 5.0)])
    lags, cpus, times = zip(*rig.measurements.watches, strict=True)
    assert len(times) == pytest.approx(100, abs=4)
    assert max(lags) < 1e-6
    assert list(cpus) == sorted(cpus)


@pytest.mark.slow
def test_memory_stays_flat_over_an_hour(monkeypatch):
    """More arrive than the peer takes, associations are lost, and nothing of it stays."""
    monkeypatch.setattr(loads, "MOST_WAITING", 100)
    monkeypatch.setattr(driving, "_WATCH_INTERVAL", 1.0)

    class Counts(KeptMeasurements):
        ended = dropped_ones = 0

        def stored(self, _sample):
            self.ended += 1

        def dropped(self, instances, _at):
            self.dropped_ones += instances

        def offered(self, *_, **__):
            pass

        late = watched = lost = opened = released = offered

    measurements, used = Counts(), []

    async def main(loop):
        queue = Queue(loop, fixed(1.6))
        driver = Driver(queue.open, SmallSource(), measurements, **vars(Clockwork(loop)))
        running = asyncio.ensure_future(driver.run([open_rate(1, 3600.0, 4)]))
        for _ in range(11):
            await asyncio.sleep(300)
            queue.associations[-1].lose()
            del queue.associations[:-4]
            gc.collect()
            used.append(sys.getallocatedblocks())
        await running

    in_virtual_time(main)
    assert measurements.ended > 2_000
    assert measurements.dropped_ones > 1_000
    assert max(used[4:]) < used[1] + 300
