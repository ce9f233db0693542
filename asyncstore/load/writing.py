"""What both writers share: the folder they write to, the UIDs they invent, and what they report."""

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
    """What was written.

    Attributes:
        folder: the folder that holds it, and nothing else.
        patients: how many patients.
        studies: how many studies.
        series: how many series, each in a folder of its own.
        instances: how many instances, each in a file of its own.
        bytes: the size of the files.
        modalities: the modalities of the series, sorted.
        transfer_syntaxes: the UIDs of the files' transfer syntaxes, sorted.
    """

    folder: Path
    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    modalities: tuple[str, ...]
    transfer_syntaxes: tuple[str, ...]


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Create the folder, refuse one that holds something, and translate what the file system says."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: not written to, because the folder is not empty")
        yield
    except OSError as error:
        raise UsageError(f"{folder}: synthetic instances cannot be written: {error.strerror or error}") from error


def uid_of(name: str) -> str:
    """Make the UID that belongs to a name: always the same one (PS3.5 B.2, from a UUID of version 5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'asyncstore {name}').int}"


def fill(dataset: Dataset, **elements: Any) -> Dataset:  # noqa: ANN401 - pydicom's values have no common type
    """Set data elements by keyword, and hand the data set back."""
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
