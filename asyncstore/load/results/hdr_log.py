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
    from collections.abc import Iterable

    from asyncstore.load.results.phase_run import Interval

_DIGITS: Final = 3
_MILLISECOND: Final = 1000
"""The maxima in the lines are in milliseconds, as those that Java writes."""
_NOT_IN_A_TAG: Final = re.compile(r"[^\w.+/-]+", re.ASCII)
"""A tag has no commas, spaces or line breaks; nothing else hostile has a place in it either."""


def hdr_log(intervals: Iterable[Interval], started: datetime) -> str:
    """The log of a measurement that began at this time, with a line of some 1 kB for each interval.

    Raises:
        UsageError: the library is not installed.
    """
    new_histogram = _library()
    started = started.astimezone(UTC)
    lines = [
        "#[Latencies of C-STORE in microseconds, written by asyncstore bench]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {started.timestamp():.3f} (seconds since epoch), {started:%Y-%m-%dT%H:%M:%SZ}]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    for interval in intervals:
        histogram = new_histogram(1, LONGEST, _DIGITS)
        for bucket, count in interval.latency.counts.items():
            histogram.record_value(bucket, count)
        tag = _tag(interval.phase.name, interval.phase.repeat)
        most = interval.latency.max * 1_000_000 / _MILLISECOND
        payload = histogram.encode().decode("ascii")
        lines.append(f"Tag={tag},{interval.began:.3f},{interval.seconds:.3f},{most:.3f},{payload}")
    return "".join(f"{line}\n" for line in lines)


def _library() -> Any:  # noqa: ANN401 - the library has no types
    try:
        return import_module("hdrh.histogram").HdrHistogram
    except ImportError:
        message = "a log of HdrHistogram needs the library hdrhistogram: install asyncstore with its extra report"
        raise UsageError(message) from None


def _tag(name: str, repeat: int) -> str:
    tag = _NOT_IN_A_TAG.sub("_", name) or "_"
    return tag if repeat == 1 else f"{tag}.{repeat}"
