"""The studies of journals: how much of each the peer holds, and the largest gap within one.

Rules:

1. Nothing here names a patient. Studies are told apart by their UID alone, over all journals.
2. Files without a Study Instance UID belong to no study.
3. The sums are made in temporary files, because an archive has millions of studies.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncstore.journal import schema
from asyncstore.journal.opening import decoding
from asyncstore.journal.reading import PIECE
from asyncstore.journal.uids import unpack
from asyncstore.journal.values import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.journal.reading import Reader

_STORED = f"({schema.STATE} IN ({State.STORED:d}, {State.WARNING:d}))"
_IS_WAITING = f"({schema.STATE} = {State.WAITING:d})"


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
    """The longest time between two responses for one study."""

    seconds: float
    study: str
    at: float
    """When it began, in seconds of Unix time."""


_STUDIES = (
    "SELECT t.uid AS id, max(coalesce(t.date, '')) AS date, sum(d.found) AS found, sum(d.stored) AS stored,"  # noqa: S608
    " sum(d.waiting) AS waiting, min(d.began) + {created} AS began, max(d.ended) + {created} AS ended FROM"
    f" (SELECT series, count(*) AS found, sum({_STORED}) AS stored, sum({_IS_WAITING}) AS waiting,"
    f" min(iif({_IS_WAITING}, NULL, time)) AS began, max(iif({_IS_WAITING}, NULL, time)) AS ended"
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


class Studies:
    """The studies of journals. The sums are made at the beginning, in temporary files of the first journal's reader.

    Raises:
        JournalError: one of the journals cannot be read.
    """

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._reader: Reader | None = None
        for reader in readers:
            reader.make_temporary("study_sums", _STUDIES.format(created=reader.created))
            if self._reader is None:
                self._reader = reader
                continue
            for piece in _pieces(reader):
                self._reader.add_temporary(_JOINED, piece)

    def __iter__(self) -> Iterator[Study]:
        """All studies, in the order of their UIDs' packed form."""
        if self._reader is None:
            return
        with decoding(self._reader.path):
            for piece in _pieces(self._reader):
                for uid, date, found, stored, waiting, began, ended in piece:
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


def _pieces(reader: Reader | None) -> Iterator[list[Any]]:
    """The rows of ``study_sums``."""
    last = b""
    statement = f"SELECT * FROM temp.study_sums WHERE id > ? ORDER BY id LIMIT {PIECE}"  # noqa: S608 - constants
    is_first = True
    while reader is not None:
        piece = reader.rows(statement.replace(">", ">=") if is_first else statement, (last,))
        if not piece:
            return
        is_first = False
        yield piece
        last = piece[-1][0]


def _completeness(found: int, stored: int, waiting: int) -> Completeness:
    if stored == found:
        return Completeness.COMPLETE
    return Completeness.UNTOUCHED if waiting == found else Completeness.INCOMPLETE


def largest_gap(readers: Iterable[Reader]) -> Gap | None:
    """The largest gap within a study: receivers call a study complete after some silence. It sorts the whole table.

    Raises:
        JournalError: one of the journals cannot be read.
    """
    largest: Gap | None = None
    for reader in readers:
        found = reader.rows(
            "SELECT t.uid, g.gap, g.time - g.gap FROM (SELECT study, time, time - lag(time) OVER (PARTITION BY study"  # noqa: S608
            " ORDER BY time) AS gap FROM (SELECT s.study AS study, d.time AS time FROM deliveries d CROSS JOIN series s"
            f" ON s.id = d.series WHERE NOT {_IS_WAITING})) AS g JOIN studies t ON t.id = g.study"
            " WHERE g.gap IS NOT NULL AND t.uid <> x'' ORDER BY g.gap DESC LIMIT 1"
        )
        with decoding(reader.path):
            for uid, gap, time in found:
                if largest is None or gap / 1000 > largest.seconds:
                    largest = Gap(gap / 1000, unpack(uid), (reader.created + time) / 1000)
    return largest
