"""The display for outputs that cannot be redrawn: files, pipes, the logs of services and of CI. It writes few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.observe.formatting import format_byte_rate, format_count, format_estimate, format_rate, printable
from asyncstore.observe.limits import standstill
from asyncstore.observe.output import line_of
from asyncstore.observe.rates import Rates
from asyncstore.observe.results import SHOWN
from asyncstore.observe.tally import HELD

if TYPE_CHECKING:
    from typing import Self

    from asyncstore.model import Progress
    from asyncstore.observe.output import Output
    from asyncstore.observe.tally import Tally

_INTERVAL = 30.0
"""Seconds between two lines: 2880 lines a day."""


class Lines:
    """Shows a title, log lines and notices.

    Args:
        output: where to write.
        title: what is done, in one line; ``None``: no progress is shown.
    """

    def __init__(self, output: Output, title: str | None) -> None:
        self._output = output
        self._title = title

    def __enter__(self) -> Self:
        if self._title is not None:
            self.log(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: all lines stay."""

    def log(self, line: str, style: str = "") -> None:
        """Show a line."""
        self._output.print(line_of(printable(line), style))

    def notice(self, text: str) -> None:
        """Show a notice once."""
        self.log(text)


class PlainDisplay(Lines):
    """Shows progress: a line at the start and one every 30 seconds."""

    def __init__(self, output: Output, title: str | None) -> None:
        super().__init__(output, title)
        self._rates = Rates(_INTERVAL)
        self._next = _INTERVAL

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Show a line if one is due; its rates are those of the last 30 seconds."""
        if self._title is None:
            return
        self._rates.sample(tally, progress, now)
        if tally.seconds(now) >= self._next:
            self._next = tally.seconds(now) + _INTERVAL
            self.log(progress_line(tally, progress, self._rates))


def progress_line(tally: Tally, progress: Progress, rates: Rates) -> str:
    """The progress of a run in one line: ``12 480 of 31 000 stored, 3 failed, 410/s, 215 MB/s, about 1 min left``."""
    found = f"{format_count(progress.found)}{'+' if progress.walking else ''}"
    parts = [f"{format_count(tally.stored)} of {found} stored"]
    others = ((tally.count(result), shown.word) for result, shown in SHOWN.items() if result not in HELD)
    parts += [f"{format_count(count)} {word}" for count, word in others if count]
    parts += [format_rate(rates.rate.instances), format_byte_rate(rates.rate.bytes)]
    if rates.seconds_left is not None:
        parts.append(f"{format_estimate(rates.seconds_left)} left")
    waiting = standstill(progress)
    return ", ".join([*parts, waiting] if waiting else parts)
