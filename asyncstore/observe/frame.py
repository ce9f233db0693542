"""One frame of the live display, as lines: a pure function of a sample of the run and of the terminal's size.

    bar         share of the work done
    numbers     done, found, bytes, rates, time left
    lanes       one association each (see ``lanes``)
    results     number of files for each result, and the statuses that the SCP answered
    failures    the last ones, with their reasons

Rules:

1. A frame leaves at least one row and one column of the terminal free. In a small terminal the numbers go last.
2. Statuses and failures have their rows reserved from the beginning, so the lanes do not move when they appear.
3. Colours only tell the state: green is well, yellow deserves a look, red is lost.
4. Bytes and rates count what the SCP stored. A file that was withdrawn because the run stops is not done.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from asyncstore.model import Outcome, Progress, Result
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.fit_width import clip, pad, shorten
from asyncstore.observe.formatting import (
    format_byte_rate,
    format_bytes,
    format_count,
    format_estimate,
    format_rate,
    printable,
)
from asyncstore.observe.lanes import lane_rows
from asyncstore.observe.limits import standstill
from asyncstore.observe.results import SHOWN
from asyncstore.protocol.status import describe, result_of

if TYPE_CHECKING:
    from asyncstore.observe.tally import Rate, Tally

_MOST_LANE_ROWS = 16
"""People can read about this many at a glance; drawing time grows with their number."""
_HEAD_ROWS = len(("bar", "numbers"))
_RESULT_ROWS = len(("results", "statuses"))
_FAILURE_ROWS = 3
"""Rows reserved for the last failures; they also get the rows that the lanes leave free."""
_BLANK_ROWS = 3
"""Above the frame, above the lanes and below them."""
_LOG_ROWS = 2
"""Rows left free for the last lines of the log."""
_AIRY_ROWS = 18
"""From this height on there is room for blank rows and the log beside eight lanes."""
_FEWEST_ROWS = 9
"""Below this height a frame has only the bar, the numbers, the results, and lanes in the rest."""

_WIDE = 100
"""From this width on there is room for the elapsed time."""
_SHARE_CELLS = len(" stopping")
_BYTES_CELLS = len("9.99 GB")
_RATE_CELLS = len("16 000/s")
_BYTE_RATE_CELLS = len("9.99 GB/s")
_GAP = "   "


class View(NamedTuple):
    """The sample that a frame shows."""

    tally: Tally
    progress: Progress
    rate: Rate
    fraction: float
    seconds: float
    """Since the run began."""
    seconds_left: float | None
    notice: str = ""


def frame(view: View, width: int, height: int) -> list[Text]:
    """Draw the frame for a terminal of this size."""
    width, rows = max(width - 2, 1), height - 1
    lines = _full(view, width, rows) if rows >= _FEWEST_ROWS else _small(view, width, rows)
    lines = lines[: max(rows, 0)]
    for line in lines:
        line.truncate(width)
    return [Text.assemble(" ", line) if line else line for line in lines]


def _full(view: View, width: int, rows: int) -> list[Text]:
    """Draw all parts; a higher terminal gets blank rows between them and room for the log."""
    airy = rows >= _AIRY_ROWS
    spare = rows - _HEAD_ROWS - _RESULT_ROWS - (_BLANK_ROWS + _LOG_ROWS) * airy
    lanes = lane_rows(view.progress.lanes, width, min(_MOST_LANE_ROWS, spare - min(_FAILURE_ROWS, spare // 4)))
    blank = [Text()] * airy
    return [
        *blank,
        _bar(view, width),
        _numbers(view, width),
        *(_notice(view, width) or blank),
        *lanes,
        *(blank if lanes else []),
        *_results(view.tally, width),
        *_failures(view.tally, width, spare - len(lanes)),
    ]


def _small(view: View, width: int, rows: int) -> list[Text]:
    if rows < _HEAD_ROWS:
        return [_numbers(view, width)]
    lanes = lane_rows(view.progress.lanes, width, rows - _HEAD_ROWS - 1)
    return [
        _bar(view, width),
        _numbers(view, width),
        *lanes,
        *(_notice(view, width) or _results(view.tally, width)),
    ]


def _notice(view: View, width: int) -> list[Text]:
    text = view.notice or standstill(view.progress)
    return [Text(clip(text, width), "yellow")] if text else []


def _bar(view: View, width: int) -> Text:
    """Draw the share done. While the walk goes on, the rest is dotted and a word stands in place of the percentage.

    A run that stops keeps its bar and shows ``stopping`` in place of the percentage.
    """
    cells = max(width - _SHARE_CELLS, 0)
    halves = int(view.fraction * cells * 2)
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    left = ("┄" if view.progress.walking else "─") * (cells - len(done))
    share, style = f"{int(view.fraction * 100)} %", "dim"
    if view.tally.withdrawn:
        share, style = "stopping", "yellow"
    elif view.progress.walking:
        share = "walking"
    return Text.assemble((done, "green"), (left, "dim"), (f"{share:>{_SHARE_CELLS}}"[: width - cells], style))


def _numbers(view: View, width: int) -> Text:
    """Draw the numbers; if there is no room for all, the least important ones are left out."""
    fields = [
        _done(view),
        f"{format_bytes(view.tally.bytes):>{_BYTES_CELLS}}",
        f"{format_byte_rate(view.rate.bytes):>{_BYTE_RATE_CELLS}}",
        f"{format_rate(view.rate.instances):>{_RATE_CELLS}}",
    ]
    left = _time_left(view, wide=width >= _WIDE)
    while len(fields) > 1 and len(_GAP.join([*fields, left])) > width:
        del fields[1]
    done, rest = fields[0], _GAP.join(["", *fields[1:]])
    room = width - len(done) - len(rest)
    return Text.assemble((clip(done, width), "bold"), rest, (f"{left:>{room}}" if len(left) < room else "", "dim"))


def _done(view: View) -> str:
    found = format_count(view.progress.found)
    done = f"{format_count(view.tally.settled):>{len(found)}}"
    return f"{done} of {found}{'+ found' if view.progress.walking else ' files'}"


def _time_left(view: View, *, wide: bool) -> str:
    left = f"{format_estimate(view.seconds_left)} left" if view.seconds_left is not None else ""
    elapsed = f"{timedelta(seconds=int(view.seconds))} elapsed" if wide else ""
    return ", ".join(filter(None, (elapsed, left)))


def _results(tally: Tally, width: int) -> list[Text]:
    """Draw the number of files for each result, and the statuses that the SCP answered."""
    counts = [
        Text(f"{format_count(tally.count(result))} {word}", style)
        for result, (word, style) in SHOWN.items()
        if result is Result.STORED or tally.count(result)
    ]
    statuses = [
        Text(f"{format_count(count)} x {describe(status)}" if count > 1 else describe(status), "dim")
        for status, count in sorted(tally.statuses.items(), key=_failures_first)
    ]
    return [_line_of(counts, width), *([_line_of(statuses, width)] if statuses else [])]


def _failures_first(counted: tuple[int, int]) -> tuple[bool, int]:
    status, _ = counted
    return result_of(status) is Result.WARNING, status


def _line_of(texts: list[Text], width: int) -> Text:
    """Join as many texts as fit into a line, but at least the first."""
    while len(texts) > 1 and sum(len(text) + len(_GAP) for text in texts) - len(_GAP) > width:
        texts = texts[:-1]
    return Text(_GAP).join(texts)


def _failures(tally: Tally, width: int, rows: int) -> list[Text]:
    """Draw the last files that were not stored, the newest last."""
    if rows < 1 or not tally.last_failures:
        return []
    last = list(tally.last_failures)[-rows:]
    reasons = [_reason(outcome) for outcome in last]
    cells = min(max(map(len, reasons)), width // 2)
    return [
        Text.assemble(
            (pad(clip(reason, cells), cells), "red"), _GAP, shorten(printable(outcome.path), width - cells - len(_GAP))
        )
        for reason, outcome in zip(reasons, last, strict=True)
    ]


def _reason(outcome: Outcome) -> str:
    if outcome.status is not None:
        return describe(outcome.status)
    return printable(outcome.error or SHOWN[outcome.result].word)
