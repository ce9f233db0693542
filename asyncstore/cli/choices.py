"""The file format and the IP version that the options choose, without the engine, which takes time to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options import rows as opt
from asyncstore.prepare.file_format import FileFormat

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def format_of(parsed: Parsed) -> FileFormat:
    """Which files are taken for instances."""
    if parsed[opt.READ_FILE_ONLY]:
        return FileFormat.WITH_META
    return FileFormat.BARE if parsed[opt.READ_DATASET] else FileFormat.ANY


def ip_version_of(parsed: Parsed) -> int | None:
    """The IP version to use; ``None``: any."""
    if parsed[opt.IPV4]:
        return 4
    return 6 if parsed[opt.IPV6] else None
