import json
from dataclasses import replace

import pytest

from asyncstore.load.results.compare import compare
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.json_file import comparison_to_json
from support.measured import PART, SETUP, closed, document, result, with_peer

ONE = result(closed(seconds=1.0))


def repeats(rates, latency=0.01, **values):
    """A document with a phase for each rate; latencies vary a little."""
    return document(
        [
            replace(
                ONE,
                repeat=number,
                stored_per_second=rate,
                latency=Histogram.of([latency * (1 + number / 100)] * 10),
                **values,
            )
            for number, rate in enumerate(rates, start=1)
        ]
    )


def row_of(comparison, metric="rate"):
    return next(row for row in comparison.rows if row.metric == metric)


def test_a_clear_difference_is_shown_with_its_interval():
    found = compare(repeats([100, 101, 99]), repeats([120, 121, 119]))
    row = row_of(found)
    assert row.is_shown
    assert row.change == pytest.approx(0.2)
    assert row.low == pytest.approx(20 - 2.7764 * (2 / 3) ** 0.5, rel=1e-3)
    assert row.high == pytest.approx(20 + 2.7764 * (2 / 3) ** 0.5, rel=1e-3)
    assert row.text == "20.0 % more (17.7 % to 22.3 %)"
    assert found.lines[0] == "4 associations: rate 100/s in A, 120/s in B: 20.0 % more (17.7 % to 22.3 %)."


def test_a_fall_is_said_as_such():
    found = compare(repeats([120, 121, 119]), repeats([100, 101, 99]), ("before.json", "after.json"))
    assert row_of(found).text.startswith("16.7 % fewer (14.8 % to 18.6 %)")
    assert "120/s in before.json, 100/s in after.json" in found.lines[0]


def test_longer_latencies_are_longer():
    found = compare(repeats([100, 101, 99], 0.01), repeats([100, 101, 99], 0.02))
    assert row_of(found, "p99").text.startswith("100.0 % longer")
    assert row_of(found).text == "no difference shown"


def test_a_difference_within_the_noise_is_not_shown():
    found = compare(repeats([100, 140, 60]), repeats([120, 80, 130]))
    assert not any(row.is_shown for row in found.rows)
    assert row_of(found).low < 0 < row_of(found).high
    assert found.lines == ("No difference shown: the 95 % intervals of all differences hold 0.",)


def test_latencies_of_neighbouring_buckets_are_not_different():
    wide = 0.000_064  # from 65.536 to 131.072 ms
    before, after = (
        [replace(ONE, repeat=n, latency=Histogram.of([at] * 9)) for n in (1, 2, 3)] for at in (0.1, 0.1 + wide)
    )
    found = compare(document(before), document(after))
    assert not any(row.is_shown for row in found.rows)
    assert row_of(found, "p99").low == pytest.approx(0.0, abs=1e-6)


def test_a_repeat_in_which_nothing_was_stored_has_no_latency():
    none = replace(ONE, stored=0, stored_per_second=0.0, latency=Histogram())
    failed = [replace(none, repeat=number) for number in (1, 2, 3)]
    found = compare(repeats([100, 101, 99]), document(failed))
    assert [(row.metric, row.text) for row in found.rows] == [("rate", "100.0 % fewer (97.5 % to 100.0 %)")]
    found = compare(repeats([100, 101, 99]), document([*repeats([100, 101, 99]).phases, replace(none, repeat=4)]))
    assert len(row_of(found, "p99").second) == 3
    assert not row_of(found, "p99").is_shown


def test_differences_by_chance_are_named():
    found = compare(repeats([100, 101, 99]), repeats([120, 121, 119]))
    assert found.lines[1:] == ("1 of 4 numbers differs; by chance alone, one in 20 may.",)


@pytest.mark.parametrize(("first", "second"), [([100], [200]), ([100, 101], [200]), ([100], [200, 201])])
def test_with_a_single_repeat_nothing_can_be_shown(first, second):
    found = compare(repeats(first), repeats(second))
    row = row_of(found)
    assert (row.low, row.high, row.is_shown) == (None, None, False)
    assert row.text == "nothing can be shown with a single repeat"
    assert found.lines == ("Nothing can be shown with a single repeat: measure each several times (3 or more).",)


