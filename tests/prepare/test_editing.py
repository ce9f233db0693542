"""Edited data sets: pydicom reads in them what it would have written, and nothing else has changed."""

import warnings
from contextlib import suppress
from copy import deepcopy
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from asyncstore.model import Instance
from asyncstore.prepare import data_elements
from asyncstore.prepare.edit_orders import EditOrders
from asyncstore.prepare.edit_syntax import remove_of, set_of
from asyncstore.prepare.editing import Uneditable, edited
from asyncstore.prepare.edits import Edit, EditOptions, Kind, Record, from_plain, plain
from asyncstore.prepare.elements import DEFLATED
from asyncstore.prepare.invention import new_seed
from asyncstore.prepare.splicing import NotOrdinary, spliced
from support import trees, values
from support.values import probe_file

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
ENCODINGS = [IMPLICIT, EXPLICIT, BIG]
RECORD = Record("20260101120000+0000", "asyncstore", "OLD HOSPITAL", "COERCE", 1 << 30)


def _encoded(data_set, transfer_syntax_uid):
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax_uid == IMPLICIT
    stream.is_little_endian = transfer_syntax_uid != BIG
    write_dataset(stream, data_set)
    return stream.getvalue()


def _read(data, transfer_syntax_uid):
    read = read_dataset(DicomBytesIO(bytes(data)), transfer_syntax_uid == IMPLICIT, transfer_syntax_uid != BIG)
    read.walk(lambda *_: None)
    return read


def _data_set(**elements):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    made.PatientID, made.PatientName = "ID", "Doe^Jane"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.InstanceNumber = "1.2.4", "1.2.5", 17
    item, inner = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "one"
    item.ScheduledProcedureStepDescription, item.ScheduledProtocolCodeSequence = "old", [inner, deepcopy(inner)]
    made.RequestAttributesSequence = [item, deepcopy(item)]
    made.Rows = 3
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    made.PixelData = b"\1\2" * 50
    made["PixelData"].VR = "OW"
    return made


def _edit(data_set, *words, transfer_syntax_uid=EXPLICIT, removing=(), record=None):
    edits = [*map(remove_of, removing), *map(set_of, words)]
    data = _encoded(data_set, transfer_syntax_uid)
    pieces = edited(data, transfer_syntax_uid, from_plain(plain(edits)), record)
    assert not sum(map(len, pieces)) & 1
    return _read(b"".join(pieces), transfer_syntax_uid)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@pytest.mark.parametrize(
    "words",
    [
        ["PatientID=4711"],
        ["PatientID="],
        ["PatientSex=F", "PatientName=Roe^Richard"],
        ["AccessionNumber=123", "Columns=512", "WindowCenter=40\\400", "PatientSize=1.80"],
        ["(0010,1010)=034Y", "FrameIncrementPointer=(0018,1063)", "ReferencedFrameNumber=1\\2\\3"],
        ["RequestAttributesSequence[0].ScheduledProcedureStepDescription=new"],
        ["(0040,0275)[1].(0040,0008)[0].(0008,0104)=eins"],
        ["RequestAttributesSequence.ScheduledProcedureStepID=all"],
        ["RequestAttributesSequence[2].ScheduledProcedureStepID=third"],
        ["RequestAttributesSequence="],
        ["ProcedureCodeSequence.CodeValue=T-1", "ProcedureCodeSequence.CodeMeaning=chest"],
        ["ReferencedStudySequence[0].ReferencedSOPInstanceUID=1.2.9"],
    ],
    ids=" ".join,
)
def test_pydicom_reads_what_was_set(transfer_syntax_uid, words):
    expected = _data_set()
    for word in words:
        _set(expected, *word.split("=", 1))
    assert _edit(_data_set(), *words, transfer_syntax_uid=transfer_syntax_uid) == _read(
        _encoded(expected, transfer_syntax_uid), transfer_syntax_uid
    )


