"""Runs that are killed at random instants lose nothing: some rounds of ``make crash-test``."""

import os
import secrets
import signal

import pytest

from support import crashes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


KILLS, ANOTHER_SEED = (10, 42) if os.environ.get("CI") else (4, secrets.randbelow(1 << 32))
"""CI draws the same each time, so that a failure there belongs to the change."""


@pytest.mark.parametrize("seed", [41, pytest.param(ANOTHER_SEED, id="another")])
def test_killed_runs_lose_nothing(seed):
    """The seed of a failure is in its notes. With few files the points to kill at are the same, and come sooner."""
    crashes.crash(KILLS, seed, most_files=200)


class Forgetful(crashes.Receiver):
    """A receiver that answers one instance and forgets it."""

    def arrived(self, arrival):
        if len(self.arrivals) == 20 and self.forgotten is None:
            self.forgotten = arrival.uid
        else:
            super().arrived(arrival)

    forgotten = None


class Changing(crashes.Receiver):
    """A receiver that gets another data set than was sent."""

    def arrived(self, arrival):
        super().arrived(arrival._replace(sha256="0") if len(self.arrivals) == 20 else arrival)


@pytest.mark.parametrize(
    ("receiver", "said"), [(Forgetful, "claimed, but not at the receiver"), (Changing, "not as it was sent")]
)
def test_what_is_lost_or_changed_is_noticed(receiver, said, monkeypatch, tmp_path):
    monkeypatch.setattr(crashes, "Receiver", receiver)
    with crashes.receiving() as sink:
        case = crashes.Case(SMALL, sink, tmp_path, crashes.Random(1))
        with pytest.raises(AssertionError, match=said):
            crashes.run_once(case, crashes.Random(1), "nothing")


def test_what_is_sent_again_is_noticed(tmp_path):
    """The files of a finished migration seem to have changed."""
    with crashes.receiving() as sink:
        case = crashes.Case(SMALL, sink, tmp_path, crashes.Random(1))
        assert crashes.run_once(case, crashes.Random(1), "nothing")
        for path in map(crashes.Path, case.files[:3]):
            path.touch()
        with pytest.raises(AssertionError, match="sent again, though they were journalled: 3"):
            crashes.run_once(case, crashes.Random(1), "nothing")


def test_processes_that_outlive_a_run_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(crashes, "ORPHANS_END_AFTER", 0.2)
    with crashes.receiving() as sink:
        case = crashes.Case(SMALL, sink, tmp_path, crashes.Random(1))
        run = case.begin()
        with crashes.subprocess.Popen(["sleep", "60"], env=case.environment) as orphan:
            with pytest.raises(AssertionError, match=f"processes outlive the run: .*{orphan.pid}"):
                run.end()
            orphan.send_signal(signal.SIGKILL)


SMALL = crashes.Scenario(60, 2800, 40, 2, 1, 0.0, 1, converts=False, invents=False, is_in_memory=False)
