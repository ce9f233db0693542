"""Convert files as a worker process does, and read the pixels of what comes of it."""

from __future__ import annotations

import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from asyncstore.model import Instance
from asyncstore.prepare import spool
from asyncstore.prepare.conversion import Settings
from asyncstore.prepare.messages import Order
from support import values

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE, DEFLATED_FRAMES, UNCOMPRESSED_FRAMES = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98"
JPEG_BASELINE, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


def transcoded(path, target, folder=None, **settings):
    """The converted data set of a file as pydicom reads it, or the reason why it is not converted."""
    found = path if isinstance(path, Instance) else values.probe_file(str(path))
    wanted = Settings(str(folder or tempfile.gettempdir()), transcodes=True, **settings)
    [made] = values.converted([Order(found, target, found.sop_instance_uid)], wanted)
    if not isinstance(made, Instance):
        return str(made.reason)
    data = made.data if made.data is not None else Path(made.payload.container).read_bytes()
    spool.close_written()
    assert made.length == len(data)
    assert len(data) % 2 == 0
    return read(data, target)


def read(data, transfer_syntax):
    """A data set as pydicom reads it."""
    uid = UID(transfer_syntax)
    if transfer_syntax == DEFLATED:
        data = zlib.decompress(data, -zlib.MAX_WBITS)
    data_set = read_dataset(DicomBytesIO(data), transfer_syntax == IMPLICIT, transfer_syntax != BIG)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = EXPLICIT if transfer_syntax == DEFLATED else uid
    return data_set


def pixels(data_set):
    """The pixels as pydicom decodes them, colours as RGB; of a path, those of its data set."""
    with warnings.catch_warnings(action="ignore"):
        if isinstance(data_set, str | Path):
            data_set = dcmread(data_set, force=True)
        return np.asarray(data_set.pixel_array)
