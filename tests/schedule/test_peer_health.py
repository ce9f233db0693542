"""What is known about the peer: no loop, no associations, and a clock that the test moves."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import (
    AbortedHere,
    AssociationRejected,
    ConnectFailed,
    IdentityNotConfirmed,
    LinkLost,
    NotTls,
    ProtocolViolation,
)
from asyncstore.model import PeerOutage
from asyncstore.negotiation import Planned
from asyncstore.schedule.concurrency import FEW, MOST, Progress
from asyncstore.schedule.lane import WorkingLane
from asyncstore.schedule.peer_health import Patience, PeerHealth

LOST = LinkLost("peer:104", "reset")
BUSY, NO_TITLE = AssociationRejected("peer:104", 2, 3, 2), AssociationRejected("peer:104", 1, 1, 7)


class _Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


def _peer(fixed=None, clock=None):
    return PeerHealth(fixed, clock or _Clock(), Patience(0, 0))


# Capacity.


def _look(peer, clock, seconds, rate):
    """Look at a run as often as ``peer`` says: ``rate`` responses a second per association."""
    until, answered = clock.seconds + seconds, 0.0
    while clock.seconds < until:
        passed = max(peer.seconds_to_look, 0.001)
        clock.seconds += passed
        answered += rate * passed * peer.associations
        peer.look(Progress(clock.seconds, answered, int(answered), peer.associations, 0))
    return peer.associations


@pytest.mark.parametrize(("fixed", "expected"), [(None, FEW), (1, 1), (7, 7)])
def test_a_run_begins_with_the_number_asked_for_or_a_few(fixed, expected):
    assert _peer(fixed).associations == expected


@pytest.mark.parametrize(("fixed", "expected"), [(None, MOST), (7, 7)])
def test_there_are_as_many_as_help_unless_a_number_was_asked_for(fixed, expected):
    clock = _Clock()
    assert _look(_peer(fixed, clock), clock, 15, 10.0) == expected


def test_a_look_is_due_some_time_after_the_last_one_whatever_happens_between():
    clock = _Clock()
    peer = _peer(7, clock)
    clock.seconds += 0.4
    assert peer.seconds_to_look == pytest.approx(0.6)
    clock.seconds += 9
    assert peer.seconds_to_look == 0
    peer.look(Progress(clock.seconds, 1.0, 1, 7, 0))
    assert peer.seconds_to_look == pytest.approx(1)


def test_where_the_peer_refuses_one_the_associations_it_accepted_are_enough():
    peer = _peer(4)
    peer.refused(BUSY, lanes=2, is_any_open=True)
    assert peer.associations == 2


# Refusals.


def test_a_refusal_is_reported_once_another_association_is_open():
    peer = _peer()
    assert peer.refused(BUSY, lanes=2, is_any_open=False) == []
    assert peer.accepted() == [str(BUSY)]
    assert peer.accepted() == []


def test_a_refusal_is_reported_at_once_where_others_are_open_and_only_once():
    peer = _peer()
    assert peer.refused(BUSY, lanes=2, is_any_open=True) == [str(BUSY)]
    assert peer.refused(BUSY, lanes=2, is_any_open=True) == []
    assert peer.refused(NO_TITLE, lanes=1, is_any_open=True) == [str(NO_TITLE)]
    assert peer.failure is None


def test_the_refusal_that_leaves_no_lane_is_the_failure_and_not_reported():
    peer = _peer()
    assert peer.refused(NO_TITLE, lanes=1, is_any_open=False) == []
    assert peer.refused(BUSY, lanes=0, is_any_open=False) == []
    assert peer.failure is BUSY


@given(st.lists(st.tuples(st.sampled_from([BUSY, NO_TITLE, LOST, None]), st.integers(0, 3), st.booleans())))
def test_whatever_happens_nothing_is_reported_twice_and_a_failure_needs_the_last_lane(events):
    peer, reported = _peer(), []
    for error, lanes, is_any_open in events:
        if error is None:
            reported += peer.accepted()
        else:
            reported += peer.refused(error, lanes=lanes, is_any_open=is_any_open and lanes > 0)
    assert len(set(reported)) == len(reported)
    last = [error for error, lanes, _ in events if error is not None and lanes == 0]
    assert peer.failure is (last[-1] if last else None)
    assert peer.associations >= 1


# Silence.

# Associations that end, one after the other: whether the last one had a response, a store that was lost, or nothing to
# send, and why it ended; whether the peer is given up then.
_ANSWERED, _LOST, _IDLED, _NOTHING = "answered", "lost", "idled", "nothing"


@pytest.mark.parametrize(
    ("ended", "is_mute"),
    [
        ([(_LOST, LOST)] * 2, False),
        ([(_LOST, LOST)] * 3, True),
        ([(_NOTHING, LOST)] * 3, True),
        ([(_IDLED, LOST)] * 9, False),
        ([(_LOST, AbortedHere("peer:104", "a file could not be read to its end"))] * 9, False),
        ([(_NOTHING, None)] * 9, False),
        ([(_LOST, LOST), (_LOST, LOST), (_ANSWERED, LOST), (_LOST, LOST), (_LOST, LOST)], False),
        ([(_LOST, LOST), (_LOST, LOST), (_ANSWERED, None), (_LOST, LOST), (_LOST, LOST)], False),
        ([(_LOST, LOST), (_LOST, LOST), (_IDLED, LOST), (_NOTHING, None), (_LOST, LOST)], True),
    ],
)
def test_a_peer_that_accepts_and_never_answers_is_given_up(ended, is_mute):
    peer, both = _peer(), [WorkingLane(1), WorkingLane(2)]
    answers = []
    for number, (fate, error) in enumerate(ended):
        lane = both[number % 2]
        lane.opens((), 1)
        lane.opened(SimpleNamespace(accepted={}, results={}, data_bytes_sent=0), Planned(), changes_everything=False)
        lane.answered += fate == _ANSWERED
        lane.lost += fate in (_ANSWERED, _LOST)
        lane.has_idled = fate == _IDLED
        answers.append(peer.ended(error, is_answered=lane.is_answered, is_unanswered=lane.is_unanswered))
        lane.closed()
    assert answers == [False] * (len(ended) - 1) + [is_mute]


# Outages.

REFUSED = ConnectFailed("peer:104", "Connection refused")


def _outage(patience, clock, fixed=4, *, has_answered=True):
    """A peer that has just gone down."""
    peer = PeerHealth(fixed, clock, patience, lambda _, most: most)
    if has_answered:
        peer.ended(LOST, is_answered=True, is_unanswered=False)
    for lanes in reversed(range(fixed)):
        peer.refused(REFUSED, lanes=lanes, is_any_open=False)
    return peer


def _try_again(peer, clock, error=REFUSED):
    """The next trial, in vain; the pause before it."""
    begun = clock.seconds
    clock.seconds = peer.next_trial
    assert peer.associations == 1
    peer.begins_trial()
    assert peer.refused(error, lanes=0, is_any_open=False) == []
    return clock.seconds - begun


def test_a_peer_that_never_answered_is_not_waited_for_by_default():
    peer = _outage(Patience(), _Clock(), has_answered=False)
    assert peer.failure is REFUSED


def test_a_peer_that_has_answered_is_waited_for_a_minute_by_default():
    clock = _Clock()
    peer = _outage(Patience(), clock)
    assert peer.failure is None
    assert peer.associations == 0
    assert peer.outage() == PeerOutage(1, "cannot connect: Connection refused", 0.5, 60.0)
    pauses = []
    while peer.failure is None:
        pauses.append(_try_again(peer, clock))
    assert pauses[:6] == [0.5, 1, 2, 4, 8, 15]
    assert sum(pauses) == 60, "the last trial is at the end of the patience"
    assert peer.failure is REFUSED


def test_a_pause_of_the_run_takes_no_patience():
    clock = _Clock()
    peer = _outage(Patience(0, 10), clock)
    clock.seconds = peer.next_trial + 3600
    assert peer.outage() == PeerOutage(1, "cannot connect: Connection refused", 0.0, 9.5)
    peer.begins_trial()
    peer.refused(REFUSED, lanes=0, is_any_open=False)
    assert peer.failure is None
    assert peer.outage().seconds_left == 9.5


def test_patience_for_ever_never_gives_up():
    clock = _Clock()
    peer = _outage(Patience(math.inf, math.inf), clock, has_answered=False)
    assert max(_try_again(peer, clock) for _ in range(10_000)) == 15
    assert peer.failure is None
    assert peer.outage().seconds_left is None


def test_an_association_alone_tries_the_peer_and_a_response_brings_all_others_back():
    clock = _Clock()
    peer = _outage(Patience(), clock, 6)
    clock.seconds = peer.next_trial
    peer.begins_trial()
    assert peer.accepted() == []
    assert (peer.associations, peer.is_on_trial) == (1, True)
    peer.answered()
    assert (peer.associations, peer.is_on_trial, peer.outage(), peer.outages) == (6, False, None, 1)


def test_each_outage_has_its_own_patience():
    clock = _Clock()
    peer = _outage(Patience(0, 10), clock)
    for _ in range(3):
        clock.seconds += 8
        peer.answered()
        peer.refused(REFUSED, lanes=0, is_any_open=False)
    assert peer.failure is None
    assert peer.outages == 4


@pytest.mark.parametrize(
    "error",
    [NO_TITLE, ProtocolViolation("peer:104", "garbage"), NotTls("peer:104", "plain"), IdentityNotConfirmed("p")],
)
def test_a_reason_that_does_not_pass_ends_the_wait_at_once(error):
    clock = _Clock()
    peer = _outage(Patience(), clock)
    _try_again(peer, clock, error)
    assert peer.failure is error


@pytest.mark.parametrize(("source", "reason"), [(3, 1), (3, 2), (1, 2), (2, 1)])
def test_rejections_for_now_are_waited_out_whatever_reason_they_give(source, reason):
    clock = _Clock()
    peer = _outage(Patience(), clock)
    _try_again(peer, clock, AssociationRejected("peer:104", 2, source, reason))
    assert peer.failure is None


def test_a_peer_that_accepts_and_answers_nothing_is_down_and_each_trial_needs_one_loss_only():
    clock = _Clock()
    peer = PeerHealth(1, clock, Patience(0, 60), lambda _, most: most)
    peer.ended(None, is_answered=True, is_unanswered=False)
    for _ in range(3):
        is_mute = peer.ended(LOST, is_answered=False, is_unanswered=True)
    assert is_mute
    peer.refused(LOST, lanes=0, is_any_open=False)
    assert peer.silence is None, "a trial may begin"
    clock.seconds = peer.next_trial
    peer.begins_trial()
    assert peer.ended(LOST, is_answered=False, is_unanswered=True)


def test_the_number_of_associations_can_be_changed():
    peer = _peer(4)
    peer.set_associations(9)
    assert peer.associations == 9
    peer.set_associations(None)
    assert peer.associations == FEW
