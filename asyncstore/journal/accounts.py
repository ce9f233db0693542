"""Sums over journals, for reports. Several journals are one account: the shards of one migration.

Rules:

1. Every delivery is in one state, so the deliveries found are the sum over all states. New files that the last run's
   walk found have no row until they end: they count as *waiting* as well.
2. One reading of the table gives all sums that need no study: 10**7 rows take some seconds.
3. Days are those of UTC. Rows that never ended are on no day.
4. Reasons are handed to the caller one by one, because files may have millions of different ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asyncstore.journal import schema
from asyncstore.journal.opening import translated
from asyncstore.journal.values import COMPLETED, IS_WAITING, State
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.journal.reading import Reader

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
    """Files that earlier runs had stored."""
    known: int
    """Other files that earlier runs had recorded."""
    states: Counter[State]
    """What it recorded."""
    left: Counter[State]
    """Files that earlier runs had not stored and this one left so."""


@dataclass(slots=True)
class Account:
    """Sums over all deliveries."""

    states: Counter[State] = field(default_factory=Counter)
    bytes: Counter[State] = field(default_factory=Counter)
    """Of data sets, by state."""
    sop_classes: Counter[tuple[str, State]] = field(default_factory=Counter)
    transfer_syntaxes: Counter[tuple[str, State]] = field(default_factory=Counter)
    days: Counter[tuple[str, State]] = field(default_factory=Counter)
    """By date (ISO 8601) and state."""
    statuses: Counter[int] = field(default_factory=Counter)
    """How many deliveries have each status: B000, B006 and B007 stand for themselves."""
    repairs: Counter[int] = field(default_factory=Counter)
    """How many stored instances were mended, by flags of :class:`asyncstore.model.Oddity`."""
    duplicates: int = 0
    """Files with the SOP instance UID and the bytes of another one, as far as a catalogue knows."""
    conflicts: int = 0
    """Files with the SOP instance UID of another one, and other bytes."""
    attempts: int = 0
    runs: list[Run] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)
    """By journal."""
    without_row: int = 0
    """How many of the waiting deliveries have no row yet."""

    @property
    def found(self) -> int:
        """All deliveries."""
        return self.states.total()

    @property
    def stored(self) -> int:
        """The deliveries that the peer holds, with and without a warning."""
        return self.states[State.STORED] + self.states[State.WARNING]

    @property
    def repaired(self) -> int:
        """The stored instances that were mended."""
        return self.repairs.total()

    @property
    def last_runs(self) -> list[Run]:
        """The last run of each journal."""
        return list({run.journal: run for run in self.runs}.values())


OnEnding = Callable[[Ending, int], None]
"""Takes an ending and the number of deliveries that ended so."""


def account(readers: Iterable[Reader], on_ending: OnEnding | None = None) -> Account:
    """The sums over these journals.

    Args:
        readers: the journals.
        on_ending: called for each ending that has a status or a reason.

    Raises:
        JournalError: one of them cannot be read.
    """
    result = Account()
    for reader in readers:
        with translated(reader.path):
            _add(result, reader, on_ending)
    return result


_SUMS = (
    f"SELECT ending, kind, (time + {{created}}) / {_MS_PER_DAY} AS day, count(*) AS count,"  # noqa: S608 - constants
    " sum(size - overhead) AS bytes, sum(attempts) AS attempts, sum(first_run = {run}) AS new"
    " FROM deliveries GROUP BY 1, 2, 3"
)


def _add(result: Account, reader: Reader, on_ending: OnEnding | None) -> None:
    with reader.snapshot():
        runs = _runs(reader)
        reader.make_temporary(
            "sums", _SUMS.format(created=reader.created, run=runs[-1].number if runs else 0), "ending"
        )
    result.runs += runs
    kinds = {
        number: (sop_class, syntax)
        for number, sop_class, syntax in reader.rows("SELECT id, sop_class, transfer_syntax FROM kinds")
    }
    groups = reader.rows(
        f"SELECT {schema.STATE}, kind, day, sum(count), sum(bytes), sum(attempts), sum(new)"  # noqa: S608 - constants
        " FROM temp.sums GROUP BY 1, 2, 3"
    )
    new = waiting = 0
    for number, kind, day, count, length, attempts, new_ones in groups:
        new += new_ones
        state = State(number)
        sop_class, syntax = kinds.get(kind, ("", ""))
        result.states[state] += count
        result.bytes[state] += length or 0
        result.sop_classes[sop_class, state] += count
        result.transfer_syntaxes[syntax, state] += count
        if state is State.WAITING:
            waiting += count
        else:
            result.days[_day(day), state] += count
        result.attempts += attempts or 0
    _add_endings(result, reader, on_ending)
    [[duplicates, conflicts]] = reader.rows("SELECT count(iif(copy > 0, 1, NULL)), total(is_conflict) FROM clashes")
    result.duplicates += duplicates
    result.conflicts += int(conflicts)
    if runs and runs[-1].how != COMPLETED:
        last = runs[-1]
        begun = max(last.known + new, last.states.total())  # a file that is named twice ends twice, and has one row
        under_way = max(0, last.found - last.skipped - last.left.total() - begun)
        result.states[State.WAITING] += under_way
        result.without_row += under_way
        waiting += under_way
    result.waiting[reader.path] += waiting


def _add_endings(result: Account, reader: Reader, on_ending: OnEnding | None) -> None:
    for number, status, reason, repairs, count in reader.in_pieces(
        "SELECT s.ending, e.status, e.reason, e.repairs, sum(s.count) FROM temp.sums s"
        " LEFT JOIN endings e ON e.id = s.ending WHERE s.ending > ? GROUP BY s.ending ORDER BY s.ending",
        (-1,),
    ):
        state = State.of(number)
        if repairs and state.is_stored:
            result.repairs[repairs] += count
        has_status = status is not None and status >= 0
        if has_status:
            result.statuses[status] += count
        if on_ending is not None and (has_status or reason):
            on_ending(Ending(state, status if has_status else None, reason or ""), count)


def _day(number: int) -> str:
    try:
        return datetime.fromtimestamp(number * _MS_PER_DAY // 1000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):  # a clock that was wrong by millennia
        return ""


def _runs(reader: Reader) -> list[Run]:
    found = reader.rows(
        "SELECT id, version, began, ended, ending, found, is_walked, skipped, known, coalesce(left_failed, 0),"
        " coalesce(left_not_sent, 0), waiting, stored, warning, failed, not_sent, unknown FROM runs ORDER BY id"
    )
    return [
        Run(
            reader.path, number, version, began / 1000, ended / 1000, how, files, bool(is_walked),
            skipped - failed - not_sent, known, Counter(dict(zip(State, counts, strict=True))),
            Counter({State.FAILED: failed, State.NOT_SENT: not_sent}),
        )
        for number, version, began, ended, how, files, is_walked, skipped, known, failed, not_sent, *counts in found
    ]  # fmt: skip


def progress(
    readers: Iterable[Reader], step: int, begin: float = -math.inf, end: float = math.inf
) -> dict[int, Counter[State]]:
    """How many deliveries ended in each step of time, by its beginning. Steps in which none ended are left out.

    Args:
        readers: the journals.
        step: of time, in seconds.
        begin: leave out deliveries that ended before, in seconds of Unix time.
        end: the same for later ones.

    Raises:
        JournalError: one of them cannot be read.
    """
    steps: dict[int, Counter[State]] = {}
    for reader in readers:
        found = reader.rows(
            f"SELECT (time + ?1) / (?2 * 1000) * ?2, {schema.STATE}, count(*) FROM deliveries"  # noqa: S608 - constants
            f" WHERE NOT {IS_WAITING} AND time >= ?3 AND time < ?4 GROUP BY 1, 2 ORDER BY 1",
            (reader.created, step, _own_time(reader, begin), _own_time(reader, end)),
        )
        with translated(reader.path):
            for at, state, count in found:
                steps.setdefault(at, Counter())[State(state)] += count
    return steps


def _own_time(reader: Reader, time: float) -> int:
    """A time as the journal has it; times of its rows have at most 62 bits."""
    return int(max(-(2.0**62), min(time * 1000 - reader.created, 2.0**62)))
