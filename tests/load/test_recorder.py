import math
from random import Random
from statistics import fmean

import pytest

from asyncstore.errors import LinkLost
from asyncstore.load.results import Histogram, Recorder
from asyncstore.load.results.adding import whole_of, with_openings
from asyncstore.load.results.phase_run import MOST_POINTS
from asyncstore.load.values import Opened, Phase, Sample
from support.measured import CT, KINDS, MR, closed, load, opened, result


def sample(begun, ended, kind=0, status=0, intended=None):
    return Sample(kind, begun if intended is None else intended, begun, begun + (ended - begun) / 2, ended, status)


def recorded(phase, samples, at=None, **values):
    recorder = Recorder(KINDS, **values)
    recorder.begin(phase, 0.0)
    for each in samples:
        recorder.stored(each)
    recorder.end(phase.seconds if at is None else at)
    return recorder.results(0.0)[0]


def test_every_sample_is_counted_once_however_often_the_samples_are_folded():
    noise = Random(3)  # noqa: S311 - noise, not a secret
    samples = sorted(
        (sample(begun := noise.random() * 9, begun + noise.random()) for _ in range(500)), key=lambda s: s.ended
    )
    once = recorded(closed(), samples)
    recorder = Recorder(KINDS)
    recorder.begin(closed(), 0.0)
    for each in samples:
        recorder.stored(each)
        if noise.random() < 0.2:
            recorder.fold(each.ended)
    recorder.end(10.0)
    assert recorder.results(0.0)[0] == once
    assert once.stored == 500
    assert once.latency == Histogram.of(each.ended - each.begun for each in samples)
    assert sum(point.stored for point in once.series) == 500


def test_latency_counts_from_the_intended_beginning_and_service_from_the_real_one():
    found = recorded(opened(), [sample(2.0, 2.25, intended=1.0)])
    assert found.latency == Histogram.of([1.25])
    assert found.service == Histogram.of([0.25])
    assert found.split.send == found.split.wait == Histogram.of([0.125])


def test_in_a_closed_load_latency_is_service():
    found = recorded(closed(), [sample(2.0, 2.25)])
    assert found.latency == found.service == Histogram.of([0.25])


def test_failed_and_unknown_stores_have_no_latency_and_warnings_are_stored():
    samples = [sample(1.0, 1.5, status=status) for status in (0, 0xB000, 0xA700, None, 0x0110)]
    found = recorded(closed(), samples)
    assert (found.stored, found.warnings, found.failed, found.unknown) == (2, 1, 2, 1)
    assert found.statuses == {"0x0000": 1, "0x0110": 1, "0xA700": 1, "0xB000": 1}
    assert found.latency.count == found.split.wait.count == 2
    assert found.bytes == 2 * CT.bytes
    point = found.series[1]
    assert (point.stored, point.failed, point.unknown) == (2, 2, 1)
    assert point.statuses == {"0x0110": 1, "0xA700": 1, "0xB000": 1}


def test_a_second_without_a_stored_instance_has_no_percentiles():
    found = recorded(closed(seconds=3.0), [sample(0.0, 0.5), sample(2.0, 2.5, status=0xA700)])
    assert [point.p99 is None for point in found.series] == [False, True, True]
    assert [point.second for point in found.series] == [0, 1, 2]


def test_a_sample_belongs_to_the_second_of_its_response():
    found = recorded(closed(seconds=4.0), [sample(0.0, 0.5), sample(0.0, 1.0), sample(0.9, 2.999), sample(2.9, 3.1)])
    assert [point.stored for point in found.series] == [1, 1, 1, 1]


def test_groups_are_sums_over_kinds():
    samples = [sample(1.0, 1.5), sample(1.0, 1.6, kind=1), sample(1.0, 1.7, kind=1, status=0xC000)]
    found = recorded(closed(), samples)
    assert {name: (group.stored, group.failed, group.bytes) for name, group in found.by.modality.items()} == {
        "CT": (1, 0, CT.bytes),
        "MR": (1, 1, MR.bytes),
    }
    assert set(found.by.sop_class) == {CT.sop_class_uid, MR.sop_class_uid}
    assert found.by.transfer_syntax[CT.transfer_syntax_uid].stored == 2
    assert found.by.transfer_syntax[CT.transfer_syntax_uid].latency == found.latency
    assert set(found.by.size_class) == {"100 kB to 1 MB"}


def test_a_kind_without_a_store_is_in_no_group():
    assert set(recorded(closed(), [sample(1.0, 1.5)]).by.modality) == {"CT"}


