"""When instances and studies arrive."""

import math
from itertools import islice, pairwise

import pytest

from asyncstore.errors import UsageError
from asyncstore.load.plan.arrivals import Rates, Segment


def times(rates):
    return [arrival.at for arrival in rates]


def test_fixed_arrivals_have_equal_distances():
    assert times(Rates((Segment(1.0, 4.0, 4.0),))) == pytest.approx([0.125, 0.375, 0.625, 0.875])


@pytest.mark.parametrize(("start", "end"), [(0.0, 100.0), (100.0, 0.0), (20.0, 70.0), (50.0, 50.0)])
def test_a_ramp_has_as_many_arrivals_until_each_time_as_the_area_below_it(start, end):
    arrived = times(Rates((Segment(10.0, start, end),)))
    assert len(arrived) == (start + end) * 5
    for number, at in enumerate(arrived):
        assert start * at + (end - start) / 10 * at * at / 2 == pytest.approx(number + 0.5)


def test_segments_follow_one_another_without_a_gap():
    in_parts = Rates((Segment(0.35, 10.0, 10.0), Segment(0.17, 10.0, 10.0), Segment(0.48, 10.0, 10.0)))
    assert times(in_parts) == pytest.approx(times(Rates((Segment(1.0, 10.0, 10.0),))))
    assert times(Rates((Segment(1.0, 2.0, 2.0), Segment(5.0, 0.0, 0.0), Segment(1.0, 2.0, 2.0)))) == pytest.approx(
        [0.25, 0.75, 6.25, 6.75]
    )


def test_random_arrivals_are_a_poisson_process():
    gaps = sorted(later - earlier for earlier, later in pairwise(times(Rates((Segment(200.0, 100, 100),), "poisson"))))
    assert sum(gaps) / len(gaps) == pytest.approx(0.01, rel=0.03)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert gaps[int(share * len(gaps))] == pytest.approx(-math.log(1 - share) / 100, rel=0.08)


def test_random_arrivals_follow_a_ramp():
    arrived = times(Rates((Segment(100.0, 0.0, 200.0),), "poisson", seed=3))
    assert len(arrived) == pytest.approx(10_000, rel=0.03)
    assert sum(at < 50 for at in arrived) == pytest.approx(2500, rel=0.06)
    assert arrived == sorted(arrived)


def test_the_seed_and_the_repetition_say_which_random_arrivals_come():
    rates = Rates((Segment(1.0, 100, 100),), "poisson", seed=5)
    assert times(rates) == times(rates) == times(rates.repeated(1))
    others = [rates, rates.repeated(2), rates.repeated(3), Rates(rates.segments, "poisson", seed=6)]
    assert len({tuple(times(one)) for one in others}) == 4


def test_studies_arrive_as_a_whole():
    assert {arrival.instances for arrival in Rates((Segment(1.0, 9, 9),), is_by_study=True)} == {0}
    assert {arrival.instances for arrival in Rates((Segment(1.0, 9, 9),))} == {1}


def test_beside_a_phase_the_load_is_that_of_its_beginning_or_end():
    ramp = Rates((Segment(1.0, 0.0, 10.0), Segment(1.0, 10.0, 30.0)))
    assert ramp.beside(2.0, is_before=True).segments == (Segment(2.0, 10.0, 10.0),)
    assert ramp.beside(2.0, is_before=False).segments == (Segment(2.0, 30.0, 30.0),)


@pytest.mark.parametrize(
    ("segment", "complaint"),
    [
        (Segment(0.0, 1.0, 1.0), "cannot last 0 s"),
        (Segment(math.inf, 1.0, 1.0), "cannot last inf s"),
        (Segment(math.nan, 1.0, 1.0), "cannot last nan s"),
        (Segment(1.0, -1.0, 1.0), "-1/s is no rate"),
        (Segment(1.0, 1.0, math.nan), "nan/s is no rate"),
        (Segment(1.0, 1.0, 2e6), "it must be from 0 to 1000000/s"),
    ],
)
def test_impossible_rates_and_times_are_refused(segment, complaint):
    with pytest.raises(UsageError, match=complaint):
        Rates((segment,))


def test_arrivals_are_made_as_they_are_needed():
    assert len(list(islice(Rates((Segment(1e9, 1e6, 1e6),), "poisson"), 1000))) == 1000
