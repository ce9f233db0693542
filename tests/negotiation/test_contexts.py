import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from asyncstore.model import IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT
from asyncstore.negotiation import agreed_window, conclude, plan, verification
from asyncstore.negotiation.contexts import is_planned
from asyncstore.protocol.associate import MOST_CONTEXTS, AssociateRequest, ContextResult, ProposedContext
from asyncstore.protocol.deviations import Deviation

_PAIRS = st.lists(st.tuples(st.integers(0, 30).map("1.2.{}".format), st.integers(0, 9).map("1.3.{}".format)))


@given(_PAIRS)
def test_each_pair_gets_one_context_with_its_transfer_syntax_alone(pairs):
    contexts = plan(pairs)
    proposed = [(context.abstract_syntax, *context.transfer_syntaxes) for context in contexts]
    assert len(set(proposed)) == len(proposed) <= MOST_CONTEXTS
    classes = {context.abstract_syntax for context in contexts}
    assert {pair for pair in pairs if pair[0] in classes and len(contexts) < MOST_CONTEXTS} <= set(proposed)


def test_every_pair_is_planned_eventually_with_its_conversions():
    pairs = [(f"1.2.{number}", uid) for number in range(150) for uid in (EXPLICIT, "1.2.840.10008.1.2.4.50")]
    left, associations = pairs, 0
    while left:
        contexts = plan(left)
        planned = [pair for pair in left if is_planned(contexts, pair)]
        assert planned[0] == left[0]
        for abstract, transfer in planned:
            groups = [context.transfer_syntaxes for context in contexts if context.abstract_syntax == abstract]
            assert (transfer,) in groups
            assert (IMPLICIT,) in groups
        left = [pair for pair in left if pair not in planned]
        associations += 1
    assert associations == 4


@pytest.mark.parametrize("uncompressed", [(), (EXPLICIT,), (IMPLICIT,), (EXPLICIT, IMPLICIT), ("1.2.840.10008.1.2.2",)])
@pytest.mark.parametrize("place", [0, 1, 126, 127, 128, 200])
def test_pairs_are_planned_eventually_beside_a_sop_class_too_large_for_an_association(uncompressed, place):
    others = [("1.2.3", f"1.3.{number}") for number in range(200)]
    pairs = [*others[:place], *(("1.2.3", uid) for uid in uncompressed), *others[place:]]
    left, associations = pairs, 0
    while left:
        contexts = plan(left)
        left = [pair for pair in left if not is_planned(contexts, pair)]
        associations += 1
    assert associations == 2


@given(_PAIRS)
def test_context_ids_are_odd_and_unique_and_fit_into_a_byte(pairs):
    ids = [context.id for context in plan(pairs)]
    assert ids == list(range(1, 2 * len(ids), 2))
    assert all(number <= 0xFF for number in ids)


def test_contexts_beyond_128_are_left_out():
    pairs = [(f"1.2.{number}", "1.3") for number in range(MOST_CONTEXTS + 10)]
    contexts = plan(iter(pairs))
    assert [context.abstract_syntax for context in contexts] == [abstract for abstract, _ in pairs[:MOST_CONTEXTS]]
    assert len(AssociateRequest.decode(AssociateRequest("A", "B", contexts, 0).encode()[6:]).contexts) == MOST_CONTEXTS


def test_without_pairs_nothing_is_proposed():
    assert plan(()) == ()


def test_verification_proposes_implicit_vr_in_one_context():
    assert verification() == ((1, "1.2.840.10008.1.1", (IMPLICIT,)),)


# The answer.


@pytest.mark.slow
@given(_PAIRS, st.lists(st.integers(0, 4), min_size=MOST_CONTEXTS, max_size=MOST_CONTEXTS), st.randoms())
def test_each_pair_is_carried_by_the_context_it_was_accepted_in(pairs, results, random):
    proposed = plan(pairs)
    answers = [
        ContextResult(context.id, result, context.transfer_syntaxes[0])
        for context, result in zip(proposed, results, strict=False)
    ]
    random.shuffle(answers)
    agreement = conclude(proposed, answers)
    accepted = {answer.id for answer in answers if answer.result == 0}
    by_pair = {(context.abstract_syntax, context.transfer_syntaxes[0]): context.id for context in proposed}
    assert agreement.accepted == {pair: number for pair, number in by_pair.items() if number in accepted}
    assert agreement.results.keys() == by_pair.keys()
    assert agreement.transfer_syntaxes == {number: pair[1] for pair, number in agreement.accepted.items()}
    for pair, words in agreement.results.items():
        assert (words == "accepted") == (pair in agreement.accepted)


