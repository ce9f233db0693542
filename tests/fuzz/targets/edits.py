"""How users write edits (``--set``, ``--remove``, ``--uid-suffix``), and what these edits do.

The first byte of an input chooses the kind of edit and the encoding of a data set that is edited; the text follows.
"""

import os

from asyncstore.prepare.edit_syntax import element_of, remove_of, set_of, suffix_of
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import Edit, Kind
from asyncstore.prepare.element_walk import Lost, Walk
from asyncstore.prepare.encoding import encoding_of
from fuzz.samples import TRANSFER_SYNTAXES, instance

EXPECTED = (Uneditable, Lost)
_SYNTAXES = tuple(each for each in TRANSFER_SYNTAXES if not encoding_of(each).is_deflated)
_DATA_SETS = tuple(map(instance, _SYNTAXES))
_ELSEWHERE = ("invalid literal", "could not convert", "not enough values", "too many values", "substring", "Exceeds")
"""The beginnings of Python's own messages."""


def _suffix(text):
    return Edit(Kind.SUFFIX, (), suffix_of(text))


_READ = (set_of, remove_of, _suffix, element_of)


def seeds():
    """Texts as users write them, right and wrong ones, of each kind."""
    texts = (
        "PatientID=4711", "PatientName=D\u00f6e^J\u00e4ne=x", "(0010,0020)=4711", "(0040,0275)[0].(0040,0007)=CT head",
        "(0010,1002)[1].Modality=CT", "OtherPatientIDsSequence.PatientID=7", "(0029,ACME 1.0,08):LO=value",
        '(0029,"A, B",08)=x', "(0029,1010)=x", "Rows=512", "(0028,0103):SS=-1", "ImageType=A\\B", "PatientID=",
        "PatientID", "(7FE0,0010)=x", "(0002,0010)=1.2", "PixelSpacing=0.5\\1e3", "StudyDate=20260101",
        "SOPInstanceUID=1.2.3", ".1", "2026.7", "(0010,1002)[1]", "Nonsense=1", "ReferencedImageSequence=",
        "StudyTime=101112.123456",
    )  # fmt: skip
    for number, text in enumerate(texts):
        for kind in range(len(_READ)):
            yield bytes((kind | number % len(_SYNTAXES) << 4,)) + text.encode()


def execute(data, _):
    """A text is refused with one line, or the edited data set is whole."""
    if not data:
        return
    read, text = _READ[data[0] % len(_READ)], os.fsdecode(data[1:])
    edit, reason = None, None
    try:
        edit = read(text)
    except ValueError as error:
        reason = str(error)
    if reason is not None:
        assert reason
        assert not reason.startswith(_ELSEWHERE)
    if isinstance(edit, Edit):
        number = (data[0] >> 4) % len(_SYNTAXES)
        result = b"".join(edited(_DATA_SETS[number], _SYNTAXES[number], [edit]))
        Walk(-1, len(result), result, _SYNTAXES[number]).to_the_end(0)
