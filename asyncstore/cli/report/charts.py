"""Two simple charts as inline SVG: a line and bars. Colours come from the page's style sheet.

Rules:

1. Every text is escaped here. Numbers are formatted here.
2. A chart has a title for screen readers, and at most a few labels: the tables of the page have the numbers.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 10, 14, 28
_RIGHT_EDGE, _LOW_EDGE = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
_LABELS = 4
"""Intervals between the labels of an axis."""


class Axis(NamedTuple):
    """What an axis shows: its range, and the text for a value."""

    low: float
    high: float
    text: Callable[[float], str]

    def place(self, value: float, begin: float, end: float) -> float:
        """Where a value lies between two places of the picture."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return begin + min(max(share, 0.0), 1.0) * (end - begin)


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
    for step in range(_LABELS + 1):
        value = y_axis.low + (y_axis.high - y_axis.low) * step / _LABELS
        height = _y(y_axis, value)
        marks.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT_EDGE}" y1="{height}" y2="{height}"/>'
            f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{escape(y_axis.text(value))}</text>'
        )
        at = x_axis.low + (x_axis.high - x_axis.low) * step / _LABELS
        anchor = "start" if step == 0 else "end" if step == _LABELS else "middle"
        marks.append(
            f'<text x="{_x(x_axis, at)}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{escape(x_axis.text(at))}</text>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(marks)}{content}</svg>"
    )


def _x(axis: Axis, value: float) -> float:
    return round(axis.place(value, _LEFT, _RIGHT_EDGE), 1)


def _y(axis: Axis, value: float) -> float:
    return round(axis.place(value, _LOW_EDGE, _TOP), 1)
