"""The facts of a report, read from journals. The forms (text, JSON, HTML) print them.

Rules:

1. Several journals are one report. A file that lies in two of them counts twice.
2. The run that goes on holds the journal's lock. Without it a run whose end is not recorded was cut off: it was
   killed, or could not write any more.
3. Reasons are grouped by kind as in the summary of a run, without examples: names of files may name patients.
"""

from __future__ import annotations

from collections import Counter
from time import time
from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_NOT_STORED, EXIT_OK
from asyncstore.journal import forecast
from asyncstore.journal.accounts import account
from asyncstore.journal.place import is_held
from asyncstore.journal.studies import Studies, instances
from asyncstore.journal.values import State
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.reasons import Reasons
from asyncstore.observe.results import words_of
from asyncstore.protocol.status import SUCCESS, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.journal.accounts import Account, Ending, Run
    from asyncstore.journal.forecast import Forecast
    from asyncstore.journal.reading import Reader
    from asyncstore.journal.studies import Completeness
    from asyncstore.observe.reasons import Group

ORDER = (State.STORED, State.WARNING, State.FAILED, State.NOT_SENT, State.UNKNOWN, State.WAITING)
"""The order of states in every list."""
NOT_STORED = (State.FAILED, State.NOT_SENT, State.UNKNOWN, State.WAITING)


class Speed(NamedTuple):
    """How fast the runs are that go on, together."""

    rate: float
    """Files that end in a second, in the last minutes."""
    seconds: float
    """The number of those seconds."""


class Facts(NamedTuple):
    """The facts of a report."""

    account: Account
    reasons: dict[State, list[Group]]
    """The most frequent first."""
    instances: int
    """The different SOP instance UIDs of the stored files."""
    studies: Counter[Completeness]
    migrations: list[dict[str, str]]
    """The facts of each migration that the journals belong to."""
    journals: list[str]
    sources: list[str]
    """The sources whose run was cut short: files of them may be missing in the counts."""
    running: list[Run]
    """The runs that go on."""
    speed: Speed | None
    forecast: Forecast | None
    now: float

    @property
    def repairs(self) -> Counter[str]:
        """How many stored files were mended in which way; a file may have had several repairs."""
        counts: Counter[str] = Counter()
        for flags, files in self.account.repairs.items():
            for words in words_of(flags):
                counts[words] += files
        return counts

    @property
    def is_catalogue(self) -> bool:
        """Whether nothing was sent yet."""
        return not self.migrations

    @property
    def unfinished_walks(self) -> list[Run]:
        """The last runs that ended before they had found all files."""
        going = {run.journal for run in self.running}
        return [run for run in self.account.last_runs if run.journal not in going and not run.is_walked]

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        counts = self.account.states
        is_all = self.account.found and not any(counts[state] for state in NOT_STORED)
        may_be_more = self.running or self.unfinished_walks or self.sources
        return EXIT_OK if is_all and not may_be_more else EXIT_NOT_STORED


def gather(readers: Sequence[Reader]) -> Facts:
    """Read the facts.

    Raises:
        JournalError: a journal cannot be read.
    """
    now = time()
    reasons = {state: Reasons() for state in ORDER}

    def count(ending: Ending, files: int) -> None:
        if ending.status is None:
            reasons[ending.state].add(ending.reason, "", files)
        elif ending.status != SUCCESS:
            reasons[ending.state].add(describe(ending.status), "", files)

    going = {reader.path for reader in readers if is_held(reader.path)}
    sums = account(readers, count)
    running = [run for run in sums.last_runs if run.how is None and run.journal in going]
    speed, end = _outlook(readers, sums, running, now)
    migrations: list[dict[str, str]] = []
    for reader in readers:
        facts = reader.migration
        if facts and facts not in migrations:
            migrations.append(facts)
    return Facts(
        sums,
        {state: found.groups() for state, found in reasons.items()},
        instances(readers),
        Studies(readers).completeness(),
        migrations,
        [reader.path for reader in readers],
        list(_unfinished_sources(readers, sums, running)),
        running,
        speed,
        end,
        now,
    )


def _unfinished_sources(readers: Sequence[Reader], sums: Account, running: Sequence[Run]) -> Iterator[str]:
    """The sources whose run was cut short. Where the last run found all files, the rest counts as waiting."""
    counted = {(run.journal, run.number) for run in sums.last_runs if run.is_walked or run in running}
    for reader in readers:
        walks = reader.unfinished_walks.items()
        yield from (source for source, run in walks if (reader.path, run) not in counted)


def _outlook(
    readers: Sequence[Reader], sums: Account, running: Sequence[Run], now: float
) -> tuple[Speed | None, Forecast | None]:
    """How fast the running runs are, and when all will have ended. Journals that wait for a run have no end."""
    by_path = {reader.path: reader for reader in readers}
    paces = {run.journal: forecast.pace(by_path[run.journal], run, now) for run in running}
    known = [pace for pace in paces.values() if pace is not None]
    speed = Speed(sum(pace.rate for pace in known), max(pace.seconds for pace in known)) if known else None
    ends = [
        forecast.forecast([run for run in sums.runs if run.journal == path], sums.waiting[path], paces.get(path), now)
        for path in by_path
        if path in paces or sums.waiting[path]
    ]
    return speed, forecast.latest(ends) if running else None
