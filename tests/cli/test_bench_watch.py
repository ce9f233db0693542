"""What the displays of a measurement are shown, and when a threshold ends it."""

import pytest

from asyncstore.cli.commands import bench_watch
from asyncstore.cli.commands.bench import abort_if_crossed
from asyncstore.cli.commands.bench_watch import Watch
from asyncstore.errors import AssociationError, LinkLost
from asyncstore.load.results.thresholds import parse
from asyncstore.load.values import Opened, Sample
from support.measured import KINDS, closed, load, opened


class Display:
    """Keeps what it is shown."""

    def __init__(self):
        self.views, self.notices, self.lines = [], [], []

    def refresh(self, view, _now):
        self.views.append(view)

    def notice(self, text):
        self.notices.append(text)

    def log(self, line, _style=""):
        self.lines.append(line)


class Driver:
    """Counts how often it is stopped."""

    def __init__(self, open_now=3):
        self.open_now, self.stops, self.wanted = open_now, 0, None

    def stop(self):
        self.stops += 1


@pytest.fixture
def clock(monkeypatch):
    """The time of the watch, which a test sets."""
    times = [0.0]
    monkeypatch.setattr(bench_watch, "monotonic", lambda: times[0])
    return times


def watch_of(*phases):
    display = Display()
    watch = Watch(KINDS, phases, display)
    watch.follow(Driver())
    return watch, display


def played(watch, phase, clock, seconds, **values):
    """Feed the beginning of a phase to a watch, without ending it, and refresh it as the command does."""
    end, watch.end = watch.end, lambda _at: None
    load(watch, phase._replace(seconds=seconds), **values)
    watch.end = end
    clock[0] = values.get("begin", 1000.0) + seconds
    watch.refresh()


def test_a_view_has_the_rates_of_the_last_seconds_and_the_percentiles_of_the_phase(clock):
    phase = closed(4, seconds=20.0)
    watch, display = watch_of(phase)
    played(watch, phase, clock, 10.0, rate=100.0, service=0.01)
    view = display.views[-1]
    assert (view.phase, view.number, view.phases, view.associations) == ("4 associations", 1, 1, 3)
    assert view.rate == pytest.approx(100, rel=0.05)
    assert view.so_far.p50 == pytest.approx(0.01, rel=0.1)
    assert view.so_far.p50 <= view.so_far.p95 <= view.so_far.p99
    assert view.stored == sum(view.rates)
    assert len(view.rates) == len(view.p99s) == 10
    assert view.offered is None
    assert view.is_counted


def test_stores_of_the_phase_before_are_not_in_the_percentiles_of_a_phase(clock):
    first, second = closed(4, seconds=2.0), closed(4, seconds=20.0, repeat=2)
    watch, display = watch_of(first, second)
    watch.begin(first, 0.0)
    watch.offered(1, 0, 1.0)
    watch.begin(second, 2.0)
    watch.stored(Sample(0, 1.0, 1.0, 1.0, 6.0, 0))
    clock[0] = 8.0
    watch.refresh()
    assert (display.views[-1].so_far, display.views[-1].stored) == (None, 1)


def test_the_time_left_counts_the_phases_that_come(clock):
    first, second = closed(1, seconds=10.0), opened(50.0, seconds=30.0)
    watch, display = watch_of(first, second)
    watch.begin(first, 1000.0)
    clock[0] = 1004.0
    watch.refresh()
    assert (display.views[-1].phase_left, display.views[-1].seconds_left) == (6.0, 36.0)
    assert display.views[-1].fraction == pytest.approx(0.1)
    watch.end(1012.0)
    watch.begin(second, 1012.0)
    clock[0] = 1013.0
    watch.refresh()
    assert (display.views[-1].number, display.views[-1].seconds_left) == (2, 29.0)
    assert display.views[-1].so_far is None, "the percentiles are of the phase"


def test_a_load_that_is_measured_again_has_the_number_of_its_run(clock):
    first, second, other = closed(1), closed(1, repeat=2), closed(2)
    watch, display = watch_of(first, other, second)
    for phase in (first, other, second):
        watch.begin(phase, clock[0])
        watch.refresh()
        watch.end(clock[0])
    assert [view.phase for view in display.views] == [
        "1 associations, run 1",
        "2 associations",
        "1 associations, run 2",
    ]


