"""How many lanes are missing or too many, and what they have come to together: no loop, no associations."""

from types import SimpleNamespace

import pytest

from asyncstore.errors import AbortedHere, LinkLost
from asyncstore.negotiation import Planned
from asyncstore.schedule.concurrency import FEW
from asyncstore.schedule.lanes import Lanes

LOST = LinkLost("peer:104", "reset")


def _open(lane, sent=0):
    lane.opens((), 1)
    lane.opened(SimpleNamespace(accepted={}, data_bytes_sent=sent), Planned(), changes_everything=False)


@pytest.mark.parametrize(("fixed", "waiting", "missing"), [(3, 10, 3), (3, 2, 2), (3, 0, 0), (None, 100, FEW)])
def test_no_more_lanes_are_missing_than_instances_wait(fixed, waiting, missing):
    assert Lanes(fixed).missing(waiting) == missing


def test_a_new_lane_takes_the_first_place_that_is_free():
    lanes = Lanes(4)
    first, second, third = (lanes.add() for _ in range(3))
    lanes.remove(second)
    assert [lane.number for lane in (first, third, lanes.add(), lanes.add())] == [1, 3, 2, 4]
    assert lanes.missing(10) == 0


def test_where_the_peer_refuses_one_those_it_accepted_are_enough():
    lanes = Lanes(4)
    _, _, refused = (lanes.add() for _ in range(3))
    lanes.refused(refused)
    lanes.remove(refused)
    assert lanes.missing(10) == 0
    assert not lanes.retire_surplus()


@pytest.mark.parametrize(("lanes_there", "left", "share"), [(1, 7, 7), (3, 7, 3), (3, 6, 2), (8, 2, 1), (4, 0, 1)])
def test_each_lane_has_its_share_of_what_is_left(lanes_there, left, share):
    lanes = Lanes(lanes_there)
    for _ in range(lanes_there):
        lanes.add()
    assert lanes.share(left) == share


def test_lanes_that_are_too_many_retire_and_count_no_more():
    lanes = Lanes(3)
    first, second, third = (lanes.add() for _ in range(3))
    lanes.refused(third)
    lanes.refused(second)
    assert lanes.retire_surplus()
    assert [lane.is_retiring for lane in (first, second, third)] == [False, False, True]
    assert not lanes.retire_surplus()
    assert lanes.missing(10) == 0


def test_the_last_lane_does_not_retire():
    lanes = Lanes(1)
    lane = lanes.add()
    lanes.refused(lane)
    assert not lanes.retire_surplus()
    assert not lane.is_retiring


def test_what_was_done_does_not_shrink_when_associations_and_lanes_end():
    lanes = Lanes(2)
    one, other = lanes.add(), lanes.add()
    _open(one, 100_000)
    _open(other, 50_000)
    one.answered, other.answered = 3, 4
    for change in (one.closed, lambda: _open(one), lambda: lanes.remove(other), one.closed, lambda: lanes.remove(one)):
        assert (lanes.bytes_sent, lanes.work) == (150_000, 10)
        change()
    assert (lanes.bytes_sent, lanes.work, len(lanes)) == (150_000, 10, 0)


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
    lanes = Lanes(2)
    both = [lanes.add(), lanes.add()]
    told = []
    for number, (fate, error) in enumerate(ended):
        lane = both[number % 2]
        _open(lane)
        lane.answered += fate == _ANSWERED
        lane.lost += fate in (_ANSWERED, _LOST)
        lane.has_idled = fate == _IDLED
        told.append(lanes.is_peer_mute(lane, error))
        lane.closed()
    assert told == [False] * (len(ended) - 1) + [is_mute]
