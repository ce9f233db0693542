"""The tables of a report, which the text and the page show. A table that is cut has the sums of the rest in a row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.cli.report.facts import ORDER
from asyncstore.cli.report.words import WORDS, bytes_words, how_ended, stored_in, utc
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import format_bytes, format_count
from asyncstore.protocol.status import SUCCESS, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.values import State

_Row = tuple[tuple[int, ...], tuple[str, ...]]
"""The numbers of a row, and the texts behind them."""


class Table(NamedTuple):
    """A table."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: int = 2
    """How many columns at its beginning hold numbers."""


def states(facts: Facts) -> Table:
    """How many files and bytes are in each state."""
    sums = facts.account
    rows = [
        (format_count(sums.states[state]), bytes_words(facts, state), WORDS[state])
        for state in ORDER
        if sums.states[state]
    ]
    rows.append((format_count(sums.found), format_bytes(sum(sums.bytes.values())), "found"))
    return Table(("files", "data", "state"), rows)


def repairs(facts: Facts) -> Table:
    """How many files were mended in which way."""
    rows: list[_Row] = [((count,), (words,)) for words, count in facts.repairs.most_common()]
    return Table(("files", "repair"), _written(rows), 1)


def statuses(facts: Facts, most: int) -> Table:
    """How often the peer answered each status; empty if there was only success. B000, B006 and B007 have rows."""
    counts = facts.account.statuses
    rows: list[_Row] = [((count,), (describe(status),)) for status, count in counts.most_common()]
    return Table(
        ("files", "status"), [] if set(counts) <= {SUCCESS} else _cut(rows, most, "more status", "more statuses"), 1
    )


def sop_classes(facts: Facts, most: int) -> Table:
    """How many files are stored of each SOP class, and how many not."""
    stored, others = _split(facts.account.sop_classes)
    rows: list[_Row] = [
        ((stored[uid], others[uid]), (uid_name(uid) if uid else "no instance known",))
        for uid, _ in (stored + others).most_common()
    ]
    return Table(("stored", "not stored", "SOP class"), _cut(rows, most, "more SOP class", "more SOP classes"))


def days(facts: Facts, most: int) -> Table:
    """How many files ended on each of the last days, and how."""
    stored, others = _split(facts.account.days)
    rows: list[_Row] = [
        ((stored[day], others[day]), (day or "an impossible day",)) for day in sorted(stored | others, reverse=True)
    ]
    return Table(("stored", "not stored", "day"), _cut(rows, most, "day before", "days before")[::-1])


def runs(facts: Facts, most: int) -> Table:
    """The last runs."""
    rows: list[_Row] = [
        ((stored_in(run), run.skipped), (utc(run.began), utc(run.ended), how_ended(run, facts)))
        for run in reversed(facts.account.runs)
    ]
    return Table(("stored", "skipped", "began", "ended", "how it ended"), _cut(rows, most, "more", "more")[::-1])


def _cut(rows: Sequence[_Row], most: int, one: str, several: str) -> list[tuple[str, ...]]:
    """The first rows, and the sums of the others in one more, named as one or several."""
    shown, left = list(rows[:most]), rows[most:]
    if left:
        sums = tuple(map(sum, zip(*(numbers for numbers, _ in left), strict=True)))
        name = f"{format_count(len(left))} {one if len(left) == 1 else several}"
        shown.append((sums, (name, *("" for _ in left[0][1][1:]))))
    return _written(shown)


def _written(rows: Sequence[_Row]) -> list[tuple[str, ...]]:
    return [(*map(format_count, numbers), *texts) for numbers, texts in rows]


def _split(counts: Counter[tuple[str, State]]) -> tuple[Counter[str], Counter[str]]:
    """The counts of what is stored and of what is not, by the first part of their keys."""
    stored: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for (key, state), count in counts.items():
        (stored if state.is_stored else others)[key] += count
    return stored, others
