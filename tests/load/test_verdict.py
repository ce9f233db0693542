from dataclasses import replace

import pytest

from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.document import Calibration, Drift, Findable, Generator, Tenth
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.thresholds import evaluate, parse
from asyncstore.load.results.verdict import client_limits, exit_code, judge
from support.measured import closed, opened, result

CLOSED = result(closed(seconds=5.0))
OPEN = result(opened(seconds=5.0))
FAST = Calibration(instances_per_second=5000.0, bytes_per_second=2e9, cpu_seconds_per_instance=0.0002)
SLOW = replace(FAST, instances_per_second=105.0)
BUSY = Generator(cpu_seconds=5.0, cpu_share=0.95)


def late(seconds, count=100):
    return Generator(cpu_seconds=0.5, cpu_share=0.1, lateness=Histogram.of([seconds] * count))


def judged(*phases, thresholds=(), **values):
    whole = whole_of(phases)
    results = evaluate(map(parse, thresholds), whole, values.get("findable"))
    return judge(phases, whole, thresholds=results, **{"calibration": FAST, **values})


def lines(*phases, **values):
    return "\n".join(judged(*phases, **values)[0].lines)


@pytest.mark.parametrize(
    ("phase", "calibration", "reason"),
    [
        (replace(CLOSED, generator=BUSY), FAST, "it used 95 % of a core"),
        (replace(OPEN, generator=BUSY), None, "it used 95 % of a core"),
        (CLOSED, SLOW, "against a sink of its own"),
        (replace(OPEN, generator=late(0.006)), FAST, "instances began up to 6.0 ms late (p99)"),
    ],
)
def test_this_side_was_the_limit(phase, calibration, reason):
    assert reason in client_limits(phase, calibration)[0]
    verdict, _ = judged(phase, calibration=calibration)
    assert verdict.client_bound
    assert verdict.lines[0] == "Client-bound: this side was the limit, so nothing here is the limit of the PACS."
    assert reason in verdict.lines[1]


@pytest.mark.parametrize(
    ("phase", "calibration"),
    [
        (CLOSED, FAST),
        (CLOSED, None),
        (replace(CLOSED, generator=replace(BUSY, cpu_share=0.9)), FAST),
        (CLOSED, replace(FAST, instances_per_second=120.0)),
        (replace(OPEN, generator=late(0.004)), FAST),
        (replace(OPEN, generator=late(0.5, count=5)), FAST),
        (replace(OPEN, generator=late(0.02), latency=Histogram.of([0.3] * 100)), FAST),
        (replace(OPEN, generator=late(0.02), latency=Histogram(), stored=0, failed=100), FAST),
    ],
)
def test_this_side_was_not_the_limit(phase, calibration):
    assert client_limits(phase, calibration) == ()
    assert not judged(phase, calibration=calibration)[0].client_bound


def test_a_client_bound_measurement_never_speaks_of_a_limit_or_a_failing_of_the_pacs():
    phase = replace(OPEN, generator=BUSY, dropped=200)
    text = lines(phase, thresholds=["rate>1000/s"])
    assert "The PACS did not keep up" not in text
    assert "The load was not kept up" in text
    assert "This side may have crossed it, not the PACS." in text


def test_only_some_phases_may_be_client_bound_and_they_are_named():
    many = replace(CLOSED, name="32 associations", associations=32, generator=BUSY)
    verdict, _ = judged(CLOSED, many)
    assert verdict.lines[0].startswith("Client-bound: this side was the limit (32 associations), so nothing")
    verdict, _ = judged(CLOSED, many, replace(CLOSED, repeat=2), replace(many, repeat=2))
    assert verdict.lines[0].startswith("Client-bound: this side was the limit (32 associations), so nothing")


def test_of_the_runs_of_one_load_those_that_were_client_bound_are_named():
    second, third = replace(CLOSED, repeat=2, generator=BUSY), replace(CLOSED, repeat=3)
    verdict, _ = judged(CLOSED, second, third)
    assert "(4 associations, run 2), so" in verdict.lines[0]


def test_a_warm_up_does_not_count():
    assert not judged(replace(CLOSED, is_counted=False, generator=BUSY), CLOSED)[0].client_bound


