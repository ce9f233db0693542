"""Which files are taken for instances."""

from __future__ import annotations

from enum import StrEnum


class FileFormat(StrEnum):
    """Which files are taken for instances."""

    ANY = "any"
    """Files with file meta information, and data sets without it."""
    WITH_META = "with-meta"
    """Files with file meta information that names the transfer syntax (PS3.10 7.1), and no others."""
    BARE = "bare"
    """Data sets without file meta information, and no others."""
