from hypothesis import given
from hypothesis import strategies as st

from asyncstore.schedule.batch_size import BATCH_SECONDS, MOST_INSTANCES, BatchSize


def _at_steady_rate(rate, interval, looks=200):
    """What is taken in the end from a peer that answers ``rate`` stores a second."""
    batch_size = BatchSize()
    for look in range(looks):
        instances = batch_size.update(100.0 + look * interval, int(look * interval * rate))
    return instances


def test_a_lane_begins_with_little():
    assert BatchSize().update(100.0, 0) == 2


def test_from_a_slow_peer_only_the_next_one_is_taken():
    assert _at_steady_rate(rate=5, interval=0.2) == 1


def test_from_a_fast_peer_many_are_taken():
    assert _at_steady_rate(rate=20000, interval=0.01) == MOST_INSTANCES


@given(st.floats(1, 10**5), st.floats(0.005, 1))
def test_what_is_taken_is_no_more_than_a_moments_work(rate, interval):
    taken = _at_steady_rate(rate, interval)
    assert 1 <= taken <= MOST_INSTANCES
    answered_a_look_more = rate + 1 / interval
    assert taken <= answered_a_look_more * BATCH_SECONDS + 1


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 10**5)), max_size=50))
def test_whatever_is_answered_it_stays_within_its_bounds_and_at_most_doubles(looks):
    batch_size = BatchSize()
    now, answered, before = 100.0, 0, batch_size.instances
    for seconds, more in looks:
        now, answered = now + seconds, answered + more
        taken = batch_size.update(now, answered)
        assert 1 <= taken <= min(MOST_INSTANCES, 2 * before)
        before = taken


def test_looks_that_follow_each_other_too_closely_to_measure_change_nothing():
    batch_size = BatchSize()
    batch_size.update(100.0, 0)
    assert batch_size.update(100.0 + BATCH_SECONDS / 10, 1000) == 2
    assert batch_size.update(100.0 + BATCH_SECONDS, 1000) == 4


def test_a_peer_that_grows_slow_is_given_less_at_once():
    batch_size = BatchSize()
    for look in range(20):
        batch_size.update(100.0 + look * 0.01, look * 500)
    assert batch_size.instances == MOST_INSTANCES
    assert batch_size.update(101.2, 19 * 500 + 2) == 1