def test_a_closed_load_says_what_was_reached():
    verdict, code = judged(CLOSED)
    assert verdict.lines == ("With 4 associations: 100/s stored, 43.2 MB/s, p50 10 ms, p99 20 ms.",)
    assert (verdict.passed, code) == (True, 0)


def test_an_open_load_that_was_taken_is_said():
    assert lines(OPEN).startswith("Of 100/s that were offered, all were taken: 100/s stored")


def test_an_open_load_with_losses_was_not_all_taken():
    assert lines(replace(OPEN, unknown=1)).startswith("Of 100/s that were offered, 100/s stored")


def test_losses_that_no_threshold_allows_are_not_passed():
    verdict, code = judged(replace(CLOSED, unknown=1), thresholds=["p99<1s", "failed<1%"])
    assert verdict.lines[0].startswith("Not passed: all thresholds hold, but some instances were not stored")
    assert (verdict.passed, code) == (False, 2)


def test_a_pacs_that_does_not_keep_up_is_said():
    text = lines(replace(OPEN, dropped=50))
    assert text.startswith("The PACS did not keep up: of 100/s that were offered, 100/s stored")
    assert "50 instances (10.0 %) could not begin in time" in text


def test_a_pacs_that_was_lost_is_said_before_the_numbers_and_does_not_pass():
    lost = replace(CLOSED, name="8 associations", associations=8, lost_after=2.5, stored_per_second=900.0)
    never = [replace(CLOSED, name=f"{n} associations", associations=n, lost_after=0.0) for n in (16, 32)]
    verdict, code = judged(CLOSED, lost, *never)
    assert verdict.lines[0] == (
        "The PACS was lost after 2.5 s (8 associations), and no association could be opened. "
        "Rates are those until then."
    )
    assert verdict.lines[1:3] == (
        "The PACS was not there: no association could be opened (16 associations and 32 associations).",
        "The best step was 4 associations: 100/s stored, 43.2 MB/s, p50 10 ms, p99 20 ms.",
    )
    assert (code, verdict.passed) == (2, False)
    verdict, code = judged(CLOSED, lost, thresholds=["p99<2s", "unknown<50%"])
    assert verdict.lines[1] == "Not passed: all thresholds hold, but the PACS was lost."
    assert code == 2
    assert judged(lost, thresholds=["rate>1/s"])[1] == 99
    nothing = replace(CLOSED, associations=2, stored=0, stored_per_second=0.0)
    assert "The best step was 8 associations: 900/s stored" in lines(lost, nothing)


def test_a_pacs_that_was_lost_may_have_kept_up_until_then():
    text = lines(replace(OPEN, lost_after=2.5, dropped=200))
    assert "Of 100/s that were offered, 100/s stored" in text
    assert "200 instances (40.0 %) could not begin in time" in text


def test_steps_say_what_is_enough_and_then_the_best_step():
    steps = [
        replace(CLOSED, associations=number, stored_per_second=rate)
        for number, rate in ((1, 90.0), (2, 170.0), (4, 175.0))
    ]
    enough, best = judged(*steps, knee=knee_of(steps))[0].lines
    assert enough == "2 associations are enough: 170/s with a p99 of 20 ms, where the best of all is 175/s."
    assert best.startswith("The best step was 4 associations: 175/s stored")


def test_without_a_recommendation_that_is_said():
    steps = [replace(CLOSED, associations=number, stored_per_second=90.0 * number) for number in (1, 2)]
    assert "No number of associations is recommended." in lines(*steps, knee=knee_of(steps, p99_limit=1e-5))


def test_thresholds_come_before_the_numbers():
    assert judged(CLOSED, thresholds=["p99<1s", "rate>1/s"])[0].lines[0] == "Passed: all thresholds hold."
    assert judged(CLOSED, thresholds=["p99<1s"])[0].lines[0] == "Passed: the threshold holds."
    first = judged(CLOSED, thresholds=["p99<1ms", "rate>1/s"])[0].lines[0]
    assert first == "Not passed: p99<1ms: 20 ms, crossed."


def test_losses_are_always_said():
    phase = replace(CLOSED, failed=3, unknown=2, errors={"reset": 2, "refused": 5})
    text = lines(phase, thresholds=["p99<1s"])
    assert "Of 505 instances, 3 failed, and 2 were not answered." in text
    assert "An association was lost or could not be opened 7 times." in text


