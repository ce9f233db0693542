"""How many lanes are missing or too many, and what they have come to together: no loop, no associations."""

from types import SimpleNamespace

import pytest

from asyncstore.negotiation import Planned
from asyncstore.schedule.concurrency import Progress
from asyncstore.schedule.lanes import Lanes


def _open(lane, sent=0):
    lane.opens((), 1)
    lane.opened(SimpleNamespace(accepted={}, results={}, data_bytes_sent=sent), Planned(), changes_everything=False)


@pytest.mark.parametrize(("waiting", "missing"), [(10, 3), (2, 2), (0, 0)])
def test_no_more_lanes_are_missing_than_instances_wait(waiting, missing):
    assert Lanes().missing(3, waiting) == missing


def test_a_new_lane_takes_the_first_place_that_is_free():
    lanes = Lanes()
    first, second, third = (lanes.add() for _ in range(3))
    lanes.remove(second)
    assert [lane.number for lane in (first, third, lanes.add(), lanes.add())] == [1, 3, 2, 4]
    assert lanes.missing(4, 10) == 0


@pytest.mark.parametrize(("lanes_there", "left", "share"), [(1, 7, 7), (3, 7, 3), (3, 6, 2), (8, 2, 1), (4, 0, 1)])
def test_each_lane_has_its_share_of_what_is_left(lanes_there, left, share):
    lanes = Lanes()
    for _ in range(lanes_there):
        lanes.add()
    assert lanes.share(left) == share


def test_lanes_that_are_too_many_retire():
    lanes = Lanes()
    first, second, third = (lanes.add() for _ in range(3))
    assert lanes.retire_surplus(2)
    assert [lane.is_retiring for lane in (first, second, third)] == [False, False, True]
    assert not lanes.retire_surplus(2)


def test_a_lane_that_retires_is_replaced_only_when_it_has_ended():
    lanes = Lanes()
    _, second = lanes.add(), lanes.add()
    lanes.retire_surplus(1)
    assert lanes.missing(1, 10) == -1
    assert lanes.missing(2, 10) == 0
    assert lanes.missing(3, 1) == 0  # one instance needs only the first lane
    lanes.remove(second)
    assert lanes.missing(2, 10) == 1


def test_lanes_with_an_association_retire_last():
    """The others may wait for theirs for ever."""
    lanes = Lanes()
    first, second, third = (lanes.add() for _ in range(3))
    first.opens((), 1)
    _open(second)
    assert lanes.retire_surplus(1)
    assert [lane.is_retiring for lane in (first, second, third)] == [True, False, True]


def test_the_last_lane_does_not_retire():
    lanes = Lanes()
    lane = lanes.add()
    assert not lanes.retire_surplus(0)
    assert not lane.is_retiring


def test_what_was_done_does_not_shrink_when_associations_and_lanes_end():
    lanes = Lanes()
    one, other = lanes.add(), lanes.add()
    _open(one, 100_000)
    _open(other, 50_000)
    one.answered, other.answered = 3, 4
    for change in (one.closed, lambda: _open(one), lambda: lanes.remove(other), one.closed, lambda: lanes.remove(one)):
        assert (lanes.bytes_sent, lanes.work) == (150_000, 10)
        change()
    assert (lanes.bytes_sent, lanes.work, len(lanes)) == (150_000, 10, 0)


def test_progress_counts_open_and_opening_associations_and_what_was_done():
    lanes = Lanes()
    one, other, third = lanes.add(), lanes.add(), lanes.add()
    _open(one, 100_000)
    one.is_retiring = True
    one.answered = 3
    other.opens((), 2)
    assert third.association is None
    seen = lanes.progress(7.0, is_limited=True, left=5, computed=2.0)
    assert seen == Progress(7.0, 5.0, 3, 1, 1, is_limited=True, left=5, computed=2.0)
