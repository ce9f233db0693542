"""The options about where files come from: a DICOMDIR, archives."""

from __future__ import annotations

from asyncstore.cli.options.kinds import Integer
from asyncstore.cli.options.table import Option, flag, text

ARCHIVES = flag(
    "--archives",
    "take also the files in archives, named or in directories: zip, tar, gz, zst, and archives in these",
    excludes=("--rename",),
)


def _limit(long: str, name: str, most: int, meaning: str) -> Option[int]:
    """A limit of what archives may hold."""
    return Option(long, Integer(name, 1), most, meaning, requires=("--archives",))


ARCHIVE_RATIO = _limit(
    "--archive-ratio",
    "N",
    200,
    "stop reading an archive that unpacks to more than so many times its size, and to more than a gibibyte",
)
ARCHIVE_BYTES = _limit("--archive-bytes", "BYTES", 1 << 40, "stop reading an archive that unpacks to more bytes")
ARCHIVE_FILES = _limit("--archive-files", "N", 1_000_000, "stop reading an archive that holds more files")
ARCHIVE_FILE_BYTES = _limit(
    "--archive-file-bytes", "BYTES", 1 << 32, "send no file of an archive that has more bytes than this"
)
AHEAD = Option[int](
    "--ahead",
    Integer("BYTES", 1),
    1 << 28,
    "unpack, or fetch from a remote store, at most so many bytes ahead of sending, into files without a name in TMPDIR",
)

DICOMDIR = text("--dicomdir", "FILE", "take also the files that this DICOMDIR names; its folder will do")

SOURCES = (DICOMDIR, ARCHIVES, ARCHIVE_RATIO, ARCHIVE_BYTES, ARCHIVE_FILES, ARCHIVE_FILE_BYTES, AHEAD)