def test_a_refused_context_may_come_without_its_transfer_syntax():
    proposed = plan([("1.2", "1.3")])
    agreement = conclude(proposed, [ContextResult(1, 3, "")])
    assert agreement == ({}, {("1.2", "1.3"): "abstract syntax not supported"}, {})


def test_an_unanswered_context_has_no_result():
    proposed = plan([("1.2", "1.3"), ("1.4", "1.3")])
    assert conclude(proposed, [ContextResult(1, 0, "1.3")]).results.keys() == {("1.2", "1.3")}


def test_the_first_of_two_accepted_contexts_for_a_pair_is_used():
    proposed = [ProposedContext(1, "1.2", ("1.3",)), ProposedContext(3, "1.2", ("1.3", "1.4"))]
    agreement = conclude(proposed, [ContextResult(1, 0, "1.3"), ContextResult(3, 0, "1.3")])
    assert agreement.accepted == {("1.2", "1.3"): 1}
    assert agreement.transfer_syntaxes == {1: "1.3", 3: "1.3"}


@pytest.mark.parametrize("answer", [ContextResult(5, 0, "1.3"), ContextResult(2, 0, "1.3"), ContextResult(5, 3, "")])
def test_an_answer_to_an_unproposed_context_is_noticed_and_ignored(answer):
    noticed = []
    agreement = conclude(plan([("1.2", "1.3")]), [answer, ContextResult(1, 0, "1.3")], noticed.append)
    assert agreement == ({("1.2", "1.3"): 1}, {("1.2", "1.3"): "accepted"}, {1: "1.3"})
    assert noticed == [Deviation.UNPROPOSED_CONTEXT]


@pytest.mark.parametrize(("transfer_syntax", "words"), [("1.4", "1.4"), ("", "no transfer syntax")])
def test_a_context_accepted_in_an_unproposed_transfer_syntax_is_noticed_and_not_used(transfer_syntax, words):
    noticed = []
    answers = [ContextResult(1, 0, transfer_syntax), ContextResult(3, 0, "1.4")]
    agreement = conclude(plan([("1.2", "1.3"), ("1.2", "1.4")]), answers, noticed.append)
    assert agreement.accepted == {("1.2", "1.4"): 3}
    assert agreement.transfer_syntaxes == {3: "1.4"}
    assert agreement.results["1.2", "1.3"] == f"accepted in {words}, which was not proposed"
    assert noticed == [Deviation.UNPROPOSED_TRANSFER_SYNTAX]


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        ([ContextResult(1, 0, "1.3"), ContextResult(1, 3, "")], {}),
        ([ContextResult(1, 3, ""), ContextResult(1, 0, "1.3")], {("1.2", "1.3"): 1}),
        ([ContextResult(1, 0, "1.3"), ContextResult(1, 0, "1.4")], {("1.2", "1.4"): 1}),
    ],
)
def test_the_last_of_several_answers_to_a_context_counts(answers, accepted):
    agreement = conclude([ProposedContext(1, "1.2", ("1.3", "1.4"))], answers)
    assert agreement.accepted == accepted
    assert agreement.transfer_syntaxes == {number: syntax for (_, syntax), number in accepted.items()}


@pytest.mark.parametrize(
    ("proposed", "accepted", "agreed"),
    [
        (1, None, 1),
        (1, (8, 8), 1),
        (1, (0, 0), 1),
        (8, None, 1),
        (8, (8, 1), 8),
        (8, (3, 1), 3),
        (8, (100, 1), 8),
        (8, (0, 1), 8),
        (0, None, 1),
        (0, (5, 1), 5),
        (0, (0, 0), 0),
    ],
)
def test_the_acceptor_may_only_lower_the_window(proposed, accepted, agreed):
    assert agreed_window(proposed, accepted) == agreed


def test_the_result_names_the_transfer_syntax_that_the_peer_chose():
    proposed = [ProposedContext(1, "1.2", ("1.3", "1.4")), ProposedContext(3, "1.2", ("1.4", "1.5"))]
    agreement = conclude(proposed, [ContextResult(3, 0, "1.5"), ContextResult(1, 0, "1.4")])
    assert agreement.accepted == {("1.2", "1.5"): 3, ("1.2", "1.4"): 1}
    assert list(agreement.accepted) == [("1.2", "1.5"), ("1.2", "1.4")]
    assert agreement.results == {
        ("1.2", "1.3"): "the peer chose 1.4",
        ("1.2", "1.4"): "accepted",
        ("1.2", "1.5"): "accepted",
    }
