"""The metrics of a run in the text format of Prometheus (version 0.0.4, which all its versions read).

Rules:

1. :data:`METRICS` lists them. Names, units and kinds keep to the conventions of Prometheus; docs/metrics.md explains
   them. Later versions add metrics and labels, and rename or remove none.
2. No label holds a name of a patient, a UID, a path or a text of the peer's. Each label has few values.
3. The run keeps nothing up to date for metrics: a scrape samples it. Only the responses are counted as they come.
4. Only this module imports prometheus_client, which may not be installed.
"""

from __future__ import annotations

from math import inf
from time import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from asyncstore.model import LaneState, Limit, Progress, Result
from asyncstore.observe.responses import BOUNDS, OTHER, Responses
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric as Family

    from asyncstore.model import Outcome
    from asyncstore.observe.tally import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NOTHING_YET = Progress(0, True, 0, 0, 0, 0, ())  # the walk begins with the run

_NO_LIMIT = Limit(None, None)


class Sample(NamedTuple):
    """A run at one moment."""

    tally: Tally
    progress: Progress
    responses: Responses
    started: float
    """When the run began; this and other times are seconds since 1970."""
    last_stored: float | None
    exit_code: int | None
    """``None`` while the run goes on."""


_Values = list[tuple[str | None, float]]
"""Values by that of the metric's label; ``None``: it has none."""


class Metric(NamedTuple):
    """A metric: what it is, and how to read it from a sample."""

    kind: type[CounterMetricFamily | GaugeMetricFamily]
    name: str
    """The name; a counter's is without the suffix ``_total`` that it has in the output."""
    help: str
    values: Callable[[Sample], _Values]
    label: str | None = None


def _one(value: float) -> _Values:
    return [(None, value)]


def _known(value: float | None) -> _Values:
    return [] if value is None else _one(value)


def _limit(sample: Sample) -> Limit:
    return sample.progress.limit or _NO_LIMIT


def _age_of_oldest_store(sample: Sample) -> float:
    return max((lane.seconds for lane in sample.progress.lanes if lane.path is not None), default=0.0)


METRICS = (
    Metric(
        CounterMetricFamily,
        "asyncstore_instances",
        "Files that have an outcome, by result; most of them are instances.",
        lambda run: [(str(result), run.tally.count(result)) for result in Result],
        "result",
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_stored_bytes",
        "Data set bytes of the stored instances.",
        lambda run: _one(run.tally.bytes),
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_sent_bytes",
        "Data set bytes handed to the network, those of unfinished and repeated stores included.",
        lambda run: _one(run.progress.bytes_sent),
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_responses",
        "Responses to the last attempt of each instance, by status.",
        lambda run: [(_status(status), count) for status, count in run.responses.statuses.items()],
        "status",
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_retries",
        "Attempts beyond the first of each instance.",
        lambda run: _one(run.progress.retries),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_retrying_instances",
        "Instances that wait for their next attempt.",
        lambda run: _one(run.progress.retrying),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_peer_is_up",
        "Whether the peer works; while it does not, the run waits for it.",
        lambda run: _one(run.progress.outage is None),
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_peer_outages",
        "How often the peer went down.",
        lambda run: _one(run.progress.outages),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_is_paused",
        "Whether nothing begins, because somebody or a time table has paused the run.",
        lambda run: _one(run.progress.is_paused or _limit(run).is_paused),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_limit_bytes_per_second",
        "The most bytes that go to the network now; missing without a limit.",
        lambda run: _known(_limit(run).bytes_per_second),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_limit_stores_per_second",
        "The most stores that begin now; missing without a limit.",
        lambda run: _known(_limit(run).stores_per_second),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_guard_share_ratio",
        "The share of the peer's speed that the guard allows; 1 without a guard.",
        lambda run: _one(_limit(run).share),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_guard_echo_seconds",
        "How long C-ECHO takes; missing unless the guard limits the speed.",
        lambda run: _known(_limit(run).echo_seconds),
    ),
    Metric(
        CounterMetricFamily,
        "asyncstore_associations_opened",
        "Associations that the peer accepted.",
        lambda run: _one(run.progress.associations_opened),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_associations",
        "Associations by what they do now; waiting ones are open and have nothing to send.",
        lambda run: [(str(state), sum(lane.state is state for lane in run.progress.lanes)) for state in LaneState],
        "state",
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_oldest_store_seconds",
        "The age of the store that has been under way longest; 0 if none is.",
        lambda run: _one(_age_of_oldest_store(run)),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_found_files",
        "Files found so far.",
        lambda run: _one(run.progress.found),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_walk_is_running",
        "Whether the walk is still under way, so that more files may be found.",
        lambda run: _one(run.progress.walking),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_probed_files",
        "Files whose heads were read so far.",
        lambda run: _one(run.progress.probed),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_probed_bytes",
        "Data set bytes of the instances in these files.",
        lambda run: _one(run.progress.bytes_probed),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_run_start_time_seconds",
        "When the run began, in seconds since 1970.",
        lambda run: _one(run.started),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_last_stored_timestamp_seconds",
        "When the last stored instance was counted, in seconds since 1970; missing before the first.",
        lambda run: _known(run.last_stored),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_exit_code",
        "The exit code; missing while the run goes on.",
        lambda run: _known(run.exit_code),
    ),
    Metric(
        GaugeMetricFamily,
        "asyncstore_build_info",
        "Always 1; the label has the version of asyncstore.",
        lambda _: [(__version__, 1)],
        "version",
    ),
)
"""All metrics but the histogram, in the order of the output."""

