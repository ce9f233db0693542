"""Edits as users write them: what they mean, and what is wrong with others, in one line that shows no value."""

import pytest

from asyncstore.prepare.edit_syntax import remove_of, set_of, suffix_of
from asyncstore.prepare.edits import Edit, Kind, Step


@pytest.mark.parametrize(
    ("text", "path", "value", "vr"),
    [
        ("PatientID=4711", [Step(0x00100020)], "4711", "LO"),
        ("(0010,0020)=", [Step(0x00100020)], "", "LO"),
        ("(0010, 0020)=a=b", [Step(0x00100020)], "a=b", "LO"),
        ("(0040,0275)[0].(0040,0007)=x", [Step(0x00400275, "", 0), Step(0x00400007)], "x", "LO"),
        ("RequestAttributesSequence.StudyID=x", [Step(0x00400275), Step(0x00200010)], "x", "SH"),
        ("(0029,ACME 1.0,08):LO=x", [Step(0x00290008, "ACME 1.0")], "x", "LO"),
        ('(0029,"ACME [X].1",08):us=1', [Step(0x00290008, "ACME [X].1")], "1", "us"),
        ("(0029,ACME,08)=x", [Step(0x00290008, "ACME")], "x", ""),
        ("(0029,SIEMENS MEDCOM HEADER,08)=X", [Step(0x00290008, "SIEMENS MEDCOM HEADER")], "X", "CS"),
        ("SmallestImagePixelValue=5", [Step(0x00280106)], "5", "US or SS"),
        ("SmallestImagePixelValue:SS=-5", [Step(0x00280106)], "-5", "SS"),
        ("(0011,1001)[0].PatientID=x", [Step(0x00111001, "", 0), Step(0x00100020)], "x", "LO"),
        ("ImageType=DERIVED\\SECONDARY", [Step(0x00080008)], "DERIVED\\SECONDARY", "CS"),
        ("SOPInstanceUID=1.2.3", [Step(0x00080018)], "1.2.3", "UI"),
    ],
)
def test_a_path_names_an_element(text, path, value, vr):
    if vr.islower():
        with pytest.raises(ValueError, match="no VR"):
            set_of(text)
    else:
        assert set_of(text) == Edit(Kind.SET, tuple(path), value, vr)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no element"),
        ("PatientId=SECRET", "'PatientId' is no keyword"),
        ("PatientID", "no value"),
        ("PatientID SECRET", "'PatientID' has no value"),
        ("(0010,20)=SECRET", "names no element"),
        ("PatientID.StudyID=SECRET", "is no sequence"),
        ("RequestAttributesSequence=SECRET", "is a sequence"),
        ("RequestAttributesSequence[0]=SECRET", "is an item"),
        ("PatientBirthDate=SECRET", r"\(0010,0030\): a value of VR DA is a date as YYYYMMDD"),
        ("PatientID=SECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRET", "up to 64 characters"),
        ("PatientID=SECRET\\SECRET", r"has 2 values, and its VM is 1"),
        ("PixelSpacing=1", "its VM is 2"),
        ("ImageOrientationPatient=1\\0\\0", "its VM is 6"),
        ("Rows=-1", "from 0"),
        ("PatientID:SH=SECRET", "has the VR LO, not SH"),
        ("PatientID:XX=SECRET", "XX is no VR"),
        ("TransferSyntaxUID=1.2", "file meta information"),
        ("(0008,0000)=1", "no element that could be edited"),
        ("(FFFE,E000)=1", "no element that could be edited"),
        ("(8270,0010):LO=1", "no element that could be edited"),
        ("SpecificCharacterSet=ISO_IR 100", "says how texts are encoded"),
        ("PixelData=", "only be removed"),
        ("RedPaletteColorLookupTableData=SECRET", "cannot be written as text"),
        ("SOPInstanceUID=", "cannot be empty"),
        ("SOPInstanceUID=1.2.SECRET", "digits and dots"),
        ("(0029,1008)=SECRET", "name its creator"),
        ("(0028,ACME,08)=SECRET", "is even"),
    ],
)
def test_what_cannot_be_set_is_refused_without_showing_the_value(text, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        set_of(text)
    assert "SECRET" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("PatientName", [Step(0x00100010)]),
        ("(0029,1008)", [Step(0x00291008)]),
        ("(0029,ACME,08)", [Step(0x00290008, "ACME")]),
        ("RequestAttributesSequence[1]", [Step(0x00400275, "", 1)]),
        ("RequestAttributesSequence.StudyID", [Step(0x00400275), Step(0x00200010)]),
        ("PixelData", [Step(0x7FE00010)]),
        ("ReferencedStudySequence[0].SOPInstanceUID", [Step(0x00081110, "", 0), Step(0x00080018)]),
    ],
)
def test_a_path_alone_removes(text, path):
    assert remove_of(text) == Edit(Kind.REMOVE, tuple(path))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SOPInstanceUID", "identifies"),
        ("SpecificCharacterSet", "misread"),
        ("PatientName=SECRET", "nothing may follow .PatientName.: leave"),
    ],
)
def test_what_cannot_be_removed_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        remove_of(text)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(("text", "suffix"), [(".1", ".1"), ("1", ".1"), (".2026.7", ".2026.7"), (".0", ".0")])
def test_a_suffix_begins_with_a_dot(text, suffix):
    assert suffix_of(text) == suffix


@pytest.mark.parametrize("text", ["", ".", "a", ".01", "1.", "..1", "." + "1" * 40])
def test_what_cannot_follow_a_uid_is_no_suffix(text):
    with pytest.raises(ValueError, match="cannot follow a UID"):
        suffix_of(text)


def test_an_edit_shows_no_value():
    assert "SECRET" not in repr(set_of("PatientName=SECRET"))
    assert str(set_of("(0040,0275)[0].(0029,ACME,08):LO=x").name) == "(0040,0275)[0].(0029,ACME,08)"
