"""The display of a run: its interface, and the choice of display and output for a stream.

Rules:

1. A display samples. Its caller refreshes it some four times a second; it has no thread of its own.
2. A display never ends a run: if it cannot write, it falls silent.
3. Every display shows the lines of the log, with control characters escaped.
4. rich takes 25 to 50 ms to import, so only terminals with colours import it, not pipes, files and logs of services.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal, Protocol

from asyncstore.observe.output import Output

if TYPE_CHECKING:
    from typing import IO, Self

    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally


class Shows(Protocol):
    """What every display does; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def log(self, line: str, style: str = "") -> None:
        """Show a line that stays. Any thread may call this, also before the display is shown and afterwards."""

    def notice(self, text: str) -> None:
        """Show a text about the run until its end."""


class Display(Shows, Protocol):
    """Shows a run while it is under way."""

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Show the run at ``now``, a time of the clock that the tally was started with."""


def open_output(stream: IO[str], *, quiet: bool = False) -> Output:
    """Choose how to write to a stream: in colours on a terminal or if FORCE_COLOR is set.

    Args:
        stream: where to write.
        quiet: write nothing.
    """
    if quiet or not (stream.isatty() or os.environ.get("FORCE_COLOR")):
        return Output(stream, quiet=quiet)
    from rich.console import Console  # rule 4

    from asyncstore.observe.terminal import Terminal  # rule 4

    return Terminal(Console(file=stream))


def open_display(output: Output, title: str, progress: Literal["auto", "on", "off"] = "auto") -> Display:
    """Choose the display for an output: live on a terminal, single lines elsewhere.

    Args:
        output: where to show it.
        title: what is sent where, in one line.
        progress: ``off`` shows log lines only.
    """
    if progress != "off" and output.is_redrawable:
        from asyncstore.observe.live import LiveDisplay  # rule 4
        from asyncstore.observe.terminal import Terminal  # rule 4

        if isinstance(output, Terminal):  # always true: this tells the type checker
            return LiveDisplay(output, title)
    from asyncstore.observe.plain import PlainDisplay  # the live display does not need it

    return PlainDisplay(output, None if progress == "off" else title)


class LogLines(logging.Handler):
    """Shows log records as lines of a display.

    Args:
        display: the display.
    """

    def __init__(self, display: Shows) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; its level decides its colour."""
        style = "dim"
        if record.levelno >= logging.ERROR:
            style = "red"
        elif record.levelno >= logging.WARNING:
            style = "yellow"
        elif record.levelno >= logging.INFO:
            style = ""
        for line in self.format(record).splitlines():
            self._display.log(line, style)
