"""The attributes of synthetic instances beyond patient, study and series: those that SCPs index and viewers need.

They are those of PS3.3 that every instance of its SOP class has in practice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from asyncstore.load.kinds import (
    BASIC_TEXT_SR,
    CR_IMAGE,
    CT_IMAGE,
    DX_IMAGE,
    ENHANCED_CT_IMAGE,
    MG_IMAGE,
    MR_IMAGE,
    MULTI_FRAME_SECONDARY_CAPTURE,
    TOMOSYNTHESIS,
    US_IMAGE,
    US_MULTI_FRAME,
)
from asyncstore.load.writing import fill, uid_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncstore.load.kinds import Pixels

_HOUNSFIELD: Final = {"RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": "HU"}
_UNIFORM: Final = {"RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "US"}
_PRESENTED: Final = {"PresentationLUTShape": "IDENTITY", "LossyImageCompression": "00", "BurnedInAnnotation": "NO"}
_PROJECTION: Final = {
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": [0.14, 0.14],
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "PresentationIntentType": "FOR PRESENTATION",
    **_PRESENTED,
    **_UNIFORM,
}

_ATTRIBUTES: Final[Mapping[str, Mapping[str, Any]]] = {
    CT_IMAGE: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "AcquisitionNumber": 1, "KVP": 120, **_HOUNSFIELD},
    MR_IMAGE: {
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": 500,
        "EchoTime": 14,
        "EchoTrainLength": 1,
    },
    CR_IMAGE: {"BodyPartExamined": "CHEST", "ViewPosition": "PA", "PatientOrientation": ["L", "F"], **_UNIFORM},
    DX_IMAGE: {
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "ImageLaterality": "U",
        **_PROJECTION,
    },
    MG_IMAGE: {
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "BodyPartExamined": "BREAST",
        "ViewPosition": "MLO",
        "ImageLaterality": "L",
        **_PROJECTION,
    },
    TOMOSYNTHESIS: {
        "ImageType": ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        "BodyPartExamined": "BREAST",
        "ImageLaterality": "L",
        **_PRESENTED,
    },
    ENHANCED_CT_IMAGE: {
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "AcquisitionNumber": 1,
        **_PRESENTED,
    },
    US_IMAGE: {"ImageType": ["ORIGINAL", "PRIMARY", "", "0001"]},
    US_MULTI_FRAME: {
        "ImageType": ["ORIGINAL", "PRIMARY", "", "0001"],
        "FrameTime": 40,
        "FrameIncrementPointer": Tag("FrameTime"),
    },
    MULTI_FRAME_SECONDARY_CAPTURE: {
        "ConversionType": "SYN",
        "BurnedInAnnotation": "NO",
        "FrameTime": 40,
        "FrameIncrementPointer": Tag("FrameTime"),
    },
}
"""By SOP class."""

_SLICES: Final = (CT_IMAGE, MR_IMAGE)
_FIELD_OF_VIEW, _THICKNESS = 380.0, 2.5
"""Of slices, in mm."""
_ENHANCED: Final = (ENHANCED_CT_IMAGE, TOMOSYNTHESIS)
_SENTENCE: Final = "This report is synthetic and describes no patient. "


def describe(dataset: Dataset, sop_class_uid: str, pixels: Pixels | None) -> None:
    """Set the attributes of an instance, all but Pixel Data. Slices are the first of their series."""
    fill(dataset, **_ATTRIBUTES.get(sop_class_uid, {}))
    if sop_class_uid == BASIC_TEXT_SR:
        _describe_report(dataset)
    if pixels is not None:
        _describe_pixels(dataset, pixels)
        if sop_class_uid in _SLICES:
            spacing = round(_FIELD_OF_VIEW / pixels.rows, 6)
            fill(dataset, PixelSpacing=[spacing] * 2, SliceThickness=_THICKNESS, PositionReferenceIndicator="")
            fill(
                dataset,
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                FrameOfReferenceUID=uid_of("load frame of reference"),
            )
            place_slice(dataset, 1)
        if sop_class_uid in _ENHANCED:
            _describe_frames(dataset, pixels)


def place_slice(dataset: Dataset, number: int) -> None:
    """Set the position of an axial slice by its number in the series (PS3.3 C.7.6.2)."""
    z = (number - 1) * _THICKNESS
    fill(dataset, SliceLocation=z, ImagePositionPatient=[-_FIELD_OF_VIEW / 2, -_FIELD_OF_VIEW / 2, z])


def pad_report(dataset: Dataset, text: str) -> None:
    """Add text to the last finding of a report."""
    dataset.ContentSequence[-1].TextValue += text


def report_text(length: int) -> str:
    """So many characters of sentences."""
    return (_SENTENCE * (length // len(_SENTENCE) + 1))[: length - 1] + "." if length else ""


def _describe_pixels(dataset: Dataset, pixels: Pixels) -> None:
    """Set the attributes of pixels (PS3.3 C.7.6.3)."""
    stored = min(pixels.bits, 12)
    fill(
        dataset,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.rows,
        Columns=pixels.columns,
        BitsAllocated=pixels.bits,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=0,
    )
    if pixels.samples > 1:
        fill(dataset, SamplesPerPixel=pixels.samples, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    if pixels.frames > 1:
        dataset.NumberOfFrames = pixels.frames


def _describe_frames(dataset: Dataset, pixels: Pixels) -> None:
    """Set the functional groups of an enhanced multi-frame image (PS3.3 C.7.6.16)."""
    dimension = fill(
        Dataset(),
        DimensionOrganizationUID=uid_of("load dimension organization"),
        DimensionIndexPointer=Tag("InStackPositionNumber"),
        FunctionalGroupPointer=Tag("FrameContentSequence"),
    )
    shared = fill(
        Dataset(),
        PixelMeasuresSequence=[fill(Dataset(), PixelSpacing=[0.7, 0.7], SliceThickness=2.5)],
        PlaneOrientationSequence=[fill(Dataset(), ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[fill(Dataset(), **_HOUNSFIELD)],
    )
    frames = [
        fill(
            Dataset(),
            FrameContentSequence=[
                fill(Dataset(), StackID="1", InStackPositionNumber=number, DimensionIndexValues=[number])
            ],
            PlanePositionSequence=[fill(Dataset(), ImagePositionPatient=[-180, -180, 2.5 * number])],
        )
        for number in range(1, pixels.frames + 1)
    ]
    fill(
        dataset,
        FrameOfReferenceUID=uid_of("load frame of reference"),
        ContentDate="20200101",
        ContentTime="120000",
        DimensionOrganizationSequence=[
            fill(Dataset(), DimensionOrganizationUID=uid_of("load dimension organization")),
        ],
        DimensionIndexSequence=[dimension],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )


def _describe_report(dataset: Dataset) -> None:
    finding = fill(
        Dataset(),
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=[_code("121071", "DCM", "Finding")],
        TextValue=_SENTENCE,
    )
    fill(
        dataset,
        ContentDate="20200101",
        ContentTime="120000",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ReferencedPerformedProcedureStepSequence=[],
        PerformedProcedureCodeSequence=[],
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[_code("18748-4", "LN", "Diagnostic imaging report")],
        ContinuityOfContent="SEPARATE",
        ContentSequence=[finding],
    )


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept (PS3.3 8.8)."""
    return fill(Dataset(), CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
