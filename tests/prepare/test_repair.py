"""Files that are mended if the user asks for it, and those that stay refused."""

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from asyncstore.model import REPAIRS, Instance, Oddity, Unsendable
from asyncstore.prepare import probe
from asyncstore.prepare.conversion import Settings
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import Order
from asyncstore.prepare.parts import probe_part
from support import values
from support.values import probe_file

CASES = Path(__file__).parent.parent / "cases"
TAIL, ENDS, ADDED, COMPLETED = (*(Oddity.TAIL_DROPPED, Oddity.ITEMS_ENDED, Oddity.UIDS_ADDED, Oddity.META_COMPLETED),)
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def repairs():
    probe.allow_repairs(is_allowed=True)
    yield
    probe.allow_repairs(is_allowed=False)


def _sent(found, folder):
    """The data set as it is sent."""
    if not found.oddities & (Oddity.ITEMS_ENDED | Oddity.UIDS_ADDED | Oddity.ODD_VALUES):
        payload = found.payload
        return payload.data or Path(payload.container).read_bytes()[payload.offset : payload.offset + payload.length]
    order = Order(found, found.transfer_syntax_uid, found.sop_instance_uid)
    order = order._replace(repairs=(found.oddities, found.sop_class_uid, found.sop_instance_uid))
    [made] = values.converted([order], Settings(str(folder)))
    return made.data


def _read(data, transfer_syntax_uid=ExplicitVRLittleEndian):
    is_implicit, is_little = transfer_syntax_uid == ImplicitVRLittleEndian, transfer_syntax_uid != ExplicitVRBigEndian
    read = read_dataset(DicomBytesIO(data), is_implicit, is_little)
    read.walk(lambda *_: None)
    return read


MENDED = {
    "bytes-behind-pixels": TAIL,
    "odd-trailing-newline": TAIL,
    "delimiter-last-item-open": ENDS,
    "delimiter-open-image-short": ENDS,
    "delimiter-open-image-long": ENDS,
}
REFUSED = ["fragments-zeros-for-end", "pixels-encapsulated-in-explicit"]


@pytest.mark.parametrize("name", [*MENDED, *REFUSED])
def test_without_the_wish_they_are_refused(name):
    assert isinstance(probe_file(str(CASES / f"{name}.dcm")), Unsendable)


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_certain_remedy_is_refused(name):
    assert isinstance(probe_file(str(CASES / f"{name}.dcm")), Unsendable)


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize(("name", "flags"), MENDED.items())
def test_a_mended_data_set_can_be_read_to_its_end(name, flags, tmp_path):
    path = CASES / f"{name}.dcm"
    found = probe_file(str(path))
    assert found.oddities & REPAIRS == flags
    data = _sent(found, tmp_path)
    before = path.read_bytes()[found.offset :]
    if flags == TAIL:
        assert before.startswith(data)
    else:
        assert len(data) == len(before) + 8 * data.count(b"\xfe\xff\x0d\xe0") - 8 * before.count(b"\xfe\xff\x0d\xe0")
    probe.allow_repairs(is_allowed=False)
    mended = tmp_path / "mended.dcm"
    mended.write_bytes(path.read_bytes()[: found.offset] + data)
    assert isinstance(probe_file(str(mended)), Instance)


def _written(path, transfer_syntax_uid=ExplicitVRLittleEndian, **elements):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.PatientID = CT, "1.2.3", "ID"
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = transfer_syntax_uid
    dcmwrite(path, made, enforce_file_format=True)
    return path.read_bytes()


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("size", [4, 20_000])
def test_all_missing_ends_of_items_are_written(tmp_path, transfer_syntax_uid, size):
    item, inner = Dataset(), Dataset()
    inner.CodeValue, inner.LongCodeValue, item.ProcedureCodeSequence = "1", "x" * size, [inner, inner]
    path = tmp_path / "file.dcm"
    whole = _written(path, transfer_syntax_uid, RequestAttributesSequence=[item, item])
    made = dcmread(path)
    for sequence in (made["RequestAttributesSequence"], *(one["ProcedureCodeSequence"] for one in made[0x00400275])):
        sequence.is_undefined_length = True
        for one in sequence:
            one.is_undefined_length_sequence_item = True
    dcmwrite(path, made)
    end = b"\xff\xfe\xe0\x0d\0\0\0\0" if transfer_syntax_uid == ExplicitVRBigEndian else b"\xfe\xff\x0d\xe0\0\0\0\0"
    content = path.read_bytes()
    assert content.count(end) == 6
    path.write_bytes(content.replace(end, b""))
    found = probe_file(str(path))
    assert found.oddities & REPAIRS == ENDS
    assert _sent(found, tmp_path) == content[found.offset :]
    assert whole


