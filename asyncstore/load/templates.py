"""Encoded instances with places for the values that differ between the instances of a kind.

Rules:

1. pydicom encodes each kind once. Every value that differs has the same length in all instances, so no length in a data
   set changes.
2. Templates depend on their kind alone. So two measurements of the same mix send the same content, whatever their
   UIDs are.
3. All instances of all kinds share one noise. Those that follow one another begin at other places in it, so they have
   different pixels.
"""

from __future__ import annotations

from functools import cache, lru_cache
from hashlib import sha256
from io import BytesIO
from random import Random
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

from asyncstore.errors import UsageError
from asyncstore.load.attributes import describe, pad_report, report_text
from asyncstore.load.drawing import Drawing
from asyncstore.load.identities import (
    ACCESSION_NUMBER_LENGTH,
    INSTANCE_NUMBER_LENGTH,
    PATIENT_ID_LENGTH,
    SERIES_NUMBER_LENGTH,
    UID_LENGTH,
)
from asyncstore.load.kinds import recipe_of
from asyncstore.load.writing import fill
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from asyncstore.load.kinds import Pixels
    from asyncstore.load.values import Kind

_PRIVATE_GROUP: Final = 0x0071
_CREATOR: Final = "ASYNCSTORE PADDING"
_NOISE_SEED: Final = 1
_VARIANTS: Final = 16
"""Places in the noise where an instance's pixels begin."""
_STEP: Final = 1571 * 2
"""Bytes between two of them: even, so that values of 16 bits stay whole."""
_FRAME_SIDE: Final = 512
_SHARED_BYTES: Final = 4 << 20
"""The longest piece of pixels, so that large instances have few pieces and take no memory."""


class Template(NamedTuple):
    """An encoded data set."""

    kind: Kind
    series: int
    """Series in a study."""
    head: bytes
    """The data set up to the value of Pixel Data; all of a report. The slices are places for values."""
    patient_id: slice
    accession: slice
    study_uid: slice
    series_uid: slice
    series_number: slice
    instance_uid: slice
    """Before :attr:`instance_number`, as tags ascend."""
    instance_number: slice
    pixels: tuple[tuple[memoryview, ...], ...]
    """The value of Pixel Data in pieces, in several variants; one variant without pieces for a report."""
    digest: bytes
    """A hash of head and pixels, without the values of these places."""


@lru_cache(maxsize=128)
def template_of(kind: Kind) -> Template:
    """Encode the template of a kind; it does not depend on the kind's share.

    Raises:
        UsageError: the kind's size leaves no room for its attributes.
    """
    recipe = recipe_of(kind)
    dataset = _dataset(kind)
    describe(dataset, kind.sop_class_uid, recipe.pixels)
    if recipe.pixels is None:
        _check_room(kind, kind.bytes - len(_encoded(dataset)))
        pad_report(dataset, report_text(kind.bytes - len(_encoded(dataset))))
        head = _encoded(dataset)
        pixels: tuple[tuple[memoryview, ...], ...] = ((),)
    else:
        padding = dataset.private_block(_PRIVATE_GROUP, _CREATOR, create=True)
        padding.add_new(0, "OB", b"")
        start = _pixel_data_header(recipe.pixels)
        room = kind.bytes - recipe.pixels.bytes - len(start) - len(_encoded(dataset))
        _check_room(kind, room)
        padding[0].value = bytes(room)
        head = _encoded(dataset) + start
        pixels = _variants(recipe.pixels)
    digest = sha256(head)
    for piece in pixels[0]:
        digest.update(piece)
    return Template(
        kind,
        recipe.series,
        head,
        _field(head, 0x0010, 0x0020, PATIENT_ID_LENGTH),
        _field(head, 0x0008, 0x0050, ACCESSION_NUMBER_LENGTH),
        _field(head, 0x0020, 0x000D, UID_LENGTH),
        _field(head, 0x0020, 0x000E, UID_LENGTH),
        _field(head, 0x0020, 0x0011, SERIES_NUMBER_LENGTH),
        _field(head, 0x0008, 0x0018, UID_LENGTH),
        _field(head, 0x0020, 0x0013, INSTANCE_NUMBER_LENGTH),
        pixels,
        digest.digest(),
    )


def _dataset(kind: Kind) -> Dataset:
    """The attributes of patient, study and series; values that differ have their length only."""
    uid = "2.25.".ljust(UID_LENGTH, "1")
    return fill(
        Dataset(),
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=kind.sop_class_uid,
        SOPInstanceUID=uid,
        StudyDate="20200101",
        StudyTime="120000",
        AccessionNumber="0" * ACCESSION_NUMBER_LENGTH,
        Modality=kind.modality,
        Manufacturer="asyncstore",
        ReferringPhysicianName="",
        PatientName="SYNTHETIC^LOAD",
        PatientID="0" * PATIENT_ID_LENGTH,
        PatientBirthDate="19000101",
        PatientSex="O",
        StudyInstanceUID=uid,
        SeriesInstanceUID=uid,
        StudyID="1",
        SeriesNumber="0" * SERIES_NUMBER_LENGTH,
        InstanceNumber="0" * INSTANCE_NUMBER_LENGTH,
    )


def _encoded(dataset: Dataset) -> bytes:
    file = BytesIO()
    stream = DicomIO(file)
    stream.is_little_endian = True
    stream.is_implicit_VR = False
    write_dataset(stream, dataset)
    return file.getvalue()


def _check_room(kind: Kind, room: int) -> None:
    if room < 0:
        least = kind.bytes - room
        raise UsageError(f"no {kind.modality} data set of {kind.bytes} bytes can be made: it must have {least} or more")


def _field(head: bytes, group: int, element: int, length: int) -> slice:
    """The place of a value; all have VRs with lengths of 16 bits."""
    tag = group.to_bytes(2, "little") + element.to_bytes(2, "little")
    start = head.index(tag) + 8
    if head[start - 2 : start] != length.to_bytes(2, "little"):
        raise AssertionError(f"({group:04X},{element:04X}) is not where it was looked for")
    return slice(start, start + length)


def _pixel_data_header(pixels: Pixels) -> bytes:
    """The header of Pixel Data (7FE0,0010) in explicit VR little endian (PS3.5 7.1.2)."""
    vr = b"OB" if pixels.bits == 8 else b"OW"  # noqa: PLR2004 - bits
    return b"\xe0\x7f\x10\x00" + vr + b"\0\0" + pixels.bytes.to_bytes(4, "little")


def _variants(pixels: Pixels) -> tuple[tuple[memoryview, ...], ...]:
    """Pixel Data in pieces of the shared noise."""
    noise = _noise(pixels.bits)
    whole, rest = divmod(pixels.bytes, _SHARED_BYTES)
    lengths = [_SHARED_BYTES] * whole + [rest] * (rest > 0)
    starts = range(0, _VARIANTS * _STEP, _STEP)
    return tuple(tuple(noise[start : start + length] for length in lengths) for start in starts)


@cache
def _noise(bits: int) -> memoryview:
    """The noise of all pixels of so many bits: a frame, again and again."""
    drawing = Drawing(Random(_NOISE_SEED))  # noqa: S311 - noise, not a secret
    brightest = 200 if bits == 8 else 1700  # noqa: PLR2004 - bits
    frame = drawing.frame(_FRAME_SIDE, _FRAME_SIDE, brightest, bits=bits).tobytes()
    size = _SHARED_BYTES + _VARIANTS * _STEP
    return memoryview((frame * (size // len(frame) + 1))[:size])
