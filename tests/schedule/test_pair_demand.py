"""Which pairs are asked for, refused, and worth another association: no loop, no associations."""

from types import SimpleNamespace

import pytest

from asyncstore.negotiation import Planned
from asyncstore.negotiation.coverage import Coverage
from asyncstore.schedule.lanes import Lanes
from asyncstore.schedule.pair_demand import PairDemand
from support.fakes import SYNTAX, instance

A, B, C, D = ((sop_class, SYNTAX) for sop_class in ("1.1", "1.2", "1.3", "1.4"))


def _lanes(*associations):
    """A lane for each of these: what was proposed, and what of it was accepted."""
    lanes = Lanes()
    for proposed, accepted in associations:
        lane = lanes.add()
        lane.opens(Planned().contexts(proposed), 1)
        association = SimpleNamespace(accepted=dict.fromkeys(accepted, 1), results={}, data_bytes_sent=0)
        lane.opened(association, Planned(), changes_everything=False)
    return lanes


def _demand(*sop_classes):
    demand = PairDemand(Planned())
    demand.see(instance(number, one) for number, one in enumerate(sop_classes))
    return demand


def test_what_waits_is_asked_for_first_and_then_everything_seen():
    assert [*dict.fromkeys(_demand("1.1", "1.2", "1.1", "1.3").wanted([C]))] == [C, A, B]


def test_what_was_refused_is_asked_for_only_while_it_waits():
    demand = _demand("1.1", "1.2")
    demand.refuse(B, "abstract syntax not supported")
    assert demand.wanted([]) == [A]
    assert demand.wanted([B]) == [B, A]


@pytest.mark.parametrize(
    ("associations", "uncarried"),
    [
        ([((A, B), (A, B))], []),
        ([((A, B), (A,))], [B]),
        ([((A,), (A,))], []),  # it was not asked for the others
        ([((A, B), (A,)), ((A, B), (B,))], []),  # another one carries it
        ([((A, B, C), ()), ((A,), (A,))], [B, C]),
    ],
)
def test_uncarried_is_what_was_asked_for_and_no_association_carries(associations, uncarried):
    lanes = _lanes(*associations)
    assert _demand().uncarried({C, B, A}, next(iter(lanes)), lanes) == uncarried


def test_the_reason_names_what_was_refused_and_why():
    assert _demand().refuse(A, "user rejection") == (
        "no presentation context accepted for 1.1 in JPEGBaseline: user rejection"
    )


def test_what_was_refused_stays_so_for_the_reason_it_had_first():
    demand = _demand("1.1", "1.2")
    lanes = _lanes(((A, B), ()))
    reason = demand.refuse(B, "user rejection")
    demand.refuse(B, "the peer did not answer it")
    assert demand.refused([A, B], lanes) == {B: reason}
    assert demand.refused([A], lanes) == {}


def test_what_some_association_accepts_nevertheless_is_sent_over_it():
    demand = _demand("1.1")
    demand.refuse(A, "user rejection")
    assert demand.refused([A], _lanes(((A,), (A,)))) == {}


@pytest.mark.parametrize(
    ("waiting", "is_called_for"),
    [
        ({}, False),
        ({A: 1000}, False),
        ({B: 32}, False),  # the other lane has it
        ({B: 33}, True),
        ({C: 1}, True),
        ({A: 1000, B: 1, C: 1}, True),
        ({B: 20, D: 12}, False),  # it has both
        ({B: 20, D: 13}, True),
    ],
)
def test_another_association_is_called_for_by_what_waits_long_for_the_others(waiting, is_called_for):
    lanes = _lanes(((A,), (A,)), ((B, D), (B, D)))
    assert _demand().call_for_another(next(iter(lanes)), lanes, waiting) == is_called_for


def test_each_association_is_looked_at_once_however_many_pairs_wait(monkeypatch):
    looked_at, settled = [], Coverage.settled
    monkeypatch.setattr(Coverage, "settled", lambda *of: looked_at.append(of) or settled(*of))
    monkeypatch.setattr(Coverage, "__contains__", None)  # pair by pair would be too often
    others = [(f"1.5.{number}", SYNTAX) for number in range(60)]
    lanes, demand = _lanes(((A,), (A,)), (others[:30], others[:30]), (others[30:], others[30:])), _demand()
    assert not demand.call_for_another(next(iter(lanes)), lanes, dict.fromkeys(others, 1))
    assert demand.call_for_another(next(iter(lanes)), lanes, dict.fromkeys([*others, B], 1))
    assert demand.call_for_another(next(iter(lanes)), lanes, dict.fromkeys(others, 2))
    assert len(looked_at) <= 3 * (1 + len(lanes))


def test_an_association_that_is_not_open_yet_is_not_waited_for():
    """The peer may serve one at a time, and open it only when this one has ended."""
    lanes = _lanes(([A], [A]))
    lanes.add().opens(Planned().contexts([A, B]), 2)
    assert _demand().call_for_another(next(iter(lanes)), lanes, {B: 1})


def test_a_lane_that_replaces_its_association_is_waited_for_until_another_may_have_taken_its_room():
    lanes = _lanes(([A], [A]), ([A], [A]), ([A], [A]))
    first, replaced, other = lanes
    replaced.to_ask = frozenset([A, B])
    assert not _demand().call_for_another(first, lanes, {B: 32})
    assert _demand().call_for_another(first, lanes, {B: 33})
    assert _demand().call_for_another(first, lanes, {C: 1})
    lanes.opened(other)
    assert _demand().call_for_another(first, lanes, {B: 1})


@pytest.mark.parametrize(
    ("waiting", "urgent"),
    [
        ({A: 1, B: 1, C: 1}, [C, A, B]),  # others are asked for A and B
        ({B: 64, A: 1}, [B, A]),
        ({A: 33, B: 65, C: 1}, [A, B, C]),  # too many for the lanes that are asked for them
        ({A: 32, C: 1, B: 64}, [C, A, B]),
    ],
)
def test_what_enough_other_associations_are_asked_for_comes_last(waiting, urgent):
    lanes = _lanes(((B,), ()), ((A, B), (A, B)))
    assert _demand().urgent(waiting, waiting, lanes) == urgent


def test_what_was_refused_before_is_known_when_it_comes_again():
    demand = _demand("1.1", "1.2")
    demand.refuse(B, "user rejection")
    assert demand.see([instance(1, "1.2"), instance(2, "1.3"), instance(3, "1.2")]) == [B]
    assert demand.wanted([]) == [A, C]
