"""pydicom's collection in each transfer syntax that is not compressed, as storescu sends it and as asyncstore does."""

from __future__ import annotations

import pytest

from support.differential.acceptors import accepts_only
from support.differential.conversation import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from support.differential.programs import INPUTS
from support.peers.hostile import Behaviour
from support.trees import pydicom_test_files

pytestmark = pytest.mark.peers

NAMED_BY_META_ONLY = {"no_meta_group_length.dcm", "priv_SQ.dcm"}
"""The difference "a data set without a SOP class or SOP instance UID"."""
_LIMIT = 100_000
"""Bytes of a file: larger ones hold more pixels, nothing else."""


@pytest.fixture(scope="module")
def paths():
    return [
        str(path)
        for path in pydicom_test_files()
        if path.stat().st_size < _LIMIT and "TINY_ALPHA" not in path.parts and path.name not in NAMED_BY_META_ONLY
    ]


@pytest.mark.parametrize("options", [[], ["-u"]], ids=["", "-u"])
@pytest.mark.parametrize(
    ("choice", "transfer_syntax"),
    [("-xi", IMPLICIT_LITTLE), ("-xe", EXPLICIT_LITTLE), ("-xb", EXPLICIT_BIG), ("-xd", DEFLATED_LITTLE)],
)
def test_what_is_converted_has_the_same_elements(recorder, paths, choice, transfer_syntax, options):
    behaviour = Behaviour(on_request=accepts_only(transfer_syntax))
    theirs, ours = recorder.both(choice, *options, "-R", "-nh", INPUTS, *paths, behaviour=behaviour)
    assert len(theirs.stored) > 40
    assert {store.transfer_syntax_uid for store in theirs.stored} == {transfer_syntax}
    assert ours.stored == theirs.stored
    assert ours.proposals == theirs.proposals