STORE_DURATION = "asyncstore_store_duration_seconds"
_STORE_DURATION_HELP = "From the first byte of a request to its response."


def _status(status: int) -> str:
    return "other" if status == OTHER else f"0x{status:04X}"


class RunMetrics:
    """The metrics of one run.

    Args:
        tally: the outcomes; a batch is added there first.
        progress: gives the state of the run; ``None`` before it begins.
    """

    def __init__(self, tally: Tally, progress: Callable[[], Progress | None]) -> None:
        self._tally = tally
        self._progress = progress
        self._responses = Responses()
        self._started = time()
        self._last_stored: float | None = None
        self._exit_code: int | None = None
        self._held = 0

    def add(self, batch: Sequence[Outcome]) -> None:
        """Take in outcomes that the tally has counted."""
        self._responses.add(batch)
        held = self._tally.stored + self._tally.warning
        if held != self._held:
            self._held = held
            self._last_stored = time()

    def end(self, exit_code: int) -> None:
        """The run is over."""
        self._exit_code = exit_code

    def scraped(self) -> bytes:
        """The metrics now, and those of this process."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        return self._text(registry, {})

    def kept(self, run: str) -> bytes:
        """The metrics now, for a file that is collected together with those of other runs.

        Args:
            run: a name for the run; all metrics have it as a label.
        """
        return self._text(CollectorRegistry(), {"run": run})

    def _text(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> bytes:
        progress = self._progress() or _NOTHING_YET
        registry.register(
            _Families(
                Sample(self._tally, progress, self._responses, self._started, self._last_stored, self._exit_code),
                labels,
            )
        )
        return generate_latest(registry)


class _Families(Collector):
    """The metrics of a sample, as prometheus_client collects them.

    Args:
        sample: the run.
        labels: labels that all metrics have.
    """

    def __init__(self, sample: Sample, labels: Mapping[str, str]) -> None:
        self._sample = sample
        self._labels = labels

    def describe(self) -> Iterable[Family]:
        """None: the names need no check, as nobody else registers any."""
        return ()

    def collect(self) -> Iterator[Family]:
        """All families with their samples."""
        names, common = list(self._labels), list(self._labels.values())
        for metric in METRICS:
            own = [] if metric.label is None else [metric.label]
            family = metric.kind(metric.name, metric.help, labels=[*names, *own])
            for value_of_label, value in metric.values(self._sample):
                family.add_metric([*common, *([] if value_of_label is None else [value_of_label])], value)
            yield family
        yield self._durations(names, common)

    def _durations(self, names: Sequence[str], common: Sequence[str]) -> HistogramMetricFamily:
        family = HistogramMetricFamily(STORE_DURATION, _STORE_DURATION_HELP, labels=names)
        responses = self._sample.responses
        bounds = map(floatToGoString, (*BOUNDS, inf))
        family.add_metric(common, list(zip(bounds, responses.durations(), strict=True)), responses.seconds)
        return family
