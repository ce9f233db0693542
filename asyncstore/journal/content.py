"""The contents of a catalogue in numbers: the summary of a scan."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from asyncstore.journal.reading import Reader


class Content(NamedTuple):
    """The contents of a catalogue in numbers."""

    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    """Of files."""
    years: Counter[str]
    """Instances by the year of their study; empty if it is not known."""
    modalities: Counter[str]
    duplicates: int
    conflicts: int
    studies_of_many_patients: int
    """Study Instance UIDs that stand under several patient IDs."""


def content(reader: Reader) -> Content:
    """The contents of a journal's catalogue.

    Raises:
        JournalError: it cannot be read.
    """
    years: Counter[str] = Counter()
    modalities: Counter[str] = Counter()
    for year, modality, count in reader.rows(
        "SELECT substr(coalesce(t.date, ''), 1, 4), coalesce(s.modality, ''), sum(d.found) FROM (SELECT series,"
        " count(*) AS found FROM deliveries WHERE series IS NOT NULL GROUP BY series) AS d"
        " JOIN series s ON s.id = d.series JOIN studies t ON t.id = s.study GROUP BY 1, 2"
    ):
        years[year] += count
        modalities[modality] += count
    [[instances, length]] = reader.rows("SELECT count(uid), sum(size) FROM deliveries")
    [[patients, studies_found, many]] = reader.rows(
        "SELECT (SELECT count(DISTINCT patient) FROM studies), (SELECT count(DISTINCT uid) FROM studies),"
        " (SELECT count(*) FROM (SELECT 1 FROM studies GROUP BY uid HAVING count(*) > 1))"
    )
    [[series]] = reader.rows("SELECT count(*) FROM series")
    [[duplicates, conflicts]] = reader.rows("SELECT count(iif(copy > 0, 1, NULL)), total(is_conflict) FROM clashes")
    return Content(
        patients, studies_found, series, instances, length or 0, years, modalities, duplicates, int(conflicts), many
    )
