"""The displays of a measurement: live on a terminal, a line every ten seconds elsewhere.

They follow the rules of :mod:`asyncstore.observe.display` and :mod:`asyncstore.observe.frames`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from asyncstore.observe.bench_view import bench_line
from asyncstore.observe.formatting import printable
from asyncstore.observe.output import line_of

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from asyncstore.observe.bench_view import BenchView
    from asyncstore.observe.output import Output

_INTERVAL = 10.0
"""Seconds between two lines where nothing can be redrawn."""


_GRACE = 2.0
"""Seconds that a line waits at the beginning of a phase, when nothing is measured yet."""


class BenchDisplay(Protocol):
    """Shows a measurement while it is under way; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def refresh(self, view: BenchView, now: float) -> None:
        """Show a sample that was taken at ``now``."""

    def status(self, text: str) -> None:
        """Show what is done before the first sample; a terminal shows it until then."""

    def log(self, line: str, style: str = "") -> None:
        """Show a line that stays. Any thread may call this, also before the display is shown and afterwards."""

    def notice(self, text: str) -> None:
        """Show a text about the measurement until its end."""


def open_bench_display(output: Output, title: str, progress: Literal["auto", "on", "off"] = "auto") -> BenchDisplay:
    """Choose the display for an output.

    Args:
        output: where to show it.
        title: what is measured how, in one line.
        progress: ``off`` shows log lines only.
    """
    if progress != "off" and output.is_redrawable:
        from asyncstore.observe.bench_live import LiveBenchDisplay  # rich takes 50 ms to import
        from asyncstore.observe.terminal import Terminal

        if isinstance(output, Terminal):  # always true: this tells the type checker
            return LiveBenchDisplay(output, title)
    return _Lines(output, title, None if progress == "off" else _INTERVAL)


class _Lines:
    """Lines.

    Args:
        output: where to write.
        title: the first line.
        interval: seconds between two lines; ``None``: only log lines.
    """

    def __init__(self, output: Output, title: str, interval: float | None) -> None:
        self._output = output
        self._title = title
        self._interval = interval
        self._next: float | None = None

    def __enter__(self) -> Self:
        if self._interval is not None:
            self.log(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: all lines stay."""

    def refresh(self, view: BenchView, now: float) -> None:
        """Show a line if one is due."""
        if self._interval is None:
            return
        if self._next is None:
            self._next = now + self._interval
        elif now >= self._next + (_GRACE if view.so_far is None else 0):
            self._next = max(self._next + self._interval, now)
            self.log(bench_line(view))

    def status(self, text: str) -> None:
        """Do nothing: it takes seconds, and lines come more seldom."""

    def log(self, line: str, style: str = "") -> None:
        """Show a line."""
        self._output.print(line_of(printable(line), style))

    def notice(self, text: str) -> None:
        """Show a notice once."""
        self.log(text)
