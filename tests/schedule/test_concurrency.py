"""Peers are simulated, and so is the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.schedule.concurrency import FEW, MOST, Concurrency, Progress
from support.simulated_peer import Peer, Run, constant, falling

FAR = 0.1
"""A long round trip, in seconds."""


def _peer(round_trip, knee, **details):
    """A peer that becomes no faster with more than ``knee`` associations."""
    return Peer(round_trip, constant((knee - 1) / round_trip), **details)


def _target(concurrency, *, seconds=0.0, rate=0.0, busy=0.0, **details):
    """How many associations ``concurrency`` wants after ``seconds`` in which all that it wants were open.

    ``busy`` is the share of the time in which this process computes.
    """
    now, answered = getattr(concurrency, "now", 0.0), getattr(concurrency, "answered_so_far", 0.0)
    until = now + seconds
    while now < until:
        now += concurrency.interval
        answered += rate * concurrency.interval
        concurrency.look(Progress(now, answered, int(answered), concurrency.target, 0, computed=busy * now, **details))
    concurrency.now, concurrency.answered_so_far = now, answered
    return concurrency.target


# How many a peer has use for.


def test_it_starts_with_a_few():
    assert Concurrency().target == FEW


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("knee", [4, 16, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("round_trip", [0.005, 0.05, FAR])
def test_it_finds_how_many_a_peer_has_use_for_within_ten_seconds(round_trip, knee, noise):
    peer = _peer(round_trip, knee, noise=noise)
    history = Run(peer).until(25)
    assert history.rate(10, 25) >= 0.9 * peer.best_rate()
    assert history.longest_above(2 * knee) <= 5


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("knee", [8, 16, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("round_trip", [0.01, FAR])
def test_it_finds_the_best_number_where_more_are_slower(round_trip, knee, noise):
    peer = Peer(round_trip, falling(knee / round_trip, knee), noise=noise)
    history = Run(peer).until(25)
    assert history.rate(10, 25) >= 0.9 * peer.best_rate()
    assert history.longest_above(2 * knee) <= 5


def test_a_peer_that_serves_two_well_and_four_badly_gets_two():
    peer = Peer(0.01, lambda associations, _: 200 if associations <= 2 else 100)
    assert Run(peer).until(25).rate(10, 25) >= 0.9 * peer.rate(2)


def test_it_never_has_more_than_the_most():
    history = Run(Peer(FAR, constant(10_000))).until(20)
    assert history.most() == MOST
    assert history.rate(10, 20) >= 0.9 * MOST / FAR


def test_a_far_peer_gets_the_most_in_some_twenty_round_trips():
    history = Run(Peer(0.05, constant(10_000))).until(3)
    assert next(at for at, number in history.open if number == MOST) <= 20 * 0.05


@pytest.mark.parametrize("associations", [16, 64])
def test_a_thousand_instances_to_a_far_peer_take_at_most_half_as_long_again_as_with_the_best_number(associations):
    best = Run(Peer(0.05, constant(10_000)), Concurrency(associations), 1000).until(60).seconds
    assert Run(Peer(0.05, constant(10_000)), None, 1000).until(60).seconds <= 1.5 * best


@pytest.mark.slow
def test_a_near_peer_gets_the_most_in_a_second():
    history = Run(Peer(0.001, constant(1_000_000))).until(1)
    assert history.most() == MOST


def test_where_this_process_is_busy_it_looks_rarely_and_adds_few_at_a_time():
    """An association costs a short run more than it gains."""
    concurrency = Concurrency()
    assert _target(concurrency, seconds=0.09, rate=10_000.0, busy=0.6) == FEW
    while concurrency.interval < 1.0:
        assert _target(concurrency, seconds=0.01, rate=10_000.0, busy=0.6) == FEW
    assert concurrency.now < 0.4
    assert _target(concurrency, seconds=5, rate=10_000.0, busy=0.6) <= FEW + FEW // 2


def test_that_it_is_busy_at_the_start_of_a_run_says_little():
    concurrency = Concurrency()
    _target(concurrency, seconds=0.2, rate=2000.0, busy=0.6)
    assert concurrency.interval < 0.1
    assert _target(concurrency, seconds=0.4, rate=4000.0) > FEW


# What changes.


def test_a_peer_that_slows_down_and_recovers_is_followed():
    slow, usual = 40.0, 320.0
    peer = Peer(0.05, lambda _, now: slow if 15 < now < 40 else usual)
    history = Run(peer).until(65)
    assert history.rate(10, 15) >= 0.9 * usual
    assert history.rate(25, 40) >= 0.9 * slow
    assert history.rate(55, 65) >= 0.9 * usual
    assert history.longest_above(2 * slow * 0.05 + 2, 15, 40) <= 5


def test_it_tries_more_after_a_while_and_less_and_less_often():
    concurrency = Concurrency()
    tries = []
    for second in range(200):
        before = concurrency.target
        if _target(concurrency, seconds=1, rate=100.0) > before:
            tries.append(second)
    assert len(tries) >= 4
    assert tries[-1] - tries[-2] > 20


def test_a_pause_in_which_nothing_is_answered_changes_nothing():
    concurrency = Concurrency()
    run = Run(Peer(0.05, constant(320)), concurrency)
    run.until(10)
    before = concurrency.target
    now = 10.0
    for _ in range(60):
        now += 1
        concurrency.look(Progress(now, 1.0, 1, 0, 0))
    assert concurrency.target == before


# What could not help.


def test_a_peer_that_answers_nothing_is_asked_for_no_more():
    assert _target(Concurrency(), seconds=30, rate=0.0) == FEW


def test_a_transfer_that_waits_for_files_or_for_the_gate_does_not_grow():
    assert _target(Concurrency(), seconds=30, rate=100.0, is_limited=True) == FEW


@pytest.mark.parametrize("instances", [1, 3, 20])
def test_there_are_never_more_associations_than_instances_left(instances):
    history = Run(Peer(FAR, constant(10_000)), None, instances).until(60)
    assert len(history.responses) == instances
    assert not history.asked_too_much
    assert history.most() <= instances


def test_for_the_last_instances_no_association_is_opened():
    concurrency = Concurrency()
    assert _target(concurrency, seconds=2, rate=80.0, left=10) == FEW


def test_associations_that_open_late_are_no_growth():
    """A peer may accept connections and serve one after the other."""
    peer = Peer(0.01, constant(100), accepts_late=1000.0)
    history = Run(peer).until(30)
    assert history.most() == 1
    assert history.rate(10, 30) >= 0.9 * peer.rate(1)


def test_associations_that_open_late_do_not_keep_it_from_measuring_those_that_are_open():
    concurrency = Concurrency()
    now = 0.0
    while now < 4:
        now += concurrency.interval
        concurrency.look(Progress(now, now * 10, int(now * 10), 2, concurrency.target - 2))
    assert concurrency.target == 2


# Refusals.


@pytest.mark.parametrize("serves", [1, 3, 8, 20])
def test_a_peer_that_serves_only_some_gets_those_at_once_and_is_asked_again_later(serves):
    history = Run(Peer(0.05, constant(10_000), serves=serves)).until(60)
    assert history.most() == serves
    assert history.rate(10, 60) >= 0.9 * serves / 0.05
    first = history.refusals[0]
    assert any(at > first + 10 for at in history.refusals)
    assert sum(at > first + 1 for at in history.refusals) <= 5, "one at a time"


def test_a_peer_that_serves_more_after_a_while_gets_more():
    peer = Peer(0.05, constant(10_000), serves=5)
    run = Run(peer)
    run.until(10)
    peer.serves = 1000
    assert run.until(60).rate(50, 60) >= 0.9 * MOST / 0.05


@pytest.mark.parametrize("fixed", [None, 8])
@pytest.mark.parametrize(("still_open", "target"), [(3, 3), (1, 1), (0, 1), (100, None)])
def test_a_refusal_is_obeyed(fixed, still_open, target):
    concurrency = Concurrency(fixed)
    before = concurrency.target
    concurrency.refused(still_open, 0.0)
    assert concurrency.target == (before if target is None else target)


def test_a_peer_that_works_again_gets_as_many_as_before():
    concurrency = Concurrency()
    concurrency.refused(0, 1.0)
    concurrency.restored(16, 9.0)
    assert concurrency.target == 16


# A fixed number.


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [1, 4, 50])
@pytest.mark.parametrize("capacity", [constant(10_000), falling(100, 2)])
def test_a_fixed_number_stays(fixed, capacity):
    history = Run(Peer(0.01, capacity), Concurrency(fixed)).until(20)
    assert {number for at, number in history.open if at > 0.1} == {fixed}


@pytest.mark.parametrize("is_limited", [False, True])
def test_a_fixed_number_is_asked_for_again_when_the_peer_has_had_time(is_limited):
    """It may have been restarted, or busy with others."""
    concurrency = Concurrency(8)
    concurrency.refused(1, 0.0)
    assert _target(concurrency, seconds=10, rate=100.0, is_limited=is_limited) == 1
    assert _target(concurrency, seconds=10, rate=100.0, is_limited=is_limited) == 8


@given(
    st.none() | st.integers(1, MOST),
    st.lists(
        st.one_of(
            st.tuples(
                st.floats(0, 10**6), st.integers(0, 70), st.integers(0, 9), st.booleans(), st.none() | st.just(9)
            ),
            st.integers(0, 40),
        ),
        max_size=80,
    ),
)
def test_whatever_happens_there_is_at_least_one_and_never_too_many(fixed, events):
    concurrency, now, work = Concurrency(fixed), 0.0, 0.0
    for event in events:
        before = concurrency.target
        now += concurrency.interval
        if isinstance(event, int):
            concurrency.refused(event, now)
            assert concurrency.target <= max(1, min(event, before))
        else:
            rate, are_open, opening, is_limited, left = event
            work += rate * concurrency.interval
            seen = Progress(now, work, int(work), are_open, opening, is_limited=is_limited, left=left)
            assert concurrency.look(seen) == concurrency.target
            assert fixed is None or concurrency.target in (before, fixed)
        assert 1 <= concurrency.target <= MOST
        assert 0 < concurrency.interval <= 1
