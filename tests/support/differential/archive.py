"""What there is to send: a dozen instances of several SOP classes and encodings, and files that are none.

Most come from pydicom's collection, as they are; small ones, because several programs read them hundreds of times.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from pydicom import dcmread, dcmwrite

from support.trees import empty_file, pydicom_test_files, text_file

if TYPE_CHECKING:
    from pathlib import Path

_EXPLICIT = {"ct": "CT_small.dcm", "report": "reportsi.dcm", "colour": "SC_rgb_small_odd.dcm"}
_COMPRESSED = {
    "jpeg": "SC_rgb_small_odd_jpeg.dcm",
    "rle": "MR_small_RLE.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-2000": "MR_small_jp2klossless.dcm",
}
_IN_OTHER_WAYS = {
    "implicit": "MR_small_implicit.dcm",
    "sequences": "rtplan.dcm",
    "big-endian": "MR_small_bigendian.dcm",
    "deflated": "image_dfl.dcm",
}
_BARE = {"bare": "ExplVR_LitEndNoMeta.dcm", "bare-big-endian": "ExplVR_BigEndNoMeta.dcm"}
_OF_ANOTHER_CLASS = {"document": "1.2.840.10008.5.1.4.1.1.104.2", "private": "1.2.826.0.1.3680043.8.498.1"}
"""A storage SOP class that storescu knows and does not propose by default, and one that nobody knows."""


class Archive(NamedTuple):
    """Paths by name."""

    folder: Path
    explicit: dict[str, str]
    """Instances in explicit VR little endian."""
    compressed: dict[str, str]
    """Instances with compressed pixel data."""
    other: dict[str, str]
    """Instances in implicit VR, big endian, deflated."""
    bare: dict[str, str]
    """Data sets without file meta information."""
    unusual: dict[str, str]
    """Instances of SOP classes that storescu does not propose by default."""
    no_instances: dict[str, str]
    """Text, an empty file, a DICOMDIR, and a missing file."""

    @property
    def instances(self) -> dict[str, str]:
        """Everything with file meta information."""
        return {**self.explicit, **self.compressed, **self.other}

    def __repr__(self) -> str:
        return f"<{self.folder}>"

    def path(self, name: str) -> str:
        """Return the path of one of them."""
        return {**self.instances, **self.bare, **self.unusual, **self.no_instances}[name]


def written(folder: Path) -> Archive:
    """Write the archive to a new folder."""
    folder.mkdir()
    collection = {path.name: path for path in pydicom_test_files()}

    def copied(names: dict[str, str]) -> dict[str, str]:
        return {name: str(shutil.copy(collection[source], folder / f"{name}.dcm")) for name, source in names.items()}

    unusual = {}
    for name, sop_class_uid in _OF_ANOTHER_CLASS.items():
        instance = dcmread(collection["CT_small.dcm"])
        instance.SOPClassUID = instance.file_meta.MediaStorageSOPClassUID = sop_class_uid
        unusual[name] = str(folder / f"{name}.dcm")
        dcmwrite(unusual[name], instance)
    no_instances = {
        "text": str(text_file(folder)),
        "empty": str(empty_file(folder)),
        "directory": str(shutil.copy(collection["DICOMDIR"], folder / "DICOMDIR")),
        "missing": str(folder / "missing.dcm"),
    }
    return Archive(
        folder, copied(_EXPLICIT), copied(_COMPRESSED), copied(_IN_OTHER_WAYS), copied(_BARE), unusual, no_instances
    )
