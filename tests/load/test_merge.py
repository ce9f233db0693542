from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncstore.errors import UsageError
from asyncstore.load.results import Recorder, read_document, write_document
from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.document import Findable, Generator
from asyncstore.load.results.histogram import Histogram, total_of
from asyncstore.load.results.merge import merge
from asyncstore.load.results.thresholds import evaluate, parse
from support.measured import KINDS, SETUP, closed, document, load, with_peer

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


ONE_PHASE = (closed(seconds=10.0),)


def machine(seed, *, delay=0.0, rate=50.0, phases=ONE_PHASE, **values):
    """The document of a machine that started so many seconds after noon."""
    recorder = Recorder(KINDS)
    begin = 1000.0
    for phase in phases:
        load(recorder, phase, begin=begin, rate=rate, seed=seed)
        begin += phase.seconds + 1
    started = (NOON + timedelta(seconds=delay)).isoformat()
    return document(recorder.results(0.0), **{"setup": replace(SETUP, started=started), **values})


def merged(*documents):
    return merge(documents, [f"{chr(97 + number)}.json" for number in range(len(documents))])


def test_histograms_and_counts_are_added():
    one, other = machine(1), machine(2, rate=80.0)
    found = merged(one, other)
    assert found.whole.latency == total_of([one.whole.latency, other.whole.latency])
    assert (found.whole.stored, found.whole.offered) == (1300, 1300)
    assert found.whole.by.modality["CT"].stored == sum(each.whole.by.modality["CT"].stored for each in (one, other))
    assert found.phases[0].split.wait.count == 1300
    assert found.phases[0].associations == 8


def test_rates_are_added():
    found = merged(machine(1), machine(2, rate=80.0), machine(3, rate=20.0))
    assert found.whole.stored_per_second == pytest.approx(150, rel=0.002)
    assert found.whole.offered_per_second == pytest.approx(150)


def test_rates_are_those_of_the_time_that_all_ran():
    one = machine(1, rate=50.0)
    found = merged(one, machine(2, delay=4.0, rate=80.0))
    assert found.phases[0].seconds == 6.0
    assert found.phases[0].stored_per_second == pytest.approx(130, rel=0.01)
    assert found.whole.stored == 1300
    assert (
        "In 4 associations, all of them ran together for 6.0 s of 10 s; rates are those of this time."
        in found.verdict.lines
    )
    assert found.setup.started == one.setup.started


def test_rates_are_those_of_the_time_until_a_machine_lost_the_peer():
    one, other = machine(1, rate=50.0), machine(2, rate=50.0)
    lost = replace(other.phases[0], lost_after=6.0)
    found = merged(one, replace(other, phases=(lost,), whole=lost))
    assert (found.phases[0].seconds, found.phases[0].lost_after, found.exit_code) == (6.0, 6.0, 2)
    assert found.phases[0].stored_per_second == pytest.approx(100, rel=0.01)
    never = [replace(each, phases=(replace(each.phases[0], lost_after=0.0),)) for each in (one, other)]
    assert (merged(*never).phases[0].seconds, merged(*never).phases[0].lost_after) == (10.0, 0.0)


def test_a_second_that_began_before_the_others_counts_in_part():
    found = merged(machine(1), machine(2, delay=2.5))
    assert found.phases[0].seconds == 7.5
    assert found.phases[0].stored_per_second == pytest.approx(100, rel=0.01)


def test_a_series_is_added_by_the_time_of_its_points_and_has_no_percentiles():
    found = merged(machine(1, rate=50.0), machine(2, delay=3.0, rate=80.0))
    points = {point.second: point for point in found.phases[0].series}
    assert [points[second].offered for second in (0, 2, 3, 9, 10, 12)] == [50, 50, 130, 130, 80, 80]
    assert {point.p99 for point in points.values()} == {None}
    assert points[5].max > 0


def test_a_sum_can_be_written_read_and_merged_again():
    one, two, three = machine(1), machine(2), machine(3)
    found = merged(one, two)
    assert read_document(write_document(found), "sum.json") == found
    assert merged(found, three).whole.latency == merged(one, two, three).whole.latency


