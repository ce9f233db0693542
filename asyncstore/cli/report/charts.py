"""Two simple charts as inline SVG: a line and bars. Colours come from the page's style sheet.

Rules:

1. Every text is escaped here. Numbers are formatted here.
2. A chart has a title for screen readers, and at most a few labels: the tables of the page have the numbers.
3. Every other label of the horizontal axis has the class ``minor``: small screens have no room for it.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 10, 14, 32
_RIGHT_EDGE, _LOW_EDGE = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
_INTERVALS = 4
"""Between the labels of the horizontal axis; about as many are on the other one."""


class Axis(NamedTuple):
    """What an axis shows: its range, and the text for a value."""

    low: float
    high: float
    text: Callable[[float], str]
    step: float = 0.0
    """Between two labels; 0: a quarter of the range."""

    @property
    def labels(self) -> list[float]:
        """The values that have labels."""
        number = round((self.high - self.low) / self.step) if self.step else _INTERVALS
        return [self.low + (self.high - self.low) * place / number for place in range(number + 1)]

    def place(self, value: float, begin: float, end: float) -> float:
        """Where a value lies between two places of the picture."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return begin + min(max(share, 0.0), 1.0) * (end - begin)


def from_zero(most: float, text: Callable[[float], str]) -> Axis:
    """An axis from 0 to ``most`` or a little more, with round numbers at its labels."""
    power = 10.0 ** math.floor(math.log10(most / _INTERVALS))
    step = next(factor * power for factor in (1, 2, 5, 10) if most / (factor * power) <= _INTERVALS + 1)
    return Axis(0, math.ceil(most / step) * step, text, step)


def line(title: str, points: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis) -> str:
    """A line through these points."""
    shown = " ".join(f"{_x(x_axis, x)},{_y(y_axis, y)}" for x, y in points)
    return _chart(title, f'<polyline class="line" points="{shown}"/>', x_axis, y_axis)


def bars(title: str, points: Sequence[tuple[float, float]], width: float, x_axis: Axis, y_axis: Axis) -> str:
    """A bar from each x on, ``width`` wide and y high."""
    shown = []
    for x, y in points:
        left, right, top = _x(x_axis, x), _x(x_axis, x + width), _y(y_axis, y)
        wide = max(right - left - 0.5, 0.5)
        shown.append(f'<rect class="bar" x="{left}" y="{top}" width="{wide:.1f}" height="{_LOW_EDGE - top:.1f}"/>')
    return _chart(title, "".join(shown), x_axis, y_axis)


def share_bar(share: float) -> str:
    """A small bar for the cell of a table."""
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" role="presentation">'
        f'<rect class="bar" x="0" y="0" width="{100 * min(max(share, 0.0), 1.0):.1f}" height="8"/></svg>'
    )


def _chart(title: str, content: str, x_axis: Axis, y_axis: Axis) -> str:
    marks = []
    for value in y_axis.labels:
        height = _y(y_axis, value)
        marks.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT_EDGE}" y1="{height}" y2="{height}"/>'
            f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{escape(y_axis.text(value))}</text>'
        )
    for number, at in enumerate(x_axis.labels):
        anchor = "start" if number == 0 else "end" if number == _INTERVALS else "middle"
        kind = ' class="minor"' if number % 2 else ""
        place = f'x="{_x(x_axis, at)}" y="{_HEIGHT - 8}" text-anchor="{anchor}"'
        marks.append(f"<text{kind} {place}>{escape(x_axis.text(at))}</text>")
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(marks)}{content}</svg>"
    )


def _x(axis: Axis, value: float) -> float:
    return round(axis.place(value, _LEFT, _RIGHT_EDGE), 1)


def _y(axis: Axis, value: float) -> float:
    return round(axis.place(value, _LOW_EDGE, _TOP), 1)
