"""A measurement as its displays show it: a sample of four times a second, and one line of text about it."""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_count,
    format_estimate,
    format_latency,
    format_rate,
)

FINISHING = "finishing what is under way"


class Percentiles(NamedTuple):
    """Latencies in seconds."""

    p50: float
    p95: float
    p99: float


class BenchView(NamedTuple):
    """A sample of a measurement."""

    phase: str
    """Its name, for people."""
    number: int
    """Which phase it is, from 1."""
    phases: int
    is_counted: bool
    """Whether it counts for results, which a warm-up does not."""
    fraction: float
    """The part of the whole time that is over, 0 to 1."""
    phase_left: float
    """Seconds until the phase begins no more stores."""
    seconds_left: float
    """The same for the whole measurement."""
    offered: float | None
    """Instances a second that were to begin, lately; ``None``: as many as the peer takes."""
    rate: float
    """Instances a second that were stored, lately."""
    byte_rate: float
    so_far: Percentiles | None
    """Of the phase; ``None``: nothing is stored yet."""
    recent: Percentiles | None
    """Of the last seconds."""
    stored: int
    failed: int
    """Refused by the peer."""
    unknown: int
    """Without a response, because the association ended."""
    dropped: int
    """Not begun in time."""
    associations: int
    """Those that are open."""
    lost: int = 0
    """How many associations ended early or could not be opened."""
    wanted: int | None = None
    """How many associations must be open before the phase begins; ``None``: it has begun."""
    problem: str = ""
    """Why no association is open, if none is."""
    rates: tuple[float, ...] = ()
    """Stored instances in each second, the newest last."""
    p99s: tuple[float | None, ...] = ()
    """The 99th percentile of each second."""


def bench_line(view: BenchView) -> str:
    """A sample in one line, for logs.

    ``4 associations: 412/s of 500/s, 213 MB/s, p50 4.1 ms, p99 31 ms, 3 failed, about 30 s left``
    """
    if view.wanted is not None:
        return f"{view.phase}: {waiting(view)}{because(view)}"
    offered = "" if view.offered is None else f" of {format_rate(view.offered)} offered"
    parts = [f"{format_rate(view.rate)}{offered}", format_byte_rate(view.byte_rate)]
    if view.so_far is not None:
        parts += [f"{name} {format_latency(seconds)}" for name, seconds in view.so_far._asdict().items()]
    parts += [f"{format_count(number)} {what}" for number, what in losses(view)]
    left = f"{format_estimate(view.seconds_left)} left" if view.phase_left > 0 else FINISHING
    parts += [f"{associations(view)}{because(view)}", left]
    return f"{view.phase}: {', '.join(parts)}"


def losses(view: BenchView) -> list[tuple[int, str]]:
    """The instances that were not stored so far, with their numbers."""
    counts = ((view.failed, "failed"), (view.unknown, "unknown"), (view.dropped, "dropped"))
    return [(number, what) for number, what in counts if number]


def associations(view: BenchView) -> str:
    """How many associations are open, and how many were lost."""
    lost = f" ({format_count(view.lost)} lost so far)" if view.lost else ""
    return f"{counted(view.associations, 'association')}{lost}"


def waiting(view: BenchView) -> str:
    """What a phase waits for that has not begun: there is :attr:`~BenchView.wanted`."""
    return f"waiting for associations to open, {view.associations} of {view.wanted} are open"


def because(view: BenchView) -> str:
    """Why no association is open, as the end of a line; or nothing."""
    return f": {view.problem}" if view.problem else ""
