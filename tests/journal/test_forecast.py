"""How fast a run is, and when it ends, from what its journal says."""

from collections import Counter

import pytest

from asyncstore.journal.accounts import Run
from asyncstore.journal.forecast import Forecast, Pace, forecast, latest, pace
from asyncstore.journal.reading import Reader
from support.journals import begin, delivery

BEGIN = 1_700_006_400.0


def run(began=BEGIN, *, is_walked=True):
    return Run("run.db", 1, "1", began, began, None, 0, is_walked, 0, 0, Counter(), Counter())


def paced(path, times, now, began=BEGIN):
    with begin(path) as journal:
        journal.write([delivery(f"/a/{number}", time=time) for number, time in enumerate(times)])
    with Reader(str(path)) as reader:
        return pace(reader, run(began), now)


def test_a_steady_run(path):
    found = paced(path, [BEGIN + second / 2 for second in range(1200)], BEGIN + 600)
    assert found == Pace(2.0, 150.0, 2.0, 2.0, 2.0)


def test_a_run_that_slows_down(path):
    times = [BEGIN + second / 10 for second in range(3000)] + [BEGIN + 300 + second for second in range(300)]
    found = paced(path, times, BEGIN + 600)
    assert (found.rate, found.slow, found.fast) == (1.0, 1.0, 10.0)
    assert 5 < found.usual < 6


def test_only_the_last_hour_counts(path):
    times = [BEGIN + 7200 + 10 * second for second in range(360)]
    found = paced(path, [BEGIN] * 5000 + times, BEGIN + 7200 + 3600)
    assert found == pytest.approx(Pace(0.1, 900.0, 0.1, 0.1, 0.1))


def test_a_run_that_stands_still(path):
    found = paced(path, [BEGIN], BEGIN + 36_000)
    assert found == Pace(0.0, 900.0, 0.0, 0.0, 0.0)
    assert forecast([run()], 100, found, BEGIN) is None


def test_nothing_is_said_of_a_run_that_began_just_now(path):
    assert paced(path, [BEGIN, BEGIN + 1], BEGIN + 2) is None
    assert forecast([run()], 100, None, BEGIN) is None


def test_the_forecast_is_an_interval():
    measured = Pace(5.0, 900.0, 2.0, 4.0, 8.0)
    assert forecast([run()], 800, measured, BEGIN) == Forecast(BEGIN + 100, BEGIN + 200, BEGIN + 400)
    assert forecast([run()], 800, measured._replace(slow=0.0), BEGIN) == Forecast(BEGIN + 100, BEGIN + 200, None)
    assert forecast([run(is_walked=False)], 800, measured, BEGIN) is None
    assert forecast([run(), run(is_walked=False)], 800, measured, BEGIN) is not None


@pytest.mark.parametrize(
    ("forecasts", "end"),
    [
        ([], None),
        ([None], None),
        ([Forecast(1, 2, 3), None], None),
        ([Forecast(1, 5, 6), Forecast(2, 3, 9)], Forecast(2, 5, 9)),
        ([Forecast(1, 5, None), Forecast(2, None, 9)], Forecast(2, None, None)),
    ],
)
def test_several_runs_end_with_the_last(forecasts, end):
    assert latest(forecasts) == end
