"""The displays of a measurement: live on a terminal, a line every ten seconds elsewhere.

They follow the rules of :mod:`asyncstore.observe.display` and :mod:`asyncstore.observe.live`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol

from asyncstore.observe.bench_view import bench_line
from asyncstore.observe.formatting import printable
from asyncstore.observe.output import line_of

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from asyncstore.observe.bench_view import BenchView
    from asyncstore.observe.output import Line, Output
    from asyncstore.observe.terminal import Terminal

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
        from asyncstore.observe.terminal import Terminal  # noqa: PLC0415 - rich takes 50 ms to import

        if isinstance(output, Terminal):  # always true: this tells the type checker
            return _Live(output, title)
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

    def log(self, line: str, style: str = "") -> None:
        """Show a line."""
        self._output.print(line_of(printable(line), style))

    def notice(self, text: str) -> None:
        """Show a notice once."""
        self.log(text)


class _Live:
    """Frames at the foot of a terminal, the log above them.

    Args:
        terminal: the terminal; its size is read before each frame.
        title: a line that stays.
    """

    def __init__(self, terminal: Terminal, title: str) -> None:
        from asyncstore.observe.terminal import Region  # noqa: PLC0415 - as above

        self._terminal = terminal
        self._title = title
        self._region = Region(terminal)
        self._notice = ""
        self._log: deque[Line] = deque()
        self._shown = False

    def __enter__(self) -> Self:
        self._terminal.print(line_of(printable(self._title), "bold"))
        self._shown = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shown = False
        self._region.clear()
        self._terminal.print(*self._waiting_lines())

    def refresh(self, view: BenchView, now: float) -> None:  # noqa: ARG002 - the lines need the time
        """Draw the next frame, and above it the lines logged since the last one."""
        from asyncstore.observe.bench_frame import bench_frame  # noqa: PLC0415 - it needs rich

        if not self._terminal.is_ready:
            return
        width, height = self._terminal.console.size
        self._region.draw(bench_frame(view, self._notice, width, height), above=self._waiting_lines())

    def log(self, line: str, style: str = "") -> None:
        """Show a line above the frame, together with the next frame while there is one."""
        self._log.append(line_of(printable(line), style))
        if not self._shown:
            self._terminal.print(*self._waiting_lines())

    def notice(self, text: str) -> None:
        """Keep a line in view; it replaces an earlier one."""
        self._notice = printable(text)

    def _waiting_lines(self) -> list[Line]:
        return [self._log.popleft() for _ in range(len(self._log))]
