"""Lists of phases, and the profiles and recordings that some of them come from."""

import json

import pytest

from asyncstore.errors import UsageError
from asyncstore.load.plan.phases import (
    around,
    closed,
    exams,
    open_rate,
    profile_of_year,
    replayed,
    stages,
)
from asyncstore.load.plan.profile import OF_DAY, OF_WEEK, Profile, parse_profile
from asyncstore.load.plan.replay import read_replay


def names(planned):
    return [one.phase.name for one in planned]


def test_phases_say_what_they_are():
    assert names([closed(1, 5.0), closed(8, 5.0), open_rate(200, 5.0, 8), exams(0.02, 5.0, 8)]) == [
        "1 association", "8 associations", "200/s", "72 exams/h",
    ]  # fmt: skip
    assert names([open_rate(0.5, 5.0, 8), open_rate(2 / 3600, 5.0, 8)]) == ["0.5/s", "2/h"]
    many = (open_rate(1e6, 5.0, 8), exams(300, 5.0, 8), profile_of_year(parse_profile("exams-per-year=1.5M"), 5.0, 8))
    assert names(many) == ["1M/s", "1.08M exams/h", "1.5M exams a year"]
    assert names(stages([(60, 50), (300, 200)], 8)) == ["stage 1", "stage 2"]
    assert [one.phase.is_open for one in (closed(1, 5.0), open_rate(200, 5.0, 8))] == [False, True]


def test_stages_go_on_from_rate_to_rate():
    first, second, third = stages([(60, 50), (300, 200), (60, 0)], 8)
    assert [one.arrivals.segments[0] for one in (first, second, third)] == [(60, 0, 50), (300, 50, 200), (60, 200, 0)]
    assert [one.follows_on for one in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (lambda: closed(0, 5.0), "0 associations put no load"),
        (lambda: closed(1, 0.0), "cannot last 0 s"),
        (lambda: open_rate(0.0, 5.0, 8), "a rate of 0/s begins nothing"),
        (lambda: exams(0.0, 5.0, 8), "a rate of 0/s begins nothing"),
        (lambda: open_rate(10.0, float("inf"), 8), "cannot last inf s"),
        (lambda: stages([(60, 0)], 8), "these stages begin nothing"),
        (lambda: stages([], 8), "these stages begin nothing"),
        (lambda: stages([(0, 5)], 8), "cannot last 0 s"),
        (lambda: around([closed(1, 5.0)], repeats=10**9), "at most 10000 phases"),
    ],
)
def test_loads_that_are_none_are_refused(plan, complaint):
    with pytest.raises(UsageError, match=complaint):
        plan()


def test_warm_up_and_cool_down_surround_the_repetitions_and_do_not_count():
    measured = stages([(10, 50), (20, 200)], 8, how="poisson", seed=7)
    planned = around(measured, repeats=2, warm_up=3.0, cool_down=4.0)
    assert names(planned) == ["warm-up", "stage 1", "stage 2", "stage 1", "stage 2", "cool-down"]
    assert [one.phase.is_counted for one in planned] == [False, True, True, True, True, False]
    assert [one.phase.repeat for one in planned[1:-1]] == [1, 1, 2, 2]
    assert [one.follows_on for one in planned] == [False, True, True, False, True, True]
    assert [one.phase.seconds for one in planned] == [3.0, 10, 20, 10, 20, 4.0]
    assert [planned[place].arrivals.segments for place in (0, -1)] == [((3.0, 50, 50),), ((4.0, 200, 200),)]
    assert len({tuple(one.arrivals) for one in planned}) == 6
    assert around(measured) == measured


def test_the_runs_of_a_load_that_is_given_several_times_are_numbered():
    planned = around([closed(number, 5.0) for number in (1, 2, 1)], repeats=2)
    assert [(one.phase.associations, one.phase.repeat) for one in planned] == [
        (1, 1),
        (2, 1),
        (1, 2),
        (1, 3),
        (2, 2),
        (1, 4),
    ]


def test_beside_a_closed_load_there_is_the_same_load():
    warm_up, _, _, cool_down = around([closed(number, 5.0) for number in (2, 8)], warm_up=1.0, cool_down=2.0)
    assert (warm_up.phase.associations, cool_down.phase.associations) == (2, 8)
    assert (warm_up.arrivals, cool_down.arrivals) == (None, None)


# Profiles -------------------------------------------------------------------------------------------------------------


def test_a_profile_divides_all_exams_of_a_year():
    assert sum(OF_WEEK) == pytest.approx(100)
    assert sum(OF_DAY) == pytest.approx(100)
    assert max(OF_DAY) == 12
    profile = Profile(1_500_000)
    week = sum(profile.rate(day, hour) * 3600 for day in range(7) for hour in range(24))
    assert week * 365.25 / 7 == pytest.approx(1_500_000)


