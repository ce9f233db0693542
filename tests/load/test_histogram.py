import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.load.results.histogram import LONGEST, PERCENTILES, Histogram, bucket_of, buckets, total_of
from support.examples import examples

MICROSECONDS = st.integers(1, LONGEST) | st.integers(1, 5000) | st.sampled_from([2047, 2048, 4095, 4096, LONGEST])
TIMES = st.lists(MICROSECONDS, min_size=1, max_size=80)


def oracle(times):
    histogram = HdrHistogram(1, LONGEST, 3)
    for time in times:
        assert histogram.record_value(time)
    return histogram


def of(times):
    return Histogram.of(time / 1e6 for time in times)


@settings(max_examples=examples(40))
@given(TIMES, st.lists(st.floats(0, 100), max_size=4))
def test_percentiles_are_those_of_hdrhistogram(times, more):
    ours, theirs = of(times), oracle(times)
    for percent in [0.0, *PERCENTILES.values(), 100.0, *more]:
        assert round(ours.percentile(percent) * 1e6) == theirs.get_value_at_percentile(percent)


@pytest.mark.slow
@settings(max_examples=examples(25))
@given(TIMES)
def test_minimum_mean_and_maximum_are_those_of_hdrhistogram(times):
    ours, theirs = of(times), oracle(times)
    assert round(ours.min * 1e6) == theirs.get_min_value()
    assert round(ours.max * 1e6) == theirs.get_max_value()
    assert math.isclose(ours.mean * 1e6, theirs.get_mean_value(), rel_tol=1e-12)
    assert ours.count == theirs.get_total_count()


@given(TIMES, TIMES)
def test_a_sum_is_the_histogram_of_all_times(left, right):
    assert total_of([of(left), of(right)]) == of(left + right)


@given(TIMES)
def test_json_holds_everything(times):
    histogram = of(times)
    written = histogram.to_json()
    assert Histogram.from_json(written) == histogram
    assert (written["count"], written["p99_9"]) == (len(times), histogram.percentile(99.9))


@given(MICROSECONDS)
def test_a_bucket_is_less_than_a_thousandth_wide(time):
    assert 0 <= time - bucket_of(time / 1e6) <= time / 1000


def test_times_out_of_range_count_as_the_nearest_one():
    histogram = Histogram.of([-1.0, 0.0, 3600.0, 4000.0, 1e9])
    assert histogram.count == 5
    assert histogram.counts[0] == 2
    assert histogram.counts[bucket_of(3600.0)] == 3


def test_buckets_are_those_of_the_differences():
    assert buckets([1.0, 2.0], [1.5, 2.000_002]) == [bucket_of(0.5), 2]


def test_an_empty_histogram_is_zero_everywhere():
    histogram = Histogram()
    assert histogram.percentiles([50, 99]) == [0.0, 0.0]
    assert (histogram.count, histogram.min, histogram.mean, histogram.max) == (0, 0.0, 0.0, 0.0)
    assert Histogram.from_json(histogram.to_json()) == histogram


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"count": 1, "counts": []},
        {"count": 2, "counts": {"5": 1}},
        {"count": True, "counts": {}},
        {"count": 1, "counts": {"5": 1.0}},
        {"count": 1, "counts": {"5": True}},
        {"count": 0, "counts": {"5": 0}},
        {"count": -1, "counts": {"5": -1}},
        {"count": 1 << 60, "counts": {"5": 1 << 60}},
        {"count": 1, "counts": {"-5": 1}},
        {"count": 1, "counts": {"2049": 1}},
        {"count": 1, "counts": {"3600000001": 1}},
        {"count": 2, "counts": {"5": 1, "05": 1}},
        {"count": 1, "counts": {"\u0665": 1}},
        {"count": 1, "counts": {"": 1}},
    ],
)
def test_other_values_are_no_histogram(value):
    with pytest.raises(ValueError, match=r"histogram|bucket|count"):
        Histogram.from_json(value)
