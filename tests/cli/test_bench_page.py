"""The page of ``asyncstore bench --html``: the verdict, every plot that has something to show, no script of others."""

import re
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.cli.bench_page import frame, page
from asyncstore.cli.bench_page.figures import Plot, label, seconds_axis, seconds_text
from asyncstore.cli.bench_page.latency import curve
from asyncstore.cli.bench_page.page import plots_of
from asyncstore.cli.bench_page.style import DARK, SERIES
from asyncstore.cli.bench_page.timeline import timeline
from asyncstore.cli.bench_page.words import headline
from asyncstore.errors import UsageError
from asyncstore.load.results.document import Group, Groups, Verdict
from asyncstore.load.results.histogram import Histogram, bucket_of
from asyncstore.load.results.merge import merge
from support import bench_samples as samples
from support import browser
from support.examples import examples
from support.html_pages import HOSTILE, Page

ALWAYS = [
    "throughput",
    "percentiles",
    "latency",
    "split",
    "by-modality",
    "by-sop-class",
    "by-transfer-syntax",
    "by-size-class",
]
EVERY = ["knee", *ALWAYS[:3], "studies", "findable", *ALWAYS[3:], "troubles", "dropped", "drift", "cpu", "generator"]
TEXTS = (
    st.text(min_size=1, max_size=60)
    | st.text(alphabet="<>&\"'/!-scriptaSCRIPT\\u003c", min_size=1, max_size=60)
    | st.just(HOSTILE)
)


@pytest.fixture(autouse=True)
def _small(request, monkeypatch):
    """Most tests need no script of 5 MB in the page."""
    if request.node.get_closest_marker("peers") is None:
        monkeypatch.setattr(frame, "_plotly", lambda: "/* plotly */")


@cache
def page_of_everything():
    return page(samples.everything())


@cache
def plots_of_everything():
    return plots_of(samples.everything())


def names(document):
    return [plot.name for plot in plots_of(document)]


def traces(document, name):
    [plot] = [plot for plot in plots_of(document) if plot.name == name]
    return {trace.get("name", ""): trace for trace in plot.traces}


class TestPage:
    @pytest.mark.slow
    def test_it_needs_nothing_else(self):
        shown = Page(page_of_everything())
        assert not {"link", "img", "iframe", "a", "form", "object", "base"} & set(shown.tags)
        assert not {"src", "href", "action", "srcset"} & {name for name, _ in shown.attributes}
        [policy] = [value for name, value in shown.attributes if name == "content" and "default-src" in value]
        assert "default-src 'none'" in policy
        assert not re.search(r"https?:|unsafe-eval|script-src[^;]*unsafe-inline|connect-src", policy)

    @pytest.mark.slow
    def test_it_says_the_verdict_first(self):
        words = Page(page_of_everything()).words
        assert words.startswith("asyncstore bench Crossed Not passed: p99<20ms: 41 ms, crossed")
        assert words.index("rate>150/s") < words.index("Latency over time")

    def test_what_is_needed_to_measure_again_is_there(self):
        document = samples.everything()
        words = Page(page_of_everything()).words
        peer = document.setup.peer
        facts = [document.setup.corpus.hash, str(document.setup.seed), "--mix ct=70,cr=30", "3.11.2", "0.9.0"]
        facts += [peer.implementation_class_uid, peer.implementation_version_name, "16 384 B", "CTImageStorage"]
        for fact in facts:
            assert fact in words

    def test_every_plot_has_a_title_and_a_sentence_that_says_how_to_read_it(self):
        plots = plots_of_everything()
        text = page_of_everything()
        for plot in plots:
            assert plot.title
            assert re.fullmatch(r"[A-Z].*\.", plot.reading)
            assert f'id="{plot.name}" role="img"' in text
            assert f'id="{plot.name}-reading"' in text
        assert len({plot.name for plot in plots}) == len(plots)

    def test_it_is_readable_without_scripts(self):
        words = Page(page_of_everything()).words
        assert "The plots need JavaScript; the tables have their numbers." in words
        for column in ("associations", "residual", "transfer syntax", "status"):
            assert column in words

    @pytest.mark.slow
    def test_its_size_is_bounded_however_long_the_measurement(self):
        long = samples.document([samples.phase(seconds=4000, rate=2.0, fails=True) for _ in range(3)])
        assert len(page(long)) < 2_000_000

    def test_success_alone_is_no_table(self):
        assert "0x0000 success" not in Page(page(samples.document([samples.phase()]))).words
        assert "0x0000 success" in Page(page(samples.document([samples.phase(fails=True)]))).words

    def test_merged_machines_are_named(self):
        part = samples.document([samples.phase()])
        words = Page(page(merge([part, part], ["one.json", "two.json"]))).words
        assert "the percentiles of several machines cannot be added" in words
        assert words.count("system: Linux 6.1") == 2

    def test_the_plots_of_a_sum_show_the_time_of_all_machines(self):
        part = samples.document([samples.phase(seconds=20)])
        started = datetime.fromisoformat(part.setup.started) + timedelta(seconds=5)
        late = replace(part, setup=replace(part.setup, started=started.isoformat()))
        times = timeline(merge([part, late], ["one.json", "two.json"]))
        assert 25.0 <= times.end <= 26.0  # with a second for the last responses
        assert not any(step.tail for step in times.steps)

    def test_an_empty_measurement_has_a_page(self):
        words = Page(page(samples.document([]))).words
        assert "Nothing stored" in words
        assert names(samples.document([])) == []

    def test_a_missing_library_is_named_with_its_extra(self, monkeypatch):
        monkeypatch.undo()
        for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "plotly", None)
        with pytest.raises(UsageError, match="with its extra report"):
            page(samples.everything())