def test_a_profile_begins_at_its_busiest_hour_unless_it_says_another():
    assert parse_profile("exams-per-year=1.5M") == Profile(1_500_000, 1, 10)
    busiest = parse_profile("exams-per-year=300k")
    rates = {busiest.rate(day, hour) for day in range(7) for hour in range(24)}
    assert busiest.rate(busiest.weekday, busiest.hour) == max(rates)
    assert parse_profile("exams-per-year=20000, start=SUN-23") == Profile(20_000, 6, 23)


def test_a_profile_goes_from_hour_to_hour_and_from_week_to_week():
    profile = Profile(1_000_000, 6, 23)
    last, first, second = profile.segments(2 * 3600 + 60)
    assert [part.seconds for part in (last, first, second)] == [3600, 3600, 60]
    assert [part.start for part in (last, first, second)] == [profile.rate(*at) for at in ((6, 23), (0, 0), (0, 1))]
    planned = profile_of_year(Profile(1_500_000), 3600.0, 16)
    assert planned.is_by_study
    assert len(list(planned.arrivals)) == pytest.approx(655, rel=0.1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no profile"),
        ("1.5M", "is no profile"),
        ("exams=5", "is no profile"),
        ("exams-per-year=many", "'many' .* is no number of exams"),
        ("exams-per-year=-5", "is no number of exams"),
        ("exams-per-year=0", "has no exams"),
        ("start=mon-7", "has no exams"),
        ("exams-per-year=5,start=mon", "'mon' .* is no weekday and hour"),
        ("exams-per-year=5,start=mon-24", "'mon-24' .* is no weekday and hour"),
    ],
)
def test_texts_that_are_no_profile_are_refused_with_an_example(text, complaint):
    with pytest.raises(UsageError, match=f"{complaint}.*write exams-per-year=1.5M"):
        parse_profile(text)


# Replay ---------------------------------------------------------------------------------------------------------------


def line(at, seconds, size, association=1):
    time = f"2026-01-01T00:00:{at:06.3f}Z"
    fields = {"type": "outcome", "time": time, "bytes": size, "seconds": seconds, "association": association}
    return json.dumps(fields)


def test_a_recorded_run_is_repeated_with_its_arrivals_and_sizes():
    lines = [
        '{"type":"start","time":"2026-01-01T00:00:00.000Z"}',
        line(2.5, 0.5, 4001),
        line(1.25, 0.25, 2000),
        line(2.6, 0.1, 9000, association=None),
        line(3.0, 1.0, 10),
        "",
        '{"type":"summary","time":"2026-01-01T00:00:09.000Z"}',
    ]
    replay = read_replay(lines, "run.jsonl", speed=2)
    assert [(at, replay.kinds[kind].bytes) for at, _, kind in replay] == [(0.0, 2000), (0.5, 4002), (0.5, 1024)]
    assert sum(kind.share for kind in replay.kinds) == pytest.approx(1)
    planned = replayed(replay, 4)
    assert planned.phase.seconds == pytest.approx(1.0)  # until its last response
    assert all(arrival.at < planned.phase.seconds for arrival in planned.arrivals)
    assert names(around([planned], warm_up=0.1)) == ["warm-up", "replay"]


def test_many_sizes_are_put_together():
    sizes = range(2000, 2_000_000, 998)
    replay = read_replay([line(1 + number / 100, 0.0, size) for number, size in enumerate(sizes)], "run.jsonl")
    assert len(replay.kinds) < 90
    for size, (_, _, kind) in zip(sizes, replay, strict=True):
        assert replay.kinds[kind].bytes == pytest.approx(size, rel=0.1)
    assert sum(replay.kinds[kind].bytes for _, _, kind in replay) == pytest.approx(sum(sizes), rel=0.001)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["not JSON"], "line 1 is no JSON line"),
        (['{"type":"start"}', "[1]"], "line 2 is no JSON line"),
        (['{"type":"outcome"}'], "line 1 is no JSON line"),
        ([line(1, 0.1, 10).replace("2026-01", "soon")], "line 1 is no JSON line"),
        ([line(1, 0.1, float("inf"))], "line 1 is no JSON line"),
        ([line(1, float("inf"), 10)], "line 1 is no JSON line"),
        ([line(1, -5e9, 10)], "line 1 is no JSON line"),
        ([], "records no instance that was sent"),
        ([line(1, 0.1, 10, association=None)], "records no instance that was sent"),
    ],
)
def test_files_that_are_no_recorded_run_are_refused(lines, complaint):
    with pytest.raises(UsageError, match=f"^run.jsonl: .*{complaint}"):
        read_replay(lines, "run.jsonl")


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_impossible_speeds_are_refused(speed):
    with pytest.raises(UsageError, match="cannot be repeated"):
        read_replay([line(1, 0.1, 10)], "run.jsonl", speed)
