"""A small varied archive for demonstrations, written as files: patients, studies and series are a table."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder

from asyncstore.errors import UsageError
from asyncstore.load.attributes import describe, place_slice
from asyncstore.load.drawing import Drawing
from asyncstore.load.kinds import Pixels
from asyncstore.load.writing import Archive, fill, uid_of, writing_to
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    import os


class _Series(NamedTuple):
    """The contents of a series."""

    modality: str
    sop_class_uid: uid.UID
    transfer_syntax_uid: uid.UID
    instances: int
    pixels: Pixels | None
    brightest: int = 0
    """The gray level of the last rows."""


class _Study(NamedTuple):
    description: str
    series: tuple[_Series, ...]


_PATIENTS: Final[tuple[tuple[_Study, ...], ...]] = (
    (
        _Study(
            "CT CHEST",
            (
                _Series("CT", uid.CTImageStorage, uid.ExplicitVRLittleEndian, 44, Pixels(512, 512), 1700),
                _Series("SR", uid.BasicTextSRStorage, uid.ExplicitVRLittleEndian, 1, None),
            ),
        ),
        _Study(
            "CHEST TWO VIEWS",
            (
                _Series(
                    "DX",
                    uid.DigitalXRayImageStorageForPresentation,
                    uid.DeflatedExplicitVRLittleEndian,
                    2,
                    Pixels(1024, 1024),
                    1500,
                ),
            ),
        ),
    ),
    (
        _Study(
            "MR HEAD",
            (
                _Series("MR", uid.MRImageStorage, uid.ImplicitVRLittleEndian, 32, Pixels(256, 256), 900),
                _Series("MR", uid.MRImageStorage, uid.ExplicitVRLittleEndian, 32, Pixels(256, 256), 900),
                _Series("SR", uid.BasicTextSRStorage, uid.DeflatedExplicitVRLittleEndian, 2, None),
            ),
        ),
        _Study(
            "MR HEAD OF AN OLD SCANNER",
            (_Series("MR", uid.MRImageStorage, uid.ExplicitVRBigEndian, 24, Pixels(256, 256), 900),),
        ),
    ),
    (
        _Study(
            "ECHOCARDIOGRAPHY",
            (
                _Series(
                    "US",
                    uid.UltrasoundMultiFrameImageStorage,
                    uid.RLELossless,
                    3,
                    Pixels(360, 480, bits=8, frames=20),
                    90,
                ),
                _Series("US", uid.UltrasoundImageStorage, uid.ExplicitVRLittleEndian, 12, Pixels(360, 480, bits=8), 90),
            ),
        ),
        _Study(
            "BEDSIDE CHEST",
            (
                _Series(
                    "CR", uid.ComputedRadiographyImageStorage, uid.ImplicitVRLittleEndian, 2, Pixels(1024, 1024), 1500
                ),
            ),
        ),
        _Study(
            "RADIOTHERAPY PLANNING",
            (_Series("CT", uid.CTImageStorage, uid.ImplicitVRLittleEndian, 32, Pixels(512, 512), 1700),),
        ),
    ),
)
"""The studies of each patient; the fourth patient repeats the first one's."""

_HEART_BEAT: Final = 4
"""Frames of a loop that are drawn and compressed; the loop repeats them."""

_NAMES: Final = ("ADA", "BLAISE", "CURIE", "DARWIN", "EULER", "FARADAY", "GAUSS", "HOPPER", "IRENE", "JOULE", "KEPLER")


def write_archive(folder: str | os.PathLike[str], *, patients: int = 3, seed: int = 0) -> Archive:
    """Write a small archive of several modalities and transfer syntaxes, as ``patient/study/series/0001.dcm``.

    Three patients are some 190 instances and 70 MB, and take a second or two.

    Args:
        folder: an empty or a new folder.
        patients: the number of patients; every third one has the same kinds of studies.
        seed: another seed gives other UIDs and other noise.

    Raises:
        UsageError: the folder is not empty or cannot be written, or ``patients`` is less than 1.
    """
    if patients < 1:
        raise UsageError(f"cannot write an archive of {patients} patients: there must be at least 1")
    root = Path(folder)
    drawing = Drawing(Random(seed))  # noqa: S311 - noise, not a secret
    studies = [study for patient in range(patients) for study in _PATIENTS[patient % len(_PATIENTS)]]
    series = [each for study in studies for each in study.series]
    with writing_to(root):
        size = sum(_write_patient(root, patient, f"archive {seed}", drawing) for patient in range(patients))
    return Archive(
        folder=root,
        patients=patients,
        studies=len(studies),
        series=len(series),
        instances=sum(each.instances for each in series),
        bytes=size,
        modalities=tuple(sorted({each.modality for each in series})),
    )


