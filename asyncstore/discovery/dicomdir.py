"""The files that a DICOMDIR names (PS3.3 F, PS3.10 8.6): those of a CD, without its viewer.

Rules:

1. Its directory records count in the order in which they stand, and each file once. Records that are not in use do not.
2. Names are looked up as they are; then without regard to upper and lower case, to the version ``;1`` of ISO 9660, and
   to a full stop at the end. File systems of CDs are mounted in all these ways.
3. A file outside of the folder of the DICOMDIR is refused: a name may lead out of it, and so may a link.
4. A DICOMDIR that ends too early, or refers to records behind its last one, is unsendable itself, after its files.
5. The DICOMDIR is read when its first file is asked for, in the thread of the walk.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asyncstore.errors import ReadFailed
from asyncstore.model import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, SourceFile, Unsendable
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "DICOMDIR"
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_NOT_IN_USE = 0
_SEPARATORS = re.compile(r"[\\/]")
_VERSION = re.compile(r"\.?(;\d+)?$")

_RECORDS = 0x00041220
"""The Directory Record Sequence."""
_OFFSETS = (0x00041400, 0x00041420)
"""Of the next record, and of the first record below."""
_UNDEFINED = 0xFFFFFFFF
_NOT_WHOLE = "a DICOMDIR that is cut off or damaged: it may have named more files"
_OUTSIDE = "the DICOMDIR names a file outside of its folder"


def dicomdir_at(path: str) -> str:
    """The DICOMDIR of this path, which may be the folder that holds it."""
    return _Folder(path).find((NAME,)) or path if os.path.isdir(path) else path


def referenced(path: str) -> Iterator[str | Unsendable]:
    """The paths of the files that a DICOMDIR names; those that must not be read come as unsendable.

    Args:
        path: the DICOMDIR.

    Raises:
        ReadFailed: it cannot be read, or is none.
    """
    base = os.path.dirname(path)
    folder = _Folder(base)
    seen: set[str] = set()
    directory = _directory(path)
    for components in directory.file_ids:
        names = [name for component in components for name in _SEPARATORS.split(component.strip("\0 "))]
        told = os.path.join(base, *names) if names[0] else "/".join(names)
        if any(name in ("", os.curdir, os.pardir) or "\0" in name for name in names):
            yield Unsendable(SourceFile(told), _OUTSIDE)
            continue
        found = folder.find(names) or told
        if found in seen:
            continue
        seen.add(found)
        yield found if folder.holds(found) else Unsendable(SourceFile(found), _OUTSIDE)
    if not directory.is_whole:
        yield Unsendable(SourceFile(path), _NOT_WHOLE)


class _Directory(NamedTuple):
    """What a DICOMDIR says."""

    file_ids: list[list[str]]
    """The Referenced File IDs (0004,1500), each in its components."""
    is_whole: bool


def _directory(path: str) -> _Directory:
    """Read a DICOMDIR.

    Raises:
        ReadFailed: the file cannot be read, or is no DICOMDIR.
    """
    from pydicom.errors import InvalidDicomError  # few runs read a DICOMDIR

    try:
        with _values_as_they_are():
            return _read(path)
    except InvalidDicomError:
        raise ReadFailed(f"{path} is no DICOMDIR") from None
    except OSError as error:
        raise ReadFailed(f"the DICOMDIR {path} cannot be read: {error.strerror or error}") from error
    except ReadFailed:
        raise
    except Exception as error:  # its classes are many, and its messages may quote names of patients
        raise ReadFailed(f"the DICOMDIR {path} is damaged") from error


@contextmanager
def _values_as_they_are() -> Iterator[None]:
    """Within this context pydicom checks no values: file names are looked up as they are, and nothing else is used."""
    import warnings

    from pydicom import config

    before = config.settings.reading_validation_mode, config.logger.level
    config.settings.reading_validation_mode = config.IGNORE
    config.logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = before[0]
        config.logger.setLevel(before[1])


def _read(path: str) -> _Directory:
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    if read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        raise ReadFailed(f"the DICOMDIR {path} is deflated, which no DICOMDIR may be")  # it may inflate to terabytes
    directory = dcmread(path)
    if directory.file_meta.get("MediaStorageSOPClassUID") != _MEDIA_STORAGE_DIRECTORY:
        raise ReadFailed(f"{path} is no DICOMDIR")
    records = _raw(directory, _RECORDS)
    is_cut_off = records is not None and len(records.value or b"") < records.length < _UNDEFINED
    found: list[list[str]] = []
    last = farthest = 0
    for record in directory.get("DirectoryRecordSequence") or ():
        last = record.seq_item_tell
        farthest = max(farthest, *(_offset(record, tag) for tag in _OFFSETS))
        value = record.get("ReferencedFileID")
        if value and record.get("RecordInUseFlag") != _NOT_IN_USE:
            components = [value] if isinstance(value, str) else list(value)
            if not all(isinstance(component, str) for component in components):
                raise ValueError("the name of a file is no text")
            found.append(components)
    return _Directory(found, is_whole=_RECORDS in directory and not is_cut_off and farthest <= last)


def _raw(data_set: Any, tag: int) -> Any:  # noqa: ANN401 - pydicom says that elements are converted, which they are not
    """An element as it stands in the file; ``None``: there is none, or it was converted."""
    from pydicom.dataelem import RawDataElement

    element = data_set.get_item(tag) if tag in data_set else None
    return element if isinstance(element, RawDataElement) else None


def _offset(record: Any, tag: int) -> int:  # noqa: ANN401 - as above
    """Where another record stands; 0: there is none."""
    element = _raw(record, tag)
    return (
        0 if element is None else int.from_bytes(element.value or b"", "little" if element.is_little_endian else "big")
    )


class _Folder:
    """The folder of a DICOMDIR."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._real = os.path.join(os.path.realpath(path), "")
        self._names: dict[str, dict[str, str]] = {}
        """The names in directories by what they are compared by."""
        self._held: dict[str, bool] = {}
        """Whether directories lie in this one."""

    def find(self, names: Sequence[str]) -> str | None:
        """The path of a file by its names; ``None``: there is none."""
        path = self._path
        for name in names:
            exact = os.path.join(path, name)
            if os.path.lexists(exact):
                path = exact
                continue
            other = self._names_in(path).get(_compared(name))
            if other is None:
                return None
            path = os.path.join(path, other)
        return path

    def holds(self, path: str) -> bool:
        """Whether a file lies in this folder, even if links lead to it."""
        directory = os.path.dirname(path)
        if directory not in self._held:
            self._held[directory] = os.path.join(os.path.realpath(directory), "").startswith(self._real)
        is_held = self._held[directory]
        if is_held and os.path.islink(path):
            return os.path.realpath(path).startswith(self._real)
        return is_held

    def _names_in(self, directory: str) -> dict[str, str]:
        if directory not in self._names:
            try:
                names = sorted(os.listdir(directory or os.curdir), reverse=True)
            except OSError:
                names = []
            self._names[directory] = {_compared(name): name for name in names}
        return self._names[directory]


def _compared(name: str) -> str:
    """What is the same for two names of one file (rule 2)."""
    return _VERSION.sub("", name).casefold()
