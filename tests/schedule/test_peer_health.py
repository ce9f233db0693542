"""What is known about the peer: no loop, no associations, and a clock that the test moves."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import AbortedHere, AssociationRejected, LinkLost
from asyncstore.negotiation import Planned
from asyncstore.schedule.concurrency import FEW, MOST
from asyncstore.schedule.lane import WorkingLane
from asyncstore.schedule.peer_health import PeerHealth

LOST = LinkLost("peer:104", "reset")
BUSY, NO_TITLE = AssociationRejected("peer:104", 2, 3, 2), AssociationRejected("peer:104", 1, 1, 7)


class _Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


def _peer(fixed=None, clock=None):
    return PeerHealth(fixed, clock or _Clock())


# Capacity.


def _looked(peer, clock, rate, looks, seconds=1.0):
    """How many associations to have after looks at a run that goes at this rate per association."""
    work = 0.0
    for _ in range(looks):
        peer.begin_look(work)
        clock.seconds += seconds
        work += rate * peer.associations * seconds
        peer.end_look(work, is_source_limited=False)
    return peer.associations


@pytest.mark.parametrize(("fixed", "expected"), [(None, FEW), (1, 1), (7, 7)])
def test_a_run_begins_with_the_number_asked_for_or_a_few(fixed, expected):
    assert _peer(fixed).associations == expected


@pytest.mark.parametrize("seconds", [0.5, 1.0, 7.0])
def test_rates_are_per_second_however_long_a_look_takes(seconds):
    clock = _Clock()
    assert _looked(_peer(clock=clock), clock, 100.0, 20, seconds) == MOST


def test_the_same_work_in_more_time_is_slower():
    clock = _Clock()
    peer = _peer(clock=clock)
    for seconds in (1.0, 3.0):
        peer.begin_look(0.0)
        clock.seconds += seconds
        peer.end_look(100.0, is_source_limited=False)
    assert peer.associations == FEW, "the step that made it slower is taken back"


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
