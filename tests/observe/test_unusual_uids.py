"""The warning about UIDs with characters that DICOM does not allow."""

import pytest

from asyncstore.model import Oddity
from asyncstore.observe.unusual_uids import first_unusual, warning_about
from support import values

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
GOOD = values.instance("/a", CT, "1.2.3", EXPLICIT, 0, 10)
PADDED = GOOD._replace(oddities=int(Oddity.ODD_VALUES))
UNUSUAL = values.instance("/b\n", CT, "1.2.A\x1b[31m", EXPLICIT, 0, 10, oddities=int(Oddity.UNUSUAL_UID))


@pytest.mark.parametrize(
    ("instances", "first"),
    [
        ([], None),
        ([GOOD, PADDED], None),
        ([GOOD, UNUSUAL, values.changed(UNUSUAL, path="/c")], UNUSUAL),
        ([UNUSUAL._replace(oddities=Oddity.UNUSUAL_UID | Oddity.ODD_VALUES)], UNUSUAL),
    ],
)
def test_the_first_instance_with_an_unusual_uid_is_found(instances, first):
    found = first_unusual(instances)
    assert (found and found.path) == (first and first.path)


def test_the_warning_names_the_file_and_the_uid_and_is_safe_to_show():
    said = warning_about(UNUSUAL)
    assert said.startswith(
        "/b\\n: SOP instance UID 1.2.A\\x1b[31m: sent as it is, but DICOM allows digits and dots only"
    )
    assert CT not in said
    assert said.isprintable()


def test_every_unusual_uid_of_the_file_is_named():
    assert ": SOP class UID 1.2.X and SOP instance UID 1.2.A" in warning_about(
        values.changed(UNUSUAL, sop_class_uid="1.2.X")
    )
