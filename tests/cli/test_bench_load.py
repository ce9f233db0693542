"""From the options of ``bench`` to kinds, plan and associations."""

from itertools import pairwise

import pytest

from asyncstore.cli.commands.bench_load import kinds_of, most_associations, plan_of, replay_of
from asyncstore.cli.options.bench_commands import BENCH
from asyncstore.cli.options.grammar import parse
from asyncstore.errors import UsageError


def parsed(*words):
    return parse(BENCH, [*words, "pacs", "11112"], {})


def plan(*words):
    return [planned.phase for planned in plan_of(parsed(*words), 1, None)]


def test_without_options_it_measures_five_steps_in_less_than_a_minute():
    phases = plan()
    assert [phase.associations for phase in phases if phase.is_counted] == [1, 2, 4, 8, 16]
    assert sum(phase.seconds for phase in phases) < 60
    assert not any(phase.is_open for phase in phases)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--associations", "3"), [(3, 30, False)]),
        (("--associations", "3", "--duration", "5s"), [(3, 5, False)]),
        (("--steps", "2,5", "--duration", "5s"), [(2, 5, False), (5, 5, False)]),
        (("--rate", "50"), [(8, 30, True)]),
        (("--rate", "50", "--associations", "4", "--repeat", "2"), [(4, 30, True)] * 2),
        (("--exams", "60/h", "--duration", "1h"), [(8, 3600, True)]),
        (("--profile", "exams-per-year=1.5M", "--duration", "5m"), [(8, 300, True)]),
        (("--stages", "1m:50,2m:100/s"), [(8, 60, True), (8, 120, True)]),
    ],
)
def test_a_load_has_its_phases(words, expected):
    phases = plan(*words, "--warm-up", "0")
    assert [(phase.associations, phase.seconds, phase.is_open) for phase in phases] == expected


def test_warm_up_and_cool_down_stand_around_them():
    phases = plan("--associations", "2", "--warm-up", "3s", "--cool-down", "4s")
    assert [(phase.seconds, phase.is_counted) for phase in phases] == [(3, False), (30, True), (4, False)]


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (("--rate", "2"), [0.25, 0.75, 1.25]),
        (("--rate", "2", "--arrivals", "fixed"), [0.25, 0.75, 1.25]),
    ],
)
def test_instances_arrive_at_equal_intervals_unless_it_is_asked_otherwise(words, times):
    [planned] = plan_of(parsed(*words, "--warm-up", "0"), 1, None)
    assert [arrival.at for arrival, _ in zip(planned.arrivals, times, strict=False)] == times


def test_exams_and_instances_can_arrive_at_random():
    for words in (("--rate", "2", "--arrivals", "poisson"), ("--exams", "7200/h")):
        [planned] = plan_of(parsed(*words, "--warm-up", "0"), 1, None)
        times = [arrival.at for arrival, _ in zip(planned.arrivals, range(9), strict=False)]
        assert len({round(after - before, 6) for before, after in pairwise(times)}) > 1


@pytest.mark.parametrize(
    ("words", "number"), [((), 16), (("--steps", "3,5"), 5), (("--associations", "4"), 4), (("--rate", "5"), 8)]
)
def test_calibration_has_as_many_associations_as_the_load(words, number):
    assert most_associations(parsed(*words)) == number


def test_the_kinds_are_those_of_the_mix_or_of_the_size():
    assert [kind.name for kind in kinds_of(parsed("--mix", "ct=3,sr=1"))] == ["ct", "sr"]
    assert [kind.bytes for kind in kinds_of(parsed("--size", "2K"))] == [2000]
    assert len(kinds_of(parsed())) > 3


def test_stages_that_begin_nothing_are_refused():
    with pytest.raises(UsageError, match="begin nothing"):
        plan("--stages", "5s:0")


@pytest.mark.parametrize(("content", "complaint"), [(None, "No such file"), (b"x", "line 1"), (b"\xff", "utf-8")])
def test_a_record_that_cannot_be_read_is_refused(tmp_path, content, complaint):
    record = tmp_path / "run.jsonl"
    if content is not None:
        record.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        replay_of(parsed("--replay", str(record)))
