"""The contents of a catalogue in numbers: the summary of a scan.

Each function raises :class:`~asyncstore.errors.JournalError` if the journal cannot be read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.journal.ids import path_of
from asyncstore.journal.opening import translated
from asyncstore.journal.uids import unpack
from asyncstore.journal.values import IS_NOT_SENT
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.journal.reading import Reader


class Content(NamedTuple):
    """The contents of a catalogue in numbers."""

    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    """Of the files that hold them."""
    years: Counter[str]
    """Instances by the year of their study; empty if it is not known."""
    modalities: Counter[str]
    duplicates: int
    """Files besides the first of each content, with the SOP instance UID and the bytes of another one."""
    conflicts: int
    """Files with the SOP instance UID of a file with other bytes."""
    repeated: int
    """Files besides the first of each SOP instance UID."""
    studies_of_many_patients: int
    """Study Instance UIDs that stand under several patient IDs."""


class Kind(NamedTuple):
    """The instances of one SOP class in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str
    instances: int
    bytes: int
    """Of their data sets."""
    measured: int
    """How many of them were measured: compressed ones, if codecs are installed."""
    growth: int
    """How many bytes the measured ones have more when they are decompressed."""


class UnsendableFiles(NamedTuple):
    """The files in which no instance was found, for one reason."""

    reason: str
    files: int
    example: str
    """The path of one of them."""


class ClashingPair(NamedTuple):
    """Two files with the same SOP instance UID.

    All copies of a content are named beside the first of them, and the first of each other content beside the first
    file.
    """

    sop_instance_uid: str
    path: str
    earlier: str
    is_conflict: bool
    """Whether their bytes differ."""


def kinds(reader: Reader) -> list[Kind]:
    """The instances of a journal by their kinds, the most frequent first."""
    found = reader.rows(
        "SELECT k.sop_class, k.transfer_syntax, sum(d.found), sum(d.bytes), sum(d.measured), sum(d.growth) FROM"
        " (SELECT kind, count(*) AS found, sum(size - overhead) AS bytes, count(decompressed) AS measured,"
        " sum(decompressed - size + overhead) AS growth FROM deliveries WHERE uid IS NOT NULL GROUP BY kind) AS d"
        " JOIN kinds k ON k.id = d.kind GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    return [
        Kind(sop_class, syntax, count, length or 0, measured, growth or 0)
        for sop_class, syntax, count, length, measured, growth in found
    ]


def unsendable(reader: Reader) -> list[UnsendableFiles]:
    """The files in which no instance was found, by reason."""
    found = reader.rows(
        "SELECT e.reason, d.found, p.path, d.name FROM (SELECT ending, count(*) AS found, name, min(directory)"  # noqa: S608
        f" AS directory FROM deliveries WHERE uid IS NULL AND {IS_NOT_SENT}"
        " GROUP BY ending) AS d JOIN endings e ON e.id = d.ending JOIN directories p ON p.id = d.directory"
        " ORDER BY d.found DESC, e.reason"
    )
    with translated(reader.path):
        return [UnsendableFiles(reason, count, path_of(directory, name)) for reason, count, directory, name in found]


def clashes(reader: Reader) -> Iterator[ClashingPair]:
    """The files of a complete catalogue with the SOP instance UID of an earlier one."""
    statement = (
        "SELECT c.uid, c.content, c.copy, p.path, c.name FROM clashes c JOIN directories p ON p.id = c.directory"
        " WHERE (c.uid, c.content, c.copy) > (?, ?, ?) ORDER BY c.uid, c.content, c.copy"
    )
    first = of_content = ""
    with translated(reader.path):
        for uid, number, copy, directory, name in reader.in_pieces(statement, (b"", -1, -1)):
            path = path_of(directory, name)
            if copy:
                yield ClashingPair(unpack(uid), path, of_content, is_conflict=False)
                continue
            of_content = path
            if number:
                yield ClashingPair(unpack(uid), path, first, is_conflict=True)
            else:
                first = path


def studies_of_many_patients(reader: Reader) -> Iterator[tuple[str, int]]:
    """The Study Instance UIDs that stand under several patient IDs, and under how many."""
    statement = "SELECT uid, count(*) FROM studies WHERE uid > ? GROUP BY uid HAVING count(*) > 1 ORDER BY uid"
    with translated(reader.path):
        for uid, patients in reader.in_pieces(statement, (b"",)):
            yield unpack(uid), patients


def content(reader: Reader) -> Content:
    """The contents of a journal's catalogue."""
    years: Counter[str] = Counter()
    modalities: Counter[str] = Counter()
    for year, modality, count in reader.rows(
        "SELECT substr(coalesce(t.date, ''), 1, 4), coalesce(s.modality, ''), sum(d.found) FROM (SELECT series,"
        " count(*) AS found FROM deliveries WHERE series IS NOT NULL GROUP BY series) AS d"
        " JOIN series s ON s.id = d.series JOIN studies t ON t.id = s.study GROUP BY 1, 2"
    ):
        years[str(year)] += count
        modalities[str(modality)] += count
    [[instances, length]] = reader.rows("SELECT count(uid), sum(iif(uid IS NULL, 0, size)) FROM deliveries")
    [[patients, studies_found, many]] = reader.rows(
        "SELECT (SELECT count(DISTINCT patient) FROM studies), (SELECT count(DISTINCT uid) FROM studies),"
        " (SELECT count(*) FROM (SELECT 1 FROM studies WHERE uid != x'' GROUP BY uid HAVING count(*) > 1))"
    )
    [[series]] = reader.rows("SELECT count(*) FROM series")
    [[duplicates, conflicts, repeated]] = reader.rows(
        "SELECT count(iif(copy > 0, 1, NULL)), total(is_conflict), count(*) - count(DISTINCT uid) FROM clashes"
    )
    return Content(
        patients, studies_found, series, instances, length or 0, years, modalities, duplicates, int(conflicts),
        repeated, many,
    )  # fmt: skip