def _set(data_set, path, value):
    """The same edit with pydicom."""
    step, _, rest = path.partition(".")
    name, _, item = step.partition("[")
    tag = tag_for_keyword(name) or int(name[1:5] + name[6:10], 16)
    vr = dictionary_VR(tag)
    if not rest:
        values = {"US": int, "AT": lambda one: int(one[1:5] + one[6:10], 16)}.get(vr, str)
        new = [values(each) for each in value.split("\\")] if value else ([] if vr == "SQ" else "")
        data_set.add_new(tag, vr, new[0] if value and len(new) == 1 else new)
        return
    if tag not in data_set:
        data_set.add_new(tag, "SQ", [])
    items = data_set[tag].value
    number = int(item[:-1]) if item else None
    if number == len(items) or (number is None and not items):
        items.append(Dataset())
    for inner in [*items] if number is None else [items[number]]:
        _set(inner, rest, value)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_what_is_removed_is_gone_and_the_rest_is_there(transfer_syntax_uid):
    removing = ["PatientName", "(0040,0275)[0].(0040,0007)", "RequestAttributesSequence[1]", "PatientSex", "PixelData"]
    expected = _data_set()
    del expected.PatientName, expected.RequestAttributesSequence[0].ScheduledProcedureStepDescription
    del expected.RequestAttributesSequence[1], expected.PixelData
    assert _edit(_data_set(), removing=removing, transfer_syntax_uid=transfer_syntax_uid) == _read(
        _encoded(expected, transfer_syntax_uid), transfer_syntax_uid
    )


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_sequences_keep_their_kind_of_length(transfer_syntax_uid):
    made = _data_set()
    made["RequestAttributesSequence"].is_undefined_length = True
    made.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    data = _encoded(made, transfer_syntax_uid)
    word = "RequestAttributesSequence[0].ScheduledProcedureStepDescription=new"
    pieces = edited(data, transfer_syntax_uid, [set_of(word)], None)
    made.RequestAttributesSequence[0].ScheduledProcedureStepDescription = "new "
    assert b"".join(pieces) == _encoded(made, transfer_syntax_uid)


def test_the_end_of_the_data_set_is_a_slice_of_the_source():
    data = _encoded(_data_set(), EXPLICIT)
    pieces = edited(data, EXPLICIT, [set_of("PatientID=4711")], None)
    assert isinstance(pieces[-1], memoryview)
    assert pieces[-1].obj is data
    assert len(pieces[-1]) > len(data) - 150


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_private_elements_are_found_by_their_creator(transfer_syntax_uid):
    made = _data_set()
    made.private_block(0x0029, "OTHER", create=True).add_new(1, "LO", "other")
    block = made.private_block(0x0029, "ACME 1.0", create=True)
    block.add_new(1, "LO", "one")
    block.add_new(2, "LO", "two")
    words = ['(0029,"ACME 1.0",01):LO=new', "(0029,NEW ONE,10):US=7", "(0031,NEW ONE,11):LO=x"]
    read = _edit(
        made, *words, removing=["(0029,ACME 1.0,02)", "(0029,NONE,02)"], transfer_syntax_uid=transfer_syntax_uid
    )
    assert read.private_block(0x0029, "OTHER")[1].value in ("other", b"other ")
    there = read.private_block(0x0029, "ACME 1.0")
    assert there[1].value in ("new", b"new ")
    assert 2 not in there
    assert read.private_block(0x0029, "NEW ONE")[0x10].value in (7, b"\7\0")
    assert read.private_block(0x0031, "NEW ONE")[0x11].value in ("x", b"x ")
    assert [element.tag for element in read] == sorted(element.tag for element in read)


def test_a_private_element_keeps_its_vr_if_the_dictionary_does_not_know_it():
    made = _data_set()
    made.private_block(0x0029, "ACME", create=True).add_new(1, "SH", "one")
    assert _edit(made, "(0029,ACME,01)=two").private_block(0x0029, "ACME")[1].VR == "SH"
    for words, reason in (("(0029,ACME,02)=x", "not known"), ("(0029,ACME,01)=" + "x" * 17, "16 characters")):
        with pytest.raises(Uneditable, match=reason):
            _edit(made, words)


@pytest.mark.parametrize(
    ("character_set", "name", "stands_as"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Müller^Jörg".encode("latin-1")),
        ("ISO_IR 192", "山田^太郎", "山田^太郎".encode()),
        ("ISO_IR 144", "Диа^Ж", None),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", None),
        ("GB18030", "王^小东", None),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", None),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", None),
    ],
)
def test_values_are_in_the_character_set_of_their_data_set(character_set, name, stands_as):
    made = _data_set(SpecificCharacterSet=character_set, PatientName="X")
    read = _edit(made, f"PatientName={name}")
    assert str(read.PatientName) == name
    assert read.SpecificCharacterSet == made.SpecificCharacterSet
    if stands_as:
        assert read.PatientName.original_string.rstrip(b" ") == stands_as


