"""The studies of journals: how much of each the peer holds, the largest gap within one, and the instances in all.

Rules:

1. Nothing here names a patient. Studies are told apart by their UID alone, over all journals.
2. Files without a Study Instance UID belong to no study.
3. The sums are made in temporary files, because an archive has millions of studies.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from asyncstore.journal.opening import translated
from asyncstore.journal.uids import unpack
from asyncstore.journal.values import IS_STORED, IS_WAITING
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.journal.reading import Reader


class Completeness(StrEnum):
    """How much of a study the peer holds, as far as the journal knows it."""

    COMPLETE = "complete"
    """All its instances are stored."""
    INCOMPLETE = "incomplete"
    UNTOUCHED = "untouched"
    """All its instances wait."""


class Study(NamedTuple):
    """The deliveries of one study."""

    uid: str
    date: str
    """As YYYYMMDD; empty if it is not known."""
    completeness: Completeness
    found: int
    stored: int
    waiting: int
    began: float | None
    """When its first delivery ended, in seconds of Unix time."""
    ended: float | None
    """When its last delivery ended."""


class Gap(NamedTuple):
    """The longest time in which nothing of a study was stored, between two of its instances."""

    seconds: float
    study: str
    at: float
    """When it began, in seconds of Unix time."""


_STUDIES = (
    "SELECT t.uid AS id, max(coalesce(t.date, '')) AS date, sum(d.found) AS found, sum(d.stored) AS stored,"  # noqa: S608
    " sum(d.waiting) AS waiting, min(d.began) + {created} AS began, max(d.ended) + {created} AS ended FROM"
    f" (SELECT series, count(*) AS found, sum({IS_STORED}) AS stored, sum({IS_WAITING}) AS waiting,"
    f" min(iif({IS_WAITING}, NULL, time)) AS began, max(iif({IS_WAITING}, NULL, time)) AS ended"
    " FROM deliveries WHERE series IS NOT NULL GROUP BY series) AS d"
    " JOIN series s ON s.id = d.series JOIN studies t ON t.id = s.study WHERE t.uid <> x'' GROUP BY t.uid"
)
_JOINED = (
    "INSERT INTO temp.study_sums VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " date = max(date, excluded.date), found = found + excluded.found, stored = stored + excluded.stored,"
    " waiting = waiting + excluded.waiting,"
    " began = min(coalesce(began, excluded.began), coalesce(excluded.began, began)),"
    " ended = max(coalesce(ended, excluded.ended), coalesce(excluded.ended, ended))"
)
_RESPONSES = (
    "SELECT t.uid AS study, d.time + {created} AS time FROM deliveries d CROSS JOIN series s ON s.id = d.series"  # noqa: S608
    f" JOIN studies t ON t.id = s.study WHERE d.{IS_STORED} AND d.association IS NOT NULL AND t.uid <> x''"
)
"""When instances were stored. A file whose bytes were stored from another file has no association."""


class Studies:
    """The studies of journals. The sums are made at the beginning, in temporary files of the first journal's reader.

    Raises:
        JournalError: one of the journals cannot be read.
    """

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._reader = _gathered(readers, "study_sums", _STUDIES, _JOINED)

    def __iter__(self) -> Iterator[Study]:
        """All studies, in the order of their UIDs' packed form."""
        if self._reader is None:
            return
        with translated(self._reader.path):
            for uid, date, found, stored, waiting, began, ended in self._reader.in_pieces(
                "SELECT * FROM temp.study_sums WHERE id > ? ORDER BY id",
                (b"",),  # no study has this UID
            ):
                yield Study(
                    unpack(uid), date, _completeness(found, stored, waiting), found, stored, waiting,
                    None if began is None else began / 1000, None if ended is None else ended / 1000,
                )  # fmt: skip

    def completeness(self) -> Counter[Completeness]:
        """How many of them are complete, incomplete and untouched."""
        counts: Counter[Completeness] = Counter()
        if self._reader is not None:
            for is_whole, is_untouched, count in self._reader.rows(
                "SELECT stored = found, waiting = found, count(*) FROM temp.study_sums GROUP BY 1, 2"
            ):
                counts[_completeness(1, is_whole, is_untouched)] += count
        return counts


def _gathered(readers: Iterable[Reader], table: str, statement: str, join: str, key: str = "id") -> Reader | None:
    """Make a temporary table of each journal, and join all of them in that of the first, whose reader is returned."""
    first: Reader | None = None
    for reader in readers:
        reader.make_temporary(table, statement.format(created=reader.created), key)
        if first is None:
            first = reader
            continue
        found = reader.in_pieces(f"SELECT rowid, * FROM temp.{table} WHERE rowid > ? ORDER BY rowid", (0,))  # noqa: S608
        first.add_temporary(join, (row[1:] for row in found))
    return first


def _completeness(found: int, stored: int, waiting: int) -> Completeness:
    if stored == found:
        return Completeness.COMPLETE
    return Completeness.UNTOUCHED if waiting == found else Completeness.INCOMPLETE


def largest_gap(readers: Iterable[Reader]) -> Gap | None:
    """The largest gap within a study: receivers call a study complete after some silence. It sorts the whole table.

    Raises:
        JournalError: one of the journals cannot be read.
    """
    first = _gathered(readers, "responses", _RESPONSES, "INSERT INTO temp.responses VALUES (?, ?)", "study, time")
    if first is None:
        return None
    found = first.rows(
        "SELECT study, gap, time - gap FROM (SELECT study, time, time - lag(time) OVER (PARTITION BY study"
        " ORDER BY time) AS gap FROM temp.responses) WHERE gap IS NOT NULL ORDER BY gap DESC LIMIT 1"
    )
    with translated(first.path):
        return next((Gap(gap / 1000, unpack(study), at / 1000) for study, gap, at in found), None)


_INSTANCES = f"SELECT DISTINCT uid AS id FROM deliveries WHERE uid IS NOT NULL AND {IS_STORED}"  # noqa: S608 - constants


def instances(readers: Sequence[Reader]) -> int:
    """How many different SOP instance UIDs the stored files have: the instances that the peer should hold.

    It sorts the UIDs of the whole table.

    Raises:
        JournalError: one of the journals cannot be read.
    """
    if len(readers) == 1:
        return int(readers[0].rows(f"SELECT count(*) FROM ({_INSTANCES})")[0][0])  # noqa: S608 - constants
    first = _gathered(readers, "instances", _INSTANCES, "INSERT OR IGNORE INTO temp.instances VALUES (?)")
    return 0 if first is None else int(first.rows("SELECT count(*) FROM temp.instances")[0][0])
