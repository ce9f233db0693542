"""Which pairs a request settles, and how many requests settle all pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.negotiation import Coverage, Planned, listed, requests
from asyncstore.negotiation.profile import Profiled
from asyncstore.protocol.associate import MOST_CONTEXTS, ProposedContext

pytestmark = pytest.mark.slow

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"

PROFILED = Profiled((ProposedContext(1, CT, (EXPLICIT,)),))
PROPOSALS = [Planned(), listed(), listed(required=True), listed("rle", required=True, combined=True), PROFILED]
_PAIRS = st.lists(
    st.tuples(
        st.integers(0, 200).map("1.2.{}".format),
        st.sampled_from([IMPLICIT, EXPLICIT, BIG, JPEG, *(f"1.3.{number}" for number in range(4))]),
    )
)


@pytest.mark.parametrize("proposal", PROPOSALS)
@given(pairs=_PAIRS, others=_PAIRS)
def test_a_request_settles_what_its_proposal_says(proposal, pairs, others):
    contexts = proposal.contexts(pairs)
    coverage = Coverage(proposal, contexts)
    settled = [pair for pair in (*pairs, *others, (CT, JPEG)) if proposal.covers(contexts, pair)]
    assert [pair for pair in (*pairs, *others, (CT, JPEG)) if pair in coverage] == settled
    assert coverage.settled({*pairs, *others, (CT, JPEG)}) == set(settled)


@pytest.mark.parametrize("proposal", PROPOSALS)
@given(pairs=_PAIRS)
def test_every_pair_is_settled_by_one_request(proposal, pairs):
    made = requests(proposal, pairs)
    assert sorted(pair for request in made for pair in request.pairs) == sorted(set(pairs))
    for contexts, settled in made:
        assert len(contexts) <= MOST_CONTEXTS
        assert all(proposal.covers(contexts, pair) for pair in settled)


class _Counting:
    """A proposal that counts the work asked of it."""

    def __init__(self, proposal):
        self._proposal = proposal
        self.looked_at = 0
        self.prefers_deflated = proposal.prefers_deflated

    def contexts(self, pairs):
        pairs = list(pairs)
        self.looked_at += len(pairs)
        return self._proposal.contexts(pairs)

    def covers(self, contexts, pair):
        self.looked_at += 1
        return self._proposal.covers(contexts, pair)


MANY_CLASSES = [(f"1.2.{number}", EXPLICIT) for number in range(20_000)]
MANY_SYNTAXES = [(CT, f"1.3.{number}") for number in range(20_000)]


@pytest.mark.parametrize("pairs", [MANY_CLASSES, MANY_SYNTAXES], ids=["classes", "syntaxes"])
@pytest.mark.parametrize("proposal", PROPOSALS)
def test_the_work_grows_linearly_with_the_pairs(proposal, pairs):
    few, many = _Counting(proposal), _Counting(proposal)
    requests(few, pairs[: len(pairs) // 10])
    requests(many, pairs)
    assert many.looked_at < 20 * few.looked_at + 10 * MOST_CONTEXTS


@pytest.mark.parametrize(
    ("proposal", "pairs", "count"),
    [
        (Planned(), MANY_CLASSES, -(-20_000 // (MOST_CONTEXTS // 2))),
        (Planned(), MANY_SYNTAXES, -(-20_000 // MOST_CONTEXTS)),
        (listed(), MANY_CLASSES, 1),
        (listed(), MANY_SYNTAXES, 1),
        (listed(required=True), MANY_CLASSES, -(-20_000 // (MOST_CONTEXTS // 2))),
        (listed(required=True), MANY_SYNTAXES, 1),
        (PROFILED, MANY_CLASSES, 1),
    ],
)
def test_no_request_is_superfluous(proposal, pairs, count):
    assert len(requests(proposal, pairs)) == count
    assert requests(proposal, ()) == []


class _Useless:
    """A proposal that never settles a pair."""

    prefers_deflated = False

    def contexts(self, pairs):  # noqa: ARG002 - as of any proposal
        return (ProposedContext(1, MR, (EXPLICIT,)),)

    def covers(self, contexts, pair):  # noqa: ARG002 - as of any proposal
        return False


def test_a_proposal_that_settles_nothing_does_not_loop():
    ((_, pairs),) = requests(_Useless(), [(CT, EXPLICIT), (CT, JPEG)])
    assert pairs == [(CT, EXPLICIT), (CT, JPEG)]
