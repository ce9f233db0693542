import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from asyncstore.errors import UsageError
from asyncstore.load.results import Recorder
from asyncstore.load.results.hdr_log import hdr_log
from asyncstore.load.results.histogram import LONGEST, PERCENTILES
from support.measured import KINDS, closed, load

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def measured():
    log = []
    recorder = Recorder(KINDS, on_interval=log.append)
    load(recorder, closed(seconds=3.0), rate=50.0)
    load(recorder, closed(associations=8, seconds=2.0, repeat=2), begin=1010.0, rate=50.0)
    return log, recorder.results(0.0)


def read(text, tmp_path):
    file = tmp_path / "a.hlog"
    file.write_text(text)
    reader = HistogramLogReader(str(file), HdrHistogram(1, LONGEST, 3))
    found = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found.append(histogram)
    reader.close()
    return reader, found


def test_the_reader_of_hdrhistogram_reads_every_interval(measured, tmp_path):
    log, phases = measured
    reader, histograms = read(hdr_log(log, STARTED), tmp_path)
    assert reader.get_start_time_sec() == STARTED.timestamp()
    starts = [round(each.get_start_time_stamp() / 1000 - STARTED.timestamp()) for each in histograms]
    assert starts == [0, 1, 2, 10, 11]
    assert [each.get_tag() for each in histograms] == ["4_associations"] * 3 + ["8_associations.2"] * 2
    assert [each.get_total_count() for each in histograms] == [
        point.stored for phase in phases for point in phase.series
    ]


def test_the_sum_of_a_phase_has_its_percentiles(measured, tmp_path):
    log, phases = measured
    _, histograms = read(hdr_log(log, STARTED), tmp_path)
    total = HdrHistogram(1, LONGEST, 3)
    for each in histograms[:3]:
        total.add(each)
    for percent in PERCENTILES.values():
        assert total.get_value_at_percentile(percent) == round(phases[0].latency.percentile(percent) * 1e6)


def test_the_head_names_the_format(measured):
    lines = hdr_log(measured[0], STARTED).splitlines()
    assert lines[1] == "#[Histogram log format version 1.3]"
    assert lines[2] == "#[StartTime: 1767323045.000 (seconds since epoch), 2026-01-02T03:04:05Z]"
    assert lines[3].startswith('"StartTimestamp"')
    assert lines[4].startswith("Tag=4_associations,0.000,1.000,")


def test_a_name_with_commas_and_line_breaks_is_one_tag(tmp_path):
    log = []
    recorder = Recorder(KINDS, on_interval=log.append)
    load(recorder, closed(seconds=1.0)._replace(name="a, b\nc=ü"), rate=50.0)
    _, histograms = read(hdr_log(log, STARTED), tmp_path)
    assert [each.get_tag() for each in histograms] == ["a_b_c_"]


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(UsageError, match="install asyncstore with its extra report"):
        hdr_log((), STARTED)


def test_results_are_counted_without_the_library():
    program = "import sys, asyncstore.load.results.hdr_log; sys.exit('hdrh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
