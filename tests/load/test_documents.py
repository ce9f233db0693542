import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.errors import ReadFailed, UsageError
from asyncstore.load.results import read_document, write_document
from asyncstore.load.results.json_file import load_document, to_json
from support.examples import examples
from support.measured import closed, document, opened, result

WHOLE = document([result(closed(seconds=2.0), rate=5.0), result(opened(seconds=2.0), rate=3.0)])
TEXT = write_document(WHOLE)


def changed(path, value):
    """The text with another value at a place."""
    whole = json.loads(TEXT)
    at = whole
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return json.dumps(whole)


def places(value, path=()):
    """The places of all values of a text."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from places(each, (*path, number))


PLACES = list(places(json.loads(TEXT)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def test_a_document_is_read_back_as_it_was_written():
    assert read_document(TEXT, "a.json") == WHOLE
    assert read_document(TEXT.encode(), "a.json") == WHOLE


def test_the_text_says_what_it_is_and_holds_percentiles_and_counts():
    written = to_json(WHOLE)
    assert (written["type"], written["version"]) == ("asyncstore-bench", 1)
    latency = written["whole"]["latency"]
    assert latency["count"] == sum(latency["counts"].values()) == WHOLE.whole.stored
    assert {"min", "mean", "max", "p50", "p90", "p95", "p99", "p99_9"} < set(latency)
    assert TEXT.count("\n") == 1


@settings(max_examples=examples(150))
@given(st.sampled_from(PLACES), JSON)
def test_of_a_changed_document_nothing_but_our_own_errors_comes(path, value):
    with suppress(UsageError):
        assert json.loads(write_document(read_document(changed(path, value), "a.json")))["version"] == 1


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_of_any_other_content_nothing_but_our_own_errors_comes(content):
    with pytest.raises(UsageError, match=r"a\.json: not a document of asyncstore bench"):
        read_document(content, "a.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON|line 1"),
        ("[1]", "does not say that it is one"),
        ('{"type":"start","peer":"x"}', "does not say that it is one"),
        ("[" * 100_000, "not JSON"),
        ("9" * 10_000, "not JSON|does not say"),
        (TEXT[:-50], "line 1"),
        (TEXT.replace('"version":1', '"version":2', 1), "version 2 of the document; this asyncstore reads version 1"),
        (TEXT.replace('"version":1', '"version":"1"', 1), "an unknown version"),
        (TEXT.replace('"version":1', '"version":true', 1), "an unknown version"),
        (changed(("whole", "stored"), -1), "damaged.*whole.stored is no count"),
        (changed(("whole", "stored"), 1.5), "damaged.*whole.stored is no count"),
        (changed(("phases", 0, "model"), "half"), r"damaged.*phases\[0\].model is none of open, closed"),
        (changed(("phases", 0, "seconds"), True), r"damaged.*phases\[0\].seconds is no number"),
        (changed(("whole", "latency", "count"), 5), "damaged.*whole.latency has another count"),
        (TEXT.replace('"exit_code"', '"code"'), "damaged.*exit_code is missing"),
        (TEXT.replace('"seconds":2.0', '"seconds":NaN', 1), "not JSON"),
        (TEXT.replace('"seconds":2.0', '"seconds":1e999', 1), "damaged.*seconds is no number"),
        (TEXT.replace('"seconds":2.0', '"seconds":-1e300', 1), "damaged.*seconds is no number"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text, problem):
    with pytest.raises(UsageError, match=problem):
        read_document(text, "a.json")


def test_unknown_fields_are_ignored_and_new_fields_may_be_missing():
    whole = json.loads(TEXT)
    whole["later"] = {"a": 1}
    whole["whole"]["later"] = 5
    del whole["parts"]
    assert read_document(json.dumps(whole), "a.json") == WHOLE


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (str(tmp_path / "none.json"), str(tmp_path), "nul\0l"):
        with pytest.raises(ReadFailed, match="cannot be read"):
            load_document(path)


def test_a_file_is_read(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(TEXT)
    assert load_document(str(file)) == WHOLE
