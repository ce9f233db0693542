"""Invented identities: how they belong together, and valid values."""

import re
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.prepare.invention import Invent, Inventor, new_seed

NAME, PATIENT_ID, SOP_INSTANCE_UID = 0x00100010, 0x00100020, 0x00080018
STUDY_UID, STUDY_ID, SERIES_UID, SERIES_NUMBER, INSTANCE_NUMBER = (
    *(0x0020000D, 0x00200010, 0x0020000E, 0x00200011, 0x00200013),
)
LIMITS = {NAME: 64, PATIENT_ID: 64, STUDY_ID: 16, SERIES_NUMBER: 12, INSTANCE_NUMBER: 12}


def _first(count, invent):
    inventor = Inventor(invent, new_seed())
    return [inventor.identity(ordinal) for ordinal in range(1, count + 1)]


def _runs(values):
    """The lengths of runs of equal values; no value comes again later."""
    runs = [(value, len([*group])) for value, group in groupby(values)]
    assert len({value for value, _ in runs}) == len(runs)
    return [length for _, length in runs]


def test_a_patient_has_studies_of_series_of_instances():
    made = _first(24, Invent(instances=2, series=3, studies=2))
    for tag, each in ((SERIES_UID, 2), (STUDY_UID, 6), (STUDY_ID, 6), (PATIENT_ID, 12), (NAME, 12)):
        assert _runs([one.values[tag] for one in made]) == [each] * (24 // each)


def test_numbers_begin_at_0_in_each_series_and_study():
    made = _first(12, Invent(instances=2, series=3, studies=2))
    assert [int(one.values[INSTANCE_NUMBER]) for one in made] == [0, 1] * 6
    assert [int(one.values[SERIES_NUMBER]) for one in made] == [0, 0, 1, 1, 2, 2] * 2


def test_an_ordinal_always_has_the_same_identity():
    inventor = Inventor(Invent(instances=2, series=2, studies=2), new_seed())
    identities = [inventor.identity(ordinal) for ordinal in range(1, 20)]
    for ordinal in (7, 7, 3, 19, 1):
        assert inventor.identity(ordinal) == identities[ordinal - 1]


def test_two_files_never_share_an_instance_even_in_the_same_place():
    inventor = Inventor(Invent(), new_seed())
    paths = ("", "a", "a 1", "a 11", "\udcff", "a.zip!1")
    uids = {inventor.identity(place, path).sop_instance_uid for place in (1, 2, 11, 12) for path in paths}
    assert len(uids) == 4 * len(paths)


def test_the_same_seed_gives_the_same_identities_in_another_run():
    seed = new_seed()
    first, second = (Inventor(Invent(2, 2, 2), seed) for _ in range(2))
    assert [first.identity(place) for place in range(1, 20)] == [second.identity(place) for place in range(1, 20)]


def test_two_runs_have_no_uid_in_common():
    first, second = (_first(10, Invent(2, 2, 2)) for _ in range(2))
    for tag in (SOP_INSTANCE_UID, SERIES_UID, STUDY_UID):
        assert not {one.values[tag] for one in first} & {one.values[tag] for one in second}


def test_without_numbers_they_are_those_of_storescu():
    assert Invent() == (100, 50, 25)


@given(st.builds(Invent, *[st.integers(1, 4)] * 3), st.integers(1, 200))
def test_no_uid_comes_twice(invent, count):
    made = _first(count, invent)
    uids = [one.sop_instance_uid for one in made]
    uids += {one.values[tag].decode() for one in made for tag in (STUDY_UID, SERIES_UID)}
    assert len({*uids}) == len(uids)


def test_values_are_valid_for_their_elements():
    for one in _first(300, Invent(2, 2, 2)):
        assert one.values[SOP_INSTANCE_UID].rstrip(b"\0") == one.sop_instance_uid.encode()
        for tag, value in one.values.items():
            assert len(value) % 2 == 0
            assert len(value) <= LIMITS.get(tag, 64)
            if tag not in LIMITS:
                assert re.fullmatch(rb"2\.25\.[1-9][0-9]*\0?", value)


@pytest.mark.parametrize("begun", [0, 1_900_000_000, 99_999_999_999])
def test_study_ids_stay_apart_at_any_time(monkeypatch, begun):
    """SH has 16 characters."""
    monkeypatch.setattr("time.time", lambda: begun)
    inventor = Inventor(Invent(1, 1, 1), new_seed())
    ids = [inventor.identity(ordinal).values[STUDY_ID] for ordinal in (*range(1, 1000), *range(9_999_000, 10_000_000))]
    assert len({*ids}) == len(ids)
    assert max(map(len, ids)) <= 16