class TestPlots:
    def test_all_are_there_where_all_have_something_to_show(self):
        assert names(samples.everything()) == EVERY

    def test_those_with_nothing_to_show_are_left_out(self):
        assert names(samples.document([samples.phase()])) == [*ALWAYS, "generator"]
        one = samples.phase()
        only = Group(stored=1, failed=0, bytes=1, latency=one.latency)
        silent = replace(one, by=Groups(modality={"CT": only}), generator=replace(one.generator, lag=Histogram()))
        assert names(samples.document([silent])) == ["throughput", "percentiles", "latency", "split"]

    @pytest.mark.slow
    def test_plotly_knows_every_field(self):
        go = pytest.importorskip("plotly.graph_objects")
        for plot in plots_of_everything():
            go.Figure({"data": plot.traces, "layout": plot.layout})

    def test_every_colour_has_one_for_dark_pages(self):
        found = set()

        def look(value, name=""):
            if isinstance(value, dict):
                for key, item in value.items():
                    look(item, key)
            elif isinstance(value, list):
                for item in value:
                    look(item, name)
            elif name.lower().endswith("color"):
                found.add(value)

        for plot in plots_of_everything():
            look([plot.traces, plot.layout])
        assert found
        assert found <= set(DARK)

    @pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
    def test_lines_stand_out_from_the_page(self, is_dark):
        """WCAG 2.1, 1.4.11: graphical objects need a contrast of 3:1."""

        def luminance(colour):
            parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue

        back = luminance("#16191c" if is_dark else "#ffffff")
        for colour in SERIES:
            front = luminance(colour.dark if is_dark else colour.light)
            assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 3

    def test_offered_is_shown_for_open_loads_only(self):
        assert set(traces(samples.everything(), "throughput")) == {"offered", "stored"}
        assert set(traces(samples.document([samples.phase()]), "throughput")) == {"stored"}

    def test_points_at_the_same_second_are_plotted(self):
        phase = samples.phase()
        phase = replace(phase, series=tuple(replace(point, second=0.0) for point in phase.series))
        assert "throughput" in names(samples.document([phase]))

    def test_phases_are_marked(self):
        [plot] = [plot for plot in plots_of_everything() if plot.name == "throughput"]
        texts = [shape["label"]["text"] for shape in plot.layout["shapes"]]
        assert texts == ["<i>warm-up</i>", "200/s", "300/s"]

    @pytest.mark.slow
    def test_a_long_measurement_keeps_its_counts_and_its_worst_percentiles(self):
        phases = [samples.phase(seconds=1200, rate=3.0, seed=seed) for seed in range(5)]
        times = timeline(samples.document(phases))
        assert len(times.steps) <= 2405
        points = [point for phase in phases for point in phase.series]
        assert sum(step.total(lambda point: point.stored) for step in times.steps) == sum(
            point.stored for point in points
        )
        assert max(step.worst(lambda point: point.max, with_tail=True) for step in times.steps) == max(
            point.max for point in points
        )

    @given(st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=300))
    def test_the_curve_agrees_with_the_percentiles(self, seconds):
        histogram = Histogram.of(seconds)
        points = curve(histogram.counts)
        assert points == sorted(points)
        assert points[-1] == (2 * len(seconds), max(histogram.counts))
        for at, microseconds in points[1:-1]:  # the last one lies between two ranks
            assert bucket_of(histogram.percentile(100 * (1 - 1 / at))) == microseconds

    def test_the_knee_shows_the_law_the_residuals_the_limit_and_the_recommendation(self):
        shown = traces(samples.everything(), "knee")
        assert {"measured", "scalability law", "p99", "residuals"} <= set(shown)
        [plot] = [plot for plot in plots_of_everything() if plot.name == "knee"]
        texts = {shape["label"]["text"] for shape in plot.layout["shapes"]}
        assert {"recommended: 16", "limit 500 ms"} <= texts

    def test_a_knee_without_a_law_has_no_residuals(self):
        phases = samples.steps(1)
        document = samples.document(phases, with_knee=True)
        knee = replace(document.knee, law=None, recommended=None, reasons=("too few steps",))
        document = replace(document, knee=knee)
        assert "residuals" not in traces(document, "knee")
        assert "Too few steps." in Page(page(document)).words

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0.0, "0 µs"), (12e-6, "12 µs"), (0.00452, "4.52 ms"), (0.9996, "1 s"), (1234.0, "1 234 s")],
    )
    def test_durations_are_written_with_three_digits(self, seconds, text):
        assert seconds_text(seconds) == text

    @pytest.mark.parametrize("values", [[], [0.01], [1e-6, 100.0], [None, 0.5, 0.50001]])
    def test_logarithmic_axes_have_room_and_labels(self, values):
        shown = seconds_axis("latency", values)
        low, high = shown["range"]
        assert high - low >= 1
        assert all(10**low < value < 10**high for value in values if value)
        assert any(10**low <= tick <= 10**high for tick in shown["tickvals"])


