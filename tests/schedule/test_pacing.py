"""Limits: never more in any second than they allow, whatever takes, and whatever changes meanwhile."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.schedule.lanes import BYTES_AN_INSTANCE
from asyncstore.schedule.pacing import Bucket, Guarded, Limits, Pacing
from asyncstore.schedule.timetable import Entry, TimeTable, parse_table, stores_rate
from support import values
from support.examples import examples

_RATES = st.floats(0.5, 5000)


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def _always(rate):
    return TimeTable((Entry(frozenset(range(7)), 0, 0, rate),))


def _pacing(clock=None, **limits):
    pacing = Pacing(Limits(**limits), clock or _Clock())
    pacing.look(0)
    return pacing


def _some(count, size=1000):
    return [values.instance(f"/{number}", "1.1", f"1.9.{number}", "1.2", 0, size) for number in range(count)]


def _most_in_a_second(taken):
    """The most units of (time, units) in any second."""
    return max(sum(units for at, units in taken if begin <= at < begin + 1) for begin, _ in taken)


@settings(max_examples=examples(100), deadline=None)
@given(_RATES, st.lists(st.tuples(st.floats(0, 0.4), st.integers(1, 64), st.integers(1, 16)), min_size=1, max_size=200))
def test_in_every_second_at_most_the_limit_and_a_tenth_of_it_or_one_store_begin(rate, looks):
    clock = _Clock()
    pacing = _pacing(clock, stores=_always(rate))
    taken = []
    for pause, wanted, lanes in looks:
        clock.now += pause
        count = pacing.portion(wanted, lanes)
        assert 0 <= count <= wanted
        if count:
            pacing.took(_some(count))
            taken.append((clock.now, count))
    if taken:
        assert _most_in_a_second(taken) <= rate + max(rate / 10, 1) + 1e-6


@settings(max_examples=examples(50), deadline=None)
@given(_RATES, st.integers(1, 64), st.integers(1, 16))
def test_whoever_asks_when_it_is_told_to_gets_the_whole_limit(rate, wanted, lanes):
    clock = _Clock()
    pacing = _pacing(clock, stores=_always(rate))
    begin, stores = clock.now, 0
    for _ in range(300):
        clock.now += pacing.seconds_until_turn(0) + 1e-9
        count = pacing.portion(wanted, lanes)
        assert count, "it is told a time at which there is nothing"
        pacing.took(_some(count))
        stores += count
    assert stores >= (clock.now - begin) * rate * 0.99


@settings(max_examples=examples(20), deadline=None)
@given(st.lists(st.tuples(_RATES, st.floats(0.01, 2)), min_size=1, max_size=8))
def test_a_limit_that_changes_holds_at_once(changes):
    clock = _Clock()
    pacing = _pacing(clock, stores=_always(5000))
    for rate, seconds in changes:
        pacing.stores = _always(rate)
        pacing.look(0)
        until, taken = clock.now + seconds, 0
        while clock.now < until:
            count = pacing.portion(1000, 1)
            pacing.took(_some(count))
            taken += count
            clock.now += 0.01
        assert taken <= (seconds + 0.01) * rate + max(rate / 10, 1) + 1e-6


def test_a_debt_is_paid_in_the_time_that_it_would_have_taken():
    clock = _Clock()
    bucket = Bucket(clock)
    bucket.set_rate(1e6)
    bucket.take(2e6)
    assert bucket.seconds_until(1) == pytest.approx(2, abs=1e-3)
    bucket.set_rate(1e3)
    assert bucket.seconds_until(1) == pytest.approx(2, abs=1e-2)
    clock.now += 3
    assert bucket.units() > 0


def test_without_a_limit_there_is_nothing_to_wait_for():
    pacing = _pacing()
    assert not pacing.is_limiting
    assert pacing.limit() is None
    assert (pacing.portion(64, 4), pacing.seconds_until_turn(3), pacing.most_associations) == (64, 0, math.inf)
    assert pacing.bytes.rate is None


def test_lanes_that_wait_get_their_turns_one_after_the_other():
    clock = _Clock()
    pacing = _pacing(clock, stores=_always(2))
    pacing.took(_some(1))
    assert [pacing.seconds_until_turn(ahead) for ahead in range(3)] == pytest.approx([0.5, 1, 1.5])


def test_lanes_together_take_no_more_than_a_fiftieth_of_a_second_at_a_time():
    clock = _Clock()
    pacing = _pacing(clock, stores=_always(1000))
    clock.now += 10
    assert [pacing.portion(64, lanes) for lanes in (1, 4, 100)] == [20, 5, 1]


@pytest.mark.parametrize("option", ["rate", "stores"])
def test_in_a_pause_nothing_begins_and_bytes_under_way_keep_their_rate(option):
    pacing = _pacing(rate=_always(1e6))
    changes = []
    pacing.on_change.append(lambda: changes.append(pacing.is_paused))
    pacing.rate = _always(0.0 if option == "rate" else 1e6)
    pacing.stores = _always(0.0) if option == "stores" else None
    pacing.look(0)
    assert changes == [True]
    assert (pacing.portion(1, 1), pacing.seconds_until_turn(0)) == (0, math.inf)
    assert pacing.bytes.rate == 1e6
    assert pacing.limit().is_paused
    pacing.rate = None
    pacing.stores = None
    pacing.look(0)
    assert pacing.limit() is None
    assert pacing.portion(1, 1) == 1


def test_a_time_table_says_when_it_changes_next():
    pacing = Pacing(Limits(stores=parse_table("06:00,10 18:00,off", stores_rate, "")), _Clock())
    at = parse_table("12:00,1 13:00,2", stores_rate, "").next_change(0)
    later = pacing.look(at)
    assert later > at
    assert pacing.limit() is None or pacing.limit().until == later


def test_the_guard_limits_responses_and_bytes_in_one():
    clock = _Clock()
    pacing = _pacing(clock, rate=_always(1e9))
    pacing.slow_down(Guarded(100, 0.5, 0.3))
    assert pacing.bytes.rate == 100 * BYTES_AN_INSTANCE
    assert pacing.limit().share == 0.5
    clock.now += 1
    assert pacing.portion(64, 4) == 64
    pacing.took(_some(1, size=99 * BYTES_AN_INSTANCE))
    assert pacing.portion(64, 4) == 0
    assert pacing.seconds_until_turn(0) == pytest.approx(0.9, abs=0.01)
    clock.now += 1
    assert pacing.portion(64, 4) == 64
    pacing.slow_down(None)
    assert pacing.bytes.rate == 1e9
    assert not pacing.is_limiting


@pytest.mark.parametrize(("rate", "most"), [(1000, 1), (16384, 1), (100_000, 6), (1e9, 61035)])
def test_with_a_low_rate_there_are_few_associations(rate, most):
    assert _pacing(rate=_always(rate)).most_associations == most