def test_a_store_that_ends_late_counts_in_the_rate_by_its_share():
    """Stores of 0.4 s in a row for a second: 2.5 a second, whether the last one counts whole or not at all."""
    found = recorded(closed(seconds=1.0), [sample(0.0, 0.4), sample(0.4, 0.8), sample(0.8, 1.2)], at=1.2)
    assert found.stored == 3
    assert found.seconds == 1.0
    assert found.stored_per_second == pytest.approx(2.5)
    assert found.bytes_per_second == pytest.approx(2.5 * CT.bytes)
    assert found.studies_per_hour == pytest.approx(2.5 / CT.instances_per_study * 3600)


def test_an_interrupted_phase_has_the_rate_of_the_time_that_it_lasted():
    found = recorded(closed(seconds=100.0), [sample(0.0, 1.0), sample(1.0, 2.0)], at=2.0)
    assert (found.seconds, found.stored_per_second) == (2.0, 1.0)
    assert [point.stored for point in found.series] == [0, 1, 1]


PEER_IS_AWAY = LinkLost("pacs:104", "reset by the peer")


def lossy(stores, losses, *, phase=None, ended=None, answered=()):
    """A phase of 10 s with these stores, whose associations are all lost at these times, and opened at those."""
    phase = phase or closed()
    recorder = Recorder(KINDS)
    recorder.begin(phase, 100.0)
    recorder.opened(Opened(100.0, 0.001, 0.0, 0.002))
    for each in stores:
        recorder.stored(each)
    for at in losses:
        recorder.lost(PEER_IS_AWAY, at, none_open=True)
        for opened_at in answered:
            recorder.opened(Opened(opened_at, 0.001, 0.0, 0.002))
    recorder.end(110.0 if ended is None else ended)
    return recorder.results(0.0)[0]


def stores(until, status=0):
    return [sample(at, at + 0.1, status=status) for at in (100.0 + number / 10 for number in range(until * 10))]


def test_the_rate_is_that_until_the_peer_was_lost():
    found = lossy(stores(4), [104.0, 104.2, 108.0])
    assert (found.seconds, found.lost_after) == (10.0, 4.0)
    assert found.stored_per_second == pytest.approx(10)
    assert found.bytes_per_second == pytest.approx(10 * CT.bytes)
    assert found.studies_per_hour == pytest.approx(10 / CT.instances_per_study * 3600)
    whole = whole_of([found, lossy([], [99.0]), result(closed(seconds=4.0), rate=30.0)])
    assert (whole.lost_after, whole.seconds) == (8.0, 24.0)
    assert whole.stored_per_second == pytest.approx(20, rel=0.01)


def test_a_peer_that_stops_to_answer_is_lost_from_then_on():
    unanswered = [sample(104.0, 164.0, status=None), sample(103.95, 164.0, status=None)]
    found = lossy([*stores(4), *unanswered], [164.0], ended=164.0)
    assert found.lost_after == pytest.approx(4.0)
    assert (found.stored_per_second, found.unknown) == (pytest.approx(10), 2)


@pytest.mark.parametrize(
    "values",
    [
        {"losses": [104.0], "answered": [107.0]},
        {"losses": [109.7]},
        {"losses": [112.0]},
        {"losses": []},
    ],
    ids=["it is back", "at the very end", "after the phase", "never"],
)
def test_a_peer_that_is_away_for_a_time_is_not_lost(values):
    found = lossy(stores(4), **values)
    assert found.lost_after is None
    assert found.stored_per_second == pytest.approx(4)


def test_a_peer_that_is_back_after_a_phase_was_lost_in_it():
    assert lossy(stores(4), [104.0], answered=[110.5], ended=111.0).lost_after == 4.0


def test_a_peer_that_answers_nothing_at_all_was_there_until_its_associations_ended():
    assert lossy([sample(100.0, 160.0, status=None)], [160.0], ended=160.0).lost_after is None
    assert lossy([sample(100.0, 103.0, status=None)], [103.0]).lost_after == 3.0


def test_a_phase_that_begins_without_the_peer_had_none_at_all():
    recorder = Recorder(KINDS)
    for begin in (0.0, 10.0):
        recorder.begin(closed(seconds=10.0), begin)
        if not begin:
            recorder.opened(Opened(0.0, 0.001, 0.0, 0.002))
            recorder.lost(PEER_IS_AWAY, 6.0, none_open=True)
        recorder.end(begin + 10.0)
    assert [phase.lost_after for phase in recorder.results(0.0)] == [6.0, 0.0]


def test_a_phase_under_way_may_get_the_peer_back():
    recorder = Recorder(KINDS)
    recorder.begin(closed(seconds=10.0), 0.0)
    recorder.lost(PEER_IS_AWAY, 1.0, none_open=True)
    assert recorder.results(5.0)[0].lost_after is None


