import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.scalability import fit, throughput
from support.examples import examples
from support.measured import closed, opened, result

ONE = result(closed(seconds=1.0))
STEPS = (1, 2, 4, 8, 16, 32)


def phase(associations, rate, p99=0.1, repeat=1, **values):
    return replace(
        ONE, associations=associations, stored_per_second=rate, repeat=repeat, latency=Histogram.of([p99]), **values
    )


def curve(parameters, steps=STEPS, noise=0.0, seed=1):
    random = Random(seed)  # noqa: S311 - noise, not a secret
    return [(number, throughput(number, *parameters) * (1 + noise * random.gauss(0, 1))) for number in steps]


@settings(max_examples=examples(30))
@given(st.floats(0.5, 5000), st.floats(0, 0.6), st.floats(0, 0.05))
def test_known_parameters_are_found_again(per_association, contention, coherency):
    law = fit(curve((per_association, contention, coherency)))
    assert law.per_association == pytest.approx(per_association, rel=1e-3)
    assert law.contention == pytest.approx(contention, rel=1e-3, abs=1e-4)
    assert law.coherency == pytest.approx(coherency, rel=1e-3, abs=1e-5)
    assert max(map(abs, law.residuals)) < 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_with_noise_the_parameters_are_close_and_the_residuals_as_large_as_the_noise(seed):
    law = fit(curve((100.0, 0.05, 0.002), (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48), noise=0.02, seed=seed))
    assert law.per_association == pytest.approx(100, rel=0.08)
    assert law.contention == pytest.approx(0.05, abs=0.03)
    assert law.coherency == pytest.approx(0.002, rel=0.5)
    assert 0.003 < max(map(abs, law.residuals)) < 0.08
    assert law.peak_associations == pytest.approx(21.8, rel=0.3)


def test_a_retrograde_curve_has_its_peak_where_the_law_says():
    law = fit(curve((100.0, 0.1, 0.01)))
    assert law.peak_associations == pytest.approx((0.9 / 0.01) ** 0.5, rel=1e-3)
    assert law.peak_per_second == pytest.approx(throughput(law.peak_associations, 100.0, 0.1, 0.01), rel=1e-3)


def test_a_linear_curve_has_no_peak_and_no_bound():
    law = fit(curve((100.0, 0.0, 0.0)))
    assert (law.contention, law.coherency) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert law.peak_associations is None or law.peak_associations > 1e4
    assert law.peak_per_second is None or law.peak_per_second > 1e6


def test_a_curve_of_contention_alone_approaches_a_bound():
    law = fit([(number, 100.0 * number / (1 + 0.2 * (number - 1))) for number in STEPS])
    assert law.contention == pytest.approx(0.2, rel=1e-6)
    assert law.peak_per_second == pytest.approx(500.0, rel=0.05)


def test_a_curve_that_grows_faster_than_linear_has_parameters_of_zero():
    law = fit([(number, 100.0 * number**1.2) for number in STEPS])
    assert (law.contention, law.coherency) == (0.0, 0.0)
    assert max(map(abs, law.residuals)) > 0.1


@settings(max_examples=examples(25))
@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.floats(1e-6, 1e6)), min_size=5, max_size=9, unique_by=lambda each: each[0]
    )
)
def test_any_curve_has_a_fit_with_parameters_in_range(points):
    law = fit(sorted(points))
    assert law.per_association > 0
    assert law.contention >= 0
    assert law.coherency >= 0
    assert len(law.residuals) == len(points)
    assert law.peak_associations is None or law.peak_associations >= 1


