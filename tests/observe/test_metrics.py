"""The metrics of a run, as prometheus_client's own parser reads them."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from asyncstore.model import NOT_BEGUN, LaneState, Limit, PeerOutage, Result
from asyncstore.observe.metrics import METRICS, STORE_DURATION, RunMetrics
from asyncstore.observe.responses import BOUNDS, MOST_STATUSES
from asyncstore.observe.tally import Tally
from support.samples import failed, lane, not_sent, progress, skipped, stored, unknown, warned, withdrawn

_DOCS = Path(__file__).parents[2] / "docs"
_OUTCOMES = st.sampled_from([*stored(1), failed(), warned(), not_sent(), unknown(), skipped(), failed(status=0xC001)])


class Run:
    """A run that a test moves on."""

    def __init__(self, *outcomes, seen=NOT_BEGUN):
        self.tally = Tally(0.0)
        self.progress = seen
        self.metrics = RunMetrics(self.tally, lambda: self.progress)
        self.add(*outcomes)

    def add(self, *outcomes):
        self.tally.add(outcomes)
        self.metrics.add(outcomes)

    def families(self):
        return {family.name: family for family in text_string_to_metric_families(self.metrics.scraped().decode())}

    def values(self):
        """Every value by its name and its labels."""
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in self.families().values()
            for sample in family.samples
        }


def _names(text):
    """The names of our metrics in a text."""
    return set(re.findall(r"\b(?:asyncstore_[a-z_]+|process_[a-z_]+)\b", text))


def _all_names():
    """The names of all metrics and of what belongs to the histogram, and those of the process."""
    run = Run(*stored(1), seen=progress()._replace(limit=Limit(1.0, 1.0, echo_seconds=1.0)))
    run.metrics.end(0)
    return {name for name, *_ in run.values()}


def test_files_are_counted_by_result():
    values = Run(*stored(3), failed(), warned(), not_sent(), unknown(), skipped(), withdrawn()).values()
    counts = {result: values["asyncstore_instances_total", result] for result in Result}
    assert counts == {"stored": 3, "warning": 1, "failed": 1, "not_sent": 2, "unknown": 1, "skipped": 1}
    assert values["asyncstore_stored_bytes_total",] == 4000


def test_every_label_is_there_from_the_beginning():
    """A rate needs a value before the first one that counts."""
    values = Run().values()
    assert {values["asyncstore_instances_total", result] for result in Result} == {0}
    assert {values["asyncstore_associations", state] for state in LaneState} == {0}
    assert values["asyncstore_responses_total", "0x0000"] == 0


def test_the_progress_of_the_run_is_sampled_when_somebody_asks():
    run = Run()
    assert run.values()["asyncstore_walk_is_running",] == 1
    lanes = [lane(1, seconds=0.5), lane(2, seconds=7.5), lane(3, path=None, state=LaneState.WAITING, seconds=99.0)]
    run.progress = progress(200, lanes=lanes, sent=5_000)
    values = run.values()
    assert values["asyncstore_walk_is_running",] == 0
    assert values["asyncstore_found_files",] == values["asyncstore_probed_files",] == 200
    assert values["asyncstore_sent_bytes_total",] == 5_000
    assert values["asyncstore_associations_opened_total",] == 3
    assert values["asyncstore_associations", "sending"] == 2
    assert values["asyncstore_associations", "waiting"] == 1
    assert values["asyncstore_oldest_store_seconds",] == 7.5


def test_a_peer_that_is_down_and_what_waits_for_it_are_shown():
    outage = PeerOutage(2, "connection refused", 1.5, 58.0)
    again = [
        outcome._replace(attempts=attempts) for outcome, attempts in zip((*stored(1), failed()), (3, 2), strict=True)
    ]
    run = Run(*again, seen=progress()._replace(retrying=7, retries=9, outages=2, outage=outage, is_paused=True))
    values = run.values()
    assert values["asyncstore_peer_is_up",] == 0
    assert values["asyncstore_peer_outages_total",] == 2
    assert values["asyncstore_retrying_instances",] == 7
    assert values["asyncstore_retries_total",] == 3
    assert values["asyncstore_is_paused",] == 1
    run.progress = progress()._replace(outages=2)
    values = run.values()
    assert (values["asyncstore_peer_is_up",], values["asyncstore_is_paused",]) == (1, 0)


def test_limits_are_shown_while_there_are_some():
    run = Run(seen=progress())
    limits = {
        "asyncstore_limit_bytes_per_second",
        "asyncstore_limit_stores_per_second",
        "asyncstore_guard_echo_seconds",
    }
    assert not {(name,) for name in limits} & run.values().keys()
    assert run.values()["asyncstore_guard_share_ratio",] == 1
    run.progress = progress()._replace(limit=Limit(1e6, 50.0, is_paused=True, share=0.25, echo_seconds=0.125))
    values = run.values()
    assert [values[name,] for name in sorted(limits)] == [0.125, 1e6, 50.0]
    assert (values["asyncstore_guard_share_ratio",], values["asyncstore_is_paused",]) == (0.25, 1)


def test_responses_are_counted_by_status_and_those_that_never_came_are_not():
    values = Run(*stored(2), failed(), failed(), warned(), unknown(), not_sent(), skipped()).values()
    counted = {labels[0]: value for (name, *labels), value in values.items() if name == "asyncstore_responses_total"}
    assert counted == {"0x0000": 2, "0xA700": 2, "0xB000": 1}


def test_a_peer_that_answers_every_status_makes_few_time_series():
    run = Run(*(failed(status=0xC000 + number) for number in range(2000)))
    counted = {
        labels[0]: value for (name, *labels), value in run.values().items() if name == "asyncstore_responses_total"
    }
    assert len(counted) == MOST_STATUSES + 2  # success, and the others
    assert counted["other"] == 2000 - MOST_STATUSES
    assert sum(counted.values()) == 2000


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_store_is_in_the_bucket_of_its_duration(bound):
    run = Run(*stored(1, seconds=bound), *stored(1, seconds=bound * 1.01))
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in run.families()[STORE_DURATION].samples
        if sample.name.endswith("_bucket")
    }
    assert buckets[bound] == 1
    assert buckets[float("inf")] == run.values()[f"{STORE_DURATION}_count",] == 2
    assert all(before <= after for before, after in pairwise(buckets.values()))
    assert run.values()[f"{STORE_DURATION}_sum",] == pytest.approx(bound * 2.01)


@given(st.lists(st.lists(_OUTCOMES, max_size=5), max_size=5))
def test_counters_never_fall(batches):
    run = Run()
    before = run.values()
    counting = {family.name for family in run.families().values() if family.type in {"counter", "histogram"}}
    for batch in batches:
        run.add(*batch)
        after = run.values()
        for name, *labels in before:
            if name.removesuffix("_total").removesuffix("_bucket") in counting:
                assert after[name, *labels] >= before[name, *labels]
        before = after


def test_what_is_not_known_yet_is_missing():
    run = Run(failed())
    assert not {("asyncstore_last_stored_timestamp_seconds",), ("asyncstore_exit_code",)} & run.values().keys()
    run.add(*stored(1))
    at = run.values()["asyncstore_last_stored_timestamp_seconds",]
    assert at >= run.values()["asyncstore_run_start_time_seconds",]
    run.add(failed())
    assert run.values()["asyncstore_last_stored_timestamp_seconds",] == at
    run.metrics.end(2)
    assert run.values()["asyncstore_exit_code",] == 2


def test_files_of_several_runs_can_be_collected_together():
    """node_exporter gives up its whole answer if two files have a metric with the same labels."""
    kept = [Run(*stored(1)).metrics.kept(name).decode() for name in ("one", "two")]
    samples = [
        {
            (sample.name, *sorted(sample.labels.items()))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        for text in kept
    ]
    assert not samples[0] & samples[1]
    assert not any(name.startswith("process_") for name, *_ in samples[0]), "node_exporter has its own"


def test_nothing_of_a_file_is_in_them():
    run = Run(
        *stored(2, sop_instance_uid="1.2.3.456"), failed(), warned(), not_sent(), unknown(error="Doe^Jane is dead")
    )
    run.progress = progress(lanes=[lane(path="/archive/Doe^Jane/IM1.dcm")])
    for text in (run.metrics.scraped(), run.metrics.kept("run")):
        assert not re.search(rb"Doe|archive|dcm|1\.2\.3|dead|README", text)


def test_names_and_kinds_keep_to_the_conventions():
    for name, family in Run(*stored(1)).families().items():
        if name.startswith("process_"):
            continue
        assert re.fullmatch(r"asyncstore_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}
        assert not name.endswith("_total"), "the format adds this to counters"
        assert not re.search(r"_(milliseconds|ms|kb|mb|count|sum|bucket)$", name)


def test_the_documentation_explains_every_metric_and_no_other():
    page = (_DOCS / "metrics.md").read_text()
    explained = set(re.findall(r"^\| `(asyncstore_\w+)", page, re.MULTILINE))
    families = {name for name in Run(*stored(1)).families() if name.startswith("asyncstore_")}
    counters = {metric.name for metric in METRICS if f"{metric.name}_total" in _all_names()}
    assert explained == families - counters | {f"{name}_total" for name in counters}
    assert not _names(page) - _all_names() - families


def test_the_dashboard_asks_only_for_metrics_that_exist():
    dashboard = json.loads((_DOCS / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 10
    for expression in asked:
        assert _names(expression), expression
        assert _names(expression) <= _all_names()
    for variable in dashboard["templating"]["list"]:
        assert _names(json.dumps(variable)) <= _all_names()


def test_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads((_DOCS / "grafana-dashboard.json").read_text())["panels"]
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
