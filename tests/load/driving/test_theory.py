"""The driver on a simulated clock, against a queue whose times are known from theory.

All latencies are compared at percentiles, within 3 % or one bucket of the histogram that reports use (3 digits).
"""

import math
from itertools import accumulate, pairwise

import pytest

from asyncstore.load.driving import driver as driving
from asyncstore.load.driving.driver import Driver
from asyncstore.load.plan.phases import around, closed, exams, open_rate
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.recorder import Recorder
from support.loads import SmallSource
from support.virtual_time import Clockwork, Queue, bimodal, exponential, fixed, in_virtual_time

RATE = 100.0
INSTANCES = 50_000


@pytest.fixture(autouse=True)
def _seldom_watched(monkeypatch):
    """Some twenty looks a second would take more time than the loads."""
    monkeypatch.setattr(driving, "_WATCH_INTERVAL", 1.0)


def recorded(plan, make_queue):
    """The record of a plan against a queue."""
    source = SmallSource()
    recorder = Recorder(source.kinds)

    async def run(loop):
        await Driver(make_queue(loop).open, source, recorder, **vars(Clockwork(loop))).run(plan)

    in_virtual_time(run)
    return recorder


def measured(plan, service, **stalls):
    """The latencies that are reported of a plan against one server."""
    return recorded(plan, lambda loop: Queue(loop, service, **stalls)).so_far(0.0).latency


def at_random(service, seed, instances=INSTANCES):
    """The latencies of Poisson arrivals."""
    return measured([open_rate(RATE, instances / RATE, 8, how="poisson", seed=seed)], service)


def about(seconds):
    return pytest.approx(seconds, rel=0.03, abs=seconds / 1000)


PERCENTILES = (0.5, 0.9, 0.95, 0.99)


@pytest.mark.slow
def test_exponential_service_has_the_sojourn_times_of_m_m_1():
    load = 0.5
    latencies = at_random(exponential(load / RATE, seed=1), seed=2, instances=60_000)
    for share in PERCENTILES:
        assert latencies.percentile(100 * share) == about(-math.log(1 - share) / (RATE / load - RATE))


@pytest.mark.slow
def test_the_number_of_associations_does_not_change_the_latency_of_an_open_load():
    """An arrival waits in the driver, where fewer are open, and in the peer, where more are."""
    plans = ([open_rate(RATE, 100.0, number, how="poisson", seed=4)] for number in (1, 64))
    one, many = (measured(plan, exponential(0.005, seed=3)) for plan in plans)
    assert one.max > 0.02
    for share in PERCENTILES:
        assert one.percentile(100 * share) == pytest.approx(many.percentile(100 * share), rel=0.004)


def waits_at_most(wait, service, rate):
    """The share of arrivals that wait no longer in M/D/1 (Erlang 1909; Crommelin 1932)."""
    terms = []
    for number in range(int(wait / service) + 1):
        rest = rate * (number * service - wait)
        terms.append(rest**number / math.factorial(number) * math.exp(-rest))
    return (1 - rate * service) * math.fsum(terms)


def test_crommelins_formula_as_it_is_written_here_has_the_mean_of_pollaczek_and_khinchin():
    service, rate, step = 0.005, 100.0, 0.00005
    mean = sum((1 - waits_at_most(step * number, service, rate)) * step for number in range(2000))
    assert mean == pytest.approx(rate * service**2 / 2 / (1 - rate * service), rel=0.01)


def wait_of_share(share, service, rate):
    """The wait in M/D/1 that this share of the arrivals does not exceed."""
    low, high = 0.0, 20 * service
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(middle, service, rate) < share else (low, middle)
    return low


@pytest.mark.slow
def test_fixed_service_has_the_sojourn_times_of_m_d_1():
    service = 0.005
    latencies = at_random(fixed(service), seed=5)
    for share in PERCENTILES:
        assert latencies.percentile(100 * share) == about(wait_of_share(share, service, RATE) + service)
    at_once = sum(count for bucket, count in latencies.counts.items() if bucket <= service * 1.001e6)
    assert at_once / latencies.count == about(1 - RATE * service)  # they meet an idle server


def waits_of_two_lengths(service, share_of_long, rate, step, steps):
    """The shares of arrivals in M/G/1 that wait at most 0, 1, 2 ... steps.

    The wait is a sum of rests of service, as many as a geometric number (Pollaczek and Khinchin; Benes 1957). Panjer's
    recursion (1981) adds them up in steps.
    """
    short, long = service
    mean = (1 - share_of_long) * short + share_of_long * long
    load = rate * mean

    def rest_at_most(seconds):
        return ((1 - share_of_long) * min(seconds, short) + share_of_long * min(seconds, long)) / mean

    edges = [0.0, *(rest_at_most((number + 0.5) * step) for number in range(steps + 1))]
    rests = [upper - lower for lower, upper in pairwise(edges)]
    last = math.ceil(long / step) + 1
    waits = [(1 - load) / (1 - load * rests[0])]
    for number in range(1, steps + 1):
        terms = (rests[place] * waits[number - place] for place in range(1, min(number, last) + 1))
        waits.append(load / (1 - load * rests[0]) * sum(terms))
    return list(accumulate(waits))


