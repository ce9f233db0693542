import pytest

from asyncstore.model import Progress
from asyncstore.observe.pace import Pace
from asyncstore.observe.tally import Tally
from support.samples import failed, not_sent, progress, stored, withdrawn


def _run(seconds, per_second=100, found=1000):
    """A steady run, sampled four times a second."""
    pace, tally = Pace(), Tally(0.0)
    for tick in range(1, seconds * 4 + 1):
        tally.add(stored(per_second // 4))
        pace.sample(tally, progress(found, sent=tally.bytes), tick / 4)
    return pace, tally


def test_a_steady_run_has_a_steady_rate():
    pace, _ = _run(seconds=8)
    assert pace.rate.instances == pytest.approx(100)
    assert pace.rate.bytes == pytest.approx(100_000)


def test_a_stall_is_seen_within_the_window():
    pace, tally = _run(seconds=8)
    for tick in range(1, 24):
        pace.sample(tally, progress(1000, sent=tally.bytes), 8 + tick / 4)
    assert pace.rate.instances == 0


def test_the_share_done_and_the_time_left_follow_from_what_is_found():
    pace, _ = _run(seconds=6)
    assert pace.fraction == pytest.approx(0.6)
    assert pace.seconds_left == pytest.approx(4.0, rel=0.01)


def test_no_time_left_is_guessed_at_the_very_beginning():
    pace, _ = _run(seconds=1)
    assert pace.seconds_left is None


def test_no_time_left_is_guessed_while_the_walk_goes_on():
    """A walk that is held back by a full backlog is always the same few files ahead."""
    pace, tally = Pace(), Tally(0.0)
    for tick in range(1, 41):
        tally.add(stored(25))
        pace.sample(tally, progress(tally.done + 1000, walking=True, sent=tally.bytes), tick / 4)
        assert pace.seconds_left is None
    pace.sample(tally, progress(2000, sent=tally.bytes), 10.25)
    assert pace.seconds_left == pytest.approx(10, rel=0.05)


def test_no_time_left_is_guessed_while_nothing_is_done():
    pace, tally = Pace(), Tally(0.0)
    pace.sample(tally, progress(10), 60.0)
    assert pace.seconds_left is None


def test_a_large_instance_under_way_moves_the_share_done():
    pace, tally = Pace(), Tally(0.0)
    pace.sample(tally, Progress(1, False, 1, 4_000_000_000, 1_000_000_000, 1, ()), 1.0)
    assert pace.fraction == pytest.approx(0.25, rel=0.01)


def test_files_not_yet_looked_into_count_as_average_ones():
    pace, tally = Pace(), Tally(0.0)
    tally.add(stored(50, size=10_000_000))
    pace.sample(tally, Progress(100, True, 50, 500_000_000, 500_000_000, 1, ()), 10.0)
    assert pace.fraction == pytest.approx(0.5)


def test_bytes_sent_again_do_not_count_as_more_than_all():
    pace, tally = Pace(), Tally(0.0)
    pace.sample(tally, progress(10, sent=1_000_000_000), 1.0)
    assert pace.fraction == 1.0


def test_a_run_is_done_when_all_its_files_have_an_outcome_even_if_they_were_never_sent():
    pace, tally = Pace(), Tally(0.0)
    tally.add([failed(), not_sent()])
    pace.sample(tally, progress(2), 3.0)
    assert pace.fraction == 1.0
    tally.add([])
    pace.sample(tally, progress(2), 4.0)
    assert pace.seconds_left == 0.0


def test_samples_at_the_same_moment_do_no_harm():
    pace, tally = Pace(), Tally(5.0)
    pace.sample(tally, progress(0), 5.0)
    pace.sample(tally, progress(0), 5.0)
    assert pace.rate == (0.0, 0.0)
    assert pace.fraction == 0.0


def test_what_is_withdrawn_at_the_end_of_a_run_is_no_progress():
    pace, tally = _run(seconds=4)
    before = pace.fraction
    tally.add([withdrawn()] * 600)
    pace.sample(tally, progress(1000, sent=tally.bytes), 4.25)
    assert pace.fraction == pytest.approx(before)
    assert pace.seconds_left is None


def test_what_the_scp_refuses_has_no_rate_however_fast_it_is_sent():
    pace, tally = Pace(), Tally(0.0)
    for tick in range(1, 41):
        tally.add([failed()] * 100)
        pace.sample(tally, progress(10_000, sent=tally.bytes_settled), tick / 4)
        assert pace.rate == (0.0, 0.0)


def test_the_rate_of_bytes_is_that_of_stored_instances_while_others_are_refused():
    pace, tally = Pace(), Tally(0.0)
    for tick in range(1, 41):
        tally.add([*stored(25), *[failed()] * 75])
        pace.sample(tally, progress(10_000, sent=tally.bytes_settled), tick / 4)
    assert pace.rate == (pytest.approx(100), pytest.approx(100_000))


def test_a_large_instance_under_way_has_a_rate_also_when_another_was_refused_long_ago():
    pace, tally = Pace(), Tally(0.0)
    tally.add([failed()])
    for tick in range(1, 41):
        pace.sample(tally, Progress(2, False, 2, 4_000_000_000, tick * 25_000_000, 1, ()), tick / 4)
    assert pace.rate == (0.0, pytest.approx(100_000_000))


def test_no_time_left_is_guessed_from_bytes_that_may_lie_in_buffers():
    """A small file that hangs on its way says nothing about how fast files go."""
    pace, tally = Pace(30.0), Tally(0.0)
    for tick in range(1, 121):
        pace.sample(tally, Progress(1, False, 1, 4000, 4000, 1, ()), tick / 4)
    assert pace.seconds_left is None
    tally.add([not_sent()])  # nor does a file that never went anywhere
    pace.sample(tally, Progress(2, False, 2, 4000, 4000, 1, ()), 30.5)
    assert pace.seconds_left is None


def test_a_large_instance_under_way_lets_the_time_left_be_told():
    pace, tally = Pace(), Tally(0.0)
    for tick in range(1, 41):
        pace.sample(tally, Progress(1, False, 1, 2_000_000_000, tick * 25_000_000, 1, ()), tick / 4)
    assert pace.seconds_left == pytest.approx(10, rel=0.01)
