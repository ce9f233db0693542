"""The page of ``asyncstore report --html``: well-formed, by itself, without names of files, studies or patients."""

import re
import stat
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.cli.report.charts import Axis, bars, from_zero, line, share_bar
from asyncstore.cli.report.facts import gather
from asyncstore.cli.report.page import page
from asyncstore.journal import opening
from asyncstore.journal.reading import Reader
from asyncstore.journal.settings import Migration
from asyncstore.journal.values import State, Walk
from support.commands import asyncstore
from support.journals import begin, delivery

BEGIN = 1_700_006_400.0
_VOID = {"meta", "line", "rect", "polyline", "wbr"}
HOSTILE = "<script>alert('x')</script>\"&\x1b[31m\u202e"


class Page(HTMLParser):
    """Reads a page, and complains if its elements are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def page_of(*paths):
    readers = [Reader(str(path)) for path in paths]
    text = page(gather(readers), readers)
    for reader in readers:
        reader.close()
    assert not re.search(r"\b(?:src|href|action|data)\s*=|url\(|@import|://", text)
    return text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def runs_since(path, began):
    """Let the runs of a journal have begun at this time."""
    connection = opening.writer(str(path))
    connection.execute("UPDATE runs SET began = ?", (int(began * 1000),))
    connection.close()


def record(path, rows, **more):
    with begin(path, **more) as journal:
        journal.walk = Walk(len(rows), is_ended=True)
        journal.write(rows)


async def test_the_page_is_written_for_its_owner_alone(path, tmp_path):
    record(path, [delivery("/a/1"), delivery("/a/2", State.FAILED, status=0xA700, reason="0xA700 out of resources")])
    target = tmp_path / "report.html"
    found = await asyncstore("report", "--html", target, path)
    assert found.returncode == 2
    assert found.out.startswith("Of 2 files found, 1 is stored and 1 failed.\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    shown = Page(target.read_text())
    assert shown.words.startswith("asyncstore report Of 2 files found, 1 is stored and 1 failed. To pacs 11112, ")
    assert "0xA700 out of resources" in shown.words


def test_the_course_the_gap_and_the_studies(path):
    rows = [delivery(f"/a/{number}", study=f"9.{number // 5}") for number in range(50)]
    record(path, [row._replace(time=BEGIN + 0.2 * number) for number, row in enumerate(rows)])
    runs_since(path, BEGIN)
    shown = Page(page_of(path))
    assert shown.tags.count("polyline") == 1
    assert shown.tags.count("rect") >= 2
    assert "The largest gap within a study was 200 ms, from 2023-11-15 00:00 UTC on" in shown.words
    assert "10 complete 0 incomplete 0 untouched" in shown.words


def test_hostile_texts_are_escaped(path):
    migration = Migration(f"pacs{HOSTILE}", 104, HOSTILE, HOSTILE, (("--invent-instance", HOSTILE),))
    journal = begin(path, migration)
    journal.write([
        delivery("/a/1", State.NOT_SENT, reason=HOSTILE, sop_class_uid=HOSTILE),
        delivery("/a/2", State.FAILED, reason=f"a kind: {HOSTILE}"),
    ])  # fmt: skip
    journal.close(HOSTILE)
    text = page_of(path)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    shown = Page(text)
    assert "script" not in shown.tags
    assert "<script>alert('x')</script>" in shown.words
    assert not any(name.startswith("on") for name, _ in shown.attributes)


def test_nothing_names_a_patient_a_study_or_a_file(path):
    rows = [
        delivery("/archive/DOE^JOHN/1.dcm", state, study="1.2.3.4.5.678", series="1.2.3.4.5.679", patient_id="PAT4711",
                 sop_instance_uid="1.2.3.4.5.680", reason="another file has its UID: /archive/DOE^JOHN/2.dcm",
                 study_date="19700203")
        for state in State
    ]  # fmt: skip
    for row in rows:
        record(path, [row])
    text = page_of(path)
    assert "another file has its UID: …" in text
    for secret in ("DOE", "JOHN", "PAT4711", "1.2.3.4.5", "19700203", "1970-02-03", str(path)):
        assert secret not in text
    with Reader(str(path)) as reader:
        for (key,) in reader.rows("SELECT patient FROM studies"):
            assert key.hex() not in text


def test_an_empty_journal_and_a_catalogue_have_pages(path):
    record(path, [])
    assert "No file was found." in Page(page_of(path)).words
    with begin(path.with_name("scan.db"), None) as journal:
        journal.write([delivery("/a/1", State.WAITING)])
    assert "1 file found, nothing was sent yet." in Page(page_of(path.with_name("scan.db"))).words


def test_a_run_that_goes_on_has_a_forecast(path):
    with begin(path) as journal:
        journal.walk = Walk(10, is_ended=True)
        journal.write([delivery("/a/1")])
        journal.flush()
        words = Page(page_of(path)).words
    assert "A run goes on. When it will end cannot be told yet. To pacs" in words
    assert "9 not known waiting 10 900 B found" in words
    assert "1 complete 0 incomplete 0 untouched Files that have not ended yet are in none of them." in words


@pytest.mark.parametrize("time", [-1e15, 0.0, 1e15])
def test_a_clock_that_was_wrong_is_no_problem(path, time):
    record(path, [delivery("/a/1", time=time), delivery("/a/2", time=BEGIN)])
    assert len(page_of(path)) < 50_000


def test_a_run_of_a_year_has_few_steps(path):
    record(path, [delivery(f"/a/{number}", time=BEGIN + 86_400 * number) for number in range(365)])
    runs_since(path, BEGIN)
    shown = Page(page_of(path))
    assert 100 < shown.tags.count("rect") <= 200


@pytest.mark.slow
async def test_the_page_never_replaces_a_journal(path):
    record(path, [delivery("/a/1")])
    before = path.read_bytes()
    for name in (path, f"{path}-wal", f"{path}-lock", path.with_name("link.db")):
        path.with_name("link.db").unlink(missing_ok=True)
        path.with_name("link.db").hardlink_to(path)
        found = await asyncstore("report", "--html", name, path)
        assert (found.returncode, found.out) == (1, "")
        assert "this is a journal, or belongs to one" in found.err
    assert path.read_bytes() == before


async def test_a_page_that_cannot_be_written(path, tmp_path):
    record(path, [delivery("/a/1")])
    found = await asyncstore("report", "--html", tmp_path / "none" / "report.html", path)
    assert found.returncode == 1
    assert "cannot write it: No such file or directory" in found.err


def test_charts_of_nothing_and_of_one_point():
    axis = Axis(0, 0, str)
    for chart in (line("a", [], axis, axis), bars("b", [(0, 0)], 1, axis, axis), share_bar(2), share_bar(-1)):
        Page(chart)
        assert "nan" not in chart
    assert 'width="100.0"' in share_bar(2)


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (2113, [0, 500, 1000, 1500, 2000, 2500]),
        (4, [0, 1, 2, 3, 4]),
        (1236, [0, 500, 1000, 1500]),
        (10, [0, 2, 4, 6, 8, 10]),
    ],
)
def test_axes_have_round_numbers(most, labels):
    assert from_zero(most, str).labels == pytest.approx(labels)


@given(st.floats(1e-6, 1e12))
def test_axes_show_every_value_and_waste_no_room(most):
    axis = from_zero(most, str)
    assert axis.high >= most * (1 - 1e-9)
    assert axis.high < 2 * most
    assert 3 <= len(axis.labels) <= 7


def test_slow_migrations_are_counted_by_the_hour(path):
    record(path, [delivery(f"/a/{number}", time=BEGIN + 86_400 * number) for number in range(30)])
    runs_since(path, BEGIN)
    words = Page(page_of(path)).words
    assert "Files that ended in an hour." in words
    assert "in a second" not in words


@pytest.mark.parametrize("seconds", [3, 1200, 4 * 86_400])
def test_labels_of_time_differ_from_their_neighbours(path, seconds):
    record(path, [delivery(f"/a/{number}", time=BEGIN + seconds * number / 9) for number in range(10)])
    runs_since(path, BEGIN)
    labels = re.findall(r'<text(?: class="minor")? [^>]*y="232"[^>]*>([^<]*)', page_of(path))
    assert len(labels) == 10
    assert all(first != second for first, second in pairwise(labels[:5]))


def test_numbers_are_not_broken(path):
    record(path, [delivery(f"/a/{number}") for number in range(1200)])
    assert "1\N{NO-BREAK SPACE}200 files found" in page_of(path)
