import pytest

from asyncstore.model import Progress
from asyncstore.observe.rates import Rates
from asyncstore.observe.tally import Tally
from support.samples import failed, not_sent, progress, stored, withdrawn


def _run(seconds, per_second=100, found=1000):
    """A steady run, sampled four times a second."""
    rates, tally = Rates(), Tally(0.0)
    for tick in range(1, seconds * 4 + 1):
        tally.add(stored(per_second // 4))
        rates.sample(tally, progress(found, sent=tally.bytes), tick / 4)
    return rates, tally


def test_a_steady_run_has_a_steady_rate():
    rates, _ = _run(seconds=8)
    assert rates.rate.instances == pytest.approx(100)
    assert rates.rate.bytes == pytest.approx(100_000)


def test_a_stall_is_seen_within_the_window():
    rates, tally = _run(seconds=8)
    for tick in range(1, 24):
        rates.sample(tally, progress(1000, sent=tally.bytes), 8 + tick / 4)
    assert rates.rate.instances == 0


def test_the_share_done_and_the_time_left_follow_from_the_files_found():
    rates, _ = _run(seconds=6)
    assert rates.fraction == pytest.approx(0.6)
    assert rates.seconds_left == pytest.approx(4.0, rel=0.01)


def test_no_time_left_is_guessed_at_the_very_beginning():
    rates, _ = _run(seconds=1)
    assert rates.seconds_left is None


def test_no_time_left_is_guessed_while_the_walk_goes_on():
    """A full backlog holds the walk back: it is always the same few files ahead."""
    rates, tally = Rates(), Tally(0.0)
    for tick in range(1, 41):
        tally.add(stored(25))
        rates.sample(tally, progress(tally.done + 1000, walking=True, sent=tally.bytes), tick / 4)
        assert rates.seconds_left is None
    rates.sample(tally, progress(2000, sent=tally.bytes), 10.25)
    assert rates.seconds_left == pytest.approx(10, rel=0.05)


def test_no_time_left_is_guessed_while_nothing_is_done():
    rates, tally = Rates(), Tally(0.0)
    rates.sample(tally, progress(10), 60.0)
    assert rates.seconds_left is None


def test_a_large_instance_under_way_moves_the_share_done():
    rates, tally = Rates(), Tally(0.0)
    rates.sample(tally, Progress(1, False, 1, 4_000_000_000, 1_000_000_000, 1, ()), 1.0)
    assert rates.fraction == pytest.approx(0.25, rel=0.01)


def test_files_not_yet_looked_into_count_as_average_ones():
    rates, tally = Rates(), Tally(0.0)
    tally.add(stored(50, size=10_000_000))
    rates.sample(tally, Progress(100, True, 50, 500_000_000, 500_000_000, 1, ()), 10.0)
    assert rates.fraction == pytest.approx(0.5)


def test_bytes_sent_again_do_not_count_as_more_than_all():
    rates, tally = Rates(), Tally(0.0)
    rates.sample(tally, progress(10, sent=1_000_000_000), 1.0)
    assert rates.fraction == 1.0


def test_a_run_is_done_when_all_its_files_have_an_outcome_even_if_they_were_never_sent():
    rates, tally = Rates(), Tally(0.0)
    tally.add([failed(), not_sent()])
    rates.sample(tally, progress(2), 3.0)
    assert rates.fraction == 1.0
    tally.add([])
    rates.sample(tally, progress(2), 4.0)
    assert rates.seconds_left == 0.0


def test_samples_at_the_same_moment_do_no_harm():
    rates, tally = Rates(), Tally(5.0)
    rates.sample(tally, progress(0), 5.0)
    rates.sample(tally, progress(0), 5.0)
    assert rates.rate == (0.0, 0.0)
    assert rates.fraction == 0.0


def test_withdrawn_files_are_no_progress():
    rates, tally = _run(seconds=4)
    before = rates.fraction
    tally.add([withdrawn()] * 600)
    rates.sample(tally, progress(1000, sent=tally.bytes), 4.25)
    assert rates.fraction == pytest.approx(before)
    assert rates.seconds_left is None


def test_refused_instances_do_not_count_in_the_rate():
    rates, tally = Rates(), Tally(0.0)
    for tick in range(1, 41):
        tally.add([failed()] * 100)
        rates.sample(tally, progress(10_000, sent=tally.bytes_settled), tick / 4)
        assert rates.rate == (0.0, 0.0)


def test_the_rate_of_bytes_is_that_of_stored_instances_while_others_are_refused():
    rates, tally = Rates(), Tally(0.0)
    for tick in range(1, 41):
        tally.add([*stored(25), *[failed()] * 75])
        rates.sample(tally, progress(10_000, sent=tally.bytes_settled), tick / 4)
    assert rates.rate == (pytest.approx(100), pytest.approx(100_000))


def test_a_large_instance_under_way_has_a_rate_also_when_another_was_refused_long_ago():
    rates, tally = Rates(), Tally(0.0)
    tally.add([failed()])
    for tick in range(1, 41):
        rates.sample(tally, Progress(2, False, 2, 4_000_000_000, tick * 25_000_000, 1, ()), tick / 4)
    assert rates.rate == (0.0, pytest.approx(100_000_000))


def test_no_time_left_is_guessed_from_bytes_that_may_lie_in_buffers():
    """A small file that hangs on its way says nothing about how fast files go."""
    rates, tally = Rates(30.0), Tally(0.0)
    for tick in range(1, 121):
        rates.sample(tally, Progress(1, False, 1, 4000, 4000, 1, ()), tick / 4)
    assert rates.seconds_left is None
    tally.add([not_sent()])  # nor does a file that never went anywhere
    rates.sample(tally, Progress(2, False, 2, 4000, 4000, 1, ()), 30.5)
    assert rates.seconds_left is None


def test_a_large_instance_under_way_allows_an_estimate():
    rates, tally = Rates(), Tally(0.0)
    for tick in range(1, 41):
        rates.sample(tally, Progress(1, False, 1, 2_000_000_000, tick * 25_000_000, 1, ()), tick / 4)
    assert rates.seconds_left == pytest.approx(10, rel=0.01)
