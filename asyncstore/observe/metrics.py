"""The metrics of a run in the text format of Prometheus (version 0.0.4, which all its versions read).

Rules:

1. :data:`METRICS` lists them. Names, units and kinds keep to the conventions of Prometheus; docs/metrics.md explains
   them. Later versions add metrics and labels, and rename or remove none.
2. No label holds a name of a patient, a UID, a path or a text of the peer's. Each label has few values.
3. The run keeps nothing up to date for metrics: a scrape samples it. Only the responses are counted as they come.
4. Only this module imports prometheus_client, which may not be installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from time import time
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from asyncstore.model import NOT_BEGUN, LaneState, Limit
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.responses import BOUNDS, OTHER, Responses
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.core import Metric as Family

    from asyncstore.model import Outcome, Progress
    from asyncstore.observe.tally import Tally

_COUNTER, _GAUGE = CounterMetricFamily, GaugeMetricFamily
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NO_LIMIT = Limit(None, None)

STORE_DURATION = "asyncstore_store_duration_seconds"
_STORE_DURATION_HELP = "From the first byte of a request to its response."


class Metric(NamedTuple):
    """A metric: what it is, and how to read it from a run."""

    kind: type[CounterMetricFamily | GaugeMetricFamily]
    name: str
    """The name; a counter's is without the suffix ``_total`` that it has in the output."""
    help: str
    value: Callable[[RunMetrics], float | Mapping[str, float] | None]
    """``None``: there is none now. A mapping has a value for each value of the label."""
    label: str | None = None


class RunMetrics:
    """The metrics of one run.

    Args:
        tally: the outcomes; a batch is added there first.
        progress: gives the state of the run.

    Attributes:
        tally: the outcomes.
        progress: the state of the run when its metrics were asked for last.
        responses: those of the peer.
        started: when the run began; this and other times are seconds since 1970.
        last_stored: when the last stored instance was counted; ``None``: there is none yet.
        exit_code: the exit code; ``None`` while the run goes on.
    """

    def __init__(self, tally: Tally, progress: Callable[[], Progress]) -> None:
        self.tally = tally
        self.progress = NOT_BEGUN
        self.responses = Responses()
        self.started = time()
        self.last_stored: float | None = None
        self.exit_code: int | None = None
        self._progress = progress
        self._held = 0

    def add(self, batch: Sequence[Outcome]) -> None:
        """Take in outcomes that the tally has counted."""
        self.responses.add(batch)
        held = self.tally.stored
        if held != self._held:
            self._held = held
            self.last_stored = time()

    def end(self, exit_code: int) -> None:
        """The run is over."""
        self.exit_code = exit_code

    def scraped(self) -> bytes:
        """The metrics now, and those of this process."""
        return self._text({}, ProcessCollector(registry=None).collect())

    def kept(self, run: str) -> bytes:
        """The metrics now, for a file that is collected together with those of other runs.

        Args:
            run: a name for the run; all metrics have it as a label.
        """
        return self._text({"run": run})

    def _text(self, labels: Mapping[str, str], others: Iterable[Family] = ()) -> bytes:
        self.progress = self._progress()
        return generate_latest(_Families([*others, *self._families(list(labels), list(labels.values()))]))

    def _families(self, names: Sequence[str], common: Sequence[str]) -> Iterator[Family]:
        """All families with their samples, which have these labels in common."""
        for metric in METRICS:
            own = [] if metric.label is None else [metric.label]
            family = metric.kind(metric.name, metric.help, labels=[*names, *own])
            value = metric.value(self)
            if isinstance(value, Mapping):
                for of_label, each in value.items():
                    family.add_metric([*common, of_label], each)
            elif value is not None:
                family.add_metric(common, value)
            yield family
        durations = HistogramMetricFamily(STORE_DURATION, _STORE_DURATION_HELP, labels=names)
        bounds = map(floatToGoString, (*BOUNDS, inf))
        durations.add_metric(common, list(zip(bounds, self.responses.durations(), strict=True)), self.responses.seconds)
        yield durations


