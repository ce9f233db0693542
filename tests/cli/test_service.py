"""A run as a service: what its manager is told, and when."""

from __future__ import annotations

import pytest

from asyncstore.cli.commands.service import Service
from asyncstore.model import Outcome, PeerOutage, Progress, Result, SourceFile
from asyncstore.observe.rates import Rates
from asyncstore.observe.tally import Tally

NOTHING = Progress(0, True, 0, 0, 0, 0, ())


class Manager:
    def __init__(self, watchdog=None, *, is_there=True):
        self.watchdog = watchdog
        self.is_there = is_there
        self.told = []

    def send(self, *lines):
        self.told += lines if self.is_there else ()
        return self.is_there


class Told:
    """A service under test, whose time is an attribute."""

    def __init__(self, watchdog=None):
        self.now = 0.0
        self.manager = Manager(watchdog)
        self.tally = Tally(0.0)
        self.service = Service(self.manager, lambda: self.now)

    def refresh(self, progress=NOTHING):
        """What is told at the next refresh."""
        self.manager.told.clear()
        self.service.refresh(self.tally, progress, Rates())
        return list(self.manager.told)


def test_a_run_is_not_ready_before_its_first_association_is_open():
    told = Told()
    assert "READY=1" not in told.refresh()
    assert "READY=1" in told.refresh(NOTHING._replace(associations_opened=1))
    assert "READY=1" not in told.refresh(NOTHING._replace(associations_opened=1))


def test_a_run_that_waits_for_the_peer_is_ready():
    told = Told()
    assert "READY=1" in told.refresh(NOTHING._replace(outages=1, outage=PeerOutage(1, "gone", 1.0, None)))


def test_a_run_whose_files_are_all_stored_already_is_ready():
    told = Told()
    told.tally.add([Outcome(SourceFile("/a", 1), Result.SKIPPED, is_earlier=True)])
    assert "READY=1" in told.refresh()


def test_a_run_that_gives_up_or_withdraws_all_its_files_is_not_ready():
    told = Told()
    told.tally.add([Outcome(SourceFile("/a", 1), Result.NOT_SENT, reason="no connection")])
    told.tally.add([Outcome(SourceFile("/b", 2), Result.NOT_SENT, is_withdrawn=True)])
    assert "READY=1" not in told.refresh()


def test_readiness_is_told_again_if_the_manager_did_not_get_it():
    told = Told()
    told.manager.is_there = False
    told.refresh(NOTHING._replace(associations_opened=1))
    told.manager.is_there = True
    assert "READY=1" in told.refresh(NOTHING._replace(associations_opened=1))


def test_a_start_that_takes_long_gets_more_time_until_the_run_is_ready():
    told = Told()
    assert "EXTEND_TIMEOUT_USEC=60000000" in told.refresh()
    told.now = 5.0
    assert "EXTEND_TIMEOUT_USEC=60000000" in told.refresh()
    told.now = 10.0
    assert "EXTEND_TIMEOUT_USEC=60000000" not in told.refresh(NOTHING._replace(associations_opened=1))


def test_a_status_line_comes_every_few_seconds_and_names_no_file():
    told = Told()
    told.tally.add([Outcome(SourceFile("/a/DOE^JANE", 1), Result.FAILED, reason="DOE^JANE")])
    [line] = [line for line in told.refresh() if line.startswith("STATUS=")]
    assert line == "STATUS=0 of 0+ stored, 1 failed, 0/s, 0 B/s"
    told.now = 4.9
    assert told.refresh() == []
    told.now = 5.0
    assert told.refresh(NOTHING._replace(is_paused=True)) == ["STATUS=0 of 0+ stored, 1 failed, 0/s, 0 B/s, paused"]


@pytest.mark.parametrize(("watchdog", "fed"), [(None, 0), (2.0, 11), (20.0, 2)])
def test_the_watchdog_is_fed_at_half_of_its_time(watchdog, fed):
    told = Told(watchdog)
    lines = []
    for quarter in range(41):
        told.now = quarter / 4
        lines += told.refresh()
    assert lines.count("WATCHDOG=1") == fed


def test_a_reload_and_the_end_are_told():
    told = Told()
    told.service.reloading()
    told.service.reloaded()
    told.service.stopping()
    reloading, at, *rest = told.manager.told
    assert reloading == "RELOADING=1"
    assert int(at.removeprefix("MONOTONIC_USEC=")) > 0
    assert rest == ["READY=1", "STOPPING=1"]
