"""Maps: which row is for an instance, and what is wrong with a file, without showing a value."""

import pytest

from asyncstore.model import Head
from asyncstore.prepare.edit_map import EditMap


def _map(*lines, encoding="utf-8"):
    return EditMap.of("\n".join(lines).encode(encoding))


def _values(row):
    return {edit.name: edit.value for edit in row.edits}


def test_a_row_is_for_a_patient():
    read = _map('PatientID,new PatientID,"new (0010,0021)",source', "4711,A-1,OLD,HIS A", "4712,A-2,,", "")
    assert len(read) == 2
    assert read.key == "patient"
    row = read.row_for(Head("1.2", "1.3", b"4711"))
    assert (_values(row), row.source) == ({"(0010,0020)": "A-1", "(0010,0021)": "OLD"}, "HIS A")
    assert _values(read.row_for(Head("1.2", "1.3", b"4712"))) == {"(0010,0020)": "A-2"}
    assert read.row_for(Head("1.2", "1.3", b"471")) is None


def test_a_row_is_for_a_study_or_for_a_study_of_a_patient():
    by_study = _map("StudyInstanceUID;new AccessionNumber", "1.2;a,b", encoding="utf-8-sig")
    assert _values(by_study.row_for(Head("1.2", "", b"any"))) == {"(0008,0050)": "a,b"}
    both = _map("StudyInstanceUID,PatientID,new AccessionNumber", "1.2,4711,a", "1.2,4712,b")
    assert _values(both.row_for(Head("1.2", "", b"4712"))) == {"(0008,0050)": "b"}
    assert both.row_for(Head("1.3", "", b"4712")) is None
    assert both.key == "patient and study"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_patient_id_may_stand_in_the_data_set_in_several_encodings(encoding):
    assert _map("PatientID,new PatientID", "Grün,1").row_for(Head("", "", "Grün".encode(encoding)))


def test_values_may_hold_quotes_and_paths():
    read = _map('PatientID,"new RequestAttributesSequence[0].(0040,0007)"', '4711,"a ""b"", c"')
    assert _values(read.row_for(Head("", "", b"4711"))) == {"(0040,0275)[0].(0040,0007)": 'a "b", c'}


def test_the_same_content_has_the_same_digest():
    lines = "PatientID,new PatientID", "4711,1"
    assert _map(*lines).digest == _map(*lines).digest != _map(*lines, "4712,2").digest


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([""], "neither a column PatientID nor a column StudyInstanceUID"),
        (["PatientID"], "no column of new values"),
        (["PatientID,new PatientID"], "no rows"),
        (["PatientID,PatientName", "1,SECRET"], "a column 'PatientName'"),
        (["PatientID,new PatientNam", "1,SECRET"], "'PatientNam' is no keyword"),
        (["PatientID,new PatientID=SECRETLY", "1,SECRET"], "nothing may follow .PatientID.: leave"),
        (["PatientID,new PatientID,new PatientID", "1,2,3"], "two columns"),
        (["PatientID,new PatientBirthDate", "1,20200101", "2,SECRET"], r"line 3, column 'new PatientBirthDate': .* DA"),
        (["PatientID,new PatientID", "SECRET,2", "SECRET,3"], "line 3 is for the same"),
        (["PatientID,new PatientID", ",SECRET"], "line 2 has no PatientID"),
        (["PatientID,new PatientID", "1,2,SECRET"], "line 2 has 3 cells, and there are 2 columns"),
        (["PatientID,new PatientID", '1,"SECRET'], "no CSV file"),
        (["PatientID,new PatientID,source", "1,2," + "SECRET" * 12], "line 2"),
    ],
)
def test_a_wrong_map_is_refused_without_showing_a_value(lines, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        _map(*lines)
    assert "SECRET," not in str(refused.value).replace("SECRETLY", "")


def test_a_map_is_in_utf_8():
    with pytest.raises(ValueError, match="UTF-8"):
        _map("PatientID,new PatientName", "1,Grün", encoding="latin-1")