@settings(max_examples=examples(15))
@given(st.lists(st.floats(10, 1000), min_size=6, max_size=6), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_no_parameters_nearby_fit_better(rates, more_contention, more_coherency):
    points = list(zip(STEPS, rates, strict=True))
    law = fit(points)

    def squares(*parameters):
        return sum(math.log(rate / throughput(number, *parameters)) ** 2 for number, rate in points)

    best = squares(law.per_association, law.contention, law.coherency)
    near = squares(law.per_association, law.contention * (1 + more_contention), law.coherency * (1 + more_coherency))
    assert best <= near * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize(
    "points",
    [curve((100.0, 0.1, 0.0), (1, 2, 4, 8)), [(1, 10.0)] * 6, [(n, 0.0) for n in STEPS], [(n, 5.0) for n in range(6)]],
)
def test_too_few_steps_and_rates_of_zero_are_not_fitted(points):
    assert fit(points) is None


def test_the_knee_is_the_fewest_associations_within_five_percent():
    knee = knee_of(
        [phase(1, 100.0), phase(2, 190.0), phase(4, 300.0), phase(8, 390.0), phase(16, 400.0), phase(32, 350.0)]
    )
    assert (knee.associations, knee.recommended, knee.best_per_second) == (8, 8, 400.0)
    assert knee.law is not None
    assert [step.associations for step in knee.steps] == list(STEPS)


def test_a_step_whose_p99_is_over_the_limit_is_no_knee():
    phases = [phase(1, 100.0, 0.1), phase(2, 190.0, 0.2), phase(4, 300.0, 0.9), phase(8, 390.0, 2.1)]
    assert knee_of(phases).associations == 8
    knee = knee_of(phases, p99_limit=1.0)
    assert (knee.associations, knee.recommended, knee.p99_limit) == (None, 4, 1.0)
    assert any("p99 was not under 1.00 s; the recommendation has p99 under it" in reason for reason in knee.reasons)
    knee = knee_of(phases, p99_limit=0.01)
    assert (knee.associations, knee.recommended) == (None, None)
    assert any("p99 was not under 10 ms with any number of associations" in reason for reason in knee.reasons)


def test_fewer_than_five_steps_have_a_knee_but_no_law():
    knee = knee_of([phase(1, 100.0), phase(2, 110.0), phase(4, 112.0)])
    assert knee.law is None
    assert knee.associations == 2
    assert knee.reasons == ("the universal scalability law needs 5 steps or more, there are 3",)


def test_a_throughput_that_still_grows_is_said():
    knee = knee_of([phase(1, 100.0), phase(2, 200.0)])
    assert knee.associations == 2
    assert "the throughput still grew with 2 associations, the last step: more may reach more" in knee.reasons


def test_a_pacs_that_keeps_fewer_associations_open_is_not_asked_for_more():
    knee = knee_of([phase(1, 100.0), phase(2, 200.0)], most_open=2)
    assert knee.recommended == 2
    assert "the PACS kept no more than 2 associations open, more were wanted" in knee.reasons
    assert not [reason for reason in knee.reasons if "more may reach more" in reason]


def test_where_this_side_was_the_limit_no_knee_is_named():
    phases = [phase(1, 100.0), phase(2, 190.0), phase(4, 200.0)]
    knee = knee_of(phases, is_client_bound=lambda each: each.associations == 4)
    assert (knee.associations, knee.recommended) == (None, None)
    assert any("this side was the limit with 4 associations" in reason for reason in knee.reasons)
    assert knee_of(phases, is_client_bound=lambda each: each.associations == 1).associations == 2


def test_repeats_are_taken_together():
    knee = knee_of([phase(1, 100.0, 0.1), phase(2, 150.0, 0.1), phase(1, 110.0, 0.3, 2), phase(2, 250.0, 0.1, 2)])
    assert [(step.associations, step.stored_per_second, step.repeats) for step in knee.steps] == [
        (1, 105.0, 2),
        (2, 200.0, 2),
    ]
    assert knee.steps[0].p99 == pytest.approx(0.3, rel=1e-3)


def test_only_counted_closed_phases_with_different_numbers_make_a_curve():
    assert knee_of([phase(4, 100.0), phase(4, 100.0)]) is None
    assert knee_of([phase(1, 100.0), phase(4, 100.0, is_counted=False)]) is None
    assert knee_of([phase(1, 100.0), result(opened(seconds=1.0, associations=8))]) is None


def test_a_peer_that_stored_nothing_has_no_knee():
    knee = knee_of([phase(number, 0.0) for number in STEPS])
    assert (knee.associations, knee.recommended, knee.law) == (None, None, None)
    assert "nothing was stored, so there is no knee" in knee.reasons


def test_a_step_in_which_the_peer_was_lost_is_left_out():
    lost = phase(16, 20, lost_after=1.0)
    knee = knee_of([phase(1, 10), phase(2, 20), phase(8, 30, lost_after=0.0), phase(4, 40), lost])
    assert [step.associations for step in knee.steps] == [1, 2, 4]
    assert knee.recommended == 4
    assert "steps in which the PACS was lost are left out: 8 associations, 16 associations" in knee.reasons
    assert not any("more may reach more" in reason for reason in knee.reasons)
    assert knee_of([phase(1, 10), lost]) is None


def test_a_single_bad_step_does_not_pull_the_curve_far():
    points = curve((400.0, 0.1, 0.002))
    points[2] = (points[2][0], points[2][1] / 4)
    law = fit(points)
    worst = sorted(law.residuals, key=abs)
    assert all(abs(each) < 1 for each in worst)
    assert law.residuals[2] == min(law.residuals)


def test_a_poor_fit_is_said():
    knee = knee_of([phase(n, rate) for n, rate in zip(STEPS, (100, 300, 100, 300, 100, 300), strict=True)])
    assert any("fits poorly" in reason for reason in knee.reasons)