def tenth(rate, p50, p99):
    return Tenth(seconds=6.0, stored_per_second=rate, p50=p50, p99=p99)


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (tenth(80.0, 0.010, 0.020), "the rate went from 100/s to 80/s."),
        (tenth(100.0, 0.013, 0.020), "p50 went from 10 ms to 13 ms."),
        (tenth(80.0, 0.010, 0.040), "the rate went from 100/s to 80/s and p99 went from 20 ms to 40 ms."),
        (tenth(100.0, 0.005, 0.020), "p50 went from 10 ms to 5.0 ms."),
    ],
)
def test_a_notable_drift_is_said(last, text):
    phase = replace(CLOSED, drift=Drift(first=tenth(100.0, 0.010, 0.020), last=last))
    assert f"It changed over time (4 associations): from the first to the last tenth, {text}" in lines(phase)


def test_the_rate_of_an_open_load_that_was_kept_up_is_no_drift():
    phase = replace(OPEN, drift=Drift(first=tenth(100.0, 0.010, 0.020), last=tenth(80.0, 0.020, 0.020)))
    assert "from the first to the last tenth, p50 went from 10 ms to 20 ms." in lines(phase)
    assert "the rate went from 100/s to 80/s" in lines(replace(phase, dropped=100))


def test_a_small_drift_is_not_said():
    drift = Drift(first=tenth(100.0, 0.0010, 0.020), last=tenth(95.0, 0.0018, 0.022))
    assert "changed over time" not in lines(replace(CLOSED, drift=drift))


def paused(stored):
    """A phase with a point for each of these numbers of stored instances."""
    points = [replace(CLOSED.series[0], second=number, stored=each) for number, each in enumerate(stored)]
    return replace(CLOSED, series=tuple(points), seconds=float(len(points)), stored=sum(stored))


def test_the_longest_pause_is_said():
    assert "was at least 2.0 s (4 associations, after 5.0 s)" in lines(paused([20] * 5 + [0, 0] + [20] * 3))
    text = lines(paused([20] * 10), paused([20] * 30 + [0, 0, 0] + [20] * 9 + [0, 0] + [20]))
    assert "The longest pause, in which nothing was stored, was at least 3.0 s (4 associations, after 30 s)." in text


def test_stores_that_began_before_the_phase_are_no_pause_when_they_are_answered():
    points = paused([0, 0, 0] + [20] * 9).series
    carried = [replace(point, carried=20) if point.second < 3 else point for point in points]
    assert "longest pause" not in lines(replace(paused([20] * 12), series=tuple(carried)))


@pytest.mark.parametrize("stored", [[20] * 40, [20, 0] * 20, [1] * 20 + [0, 0, 0] + [1] * 20, [20] * 2 + [0, 0], []])
def test_seconds_without_a_stored_instance_are_no_pause_where_they_may_be_chance(stored):
    assert "longest pause" not in lines(paused(stored))


def test_a_time_in_which_nothing_was_to_be_stored_is_no_pause():
    """Exams arrive now and then; one that waits is a pause."""
    offered = [40] + [0] * 19 + [40, 0, 0]
    points = [
        replace(OPEN.series[0], second=number, offered=each, stored=each, failed=0, unknown=0, dropped=0)
        for number, each in enumerate(offered)
    ]
    phase = replace(OPEN, series=tuple(points), seconds=23.0, stored=500)
    assert "longest pause" not in lines(phase)
    points[20:] = [replace(points[20], second=20, stored=10), *(replace(points[21], second=n) for n in (21, 22))]
    assert "was at least 2.0 s (100/s, after 21 s)" in lines(replace(phase, series=tuple(points)))


def test_times_to_findable_are_said():
    findable = Findable(asked=5, found=4, not_found=1, latency=Histogram.of([0.1, 0.2, 0.3, 2.0]))
    assert "C-FIND found stored instances after 200 ms (p50), 2.00 s (p99); 1 were not found." in lines(
        CLOSED, findable=findable
    )
    none = Findable(asked=5, found=0, not_found=5, latency=Histogram())
    assert "C-FIND found none of 5 instances." in lines(CLOSED, findable=none)


def test_nothing_and_nothing_stored_are_said():
    assert judge([], whole_of([]))[0].lines == ("Nothing was measured: no instance was sent.",)
    refused = result(closed(seconds=1.0), status=lambda _: 0xA700)
    verdict, code = judged(refused)
    assert verdict.lines[0] == "The PACS stored nothing."
    assert (verdict.passed, code) == (False, 2)


