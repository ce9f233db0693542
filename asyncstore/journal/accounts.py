"""Sums over journals, for reports. Several journals are one account: the shards of one migration.

Rules:

1. Every delivery is in one state, so the deliveries found are the sum over all states. New files that the last run's
   walk found have no row until they end: they count as *waiting* as well.
2. One reading of the table gives all sums that need no study: 10**7 rows take some seconds.
3. Nothing here names a patient. Studies are known by their UID and a key of the patient; one study under two patient
   IDs counts as two.
4. Days are those of UTC. Rows that never ended are on no day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.journal import schema
from asyncstore.journal.reading import PIECE, Reader
from asyncstore.journal.uids import unpack
from asyncstore.journal.values import COMPLETED, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_STATE = f"ending % {schema.STATES}"
_STORED = f"({_STATE} IN ({State.STORED:d}, {State.WARNING:d}))"
_IS_WAITING = f"({_STATE} = {State.WAITING:d})"
_MS_PER_DAY = 86_400_000


class Ending(NamedTuple):
    """How deliveries ended."""

    state: State
    status: int | None
    reason: str


class Run(NamedTuple):
    """One run of a migration. Times are in seconds of Unix time."""

    journal: str
    number: int
    version: str
    began: float
    ended: float
    """Of a run that goes on or was killed: its last commit."""
    how: str | None
    """How it ended; ``None``: it goes on, or was killed."""
    found: int
    is_walked: bool
    """Whether its walk came to an end."""
    skipped: int
    """Files that earlier runs had settled."""
    known: int
    """Other files that earlier runs had recorded."""
    states: Counter[State]
    """The deliveries that it recorded."""


@dataclass(slots=True)
class Account:
    """Sums over all deliveries."""

    endings: Counter[Ending] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)
    bytes: Counter[State] = field(default_factory=Counter)
    """Of data sets, by state."""
    sop_classes: Counter[tuple[str, State]] = field(default_factory=Counter)
    transfer_syntaxes: Counter[tuple[str, State]] = field(default_factory=Counter)
    days: Counter[tuple[str, State]] = field(default_factory=Counter)
    """By date (ISO 8601) and state."""
    attempts: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def found(self) -> int:
        """All deliveries."""
        return self.states.total()

    @property
    def statuses(self) -> Counter[int]:
        """How many deliveries have each status: B000, B006 and B007 stand for themselves."""
        counts: Counter[int] = Counter()
        for ending, count in self.endings.items():
            if ending.status is not None:
                counts[ending.status] += count
        return counts

    @property
    def reasons(self) -> Counter[tuple[State, str]]:
        """How many deliveries are not stored for each reason."""
        counts: Counter[tuple[State, str]] = Counter()
        for ending, count in self.endings.items():
            if ending.reason:
                counts[ending.state, ending.reason] += count
        return counts


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


def account(readers: Iterable[Reader]) -> Account:
    """The sums over these journals.

    Raises:
        JournalError: one of them cannot be read.
    """
    result = Account()
    for reader in readers:
        _add(result, reader)
    return result


def _add(result: Account, reader: Reader) -> None:
    runs = _runs(reader)
    result.runs += runs
    endings = {
        number: Ending(State(number % schema.STATES), None if status < 0 else status, reason)
        for number, status, reason in reader.rows("SELECT id, status, reason FROM endings")
    }
    kinds = {
        number: (sop_class, syntax)
        for number, sop_class, syntax in reader.rows("SELECT id, sop_class, transfer_syntax FROM kinds")
    }
    groups = reader.rows(
        f"SELECT ending, kind, (time + ?) / {_MS_PER_DAY}, count(*), sum(size - overhead), sum(attempts),"  # noqa: S608
        " sum(first_run = ?) FROM deliveries GROUP BY 1, 2, 3",
        (reader.created, runs[-1].number if runs else 0),
    )
    new = 0
    for number, kind, day, count, length, attempts, new_ones in groups:
        new += new_ones
        state = State(number % schema.STATES)
        sop_class, syntax = kinds.get(kind, ("", ""))
        result.endings[endings.get(number) or Ending(state, None, "")] += count
        result.states[state] += count
        result.bytes[state] += length or 0
        result.sop_classes[sop_class, state] += count
        result.transfer_syntaxes[syntax, state] += count
        if state is not State.WAITING:
            result.days[_day(day), state] += count
        result.attempts += attempts or 0
    if runs and runs[-1].how != COMPLETED:
        last = runs[-1]
        under_way = last.found - last.skipped - last.known - new
        if under_way > 0:
            result.states[State.WAITING] += under_way
            result.endings[Ending(State.WAITING, None, "")] += under_way


def _day(number: int) -> str:
    try:
        return datetime.fromtimestamp(number * _MS_PER_DAY // 1000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):  # a clock that was wrong by millennia
        return ""


def _runs(reader: Reader) -> list[Run]:
    found = reader.rows(
        "SELECT id, version, began, ended, ending, found, is_walked, skipped, known,"
        " waiting, stored, warning, failed, not_sent, unknown FROM runs ORDER BY id"
    )
    return [
        Run(
            reader.path, number, version, began / 1000, ended / 1000, how, files, bool(is_walked), skipped, known,
            Counter(dict(zip(State, counts, strict=True))),
        )
        for number, version, began, ended, how, files, is_walked, skipped, known, *counts in found
    ]  # fmt: skip


def progress(readers: Iterable[Reader], step: int) -> dict[int, Counter[State]]:
    """How many deliveries ended in each step of time, by its beginning.

    Args:
        readers: the journals.
        step: of time, in seconds.

    Raises:
        JournalError: one of them cannot be read.
    """
    steps: dict[int, Counter[State]] = {}
    for reader in readers:
        for begin, state, count in reader.rows(
            f"SELECT (time + ?1) / (?2 * 1000) * ?2, {_STATE}, count(*) FROM deliveries"  # noqa: S608 - constants
            f" WHERE NOT {_IS_WAITING} GROUP BY 1, 2 ORDER BY 1",
            (reader.created, step),
        ):
            steps.setdefault(begin, Counter())[State(state)] += count
    return steps


_STUDIES = (
    "SELECT t.id, t.uid, t.date, sum(d.found) AS found, sum(d.stored) AS stored, sum(d.waiting) AS waiting,"  # noqa: S608
    " min(d.began) AS began, max(d.ended) AS ended FROM"
    f" (SELECT series, count(*) AS found, sum({_STORED}) AS stored, sum({_IS_WAITING}) AS waiting,"
    f" min(iif({_IS_WAITING}, NULL, time)) AS began, max(iif({_IS_WAITING}, NULL, time)) AS ended"
    " FROM deliveries WHERE series IS NOT NULL GROUP BY series) AS d"
    " JOIN series s ON s.id = d.series JOIN studies t ON t.id = s.study GROUP BY t.id"
)


def studies(readers: Iterable[Reader]) -> Iterator[Study]:
    """All studies, journal by journal, in the order in which they were found.

    The sums are made at the beginning, in temporary files.

    Raises:
        JournalError: one of the journals cannot be read.
    """
    for reader in readers:
        reader.make_temporary("study_sums", _STUDIES)
        last = 0
        while piece := reader.rows(f"SELECT * FROM temp.study_sums WHERE id > ? ORDER BY id LIMIT {PIECE}", (last,)):  # noqa: S608
            for _, uid, date, found, stored, waiting, began, ended in piece:
                yield Study(
                    unpack(uid), date or "", _completeness(found, stored, waiting), found, stored, waiting,
                    _seconds(reader, began), _seconds(reader, ended),
                )  # fmt: skip
            last = piece[-1][0]


def _completeness(found: int, stored: int, waiting: int) -> Completeness:
    if stored == found:
        return Completeness.COMPLETE
    return Completeness.UNTOUCHED if waiting == found else Completeness.INCOMPLETE


def _seconds(reader: Reader, time: int | None) -> float | None:
    return None if time is None else (reader.created + time) / 1000


def completeness(readers: Iterable[Reader]) -> Counter[Completeness]:
    """How many studies are complete, incomplete and untouched.

    Raises:
        JournalError: one of the journals cannot be read.
    """
    counts: Counter[Completeness] = Counter()
    for reader in readers:
        for is_whole, is_untouched, count in reader.rows(
            f"SELECT stored = found, waiting = found, count(*) FROM ({_STUDIES}) GROUP BY 1, 2"  # noqa: S608 - constants
        ):
            counts[_completeness(1, is_whole, is_untouched)] += count
    return counts


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
            " WHERE g.gap IS NOT NULL ORDER BY g.gap DESC LIMIT 1"
        )
        for uid, gap, time in found:
            if largest is None or gap / 1000 > largest.seconds:
                largest = Gap(gap / 1000, unpack(uid), (reader.created + time) / 1000)
    return largest
