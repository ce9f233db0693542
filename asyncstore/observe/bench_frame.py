"""The live display of a measurement: each frame is a pure function of a sample and of the terminal's size.

    bar         share of the time that is over
    phase       its load, which of how many it is, time left
    rate        stored and offered instances, bytes, associations
    latency     percentiles of the phase, and of the last seconds
    counts      stored, failed, unknown, dropped
    sparklines  rate and 99th percentile, second by second

Rules:

1. A frame leaves at least one row and one column of the terminal free. In a small terminal the lower lines are left
   out.
2. No line moves while a phase goes on: each has its row from the beginning.
3. Colours only tell the state: green is well, yellow deserves a look, red is lost.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from asyncstore.observe.bench_view import FINISHING, associations, losses, waiting
from asyncstore.observe.fit_width import clip
from asyncstore.observe.formatting import (
    format_byte_rate,
    format_count,
    format_estimate,
    format_latency,
    format_rate,
    printable,
)
from asyncstore.observe.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.observe.bench_view import BenchView, Percentiles

_LEVELS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
"""In place of a second without a value."""
_GAP = "   "
_LABEL_CELLS = len("latency ")
_SHARE_CELLS = len(" 100 %")
_AIRY_ROWS = 12
"""From this height on there is room for blank rows."""
_VALUE_CELLS = len(" 16 000/s")


def bench_frame(view: BenchView, notice: str, width: int, height: int) -> list[Text]:
    """Draw the frame for a terminal of this size."""
    width, rows = max(width - 2, 1), height - 1
    foot = notice or (f"no association is open: {view.problem}" if view.problem else "")
    blank = [Text()] if rows >= _AIRY_ROWS else []
    lines = [
        *blank,
        _bar(view, width),
        _phase(view, width),
        *blank,
        _rate(view),
        _latency("latency", view.so_far, "the phase"),
        _latency("", view.recent, "last 5 s"),
        _counts(view),
        *blank,
        _sparkline("rate", view.rates, width, format_rate(view.rates[-1]) if view.rates else ""),
        _sparkline("p99", view.p99s, width, _last_latency(view.p99s)),
        *([Text(clip(foot, width), "yellow")] if foot else blank),
    ]
    lines = lines[: max(rows, 0)]
    for line in lines:
        line.truncate(width)
    return [Text.assemble(" ", line) if line else line for line in lines]


def _bar(view: BenchView, width: int) -> Text:
    cells = max(width - _SHARE_CELLS, 0)
    halves = int(min(view.fraction, 1.0) * cells * 2)
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    share = f"{int(min(view.fraction, 1.0) * 100)} %"
    return Text.assemble(
        (done, "green"), ("─" * (cells - len(done)), "dim"), (f"{share:>{_SHARE_CELLS}}"[: width - cells], "dim")
    )


def _phase(view: BenchView, width: int) -> Text:
    """The phase on the left, the time left on the right."""
    which = f" ({view.number} of {view.phases})" if view.phases > 1 else ""
    note = "" if view.is_counted else ", does not count"
    left = f"{which}{note}, {max(view.phase_left, 0):.0f} s left"
    if view.wanted is not None:
        left = f"{which}{note}, {waiting(view)}"
    elif view.phase_left <= 0:
        left = f"{which}{note}, {FINISHING}"
    whole = f"{format_estimate(view.seconds_left)} left of all" if view.phases > view.number else ""
    name = clip(view.phase, width - len(left))
    room = width - len(name) - len(left)
    return Text.assemble((name, "bold"), left, (f"{whole:>{room}}" if len(whole) + len(_GAP) < room else "", "dim"))


def _label(text: str) -> tuple[str, str]:
    return f"{text:{_LABEL_CELLS}}", "dim"


def _rate(view: BenchView) -> Text:
    if view.wanted is not None:
        return Text.assemble(_label("rate"))
    offered = "" if view.offered is None else f" of {format_rate(view.offered)} offered"
    lags = view.offered is not None and view.rate < view.offered * 0.95 - 1
    return Text.assemble(
        _label("rate"),
        (f"{format_rate(view.rate):>{_VALUE_CELLS}}", "yellow" if lags else "green"),
        offered,
        _GAP,
        format_byte_rate(view.byte_rate),
        _GAP,
        (associations(view), "yellow" if view.lost else "dim"),
    )


def _latency(label: str, percentiles: Percentiles | None, what: str) -> Text:
    if percentiles is None:
        return Text.assemble(_label(label))
    values = _GAP.join(
        f"{name} {format_latency(seconds):>{len('312 ms')}}" for name, seconds in percentiles._asdict().items()
    )
    return Text.assemble(_label(label), "  ", values, _GAP, (what, "dim"))


def _counts(view: BenchView) -> Text:
    bad = [(f"{_GAP}{format_count(number)} {what}", "red") for number, what in losses(view)]
    return Text.assemble(_label("stored"), f"{format_count(view.stored):>{_VALUE_CELLS}}", *bad)


def _last_latency(values: Sequence[float | None]) -> str:
    last = values[-1] if values else None
    return "" if last is None else format_latency(last)


def _sparkline(label: str, values: Sequence[float | None], width: int, last: str) -> Text:
    """A mark for each of the last seconds; the highest one is the greatest of them."""
    room = max(width - _LABEL_CELLS - _VALUE_CELLS - len(_GAP), 0)
    shown = list(values)[-room:] if room else []
    most = max((value for value in shown if value is not None), default=0.0)
    marks = "".join(_mark(value, most) for value in shown)
    return Text.assemble(_label(label), f"{last:>{_VALUE_CELLS}}", _GAP, (marks, "cyan"))


def _mark(value: float | None, most: float) -> str:
    if value is None or most <= 0:
        return _NOTHING
    return _LEVELS[min(int(value / most * len(_LEVELS)), len(_LEVELS) - 1)]


class LiveBenchDisplay(Frames):
    """Shows a measurement on a terminal while it is under way."""

    def status(self, text: str) -> None:
        """Draw a frame of one line."""
        self.draw(lambda width, _height: [Text(f" {clip(printable(text), width - 3)}", "dim")])

    def refresh(self, view: BenchView, now: float) -> None:  # noqa: ARG002 - the lines need the time
        """Draw the next frame."""
        self.draw(partial(bench_frame, view, self._notice))
