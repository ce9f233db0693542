"""SOP instance UIDs that came before."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.observe import repeats
from asyncstore.observe.repeats import Repeated, Repeats
from asyncstore.observe.tally import Tally
from observe.samples import failed, not_sent, stored, unknown, warned


def _instances(*uids, start=0):
    return [stored(sop_instance_uid=uid)[0]._replace(path=f"/{number}") for number, uid in enumerate(uids, start)]


@given(st.lists(st.lists(st.sampled_from([f"1.2.{number}" for number in range(30)]))))
def test_it_counts_what_a_set_would(batches):
    counted, known, count = Repeats(), set(), 0
    for batch in batches:
        counted.add(_instances(*batch))
        for uid in batch:
            count += uid in known
            known.add(uid)
    assert counted.count == count


@given(st.lists(st.integers(0, 400), max_size=200))
def test_hashes_that_meet_in_one_place_are_told_apart(uids):
    class Uid(str):
        __slots__ = ()

        def __hash__(self):
            return int(self) % 5 << 21 | int(self) << 40

        __eq__ = str.__eq__

    counted = Repeats()
    counted.add(_instances(*(Uid(uid) for uid in uids)))
    assert counted.count == len(uids) - len(set(uids))


def test_it_names_the_first_files():
    counted = Repeats(most_paths=2)
    counted.add(_instances("1.1", "1.2", "1.3"))
    counted.add(_instances("1.2", "1.3", *["1.1"] * 10, start=3))
    assert counted.count == 12
    assert counted.examples[:3] == [Repeated("/1", "/3"), Repeated(None, "/4"), Repeated("/0", "/5")]
    assert len(counted.examples) == 5


def test_no_more_uids_are_known_than_there_is_room_for_and_that_is_said():
    with mock.patch.object(repeats, "MOST_UIDS", 3):
        counted = Repeats()
        counted.add(_instances("1.1", "1.2"))
        assert counted.is_exact
        counted.add(_instances("1.3", "1.4", "1.4", "1.1"))
    assert not counted.is_exact
    assert counted.count == 1


def test_what_has_no_uid_is_no_repeat():
    counted = Repeats()
    counted.add(_instances(None, None, "0", "0"))
    assert counted.count == 1


@pytest.mark.parametrize("others", [[], [not_sent()]])
def test_a_tally_counts_what_the_peer_holds_and_nothing_else(others):
    tally = Tally(0.0)
    one = [make(sop_instance_uid="1.1") for make in (failed, lambda **uid: unknown()._replace(**uid))]
    tally.add([*one, *others])
    assert tally.repeats.count == 0
    tally.add([warned(sop_instance_uid="1.1"), *others])
    assert tally.repeats.count == 0
    tally.add([*stored(sop_instance_uid="1.1"), *stored(sop_instance_uid="1.2"), *others])
    assert tally.repeats.count == 1
    tally.add([*stored(2, sop_instance_uid="1.2"), *others])
    assert tally.repeats.count == 3
