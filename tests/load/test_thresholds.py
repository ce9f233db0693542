from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import UsageError
from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.document import Findable
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.thresholds import Unit, evaluate, first_crossed, parse, say
from support.measured import closed, opened, result

WHOLE = result(closed(seconds=20.0), status=lambda number: 0xA700 if number % 100 == 0 else 0)
"""2000 instances in 20 s, of which 20 failed; the median is 10 ms, p99 some 20 ms."""
FINDABLE = Findable(asked=3, found=2, not_found=1, latency=Histogram.of([0.5, 3.0]))


def is_crossed(text, whole=WHOLE, findable=None):
    (found,) = evaluate([parse(text)], whole, findable)
    return found.is_crossed


@pytest.mark.parametrize(
    ("text", "metric", "limit", "unit"),
    [
        ("p99<2s", "latency p99", 2.0, Unit.TIME),
        (" p99.9 <= 250 ms ", "latency p99.9", 0.25, Unit.TIME),
        ("p50<1.5m", "latency p50", 90.0, Unit.TIME),
        ("max<1min", "latency max", 60.0, Unit.TIME),
        ("mean<500us", "latency mean", 0.0005, Unit.TIME),
        ("study p95<30s", "study p95", 30.0, Unit.TIME),
        ("findable  p99<10s", "findable p99", 10.0, Unit.TIME),
        ("lateness<5ms", "lateness p99", 0.005, Unit.TIME),
        ("service max<1h", "service max", 3600.0, Unit.TIME),
        ("latency p90<1s", "latency p90", 1.0, Unit.TIME),
        ("rate>150/s", "rate", 150.0, Unit.RATE),
        ("rate>=60/min", "rate", 1.0, Unit.RATE),
        ("bytes>200MB/s", "bytes", 2e8, Unit.BYTES),
        ("studies>50/h", "studies", 50.0, Unit.STUDIES),
        ("failed<0.1%", "failed", 0.001, Unit.SHARE),
        ("failed<=5", "failed", 5.0, Unit.COUNT),
        ("dropped<1 %", "dropped", 0.01, Unit.SHARE),
        ("unknown<1", "unknown", 1.0, Unit.COUNT),
    ],
)
def test_a_threshold_is_understood(text, metric, limit, unit):
    threshold = parse(text)
    assert (threshold.text, threshold.metric, threshold.unit) == (text.strip(), metric, unit)
    assert threshold.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not understood; write a metric, < or >, and a limit"),
        ("p99", "not understood"),
        ("p99=2s", "not understood"),
        ("p99<", "not understood"),
        ("p99<fast", "not understood"),
        ("p99<-1s", "not understood"),
        ("p99<1s<2s", "not understood"),
        ("<2s", "the metric is missing; understood are p50"),
        ("p101<2s", "'p101' is not measured; understood are p50"),
        ("speed>2/s", "'speed' is not measured; understood are p50"),
        ("study<5x", "x is no unit of study; write one of '5us', '5ms', '5s'"),
        ("study failed<5s", "'study failed' is not measured"),
        ("p99<2", "2 has no unit; write one of '2us', '2ms', '2s', '2m'"),
        ("p99<2%", "% is no unit of p99"),
        ("rate>150", "150 has no unit; write one of '150/s'"),
        ("bytes>5Mb/s", "Mb/s is no unit of bytes; write one of '5B/s', '5kB/s', '5MB/s'"),
        ("failed<1/s", "/s is no unit of failed; write one of '1', '1%'"),
        ("p99<1.2.3s", "1.2.3 is no number"),
        ("p99<" + "9" * 400 + "s", "9 is no number"),
        ("\x1b[2J<2s", r"'\\x1b\[2J' is not measured"),
    ],
)
def test_what_is_wrong_with_a_threshold_is_said(text, problem):
    with pytest.raises(UsageError, match=r"^threshold '.*': .*" + problem.replace("(", r"\(")):
        parse(text)


@given(st.text(max_size=12) | st.text("p9<>=.0/s%mkBh failed", max_size=12))
def test_of_any_text_nothing_but_our_own_errors_comes(text):
    try:
        threshold = parse(text)
    except UsageError:
        return
    evaluate([threshold], WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        "p99<1s", "p50>1ms", "max<1s", "mean<100ms", "rate>90/s", "rate<=100/s", "bytes>10MB/s", "studies>500/h",
        "failed<1.1%", "failed<21", "failed<=1%", "unknown<1", "dropped<1%", "warnings<1", "service p50<1s",
    ],
)  # fmt: skip
def test_a_threshold_that_holds_is_not_crossed(text):
    assert not is_crossed(text)


@pytest.mark.parametrize(
    "text",
    ["p99<1ms", "p50>1s", "max<10ms", "rate>150/s", "bytes>10GB/s", "failed<0.9%", "failed<20", "failed<1%"],
)
def test_a_threshold_that_does_not_hold_is_crossed(text):
    assert is_crossed(text)


@pytest.mark.parametrize("text", ["study p95<30s", "lateness<5ms", "findable p99<1h"])
def test_a_threshold_on_something_that_was_not_measured_is_crossed(text):
    (found,) = evaluate([parse(text)], WHOLE)
    assert found.is_crossed
    assert found.value is None
    assert say(found) == f"{text}: not measured, crossed"


@pytest.mark.parametrize("text", ["rate>1/s", "bytes>1MB/s", "studies>1/h"])
def test_no_rate_holds_if_the_peer_was_lost(text):
    assert not is_crossed(text)
    assert is_crossed(text, replace(WHOLE, lost_after=5.0))
    assert first_crossed([parse(text)], replace(WHOLE, lost_after=5.0)).value is None


@pytest.mark.parametrize("text", ["p99<1s", "rate<1/s", "failed<1%", "dropped<1%"])
def test_when_nothing_was_sent_everything_but_counts_is_crossed(text):
    assert is_crossed(text, whole_of([]))


def test_times_to_findable_have_thresholds():
    assert is_crossed("findable p99<2s", findable=FINDABLE)
    assert not is_crossed("findable p50<2s", findable=FINDABLE)


def test_dropped_is_a_share_of_what_was_offered():
    whole = whole_of([result(opened(seconds=2.0))])
    assert whole.offered == 200
    (found,) = evaluate([parse("dropped<1%")], whole)
    assert found.value == 0.0


def test_a_result_is_said_with_its_unit():
    results = evaluate([parse("failed<0.1%"), parse("rate>1/s"), parse("p99<2s"), parse("failed<50")], WHOLE)
    assert say(results[0]) == "failed<0.1%: 1 %, crossed"
    assert say(results[1]).startswith("rate>1/s: 9")
    assert say(results[2]).endswith(" ms, holds")
    assert say(results[3]) == "failed<50: 20, holds"


def test_a_running_measurement_is_stopped_only_after_enough_time_and_samples():
    crossed = [parse("p99<1s"), parse("p99<1ms")]
    assert first_crossed(crossed, WHOLE).text == "p99<1ms"
    assert first_crossed(crossed, WHOLE, after_seconds=21.0) is None
    assert first_crossed(crossed, WHOLE, after_samples=2001) is None
    assert first_crossed(crossed[:1], WHOLE) is None


def test_a_running_measurement_is_not_stopped_for_something_that_was_not_measured_yet():
    assert first_crossed([parse("findable p99<1s")], WHOLE) is None


def test_a_peer_that_stores_nothing_crosses_a_rate_though_there_are_few_samples():
    whole = result(closed(seconds=20.0), rate=1.0, status=lambda _: None)
    assert first_crossed([parse("rate>1/s")], whole).value == 0.0
