"""Tables of new values (``--map``)."""

from asyncstore.model import Head
from asyncstore.prepare.edit_map import EditMap

EXPECTED = ()
_TABLE = """PatientID,new PatientID,new IssuerOfPatientID,new PatientName
4711,A-0815,HOSPITAL A,D\u00f6e^J\u00e4ne
4712,A-0816,,"Roe^""R"", Jr"
"""
_BEGINNINGS = "it is ", "it has ", "line ", "the column "
"""How every reason begins."""


def seeds():
    """Tables as users write them, and wrong ones."""
    for text in (
        _TABLE, _TABLE.replace(",", ";"), _TABLE.replace("\n", "\r\n"), f"\ufeff{_TABLE}", "",
        "StudyInstanceUID,source,new (0029,ACME 1.0,08):LO\n1.2.3,HOSP,x\n",
        "PatientID,StudyInstanceUID,new StudyDate\n\u00e4,1.2,20260101\n",
        'PatientID,"new (0040,0275)[0].(0040,0007)"\n1,CT head\n',
        "PatientID,new Rows\n1,x\n", "PatientID,new PatientID,new PatientID\n1,2,3\n", "PatientID\n1\n", '"\n',
    ):  # fmt: skip
        yield text.encode()
    yield _TABLE.encode("latin-1")


def execute(data, _):
    """It is refused with one line, or each row can be found."""
    try:
        table = EditMap.of(data)
    except ValueError as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert reason.startswith(_BEGINNINGS)
        return
    assert len(table) > 0
    assert table.key
    table.row_for(Head("1.2", "1", b"4711", None))
