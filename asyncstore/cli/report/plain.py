"""The report as text: the verdict, then tables of counts, which :mod:`asyncstore.cli.text.page` fits to a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.report import tables
from asyncstore.cli.report.facts import ORDER
from asyncstore.cli.report.words import STUDIES_SO_FAR, WORDS, instances_words, migration_words, remarks, verdict
from asyncstore.cli.text.page import aligned, broken
from asyncstore.journal.studies import Completeness
from asyncstore.observe.formatting import counted, format_count, printable
from asyncstore.observe.reasons import selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.values import State
    from asyncstore.observe.reasons import Group

MOST_LINES = 10
"""Of each table. ``--json`` has everything."""


def lines(facts: Facts, width: int | None) -> Iterator[str]:
    """The lines of the report for a page of this width."""
    for sentence in (verdict(facts), *remarks(facts)):
        yield from broken(sentence, width)
    yield from (f"  to be walked again: {printable(source)}" for source in facts.sources[:MOST_LINES])
    if len(facts.journals) > 1:
        yield f"{len(facts.journals)} journals."
    for migration in facts.migrations:
        yield from broken(f"{migration_words(migration)}.", width)
    sums = facts.account
    if sums.found:
        yield ""
        yield from _aligned(tables.states(facts), width)
        for sentence in instances_words(facts):
            yield ""
            yield from broken(sentence, width)
        yield from _studies(facts, width)
    for state in ORDER:
        yield from _reasons(state, facts.reasons[state], width)
    if sums.repaired:
        yield ""
        yield f"repaired: {counted(sums.repaired, 'file')}"
        yield from aligned([(files, "", words) for files, words in tables.repairs(facts).rows], width)
    for form in (tables.statuses, tables.sop_classes, tables.days, tables.runs):
        table = form(facts, MOST_LINES)
        if table.rows:
            yield ""
            yield from _aligned(table, width)


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
    rows = [
        (format_count(row.files), "", f"{'  ' if row.is_detail else ''}{printable(row.text)}")
        for row in selection(groups, MOST_LINES)
        if row.files is not None and row.text
    ]
    yield ""
    yield f"{WORDS[state]}: {counted(sum(group.files for group in groups), 'file')}"
    yield from aligned(rows, width)


def _aligned(table: tables.Table, width: int | None) -> Iterator[str]:
    """A table with two columns of numbers; the second one may be empty."""
    blank = ("",) * (2 - table.numbers)
    rows = [(*row[: table.numbers], *blank, *row[table.numbers :]) for row in (table.head, *table.rows)]
    return aligned(rows, width)