def _write_patient(root: Path, patient: int, name: str, drawing: Drawing) -> int:
    """Write all studies of one patient; ``name`` makes the UIDs of each archive different. The size in bytes."""
    patient_id = f"SYN-{patient + 1:04}"
    given = _NAMES[patient % len(_NAMES)]
    again = patient // len(_NAMES)
    size = 0
    for study_number, study in enumerate(_PATIENTS[patient % len(_PATIENTS)], start=1):
        study_name = f"{name} {patient_id} study {study_number}"
        for number, series in enumerate(study.series, start=1):
            dataset = fill(
                Dataset(),
                PatientName=f"SYNTHETIC^{given}{again or ''}",
                PatientID=patient_id,
                PatientBirthDate="19000101",
                PatientSex="O",
                StudyInstanceUID=uid_of(study_name),
                StudyID=str(study_number),
                StudyDescription=study.description,
                StudyDate=f"2020{study_number:02}{patient % 28 + 1:02}",
                StudyTime="120000",
                AccessionNumber=f"{patient_id}-{study_number}",
                ReferringPhysicianName="",
                SeriesInstanceUID=uid_of(f"{study_name} series {number}"),
                SeriesNumber=number,
                SeriesDescription=f"SYNTHETIC {series.modality}",
                FrameOfReferenceUID=uid_of(f"{study_name} frame of reference"),
                Manufacturer="asyncstore",
                SpecificCharacterSet="ISO_IR 100",
            )
            folder = root / patient_id / f"study-{study_number}" / f"series-{number}-{series.modality}"
            size += _write_series(folder, series, dataset, drawing)
    return size


def _write_series(folder: Path, series: _Series, dataset: Dataset, drawing: Drawing) -> int:
    """Write a series; its instances share one data set and set only the elements that differ. The size in bytes."""
    folder.mkdir(parents=True)
    dataset.Modality = series.modality
    dataset.SOPClassUID = series.sop_class_uid
    dataset.ContentDate = dataset.SeriesDate = dataset.StudyDate
    dataset.ContentTime = dataset.SeriesTime = dataset.StudyTime
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = series.transfer_syntax_uid
    describe(dataset, series.sop_class_uid, series.pixels)
    size = 0
    for number in range(1, series.instances + 1):
        dataset.SOPInstanceUID = uid_of(f"{dataset.SeriesInstanceUID} instance {number}")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number
        if series.pixels is not None:
            _draw(dataset, series, series.pixels, drawing)
        if "SliceLocation" in dataset:
            place_slice(dataset, number)
        file = folder / f"{number:04}.dcm"
        dcmwrite(file, dataset, enforce_file_format=True)
        size += file.stat().st_size
    return size


def _draw(dataset: Dataset, series: _Series, pixels: Pixels, drawing: Drawing) -> None:
    """Set Pixel Data: frames of their own. pydicom's encoder of RLE (PS3.5 annex G) needs no numpy."""
    frames = [
        drawing.frame(pixels.rows, pixels.columns, series.brightest, bits=pixels.bits)
        for _ in range(min(pixels.frames, _HEART_BEAT))
    ]
    if series.transfer_syntax_uid == uid.ExplicitVRBigEndian:
        for frame in frames:
            frame.byteswap()
    dataset.PixelData = b"".join(frame.tobytes() for frame in frames)
    if series.transfer_syntax_uid == uid.RLELossless:
        dataset.NumberOfFrames = len(frames)
        encoded = list(RLELosslessEncoder.iter_encode(dataset, encoding_plugin="pydicom"))
        dataset.NumberOfFrames = pixels.frames
        dataset.PixelData = encapsulate(encoded * (pixels.frames // len(frames)))
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
