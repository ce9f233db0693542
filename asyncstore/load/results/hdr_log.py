"""The log of HdrHistogram (V2): a line for each interval, with a tag for its phase and a histogram that can be added.

The format is that of HdrHistogram's HistogramLogProcessor: times in seconds after StartTime, values in microseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from asyncstore.errors import UsageError
from asyncstore.load.results.histogram import LONGEST

if TYPE_CHECKING:
    from asyncstore.load.results.phase_run import Interval

_DIGITS: Final = 3
_MILLISECOND: Final = 1000
"""The maxima in the lines are in milliseconds, as those that Java writes."""
_NOT_IN_A_TAG: Final = re.compile(r"[^\w.+/-]+", re.ASCII)
"""A tag has no commas, spaces or line breaks; nothing else hostile has a place in it either."""


class HdrLog:
    """Collects the lines of a log.

    Each line is some 1 kB; a point of the series gives one, so there are at most a few thousand.

    Raises:
        UsageError: the library is not installed.
    """

    def __init__(self) -> None:
        self._new_histogram = _library()
        self._lines: list[str] = []

    def add(self, interval: Interval) -> None:
        """Add the latencies of an interval; :class:`~asyncstore.load.results.recorder.Recorder` calls this."""
        latency = interval.latency
        histogram = self._new_histogram(1, LONGEST, _DIGITS)
        for bucket, count in latency.counts.items():
            histogram.record_value(bucket, count)
        payload = histogram.encode().decode("ascii")
        tag = _tag(interval.phase.name, interval.phase.repeat)
        most = latency.max * 1_000_000 / _MILLISECOND
        self._lines.append(f"Tag={tag},{interval.began:.3f},{interval.seconds:.3f},{most:.3f},{payload}")

    def text(self, started: datetime) -> str:
        """The whole log of a measurement that began at this time."""
        started = started.astimezone(UTC)
        head = (
            "#[Latencies of C-STORE in microseconds, written by asyncstore bench]",
            "#[Histogram log format version 1.3]",
            f"#[StartTime: {started.timestamp():.3f} (seconds since epoch), {started:%Y-%m-%dT%H:%M:%SZ}]",
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        )
        return "".join(f"{line}\n" for line in (*head, *self._lines))


def _library() -> Any:  # noqa: ANN401 - the library has no types
    try:
        return import_module("hdrh.histogram").HdrHistogram
    except ImportError:
        message = "a log of HdrHistogram needs the library hdrhistogram: pip install 'asyncstore[report]'"
        raise UsageError(message) from None


def _tag(name: str, repeat: int) -> str:
    tag = _NOT_IN_A_TAG.sub("_", name) or "_"
    return tag if repeat == 1 else f"{tag}.{repeat}"
