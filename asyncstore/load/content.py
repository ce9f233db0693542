"""The attributes and pixels of the instances of :mod:`.archive`.

All functions set elements of the data set in place, and share one signature for the archive's table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.tag import Tag

from asyncstore.load.drawing import Drawing, describe_pixels, pixel_bytes
from asyncstore.load.writing import fill

if TYPE_CHECKING:
    from pydicom.uid import UID


class Place(NamedTuple):
    """The number of an instance in its series, and its transfer syntax."""

    number: int
    transfer_syntax_uid: UID


def place_slice(dataset: Dataset, place: Place, rows: int, millimetres: float, thickness: float) -> None:
    """Set the position of an axial slice (PS3.3 C.7.6.2); the field of view is ``millimetres`` wide."""
    z = (place.number - 1) * thickness
    fill(
        dataset,
        PixelSpacing=[round(millimetres / rows, 6)] * 2,
        SliceThickness=thickness,
        SliceLocation=z,
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-millimetres / 2, -millimetres / 2, z],
        PositionReferenceIndicator="",
    )


def ct(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a CT slice."""
    describe_pixels(dataset, 512, 512, 16)
    place_slice(dataset, place, 512, 380.0, 2.5)
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        AcquisitionNumber=1,
        KVP=120,
        RescaleIntercept=-1024,
        RescaleSlope=1,
        RescaleType="HU",
        WindowCenter=40,
        WindowWidth=400,
        PixelData=pixel_bytes(drawing.frame(512, 512, 1700), place.transfer_syntax_uid),
    )


def mr(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make an MR slice."""
    describe_pixels(dataset, 256, 256, 16)
    place_slice(dataset, place, 256, 230.0, 4.0)
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "M"],
        ScanningSequence="SE",
        SequenceVariant="NONE",
        ScanOptions="",
        MRAcquisitionType="2D",
        RepetitionTime=500,
        EchoTime=14,
        EchoTrainLength=1,
        WindowCenter=450,
        WindowWidth=900,
        PixelData=pixel_bytes(drawing.frame(256, 256, 900), place.transfer_syntax_uid),
    )


def radiograph(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a radiograph: the first of a series from the front, the others from the side."""
    describe_pixels(dataset, 1024, 1024, 16)
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", ""],
        BodyPartExamined="CHEST",
        ViewPosition="PA" if place.number == 1 else "LL",
        PatientOrientation=["L", "F"] if place.number == 1 else ["A", "F"],
        ImageLaterality="U",
        ImagerPixelSpacing=[0.4, 0.4],
        PixelIntensityRelationship="LOG",
        PixelIntensityRelationshipSign=-1,
        RescaleIntercept=0,
        RescaleSlope=1,
        RescaleType="US",
        PresentationLUTShape="IDENTITY",
        LossyImageCompression="00",
        WindowCenter=1024,
        WindowWidth=2048,
        PixelData=pixel_bytes(drawing.frame(1024, 1024, 1500), place.transfer_syntax_uid),
    )


_BEAT_FRAMES: Final = 4
"""Frames of one heart beat, drawn and compressed once; the loop repeats them."""
_BEATS: Final = 5


def ultrasound(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a single ultrasound frame."""
    describe_pixels(dataset, 360, 480, 8)
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "", "0001"],
        PixelData=pixel_bytes(drawing.frame(360, 480, 90, bits=8), place.transfer_syntax_uid),
    )


def ultrasound_loop(dataset: Dataset, _place: Place, drawing: Drawing) -> None:
    """Make a loop of frames, compressed with RLE (PS3.5 annex G); pydicom's encoder needs no numpy."""
    describe_pixels(dataset, 360, 480, 8)
    beat = (drawing.frame(360, 480, 90, bits=8) for _ in range(_BEAT_FRAMES))
    fill(dataset, NumberOfFrames=_BEAT_FRAMES, PixelData=b"".join(frame.tobytes() for frame in beat))
    frames = list(RLELosslessEncoder.iter_encode(dataset, encoding_plugin="pydicom"))
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "", "0001"],
        NumberOfFrames=_BEAT_FRAMES * _BEATS,
        FrameTime=40,
        FrameIncrementPointer=Tag("FrameTime"),
        PixelData=encapsulate(frames * _BEATS),
    )
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """Make the one item of a code sequence (PS3.3 8.8)."""
    return [fill(Dataset(), CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def report(dataset: Dataset, place: Place, _drawing: Drawing) -> None:
    """Make a report of three sentences."""
    sentences = ["This report is synthetic.", "There is no patient.", f"It is number {place.number} of its series."]
    fill(
        dataset,
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ReferencedPerformedProcedureStepSequence=[],
        PerformedProcedureCodeSequence=[],
        ValueType="CONTAINER",
        ConceptNameCodeSequence=_code("18748-4", "LN", "Diagnostic imaging report"),
        ContinuityOfContent="SEPARATE",
        ContentSequence=[
            fill(
                Dataset(),
                RelationshipType="CONTAINS",
                ValueType="TEXT",
                ConceptNameCodeSequence=_code("121071", "DCM", "Finding"),
                TextValue=sentence,
            )
            for sentence in sentences
        ],
    )
