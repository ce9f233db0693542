"""Which files count as instances."""

from __future__ import annotations

from enum import StrEnum


class FileFormat(StrEnum):
    """Which files count as instances."""

    ANY = "any"
    """Files with file meta information, and data sets without it."""
    WITH_META = "with-meta"
    """Only files with file meta information that names the transfer syntax (PS3.10 7.1)."""
    BARE = "bare"
    """Only data sets without file meta information."""
