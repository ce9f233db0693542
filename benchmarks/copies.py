"""Many instances of one kind and size for benchmarks: the synthetic instances of a load, as files."""

from __future__ import annotations

import math
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncstore.errors import UsageError
from asyncstore.load.generator import Synthetic
from asyncstore.load.mix import of_size
from asyncstore.load.writing import Archive, writing_to
from asyncstore.sink.files import file_meta_information

if TYPE_CHECKING:
    import os

_TOO_MANY: Final = 10**9
_TOO_MANY_IN_SERIES: Final = 10**6
"""The instance numbers of a load have six digits."""


def write_copies(
    folder: str | os.PathLike[str],
    *,
    count: int,
    data_set_bytes: int = 526_336,
    multi_frame: bool = False,
    per_series: int = 150,
    seed: int = 0,
) -> Archive:
    """Write many instances of one kind and one study, explicit VR little endian.

    Args:
        folder: an empty or a new folder. Each series gets a folder below it.
        count: the number of instances.
        data_set_bytes: the exact size of each data set; the default is that of a CT slice of 512 x 512 pixels.
        multi_frame: fill the data set with frames of a multi-frame secondary capture, instead of one CT slice.
        per_series: the number of instances in a series.
        seed: another seed gives other UIDs.

    Raises:
        UsageError: the folder is not empty or cannot be written, or a number is out of range.
    """
    if not (1 <= count < _TOO_MANY and per_series >= 1 and min(count, per_series) < _TOO_MANY_IN_SERIES):
        limits = f"both must be at least 1, the first below {_TOO_MANY}, and a series below {_TOO_MANY_IN_SERIES}"
        raise UsageError(f"cannot write {count} instances in series of {per_series}: {limits}")
    root = Path(folder)
    kinds = of_size(data_set_bytes, multi_frame=multi_frame)
    name = f"{seed} {data_set_bytes} {multi_frame}"  # archives of other sizes have other UIDs
    source = Synthetic(kinds, seed=int.from_bytes(sha256(name.encode()).digest()[:6]))
    size = 0
    with writing_to(root):
        for series, first in enumerate(range(0, count, per_series), start=1):
            below = root / f"S{series:06}"
            below.mkdir()
            numbers = range(1, min(per_series, count - first) + 1)
            for number, (instance, _, pieces) in enumerate(source.series(0, 1, series % 100, numbers), start=first):
                meta = file_meta_information(*(uid.encode() for uid in instance.identity))
                with open(below / f"I{number:07}.dcm", "wb") as file:  # a million times; Path.open costs more
                    file.write(meta)
                    file.writelines([piece.data for piece in pieces] or [instance.payload.data or b""])
                size += len(meta) + data_set_bytes
    return Archive(
        folder=root,
        patients=1,
        studies=1,
        series=math.ceil(count / per_series),
        instances=count,
        bytes=size,
        modalities=tuple(kind.modality for kind in kinds),
    )
