"""Peers are simulated by their throughput as a function of the number of associations."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.schedule.concurrency import FEW, MOST, Concurrency


def _targets(throughput, looks=100, concurrency=None):
    """The number of associations after each look."""
    concurrency = Concurrency() if concurrency is None else concurrency
    return [concurrency.observe(throughput(concurrency.target), is_source_limited=False) for _ in range(looks)]


def _mostly(targets):
    return max(set(targets), key=targets.count)


def test_it_starts_with_a_few():
    assert Concurrency().target == FEW


def test_it_climbs_as_long_as_more_associations_are_faster():
    targets = _targets(lambda associations: 100.0 * associations)
    assert targets[-1] == MOST
    assert targets == sorted(targets)
    assert targets.index(MOST) < 10


@pytest.mark.parametrize("enough", [1, 2, 4])
def test_it_stays_with_a_few_where_they_are_enough(enough):
    targets = _targets(lambda associations: 100.0 * min(associations, enough))
    assert _mostly(targets) == FEW
    assert targets.count(FEW) > 0.9 * len(targets)


@pytest.mark.parametrize("enough", [6, 8, 10, 16, 20])
def test_it_finds_how_many_a_peer_has_use_for(enough):
    targets = _targets(lambda associations: 100.0 * min(associations, enough))
    assert enough <= _mostly(targets) <= 1.5 * enough


@pytest.mark.parametrize("best", [4, 6, 9, 13])
def test_it_falls_back_where_more_are_slower(best):
    targets = _targets(lambda associations: 100.0 * min(associations, best * best / associations))
    assert _mostly(targets) <= best


def test_noise_is_no_reason_to_climb():
    noise = random.Random(1)  # noqa: S311 - noise, not a secret
    targets = _targets(lambda _: 1000.0 * noise.uniform(0.98, 1.02))
    assert max(targets) == FEW + FEW // 2
    assert _mostly(targets) == FEW


def test_a_peer_that_answers_nothing_is_asked_for_no_more():
    assert set(_targets(lambda _: 0.0)) == {FEW}


def test_a_step_after_which_nothing_is_answered_any_more_is_taken_back():
    assert _targets(lambda associations: 100.0 if associations <= FEW else 0.0, looks=3) == [FEW + FEW // 2, FEW, FEW]


def test_it_tries_again_after_a_while():
    concurrency = Concurrency()
    assert _mostly(_targets(lambda _: 100.0, 20, concurrency)) == FEW
    assert _targets(lambda associations: 100.0 * associations, 40, concurrency)[-1] == MOST


def test_a_transfer_that_waits_for_files_does_not_climb():
    concurrency = Concurrency()
    for rate in range(100, 10000, 100):
        assert concurrency.observe(rate, is_source_limited=True) == FEW


@pytest.mark.parametrize("fixed", [1, 4, 50])
def test_a_fixed_number_stays(fixed):
    assert set(_targets(lambda associations: 100.0 * associations, 50, Concurrency(fixed))) == {fixed}
    assert set(_targets(lambda associations: 100.0 / associations, 50, Concurrency(fixed))) == {fixed}


@pytest.mark.parametrize("fixed", [None, 8])
@pytest.mark.parametrize(("still_open", "target"), [(3, 3), (1, 1), (0, 1), (100, None)])
def test_a_refusal_is_obeyed(fixed, still_open, target):
    concurrency = Concurrency(fixed)
    before = concurrency.target
    concurrency.refused(still_open)
    assert concurrency.target == (before if target is None else target)


def test_what_was_refused_is_not_asked_for_again_until_the_peer_has_had_time():
    concurrency = Concurrency()
    _targets(lambda associations: 100.0 * associations, 3, concurrency)
    concurrency.refused(5)
    targets = _targets(lambda associations: 100.0 * associations, 30, concurrency)
    assert set(targets[:10]) == {5}
    assert targets[-1] > 5


@pytest.mark.parametrize("is_source_limited", [False, True])
def test_a_fixed_number_is_asked_for_again_when_the_peer_has_had_time(is_source_limited):
    """It may have been restarted, or busy with others."""
    concurrency = Concurrency(8)
    concurrency.refused(1)
    targets = [concurrency.observe(100.0, is_source_limited=is_source_limited) for _ in range(30)]
    assert set(targets[:10]) == {1}
    assert targets[-1] == 8


@given(
    st.none() | st.integers(1, MOST),
    st.lists(st.one_of(st.tuples(st.floats(0, 10**6), st.booleans()), st.integers(0, 40)), max_size=80),
)
def test_whatever_happens_there_is_at_least_one_and_never_too_many(fixed, events):
    concurrency = Concurrency(fixed)
    for event in events:
        before = concurrency.target
        if isinstance(event, int):
            concurrency.refused(event)
            assert concurrency.target <= max(1, min(event, before))
        else:
            rate, is_source_limited = event
            assert concurrency.observe(rate, is_source_limited=is_source_limited) == concurrency.target
            assert fixed is None or concurrency.target in (before, fixed)
        assert 1 <= concurrency.target <= MOST
