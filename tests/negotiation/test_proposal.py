"""The proposals of each kind; test_like_storescu compares storescu's with the real ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import HTJ2K, JPEG2000, HTJ2KLossless

from asyncstore.cli.options.rows import PROPOSE
from asyncstore.errors import UsageError
from asyncstore.negotiation import Listed, Planned, carrier, listed, plan
from asyncstore.negotiation.proposal import CHOICES, STORESCU_SOP_CLASSES
from asyncstore.protocol.associate import MOST_CONTEXTS

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"

_PAIRS = st.lists(st.tuples(st.integers(0, 200).map("1.2.{}".format), st.integers(0, 9).map("1.3.{}".format)))


def proposed(proposal, *pairs):
    return [(context.abstract_syntax, context.transfer_syntaxes) for context in proposal.contexts(pairs)]


def test_every_option_that_chooses_a_transfer_syntax_has_one():
    assert [f"--propose-{choice}" for choice in CHOICES] == list(PROPOSE)


def test_an_unknown_choice_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="'bogus' is no transfer syntax to propose; there are uncompr, little, big, "):
        listed("bogus")


@given(st.sampled_from(list(CHOICES)), st.booleans(), st.booleans(), _PAIRS)
def test_ids_are_odd_and_unique_and_fit_into_a_byte(choice, required, combined, pairs):
    contexts = listed(choice, required=required, combined=combined).contexts(pairs)
    assert [context.id for context in contexts] == list(range(1, 2 * len(contexts), 2))
    assert len(contexts) <= MOST_CONTEXTS


@given(st.sampled_from(list(CHOICES)), st.booleans(), _PAIRS)
def test_a_sop_class_has_all_its_contexts_or_none_and_the_most_urgent_come_first(choice, combined, pairs):
    proposal = listed(choice, required=True, combined=combined)
    contexts = proposed(proposal, *pairs)
    classes = list(dict.fromkeys(sop_class for sop_class, _ in pairs))
    taken = list(dict.fromkeys(sop_class for sop_class, _ in contexts))
    assert taken == classes[: len(taken)]
    assert contexts == [(sop_class, group) for sop_class in taken for group in proposal.groups]
    assert len(contexts) + len(proposal.groups) > MOST_CONTEXTS or taken == classes


def test_a_listed_proposal_depends_on_the_files_only_if_required():
    assert proposed(listed("rle")) == proposed(listed("rle"), ("1.2.3", JPEG))
    assert proposed(listed("rle", required=True), (MR, JPEG), (CT, RLE), (MR, RLE)) == [
        (MR, (RLE,)),
        (MR, (EXPLICIT, BIG, IMPLICIT)),
        (CT, (RLE,)),
        (CT, (EXPLICIT, BIG, IMPLICIT)),
    ]
    assert listed(required=True).needs_all_files
    assert not listed().needs_all_files


def test_the_preferred_transfer_syntax_is_no_fallback():
    assert listed("big").groups == ((BIG,), (EXPLICIT, IMPLICIT))
    assert listed("big", combined=True).groups == ((BIG, EXPLICIT, IMPLICIT),)


@pytest.mark.parametrize("choice", ["implicit", "mpeg2", "hevc10"])
def test_video_and_implicit_vr_have_no_fallback(choice):
    assert listed(choice).groups == listed(choice, combined=True).groups == ((CHOICES[choice][0],),)


def test_the_sop_classes_fill_an_association():
    assert len(STORESCU_SOP_CLASSES) == len(set(STORESCU_SOP_CLASSES)) == MOST_CONTEXTS // 2
    assert len(proposed(listed("lossless"))) == MOST_CONTEXTS


@pytest.mark.slow
@given(_PAIRS)
def test_a_planned_proposal_is_the_plan(pairs):
    assert Planned().contexts(pairs) == plan(pairs)
    assert not Planned().needs_all_files


def test_only_the_deflated_choice_prefers_deflated():
    assert [choice for choice in CHOICES if listed(choice).prefers_deflated] == ["deflated"]
    assert not Planned().prefers_deflated
    assert isinstance(listed(), Listed)


# The context for an instance.


@pytest.mark.parametrize(
    ("transfer_syntax", "accepted", "chosen"),
    [
        (JPEG, [(CT, IMPLICIT), (CT, EXPLICIT), (CT, JPEG)], JPEG),
        (JPEG, [(CT, RLE), (CT, IMPLICIT), (CT, EXPLICIT)], EXPLICIT),
        (JPEG, [(CT, IMPLICIT), (CT, BIG), (CT, EXPLICIT)], BIG),
        (IMPLICIT, [(CT, JPEG), (CT, BIG)], BIG),
        (JPEG, [(CT, RLE), (CT, IMPLICIT)], IMPLICIT),
        (EXPLICIT, [(CT, RLE), (CT, JPEG)], RLE),
        (EXPLICIT, [(MR, EXPLICIT), (CT, JPEG)], JPEG),
        (EXPLICIT, [(MR, EXPLICIT)], None),
        (EXPLICIT, [], None),
    ],
)
def test_carrier_prefers_the_own_transfer_syntax_then_explicit_then_implicit_then_any(
    transfer_syntax, accepted, chosen
):
    by_pair = {pair: 2 * index + 1 for index, pair in enumerate(accepted)}
    assert carrier(CT, transfer_syntax, by_pair) == chosen


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_uncompressed_data_sets_prefer_deflated(transfer_syntax):
    everything = [(CT, uid) for uid in (IMPLICIT, BIG, EXPLICIT, DEFLATED)]
    assert carrier(CT, transfer_syntax, everything, prefers_deflated=True) == DEFLATED
    assert carrier(CT, transfer_syntax, everything) == transfer_syntax
    assert carrier(CT, transfer_syntax, [(CT, IMPLICIT), (CT, EXPLICIT)], prefers_deflated=True) == EXPLICIT


def test_compressed_data_sets_do_not_prefer_deflated():
    assert carrier(CT, JPEG, [(CT, DEFLATED), (CT, JPEG)], prefers_deflated=True) == JPEG


@pytest.mark.parametrize(
    ("choice", "uid"),
    [
        ("htj2k", HTJ2K),
        ("htj2k-lossless", HTJ2KLossless),
        (
            "jpegxl",
            "1.2.840.10008.1.2.4.112",
        ),  # pydicom 3.0 has no name for it; UID_JPEGXLTransferSyntax of DCMTK 3.7.0
    ],
)
@pytest.mark.parametrize("combined", [False, True])
def test_our_own_choices_are_proposed_like_jpeg_2000(choice, uid, combined):
    """test_like_storescu compares those of JPEG 2000 with the real storescu's."""
    theirs, ours = (listed(name, combined=combined) for name in ("j2k-lossy", choice))
    assert ours.groups == tuple(tuple(uid if one == JPEG2000 else one for one in group) for group in theirs.groups)
    assert ours.groups[0][0] == uid
    assert [context.abstract_syntax for context in ours.contexts(())] == [
        context.abstract_syntax for context in theirs.contexts(())
    ]
