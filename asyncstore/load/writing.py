"""Synthetic instances as files: their folder, invented UIDs, and the report."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Archive:
    """The numbers of a written archive.

    Attributes:
        folder: the folder of the archive; it holds nothing else.
        patients: the number of patients.
        studies: the number of studies.
        series: the number of series, each in its own folder.
        instances: the number of instances, each in its own file.
        bytes: the size of all files.
        modalities: the modalities of the series, sorted.
    """

    folder: Path
    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    modalities: tuple[str, ...]


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Create the folder, refuse one that is not empty, and translate errors of the file system."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: not written to, because the folder is not empty")
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # pydicom adds a traceback to it
        raise UsageError(f"{folder}: synthetic instances cannot be written: {cause.strerror or cause}") from error


def uid_of(name: str) -> str:
    """Make the UID of a name, always the same one (PS3.5 B.2, from a UUID of version 5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'asyncstore {name}').int}"


def fill(dataset: Dataset, **elements: Any) -> Dataset:  # noqa: ANN401 - pydicom's values have no common type
    """Set data elements by keyword, and return the data set."""
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