def test_a_rate_of_zero_has_no_share():
    row = row_of(compare(repeats([0, 0]), repeats([10, 11])))
    assert row.change is None
    assert row.text == "different"


def test_warm_up_and_phases_of_one_side_are_left_out():
    first = document([replace(ONE, is_counted=False), replace(ONE, name="x")])
    second = document([replace(ONE, name="x"), replace(ONE, name="y")])
    found = compare(first, second)
    assert {row.phase for row in found.rows} == {"x"}
    assert "only B has y" in found.warnings


def test_documents_without_a_common_phase_are_not_compared():
    found = compare(document([replace(ONE, name="x")]), document([replace(ONE, name="y")]))
    assert found.lines == ("The two have no phase in common, so nothing is compared.",)


@pytest.mark.parametrize(
    ("setup", "warning"),
    [
        (replace(SETUP, corpus=replace(SETUP.corpus, hash="cd" * 32)), "the instances differ (hash of the corpus)"),
        (replace(SETUP, corpus=replace(SETUP.corpus, kinds=SETUP.corpus.kinds[:1])), "the kinds of instances differ"),
        (with_peer(SETUP, window=8), "window: 1 in A, 8 in B"),
        (with_peer(SETUP, maximum_length=16384), "maximum length: none in A, 16384 in B"),
        (with_peer(SETUP, host="other"), "host: pacs in A, other in B"),
        (
            with_peer(SETUP, implementation_version_name="ORTHANC"),
            "implementation of the PACS: no name (1.2.3) in A, ORTHANC (1.2.3) in B",
        ),
        (replace(SETUP, python="3.12.1"), "version of Python: 3.11.7 in A, 3.12.1 in B"),
        (replace(SETUP, machine={**SETUP.machine, "cores": 8}), "machine: cores: 2 in A, 8 in B"),
        (replace(SETUP, options={**SETUP.options, "duration": 30.0}), "--duration: 60.0 in A, 30.0 in B"),
        (replace(SETUP, options={**SETUP.options, "tls": True}), "--tls: not given in A, given in B"),
    ],
)
def test_different_setups_are_warned_about(setup, warning):
    assert compare(document(), replace(document(), setup=setup)).warnings == (warning,)


def test_a_measurement_that_lost_the_pacs_is_warned_about():
    lost = document([replace(ONE, lost_after=0.5)])
    warnings = compare(document([ONE]), lost).warnings
    assert warnings == (f"B lost the PACS in {ONE.name}: its rates are those until then",)


def test_options_that_change_no_measurement_are_no_warning():
    setup = replace(
        SETUP, options={**SETUP.options, "json": "b.json", "repeat": 5, "verbose": True}, seed=8, started="later"
    )
    assert compare(document(), replace(document(), setup=setup)).warnings == ()


def test_different_loads_and_limits_of_this_side_are_warned_about():
    first = document([ONE])
    second = document([replace(ONE, associations=8, model="open", seconds=0.5)])
    second = replace(second, verdict=replace(second.verdict, client_bound=True))
    assert set(compare(first, second).warnings) == {
        "B is client-bound: its numbers are not the limit of the PACS",
        "B was interrupted in 4 associations",
        "4 associations: model closed in A, open in B",
        "4 associations: associations 4 in A, 8 in B",
    }


def test_a_sum_of_machines_that_were_together_for_a_part_is_not_called_interrupted():
    merged = replace(document([replace(ONE, seconds=0.5)]), parts=(PART,))
    [warning] = compare(document([ONE]), merged).warnings
    assert warning == "B is of machines that were together for only a part of 4 associations"


def test_the_same_document_has_no_warning_and_no_difference():
    same = repeats([100, 110, 90])
    found = compare(same, same)
    assert found.warnings == ()
    assert not any(row.is_shown for row in found.rows)


def test_a_comparison_has_a_json_form():
    written = comparison_to_json(compare(repeats([100, 101]), repeats([120, 121])))
    assert (written["type"], written["version"]) == ("asyncstore-bench-comparison", 1)
    assert written["rows"][0]["first"] == [100, 101]
    assert json.loads(json.dumps(written, allow_nan=False)) == written
