"""What makes an instance of each kind: the attributes and the value that the rest of its series does not share.

Every function has the same signature, so that the archive's table can name them, and sets elements of the data set in
place.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.tag import Tag

from asyncstore.load.drawing import Drawing, Ellipse, describe_pixels, pixel_bytes
from asyncstore.load.writing import fill, uid_of

if TYPE_CHECKING:
    from array import array

    from pydicom.uid import UID


class Place(NamedTuple):
    """Which instance of which series is being made."""

    number: int
    of: int
    transfer_syntax_uid: UID

    @property
    def depth(self) -> float:
        """How far through the series it is, from 0 to 1."""
        return (self.number - 1) / max(1, self.of - 1)


def place_slice(dataset: Dataset, place: Place, rows: int, millimetres: float, thickness: float) -> None:
    """Set where an axial slice lies (PS3.3 C.7.6.2); a field of view is ``millimetres`` wide."""
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


def chest(depth: float) -> list[Ellipse]:
    """Describe a slice through a body with lungs, a heart and a spine."""
    lung = 0.05 + 0.22 * math.sin(math.pi * (0.1 + 0.8 * depth))
    return [
        Ellipse(0.5, 0.52, 0.46, 0.34, 1060),
        Ellipse(0.29, 0.50, lung * 0.62, lung, 180),
        Ellipse(0.71, 0.50, lung * 0.62, lung, 180),
        Ellipse(0.54, 0.46, 0.11, 0.06 + 0.07 * depth, 1090),
        Ellipse(0.5, 0.73, 0.05, 0.06, 1700),
    ]


def head(depth: float) -> list[Ellipse]:
    """Describe a slice through a head with two ventricles."""
    size = 0.25 + 0.18 * math.sin(math.pi * (0.15 + 0.75 * depth))
    ventricle = 0.12 * math.sin(math.pi * depth)
    return [
        Ellipse(0.5, 0.5, size * 0.84, size, 900),
        Ellipse(0.5, 0.5, size * 0.76, size * 0.92, 420),
        Ellipse(0.45, 0.48, ventricle * 0.4 + 0.01, ventricle + 0.01, 130),
        Ellipse(0.55, 0.48, ventricle * 0.4 + 0.01, ventricle + 0.01, 130),
    ]


def ct(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a CT slice of a chest."""
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
        PixelData=pixel_bytes(drawing.frame(512, 512, chest(place.depth)), place.transfer_syntax_uid),
    )


def mr(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make an MR slice of a head."""
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
        PixelData=pixel_bytes(drawing.frame(256, 256, head(place.depth)), place.transfer_syntax_uid),
    )


def radiograph(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a radiograph of a chest: the first of a series from the front, the others from the side."""
    describe_pixels(dataset, 1024, 1024, 16)
    lungs = [
        Ellipse(0.5, 0.55, 0.42, 0.55, 1500),
        Ellipse(0.31, 0.5, 0.13, 0.3, 500),
        Ellipse(0.69, 0.5, 0.13, 0.3, 500),
    ]
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
        PixelData=pixel_bytes(drawing.frame(1024, 1024, lungs), place.transfer_syntax_uid),
    )


_BEAT_FRAMES: Final = 4
"""Frames of one heart beat; a loop repeats them, so each is drawn and compressed once."""
_BEATS: Final = 12


def _ultrasound_frame(drawing: Drawing, phase: float) -> array[int]:
    """Draw a heart's chamber at a phase of its beat, from 0 to 1."""
    chamber = 0.12 + 0.05 * math.sin(2 * math.pi * phase)
    return drawing.frame(
        360, 480, [Ellipse(0.5, 0.45, 0.3, 0.42, 90), Ellipse(0.47, 0.4, chamber * 0.7, chamber, 20)], bits=8
    )


def ultrasound(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a still of a heart."""
    describe_pixels(dataset, 360, 480, 8)
    fill(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "", "0001"],
        PixelData=pixel_bytes(_ultrasound_frame(drawing, place.depth), place.transfer_syntax_uid),
    )


def ultrasound_loop(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a loop of a beating heart, compressed with RLE."""
    describe_pixels(dataset, 360, 480, 8)
    beat = [_ultrasound_frame(drawing, phase / _BEAT_FRAMES) for phase in range(_BEAT_FRAMES)]
    frames = [_run_length_encoded(pixel_bytes(frame, place.transfer_syntax_uid), dataset) for frame in beat]
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


def _run_length_encoded(frame: bytes, dataset: Dataset) -> bytes:
    """Compress a frame with RLE (PS3.5 annex G), by pydicom's own encoder, which needs no numpy."""
    return RLELosslessEncoder.encode(
        frame,
        encoding_plugin="pydicom",
        rows=dataset.Rows,
        columns=dataset.Columns,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        pixel_representation=0,
        photometric_interpretation=dataset.PhotometricInterpretation,
    )


def dose(dataset: Dataset, place: Place, drawing: Drawing) -> None:
    """Make a dose distribution."""
    layers = 40
    describe_pixels(dataset, 96, 96, 16)
    place_slice(dataset, place, 96, 380.0, 2.5)
    frames = (
        drawing.frame(96, 96, [Ellipse(0.55, 0.5, 0.3, 0.2, 1200), Ellipse(0.55, 0.5, 0.12, 0.08, 3600)])
        for _ in range(layers)
    )
    plan = fill(Dataset(), ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.481.5")
    plan.ReferencedSOPInstanceUID = uid_of(f"{dataset.SeriesInstanceUID} plan")
    fill(
        dataset,
        NumberOfFrames=layers,
        FrameIncrementPointer=Tag("GridFrameOffsetVector"),
        GridFrameOffsetVector=[2.5 * layer for layer in range(layers)],
        DoseUnits="GY",
        DoseType="PHYSICAL",
        DoseSummationType="PLAN",
        DoseGridScaling=0.0005,
        TissueHeterogeneityCorrection="IMAGE",
        ReferencedRTPlanSequence=[plan],
        PixelData=b"".join(pixel_bytes(frame, place.transfer_syntax_uid) for frame in frames),
    )


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


def document(dataset: Dataset, place: Place, _drawing: Drawing) -> None:
    """Make an encapsulated PDF."""
    fill(
        dataset,
        ConversionType="WSD",
        BurnedInAnnotation="NO",
        AcquisitionDateTime="",
        DocumentTitle="Synthetic letter",
        ConceptNameCodeSequence=[],
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=_pdf(f"A synthetic letter, number {place.number}. There is no patient."),
    )


def _pdf(text: str) -> bytes:
    """Make a PDF of one page with one line of text, of even length as a value field must be."""
    stream = f"BT /F1 14 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Font << /F1 5 0 R >> >>",
    ]
    pdf = "%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += f"{number} 0 obj\n{content}\nendobj\n"
    table = len(pdf)
    pdf += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    pdf += "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    pdf += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    return pdf.encode() + b"\n" * (len(pdf) % 2)
