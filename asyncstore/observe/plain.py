"""Displays for outputs that cannot be redrawn: files, pipes, the logs of services and of CI. They write few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Result
from asyncstore.observe.formatting import format_byte_rate, format_count, format_estimate, format_rate, printable
from asyncstore.observe.output import line_of
from asyncstore.observe.rates import Rates
from asyncstore.observe.results import SHOWN
from asyncstore.observe.standstill import standstill

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from asyncstore.model import Progress
    from asyncstore.observe.output import Output
    from asyncstore.observe.tally import Tally

_INTERVAL = 30.0
"""Seconds between two lines: 2880 lines a day."""

_STORED = frozenset({Result.STORED, Result.WARNING})
"""The results of instances that the SCP holds; their counts are added up here."""


class LogDisplay:
    """Shows log lines and notices, but no progress.

    Args:
        output: where to write.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: all lines stay."""

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Show nothing."""

    def log(self, line: str, style: str = "") -> None:
        """Show a line."""
        self._output.print(line_of(printable(line), style))

    def notice(self, text: str) -> None:
        """Show a notice once."""
        self.log(text)


class PlainDisplay(LogDisplay):
    """Shows a line at the start and one every 30 seconds.

    Args:
        output: where to write.
        title: what is sent where, in one line.
    """

    def __init__(self, output: Output, title: str) -> None:
        super().__init__(output)
        self._title = title
        self._rates = Rates(_INTERVAL)
        self._next = _INTERVAL

    def __enter__(self) -> Self:
        self.log(self._title)
        return self

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Show a line if one is due; its rates are those of the last 30 seconds."""
        self._rates.sample(tally, progress, now)
        if tally.seconds(now) >= self._next:
            self._next = tally.seconds(now) + _INTERVAL
            self.log(progress_line(tally, progress, self._rates))


def progress_line(tally: Tally, progress: Progress, rates: Rates) -> str:
    """The progress of a run in one line: ``12 480 of 31 000 stored, 3 failed, 410/s, 215 MB/s, about 1 min left``."""
    found = f"{format_count(progress.found)}{'+' if progress.walking else ''}"
    parts = [f"{format_count(tally.stored + tally.warning)} of {found} stored"]
    others = ((tally.count(result), shown.word) for result, shown in SHOWN.items() if result not in _STORED)
    parts += [f"{format_count(count)} {word}" for count, word in others if count]
    parts += [format_rate(rates.rate.instances), format_byte_rate(rates.rate.bytes)]
    if rates.seconds_left is not None:
        parts.append(f"{format_estimate(rates.seconds_left)} left")
    waiting = standstill(progress)
    return ", ".join([*parts, waiting] if waiting else parts)