def test_a_backslash_in_a_text_of_one_value_changes_no_character_set():
    made = _data_set(SpecificCharacterSet=["ISO 2022 IR 100", "ISO 2022 IR 138"])
    assert _edit(made, "PatientComments=שלום\\é").PatientComments == "שלום\\é"


def test_an_item_may_have_a_character_set_of_its_own():
    made = _data_set(SpecificCharacterSet="ISO_IR 192")
    made.RequestAttributesSequence[1].SpecificCharacterSet = "ISO_IR 100"
    read = _edit(made, "RequestAttributesSequence.ScheduledProcedureStepDescription=Schädel")
    first, second = read.RequestAttributesSequence
    assert [item.ScheduledProcedureStepDescription for item in (first, second)] == ["Schädel"] * 2
    assert second.get_item(0x00400007).value.strip() in ("Schädel".encode("latin-1"), "Schädel")


@pytest.mark.parametrize(("name", "character_set"), [("Müller", "ISO_IR 100"), ("山田", "ISO_IR 192")])
@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_a_data_set_of_ascii_gets_a_character_set_for_a_new_value(name, character_set, transfer_syntax_uid):
    made = _data_set(Rows=0x9000)
    read = _edit(made, f"PatientName={name}", transfer_syntax_uid=transfer_syntax_uid)
    assert (str(read.PatientName), read.SpecificCharacterSet) == (name, character_set)


@pytest.mark.parametrize("is_in_item", [False, True])
def test_a_value_that_the_character_set_does_not_have_is_refused_without_being_shown(is_in_item):
    made = _data_set(SpecificCharacterSet="ISO_IR 100")
    place = made.RequestAttributesSequence[0] if is_in_item else made
    place.add_new(0x00081030, "LO", "Schädel")
    with pytest.raises(Uneditable, match=r"\(0010,0010\).*ISO_IR 100") as refused:
        _edit(made, "PatientName=山田")
    assert "山" not in str(refused.value)
    undeclared = _encoded(made, EXPLICIT).replace(b"ISO_IR 100", b"ISO_IR 6  ")
    with pytest.raises(Uneditable, match="character set"):
        edited(undeclared, EXPLICIT, [set_of("PatientName=山田")], None)


@pytest.mark.parametrize("name", ["山田", "ﾔﾏﾀﾞ=山田", "Люк", "¥100"])
def test_characters_that_only_shift_jis_has_are_refused_in_iso_ir_13(name):
    with pytest.raises(Uneditable, match="character set, ISO_IR 13"):
        _edit(_data_set(SpecificCharacterSet="ISO_IR 13"), f"PatientName={name}")


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_a_suffix_goes_to_the_uids_of_the_instance_and_of_those_it_refers_to(transfer_syntax_uid):
    made = _data_set()
    reference, frame = Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.9"
    frame.StudyInstanceUID, frame.FrameOfReferenceUID, frame.ReferencedImageSequence = "1.2.8", "1.2.7", [reference]
    made.ReferencedFrameOfReferenceSequence, made.FrameOfReferenceUID = [frame], "1.2.7"
    data = _encoded(made, transfer_syntax_uid)
    pieces = edited(data, transfer_syntax_uid, [Edit(Kind.SUFFIX, (), ".1")], None)
    for place, keyword in (
        (made, "SOPInstanceUID"), (made, "StudyInstanceUID"), (made, "SeriesInstanceUID"), (frame, "StudyInstanceUID"),
        (reference, "ReferencedSOPInstanceUID"),
    ):  # fmt: skip
        setattr(place, keyword, f"{place[keyword].value}.1")
    assert _read(b"".join(pieces), transfer_syntax_uid) == _read(
        _encoded(made, transfer_syntax_uid), transfer_syntax_uid
    )


