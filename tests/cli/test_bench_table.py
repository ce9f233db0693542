"""The table at the end of ``bench``."""

import re
from dataclasses import replace

from asyncstore.cli.text.bench_table import bench_lines
from asyncstore.load.results.document import Findable, Knee, Law, Step, ThresholdResult, Verdict
from asyncstore.load.results.histogram import Histogram
from asyncstore.observe.output import plain
from support.measured import PART, closed, document, opened, result


def text(found, **more):
    return "\n".join(plain(line) for line in bench_lines(found, **more))


def with_verdict(found, *lines, passed=True, client_bound=False):
    return replace(found, verdict=Verdict(passed=passed, client_bound=client_bound, lines=lines))


def test_the_verdict_comes_first_then_loads_latencies_parts_and_modalities():
    shown = text(with_verdict(document(), "It takes 400/s."))
    places = [
        shown.index(part)
        for part in ("It takes 400/s.", "closed load", "latency of a store", "where the time went", "by modality")
    ]
    assert places[0] == 0
    assert places == sorted(places)


def test_rates_and_percentiles_of_each_load_stand_in_columns():
    slow, fast = result(closed(1), rate=50.0, service=0.02), result(closed(4), rate=100.0)
    lines = text(document([slow, fast])).splitlines()
    head = next(place for place, line in enumerate(lines) if "closed load" in line)
    assert lines[head].split() == ["closed", "load", "stored", "bytes", "failed"]
    assert " 50/s " in lines[head + 1]
    assert " 100/s " in lines[head + 2]
    assert not any(line.strip().startswith("all ") for line in lines), "steps are different loads"


def test_an_open_load_shows_what_was_offered_and_dropped():
    measured = replace(result(opened(rate=100.0)), dropped=12, unknown=3)
    shown = text(document([measured]))
    assert "open load" in shown
    for head in ("offered", "assoc.", "dropped", "unknown"):
        assert head in shown


def test_repeats_of_one_load_are_shown_alone_and_together():
    shown = text(document([result(closed(4, repeat=1)), result(closed(4, repeat=2), seed=2)]))
    assert "4 associations, run 1" in shown
    assert "4 associations, run 2" in shown
    assert any(line.strip().startswith("all ") for line in shown.splitlines())


def test_the_runs_of_each_of_several_loads_stand_together():
    phases = [result(closed(number, repeat=repeat), seed=repeat) for repeat in (1, 2) for number in (1, 4)]
    shown = text(document(phases))
    assert "1 association, 2 runs" in shown or "1 associations, 2 runs" in shown
    assert "4 associations, 2 runs" in shown
    assert "run 1" not in shown


def test_the_warm_up_is_not_shown():
    shown = text(document([replace(result(closed(2)), is_counted=False, name="warm-up"), result(closed(4))]))
    assert "warm-up" not in shown


def test_no_line_of_a_table_is_wider_than_a_terminal():
    measured = replace(result(opened(rate=100.0)), dropped=120_000, unknown=3, failed=100_000, name="100000 exams/h")
    found = document([measured])
    assert max(map(len, text(found).splitlines())) <= 80


def test_failures_and_lost_associations_are_named():
    bad = result(closed(), status=lambda number: 0xA700 if number % 10 == 0 else None if number % 10 == 1 else 0)
    bad = replace(bad, errors={"the peer aborted\x1b[31m": 3})
    shown = text(document([bad]))
    assert "x status: 0xA700 out of resources" in shown
    assert "3 x association: the peer aborted\\x1b[31m" in shown
    assert "x status: 0x0000" not in shown


def test_a_status_that_somebody_made_up_is_shown_as_it_is():
    assert "4 x status: 0xZZ\\n" in text(document([replace(result(closed()), statuses={"0xZZ\n": 4, "0x0000": 9})]))


def test_only_the_most_frequent_reasons_are_shown():
    bad = replace(result(), errors={f"reason {number}": number + 1 for number in range(20)})
    shown = text(document([bad]))
    assert "20 x association: reason 19" in shown
    assert "reason 0" not in shown
    assert "and 12 more reasons" in shown


def test_thresholds_say_whether_they_hold():
    found = replace(
        document(),
        thresholds=(
            ThresholdResult(text="p99<2s", value=0.5, limit=2.0, is_crossed=False),
            ThresholdResult(text="rate>150/s", value=100.0, limit=150.0, is_crossed=True),
        ),
    )
    shown = text(found)
    assert "threshold p99<2s: 500 ms, holds" in shown
    assert "threshold rate>150/s: 100/s, crossed" in shown


def test_a_pacs_that_keeps_a_single_association_open_is_named():
    phases = [result(closed(1)), replace(result(closed(4)), associations=1)]
    shown = text(document(phases))
    assert "4 associations (1 open)" in shown
    assert "The PACS kept no more than 1 association open, more were wanted." in shown


def test_a_load_in_which_the_pacs_was_lost_says_when():
    lost, never = (replace(result(closed(n)), lost_after=after) for n, after in ((4, 2.5), (8, 0.0)))
    shown = text(document([result(closed(2)), lost, never]))
    assert re.search(r"4 associations \(lost after 2\.5 s\) +100/s", shown)
    assert "8 associations (none open) " in shown
    assert "stored in 12 s" in shown


def test_the_knee_recommends_and_shows_the_fit():
    knee = Knee(
        steps=(Step(associations=1, stored_per_second=100.0, p50=0.01, p99=0.02, repeats=1),),
        best_per_second=400.0,
        p99_limit=None,
        associations=4,
        recommended=4,
        law=Law(
            per_association=100.0,
            contention=0.05,
            coherency=0.001,
            residuals=(0.01, -0.04),
            peak_associations=30.0,
            peak_per_second=500.0,
        ),
    )
    shown = text(replace(document(), knee=knee))
    assert "Recommended: --associations 4." in shown
    assert "its peak is 500/s with 30 associations" in shown
    assert "up to 4 %" in shown


def test_a_knee_that_cannot_be_told_says_why():
    knee = Knee(
        steps=(),
        best_per_second=0.0,
        p99_limit=None,
        associations=None,
        recommended=None,
        law=None,
        reasons=("Too few.",),
    )
    shown = text(replace(document(), knee=knee))
    assert "Too few." in shown
    assert "Recommended" not in shown


def test_findable_instances_have_a_line():
    found = Findable(asked=10, found=9, not_found=1, latency=Histogram.of([0.1] * 9), errors={"no answer": 2})
    shown = text(replace(document(), findable=found))
    assert "C-FIND after C-STORE: 9 of 10 instances were found, 1 were not; p50 100 ms" in shown
    assert "2 x no answer" in shown


def test_an_interrupted_measurement_says_so_first():
    assert text(document(), interrupted=True).startswith("Interrupted: this is what was measured until then.")


def test_a_measurement_that_was_interrupted_in_its_warm_up_shows_no_load():
    assert "load" not in text(document([replace(result(closed()), is_counted=False)]), interrupted=True)


def test_the_instances_of_a_sum_have_no_time():
    """They are all of the machines', and the time is that in which all of them ran."""
    assert "instances stored in 10 s" in text(document())
    assert "instances stored, " in text(replace(document(), parts=(PART,)))


def test_a_measurement_without_a_stored_instance_has_no_latencies():
    shown = text(document([result(closed(), status=lambda _: 0xA700)]))
    assert "latency of a store" not in shown
    assert "0xA700 out of resources" in shown
