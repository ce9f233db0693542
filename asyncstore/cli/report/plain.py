"""The report as text: the verdict, then tables of counts, which :mod:`asyncstore.cli.text.page` fits to a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.cli.report.facts import ORDER
from asyncstore.cli.report.words import (
    STUDIES_SO_FAR,
    WORDS,
    bytes_words,
    how_ended,
    migration_words,
    remarks,
    stored_in,
    utc,
    verdict,
)
from asyncstore.cli.text.page import aligned, broken
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.journal.studies import Completeness
from asyncstore.observe.formatting import counted, format_bytes, format_count, printable
from asyncstore.observe.reasons import selection
from asyncstore.protocol.status import SUCCESS, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.values import State
    from asyncstore.observe.reasons import Group

MOST_LINES = 10
"""Of each table. ``--json`` has everything."""

_Rows = list[tuple[str, ...]]


def lines(facts: Facts, width: int | None) -> Iterator[str]:
    """The lines of the report for a page of this width."""
    for sentence in (verdict(facts), *remarks(facts)):
        yield from broken(sentence, width)
    if len(facts.journals) > 1:
        yield f"{len(facts.journals)} journals."
    for migration in facts.migrations:
        yield from broken(f"{migration_words(migration)}.", width)
    sums = facts.account
    if sums.found:
        yield ""
        yield from aligned(_states(facts), width)
        yield from _studies(facts, width)
    for state in ORDER:
        yield from _reasons(state, facts.reasons[state], width)
    if sums.repaired:
        yield ""
        yield f"repaired: {counted(sums.repaired, 'file')}"
        yield from aligned([(format_count(count), "", words) for words, count in facts.repairs.most_common()], width)
    for rows in (_statuses(facts), _sop_classes(facts), _days(facts), _runs(facts)):
        if rows:
            yield ""
            yield from aligned(rows, width)


def _states(facts: Facts) -> _Rows:
    """A table: how many files and bytes are in each state."""
    sums = facts.account
    rows: _Rows = [("files", "data", "state")]
    rows += [
        (format_count(sums.states[state]), bytes_words(facts, state), WORDS[state])
        for state in ORDER
        if sums.states[state]
    ]
    return [*rows, (format_count(sums.found), format_bytes(sum(sums.bytes.values())), "found")]


def _studies(facts: Facts, width: int | None) -> Iterator[str]:
    """How many studies are complete."""
    total = facts.studies.total()
    if total:
        parts = [f"{format_count(facts.studies[kind])} {kind}" for kind in Completeness]
        word = "study" if total == 1 else "studies"
        yield ""
        so_far = f" {STUDIES_SO_FAR}" if facts.account.without_row else ""
        yield from broken(f"{format_count(total)} {word}: {', '.join(parts)}.{so_far}", width)


def _reasons(state: State, groups: Sequence[Group], width: int | None) -> Iterator[str]:
    """The reasons of one state, in ten lines."""
    if not groups:
        return
    rows: _Rows = [
        (format_count(row.files), "", f"{'  ' if row.is_detail else ''}{printable(row.text)}")
        for row in selection(groups, MOST_LINES)
        if row.files is not None and row.text
    ]
    yield ""
    yield f"{WORDS[state]}: {counted(sum(group.files for group in groups), 'file')}"
    yield from aligned(rows, width)


def _statuses(facts: Facts) -> _Rows:
    """A table of statuses: B000, B006 and B007 have their own lines."""
    counts = facts.account.statuses
    if set(counts) <= {SUCCESS}:
        return []
    rows: _Rows = [("files", "", "status")]
    rows += [(format_count(count), "", describe(status)) for status, count in counts.most_common(MOST_LINES)]
    left = counts.most_common()[MOST_LINES:]
    if left:
        rows.append((format_count(sum(count for _, count in left)), "", f"{len(left)} more statuses"))
    return rows


def _sop_classes(facts: Facts) -> _Rows:
    """A table: how many are stored of each SOP class, and how many not."""
    stored, others = split(facts.account.sop_classes)
    if not stored and not others:
        return []
    totals = stored + others
    rows: _Rows = [("stored", "not stored", "SOP class")]
    rows += [
        (format_count(stored[key]), format_count(others[key]), uid_name(key) if key else "no instance known")
        for key, _ in totals.most_common(MOST_LINES)
    ]
    left = [key for key, _ in totals.most_common()[MOST_LINES:]]
    if left:
        sums = (format_count(sum(counts[key] for key in left)) for counts in (stored, others))
        rows.append((*sums, f"{len(left)} more SOP classes"))
    return rows


def split(counts: Counter[tuple[str, State]]) -> tuple[Counter[str], Counter[str]]:
    """The counts of what is stored and of what is not, by the first part of their keys."""
    stored: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for (key, state), count in counts.items():
        (stored if state.is_stored else others)[key] += count
    return stored, others


def _days(facts: Facts) -> _Rows:
    """A table: how many files ended on each of the last days, and how."""
    stored, others = split(facts.account.days)
    days = sorted(stored | others)
    if not days:
        return []
    shown = days[-MOST_LINES:]
    rows: _Rows = [("stored", "not stored", "day")]
    if days != shown:
        before = days[: -len(shown)]
        count = "day" if len(before) == 1 else "days"
        rows.append((
            format_count(sum(stored[day] for day in before)),
            format_count(sum(others[day] for day in before)),
            f"{format_count(len(before))} {count} before",
        ))  # fmt: skip
    return [
        *rows,
        *((format_count(stored[day]), format_count(others[day]), day or "an impossible day") for day in shown),
    ]


def _runs(facts: Facts) -> _Rows:
    """A table of the last runs."""
    runs = facts.account.runs
    if not runs:
        return []
    rows: _Rows = [("stored", "skipped", "began", "ended", "how it ended")]
    if len(runs) > MOST_LINES:
        left_out = runs[:-MOST_LINES]
        rows.append((
            format_count(sum(map(stored_in, left_out))),
            format_count(sum(run.skipped for run in left_out)),
            f"{len(left_out)} more",
            "",
            "",
        ))  # fmt: skip
    rows += [
        (
            format_count(stored_in(run)),
            format_count(run.skipped),
            utc(run.began),
            utc(run.ended),
            how_ended(run, facts),
        )
        for run in runs[-MOST_LINES:]
    ]
    return rows
