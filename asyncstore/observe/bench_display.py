"""The displays of a measurement: live on a terminal, a line every ten seconds elsewhere.

They follow the rules of :mod:`asyncstore.observe.display` and :mod:`asyncstore.observe.frames`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from asyncstore.observe.bench_view import bench_line
from asyncstore.observe.display import Shows
from asyncstore.observe.plain import Lines

if TYPE_CHECKING:
    from asyncstore.observe.bench_view import BenchView
    from asyncstore.observe.output import Output

_INTERVAL = 10.0
"""Seconds between two lines where nothing can be redrawn."""
_GRACE = 2.0
"""Seconds that a line waits at the beginning of a phase, when nothing is measured yet."""


class BenchDisplay(Shows, Protocol):
    """Shows a measurement while it is under way."""

    def refresh(self, view: BenchView, now: float) -> None:
        """Show a sample that was taken at ``now``."""

    def status(self, text: str) -> None:
        """Show what is done before the first sample; a terminal shows it until then."""


def open_bench_display(output: Output, title: str, progress: Literal["auto", "on", "off"] = "auto") -> BenchDisplay:
    """Choose the display for an output.

    Args:
        output: where to show it.
        title: what is measured how, in one line.
        progress: ``off`` shows log lines only.
    """
    if progress != "off" and output.is_redrawable:
        from asyncstore.observe.bench_frame import LiveBenchDisplay  # rich takes 50 ms to import
        from asyncstore.observe.terminal import Terminal

        if isinstance(output, Terminal):  # always true: this tells the type checker
            return LiveBenchDisplay(output, title)
    return _PlainBenchDisplay(output, None if progress == "off" else title)


class _PlainBenchDisplay(Lines):
    """Shows a line every ten seconds, if it has a title."""

    _next: float | None = None

    def refresh(self, view: BenchView, now: float) -> None:
        """Show a line if one is due."""
        if self._next is None:
            self._next = now + _INTERVAL
        elif now >= self._next + (_GRACE if view.so_far is None else 0) and self._title is not None:
            self._next = max(self._next + _INTERVAL, now)
            self.log(bench_line(view))

    def status(self, text: str) -> None:
        """Do nothing: it takes seconds, and lines come more seldom."""
