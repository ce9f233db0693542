"""New heads of data sets: with the unchanged rest they are what re-encoding makes."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from asyncstore.model import Instance
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import from_plain
from asyncstore.prepare.elements import tag_bytes
from asyncstore.prepare.encoding import DamagedDataSet, Unconvertible, encoding_of
from asyncstore.prepare.invention import Invent, Invented, Inventor, new_seed
from asyncstore.prepare.reencode import Changes, reencode
from asyncstore.prepare.splicing import NotOrdinary, TooShort, spliced
from support import trees
from support.values import probe_file

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
ENCODINGS = [IMPLICIT, EXPLICIT, BIG]
VALUES = Inventor(Invent(), new_seed()).identity(7).values
PATIENT_ID, SOP_INSTANCE_UID = 0x00100020, 0x00080018


def _encoded(data_set, transfer_syntax_uid):
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax_uid == IMPLICIT
    stream.is_little_endian = transfer_syntax_uid != BIG
    write_dataset(stream, data_set)
    return stream.getvalue()


def _data_set(**elements):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.PatientID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "ID"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.InstanceNumber = "1.2.4", "1.2.5", 17
    made.Rows, made.PixelData = 3, b"\1\2" * 50
    made["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _item(*, is_undefined=False, **elements):
    item = Dataset()
    item.is_undefined_length_sequence_item = is_undefined
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _reencoded(data, transfer_syntax_uid, values=VALUES):
    encoding = encoding_of(transfer_syntax_uid)
    pieces = edited(data, transfer_syntax_uid, from_plain(Inventor.edits(Invented("", values))))
    return b"".join(reencode(b"".join(pieces), encoding, encoding, Changes()))


def _whole(data, transfer_syntax_uid, values=VALUES):
    head, rest = spliced(data, transfer_syntax_uid, values)
    return head + data[rest:]


def _with_sequences(*, is_undefined):
    made = _data_set(StudyDescription="x" * 60, PatientComments="y" * 400)
    inner = _item(ReferencedSOPInstanceUID="1.2.9", is_undefined=is_undefined)
    outer = _item(PatientID="INNER", ReferencedSOPSequence=[inner], is_undefined=is_undefined)
    made.ReferencedStudySequence = Sequence([outer, outer])
    made.add_new(0x00190010, "LO", "ACME")
    made.add_new(0x00191001, "OB", bytes(range(200)))
    for element in (made[0x00081110], outer[0x00081199]):
        element.is_undefined_length = is_undefined
    return made


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@pytest.mark.parametrize("is_undefined", [False, True])
def test_sequences_and_large_values_before_an_edited_element_stay_as_they_are(transfer_syntax_uid, is_undefined):
    data = _encoded(_with_sequences(is_undefined=is_undefined), transfer_syntax_uid)
    assert _whole(data, transfer_syntax_uid) == _reencoded(data, transfer_syntax_uid)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@given(
    st.sets(st.sampled_from(["PatientName", "OtherPatientIDs", "PatientAddress", "StudyDescription"])),
    st.sets(st.sampled_from(sorted(VALUES))),
    st.sampled_from(["", "1", "12", "123456789", "1" * 64]),
)
def test_any_of_the_elements_may_be_missing(transfer_syntax_uid, keywords, tags, text):
    data = _encoded(_data_set(**dict.fromkeys(keywords, text)), transfer_syntax_uid)
    values = {tag: VALUES[tag] for tag in tags}
    if values:
        assert _whole(data, transfer_syntax_uid, values) == _reencoded(data, transfer_syntax_uid, values)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_the_rest_begins_behind_the_last_edited_element(transfer_syntax_uid):
    data = _encoded(_data_set(), transfer_syntax_uid)
    _, rest = spliced(data, transfer_syntax_uid, VALUES)
    assert data[rest:] == _encoded(_data_set()[0x0028_0000:], transfer_syntax_uid)
    for end in range(0, rest, 3):
        with pytest.raises(TooShort):
            spliced(data[:end], transfer_syntax_uid, VALUES)


def _out_of_order(transfer_syntax_uid):
    first, second = Dataset(), Dataset()
    first.SOPInstanceUID, first.StudyInstanceUID, first.InstanceNumber = "1.2.3", "1.2.4", 1
    second.PatientID = "ID"
    return _encoded(first, transfer_syntax_uid) + _encoded(second, transfer_syntax_uid)


def _with_group_length(transfer_syntax_uid):
    order = "big" if transfer_syntax_uid == BIG else "little"
    vr_and_length = (4).to_bytes(4, order) if transfer_syntax_uid == IMPLICIT else b"UL" + (4).to_bytes(2, order)
    length = (0x10).to_bytes(2, order) + b"\0\0" + vr_and_length + (10).to_bytes(4, order)
    before, behind = _data_set()[:0x0010_0000], _data_set()[0x0010_0000:]
    return _encoded(before, transfer_syntax_uid) + length + _encoded(behind, transfer_syntax_uid)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@pytest.mark.parametrize("made", [_out_of_order, _with_group_length])
def test_what_is_not_ordinary_is_left_to_the_re_encoder(transfer_syntax_uid, made):
    data = made(transfer_syntax_uid)
    assert VALUES[PATIENT_ID] in _reencoded(data, transfer_syntax_uid)
    with pytest.raises(NotOrdinary):
        spliced(data, transfer_syntax_uid, VALUES)


@pytest.mark.slow
def test_every_test_file_comes_out_as_if_it_were_re_encoded():
    count = 0
    for path in trees.pydicom_test_files():
        found = probe_file(str(path))
        if not isinstance(found, Instance) or found.oddities:
            continue
        data = BytesIO(path.read_bytes()).getbuffer()[found.offset :].tobytes()
        try:
            whole = _whole(data, found.transfer_syntax_uid)
        except NotOrdinary:
            continue
        try:
            is_kept_by_re_encoding = _reencoded(data, found.transfer_syntax_uid, {}) == data
        except (DamagedDataSet, Unconvertible, Uneditable):
            continue
        if is_kept_by_re_encoding and not any(tag_bytes(tag, "little") + b"UN" in data for tag in VALUES):
            assert whole == _reencoded(data, found.transfer_syntax_uid), path
            count += 1
    assert count > 40
