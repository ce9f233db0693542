"""Results are those of PS3.7 annex C and PS3.4 table B.2-1, as pynetdicom has them."""

import pytest
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from asyncstore.model import Result
from asyncstore.protocol.status import PENDING, SUCCESS, describe, result_of

_RESULTS = {
    "Success": Result.STORED,
    "Warning": Result.WARNING,
    "Failure": Result.FAILED,
    "Cancel": Result.FAILED,
    "Pending": Result.FAILED,
}


def test_results_are_pynetdicoms():
    known = {**GENERAL_STATUS, **STORAGE_SERVICE_CLASS_STATUS}
    assert {status: result_of(status) for status in known} == {
        status: _RESULTS[category] for status, (category, _) in known.items()
    }


def test_every_status_has_one_result():
    by_result = {result: set() for result in (Result.STORED, Result.WARNING, Result.FAILED)}
    for status in range(0x10000):
        by_result[result_of(status)].add(status)
    assert by_result[Result.STORED] == {SUCCESS}
    assert by_result[Result.WARNING] == {0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)}
    assert by_result[Result.FAILED].issuperset(PENDING)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x0000, "0x0000 success"),
        (0x0001, "0x0001 stored, requested optional attributes are not supported"),
        (0x0111, "0x0111 duplicate SOP instance"),
        (0x0122, "0x0122 SOP class not supported"),
        (0x0124, "0x0124 not authorized"),
        (0xA700, "0xA700 out of resources"),
        (0xA7FF, "0xA7FF out of resources"),
        (0xA900, "0xA900 data set does not match SOP class"),
        (0xA987, "0xA987 data set does not match SOP class"),
        (0xB000, "0xB000 coercion of data elements"),
        (0xB006, "0xB006 elements discarded"),
        (0xB007, "0xB007 data set does not match SOP class"),
        (0xB123, "0xB123 warning"),
        (0xC000, "0xC000 cannot understand"),
        (0xCFFF, "0xCFFF cannot understand"),
        (0xA801, "0xA801 unknown status"),
        (0x1234, "0x1234 unknown status"),
    ],
)
def test_a_status_has_words(status, words):
    assert describe(status) == words


def test_every_status_of_the_service_is_known_by_name():
    named_there = {
        status for status in {**GENERAL_STATUS, **STORAGE_SERVICE_CLASS_STATUS} if "unknown" in describe(status)
    }
    assert named_there == set()