class _Families(Collector):
    """Families of metrics, as prometheus_client collects them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        """The families."""
        return self._families


def _limit(run: RunMetrics) -> Limit:
    return run.progress.limit or _NO_LIMIT


METRICS = (
    Metric(
        _COUNTER,
        "asyncstore_instances",
        "Files that have an outcome, by result; most of them are instances.",
        lambda run: run.tally.by_result(),
        "result",
    ),
    Metric(_COUNTER, "asyncstore_stored_bytes", "Data set bytes of the stored instances.", lambda run: run.tally.bytes),
    Metric(
        _COUNTER,
        "asyncstore_sent_bytes",
        "Data set bytes handed to the network, those of unfinished and repeated stores included.",
        lambda run: run.progress.bytes_sent,
    ),
    Metric(
        _COUNTER,
        "asyncstore_responses",
        "Responses to the last attempt of each instance, by status.",
        lambda run: {_status(status): count for status, count in run.responses.statuses.items()},
        "status",
    ),
    Metric(
        _COUNTER, "asyncstore_retries", "Attempts beyond the first of each instance.", lambda run: run.tally.retries
    ),
    Metric(
        _GAUGE,
        "asyncstore_retrying_instances",
        "Instances that wait for their next attempt.",
        lambda run: run.progress.retrying,
    ),
    Metric(
        _GAUGE,
        "asyncstore_peer_is_up",
        "Whether the peer works; while it does not, the run waits for it.",
        lambda run: run.progress.outage is None,
    ),
    Metric(_COUNTER, "asyncstore_peer_outages", "How often the peer went down.", lambda run: run.progress.outages),
    Metric(
        _GAUGE,
        "asyncstore_is_paused",
        "Whether nothing begins, because somebody or a time table has paused the run.",
        lambda run: run.progress.is_paused or _limit(run).is_paused,
    ),
    Metric(
        _GAUGE,
        "asyncstore_limit_bytes_per_second",
        "The most bytes that go to the network now; missing without a limit.",
        lambda run: _limit(run).bytes_per_second,
    ),
    Metric(
        _GAUGE,
        "asyncstore_limit_stores_per_second",
        "The most stores that begin now; missing without a limit.",
        lambda run: _limit(run).stores_per_second,
    ),
    Metric(
        _GAUGE,
        "asyncstore_guard_share_ratio",
        "The share of the peer's speed that the guard allows; 1 without a guard.",
        lambda run: _limit(run).share,
    ),
    Metric(
        _GAUGE,
        "asyncstore_guard_echo_seconds",
        "How long C-ECHO takes; missing unless the guard limits the speed.",
        lambda run: _limit(run).echo_seconds,
    ),
    Metric(
        _COUNTER,
        "asyncstore_associations_opened",
        "Associations that the peer accepted.",
        lambda run: run.progress.associations_opened,
    ),
    Metric(
        _GAUGE,
        "asyncstore_associations",
        "Associations by what they do now; waiting ones are open and have nothing to send.",
        lambda run: {state: sum(lane.state is state for lane in run.progress.lanes) for state in LaneState},
        "state",
    ),
    Metric(
        _GAUGE,
        "asyncstore_oldest_store_seconds",
        "The age of the store that has been under way longest; 0 if none is.",
        lambda run: max((lane.seconds for lane in run.progress.lanes if lane.path is not None), default=0.0),
    ),
    Metric(_GAUGE, "asyncstore_found_files", "Files found so far.", lambda run: run.progress.found),
    Metric(
        _GAUGE,
        "asyncstore_walk_is_running",
        "Whether the walk is still under way, so that more files may be found.",
        lambda run: run.progress.walking,
    ),
    Metric(_GAUGE, "asyncstore_probed_files", "Files whose heads were read so far.", lambda run: run.progress.probed),
    Metric(
        _GAUGE,
        "asyncstore_probed_bytes",
        "Data set bytes of the instances in these files.",
        lambda run: run.progress.bytes_probed,
    ),
    Metric(
        _GAUGE,
        "asyncstore_run_start_time_seconds",
        "When the run began, in seconds since 1970.",
        lambda run: run.started,
    ),
    Metric(
        _GAUGE,
        "asyncstore_last_stored_timestamp_seconds",
        "When the last stored instance was counted, in seconds since 1970; missing before the first.",
        lambda run: run.last_stored,
    ),
    Metric(_GAUGE, "asyncstore_exit_code", "The exit code; missing while the run goes on.", lambda run: run.exit_code),
    Metric(
        _GAUGE,
        "asyncstore_build_info",
        "Always 1; the label has the version of asyncstore.",
        lambda _: {__version__: 1},
        "version",
    ),
)
"""All metrics but the histogram, in the order of the output."""


def _status(status: int) -> str:
    return "other" if status == OTHER else f"0x{status:04X}"
