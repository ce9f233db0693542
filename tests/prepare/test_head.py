"""What an instance belongs to is read as pydicom reads it, from the data set itself, and damage never raises."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Head,
)
from asyncstore.prepare.head import HeadReader, locate

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 8192
"""Bytes of a file that the probe reads."""
ENCODINGS = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
OURS = Head("1.2.3", "1.2.3.4", b"ID-7", "20200131", "MR")
OTHERS = {
    "StudyDate": "19990101",
    "Modality": "CT",
    "PatientID": "OTHER",
    "StudyInstanceUID": "9.9",
    "SeriesInstanceUID": "9.9.9",
}


def a_data_set(**more: object) -> Dataset:
    dataset = Dataset()
    dataset.StudyDate, dataset.Modality, dataset.PatientID = "20200131", "MR", "ID-7"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Rows = 4
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def encoded(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    stream.is_little_endian = transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    write_dataset(stream, dataset)
    data = stream.getvalue()
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflater.compress(data) + deflater.flush()
    return data


@pytest.fixture
def head_of(tmp_path: Path) -> Callable[[bytes, str], Head]:
    def read(data: bytes, transfer_syntax_uid: str) -> Head:
        file = tmp_path / "data set"
        file.write_bytes(data)
        descriptor = os.open(file, os.O_RDONLY)
        try:
            return HeadReader().read(descriptor, data[:FIRST], 0, "1.2", transfer_syntax_uid)
        finally:
            os.close(descriptor)

    return read


@pytest.mark.parametrize("transfer_syntax_uid", [*ENCODINGS, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_a_plain_data_set_is_read_in_every_encoding(
    head_of: Callable[[bytes, str], Head], transfer_syntax_uid: str
) -> None:
    assert head_of(encoded(a_data_set(), transfer_syntax_uid), transfer_syntax_uid) == OURS


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@pytest.mark.parametrize("is_undefined", [True, False], ids=["undefined length", "defined length"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_elements_of_nested_sequences_do_not_count(
    head_of: Callable[[bytes, str], Head], transfer_syntax_uid: str, depth: int, *, is_undefined: bool
) -> None:
    inner = Dataset()
    for name, value in OTHERS.items():
        setattr(inner, name, value)
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([inner, inner])
        outer["ReferencedStudySequence"].is_undefined_length = is_undefined
        for item in outer.ReferencedStudySequence:
            item.is_undefined_length_sequence_item = is_undefined
        inner = outer
    dataset = a_data_set(ReferencedStudySequence=inner.ReferencedStudySequence)
    dataset["ReferencedStudySequence"].is_undefined_length = is_undefined
    assert head_of(encoded(dataset, transfer_syntax_uid), transfer_syntax_uid) == OURS


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_values_of_nested_sequences_do_not_stand_in_for_missing_ones(
    head_of: Callable[[bytes, str], Head], transfer_syntax_uid: str
) -> None:
    item, dataset = Dataset(), Dataset()
    for name, value in OTHERS.items():
        setattr(item, name, value)
    dataset.ReferencedStudySequence = Sequence([item])
    dataset["ReferencedStudySequence"].is_undefined_length = True
    dataset.Rows = 4
    assert head_of(encoded(dataset, transfer_syntax_uid), transfer_syntax_uid) == Head()


def test_a_sequence_of_unknown_vr_is_read_in_implicit_vr(head_of: Callable[[bytes, str], Head]) -> None:
    item = Dataset()
    for name, value in OTHERS.items():
        setattr(item, name, value)
    inside = encoded(item, IMPLICIT_VR_LITTLE_ENDIAN)
    sequence = (
        b"\x08\0\x10\x11UN\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff" + inside
        + b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )  # fmt: skip
    whole = encoded(a_data_set(), EXPLICIT_VR_LITTLE_ENDIAN)
    patient = whole.index(b"\x10\0\x20\0")
    assert head_of(whole[:patient] + sequence + whole[patient:], EXPLICIT_VR_LITTLE_ENDIAN) == OURS


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
@pytest.mark.parametrize("length", [5_000, 8_100, 8_170, 8_190, 100_000])
def test_what_lies_behind_long_values_is_read_from_the_file(
    head_of: Callable[[bytes, str], Head], transfer_syntax_uid: str, length: int
) -> None:
    dataset = a_data_set()
    dataset.add_new(0x0010_0040, "OB", bytes(length))
    assert head_of(encoded(dataset, transfer_syntax_uid), transfer_syntax_uid) == OURS


def test_every_test_file_of_pydicom_is_read_as_pydicom_reads_it() -> None:
    compared = 0
    reader = HeadReader()
    for path in sorted(Path(str(pydicom.__path__[0]), "data", "test_files").rglob("*.dcm")):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            offset = 144 + int(dataset.file_meta.FileMetaInformationGroupLength)
        except Exception:  # noqa: BLE001, S112 - it is no ordinary file, whatever pydicom says of it
            continue
        expected = Head(
            dataset.get("StudyInstanceUID", ""),
            dataset.get("SeriesInstanceUID", ""),
            str(dataset.get("PatientID", "") or "").encode(),
            dataset.get("StudyDate", ""),
            dataset.get("Modality", ""),
        )
        with path.open("rb") as file:
            found = reader.read(file.fileno(), file.read(FIRST), offset, dataset.get("SOPInstanceUID", ""), syntax)
        assert found == expected, path.name
        compared += 1
    assert compared > 40


@given(st.binary(max_size=600), st.sampled_from([*ENCODINGS, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]), st.data())
def test_damage_never_raises(noise: bytes, transfer_syntax_uid: str, data: st.DataObject) -> None:
    whole = encoded(a_data_set(), transfer_syntax_uid)
    at = data.draw(st.integers(0, len(whole)))
    damaged = whole[:at] + noise
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        assert isinstance(HeadReader().read(descriptor, damaged, 0, "1.2", transfer_syntax_uid), Head)
    finally:
        os.close(descriptor)


def test_a_value_that_is_far_too_long_is_not_read(head_of: Callable[[bytes, str], Head]) -> None:
    data = encoded(a_data_set(), EXPLICIT_VR_LITTLE_ENDIAN)
    long = data.replace(b"LO\x04\0ID-7", b"LO" + (2000).to_bytes(2, "little") + b"x" * 2000)
    assert head_of(long, EXPLICIT_VR_LITTLE_ENDIAN) == OURS._replace(patient_id=b"")


def test_a_sequence_without_end_is_given_up_after_a_bounded_number_of_headers(
    head_of: Callable[[bytes, str], Head],
) -> None:
    start = encoded(a_data_set(), EXPLICIT_VR_LITTLE_ENDIAN)[:16]
    endless = start + b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * 200_000
    assert head_of(endless, EXPLICIT_VR_LITTLE_ENDIAN) == Head(study_date="20200131")


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_files_read_one_after_the_other_keep_their_own_heads(transfer_syntax_uid: str) -> None:
    reader = HeadReader()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        for number in (1, 2, 9, 10, 11, 100, 3):
            for series in ("1.2.3.4", "1.2.3.44", "1.2.3.5"):
                for patient in ("ID-7", "ID-8"):
                    uid = f"1.2.{number}"
                    dataset = a_data_set(SOPInstanceUID=uid, SeriesInstanceUID=series, PatientID=patient)
                    dataset.InstanceNumber = number
                    found = reader.read(descriptor, encoded(dataset, transfer_syntax_uid), 0, uid, transfer_syntax_uid)
                    assert found == OURS._replace(series_instance_uid=series, patient_id=patient.encode())
    finally:
        os.close(descriptor)


def test_a_file_of_the_same_series_is_recognised_by_comparing_bytes() -> None:
    """Such a file needs no further reading: its wanted elements are where those of the file before were."""
    reader = HeadReader()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        heads = [
            reader.read(
                descriptor,
                encoded(a_data_set(SOPInstanceUID=uid), EXPLICIT_VR_LITTLE_ENDIAN),
                0,
                uid,
                EXPLICIT_VR_LITTLE_ENDIAN,
            )
            for uid in ("1.2.9", "1.2.10", "1.2.10000")
        ]
    finally:
        os.close(descriptor)
    assert heads[1] is heads[0]
    assert heads[2] is heads[0]


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_elements_are_located_beyond_what_was_read_and_never_within_sequences(tmp_path, transfer_syntax_uid):
    inner = a_data_set(**OTHERS, SOPInstanceUID="9.9.9.9")
    dataset = a_data_set(SOPInstanceUID="1.2.3.4.5", ReferencedStudySequence=Sequence([inner]), RetrieveURI="u" * 9000)
    file = tmp_path / "file"
    file.write_bytes(bytes(132) + encoded(dataset, transfer_syntax_uid))
    content = file.read_bytes()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        found = locate(descriptor, content[:200], 132, transfer_syntax_uid, (0x0008_0018, 0x0020_000D, 0x0020_0010))
    finally:
        os.close(descriptor)
    assert {tag: element.value.rstrip(b"\0") for tag, element in found.items()} == {
        0x0008_0018: b"1.2.3.4.5",
        0x0020_000D: b"1.2.3",
    }
    for element in found.values():
        assert content[element.position :].startswith(element.encoded)
