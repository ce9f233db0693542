"""``bench compare`` and ``bench merge`` at the command line."""

import json
from dataclasses import replace
from functools import cache

import pytest

from asyncstore.cli.main import main
from asyncstore.load.results import write_document
from asyncstore.load.results.json_file import load_document
from support.commands import needs_a_full_device
from support.measured import closed, document, result


@cache
def measured(rate=100.0, seed=1, **setup):
    found = document([result(closed(4, repeat=repeat), rate=rate, seed=10 * seed + repeat) for repeat in (1, 2, 3)])
    return replace(found, setup=replace(found.setup, **setup)) if setup else found


@pytest.fixture(scope="module")
def texts():
    found = {"before": measured(), "after": measured(rate=200.0), "same": measured(seed=2)}
    return {name: write_document(one) for name, one in found.items()}


@pytest.fixture
def files(tmp_path, texts):
    for name, text in texts.items():
        (tmp_path / f"{name}.json").write_text(text)
    return tmp_path


class TestCompare:
    @pytest.mark.slow
    def test_it_says_what_differs_and_shows_all_numbers(self, files, capsys):
        assert main(["bench", "compare", str(files / "before.json"), str(files / "after.json")]) == 0
        shown = capsys.readouterr().out
        assert "4 associations: rate 100/s in before, 200/s in after: 100.0 % more" in shown
        for metric in ("rate", "p50", "p95", "p99"):
            assert metric in shown

    @pytest.mark.slow
    def test_it_says_that_nothing_is_shown(self, files, capsys):
        assert main(["bench", "compare", str(files / "before.json"), str(files / "before.json")]) == 0
        assert capsys.readouterr().out.startswith("No difference shown")

    @pytest.mark.slow
    def test_differences_of_the_set_up_are_notes(self, files, capsys):
        (files / "other.json").write_text(write_document(measured(python="3.99")))
        assert main(["bench", "compare", str(files / "before.json"), str(files / "other.json")]) == 0
        assert "Note: version of Python: 3.11.7 in before, 3.99 in other." in capsys.readouterr().out

    @pytest.mark.slow
    def test_it_prints_json_for_programs(self, files, capsys):
        assert main(["bench", "compare", "--json", str(files / "before.json"), str(files / "after.json")]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["type"], found["first"]) == ("asyncstore-bench-comparison", "before")
        assert found["rows"][0]["is_shown"]

    @pytest.mark.slow
    def test_it_writes_a_page(self, files, capsys):
        page = files / "page.html"
        words = ["--html", str(page), str(files / "before.json"), str(files / "after.json")]
        assert main(["bench", "compare", "-q", *words]) == 0
        assert not capsys.readouterr().out
        assert page.read_text().startswith("<!DOCTYPE html>")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("content", "complaint"), [(None, "cannot be read"), ("{}", "not a document"), ("x", "not")]
    )
    def test_a_file_that_is_no_document_is_named(self, files, content, complaint, capsys):
        other = files / "other.json"
        if content is not None:
            other.write_text(content)
        assert main(["bench", "compare", str(files / "before.json"), str(other)]) == 1
        error = capsys.readouterr().err
        assert str(other) in error
        assert complaint in error


class TestMerge:
    @pytest.mark.slow
    def test_it_adds_what_ran_at_the_same_time(self, files, capsys):
        parts = [str(files / "before.json"), str(files / "same.json")]
        assert main(["bench", "merge", str(files / "sum.json"), *parts]) == 0
        shown = capsys.readouterr().out
        assert "sum of 2 runs" in shown
        assert "4 associations, run 1 (8 in all)" in shown
        found = load_document(str(files / "sum.json"))
        assert found.whole.stored == sum(load_document(part).whole.stored for part in parts)

    @pytest.mark.slow
    @needs_a_full_device
    def test_a_sum_that_cannot_be_printed_costs_the_exit_code_and_not_the_file(self, files, capsys, monkeypatch):
        words = ["bench", "merge", *(str(files / f"{name}.json") for name in ("sum", "before", "same"))]
        with open("/dev/full", "w") as full:  # a device
            monkeypatch.setattr("sys.stdout", full)
            assert main(words) == 1
        said = "asyncstore bench merge: standard output: cannot write to it: No space left on device\n"
        assert capsys.readouterr().err == said
        assert load_document(str(files / "sum.json")).whole.stored

    @pytest.mark.slow
    def test_the_sum_can_be_a_page_as_well(self, files):
        page = files / "page.html"
        words = ["--html", str(page), str(files / "sum.json"), str(files / "before.json"), str(files / "same.json")]
        assert main(["bench", "merge", "-q", *words]) == 0
        assert page.read_text().startswith("<!DOCTYPE html>")

    @pytest.mark.slow
    def test_a_measurement_is_never_overwritten(self, files, capsys):
        before = (files / "before.json").read_bytes()
        words = [str(files / f"{name}.json") for name in ("before", "same", "after")]
        assert main(["bench", "merge", *words]) == 1
        assert "exists already: name a new file for the sum" in capsys.readouterr().err
        assert (files / "before.json").read_bytes() == before

    @pytest.mark.slow
    def test_a_measurement_is_added_once(self, files, capsys):
        copy = files / "copy.json"
        copy.write_bytes((files / "before.json").read_bytes())
        words = [str(files / f"{name}.json") for name in ("sum", "same", "before", "copy")]
        assert main(["bench", "merge", *words]) == 1
        assert "copy.json is the same measurement as" in capsys.readouterr().err
        assert not (files / "sum.json").exists()

    @pytest.mark.slow
    def test_one_measurement_is_no_sum(self, files, capsys):
        assert main(["bench", "merge", str(files / "sum.json"), str(files / "before.json")]) == 1
        assert "two or more measurements" in capsys.readouterr().err
        assert not (files / "sum.json").exists()
