"""The guard against simulated peers: how slow their C-ECHO becomes, and how much of their speed the run has."""

import itertools
import random

from asyncstore.schedule.guard import Guard

_THRESHOLD = 0.2
_EVERY = 2.0
_STEP = 0.05


class _Peer:
    """A peer with one queue for the run, for clinical traffic and for C-ECHO.

    Args:
        capacity: work a second.
        in_flight: how much of the run may be in its queue.
        clinic: clinical work a second at a time.
        base: seconds that C-ECHO takes even with an empty queue.
        noise: how much longer answers are by chance.
        demand: the most work a second that the run has to send.
    """

    def __init__(self, *, capacity=1000, in_flight=100, clinic=lambda _: 0, base=0.02, noise=0.0, demand=1e9):
        self.capacity, self.in_flight, self.clinic, self.base = capacity, in_flight, clinic, base
        self.noise, self.demand = noise, demand
        self.chance = random.Random(7)  # noqa: S311 - no secret
        self.ours = self.others = self.done = 0.0

    def goes_on(self, now, limit):
        """One step of time."""
        self.ours += min(limit * _STEP, self.demand * _STEP, max(self.in_flight - self.ours, 0))
        self.others += self.clinic(now) * _STEP
        waiting = self.ours + self.others
        if waiting:
            served = min(self.capacity * _STEP, waiting) / waiting
            self.done += self.ours * served
            self.ours, self.others = self.ours * (1 - served), self.others * (1 - served)

    @property
    def echo_seconds(self):
        return (self.base + (self.ours + self.others) / self.capacity) * (1 + abs(self.chance.gauss(0, self.noise)))


class _Look:
    def __init__(self, at, echo, speed, limit):
        self.at, self.echo, self.speed, self.limit = at, echo, speed, limit


def _guarded(peer, seconds=600):
    """What the guard saw and did, echo by echo; the guard."""
    guard, looks, before, last = Guard(_THRESHOLD), [], 0.0, 0
    for step in itertools.count(1):
        now = step * _STEP
        if now > seconds:
            return looks, guard
        peer.goes_on(now, guard.limit.work if guard.limit else 1e9)
        if now >= (last + 1) * _EVERY:
            last += 1
            speed, before = (peer.done - before) / _EVERY, peer.done
            echo = peer.echo_seconds
            guard.answered(echo, speed)
            looks.append(_Look(now, echo, speed, guard.limit.work if guard.limit else None))
    return None


def _slow_share(looks):
    return sum(look.echo > _THRESHOLD for look in looks) / len(looks)


def _mean_speed(looks):
    return sum(look.speed for look in looks) / len(looks)


def test_a_peer_that_answers_in_time_is_not_slowed():
    looks, guard = _guarded(_Peer(in_flight=100))
    assert all(look.limit is None for look in looks)
    assert guard.limit is None


def test_with_a_peer_whose_echo_grows_with_the_load_few_answers_are_slow_and_most_of_its_speed_is_used():
    for noise in (0, 0.5):
        looks, _ = _guarded(_Peer(in_flight=300, noise=noise))
        late = looks[30:]
        assert _slow_share(late) <= 0.1
        assert _mean_speed(late) >= 850


def test_the_limit_does_not_swing_wildly():
    looks, _ = _guarded(_Peer(in_flight=300, noise=0.3))
    limits = [look.limit for look in looks[30:]]
    assert None not in limits
    assert max(limits) / min(limits) < 2
    turns = sum((b - a) * (c - b) < 0 for a, b, c in zip(limits, limits[1:], limits[2:], strict=False))
    assert turns <= len(limits) / 10


def test_clinical_traffic_gets_the_peer_and_afterwards_the_run_has_it_again():
    looks, guard = _guarded(_Peer(in_flight=150, clinic=lambda now: 900 if 40 < now < 160 else 0))
    during = [look for look in looks if 100 < look.at < 160]
    assert max(look.speed for look in during) < 200
    assert guard.limit is None or guard.limit.work > 900
    assert _mean_speed([look for look in looks if look.at > 500]) > 900


def test_an_answer_of_four_times_the_threshold_slows_at_once_and_others_only_when_they_are_more_than_one_in_twenty():
    guard = Guard(_THRESHOLD)
    assert guard.answered(0.9, 100)
    assert guard.limit.work == 50
    assert guard.limit.echo_seconds == 0.9
    guard = Guard(_THRESHOLD)
    for _ in range(5):
        assert not guard.answered(0.3, 100)
        assert not any(guard.answered(0.1, 100) for _ in range(19))
    assert guard.answered(0.3, 100) or guard.answered(0.3, 100)
    assert guard.limit.work == 70
    assert guard.limit.share == 0.7


def test_a_change_gets_time_to_show():
    guard = Guard(_THRESHOLD)
    guard.answered(0.9, 100)
    assert not guard.answered(0.9, 50)
    assert not guard.answered(0.9, 50)
    assert guard.answered(0.9, 50)
    assert guard.limit.work == 25


def test_a_peer_whose_echo_is_always_slow_keeps_a_twentieth_of_its_speed_and_the_guard_says_that_it_is_helpless():
    for base in (0.5, 2):
        looks, guard = _guarded(_Peer(base=base))
        assert guard.is_helpless
        assert 45 <= looks[-1].limit <= 55
        assert looks[-1].speed > 40
        guard.answered(0.01, 50)
        assert not guard.is_helpless


def test_a_run_that_sends_nothing_is_not_slowed_to_a_standstill():
    guard = Guard(_THRESHOLD)
    guard.answered(2, 0)
    assert guard.limit.work == 1
    for _ in range(200):
        guard.answered(0.01, 0)
    assert guard.limit is None


def test_a_moment_without_work_does_not_count_as_the_speed_of_the_run():
    guard = Guard(_THRESHOLD)
    guard.answered(0.01, 1000)
    guard.answered(0.9, 0)
    assert guard.limit.work == 500