def test_studies_count_when_they_have_ended():
    recorder = Recorder(KINDS)
    recorder.begin(opened(seconds=3600.0), 0.0)
    recorder.study_ended(30.0, 100.0)
    recorder.study_ended(60.0, 3630.0)
    recorder.end(3700.0)
    (found,) = recorder.results(0.0)
    assert found.studies == 2
    assert found.study_latency == Histogram.of([30.0, 60.0])
    assert found.studies_per_hour == pytest.approx(1.5)


def test_offered_and_dropped_instances_are_in_the_series():
    recorder = Recorder(KINDS)
    recorder.begin(opened(seconds=2.0), 10.0)
    recorder.offered(5, 0, 10.5)
    recorder.offered(3, 0, 11.5)
    recorder.dropped(2, 12.0)
    recorder.end(12.0)
    (found,) = recorder.results(0.0)
    assert (found.offered, found.dropped, found.offered_per_second) == (8, 2, 4.0)
    assert [(point.offered, point.dropped) for point in found.series] == [(5, 0), (3, 0), (0, 2)]


def test_times_of_associations_are_kept_and_tls_only_where_there_was_some():
    recorder = Recorder(KINDS)
    recorder.begin(closed(), 0.0)
    recorder.opened(Opened(0.0, 0.001, 0.0, 0.002))
    recorder.opened(Opened(0.0, 0.001, 0.004, 0.002))
    recorder.released(0.003)
    recorder.lost(LinkLost("pacs:104", "reset by peer"), 1.0)
    recorder.lost(LinkLost("pacs:104", "reset by peer"), 2.0)
    recorder.end(10.0)
    (found,) = recorder.results(0.0)
    assert (found.split.connect.count, found.split.tls.count, found.split.release.count) == (2, 1, 1)
    assert found.split.tls == Histogram.of([0.004])
    assert found.errors == {"the connection was lost: reset by peer": 2}
    assert [point.errors for point in found.series][:4] == [0, 1, 1, 0]


def test_the_number_of_texts_of_errors_is_limited():
    recorder = Recorder(KINDS)
    recorder.begin(closed(), 0.0)
    for number in range(1000):
        recorder.lost(LinkLost("pacs:104", f"reason {number}"), 1.0)
    recorder.end(10.0)
    (found,) = recorder.results(0.0)
    assert len(found.errors) < 100
    assert sum(found.errors.values()) == 1000


def test_the_generator_is_measured_over_the_phase():
    recorder = Recorder(KINDS)
    recorder.watched(0.5, 7.0, 99.0)
    recorder.begin(opened(seconds=10.0), 100.0)
    recorder.late(0.002)
    recorder.watched(0.001, 9.0, 104.0)
    recorder.watched(0.003, 12.0, 109.0)
    recorder.end(110.0)
    (found,) = recorder.results(0.0)
    assert found.generator.cpu_seconds == 5.0
    assert found.generator.cpu_share == 0.5
    assert found.generator.lag == Histogram.of([0.001, 0.003])
    assert found.generator.lateness == Histogram.of([0.002])


def test_a_store_belongs_to_the_phase_in_which_it_began():
    recorder = Recorder(KINDS)
    recorder.begin(opened(seconds=10.0), 0.0)
    recorder.begin(opened(rate=200.0, seconds=10.0), 10.0)
    recorder.stored(sample(9.5, 10.5))
    recorder.stored(sample(10.1, 10.6))
    recorder.fold(11.0)
    recorder.stored(sample(9.9, 12.5))
    recorder.study_ended(5.0, 12.0)
    recorder.end(20.0)
    first, second = recorder.results(0.0)
    assert (first.stored, second.stored) == (2, 1)
    assert (first.studies, second.studies) == (1, 0)
    assert first.stored_per_second == pytest.approx((0.5 + 0.1 / 2.6) / 10)
    assert [point.second for point in first.series] == list(range(13))


def test_a_store_that_began_because_the_next_phase_is_late_belongs_to_the_phase_that_offered_it():
    recorder = Recorder(KINDS)
    recorder.begin(closed(seconds=10.0), 0.0)
    recorder.offered(1, 0, 10.001)
    recorder.watched(0.0, 0.0, 10.002)
    recorder.begin(closed(seconds=10.0), 10.0)
    recorder.stored(sample(10.001, 10.5))
    recorder.end(20.0)
    assert [(phase.offered, phase.stored) for phase in recorder.results(0.0)] == [(1, 1), (0, 0)]


