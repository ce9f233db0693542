"""The report as a page for a browser: one file that needs no other and no network.

Rules:

1. Texts from a journal are made printable and escaped.
2. Nothing names a patient, a study or a file: there are counts, times, reasons, the peer and the AE titles.
3. The page runs no script and loads nothing; its content security policy says so too.
4. Time is divided into at most 200 steps, so the size of the page does not depend on the number of files.
"""

from __future__ import annotations

import re
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING

from asyncstore.cli.report import tables
from asyncstore.cli.report.charts import Axis, bars, from_zero, line, share_bar
from asyncstore.cli.report.facts import NOT_STORED, ORDER
from asyncstore.cli.report.lists import list_of
from asyncstore.cli.report.words import (
    STUDIES_SO_FAR,
    WORDS,
    instances_words,
    migration_words,
    remarks,
    rfc3339,
    utc,
    verdict,
)
from asyncstore.journal.accounts import progress
from asyncstore.journal.studies import Completeness, largest_gap
from asyncstore.journal.values import State
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import format_count, format_duration, format_rate, printable
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.reading import Reader

_MOST_STEPS = 200
_STEPS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86_400)
"""Lengths of a step in seconds."""
_MOST_ROWS = 50
"""Of a table."""
_DAY = 86_400
_FEWEST = 4
"""An axis for fewer files would have labels between whole numbers."""