def _sequence(tag, item, *, is_open=True, is_item_open=True, is_ended=True):
    """A sequence of one item; with ``is_ended`` false the end of that is missing."""
    open_, end = b"\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0" if is_item_open and is_ended else b""
    item = b"\xfe\xff\0\xe0" + (open_ if is_item_open else len(item).to_bytes(4, "little")) + item + end
    length, end = (open_, b"\xfe\xff\xdd\xe0\0\0\0\0") if is_open else (len(item).to_bytes(4, "little"), b"")
    return tag + b"SQ\0\0" + length + item + end


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize(("is_open", "is_item_open"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_end_of_an_item_is_not_written_where_lengths_around_it_would_change(tmp_path, is_open, is_item_open):
    path = tmp_path / "file.dcm"
    content = _written(path)
    inner = _sequence(b"\x08\0\x32\x10", b"\x08\0\0\1SH\2\0" + b"1 ", is_ended=False)
    path.write_bytes(content + _sequence(b"\x40\0\x75\2", inner, is_open=is_open, is_item_open=is_item_open))
    found = probe_file(str(path))
    assert isinstance(found, Instance) == (is_open and is_item_open)
    if isinstance(found, Unsendable):
        assert found.reason == "the end of an item is missing in its sequence (0008,1032)"
    else:
        assert _read(_sent(found, tmp_path)).RequestAttributesSequence[0].ProcedureCodeSequence[0].CodeValue == "1"


@pytest.mark.usefixtures("repairs")
def test_a_file_may_have_two_flaws(tmp_path):
    content = (CASES / "delimiter-open-image-short.dcm").read_bytes()
    path = tmp_path / "file.dcm"
    path.write_bytes(content + b"\n")
    found = probe_file(str(path))
    assert found.oddities & REPAIRS == TAIL | ENDS
    assert _sent(found, tmp_path) == _sent(probe_file(str(CASES / "delimiter-open-image-short.dcm")), tmp_path)


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
@pytest.mark.parametrize("ends_before", [False, True])
def test_uids_of_file_meta_information_are_written_into_the_data_set(tmp_path, keyword, ends_before):
    path = tmp_path / "file.dcm"
    _written(path)
    made = dcmread(path)
    del made[keyword]
    if ends_before:
        del made["PatientID"]
    dcmwrite(path, made)
    found = probe_file(str(path))
    assert found.oddities & REPAIRS == ADDED
    read = _read(_sent(found, tmp_path))
    assert (read.SOPClassUID, read.SOPInstanceUID) == (CT, "1.2.3")
    assert read.get("PatientID") == (None if ends_before else "ID")


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("keyword", ["MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"])
def test_a_uid_that_file_meta_information_lacks_is_told(tmp_path, keyword):
    path = tmp_path / "file.dcm"
    content = _written(path)
    made = dcmread(path)
    del made.file_meta[keyword]
    del made.file_meta["FileMetaInformationGroupLength"]
    meta = DicomBytesIO()
    meta.is_little_endian, meta.is_implicit_VR = True, False
    write_file_meta_info(meta, made.file_meta, enforce_standard=False)
    path.write_bytes(bytes(128) + b"DICM" + meta.getvalue() + content[content.index(b"\x08\0\x16\0UI") :])
    found = probe_file(str(path))
    assert found.oddities & REPAIRS == COMPLETED
    assert (found.sop_class_uid, found.sop_instance_uid) == (CT, "1.2.3")


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("size", [20, 20_000])
def test_good_files_stay_as_they_are(tmp_path, size):
    path = tmp_path / "file.dcm"
    _written(path, TextValue="x" * size)
    found = probe_file(str(path))
    assert found.oddities == 0
    probe.allow_repairs(is_allowed=False)
    assert probe_file(str(path)) == found


@pytest.mark.usefixtures("repairs")
def test_uids_that_are_not_in_order_are_not_written_again(tmp_path):
    path = tmp_path / "file.dcm"
    content = _written(path)
    sop_class, instance, patient = (content.index(tag) for tag in (b"\x08\0\x16\0", b"\x08\0\x18\0", b"\x10\0\x20\0"))
    path.write_bytes(content[:sop_class] + content[patient:] + content[instance:patient] + content[sop_class:instance])
    assert probe_file(str(path)).oddities == 0


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    path = tmp_path / "file.dcm"
    path.write_bytes(_written(path, PatientComments="x" * 50)[:-cut])
    assert isinstance(probe_file(str(path)), Unsendable)


def _image(path, transfer_syntax_uid=ExplicitVRLittleEndian, **more):
    """The content of a file with an image, and where its Rows and its pixel data begin."""
    attributes = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0}
    attributes |= {"Rows": 20, "Columns": 20, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    content = _written(path, transfer_syntax_uid, **attributes, **more, PixelData=bytes(range(200)) * 2)
    return content, content.index(b"\x28\0\x10\0"), content.index(b"\xe0\x7f\x10\0")


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("damage", [bytes(8), bytes(100), b"\x93\xe1\x77\xc2\x01\x8f\xfe\xcc"], ids=len)
def test_the_rest_of_a_damaged_data_set_is_no_tail(tmp_path, damage):
    path = tmp_path / "file.dcm"
    content, rows, pixels = _image(path)
    for place in (rows, pixels):
        path.write_bytes(content[:place] + damage + content[place + len(damage) :])
        assert isinstance(probe_file(str(path)), Unsendable)


@pytest.mark.usefixtures("repairs")
@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("size", [20, 100_000])
def test_pixels_behind_a_wrong_length_are_no_tail(tmp_path, transfer_syntax_uid, size):
    path = tmp_path / "file.dcm"
    content, _, pixels = _image(path, transfer_syntax_uid, TextValue="x" * size)
    path.write_bytes(content + b"some noise")
    assert probe_file(str(path)).oddities & REPAIRS == TAIL
    start = content.index((400).to_bytes(4, "little"), pixels)
    path.write_bytes(content[:start] + (160).to_bytes(4, "little") + content[start + 4 :])
    assert isinstance(probe_file(str(path)), Unsendable)


@pytest.mark.usefixtures("repairs")
def test_a_member_of_an_archive_is_mended_in_its_place(tmp_path):
    content = (CASES / "bytes-behind-pixels.dcm").read_bytes()
    archive = tmp_path / "archive"
    archive.write_bytes(b"before" + content + b"behind")
    answer = probe_part((str(archive), 6, len(content), (), None), FileFormat.ANY, None)
    alone = probe_file(str(CASES / "bytes-behind-pixels.dcm"))
    assert answer[0] == "instance"
    assert answer[5] == alone.length