def test_the_whole_is_the_sum_of_the_counted_phases():
    recorder = Recorder(KINDS)
    load(recorder, closed(seconds=2.0, is_counted=False), begin=0.0)
    load(recorder, closed(seconds=4.0), begin=10.0, rate=50.0)
    load(recorder, closed(associations=8, seconds=6.0), begin=20.0, rate=100.0)
    found = whole_of(recorder.results(0.0))
    warm_up, four, eight = recorder.results(0.0)
    assert not warm_up.is_counted
    assert found.stored == four.stored + eight.stored == 800
    assert found.latency.count == 800
    assert found.seconds == 10.0
    assert found.stored_per_second == pytest.approx((four.stored_per_second * 4 + eight.stored_per_second * 6) / 10)
    assert found.by.modality["CT"].stored + found.by.modality["MR"].stored == 800
    assert found.associations == 8


def test_the_whole_has_the_opening_times_of_a_warm_up_whose_associations_it_uses():
    recorder = Recorder(KINDS)
    for phase, begin in ((closed(is_counted=False), 0.0), (closed(), 10.0)):
        recorder.begin(phase, begin)
        if not begin:
            recorder.opened(Opened(0.0, 0.001, 0.004, 0.002))
        recorder.stored(sample(begin, begin + 0.5))
        recorder.end(begin + 10.0)
    phases = recorder.results(0.0)
    split = with_openings(whole_of(phases), phases).split
    assert (split.connect, split.tls, split.associate) == tuple(map(Histogram.of, ([0.001], [0.004], [0.002])))
    assert split.wait.count == 1
    assert phases[1].split.connect.count == 0


def test_the_whole_of_nothing_is_zero():
    found = whole_of([])
    assert (found.stored, found.seconds, found.stored_per_second) == (0, 0, 0.0)


def test_results_are_known_while_a_phase_is_under_way():
    recorder = Recorder(KINDS)
    recorder.begin(closed(seconds=10.0), 0.0)
    recorder.stored(sample(0.0, 0.5))
    recorder.stored(sample(0.5, 1.5))
    recorder.fold(2.0)
    assert recorder.phase == closed(seconds=10.0)
    assert recorder.so_far(2.0).stored_per_second == 1.0
    (found,) = recorder.results(2.0)
    recorder.stored(sample(1.5, 2.5))
    recorder.fold(3.0)
    assert found.stored == 2
    assert recorder.results(3.0)[0].stored == 3


def test_what_happens_before_the_first_phase_belongs_to_no_phase():
    recorder = Recorder(KINDS)
    recorder.opened(Opened(0.0, 0.001, 0.0, 0.002))
    recorder.released(0.1)
    recorder.lost(LinkLost("pacs:104", "reset by peer"), 0.0)
    recorder.offered(1, 1, 0.0)
    recorder.dropped(1, 0.0)
    recorder.late(0.1)
    recorder.study_ended(1.0, 0.0)
    recorder.stored(sample(0.0, 0.5))
    recorder.fold(1.0)
    assert recorder.phase is None
    assert recorder.results(1.0) == ()


def test_phases_and_intervals_say_when_they_began_after_the_first_one():
    intervals = []
    recorder = Recorder(KINDS, on_interval=intervals.append)
    load(recorder, closed(seconds=2.0), begin=100.0, rate=10.0)
    load(recorder, closed(seconds=1.0), begin=105.0, rate=10.0)
    assert [phase.began for phase in recorder.results(0.0)] == [0.0, 5.0]
    assert [each.began for each in intervals] == [0.0, 1.0, 5.0]


def test_every_interval_is_handed_on_with_its_histogram():
    intervals = []
    found = recorded(closed(seconds=2.0), [sample(0.0, 0.5), sample(0.5, 1.5)], on_interval=intervals.append)
    assert [(each.began, each.seconds, each.latency.count) for each in intervals] == [(0.0, 1, 1), (1.0, 1, 1)]
    assert found.series[1].p99 == intervals[1].latency.percentile(99)
    assert tuple(each.point for each in intervals) == found.series


def test_what_ends_after_its_phase_is_handed_on_while_the_phase_is_still_known():
    seen = []
    recorder = Recorder(KINDS, on_interval=lambda interval: seen.append((recorder.phase, interval.latency.count)))
    recorder.begin(closed(seconds=1.0), 0.0)
    recorder.stored(sample(0.5, 1.5))
    recorder.end(1.5)
    assert seen == [(closed(seconds=1.0), 0), (closed(seconds=1.0), 1)]


