"""What an association carries, and in which portions it is to be converted."""

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Instance, Oddity
from asyncstore.negotiation import Planned, listed, pair_of
from asyncstore.schedule.carriage import Carriage, why_not

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def _carriage(accepted, proposal=None, *, wanted=(), changes_everything=False):
    proposal = proposal or listed()
    contexts = proposal.contexts(wanted)
    pairs = {pair: number for number, pair in enumerate(accepted)}
    return Carriage(proposal, contexts, pairs, changes_everything=changes_everything)


def _instances(*transfer_syntaxes, length=10):
    return [Instance(str(number), CT, "1.2", uid, 0, length) for number, uid in enumerate(transfer_syntaxes)]


def _portions(carriage, instances):
    for one in instances:
        assert pair_of(one.sop_class_uid, one.transfer_syntax_uid) in carriage
    return [([one.path for one in portion], target) for portion, target in carriage.portions(instances)]


class _Accepting:
    """An association in which nothing was accepted."""

    accepted: ClassVar = {}
    results: ClassVar = {}


def test_who_lacks_a_sop_class_among_those_proposed_is_told_how_to_propose_it():
    reason = why_not((MR, EXPLICIT), [context for context in listed().contexts(()) if context.abstract_syntax != MR],
                     _Accepting())  # fmt: skip
    assert reason == "the SOP class is not among those proposed"


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        ([EXPLICIT], "the peer takes it in LittleEndianExplicit, into which it is not converted"),
        (
            [EXPLICIT, IMPLICIT],
            "the peer takes it in LittleEndianExplicit and LittleEndianImplicit, into which it is not converted",
        ),
        (
            [EXPLICIT, IMPLICIT, *(f"1.3.{number}" for number in range(10))],
            (
                "the peer takes it in LittleEndianExplicit, LittleEndianImplicit and 10 more, "
                "into which it is not converted"
            ),
        ),
    ],
)
def test_a_reason_names_two_transfer_syntaxes_at_most(accepted, reason):
    association = _Accepting()
    association.accepted = {(CT, uid): 1 for uid in accepted}
    assert why_not((CT, JPEG), listed().contexts(()), association) == reason


def test_what_is_accepted_as_it_is_goes_out_as_it_is():
    carriage = _carriage([(CT, EXPLICIT), (CT, IMPLICIT)])
    assert carriage.transfer_syntax((CT, IMPLICIT)) == IMPLICIT
    assert _portions(carriage, _instances(IMPLICIT, EXPLICIT, IMPLICIT)) == [(["0", "1", "2"], None)]
    assert not carriage.converts


def test_what_is_not_goes_out_in_what_is_accepted():
    carriage = _carriage([(CT, EXPLICIT)])
    assert {carriage.transfer_syntax((CT, uid)) for uid in (IMPLICIT, BIG, DEFLATED)} == {EXPLICIT}
    assert carriage.converts


def test_what_would_have_to_be_decompressed_is_not_carried():
    carriage = _carriage([(CT, EXPLICIT), (CT, RLE)])
    assert carriage.transfer_syntax((CT, JPEG)) is None
    assert (CT, JPEG) not in carriage


def test_what_may_have_no_pixel_data_is_carried_in_any_transfer_syntax():
    assert _carriage([(CT, JPEG)]).transfer_syntax((CT, EXPLICIT)) == JPEG


def test_another_sop_class_is_not_carried():
    assert (MR, EXPLICIT) not in _carriage([(CT, EXPLICIT)])


def test_what_another_association_may_take_as_it_is_is_not_converted():
    """With planned contexts, those that did not fit into this association are proposed in the next one."""
    carriage = _carriage([(CT, EXPLICIT)], Planned(), wanted=[(CT, EXPLICIT)])
    assert (CT, BIG) not in carriage


def test_deflated_is_preferred_where_it_is_asked_for():
    accepted = [(CT, EXPLICIT), (CT, DEFLATED)]
    assert _carriage(accepted).transfer_syntax((CT, EXPLICIT)) == EXPLICIT
    assert _carriage(accepted, listed("deflated")).transfer_syntax((CT, EXPLICIT)) == DEFLATED


def test_portions_keep_the_order():
    carriage = _carriage([(CT, EXPLICIT), (CT, JPEG)])
    instances = _instances(EXPLICIT, IMPLICIT, BIG, JPEG, JPEG, IMPLICIT)
    assert _portions(carriage, instances) == [
        (["0"], None),
        (["1", "2"], EXPLICIT),
        (["3", "4"], None),
        (["5"], EXPLICIT),
    ]


def test_where_everything_changes_nothing_goes_out_as_it_is():
    carriage = _carriage([(CT, EXPLICIT), (CT, JPEG)], changes_everything=True)
    assert _portions(carriage, _instances(EXPLICIT, JPEG, JPEG)) == [(["0"], EXPLICIT), (["1", "2"], JPEG)]


def test_portions_are_small():
    carriage = _carriage([(CT, EXPLICIT)])
    many = [len(paths) for paths, _ in _portions(carriage, _instances(*[IMPLICIT] * 100))]
    assert many == [32, 32, 32, 4]
    large = [len(paths) for paths, _ in _portions(carriage, _instances(*[IMPLICIT] * 4, length=3_000_000))]
    assert large == [1, 1, 1, 1]
    as_it_is = [len(paths) for paths, _ in _portions(carriage, _instances(*[EXPLICIT] * 100, IMPLICIT))]
    assert as_it_is == [100, 1]


@given(
    st.lists(st.sampled_from([IMPLICIT, EXPLICIT, BIG, JPEG]), min_size=1, max_size=100),
    st.booleans(),
    st.integers(0, 1 << 22),
)
def test_every_instance_is_in_one_portion(transfer_syntaxes, changes_everything, length):
    carriage = _carriage([(CT, EXPLICIT), (CT, JPEG)], changes_everything=changes_everything)
    instances = _instances(*transfer_syntaxes, length=length)
    portions = _portions(carriage, instances)
    assert [path for paths, _ in portions for path in paths] == [one.path for one in instances]
    assert all(paths for paths, _ in portions)


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG])
def test_what_has_values_of_odd_length_is_rewritten_also_where_its_transfer_syntax_was_accepted(syntax):
    carriage = _carriage([(CT, syntax)], Planned(), wanted=[(CT, syntax)])
    instances = _instances(syntax, syntax, syntax, syntax)
    instances[1] = instances[1]._replace(oddities=Oddity.ODD_VALUES | Oddity.UNUSUAL_UID)
    instances[3] = instances[3]._replace(oddities=Oddity.UNUSUAL_UID)
    assert _portions(carriage, instances) == [(["0"], None), (["1"], syntax), (["2", "3"], None)]