def test_an_instance_of_the_standard_keeps_its_uid():
    palette = "1.2.840.10008.1.5.1"
    order = EditOrders(None, EditOptions(uid_suffix=".1"), new_seed()).order(
        values.instance("file", "1.2.840.10008.5.1.4.39.1", palette, EXPLICIT)
    )
    data = _encoded(_data_set(SOPInstanceUID=palette), EXPLICIT)
    made = _read(b"".join(edited(data, EXPLICIT, from_plain(order.edits))), EXPLICIT)
    assert (order.sop_instance_uid, made.SOPInstanceUID) == (palette, palette)


def test_a_uid_that_would_be_too_long_is_refused():
    with pytest.raises(Uneditable, match="65 characters"):
        edited(_encoded(_data_set(StudyInstanceUID="1." + "2" * 61), EXPLICIT), EXPLICIT, [Edit(Kind.SUFFIX, (), ".1")])


# Original Attributes Sequence.


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_replaced_and_removed_values_are_recorded(transfer_syntax_uid):
    made = _data_set()
    made.private_block(0x0029, "ACME", create=True).add_new(1, "LO", "one")
    words = ["PatientID=4711", "PatientSex=F", "PatientName=Doe^Jane", "RequestAttributesSequence[0].StudyID=5"]
    removing = ["(0029,ACME,01)", "InstanceNumber"]
    read = _edit(made, *words, removing=removing, transfer_syntax_uid=transfer_syntax_uid, record=RECORD)
    [item] = read.OriginalAttributesSequence
    [old] = item.ModifiedAttributesSequence
    assert item.AttributeModificationDateTime == RECORD.time
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("asyncstore", "OLD HOSPITAL")
    assert item.ReasonForTheAttributeModification == "COERCE"
    assert (old.PatientID, old.PatientSex, old.InstanceNumber) == ("ID", "", 17)
    assert "PatientName" not in old  # it was the same before
    assert "IssuerOfPatientID" in old
    assert (
        old.RequestAttributesSequence
        == _read(_encoded(made, transfer_syntax_uid), transfer_syntax_uid)[0x00400275].value
    )
    assert old.private_block(0x0029, "ACME")[1].value in ("one", b"one ")
    assert [element.tag for element in read] == sorted(element.tag for element in read)


def test_what_was_recorded_before_stays():
    first = _edit(_data_set(), "PatientID=4711", record=RECORD)
    second = _edit(first, "PatientID=4712", record=RECORD)
    values = [item.ModifiedAttributesSequence[0].PatientID for item in second.OriginalAttributesSequence]
    assert values == ["ID", "4711"]


def test_nothing_is_recorded_if_nothing_has_changed():
    data = _encoded(_data_set(), EXPLICIT)
    assert b"".join(edited(data, EXPLICIT, [set_of("PatientID=ID"), remove_of("PatientSex")], RECORD)) == data


def test_later_edits_are_not_recorded():
    record = RECORD._replace(edits=1)
    read = _edit(_data_set(), "PatientID=4711", "PatientName=Roe", record=record)
    assert "PatientName" not in read.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]


@pytest.mark.parametrize("items", [b"", b"\xfe\xff\0\xe0" + bytes(4)], ids=["empty", "one item"])
def test_items_of_a_sequence_of_vr_un_are_in_implicit_vr(monkeypatch, items):
    made = _data_set()
    with monkeypatch.context() as patch:
        patch.setattr(config, "replace_un_with_known_vr", False)
        for keyword in ("ReferencedSeriesSequence", "OriginalAttributesSequence"):
            made.add_new(keyword, "UN", items)
    edits = [set_of("ReferencedSeriesSequence[0].PatientComments=new"), set_of("PatientID=4711")]
    data = b"".join(edited(_encoded(made, EXPLICIT), EXPLICIT, edits, RECORD))
    assert b"\x10\0\0\x40\4\0\0\0new " in data
    [*_, recorded] = _read(data, EXPLICIT).OriginalAttributesSequence
    assert recorded.ModifiedAttributesSequence[0].PatientID == "ID"
    assert b"\x10\0\x20\0\2\0\0\0ID" in data
    assert recorded.ReasonForTheAttributeModification == "COERCE"


# Odd and damaged data sets.


