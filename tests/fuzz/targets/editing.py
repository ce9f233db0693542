"""Edits of data sets.

The first byte of an input chooses the edits, the second one the transfer syntax; the data set follows.
"""

from contextlib import suppress

from asyncstore.prepare.edit_syntax import remove_of, set_of
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import Edit, Kind, Record
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.splicing import NotOrdinary, spliced
from fuzz.samples import TRANSFER_SYNTAXES, files, instance

EXPECTED = (Uneditable,)
_SYNTAXES = tuple(each for each in TRANSFER_SYNTAXES if not encoding_of(each).is_deflated)
_RECORD = Record("20260101", "system", "source", "COERCE", 9)
_EDITS = (
    [set_of("PatientID=4711")],
    [set_of("PatientName=D\u00f6e^J\u00e4ne"), set_of("OtherPatientIDsSequence[0].PatientID=7")],
    [set_of("OtherPatientIDsSequence.Modality=CT"), remove_of("OtherPatientIDsSequence[1]")],
    [remove_of("StudyInstanceUID"), set_of("(0029,ACME,08):LO=value")],
    [Edit(Kind.SUFFIX, (), ".7")],
    [Edit(Kind.REPLACE, set_of("SeriesInstanceUID=1.2").path, "1.2", "UI"), remove_of("(0029,ACME,08)")],
    [remove_of("PixelData"), set_of("ReferencedImageSequence=")],
)
_VALUES = ({0x00100020: ("LO", "4711")}, {0x00080018: b"9.8.7\0", 0x0020000D: b"1.2\0"}, {0x00080060: None})


def seeds():
    """A data set in each transfer syntax with each choice of edits, and the odd cases."""
    for edits in range(2 * len(_EDITS) + len(_VALUES)):
        for number, transfer_syntax in enumerate(_SYNTAXES):
            yield bytes((edits, number)) + instance(transfer_syntax)
    for number, content in enumerate(files(2000)):
        yield bytes((number, 1)) + content[content.find(b"\x08\0\x16\0") :]


def execute(data, _):
    """It is refused, or the same edits change nothing more."""
    if len(data) < 2:
        return
    transfer_syntax, content = _SYNTAXES[data[1] % len(_SYNTAXES)], data[2:]
    choice, is_recorded = data[0] >> 1, data[0] & 1
    if choice >= len(_EDITS):
        with suppress(NotOrdinary):
            values = _VALUES[choice % len(_VALUES)]
            head, rest = spliced(content, transfer_syntax, values)
            assert 0 <= rest <= len(content)
            once = head + content[rest:]
            head, rest = spliced(once, transfer_syntax, values)
            assert head + once[rest:] == once
        return
    edits = _EDITS[choice]
    once = b"".join(edited(content, transfer_syntax, edits, _RECORD if is_recorded else None))
    if not is_recorded and edits[0].kind is Kind.SET:
        assert b"".join(edited(once, transfer_syntax, edits)) == once
