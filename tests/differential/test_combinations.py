"""Options in any combination, files in any order, and peers of every kind: storescu and asyncstore do the same."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from support.differential.acceptors import REQUESTS, STATUSES
from support.differential.alike import assert_alike
from support.differential.programs import INPUTS, asyncstore, over_four_associations
from support.differential.words import CHOICES
from support.examples import examples
from support.peers.hostile import Behaviour

pytestmark = pytest.mark.peers

COMMON = ["ct", "report", "colour", "jpeg", "rle", "jpeg-ls", "jpeg-2000", "big-endian", "document"]
SLOW = ["implicit", "sequences", "deflated"]
"""Those for which a worker imports pydicom."""
FLAGS = ["--abort", "-u", "-up", "+f", "+fo", "-ta 20", "-to 5", "-td 20"]


@st.composite
def options(draw):
    """Options that go together, among them one that says what to propose."""
    words = draw(st.lists(st.sampled_from(CHOICES), max_size=1))
    words += draw(st.lists(st.sampled_from(["-R", "+C"]), min_size=not words, unique=True, max_size=2))
    words += draw(st.sampled_from([[], ["-nh"]]))
    words += " ".join(draw(st.lists(st.sampled_from(FLAGS), max_size=2, unique=True))).split()
    words += draw(st.sampled_from([[], [], ["-aet", "US"], ["-aet", "US", "-aec", "THE PEER"]]))
    words += draw(st.sampled_from([[], [], ["-pdu", "4096"], ["-pdu", "131072", "--max-send-pdu", "4098"]]))
    words += draw(st.sampled_from([[], [], ["-usr", "me"], ["-usr", "me", "-pwd", "-x"], ["-usr", "me", "-epw"]]))
    words += draw(st.sampled_from([[], [], ["--repeat", "2"]]))
    if "-xd" in words:
        words += draw(st.sampled_from([[], ["+cl", "0"], ["+cl", "9"]]))
    return words


def check(recorder, archive, words, names, request, status):
    """Run both and compare."""
    paths = [archive.path(name) for name in names]
    behaviour = Behaviour(on_request=REQUESTS[request], on_store=STATUSES[status])
    theirs, ours = recorder.both(*words, INPUTS, *paths, behaviour=behaviour)
    expected = len(paths) * (2 if "--repeat" in words else 1)
    assert_alike(words, theirs, ours, expected)


REPEATABLE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # each case runs two programs: to find a smaller one would take minutes
)


@pytest.mark.slow
@settings(REPEATABLE, max_examples=examples(180))
@given(
    options(),
    st.lists(st.sampled_from(COMMON), min_size=1, max_size=5),
    st.sampled_from(["accepts all"] * 3 + [*REQUESTS]),
    st.sampled_from(["success"] * 3 + [*STATUSES]),
)
def test_any_combination(recorder, archive, words, names, request_, status):
    check(recorder, archive, words, names, request_, status)


@pytest.mark.slow
@settings(REPEATABLE, max_examples=examples(20))
@given(
    options(),
    st.lists(st.sampled_from(SLOW), min_size=1, max_size=5),
    st.sampled_from([*REQUESTS]),
    st.sampled_from([*STATUSES]),
)
def test_any_combination_with_files_that_are_converted(recorder, archive, words, names, request_, status):
    check(recorder, archive, words, names, request_, status)


@pytest.mark.parametrize("request_", ["accepts all", "MR only"])
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_of_transfer_syntaxes_with_every_peer(recorder, archive, choice, request_):
    check(recorder, archive, [choice, "-nh"], COMMON, request_, "success")


@pytest.mark.slow
@settings(REPEATABLE, max_examples=examples(15))
@given(options().filter(lambda words: "-nh" in words), st.sampled_from(["accepts all", "implicit VR only", "no MR"]))
def test_several_associations_propose_the_same_and_store_the_same(recorder, archive, words, request_):
    paths = [archive.path(name) for name in COMMON] * 3
    behaviour = Behaviour(on_request=REQUESTS[request_])
    one, four = (
        recorder.run(program, *words, INPUTS, *paths, behaviour=behaviour)
        for program in (asyncstore, over_four_associations)
    )
    assert {*four.proposals} == {*one.proposals}
    assert sorted(four.stored) == sorted(one.stored)
    assert four.said.code == one.said.code
