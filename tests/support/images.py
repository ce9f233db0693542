"""Make images with known pixels, and encode them with foreign codecs."""

from __future__ import annotations

import struct

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from asyncstore.model import Instance
from support import values

CT = "1.2.840.10008.5.1.4.1.1.2"


def noise(shape, low=0, high=256, dtype="u1", seed=0):
    """An array of random numbers, smoothed a little, so that codecs have something to do."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def described(rows=16, columns=16, samples=1, allocated=8, stored=None, signed=0, frames=None, photometric=None):  # noqa: PLR0917
    """A data set with the attributes of an image, without pixel data."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = CT, "1.2.3"
    data_set.SamplesPerPixel = samples
    data_set.PhotometricInterpretation = photometric or ("MONOCHROME2" if samples == 1 else "RGB")
    if samples > 1:
        data_set.PlanarConfiguration = 0
    if frames is not None:
        data_set.NumberOfFrames = frames
    data_set.Rows, data_set.Columns = rows, columns
    stored = stored or allocated
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = allocated, stored, stored - 1
    data_set.PixelRepresentation = signed
    return data_set


def encapsulated(data_set, transfer_syntax, frames, *, basic=True, extended=False, fragments=1):
    """The instance with these frames as its pixel data."""
    if extended:
        data_set.PixelData, data_set.ExtendedOffsetTable, data_set.ExtendedOffsetTableLengths = encapsulate_extended(
            frames
        )
    else:
        data_set.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=basic)
    return instance(data_set, transfer_syntax)


def native(data_set, pixels, transfer_syntax="1.2.840.10008.1.2.1"):
    """The instance with these native pixels."""
    data_set.PixelData = pixels.tobytes() if isinstance(pixels, np.ndarray) else pixels
    data_set.PixelData += b"\0" * (len(data_set.PixelData) & 1)
    return instance(data_set, transfer_syntax)


def instance(data_set, transfer_syntax):
    """The instance in memory."""
    is_little = transfer_syntax != "1.2.840.10008.1.2.2"
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = is_little, transfer_syntax == "1.2.840.10008.1.2"
    if "PixelData" in data_set:
        is_encapsulated = data_set.PixelData[:4] == b"\xfe\xff\x00\xe0"
        data_set["PixelData"].VR = "OB" if is_encapsulated or data_set.BitsAllocated <= 8 else "OW"
        data_set["PixelData"].is_undefined_length = is_encapsulated
    write_dataset(stream, data_set)
    data = stream.getvalue()
    made = values.instance("/made", CT, "1.2.3", transfer_syntax, 0, len(data), data)
    assert isinstance(made, Instance)
    return made


def items(*fragments, table=b""):
    """Encapsulated pixel data of these fragments, as they are; pydicom writes its end."""
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in (table, *fragments))