class TestVerdict:
    def test_it_passed(self):
        assert headline(samples.document([samples.phase()], thresholds=(samples.held(),))).badge == "Passed"

    def test_without_thresholds_nothing_is_passed(self):
        document = samples.document([samples.phase()])
        shown = headline(document)
        assert (shown.badge, shown.mood) == ("Measured", "good")
        slow = replace(document, whole=replace(document.whole, dropped=document.whole.offered // 2))
        shown = headline(slow)
        assert (shown.badge, shown.mood) == ("Measured", "warn")

    def test_a_threshold_is_crossed(self):
        crossed = headline(samples.document([samples.phase()], thresholds=(samples.held(), samples.crossed())))
        assert (crossed.badge, crossed.mood) == ("Crossed", "bad")

    def test_client_bound_comes_before_all_else_and_nothing_is_recommended(self):
        phases = [replace(each, generator=replace(each.generator, cpu_share=1.2)) for each in samples.steps(1)]
        document = samples.document(phases, thresholds=(samples.crossed(),), with_knee=True)
        assert headline(document).badge == "Client-bound"
        words = Page(page(document)).words
        assert "Associations to use" not in words
        assert "recommended:" not in words

    def test_failures_are_named(self):
        document = samples.document([samples.phase(fails=True)])
        assert headline(document).badge == "Not everything stored"
        assert re.search(r"[1-9]\d* failed, 20 without a response", Page(page(document)).words)

    def test_an_interrupted_measurement_says_so(self):
        document = samples.document([samples.phase()], is_interrupted=True)
        assert headline(document).badge == "Interrupted"
        assert "The measurement was interrupted: these are the results until then." in Page(page(document)).words


def hostile(text):
    """A document with this text wherever a peer, a file or a user may have put it."""
    document = samples.small()
    phases = [
        replace(
            phase, name=text, errors={text: 3}, statuses={text: 1, **phase.statuses},
            by=Groups(**{way: {text: group, "other": group} for way, group in _a_group_of_each_way(phase)}),
            series=tuple(replace(point, statuses={text: 1}) for point in phase.series[:10]),
        )
        for phase in document.phases
    ]  # fmt: skip
    setup = document.setup
    peer = replace(
        setup.peer, host=text, called_ae_title=text, implementation_class_uid=text, implementation_version_name=text
    )
    names = dict.fromkeys(("name", "modality", "sop_class_uid", "transfer_syntax_uid"), text)
    kinds = tuple(kind._replace(**names) for kind in samples.KINDS)
    threshold = replace(samples.crossed(), text=text)
    return replace(
        document,
        setup=replace(setup, asyncstore=text, python=text, machine={text: text}, options={text: (text, 1)},
                      started=text, peer=peer, corpus=replace(setup.corpus, hash=text, kinds=kinds)),
        phases=tuple(phases), whole=replace(document.whole, by=phases[0].by, errors={text: 1}, statuses={text: 2}),
        thresholds=(threshold,), verdict=Verdict(passed=False, client_bound=False, lines=(text, text)),
        knee=replace(document.knee, reasons=(text,)), findable=replace(document.findable, errors={text: 1}),
    )  # fmt: skip


def _a_group_of_each_way(phase):
    ways = ("modality", "sop_class", "transfer_syntax", "size_class")
    return [(way, next(iter(getattr(phase.by, way).values()))) for way in ways]


@cache
def plain_page():
    """The page of the same document with a harmless text."""
    return Page(page(hostile("plain")))


class TestHostileTexts:
    @pytest.mark.slow
    @settings(max_examples=examples(25))
    @given(TEXTS)
    def test_none_becomes_an_element_a_script_or_an_attribute(self, text):
        plain, shown = plain_page(), Page(page(hostile(text)))
        assert shown.tags == plain.tags
        assert len(shown.scripts) == len(plain.scripts)
        assert [name for name, _ in shown.attributes] == [name for name, _ in plain.attributes]
        assert "<" not in shown.scripts[0]

    @given(TEXTS)
    def test_plotly_shows_them_literally(self, text):
        shown = label(text)
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown)
        assert len(shown) <= 28 * len("&amp;")

    def test_no_text_of_a_plot_holds_a_tag(self):
        def texts(value):
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                for item in value.values() if isinstance(value, dict) else value:
                    yield from texts(item)

        found = [text for plot in plots_of(hostile(HOSTILE)) for text in texts([plot.traces, plot.layout])]
        assert any("&lt;script" in text for text in found)
        assert not [text for text in found if re.search(r"<(?!/?i>)", text)]

    def test_control_characters_are_escaped(self):
        text = page(hostile(HOSTILE))
        assert not {"\x1b", "\u202e", "\udce9"} & set(text)
        assert text.encode()


def test_a_plot_is_a_value():
    plot = Plot("a", "A", "Read it.", [], {})
    assert (plot.height, plot.is_half) == (20.0, False)


@pytest.mark.peers
@pytest.mark.slow
async def test_a_browser_draws_every_plot_and_asks_for_nothing(tmp_path):
    target = tmp_path / "page.html"
    target.write_text(page(samples.everything()))
    assert 4_000_000 < target.stat().st_size < 6_000_000
    shown = await browser.load(target)
    assert shown.complaints == []
    assert shown.requests == []
    assert "Crossed Not passed: p99<20ms: 41 ms, crossed." in shown.words
    assert list(shown.marks) == EVERY
    assert {name: marks for name, marks in shown.marks.items() if not marks} == {}
