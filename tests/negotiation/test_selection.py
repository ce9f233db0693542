"""What an association carries, and in which portions it is to be converted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Oddity
from asyncstore.negotiation import Planned, listed
from asyncstore.negotiation.selection import Handling, Selection, if_all_is_accepted, pairs_of
from support import values

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def _selection(accepted, proposal=None, *, wanted=(), changes_everything=False):
    proposal = proposal or listed()
    contexts = proposal.contexts(wanted)
    pairs = {pair: number for number, pair in enumerate(accepted)}
    return Selection(proposal, contexts, pairs, changes_everything=changes_everything)


def _instances(*transfer_syntaxes, length=10):
    return [values.instance(str(number), CT, "1.2", uid, 0, length) for number, uid in enumerate(transfer_syntaxes)]


def _portions(selection, instances):
    for one in instances:
        assert (one.sop_class_uid, one.transfer_syntax_uid) in selection
    return [([one.path for one in portion], target) for portion, target in selection.portions(instances)]


def test_who_lacks_a_sop_class_among_those_proposed_is_told_how_to_propose_it():
    contexts = [context for context in listed().contexts(()) if context.abstract_syntax != MR]
    assert Selection(listed(), contexts, ()).why_not((MR, EXPLICIT)) == ("the SOP class is not among those proposed")


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
    assert _selection([(CT, uid) for uid in accepted]).why_not((CT, JPEG)) == reason


_NOTHING, _USER = "the peer did not answer it", "user rejection"


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ({}, _NOTHING),
        ({(CT, EXPLICIT): _USER}, _USER),
        ({(CT, EXPLICIT): _USER, (CT, JPEG): "no reason"}, "no reason"),
        ({(MR, EXPLICIT): _USER}, _NOTHING),
    ],
)
def test_a_refused_pair_has_the_words_of_the_peer_for_it_or_for_its_sop_class(results, reason):
    assert Selection(listed(), listed().contexts(()), (), results).why_not((CT, JPEG)) == reason


@pytest.mark.parametrize(
    ("accepted", "syntax", "handling", "answer"),
    [
        ([EXPLICIT], EXPLICIT, Handling.AS_IT_IS, (True, "accepted")),
        ([EXPLICIT], IMPLICIT, Handling.REENCODED, (True, "in LittleEndianExplicit: converted")),
        ([JPEG], EXPLICIT, Handling.IF_NO_PIXEL_DATA, (False, "not answered")),
        ([EXPLICIT], JPEG, Handling.REFUSED, (False, "not proposed")),
    ],
)
def test_what_happens_to_a_pair_is_decided_once_for_sending_and_for_asking(accepted, syntax, handling, answer):
    pairs = [(CT, uid) for uid in accepted]
    selection = Selection(listed(), listed().contexts(()), pairs, dict.fromkeys(pairs, "accepted"))
    assert selection.handling((CT, syntax)) is handling
    assert selection.answer((CT, syntax)) == (CT, syntax, *answer)


@given(st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG, RLE]), st.sampled_from([listed(), Planned()]))
def test_if_all_is_accepted_every_proposed_pair_is_sent_as_it_is(syntax, proposal):
    contexts = proposal.contexts([(CT, syntax)])
    selection = if_all_is_accepted(proposal, contexts)
    for pair in pairs_of(contexts):
        assert selection.handling(pair) is Handling.AS_IT_IS or pair not in selection.coverage
    assert (selection.handling((CT, syntax)) is Handling.REFUSED) == ((CT, syntax) not in selection)


def test_what_is_accepted_as_it_is_goes_out_as_it_is():
    selection = _selection([(CT, EXPLICIT), (CT, IMPLICIT)])
    assert selection.transfer_syntax((CT, IMPLICIT)) == IMPLICIT
    assert _portions(selection, _instances(IMPLICIT, EXPLICIT, IMPLICIT)) == [(["0", "1", "2"], None)]
    assert not selection.converts


def test_what_is_not_goes_out_in_what_is_accepted():
    selection = _selection([(CT, EXPLICIT)])
    assert {selection.transfer_syntax((CT, uid)) for uid in (IMPLICIT, BIG, DEFLATED)} == {EXPLICIT}
    assert selection.converts


def test_what_would_have_to_be_decompressed_is_not_carried():
    selection = _selection([(CT, EXPLICIT), (CT, RLE)])
    assert selection.transfer_syntax((CT, JPEG)) is None
    assert (CT, JPEG) not in selection


def test_what_may_have_no_pixel_data_is_carried_in_any_transfer_syntax():
    assert _selection([(CT, JPEG)]).transfer_syntax((CT, EXPLICIT)) == JPEG


def test_another_sop_class_is_not_carried():
    assert (MR, EXPLICIT) not in _selection([(CT, EXPLICIT)])


def test_what_another_association_may_take_as_it_is_is_not_converted():
    """With planned contexts, those that did not fit into this association are proposed in the next one."""
    selection = _selection([(CT, EXPLICIT)], Planned(), wanted=[(CT, EXPLICIT)])
    assert (CT, BIG) not in selection


def test_deflated_is_preferred_where_it_is_asked_for():
    accepted = [(CT, EXPLICIT), (CT, DEFLATED)]
    assert _selection(accepted).transfer_syntax((CT, EXPLICIT)) == EXPLICIT
    assert _selection(accepted, listed("deflated")).transfer_syntax((CT, EXPLICIT)) == DEFLATED


def test_portions_keep_the_order():
    selection = _selection([(CT, EXPLICIT), (CT, JPEG)])
    instances = _instances(EXPLICIT, IMPLICIT, BIG, JPEG, JPEG, IMPLICIT)
    assert _portions(selection, instances) == [
        (["0"], None),
        (["1", "2"], EXPLICIT),
        (["3", "4"], None),
        (["5"], EXPLICIT),
    ]


def test_where_everything_changes_nothing_goes_out_as_it_is():
    selection = _selection([(CT, EXPLICIT), (CT, JPEG)], changes_everything=True)
    assert _portions(selection, _instances(EXPLICIT, JPEG, JPEG)) == [(["0"], EXPLICIT), (["1", "2"], JPEG)]


def test_portions_are_small():
    selection = _selection([(CT, EXPLICIT)])
    many = [len(paths) for paths, _ in _portions(selection, _instances(*[IMPLICIT] * 100))]
    assert many == [32, 32, 32, 4]
    large = [len(paths) for paths, _ in _portions(selection, _instances(*[IMPLICIT] * 4, length=3_000_000))]
    assert large == [1, 1, 1, 1]
    as_it_is = [len(paths) for paths, _ in _portions(selection, _instances(*[EXPLICIT] * 100, IMPLICIT))]
    assert as_it_is == [100, 1]


@given(
    st.lists(st.sampled_from([IMPLICIT, EXPLICIT, BIG, JPEG]), min_size=1, max_size=100),
    st.booleans(),
    st.integers(0, 1 << 22),
)
def test_every_instance_is_in_one_portion(transfer_syntaxes, changes_everything, length):
    selection = _selection([(CT, EXPLICIT), (CT, JPEG)], changes_everything=changes_everything)
    instances = _instances(*transfer_syntaxes, length=length)
    portions = _portions(selection, instances)
    assert [path for paths, _ in portions for path in paths] == [one.path for one in instances]
    assert all(paths for paths, _ in portions)


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG])
def test_what_has_values_of_odd_length_is_rewritten_also_where_its_transfer_syntax_was_accepted(syntax):
    selection = _selection([(CT, syntax)], Planned(), wanted=[(CT, syntax)])
    instances = _instances(syntax, syntax, syntax, syntax)
    instances[1] = instances[1]._replace(oddities=Oddity.ODD_VALUES | Oddity.UNUSUAL_UID)
    instances[3] = instances[3]._replace(oddities=Oddity.UNUSUAL_UID)
    assert _portions(selection, instances) == [(["0"], None), (["1"], syntax), (["2", "3"], None)]
