"""Many instances of one kind and size for benchmarks.

pydicom encodes one file. A copy has values of its own in place of the template's, each as long as the template's, so no
length in the file changes.
"""

from __future__ import annotations

import math
from io import BytesIO
from itertools import repeat
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from asyncstore.errors import UsageError
from asyncstore.load.content import Place, place_slice
from asyncstore.load.drawing import Drawing, describe_pixels
from asyncstore.load.writing import Archive, fill, uid_of, writing_to

if TYPE_CHECKING:
    import os

    from pydicom.dataelem import DataElement


_FRAME_SIDE: Final = 512
_FRAME_BYTES: Final = _FRAME_SIDE * _FRAME_SIDE * 2
_ELEMENT_HEADER: Final = 12
"""Tag, VR, two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1)."""
_PRIVATE_GROUP: Final = 0x0071
_GROUP_LENGTH: Final = slice(140, 144)
"""The value of (0002,0000), which counts the bytes from there to the data set (PS3.10 7.1)."""
_SMALLEST_DATA_SET: Final = 1024
_LARGEST_DATA_SET: Final = 0xFFFF_FFFE
"""Nearly all of it is Pixel Data, whose length is an even number of 32 bits."""
_MOST_FRAMES: Final = _LARGEST_DATA_SET // _FRAME_BYTES
"""A placeholder in the template with at least as many digits as the final number."""
_TOO_MANY: Final = 10**9
"""UIDs and instance numbers have nine digits."""
_NUMBER_WIDTH: Final = 10
"""Characters of every Instance Number (an IS), with its sign."""


def write_copies(
    folder: str | os.PathLike[str],
    *,
    count: int,
    data_set_bytes: int = 526_336,
    multi_frame: bool = False,
    per_series: int = 150,
    seed: int = 0,
) -> Archive:
    """Write many instances of one kind, explicit VR little endian, that differ only in UIDs and instance number.

    Args:
        folder: an empty or a new folder. Each series gets a folder below it.
        count: the number of instances.
        data_set_bytes: the exact size of each data set; the default is that of a CT slice of 512 x 512 pixels.
        multi_frame: fill the data set with frames of 512 x 512 pixels of a multi-frame secondary capture, instead of
            one CT slice.
        per_series: the number of instances in a series.
        seed: another seed gives other UIDs and other noise.

    Raises:
        UsageError: the folder is not empty or cannot be written, or a number is out of range.
    """
    if not 1 <= count < _TOO_MANY or per_series < 1:
        limits = f"both must be at least 1, and the first below {_TOO_MANY}"
        raise UsageError(f"cannot write {count} instances in series of {per_series}: {limits}")
    root = Path(folder)
    template = _Template.build(data_set_bytes, multi_frame=multi_frame, seed=seed)
    with writing_to(root):
        for series, first in enumerate(range(0, count, per_series), start=1):
            below = root / f"S{series:06}"
            below.mkdir()
            template.write_series(below, series, range(first, min(first + per_series, count)))
    return Archive(
        folder=root,
        patients=1,
        studies=1,
        series=math.ceil(count / per_series),
        instances=count,
        bytes=count * template.file_bytes,
        modalities=(template.modality,),
        transfer_syntaxes=(str(ExplicitVRLittleEndian),),
    )