def soak(hours, drift):
    recorder = Recorder(KINDS)
    phase = Phase("soak", False, 4, hours * 3600.0)
    recorder.begin(phase, 0.0)
    for second in range(hours * 3600):
        service = 0.01 * (1 + drift * second / (hours * 3600))
        for number in range(2):
            recorder.offered(1, 0, second)
            recorder.stored(sample(second + number / 3, second + number / 3 + service))
        recorder.fold(second + 1.0)
    recorder.end(hours * 3600.0)
    return recorder.results(0.0)[0]


@pytest.mark.slow
def test_a_soak_of_hours_has_no_more_points_than_a_short_run():
    found = soak(2, 0.0)
    assert len(found.series) == MOST_POINTS
    assert [point.second for point in found.series][:3] == [0, 6, 12]
    assert sum(point.stored for point in found.series) == found.stored == 14_400


def test_stores_that_never_seem_to_end_make_no_endless_series():
    found = recorded(closed(seconds=1.0), [sample(0.0, 1e6)], at=1e6)
    assert found.stored == 1
    assert len(found.series) <= 2 * MOST_POINTS + 1


def test_drift_compares_the_first_tenth_with_the_last_one():
    found = soak(1, 1.0).drift
    assert found.first.p50 == pytest.approx(0.0105, rel=0.01)
    assert found.last.p50 == pytest.approx(0.0195, rel=0.01)
    assert found.first.stored_per_second == found.last.stored_per_second == 2.0
    assert found.first.seconds == 360.0
    assert [tenth.p50 for tenth in found.tenths] == [
        pytest.approx(0.0105 + number * 0.001, rel=0.01) for number in range(10)
    ]


@pytest.mark.parametrize("seconds", range(60, 71))
def test_the_last_tenth_is_the_last_one_however_long_the_phase_is(seconds):
    """In each second as many are stored as are left, so each tenth has a rate of its own."""
    recorder = Recorder(KINDS)
    recorder.begin(closed(seconds=float(seconds)), 0.0)
    rates = [200 - second for second in range(seconds)]
    for second, rate in enumerate(rates):
        for number in range(rate):
            recorder.stored(sample(second + number / 300, second + number / 300 + 0.1))
    recorder.end(float(seconds))
    drift = recorder.results(0.0)[0].drift
    assert drift.last.stored_per_second == fmean(rates[math.ceil(seconds * 0.9) :])


def test_a_short_phase_and_a_ramp_have_no_drift():
    assert result(closed(seconds=10.0)).drift is None
    recorder = Recorder(KINDS)
    recorder.begin(opened(seconds=100.0), 0.0)
    for second in range(100):
        for number in range(20 + second):
            recorder.offered(1, 0, second)
            recorder.stored(sample(second + number / 200, second + number / 200 + 0.01))
        recorder.fold(second + 1.0)
    recorder.end(100.0)
    assert recorder.results(0.0)[0].drift is None


def test_a_phase_ends_when_all_of_its_stores_have_though_the_next_one_is_under_way():
    recorder = Recorder(KINDS)
    recorder.begin(opened(seconds=10.0), 0.0)
    recorder.offered(3, 0, 9.0)
    recorder.stored(sample(9.0, 9.5))
    recorder.dropped(1, 10.0)
    recorder.begin(opened(rate=200.0, seconds=10.0), 10.0)
    recorder.offered(1, 0, 10.1)
    recorder.fold(11.0)
    assert len(recorder.results(11.0)[0].series) == 11
    recorder.stored(sample(9.9, 11.5))
    recorder.fold(12.0)
    recorder.stored(sample(10.1, 12.5))
    recorder.end(20.0)
    first, second = recorder.results(0.0)
    assert (first.offered, first.stored, first.dropped) == (3, 2, 1)
    assert (second.offered, second.stored) == (1, 1)
    assert [point.stored for point in first.series] == [0] * 9 + [1, 0, 1]


def test_the_whole_so_far_has_the_numbers_of_the_whole():
    recorder = Recorder(KINDS)
    for number in range(3):
        load(recorder, closed(seconds=2.0, is_counted=number > 0), begin=10.0 * number, rate=20.0, seed=number)
    recorder.begin(closed(seconds=5.0), 100.0)
    recorder.stored(sample(100.0, 101.0))
    recorder.fold(102.0)
    whole, so_far = whole_of(recorder.results(102.0)), recorder.so_far(102.0)
    assert whole.stored == 81
    numbers = (
        "stored",
        "stored_per_second",
        "offered",
        "latency",
        "failed",
        "seconds",
        "bytes_per_second",
        "generator",
    )
    assert [getattr(so_far, name) for name in numbers] == [getattr(whole, name) for name in numbers]