@pytest.mark.parametrize(
    ("phases", "problem"),
    [
        ((closed(seconds=10.0), closed(seconds=1.0)), "a.json has 1 phases and b.json 2"),
        ((closed(associations=8, seconds=10.0),), "differ .name 4 associations and 8 associations."),
        ((closed(seconds=9.0),), "differ .planned seconds 10.0 and 9.0.: only the same phases can be merged"),
        ((closed(seconds=10.0, is_counted=False),), "differ .is counted True and False."),
        ((closed(seconds=10.0, repeat=2),), "differ .repeat 1 and 2."),
        ((closed(seconds=10.0)._replace(is_open=True),), "differ .model closed and open."),
    ],
)
def test_different_phases_are_refused(phases, problem):
    with pytest.raises(UsageError, match=problem):
        merged(machine(1), machine(2, phases=phases))


def test_measurements_at_different_times_are_refused():
    with pytest.raises(
        UsageError, match=r"was over in a\.json before it began in b\.json: only measurements that ran at"
    ):
        merged(machine(1), machine(2, delay=60.0))


def test_warm_ups_need_not_run_at_the_same_time():
    phases = (closed(seconds=1.0)._replace(name="warm-up", is_counted=False), *ONE_PHASE)
    found = merged(machine(1, phases=phases), machine(2, phases=phases, delay=4.0))
    assert [phase.seconds for phase in found.phases] == [5.0, 6.0]
    assert found.phases[0].stored_per_second == pytest.approx(2 * 50 / 5, rel=0.05)
    assert found.whole.stored_per_second == pytest.approx(100, rel=0.01)


def test_a_single_measurement_and_one_without_a_time_are_refused():
    with pytest.raises(UsageError, match="two or more measurements"):
        merged(machine(1))
    with pytest.raises(UsageError, match=r"b\.json: does not say when it started"):
        merged(machine(1), replace(machine(2), setup=replace(SETUP, started="yesterday")))


def test_what_each_machine_could_do_is_kept_and_the_sum_is_client_bound_if_one_was():
    busy = machine(2)
    phase = replace(busy.phases[0], generator=Generator(cpu_seconds=9.7, cpu_share=0.97))
    busy = replace(busy, phases=(phase,), verdict=replace(busy.verdict, client_bound=True))
    found = merged(machine(1), busy)
    assert [part.client_bound for part in found.parts] == [False, True]
    assert [part.calibration.instances_per_second for part in found.parts] == [2000.0, 2000.0]
    assert found.calibration.instances_per_second == 4000.0
    assert found.verdict.client_bound
    assert found.verdict.lines[1] == "This side: in run 2 it used 97 % of a core."
    assert found.phases[0].generator.cpu_share == 0.97


def test_machines_that_were_not_the_limit_make_no_client_bound_sum():
    found = merged(machine(1), machine(2))
    assert not found.verdict.client_bound
    assert found.verdict.lines[-1] == "This is the sum of 2 runs, which stored 50/s, 50/s."


def test_without_the_calibration_of_all_there_is_none_of_the_sum():
    assert merged(machine(1), machine(2, calibration=None)).calibration is None


def test_thresholds_are_evaluated_again():
    one = machine(1)
    one = replace(one, thresholds=evaluate([parse("rate>80/s")], one.whole))
    assert one.thresholds[0].is_crossed
    found = merged(one, machine(2))
    assert not found.thresholds[0].is_crossed
    assert found.exit_code == 0
    assert merged(replace(one, exit_code=130), machine(2)).exit_code == 130


def test_the_knee_is_that_of_the_sum():
    steps = tuple(closed(associations=number, seconds=2.0) for number in (1, 2))
    found = merged(machine(1, phases=steps), machine(2, phases=steps))
    assert [step.associations for step in found.knee.steps] == [2, 4]
    assert found.knee.steps[0].stored_per_second == pytest.approx(100, rel=0.01)


def test_times_to_findable_are_added():
    findable = Findable(asked=2, found=1, not_found=1, latency=Histogram.of([0.5]), errors={"x": 1})
    found = merged(machine(1, findable=findable), machine(2), machine(3, findable=findable)).findable
    assert (found.asked, found.found, found.latency.count, found.errors) == (4, 2, 2, {"x": 2})


def test_different_peers_and_instances_are_said():
    other = machine(2)
    setup = with_peer(replace(other.setup, corpus=replace(SETUP.corpus, hash="cd" * 32)), host="10.0.0.1")
    found = merged(machine(1), replace(other, setup=setup))
    assert "They name different peers: pacs:104, 10.0.0.1:104." in found.verdict.lines
    assert "They sent different instances." in found.verdict.lines
    assert found.setup.corpus.hash not in {"ab" * 32, "cd" * 32}
    assert found.setup.corpus.kinds == KINDS


def test_the_whole_of_a_sum_is_the_sum_of_its_phases():
    found = merged(machine(1), machine(2))
    assert whole_of(found.phases) == found.whole