def test_failures_drops_and_lost_associations_are_summed(clock):
    phase = opened(100.0, seconds=10.0)
    watch, display = watch_of(phase)
    statuses = {0: 0xA700, 1: None}
    played(watch, phase, clock, 3.0, status=lambda number: statuses.get(number % 10, 0))
    watch.dropped(7, 1003.1)
    watch.lost(AssociationError("pacs", "it closed"), 1003.2)
    clock[0] = 1005.0
    watch.refresh()
    view = display.views[-1]
    assert (view.failed, view.unknown, view.dropped, view.lost) == (30, 30, 7, 1)
    assert view.offered is not None


def test_counts_of_the_warm_up_are_not_shown_later(clock):
    before, phase = closed(4, seconds=2.0, is_counted=False), closed(4, seconds=20.0)
    watch, display = watch_of(before, phase)
    watch.begin(before, 0.0)
    watch.offered(3, 0, 1.0)
    watch.dropped(1, 1.0)
    watch.stored(Sample(0, 1.0, 1.0, 1.0, 1.5, 0))
    clock[0] = 2.0
    watch.refresh()
    watch.begin(phase, 2.0)
    watch.stored(Sample(0, 1.0, 1.0, 1.0, 3.5, 0))
    clock[0] = 6.0
    watch.refresh()
    assert [(view.stored, view.dropped) for view in display.views] == [(1, 1), (0, 0)]


def test_the_associations_that_were_open_are_in_the_results(clock):
    phase = closed(8, seconds=5.0)
    watch, _ = watch_of(phase)
    played(watch, phase, clock, 5.0)
    assert watch.results(clock[0])[0].associations == 3
    assert watch.most_open_of_more == 3


def test_a_phase_that_waits_for_its_associations_says_so(clock):
    first, second = closed(4, seconds=10.0), closed(8, seconds=20.0)
    watch, display = watch_of(first, second)
    played(watch, first, clock, 10.0)
    watch.end(clock[0])
    watch._driver.wanted, watch._driver.open_now = 8, 5  # noqa: SLF001 - what the command gave it
    watch.refresh()
    view = display.views[-1]
    assert (view.phase, view.number, view.wanted, view.associations) == ("8 associations", 2, 8, 5)
    assert (view.phase_left, view.seconds_left, view.so_far, view.recent) == (20.0, 20.0, None, None)
    assert view.fraction == pytest.approx(1 / 3)


def test_why_no_association_is_open_is_said_until_one_is():
    watch, display = watch_of(closed(4))
    watch.begin(closed(4), 1000.0)
    watch._driver.open_now = 0  # noqa: SLF001 - as above
    watch.lost(LinkLost("pacs", "reset by the peer"), 1001.0, none_open=True)
    watch.refresh()
    watch.opened(Opened(1002.0, 0.001, 0.0, 0.001))
    watch.refresh()
    assert [view.problem for view in display.views] == ["the connection was lost: reset by the peer", ""]


def test_the_first_interrupt_stops_and_the_second_one_aborts():
    watch, display = watch_of(closed())
    watch.interrupt()
    watch.interrupt()
    assert watch.signals == watch._driver.stops == 2  # noqa: SLF001 - what the command gave it
    assert [notice.split(":")[0] for notice in display.notices] == ["stopping", "aborting"]


def test_an_interrupt_before_the_load_stops_it_at_once():
    watch = Watch(KINDS, [closed()], Display())
    watch.interrupt()
    driver = Driver()
    watch.follow(driver)
    assert driver.stops == 1


def test_an_interrupt_after_the_load_does_not_count():
    watch, _ = watch_of(closed())
    watch.is_over = True
    watch.interrupt()
    assert watch.signals == 0
    assert watch.interrupted.is_set()


@pytest.mark.parametrize(("text", "stops"), [("p99<1ms", 1), ("p99<10s", 0)])
def test_a_threshold_that_is_crossed_ends_the_load(clock, text, stops):
    phase = closed(seconds=60.0)
    watch, display = watch_of(phase)
    played(watch, phase, clock, 15.0)
    abort_if_crossed([parse(text)], watch, display, clock[0])
    assert watch._driver.stops == stops  # noqa: SLF001 - as above
    assert [line.split(":")[0] for line in display.lines] == ["ending before its time"] * stops
    watch.stop()
    assert watch._driver.stops == 1, "a second stop would abort the stores under way"  # noqa: SLF001 - as above


def test_a_measurement_starts_with_its_first_phase():
    phases = (closed(4, seconds=2.0), closed(8, seconds=2.0))
    watch, _ = watch_of(*phases)
    made = watch.started
    watch.begin(phases[0], 1000.0)
    started = watch.started
    watch.begin(phases[1], 1002.0)
    assert made is not started is watch.started
