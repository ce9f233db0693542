"""The display of a run: what every kind of it can do, and which kind, on which output, is right where.

Rules:

1. A display samples. It is refreshed by its caller some four times a second and never by a thread of its own.
2. A display is never the reason that a run ends: where it cannot write, it falls silent.
3. Lines of the log are shown whatever the kind, safely: control characters in them are escaped.
4. rich, which takes 25 to 50 ms to import, is imported where colours are seen: not for a pipe, a file, a service's log.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal, Protocol

from asyncstore.observe.output import Output

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO, Self

    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally


class Display(Protocol):
    """What is shown while a run is under way, as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Show the run as it is at ``now``, by the clock that the tally was started with."""

    def log(self, line: str, style: str = "") -> None:
        """Show a line that stays; from any thread, also before and after the display is shown."""

    def notice(self, text: str) -> None:
        """Say something about the run that holds until its end."""


def open_output(stream: IO[str], *, quiet: bool = False) -> Output:
    """Choose how to write to a stream: with colours on a terminal, or where FORCE_COLOR asks for them.

    Args:
        stream: where to write.
        quiet: write nothing at all.
    """
    if quiet or not (stream.isatty() or os.environ.get("FORCE_COLOR")):
        return Output(stream, quiet=quiet)
    from rich.console import Console  # noqa: PLC0415 - rule 4

    from asyncstore.observe.terminal import Terminal  # noqa: PLC0415 - rule 4

    return Terminal(Console(file=stream))


def open_display(output: Output, title: str, progress: Literal["auto", "on", "off"] = "auto") -> Display:
    """Choose the display for an output: live on a terminal, a line now and then elsewhere.

    Args:
        output: where to show it.
        title: what is sent where, in one line.
        progress: ``off`` shows log lines only.
    """
    if progress != "off" and output.is_redrawable:
        from asyncstore.observe.live import LiveDisplay  # noqa: PLC0415 - rule 4
        from asyncstore.observe.terminal import Terminal  # noqa: PLC0415 - rule 4

        if isinstance(output, Terminal):  # which no other output is; type checkers cannot know
            return LiveDisplay(output, title)
    from asyncstore.observe.plain import LogDisplay, PlainDisplay  # noqa: PLC0415 - one kind of display is needed

    return LogDisplay(output) if progress == "off" else PlainDisplay(output, title)


class LogLines(logging.Handler):
    """Shows log records as lines of a display.

    Args:
        display: which one.
    """

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; its level is its colour."""
        style = "dim"
        if record.levelno >= logging.ERROR:
            style = "red"
        elif record.levelno >= logging.WARNING:
            style = "yellow"
        elif record.levelno >= logging.INFO:
            style = ""
        for line in self.format(record).splitlines():
            self._display.log(line, style)
