"""Plots as values: what plotly draws, with a title and a sentence that says how to read it.

Rules:

1. A plot is built from plain lists. plotly itself is not imported here: the page brings its script.
2. Texts in plots are escaped by :func:`label`: plotly takes tags in texts for tags.
3. Colours are those of the light page; the page's script puts those of the dark one in their places.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from asyncstore.cli.bench_page.style import BAND, DASHES, DIM, MARKS, SERIES
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncstore.cli.bench_page.style import Colour

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Fields: TypeAlias = "dict[str, Json]"

_MOST_LABEL = 28
"""Characters of a label at an axis."""
_ROOM_ABOVE = 0.12
"""As a share of an axis."""
_FEW_DECADES = 2.5
"""Axes up to this length have labels at 1, 2 and 5 times a power of ten; longer ones at the powers only."""


class Plot(NamedTuple):
    """A plot of the page."""

    name: str
    """Its id in the page."""
    title: str
    reading: str
    """One sentence that says how to read it."""
    traces: list[Fields]
    layout: Fields
    height: float = 20.0
    """In rem: 16 pixels, unless the reader likes larger letters."""
    is_half: bool = False
    """Whether two of its kind stand side by side where there is room."""


class Band(NamedTuple):
    """A part of the axis of time."""

    begin: float
    end: float
    text: str
    is_dim: bool = False


def label(text: str, most: int = _MOST_LABEL) -> str:
    """``text`` as plotly shows it literally, cut to a length that fits at an axis."""
    shown = printable(text)
    if len(shown) > most:
        shown = f"{shown[: most - 1].rstrip()}…"
    return escape(shown, quote=False)


def line(
    name: str, x: Sequence[float], y: Sequence[float | None], place: int, *, texts: Sequence[str] = (), **more: Json
) -> Fields:
    """A line; its place among the lines of the plot decides its colour and dashes."""
    colour, dash = SERIES[place % len(SERIES)], DASHES[place % len(DASHES)]
    look: Fields = {
        "mode": "lines" if len(x) > 1 else "markers",
        "line": {"color": colour.light, "dash": dash, "width": 2},
        "marker": {"color": colour.light, "symbol": MARKS[place % len(MARKS)], "size": 7},
    }
    return _trace("scatter", name, x, y, texts, look | more)


def dots(name: str, x: Sequence[Json], y: Sequence[Json], place: int, *, texts: Sequence[str], **more: Json) -> Fields:
    """Single points."""
    colour = SERIES[place % len(SERIES)]
    look: Fields = {
        "mode": "markers",
        "marker": {"color": colour.light, "symbol": MARKS[place % len(MARKS)], "size": 10},
    }
    return _trace("scatter", name, x, y, texts, look | more)


def bars(
    name: str, x: Sequence[Json], y: Sequence[Json], colour: Colour, *, texts: Sequence[str], **more: Json
) -> Fields:
    """Bars."""
    look: Fields = {"marker": {"color": colour.light}}
    return _trace("bar", name, x, y, texts, look | more)


def _trace(
    kind: str, name: str, x: Sequence[Json], y: Sequence[Json], texts: Sequence[str], more: Mapping[str, Json]
) -> Fields:
    """What is drawn, and the texts at the pointer."""
    shown = label(name)
    hover = [f"{shown}: {escape(printable(text), quote=False)}" for text in texts]
    texts_at_pointer: Fields = {"hovertext": list(hover), "hoverinfo": "text"} if hover else {}
    return {"type": kind, "name": shown, "x": list(x), "y": list(y), **texts_at_pointer, **more}


def axis(title: str, **more: Json) -> Fields:
    """An axis."""
    return {"title": {"text": title}, "automargin": True, **more}


def rows_axis(names: Sequence[str]) -> Fields:
    """A vertical axis of rows with these names, the first one above; values are their places."""
    places: list[Json] = list(range(len(names)))
    return axis("", tickvals=places, ticktext=list(map(label, names)), range=[len(names) - 0.5, -0.5])


def rows_height(names: Sequence[str]) -> float:
    """The height of a plot with such rows, in rem."""
    return 6.0 + 1.6 * len(names)


def count_axis(title: str, values: Iterable[float], **more: Json) -> Fields:
    """An axis from 0, of numbers or rates, with room above ``values`` for the names of phases."""
    most = max(values, default=0.0) or 1.0
    return axis(title, range=[0, most * (1 + _ROOM_ABOVE)], separatethousands=True, **more)


def seconds_axis(title: str, values: Iterable[float | None], **more: Json) -> Fields:
    """A logarithmic axis of durations that has room for ``values``."""
    known = [value for value in values if value]
    low, high = (math.log10(min(known)), math.log10(max(known))) if known else (-3.0, 0.0)
    room = max((high - low) * _ROOM_ABOVE, 0.05)
    low, high = low - room / 2, high + room
    if high - low < 1:  # an axis of less has too few labels
        middle = (low + high) / 2
        low, high = middle - 0.5, middle + 0.5
    steps = (1, 2, 5) if high - low < _FEW_DECADES else (1,)
    ticks = [step * 10.0**power for power in range(-7, 6) for step in steps]
    return axis(
        title,
        type="log",
        range=[low, high],
        tickvals=list(ticks),
        ticktext=[seconds_text(tick) for tick in ticks],
        **more,
    )


def for_log(seconds: float) -> float:
    """A time for a logarithmic axis, which has no 0: at least a microsecond."""
    return max(seconds, 1e-6)


def seconds_text(seconds: float) -> str:
    """A duration with three digits: ``120 µs``, ``4.52 ms``, ``1.2 s``; minutes and hours are seconds here."""
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 999.5:  # noqa: PLR2004 - from here on it rounds to 1000
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds)} s"


def _digits(number: float) -> str:
    if number >= 99.95:  # noqa: PLR2004 - it has three digits before the point
        return f"{number:,.0f}".replace(",", " ")
    return f"{number:.3g}"


def shaded(bands: Sequence[Band]) -> list[Json]:
    """Shapes that mark parts of the axis of time. The page's script leaves out texts that find no room."""
    return [
        {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": band.begin,
            "x1": band.end,
            "y0": 0,
            "y1": 1,
            "line": {"width": 0},
            "fillcolor": BAND.light,
            "opacity": 1 if place % 2 == 0 else 0,
            "label": {
                "text": f"<i>{label(band.text)}</i>" if band.is_dim else label(band.text),
                "textposition": "top left",
                "font": {"color": DIM.light, "size": 11},
                "padding": 4,
            },
        }
        for place, band in enumerate(bands)
    ]


def level(value: float, text: str, colour: Colour, *, is_vertical: bool = False, is_left: bool = False) -> Fields:
    """A line across the plot at a value, with a text: beside a vertical line, on its right unless ``is_left``."""
    low, high = ("y0", "y1") if is_vertical else ("x0", "x1")
    at, to = ("x0", "x1") if is_vertical else ("y0", "y1")
    return {
        "type": "line",
        "xref": "x" if is_vertical else "paper",
        "yref": "paper" if is_vertical else "y",
        low: 0,
        high: 1,
        at: value,
        to: value,
        "line": {"color": colour.light, "dash": "dash", "width": 1.5},
        "label": {
            "text": label(text),
            "textposition": "end",
            "textangle": 0,
            "xanchor": "left" if is_vertical and not is_left else "right",
            "yanchor": "top",
            "font": {"color": colour.light, "size": 11},
        },
    }