class _Template(NamedTuple):
    """One encoded file, with marks in place of the values that differ between copies."""

    modality: str
    uid_root: str
    start: bytes
    """The file up to Pixel Data's value."""
    frame: bytes
    frames: int
    file_bytes: int

    @classmethod
    def build(cls, data_set_bytes: int, *, multi_frame: bool, seed: int) -> _Template:
        """Encode the template with pydicom, with marks in place of the copies' own values."""
        smallest = _FRAME_BYTES + _SMALLEST_DATA_SET if multi_frame else _SMALLEST_DATA_SET
        if data_set_bytes % 2 or not smallest <= data_set_bytes <= _LARGEST_DATA_SET:
            limits = f"an even number from {smallest} to {_LARGEST_DATA_SET}"
            raise UsageError(f"cannot write data sets of {data_set_bytes} bytes: it must be {limits}")
        name = f"copies {seed} {data_set_bytes} {multi_frame}"
        dataset = _copied_dataset(name, multi_frame=multi_frame)
        room = data_set_bytes - len(_encoded(dataset)[1]) - _ELEMENT_HEADER
        frames = room // _FRAME_BYTES if multi_frame else 1
        side = _FRAME_SIDE if multi_frame else math.isqrt(room // 2)
        describe_pixels(dataset, side, side, 16)
        if multi_frame:
            dataset.NumberOfFrames = frames
        drawing = Drawing(Random(seed))  # noqa: S311 - noise, not a secret
        frame = drawing.frame(side, side, 1700).tobytes()
        pixel_bytes = frames * len(frame)
        padding = data_set_bytes - pixel_bytes - _ELEMENT_HEADER - len(_encoded(dataset)[1])
        _padding_of(dataset).value = bytes(padding)
        meta, header = _encoded(dataset)
        return cls(
            modality=dataset.Modality,
            uid_root=uid_of(name),
            start=meta + header + _pixel_data_header(pixel_bytes),
            frame=frame,
            frames=frames,
            file_bytes=len(meta) + data_set_bytes,
        )

    def write_series(self, folder: Path, series: int, numbers: range) -> None:
        """Write one file for each number."""
        of_series = self.start.replace(_copy_uid(self.uid_root, 2, 0), _copy_uid(self.uid_root, 2, series))
        for number in numbers:
            start = of_series.replace(_copy_uid(self.uid_root, 1, 0), _copy_uid(self.uid_root, 1, number))
            start = start.replace(_written(0), _written(number + 1))
            with open(folder / f"I{number:07}.dcm", "wb") as file:  # a million times; Path.open costs more
                file.write(start)
                file.writelines(repeat(self.frame, self.frames))


def _copy_uid(root: str, kind: int, number: int) -> bytes:
    """Make a UID whose length depends on the root only; numbers below a UUID's arc are free to use (X.667 7)."""
    return f"{root}.{kind}{number:09}".encode()


def _written(number: int) -> bytes:
    """An Instance Number. Nothing else in the file has a plus sign."""
    return f"{number:+0{_NUMBER_WIDTH}}".encode()


def _copied_dataset(name: str, *, multi_frame: bool) -> Dataset:
    """Make the data set of the template, without its pixels."""
    sop_class_uid = MultiFrameGrayscaleWordSecondaryCaptureImageStorage if multi_frame else CTImageStorage
    dataset = fill(
        Dataset(),
        SOPClassUID=sop_class_uid,
        SOPInstanceUID=_copy_uid(uid_of(name), 1, 0).decode(),
        PatientName="SYNTHETIC^COPY",
        PatientID="SYN-COPY",
        PatientBirthDate="19000101",
        PatientSex="O",
        StudyInstanceUID=uid_of(f"{name} study"),
        StudyID="1",
        StudyDate="20200101",
        StudyTime="120000",
        AccessionNumber="",
        ReferringPhysicianName="",
        SeriesInstanceUID=_copy_uid(uid_of(name), 2, 0).decode(),
        SeriesNumber=1,
        Modality="OT" if multi_frame else "CT",
        Manufacturer="asyncstore",
        InstanceNumber=_written(0).decode(),
    )
    describe_pixels(dataset, _FRAME_SIDE, _FRAME_SIDE, 16)
    if multi_frame:
        fill(dataset, NumberOfFrames=_MOST_FRAMES, ConversionType="SYN", BurnedInAnnotation="NO", FrameTime=40)
        dataset.FrameIncrementPointer = Tag("FrameTime")
    else:
        place_slice(dataset, Place(1, ExplicitVRLittleEndian), _FRAME_SIDE, 380.0, 2.5)
        fill(dataset, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], AcquisitionNumber=1, KVP=120)
        fill(dataset, FrameOfReferenceUID=uid_of(f"{name} frame"), RescaleIntercept=-1024, RescaleSlope=1)
    dataset.private_block(_PRIVATE_GROUP, "ASYNCSTORE PADDING", create=True).add_new(0, "OB", b"")
    return dataset


def _padding_of(dataset: Dataset) -> DataElement:
    """Return the private element that fills up the data set; DCMTK would drop Data Set Trailing Padding."""
    return dataset.private_block(_PRIVATE_GROUP, "ASYNCSTORE PADDING")[0]


def _encoded(dataset: Dataset) -> tuple[bytes, bytes]:
    """Encode as a file. Returns everything before the data set, and the data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    encoded = file.getvalue()
    group_length = encoded[_GROUP_LENGTH]
    meta = _GROUP_LENGTH.stop + int.from_bytes(group_length, "little")
    return encoded[:meta], encoded[meta:]


def _pixel_data_header(length: int) -> bytes:
    """Encode the header of Pixel Data (7FE0,0010), explicit VR little endian (PS3.5 7.1.2)."""
    return b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little")
