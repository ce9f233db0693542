"""How fast a run is, and when it will end.

Rules:

1. The last hour counts, or the run so far, in twelve pieces of equal length. The rate is that of the last three pieces.
2. The forecast is an interval: all that waits, at the first decile, mean and last decile of the pieces.
3. While the first walk goes on there is no forecast, because the number of files is not known.
"""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING

from asyncstore.journal.accounts import progress
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.journal.accounts import Run
    from asyncstore.journal.reading import Reader

_PIECES = 12
_LONGEST_PIECE = 300
_RECENT = 3
_FEWEST = 3
"""The fewest pieces for a forecast."""


class Pace(NamedTuple):
    """How fast a run is: deliveries that end in a second."""

    rate: float
    """In the last minutes."""
    seconds: float
    """The number of those seconds."""
    slow: float
    """The rate that nine in ten pieces exceed."""
    usual: float
    fast: float
    """The rate that one in ten pieces exceeds."""


class Forecast(NamedTuple):
    """When a run will end, in seconds of Unix time. ``None``: never, at such a rate."""

    earliest: float
    likely: float | None
    latest: float | None


def pace(reader: Reader, run: Run, now: float) -> Pace | None:
    """How fast this run is; ``None``: it began just now.

    Args:
        reader: its journal.
        run: the run; it goes on.
        now: in seconds of Unix time.

    Raises:
        JournalError: the journal cannot be read.
    """
    step = max(1, min(_LONGEST_PIECE, int((now - run.began) / _PIECES)))
    last = int(now) // step * step
    begins = [begin for begin in range(last - _PIECES * step, last, step) if begin >= run.began]
    if len(begins) < _FEWEST:
        return None
    steps = progress([reader], step, begins[0], last)
    rates = [steps[begin].total() / step if begin in steps else 0.0 for begin in begins]
    slow, *_, fast = quantiles(rates, n=10, method="inclusive")
    return Pace(sum(rates[-_RECENT:]) / _RECENT, float(_RECENT * step), slow, sum(rates) / len(rates), fast)


def forecast(runs: Sequence[Run], waiting: int, pace: Pace | None, now: float) -> Forecast | None:
    """When all that waits will have ended; ``None``: nobody can tell.

    Args:
        runs: of one journal; the last one goes on.
        waiting: how many deliveries wait in it.
        pace: of the last run.
        now: in seconds of Unix time.
    """
    if pace is None or not pace.fast or not any(run.is_walked for run in runs):
        return None
    return Forecast(
        now + waiting / pace.fast,
        now + waiting / pace.usual if pace.usual else None,
        now + waiting / pace.slow if pace.slow else None,
    )


def latest(forecasts: Sequence[Forecast | None]) -> Forecast | None:
    """The end of all runs; ``None`` if that of one is not known."""
    known = [forecast for forecast in forecasts if forecast is not None]
    if not known or len(known) < len(forecasts):
        return None
    likely = [forecast.likely for forecast in known if forecast.likely is not None]
    ends = [forecast.latest for forecast in known if forecast.latest is not None]
    return Forecast(
        max(forecast.earliest for forecast in known),
        max(likely) if len(likely) == len(known) else None,
        max(ends) if len(ends) == len(known) else None,
    )
