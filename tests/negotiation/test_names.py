import sys

import pytest
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom.sop_class import _STORAGE_CLASSES

from asyncstore.negotiation.names import name_of, names, uid_of
from asyncstore.negotiation.proposal import CHOICES, STORESCU_SOP_CLASSES


def test_every_name_has_a_uid_and_every_uid_a_first_name():
    for name in names():
        uid = uid_of(name)
        assert UID(uid).is_valid
        assert uid_of(name_of(uid)) == uid


def test_what_we_propose_has_names():
    for uid in (*STORESCU_SOP_CLASSES, *(uid for uid, _ in CHOICES.values())):
        assert name_of(uid) != uid


def test_pydicoms_keywords_are_names_of_the_same_uids():
    for uid in AllTransferSyntaxes:
        assert uid_of(uid.keyword) == uid
    storage = {keyword: uid for keyword, uid in _STORAGE_CLASSES.items() if uid_of(keyword) is not None}
    assert len(storage) > 150
    assert all(uid_of(keyword) == uid for keyword, uid in storage.items())


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
        ("JPEGLossless:Non-hierarchical-1stOrderPrediction", "1.2.840.10008.1.2.4.70"),
        ("MultiframeTrueColorSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.4"),
        ("VerificationSOPClass", "1.2.840.10008.1.1"),
        ("JPEGXL", "1.2.840.10008.1.2.4.112"),
        ("ctimagestorage", None),
        ("", None),
    ],
)
def test_names_are_dcmtks_and_case_matters(name, uid):
    assert uid_of(name) == uid


def test_local_and_opposite_byte_order_depend_on_this_machine():
    little, big = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
    local, opposite = (little, big) if sys.byteorder == "little" else (big, little)
    assert (uid_of("LocalEndianExplicit"), uid_of("OppositeEndianExplicit")) == (local, opposite)


def test_a_uid_without_a_name_is_its_own():
    assert name_of("1.2.3") == "1.2.3"
