"""What is transcoded, into what, and what is proposed for it."""

import pytest

from asyncstore.negotiation import NO_TRANSCODING, Planned, Transcoding, listed
from asyncstore.negotiation.selection import Handling, Selection, if_all_is_accepted

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
JPEG_LS, VIDEO = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.102"
CT = "1.2.840.10008.5.1.4.1.1.2"
CODECS = Transcoding(frozenset((JPEG, RLE, JPEG_LS)), (JPEG_LS, RLE), frozenset())


def _selection(accepted, wanted, transcoding=CODECS):
    proposal = Planned().allowing(transcoding)
    return Selection(proposal, proposal.contexts([(CT, uid) for uid in wanted]), [(CT, uid) for uid in accepted])


@pytest.mark.parametrize(
    ("accepted", "target"),
    [
        ([JPEG], JPEG),
        ([EXPLICIT, JPEG], JPEG),
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([BIG, IMPLICIT], IMPLICIT),
        ([BIG, DEFLATED], DEFLATED),
        ([RLE, BIG], BIG),
        ([RLE, JPEG_LS], JPEG_LS),
        ([VIDEO], None),
        ([], None),
    ],
)
def test_a_compressed_pair_goes_as_it_is_or_uncompressed_or_else_compressed_without_losses(accepted, target):
    selection = _selection(accepted, [JPEG])
    assert selection.transfer_syntax((CT, JPEG)) == target
    assert ((CT, JPEG) in selection) is (target is not None)
    assert ((CT, JPEG) in set(selection)) is (target is not None)
    expected = Handling.REFUSED if target is None else Handling.AS_IT_IS if target == JPEG else Handling.TRANSCODED
    assert selection.handling((CT, JPEG)) is expected


@pytest.mark.parametrize(
    ("accepted", "target", "handling"),
    [
        ([EXPLICIT, RLE], EXPLICIT, Handling.AS_IT_IS),
        ([RLE, IMPLICIT], IMPLICIT, Handling.REENCODED),
        ([RLE, JPEG_LS], JPEG_LS, Handling.TRANSCODED),
        ([VIDEO, RLE], RLE, Handling.TRANSCODED),
        ([JPEG], JPEG, Handling.IF_NO_PIXEL_DATA),
    ],
)
def test_an_uncompressed_pair_is_compressed_only_where_nothing_else_is_accepted(accepted, target, handling):
    selection = _selection(accepted, [EXPLICIT, *accepted])
    assert selection.transfer_syntax((CT, EXPLICIT)) == target
    assert selection.handling((CT, EXPLICIT)) is handling


def test_the_plan_proposes_what_can_be_decompressed_into_in_a_context_of_its_own():
    contexts = Planned().allowing(CODECS).contexts([(CT, JPEG), (CT, RLE)])
    assert [context.transfer_syntaxes for context in contexts] == [(JPEG,), (RLE,), (EXPLICIT, IMPLICIT)]
    contexts = Planned().allowing(CODECS).contexts([(CT, VIDEO)])
    assert [context.transfer_syntaxes for context in contexts] == [(VIDEO,)]


def test_a_request_without_those_does_not_settle_the_pair():
    proposal = Planned().allowing(CODECS)
    contexts = proposal.contexts([(CT, JPEG)])
    assert proposal.covers(contexts, (CT, JPEG))
    assert not proposal.covers(contexts[:1], (CT, JPEG))
    assert proposal.allowing(NO_TRANSCODING).covers(contexts[:1], (CT, JPEG))


def test_a_listed_proposal_stays_what_it_is():
    assert listed().allowing(CODECS).contexts(()) == listed().contexts(())


def test_if_all_is_accepted_a_planned_proposal_transcodes_nothing():
    proposal = Planned().allowing(CODECS)
    selection = if_all_is_accepted(proposal, proposal.contexts([(CT, JPEG), (CT, EXPLICIT)]))
    assert selection.handling((CT, JPEG)) is selection.handling((CT, EXPLICIT)) is Handling.AS_IT_IS


def test_the_answer_says_what_is_done():
    selection = _selection([EXPLICIT], [JPEG])
    assert selection.answer((CT, JPEG))[2:] == (True, "in LittleEndianExplicit: decompressed")
    selection = _selection([RLE], [EXPLICIT, RLE])
    assert selection.answer((CT, EXPLICIT))[2:] == (True, "in RLELossless: compressed")


def test_without_a_codec_the_reason_names_the_extra():
    selection = _selection([EXPLICIT], [JPEG, EXPLICIT], NO_TRANSCODING._replace(missing=frozenset((JPEG,))))
    assert selection.transfer_syntax((CT, JPEG)) is None
    assert selection.why_not((CT, JPEG)) == (
        "the peer takes it in LittleEndianExplicit, into which it is not converted; "
        "its codec could decompress it: install asyncstore with its extra codecs"
    )
    assert "extra codecs" not in selection.why_not((CT, VIDEO))


def test_losses_are_for_proposals_that_name_such_a_transfer_syntax_and_for_peers_that_take_nothing_else():
    lossy = CODECS._replace(lossy=(VIDEO,))
    assert Planned().allowing(lossy).transcoding == CODECS
    proposal = listed().allowing(lossy)
    for accepted, target in (([VIDEO], VIDEO), ([VIDEO, RLE], RLE), ([VIDEO, EXPLICIT], EXPLICIT)):
        selection = Selection(proposal, proposal.contexts(()), [(CT, uid) for uid in accepted])
        assert selection.transfer_syntax((CT, JPEG)) == target
        assert selection.handling((CT, JPEG)) is Handling.TRANSCODED
    selection = Selection(proposal, proposal.contexts(()), [(CT, VIDEO)])
    assert selection.answer((CT, EXPLICIT)).answer.endswith(": compressed with losses")
