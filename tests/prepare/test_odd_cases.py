"""The result of the probe for each odd file of tests/cases, whose README gives the reasons."""

from pathlib import Path

import pytest

from asyncstore.model import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    Oddity,
)
from support import values
from support.values import probe_file

CASES = Path(__file__).parent.parent / "cases"
_JPEG = "1.2.840.10008.1.2.4.50"
_CHARACTER_SET = b"\x08\x00\x05\x00CS"
_CHARACTER_SET_BIG = b"\x00\x08\x00\x05CS"

SENT = {
    "group2-explicit-says-implicit": (EXPLICIT_VR_LITTLE_ENDIAN, 0),
    "group2-explicit-says-jpeg": (EXPLICIT_VR_LITTLE_ENDIAN, 0),
    "group2-jpeg-says-explicit": (_JPEG, 0),
    "meta-big-endian": (EXPLICIT_VR_BIG_ENDIAN, 0),
    "odd-fragment": (_JPEG, Oddity.ODD_VALUES),
    "odd-native-pixels": (EXPLICIT_VR_LITTLE_ENDIAN, Oddity.ODD_VALUES),
    "odd-text": (EXPLICIT_VR_LITTLE_ENDIAN, Oddity.ODD_VALUES),
    "odd-two-values": (EXPLICIT_VR_LITTLE_ENDIAN, Oddity.ODD_VALUES),
    "sequence-shorter-than-item": (EXPLICIT_VR_LITTLE_ENDIAN, 0),
    "uid-hexadecimal": (EXPLICIT_VR_LITTLE_ENDIAN, Oddity.UNUSUAL_UID),
    "uid-tab-behind": (EXPLICIT_VR_LITTLE_ENDIAN, 0),
    "vr-unknown-long": (EXPLICIT_VR_LITTLE_ENDIAN, 0),
}
"""Transfer syntax and oddities."""

NOT_SENT = {
    "bytes-behind-pixels": "992 bytes behind its pixel data are no element",
    "delimiter-last-item-open": "the end of an item is missing in its sequence (0008,1140)",
    "delimiter-open-image-long": "the end of an item is missing in its sequence (0008,1140)",
    "delimiter-open-image-short": "the end of an item is missing in its sequence (0008,1140)",
    "fragments-zeros-for-end": "its encapsulated pixel data has no end: "
    "something else stands where its next fragment should be",
    "odd-trailing-newline": "a byte stands behind its last element",
    "pixels-encapsulated-in-explicit": "it contradicts itself: "
    "its pixel data is encapsulated, but it is said to be in LittleEndianExplicit",
}


def test_every_case_is_tested():
    assert {path.stem for path in CASES.glob("*.dcm")} == SENT.keys() | NOT_SENT.keys()


@pytest.mark.parametrize("name", SENT)
def test_a_sendable_file_is_an_instance_that_begins_at_its_first_element(name):
    path = CASES / f"{name}.dcm"
    found = probe_file(str(path))
    assert isinstance(found, Instance)
    assert (found.transfer_syntax_uid, found.oddities) == SENT[name]
    beginning = path.read_bytes()[found.offset :][:6]
    if name == "uid-hexadecimal":
        assert beginning == b"\x08\x00\x16\x00UI"
        assert found.sop_instance_uid == "dcc959908713174"
    else:
        assert beginning == (_CHARACTER_SET_BIG if name == "meta-big-endian" else _CHARACTER_SET)


@pytest.mark.parametrize("name", NOT_SENT)
def test_another_file_is_unsendable_for_the_true_reason(name):
    path = str(CASES / f"{name}.dcm")
    assert probe_file(path) == values.unsendable(path, NOT_SENT[name])