_IN_NUMBER = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")
_IN_NAME = re.compile(r"(?<=[a-z]{2})(?=[A-Z])")
"""Where long names such as ``ComputedRadiographyImageStorage`` may be broken."""
_PATH = re.compile(r"(\b[a-z][a-z0-9+.-]*://|(?<![^\s'\"(])/|\b[A-Za-z]:\\).*")
"""A path in a reason, and what follows it: names hold any characters, so nobody knows where it ends."""

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#60666d;--line:#d5d9dd;--accent:#0b66c3;--page:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#9aa2aa;--line:#3a4047;--accent:#5aa9f5;--page:#16191c}}
@media print{:root{color-scheme:light;--ink:#000;--dim:#444;--line:#bbb;--accent:#0b66c3;--page:#fff}
body{margin:0;padding:0;max-width:none;font-size:11pt}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
body{max-width:50rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.3}
h2{font-size:1.1rem;margin:2rem 0 .5rem;break-after:avoid}
h1,p{overflow-wrap:anywhere}footer,.caption{color:var(--dim)}.caption{margin:0 0 .5rem;break-after:avoid}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem 1.2rem .2rem 0;border-bottom:1px solid var(--line)}
th,td{vertical-align:top;white-space:nowrap}tr{break-inside:avoid}
th{color:var(--dim);font-weight:normal}
table+.caption{margin-top:.4rem}.number{text-align:right}.text{width:100%;white-space:normal;overflow-wrap:anywhere}
svg.chart{width:100%;height:auto;overflow:visible;break-inside:avoid}svg.share{width:6rem;height:.6rem}
svg text{font-size:12px;fill:var(--dim)}
.grid{stroke:var(--line);stroke-width:1}.line{fill:none;stroke:var(--accent);stroke-width:2}.bar{fill:var(--accent)}
@media(max-width:40rem){body{margin:1rem auto}th,td{padding-right:.7rem}.time{white-space:normal;min-width:6rem}
svg text{font-size:20px}.minor,.share{display:none}
tr:has(.time+.time){display:grid;grid-template-columns:4rem 4.5rem 1fr 1fr}
.time+.time+.text{grid-column:1/-1;width:auto}}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
"""


class Course(NamedTuple):
    """How the migration went over time."""

    begin: int
    """In seconds of Unix time."""
    end: int
    step: int
    """In seconds."""
    stored: list[int]
    """Files that were stored in each step."""
    others: list[int]
    """Files that ended otherwise."""


def page(facts: Facts, readers: Sequence[Reader]) -> str:
    """The page.

    Raises:
        JournalError: a journal cannot be read.
    """
    course = _course(facts, readers)
    sections = [
        _section("Files", _table(tables.states(facts)), *map(_text, instances_words(facts))),
        _section(
            "Progress",
            _caption(f"Files stored so far, of {format_count(facts.account.found)} found."),
            _progress(course),
        )
        if course
        else "",
        _section("Rate", *_rate(course)) if course else "",
        _section("Not stored, and warnings, by reason", _reasons(facts), _how_to_list(facts)),
        _section("Repaired before they were sent", _table(tables.repairs(facts))),
        _section("Statuses", _table(tables.statuses(facts, _MOST_ROWS))),
        _section("SOP classes", _table(tables.sop_classes(facts, _MOST_ROWS))),
        _section("Studies", _studies(facts, readers)),
        _section("Days", _table(tables.days(facts, _MOST_ROWS))),
        _section("Runs", _table(tables.runs(facts, _MOST_ROWS))),
    ]
    above = "".join(map(_text, [" ".join(remarks(facts)), *(f"{migration_words(one)}." for one in facts.migrations)]))
    journals = "1 journal" if len(facts.journals) == 1 else f"{len(facts.journals)} journals"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>asyncstore report</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_safe(verdict(facts))}</h1>\n{above}\n{''.join(sections)}"
        f"<footer><p>{_safe(f'{journals}, read at {utc(facts.now)} by asyncstore {__version__}. Times are UTC.')}</p>"
        "</footer>\n</body>\n</html>\n"
    )


def _course(facts: Facts, readers: Sequence[Reader]) -> Course | None:
    """The course of the migration; ``None`` if nothing ended."""
    runs = facts.account.runs
    if not runs:
        return None
    times = [time for run in runs for time in (run.began, run.ended)]  # a clock that was set back confuses their order
    begin, end = min(times), max(times)
    step = next((step for step in _STEPS if (end - begin) / step < _MOST_STEPS - 1), 0)
    if not step:  # longer than half a year
        step = int((end - begin) / (_MOST_STEPS - 1) / _DAY + 1) * _DAY
    first = int(begin // step) * step
    begins = range(first, int(end // step) * step + step, step)
    if facts.running and len(begins) > 1:
        begins = begins[:-1]  # a step that goes on would look like a slow one
    ended = progress(readers, step, first, begins[-1] + step)
    if not ended:
        return None
    stored = [sum(ended[at][state] for state in State if state.is_stored) if at in ended else 0 for at in begins]
    return Course(
        first,
        begins[-1] + step,
        step,
        stored,
        [(ended[at].total() if at in ended else 0) - count for at, count in zip(begins, stored, strict=True)],
    )


def _times(course: Course) -> Axis:
    """The axis of time: neighbouring labels differ."""
    seconds = course.end - course.begin
    if seconds >= 4 * _DAY:
        return Axis(course.begin, course.end, lambda at: utc(at)[:10])
    if seconds >= 4 * 60:
        return Axis(course.begin, course.end, lambda at: utc(at)[5:16])
    return Axis(course.begin, course.end, lambda at: (rfc3339(at) or "")[11:19])


def _progress(course: Course) -> str:
    totals = [0, *accumulate(course.stored)]
    points = [(course.begin + number * course.step, total) for number, total in enumerate(totals)]
    axis = from_zero(max(totals[-1], _FEWEST), lambda value: format_count(round(value)))
    return line("Files stored so far", points, _times(course), axis)


def _rate(course: Course) -> tuple[str, str]:
    """A caption and the chart. Slow migrations are counted by the hour."""
    sums = [stored + others for stored, others in zip(course.stored, course.others, strict=True)]
    is_slow = max(sums) < course.step
    seconds, title = (3600, "Files that ended in an hour") if is_slow else (1, "Files that ended in a second")
    points = [(course.begin + number * course.step, seconds * count / course.step) for number, count in enumerate(sums)]
    most = max(rate for _, rate in points)
    axis = from_zero(most, lambda rate: f"{format_rate(rate)[:-2]}/h" if is_slow else format_rate(rate))
    return _caption(f"{title}."), bars(title, points, course.step, _times(course), axis)


def _reasons(facts: Facts) -> str:
    groups = [(state, group) for state in ORDER for group in facts.reasons[state]]
    most = max((group.files for _, group in groups), default=1)
    rows = []
    for state, group in sorted(groups, key=lambda item: -item[1].files)[:_MOST_ROWS]:
        word = WORDS[state].replace(" ", "\N{NO-BREAK SPACE}")
        cells = (format_count(group.files), word, _PATH.sub("…", printable(group.text)))
        rows.append("".join(_cells(cells, 1)) + f'<td class="share">{share_bar(group.files / most)}</td>')
    return _rows(("files", "state", "reason"), rows, 1, '<th class="share"></th>')


def _how_to_list(facts: Facts) -> str:
    """How to learn which files are not stored: this page does not name them."""
    listed = next((state for state in NOT_STORED if facts.account.states[state]), None)
    if listed is None:
        return ""
    return _caption(f"asyncstore report --list {list_of(listed)} JOURNAL names the files.")


def _studies(facts: Facts, readers: Sequence[Reader]) -> str:
    if not facts.studies:
        return ""
    rows = [(format_count(facts.studies[kind]), kind.value) for kind in Completeness]
    table = _table(tables.Table(("studies", "state"), rows, 1))
    if facts.studies[Completeness.INCOMPLETE]:
        table += _caption("asyncstore report --studies incomplete JOURNAL names them.")
    if facts.account.without_row:
        table += _text(STUDIES_SO_FAR)
    gap = largest_gap(readers)
    if gap is None:
        return table
    return table + _text(f"The largest gap within a study was {format_duration(gap.seconds)}, from {utc(gap.at)} on.")


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{_safe(title)}</h2>{''.join(content)}</section>\n" if content[0] else ""


def _text(text: str) -> str:
    return f"<p>{_safe(text)}</p>" if text else ""


def _caption(text: str) -> str:
    return f'<p class="caption">{_safe(text)}</p>'


def _table(table: tables.Table) -> str:
    return _rows(table.head, ["".join(_cells(row, table.numbers)) for row in table.rows], table.numbers)


def _rows(head: Sequence[str], rows: Sequence[str], numbers: int, last: str = "") -> str:
    if not rows:
        return ""
    top = "".join(_cells(head, numbers, "th"))
    return (
        f"<table><thead><tr>{top}{last}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"
    )


def _cells(row: Sequence[str], numbers: int, tag: str = "td") -> Iterator[str]:
    """The cells of a row; the first ones hold numbers, the last one a text of any length, others short texts."""
    for place, cell in enumerate(row):
        kind = "number" if place < numbers else "text" if place == len(row) - 1 else "time"
        yield f'<{tag} class="{kind}">{_safe(cell)}</{tag}>'


def _safe(text: str) -> str:
    """``text`` for the page. Numbers are not broken at the spaces between their digits; long names may be broken."""
    return _IN_NUMBER.sub("\N{NO-BREAK SPACE}", _IN_NAME.sub("<wbr>", escape(printable(text))))
