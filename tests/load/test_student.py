from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.load.results.student import difference, quantile
from support.examples import examples

TABLE = {
    1: (6.314, 12.706, 63.657),
    2: (2.920, 4.303, 9.925),
    3: (2.353, 3.182, 5.841),
    4: (2.132, 2.776, 4.604),
    5: (2.015, 2.571, 4.032),
    8: (1.860, 2.306, 3.355),
    10: (1.812, 2.228, 3.169),
    20: (1.725, 2.086, 2.845),
    30: (1.697, 2.042, 2.750),
    60: (1.671, 2.000, 2.660),
    120: (1.658, 1.980, 2.617),
    10**7: (1.645, 1.960, 2.576),
}
"""Quantiles for 0.95, 0.975 and 0.995 as tables have them, by degrees of freedom."""


@pytest.mark.parametrize("degrees", TABLE)
def test_quantiles_are_those_of_the_tables(degrees):
    for probability, expected in zip((0.95, 0.975, 0.995), TABLE[degrees], strict=True):
        assert quantile(probability, degrees) == pytest.approx(expected, abs=6e-4)


@pytest.mark.slow
def test_quantiles_fall_with_the_degrees_of_freedom():
    values = [quantile(0.975, degrees / 4) for degrees in range(4, 80)]
    assert all(before > after for before, after in pairwise(values))


def test_the_median_is_zero():
    assert quantile(0.5, 3) == pytest.approx(0, abs=1e-9)


def test_a_known_interval_is_found():
    """Two samples computed by hand: means 20 and 25, variances 4 and 16, three values each."""
    interval = difference((18, 20, 22), (21, 25, 29))
    error = (4 / 3 + 16 / 3) ** 0.5
    degrees = (20 / 3) ** 2 / ((4 / 3) ** 2 / 2 + (16 / 3) ** 2 / 2)
    assert degrees == pytest.approx(2.941, abs=1e-3)
    half = quantile(0.975, degrees) * error
    assert half == pytest.approx(3.22 * error, rel=0.01)
    assert interval == pytest.approx((5 - half, 5 + half))
    assert interval.holds_zero


def test_a_single_value_has_no_interval():
    assert difference((1.0,), (1.0, 2.0)) is None
    assert difference((1.0, 2.0), (1.0,)) is None


def test_values_without_variance_differ_exactly():
    assert difference((1.0, 1.0), (3.0, 3.0)) == (2.0, 2.0)
    assert difference((0.0, 0.0), (0.0, 0.0)).holds_zero


NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=6)


@settings(max_examples=examples(30))
@given(NUMBERS, NUMBERS)
def test_the_other_way_round_the_interval_is_mirrored(first, second):
    one, other = difference(first, second), difference(second, first)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-6)
    assert one.low <= one.high


@settings(max_examples=examples(30))
@given(NUMBERS)
def test_a_sample_does_not_differ_from_itself(values):
    assert difference(values, values).holds_zero
