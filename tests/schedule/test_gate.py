"""The gate keeps the first instances of a study or patient apart, and holds nothing for ever."""

from __future__ import annotations

from collections import Counter, deque
from random import Random  # noqa: TC003 - hypothesis reads the annotation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Head
from asyncstore.schedule.gate import Affinity, Gate


def head(study: str = "", patient: str = "") -> Head:
    return Head(study, f"{study}.1", patient.encode())


def test_others_wait_until_the_first_instance_of_a_study_is_stored() -> None:
    gate = Gate(Affinity.FIRST)
    assert gate.admit(head("1"), "lane 1") is None
    assert gate.admit(head("1"), "lane 2") == "1"
    assert gate.ended(head("1"), "lane 1", is_stored=True) == ["1"]
    assert gate.admit(head("1"), "lane 2") is None
    assert gate.admit(head("1"), "lane 3") is None


def test_another_study_of_the_same_patient_waits_for_the_first() -> None:
    gate = Gate(Affinity.FIRST)
    assert gate.admit(head("1", "P"), "lane 1") is None
    assert gate.admit(head("2", "P"), "lane 2") == b"P"
    assert gate.admit(head("3", "Q"), "lane 2") is None
    assert set(gate.ended(head("1", "P"), "lane 1", is_stored=True)) == {"1", b"P"}
    assert gate.admit(head("2", "P"), "lane 2") is None


def test_a_first_instance_that_was_not_stored_opens_nothing() -> None:
    gate = Gate(Affinity.FIRST)
    gate.admit(head("1"), "lane 1")
    assert gate.ended(head("1"), "lane 1", is_stored=False) == ["1"], "another lane may try"
    assert gate.admit(head("1"), "lane 2") is None
    assert gate.admit(head("1"), "lane 1") == "1"


def test_a_lane_goes_on_with_its_own_study_and_keeps_the_claim_while_one_is_under_way() -> None:
    gate = Gate(Affinity.FIRST)
    assert gate.admit(head("1"), "lane 1") is None
    assert gate.admit(head("1"), "lane 1") is None
    assert gate.ended(head("1"), "lane 1", is_stored=False) == []
    assert gate.admit(head("1"), "lane 2") == "1"
    assert gate.ended(head("1"), "lane 1", is_stored=False) == ["1"]


def test_where_stores_of_a_lane_overlap_even_the_lane_itself_waits() -> None:
    gate = Gate(Affinity.FIRST)
    assert gate.admit(head("1"), "lane 1", overlaps=True) is None
    assert gate.admit(head("1"), "lane 1", overlaps=True) == "1"


@pytest.mark.parametrize(("affinity", "key"), [(Affinity.STUDY, "1"), (Affinity.PATIENT, b"P")])
def test_a_study_or_patient_stays_on_one_lane_at_a_time(affinity: Affinity, key: str | bytes) -> None:
    gate = Gate(affinity)
    for _ in range(2):
        assert gate.admit(head("1", "P"), "lane 1", overlaps=True) is None
    assert gate.admit(head("1", "P"), "lane 2") == key
    assert gate.ended(head("1", "P"), "lane 1", is_stored=True) == []
    assert gate.admit(head("1", "P"), "lane 2") == key
    assert gate.ended(head("1", "P"), "lane 1", is_stored=True) == [key]
    assert gate.admit(head("1", "P"), "lane 2") is None
    assert gate.admit(head("1", "P"), "lane 1") == key


@pytest.mark.parametrize("affinity", list(Affinity))
def test_instances_without_study_and_patient_never_wait(affinity: Affinity) -> None:
    gate = Gate(affinity)
    assert [gate.admit(head(), lane, overlaps=True) for lane in range(5)] == [None] * 5


def test_what_is_forgotten_costs_its_next_instance_a_round_trip_and_nothing_else() -> None:
    gate = Gate(Affinity.FIRST, remembered=2)
    for study in ("1", "2", "3"):
        gate.admit(head(study), "lane 1")
        gate.ended(head(study), "lane 1", is_stored=True)
    assert gate.admit(head("1"), "lane 1") is None
    assert gate.admit(head("1"), "lane 2") == "1"
    assert gate.admit(head("3"), "lane 2") is None


@given(
    affinity=st.sampled_from(list(Affinity)),
    files=st.lists(st.tuples(st.sampled_from(["", "1", "2", "3"]), st.sampled_from(["", "P", "Q"])), max_size=40),
    lanes=st.integers(1, 4),
    overlaps=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_everything_is_sent_and_nothing_meets_that_must_not(
    *, affinity: Affinity, files: list[tuple[str, str]], lanes: int, overlaps: bool, random: Random
) -> None:
    """A peer that answers at random: the rules of the gate hold at every moment, and nothing is held for ever."""
    choose = random.random
    gate = Gate(affinity)
    waiting = deque(head(*one) for one in files)
    under_way: list[tuple[Head, int]] = []
    stored: set[str | bytes] = set()
    sent = 0
    while waiting or under_way:
        moved = False
        for lane in range(lanes):
            if waiting and choose() < 0.7:
                one = waiting.popleft()
                if gate.admit(one, lane, overlaps=overlaps) is None:
                    under_way.append((one, lane))
                    moved = True
                else:
                    waiting.append(one)
        _check(affinity, under_way, stored, overlaps=overlaps)
        if under_way and (not moved or choose() < 0.5):
            one, lane = under_way.pop(int(choose() * len(under_way)))
            is_stored = choose() < 0.7
            gate.ended(one, lane, is_stored=is_stored)
            sent += 1
            if is_stored:
                stored |= {one.study_instance_uid, one.patient_id}
    assert sent == len(files)


def _check(affinity: Affinity, under_way: list[tuple[Head, int]], stored: set[str | bytes], *, overlaps: bool) -> None:
    lanes_of: dict[str | bytes, set[int]] = {}
    counts: Counter[str | bytes] = Counter()
    for one, lane in under_way:
        keys: list[str | bytes] = []
        if affinity in (Affinity.FIRST, Affinity.STUDY):
            keys.append(one.study_instance_uid)
        if affinity in (Affinity.FIRST, Affinity.PATIENT):
            keys.append(one.patient_id)
        for key in keys:
            if key and not (affinity is Affinity.FIRST and key in stored):
                lanes_of.setdefault(key, set()).add(lane)
                counts[key] += 1
    assert all(len(lanes) == 1 for lanes in lanes_of.values())
    if overlaps and affinity is Affinity.FIRST:
        assert all(count == 1 for count in counts.values())
