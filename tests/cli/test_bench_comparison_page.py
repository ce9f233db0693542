"""The page of ``asyncstore bench compare --html``: what differs first, with its intervals."""

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from asyncstore.cli.bench_page import comparison_page, frame
from asyncstore.cli.bench_page.comparison import comparison_plots
from asyncstore.cli.main import main
from asyncstore.load.results.compare import compare
from asyncstore.load.results.json_file import write_document
from support import bench_samples as samples
from support import browser
from support.html_pages import HOSTILE, Page


@pytest.fixture(autouse=True)
def _small(request, monkeypatch):
    """Most tests need no script of 5 MB in the page."""
    if request.node.get_closest_marker("peers") is None:
        monkeypatch.setattr(frame, "_plotly", lambda: "/* plotly */")


def measured(repeats=3, *, speed=1.0, seed=1):
    """A measurement with 8 and with 16 associations."""
    phases = [
        samples.phase(f"{number} associations", associations=number, seconds=4, rate=rate * speed, median=0.02 / speed,
                      repeat=repeat, seed=seed + number + repeat)
        for number, rate in ((8, 150), (16, 200))
        for repeat in range(1, repeats + 1)
    ]  # fmt: skip
    return samples.document(phases, with_knee=True)


def words_of(first, second, names=("before", "after")):
    return Page(comparison_page(compare(first, second, names), first, second)).words


def plots_of(first, second, names=("before", "after")):
    return {plot.name: plot for plot in comparison_plots(compare(first, second, names), first, second)}


class TestVerdict:
    @pytest.mark.slow
    def test_differences_come_first(self):
        words = words_of(measured(), measured(speed=2.0, seed=50))
        assert re.match(
            r"asyncstore bench compare Different 8 associations: rate \d+/s in before, \d+/s in after", words
        )

    def test_the_same_twice_shows_no_difference(self):
        same = measured()
        assert words_of(same, same).startswith("asyncstore bench compare No difference shown No difference shown: ")

    def test_single_repeats_show_nothing(self):
        assert "Nothing can be shown Nothing can be shown with a single repeat" in words_of(measured(1), measured(1))

    def test_phases_that_differ_are_not_compared(self):
        other = samples.document([samples.phase("other", seconds=2)])
        assert "The two have no phase in common, so nothing is compared." in words_of(measured(1), other)
        assert plots_of(measured(1), other) == {}

    def test_a_different_set_up_is_said(self):
        first = measured(1)
        second = replace(first, setup=replace(first.setup, python="3.13.1"))
        assert "Version of Python: 3.11.2 in before, 3.13.1 in after." in words_of(first, second)


class TestPlots:
    @pytest.mark.slow
    def test_all_are_there(self):
        assert list(plots_of(measured(), measured(seed=9))) == ["changes", "latency-1", "latency-2", "knees"]

    @pytest.mark.slow
    def test_changes_have_their_intervals(self):
        first, second = measured(), measured(speed=2.0, seed=50)
        rows = compare(first, second).rows
        [trace] = [trace for trace in plots_of(first, second)["changes"].traces if trace["name"] == "difference shown"]
        at = trace["x"][0]
        assert at == pytest.approx(100 * rows[0].change)
        was = sum(rows[0].first) / 3
        assert at - trace["error_x"]["arrayminus"][0] == pytest.approx(100 * rows[0].low / was)
        assert at + trace["error_x"]["array"][0] == pytest.approx(100 * rows[0].high / was)

    def test_single_repeats_have_no_intervals(self):
        [trace] = plots_of(measured(1), measured(1, speed=2.0))["changes"].traces
        assert trace["name"] == "no difference shown"
        assert set(trace["error_x"]["array"]) == {0.0}

    @pytest.mark.slow
    def test_plotly_knows_every_field(self):
        go = pytest.importorskip("plotly.graph_objects")
        for plot in plots_of(measured(), measured(speed=2.0, seed=50)).values():
            go.Figure({"data": plot.traces, "layout": plot.layout})


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path):
        """Two measurements."""
        for name, speed in (("a.json", 1.0), ("b.json", 2.0)):
            (tmp_path / name).write_text(write_document(measured(2, speed=speed)))
        return [str(tmp_path / "a.json"), str(tmp_path / "b.json")]

    @pytest.mark.slow
    def test_only_its_owner_may_read_the_page(self, files, tmp_path, capsys):
        target = tmp_path / "page.html"
        assert main(["bench", "compare", "--html", str(target), *files]) == 0
        assert "8 associations: rate" in capsys.readouterr().out
        assert stat.S_IMODE(target.stat().st_mode) == 0o600

    @pytest.mark.slow
    def test_the_page_replaces_no_measurement(self, files, capsys):
        before = Path(files[0]).read_bytes()
        assert main(["bench", "compare", "--html", files[0], *files]) == 1
        assert "this is a measurement that is compared" in capsys.readouterr().err
        assert Path(files[0]).read_bytes() == before


def test_hostile_names_are_shown_literally():
    first, second = measured(1), measured(1)
    plain = Page(comparison_page(compare(first, second, ("A", "B")), first, second))
    shown = Page(comparison_page(compare(first, second, (HOSTILE, HOSTILE)), first, second))
    assert shown.tags == plain.tags
    assert [name for name, _ in shown.attributes] == [name for name, _ in plain.attributes]
    assert "<" not in shown.scripts[0]
    assert "<script>alert('x')</script>" in shown.words


@pytest.mark.peers
@pytest.mark.slow
async def test_a_browser_with_a_small_dark_window_draws_every_plot_and_asks_for_nothing(tmp_path):
    first, second = measured(), measured(speed=2.0, seed=50)
    target = tmp_path / "page.html"
    target.write_text(comparison_page(compare(first, second), first, second))
    shown = await browser.load(target, width=420, is_dark=True)
    assert shown.complaints == []
    assert shown.requests == []
    assert "Different 8 associations: rate" in shown.words
    assert list(shown.marks) == ["changes", "latency-1", "latency-2", "knees"]
    assert all(shown.marks.values())
