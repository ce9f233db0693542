"""The associations of a run, as rows: state, file, age of the store, and number of instances stored.

Rules:

1. Each lane has a row of its own if there are enough rows; otherwise several lanes share a row. Narrow lanes leave out
   first the word for the state, then size and age, then the folders of the path, then the file. Lanes without room are
   added up in the last row.
2. A lane keeps its place. Columns have fixed widths and numbers are aligned to the right.
3. The age of a store is shown from one second on: younger stores end faster than the display refreshes.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from asyncstore.model import LaneState
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.fit_width import clip, pad, shorten
from asyncstore.observe.formatting import format_bytes, format_count, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.model import Lane

_STYLES = {
    LaneState.OPENING: "cyan",
    LaneState.SENDING: "green",
    LaneState.WAITING: "dim",
    LaneState.CLOSING: "dim",
}
_MARKS = {LaneState.OPENING: "○", LaneState.SENDING: "●", LaneState.WAITING: "○", LaneState.CLOSING: "·"}

_STATE_CELLS = max(len(state) for state in LaneState)
_SIZE_CELLS = len("9.99 GB")
_AGE_CELLS = len("59 min")

_GAP = 2
_BESIDE = 3
"""Cells between two lanes in a row."""
_WITH_DETAIL = 48
"""From this width on a lane has room for size and age."""
_WITH_WORDS = 64
"""From this width on a lane has room for the word for its state."""
_NARROWEST_FILE = 8
"""Below this width the rest of a file's name tells nothing."""
_WHOLE_PATH = 30
"""Below this width only the file's own name is shown, without folders."""

_NOTED = 1.0
"""From this age on, in seconds, the age of a store is shown (rule 3)."""
_OLD = 10.0
"""From this age on, in seconds, a store is marked: at 10 MB/s it has sent 100 MB, more than most instances have."""


class _Columns(NamedTuple):
    """The widths of a lane's columns, in cells. ``detail``: whether it has size and age; ``file`` 0: it has no file."""

    gap: int
    number: int
    state: int
    file: int
    detail: bool
    stored: int


def lane_rows(lanes: Sequence[Lane], width: int, rows: int) -> list[Text]:
    """Lay out the lanes in at most ``rows`` rows of at most ``width`` cells."""
    if not lanes or rows < 1:
        return []
    narrowest = _number_cells(lanes) + len(" ● ") + _stored_cells(lanes)
    most_abreast = max(1, (width + _BESIDE) // (narrowest + _BESIDE))
    if len(lanes) > most_abreast * rows:
        shown = most_abreast * (rows - 1)
        return [*_grid(lanes[:shown], width, most_abreast), _sum(lanes[shown:], width, "more " if shown else "")]
    abreast = -(-len(lanes) // rows)
    grid = _grid(lanes, width, abreast)
    if abreast == 1 and len(grid) < rows:
        return [_head(_columns(lanes, width)), *grid]
    return grid


def _grid(lanes: Sequence[Lane], width: int, abreast: int) -> list[Text]:
    columns = _columns(lanes, (width + _BESIDE) // abreast - _BESIDE)
    cells = [_cell(lane, columns) for lane in lanes]
    return [Text(" " * _BESIDE).join(cells[first : first + abreast]) for first in range(0, len(cells), abreast)]


def _number_cells(lanes: Sequence[Lane]) -> int:
    return max([2, *(len(str(lane.number)) for lane in lanes)])


def _stored_cells(lanes: Sequence[Lane]) -> int:
    return max([len("stored"), *(len(format_count(lane.stored)) for lane in lanes)])


def _columns(lanes: Sequence[Lane], width: int) -> _Columns:
    detail = width >= _WITH_DETAIL
    gap = _GAP if detail else 1
    number, stored = _number_cells(lanes), _stored_cells(lanes)
    state = _STATE_CELLS if width >= _WITH_WORDS else 1
    file = width - (number + state + stored + 3 * gap) - (_SIZE_CELLS + _AGE_CELLS + 2 * gap) * detail
    return _Columns(gap, number, state, file if file >= _NARROWEST_FILE else 0, detail, stored)


def _head(columns: _Columns) -> Text:
    gap = " " * columns.gap
    fields = [" " * columns.number, f"{'state' if columns.state > 1 else '':{columns.state}}"]
    if columns.file:
        fields.append(f"{'file':{columns.file}}")
    if columns.detail:
        fields += [f"{'size':>{_SIZE_CELLS}}", f"{'age':>{_AGE_CELLS}}"]
    return Text(gap.join([*fields, f"{'stored':>{columns.stored}}"]), "dim")


def _cell(lane: Lane, columns: _Columns) -> Text:
    gap = " " * columns.gap
    age, age_style = _age(lane.seconds), "yellow" if lane.seconds >= _OLD else "dim"
    state = f"{lane.state:{columns.state}}" if columns.state > 1 else _MARKS[lane.state]
    line = Text.assemble((f"{lane.number:>{columns.number}}{gap}", "dim"), (state, _STYLES[lane.state]))
    if columns.file:
        beside = f" {age}" if age_style == "yellow" and not columns.detail else ""
        line.append(f"{gap}{_file(lane.path, columns.file - len(beside))}").append(beside, age_style)
    if columns.detail:
        line.append(f"{gap}{format_bytes(lane.bytes) if lane.path else '':>{_SIZE_CELLS}}", "dim")
        line.append(f"{gap}{age:>{_AGE_CELLS}}", age_style)
    return line.append(f"{gap}{format_count(lane.stored):>{columns.stored}}")


def _file(path: str | None, width: int) -> str:
    name = printable(path or "")
    if width < _WHOLE_PATH:
        name = name.rpartition(os.sep)[2]
    return pad(shorten(name, width), width)


def _age(seconds: float) -> str:
    if seconds < _NOTED:
        return ""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{int(seconds)} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h"  # noqa: PLR2004 - two digits


def _sum(lanes: Sequence[Lane], width: int, more: str) -> Text:
    states = Counter(lane.state for lane in lanes)
    doing = ", ".join(f"{states[state]} {state}" for state in LaneState if states[state])
    stored = format_count(sum(lane.stored for lane in lanes))
    return Text(clip(f"{len(lanes)} {more}associations: {doing}, {stored} stored", width), "dim")
