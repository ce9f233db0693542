"""The options about where files come from: a DICOMDIR, archives."""

from __future__ import annotations

from asyncstore.cli.options.kinds import Integer
from asyncstore.cli.options.table import Option, flag, text

ARCHIVES = flag(
    "--archives",
    "send the files in archives too, named ones and those in directories: zip, tar, gz, zst, and one in another",
    excludes=("--rename",),
)


def _limit(long: str, name: str, most: int, meaning: str) -> Option[int]:
    """A limit of what archives may hold."""
    return Option(long, Integer(name, 1), most, meaning, requires=("--archives",))


ARCHIVE_RATIO = _limit(
    "--archive-ratio",
    "N",
    200,
    "read no archive on that unpacks to more than so many times its size, and to more than a gibibyte",
)
ARCHIVE_BYTES = _limit("--archive-bytes", "BYTES", 1 << 40, "read no archive on that unpacks to more bytes than this")
ARCHIVE_FILES = _limit("--archive-files", "N", 1_000_000, "read no archive on that holds more files than this")
ARCHIVE_FILE_BYTES = _limit(
    "--archive-file-bytes", "BYTES", 1 << 32, "send no file of an archive that has more bytes than this"
)
AHEAD = Option[int](
    "--ahead",
    Integer("BYTES", 1),
    1 << 28,
    "unpack, or fetch from a remote store, at most so many bytes ahead of sending, into files without a name in TMPDIR",
)

DICOMDIR = text(
    "--dicomdir", "FILE", "take also the files that this DICOMDIR names, and no others; or the folder that holds it"
)

SOURCES = (DICOMDIR, ARCHIVES, ARCHIVE_RATIO, ARCHIVE_BYTES, ARCHIVE_FILES, ARCHIVE_FILE_BYTES, AHEAD)