@pytest.mark.slow
def test_every_test_file_has_the_new_values_and_no_other_changes():
    edits = [
        set_of("PatientID=4711"),
        set_of("StudyDescription=abc"),
        remove_of("PatientName"),
        remove_of("(FFFC,FFFC)"),
    ]
    count = 0
    for path in trees.pydicom_test_files():
        found = probe_file(str(path))
        if not isinstance(found, Instance) or found.transfer_syntax_uid in DEFLATED or found.oddities:
            continue
        data = path.read_bytes()[found.offset :]
        after = b"".join(edited(data, found.transfer_syntax_uid, edits, None))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = dcmread(path, force=True)
            read = dcmread(BytesIO(path.read_bytes()[: found.offset] + after), force=True)
            assert (read.PatientID, read.StudyDescription) == ("4711", "abc")
            for tag in (
                "PatientID",
                "StudyDescription",
                "PatientName",
                (8, 0),
                (0x10, 0),
                (0xFFFC, 0xFFFC),
                (0xFFFC, 0),
            ):
                for data_set in (whole, read):
                    data_set.pop(tag, None)
            assert [*read.keys()] == [*whole.keys()]
            assert all(read.get_item(tag).value == whole.get_item(tag).value for tag in [*whole.keys()]), path
        count += 1
    assert count > 60


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-10], "reaches beyond its end"),
        (lambda data: data[:-108], "ends within"),
        (lambda data: data + b"\1" * 12, "something|reaches|end"),
    ],
)
def test_a_damaged_data_set_is_refused(damage, reason):
    with pytest.raises(Uneditable, match=reason):
        edited(damage(_encoded(_data_set(), EXPLICIT)), EXPLICIT, [set_of("PatientID=1")], None)


@pytest.mark.parametrize("edit", [Edit(Kind.SUFFIX, (), ".1"), set_of("PatientName=Müller")], ids=str)
def test_sequences_deeper_than_any_real_one_are_refused(edit):
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.9"
    for _ in range(70):
        outer = Dataset()
        outer.ReferencedSeriesSequence = [item]
        item = outer
    with pytest.raises(Uneditable, match=r"more than 64 sequences|character set"):
        edited(_encoded(_data_set(ReferencedSeriesSequence=[item]), EXPLICIT), EXPLICIT, [edit], None)


def test_more_elements_than_memory_can_hold_are_refused(monkeypatch):
    monkeypatch.setattr(data_elements, "_MOST_HEADERS", 8)
    with pytest.raises(Uneditable, match="it has more than 8 elements"):
        edited(_encoded(_data_set(), EXPLICIT), EXPLICIT, [set_of("PatientID=1")], None)


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 700))
def test_no_damage_is_more_than_a_refusal(transfer_syntax_uid, damages, end):
    data = bytearray(_encoded(_data_set(), transfer_syntax_uid)[:end])
    for position, byte in damages:
        if position < len(data):
            data[position] = byte
    edits = [set_of(word) for word in ("PatientID=4711", "RequestAttributesSequence[0].StudyID=1")]
    edits += [remove_of("InstanceNumber"), Edit(Kind.SUFFIX, (), ".1")]
    with suppress(Uneditable):
        edited(bytes(data), transfer_syntax_uid, edits, RECORD)
    with suppress(NotOrdinary):
        spliced(bytes(data), transfer_syntax_uid, {0x00100020: ("LO", "4711"), 0x00200013: None, 0x00080018: b"1.2\0"})


def test_padding_behind_the_data_set_stays():
    data = _encoded(_data_set(), EXPLICIT) + bytes(100)
    whole = b"".join(edited(data, EXPLICIT, [set_of("PatientID=4711")], None))
    assert whole.endswith(bytes(100))
    assert len(whole) == len(data) + 2


def test_an_item_that_is_not_there_is_refused():
    with pytest.raises(Uneditable, match="no item 3: its next one would be 2"):
        _edit(_data_set(), "RequestAttributesSequence[3].StudyID=1")
    assert _edit(_data_set(), removing=["RequestAttributesSequence[3].StudyID"]) == _read(
        _encoded(_data_set(), EXPLICIT), EXPLICIT
    )


def test_an_element_that_comes_twice_comes_once_afterwards():
    twice = _encoded(_data_set(), EXPLICIT)
    start = twice.index(b"\x10\0\x20\0LO")
    twice = twice[:start] + twice[start : start + 10] + twice[start:]
    whole = b"".join(edited(twice, EXPLICIT, [set_of("PatientID=4711")], None))
    assert whole.count(b"\x10\0\x20\0LO") == 1
