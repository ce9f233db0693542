"""Repeated SOP instance UIDs."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.observe import repeats
from asyncstore.observe.repeats import Pair, Repeats
from asyncstore.observe.tally import Tally
from support import values
from support.samples import failed, not_sent, stored, unknown, warned


def _instances(*uids, start=0):
    return [
        values.changed(stored(sop_instance_uid=uid)[0], path=f"/{number}") for number, uid in enumerate(uids, start)
    ]


def _add(counted, *uids, start=0):
    counted.add(uids, _instances(*uids, start=start))


@given(st.lists(st.lists(st.sampled_from([f"1.2.{number}" for number in range(30)]))))
def test_it_counts_what_a_set_would(batches):
    counted, known, count = Repeats(), set(), 0
    for batch in batches:
        _add(counted, *batch)
        for uid in batch:
            count += uid in known
            known.add(uid)
    assert counted.count() == count


def test_it_names_the_first_pairs():
    counted = Repeats()
    _add(counted, "1.1", "1.2", "1.3")
    _add(counted, "1.2", "1.4", *["1.1"] * 10, start=3)
    assert counted.count() == 11
    assert counted.examples()[:3] == [Pair("/1", "/3"), Pair("/0", "/5"), Pair("/0", "/6")]
    assert len(counted.examples()) == 5


@pytest.mark.slow
def test_examples_are_of_the_first_files_only():
    with mock.patch.object(repeats, "_MOST_PATHS", 2):
        counted = Repeats()
        for number, uid in enumerate(("1.1", "1.2", "1.1")):
            _add(counted, uid, start=number)
        assert (counted.count(), counted.examples()) == (1, [])


def test_no_more_uids_are_compared_than_there_is_room_for_and_that_is_said():
    with mock.patch.object(repeats, "MOST_UIDS", 3):
        counted = Repeats()
        _add(counted, "1.1", "1.2", "1.2")
        assert counted.is_exact
        _add(counted, "1.1")
    assert not counted.is_exact
    assert counted.count() == 1


def test_instances_without_a_uid_are_no_repeats():
    counted = Repeats()
    _add(counted, None, None, "0", "0")
    assert counted.count() == 1


@pytest.mark.parametrize("others", [[], [not_sent()]])
def test_a_tally_counts_what_the_peer_holds_and_nothing_else(others):
    tally = Tally(0.0)
    one = [make(sop_instance_uid="1.1") for make in (failed, lambda **uid: values.changed(unknown(), **uid))]
    tally.add([*one, *others])
    assert tally.repeats.count() == 0
    tally.add([warned(sop_instance_uid="1.1"), *others])
    assert tally.repeats.count() == 0
    tally.add([*stored(sop_instance_uid="1.1"), *stored(sop_instance_uid="1.2"), *others])
    assert tally.repeats.count() == 1
    tally.add([*stored(2, sop_instance_uid="1.2"), *others])
    assert tally.repeats.count() == 3
