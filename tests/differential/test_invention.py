"""Invented identities: what belongs together is the same; what it is called is not, and need not be."""

from __future__ import annotations

import pytest
from pydicom import dcmread, dcmwrite

from support.differential.programs import INPUTS

pytestmark = pytest.mark.peers

_SOP_INSTANCE_UID, _SERIES_NUMBER, _INSTANCE_NUMBER = 0x00080018, 0x00200011, 0x00200013
_GROUPING = (0x00100010, 0x00100020, 0x0020000D, 0x0020000E)
"""Patient's name and ID, study UID, series UID."""
_STUDY_ID = 0x00200010
"""storescu makes it of the time in seconds and a number that begins anew with each patient: it may come twice."""
_INVENTED = {_SOP_INSTANCE_UID, _SERIES_NUMBER, _INSTANCE_NUMBER, _STUDY_ID, *_GROUPING}


def _values(store):
    return {tag: value for tag, _, value in store.data_set}


def _structure(stored):
    """Which instances share which of the grouping values: for each instance, the first that has the same."""
    columns = [[_values(store).get(tag) for store in stored] for tag in _GROUPING]
    return [[column.index(value) for value in column] for column in columns]


def _rest(store):
    return tuple(element for element in store.data_set if element[0] not in _INVENTED)


@pytest.fixture(scope="module")
def lacking(tmp_path_factory, archive):
    """An instance that lacks most of what is invented."""
    path = tmp_path_factory.mktemp("invention") / "lacking.dcm"
    instance = dcmread(archive.path("ct"))
    for tag in (0x00100010, 0x00200010, 0x0020000E, 0x00200013):
        del instance[tag]
    dcmwrite(path, instance)
    return str(path)


@pytest.mark.parametrize(
    "words",
    [
        ["+II", "--repeat", "3"],
        ["+IR", "2", "--repeat", "3"],
        ["+IS", "2", "+IR", "2", "--repeat", "5"],
        ["+IP", "2", "+IS", "1", "+IR", "2", "--repeat", "5"],
        ["+IP", "1", "+IS", "1", "+IR", "1", "--repeat", "3"],
        ["+IP", "3", "-xi"],
        ["+II", "-xs", "-nh"],
    ],
    ids=" ".join,
)
def test_invented_identities_belong_together_alike(recorder, archive, lacking, words):
    names = ["ct", "report", "colour", "big-endian"] + ["jpeg"] * ("-xs" in words)
    proposing = [] if {"-xi", "-xs"} & {*words} else ["-x="]
    theirs, ours = recorder.both(*words, *proposing, INPUTS, *map(archive.path, names), lacking)
    assert ours.proposals == theirs.proposals
    assert len(ours.stored) == len(theirs.stored) > 3
    assert _structure(ours.stored) == _structure(theirs.stored)
    for our, their in zip(ours.stored, theirs.stored, strict=True):
        assert _rest(our) == _rest(their)
        assert {*_values(our)} == {*_values(their)}
        assert our.sop_class_uid == their.sop_class_uid
        assert _values(our)[_SOP_INSTANCE_UID].decode() == our.sop_instance_uid
        assert _values(our).get(_INSTANCE_NUMBER) == _values(their).get(_INSTANCE_NUMBER)
    uids = [store.sop_instance_uid for store in ours.stored]
    assert len({*uids}) == len(uids)


def test_series_are_numbered_alike_in_the_first_study_and_from_0_in_all(recorder, archive):
    words = ["+IR", "1", "+IS", "3", "--repeat", "6", "-x=", INPUTS, archive.path("ct")]
    theirs, ours = recorder.both(*words)
    numbers = [[int(_values(store)[_SERIES_NUMBER]) for store in ran.stored] for ran in (theirs, ours)]
    assert numbers == [[0, 1, 2, 3, 1, 2], [0, 1, 2, 0, 1, 2]]