@pytest.mark.parametrize(
    ("changes", "thresholds", "is_interrupted", "code"),
    [
        ({}, [], False, 0),
        ({}, ["p99<1s"], False, 0),
        ({}, ["p99<1ms"], False, 99),
        ({"failed": 1}, [], False, 2),
        ({"unknown": 1}, [], False, 2),
        ({"failed": 1}, ["failed<1%"], False, 0),
        ({"failed": 1}, ["failed<1"], False, 99),
        ({"failed": 1, "unknown": 1}, ["failed<1%"], False, 2),
        ({"failed": 1}, ["p99<1ms"], False, 99),
        ({"dropped": 5}, [], False, 0),
        ({"stored": 0}, [], False, 1),
        ({"stored": 0}, ["rate>1/s"], False, 1),
        ({"failed": 1}, ["p99<1ms"], True, 130),
    ],
)
def test_the_exit_code(changes, thresholds, is_interrupted, code):
    whole = replace(whole_of([CLOSED]), **changes)
    assert exit_code(whole, evaluate(map(parse, thresholds), whole), is_interrupted=is_interrupted) == code


@pytest.mark.parametrize(
    ("warm_up", "text"),
    [
        ({"unknown": 2, "stored": 0}, "Nothing was measured: 2 instances of the warm-up got no response."),
        ({"stored": 7}, "Nothing was measured: no instance was sent after the warm-up."),
        ({"stored": 0}, "Nothing was measured: no instance was sent."),
    ],
)
def test_a_load_without_a_store_says_what_became_of_the_warm_up(warm_up, text):
    nothing = replace(CLOSED, stored=0, failed=0, unknown=0)
    before = replace(nothing, name="warm-up", is_counted=False, **warm_up)
    assert judged(before, nothing)[0].lines[0] == text


def test_a_p99_of_few_latencies_is_no_promise():
    few = result(closed(seconds=0.99))  # 99 instances
    assert "Fewer than 100 instances were stored: p99 is the longest latency." in lines(few)
    assert "Fewer than 100 instances were stored (4 associations): " in lines(few, replace(CLOSED, name="others"))
    assert "Fewer" not in lines(result(closed(seconds=1.0)))


@pytest.mark.parametrize(
    ("lag", "text"),
    [
        ([0.002] * 100, "by 2.0 ms on average and 2.0 ms at p99: latencies are too long by as much."),
        ([0.0] * 90 + [0.008] * 10, "by 0.80 ms on average and 8.0 ms at p99: latencies are too long by as much."),
        ([0.0009] * 100, None),
        ([0.002] * 10, None),
    ],
)
def test_the_lateness_of_this_side_is_told_beside_its_latencies(lag, text):
    """Stores take about 10 ms."""
    found = lines(replace(CLOSED, generator=replace(CLOSED.generator, lag=Histogram.of(lag))))
    assert (text in found) if text else ("late" not in found)


def test_latencies_that_are_much_longer_than_this_side_was_late_are_not_doubted():
    slow = result(closed(seconds=5.0), service=1.0)
    assert "late" not in lines(replace(slow, generator=replace(slow.generator, lag=Histogram.of([0.02] * 100))))


@pytest.mark.parametrize(
    ("p50s", "is_said"),
    [
        ([0.010 + number * 0.001 for number in range(10)], True),
        ([0.010] * 7 + [0.020] * 3, True),
        ([0.010, 0.012, 0.011, 0.014, 0.013, 0.016, 0.015, 0.018, 0.017, 0.020], True),
        ([0.010, 0.014, 0.011, 0.016, 0.009, 0.013, 0.010, 0.015, 0.011, 0.014], False),
        ([0.030, 0.012, 0.025, 0.011, 0.028, 0.016, 0.031, 0.014, 0.026, 0.017], False),
    ],
)
def test_a_change_that_neighbouring_tenths_have_as_well_is_no_drift(p50s, is_said):
    tenths = tuple(tenth(100.0, p50, 0.050) for p50 in p50s)
    phase = replace(CLOSED, drift=Drift(first=tenths[0], last=tenths[-1], tenths=tenths))
    assert ("changed over time" in lines(phase)) == is_said
