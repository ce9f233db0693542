"""The associations of a run, as rows: what each is doing, with which file, since when, and how many it has stored.

Rules:

1. A row a lane as long as there are rows; then several lanes a row, which leave out what they have no room for: the
   word for the state, size and age, the folders of the path, at last the file. Lanes that find no room are added up.
2. A lane keeps its place. Columns have fixed widths, numbers stand at their right, and nothing moves but what changes.
3. The age of a store is shown once it is a second old: younger ones come and go faster than the display.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from asyncstore.model import LaneState
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
"""Cells from which a lane has room for size and age."""
_WITH_WORDS = 64
"""Cells from which a lane has room for the word for its state."""
_NARROWEST_FILE = 8
"""Cells below which what is left of a file's name tells nothing."""
_WHOLE_PATH = 30
"""Cells below which the folders would leave too little of the file's own name."""

_NOTED = 1.0
"""Seconds from which the age of a store is shown (rule 3)."""
_OLD = 10.0
"""Seconds from which a store is worth looking at: at 10 MB/s that is 100 MB, more than most instances have."""


class _Columns(NamedTuple):
    """How one lane is laid out, in cells; without ``detail`` it has neither size nor age, with ``file`` 0 no file."""

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
    most_abreast = max(1, (width + _BESIDE) // (_narrowest(lanes) + _BESIDE))
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


def _narrowest(lanes: Sequence[Lane]) -> int:
    """Cells that number, mark and count of a lane take at least."""
    return _number_cells(lanes) + 1 + 1 + 1 + _stored_cells(lanes)


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
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h"  # noqa: PLR2004 - what two digits can say


def _sum(lanes: Sequence[Lane], width: int, more: str) -> Text:
    states = Counter(lane.state for lane in lanes)
    doing = ", ".join(f"{states[state]} {state}" for state in LaneState if states[state])
    stored = format_count(sum(lane.stored for lane in lanes))
    return Text(clip(f"{len(lanes)} {more}associations: {doing}, {stored} stored", width), "dim")