@pytest.mark.slow
def test_service_of_two_lengths_has_the_sojourn_times_of_m_g_1():
    short, long, share_of_long, step = 0.002, 0.03, 0.1, 0.0002
    latencies = at_random(bimodal(short, long, share_of_long, seed=6), seed=7)
    waits = waits_of_two_lengths((short, long), share_of_long, RATE, step, 1000)

    def sojourn_of_share(share):
        for number in range(1000):
            of_short, of_long = (waits[max(number - round(each / step), -1)] for each in (short, long))
            of_short, of_long = of_short * (number * step >= short), of_long * (number * step >= long)
            if (1 - share_of_long) * of_short + share_of_long * of_long >= share:
                return number * step
        raise AssertionError("the table is too short")

    for share in PERCENTILES:
        assert latencies.percentile(100 * share) == pytest.approx(sojourn_of_share(share), rel=0.03, abs=step)
    first = (1 - share_of_long) * short + share_of_long * long
    second = (1 - share_of_long) * short**2 + share_of_long * long**2
    assert latencies.mean == about(first + RATE * second / 2 / (1 - RATE * first))


@pytest.mark.slow
@pytest.mark.parametrize("associations", [1, 5, 40])
def test_a_closed_load_over_one_server_waits_for_all_its_associations(associations):
    latencies = measured([closed(associations, 100.0)], fixed(0.01))
    assert latencies.count == pytest.approx(10_000, abs=2 * associations)
    for share in PERCENTILES:
        assert latencies.percentile(100 * share) == pytest.approx(associations * 0.01, rel=0.001)


@pytest.mark.slow
def test_an_open_load_shows_a_stall_that_a_closed_one_hides():
    """Every 30 s the peer stands still for 2 s, and is fast otherwise. Coordinated omission would hide it."""
    stalls = {"period": 30.0, "stall": 2.0}
    of_closed = measured([closed(4, 60.0)], fixed(0.001), **stalls)
    of_open = measured([open_rate(RATE, 60.0, 4)], fixed(0.001), **stalls)
    assert of_closed.percentile(99) == pytest.approx(0.004, rel=0.001)
    # In 30 s 3000 arrive. Those that come in the first 0.3 s of the stall wait longest: for its end, and for the
    # server to take those before them, 1 ms each. They are the hundredth part.
    assert of_open.percentile(99) == about(1.7 + 0.03)
    assert of_open.percentile(50) == pytest.approx(0.001, rel=0.001)
    assert of_open.max == about(2.0)


class Delay(Queue):
    """A peer with as many servers as it needs."""

    def ends(self, now):
        return now + self._service()


@pytest.mark.slow
@pytest.mark.parametrize("warm_up", [0.0, 5.0])
@pytest.mark.parametrize("associations", [1, 5, 40, 100])
def test_the_rate_of_one_server_is_the_same_with_any_number_of_associations(associations, warm_up):
    """It stores one instance in 20 ms: 50/s. With 100 associations a store takes 2 s, a fifth of the phase."""
    plan = around([closed(associations, 10.0)], warm_up=warm_up)
    found = recorded(plan, lambda loop: Queue(loop, fixed(0.02))).results(0.0)[-1]
    size = SmallSource().kinds[0].bytes
    assert (found.stored_per_second, found.bytes_per_second) == (
        pytest.approx(50.0, rel=0.01),
        pytest.approx(50.0 * size, rel=0.01),
    )
    assert [point.taken for point in found.series[:10]] == [pytest.approx(50, abs=1)] * 10


@pytest.mark.parametrize("warm_up", [0.0, 5.0])
@pytest.mark.parametrize("associations", [1, 40])
def test_the_rate_of_a_peer_that_stores_all_at_once_is_that_of_littles_law(associations, warm_up):
    """A store takes 3 s, nearly a third of the phase."""
    plan = around([closed(associations, 10.0)], warm_up=warm_up)
    found = recorded(plan, lambda loop: Delay(loop, fixed(3.0))).results(0.0)[-1]
    assert found.stored_per_second == pytest.approx(associations / 3.0, rel=0.01)


@pytest.mark.slow
def test_the_knee_of_one_server_is_a_single_association():
    plan = [closed(number, 10.0) for number in (1, 2, 4, 8, 16)]
    knee = knee_of(recorded(plan, lambda loop: Queue(loop, fixed(0.1))).results(0.0))
    assert (knee.associations, knee.recommended) == (1, 1)
    assert knee.law.contention == pytest.approx(1.0, abs=0.01)  # all work is done one at a time


def test_a_load_of_exams_has_the_rate_of_its_arrivals_however_long_an_exam_is():
    """An exam of four instances takes 4 s, and one begins each second, before the phase, too."""
    plan = around([exams(1.0, 10.0, 8, how="fixed")], warm_up=8.0)
    found = recorded(plan, lambda loop: Delay(loop, fixed(1.0))).results(0.0)[-1]
    assert found.studies_per_hour == pytest.approx(3600.0, rel=0.01)
    assert found.stored_per_second == pytest.approx(4.0, rel=0.01)
    assert found.offered_per_second == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("associations", [1, 2, 3])
def test_exams_that_cannot_begin_are_offered_all_the_same(associations):
    """One begins each second; an association needs 4 s for each, so some never begin."""
    [found] = recorded([exams(1.0, 20.0, associations, how="fixed")], lambda loop: Delay(loop, fixed(1.0))).results(0.0)
    assert found.offered_per_second == pytest.approx(4.0, rel=0.05)  # some of the last exam are late
    assert found.offered == found.stored + found.dropped == 80
