"""Runs to peers and over networks that fail lose nothing and claim nothing: some schedules of ``make soak``."""

import os
import secrets

import pytest

from support import soak
from support.crashes import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


RUNS, ANOTHER_SEED = (10, 23) if os.environ.get("CI") else (4, secrets.randbelow(1 << 32))
"""CI draws the same each time, so that a failure there belongs to the change."""


@pytest.mark.parametrize("seed", [21, 22, pytest.param(ANOTHER_SEED, id="another")])
async def test_fault_schedules_lose_nothing_and_claim_nothing(seed):
    """The seed of a failure is in its message."""
    await soak.soak(RUNS, seed)


SMALL = soak.Schedule("1", "sink", 8, 2800, 2, 1, 1, True, 0, None, None, False, 1)


@pytest.fixture
def undisturbed(monkeypatch, tmp_path):
    monkeypatch.setattr(soak.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(soak, "drawn", lambda _random, _most_bytes: [])


class Forgetful(Receiver):
    """It answers one instance and forgets it."""

    forgotten = None

    def arrived(self, arrival):
        if len(self.arrivals) == 4 and self.forgotten is None:
            self.forgotten = arrival.uid
        else:
            super().arrived(arrival)


class Changing(Receiver):
    """It gets another data set than was sent."""

    def arrived(self, arrival):
        super().arrived(arrival._replace(sha256="0") if len(self.arrivals) == 4 else arrival)


class Repeating(Receiver):
    """An instance arrives twice, as if it had been sent twice."""

    def arrived(self, arrival):
        super().arrived(arrival)
        if len(self.arrivals) == 4:
            super().arrived(arrival)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        (Forgetful, "claimed, but not so at the receiver"),
        (Changing, "claimed, but not so at the receiver"),
        (Repeating, "arrived more often than they were tried"),
    ],
)
async def test_what_is_lost_changed_or_repeated_is_noticed(receiver, said, monkeypatch):
    monkeypatch.setattr(soak.crashes, "Receiver", receiver)
    with pytest.raises(AssertionError, match=said):
        await soak.run_schedule(SMALL)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (lambda ended: ended._replace(code=2), "exit code 2, where .0,. is true"),
        (lambda ended: ended._replace(outcomes=ended.outcomes[1:]), "not one outcome each"),
        (lambda ended: ended._replace(outcomes=[*ended.outcomes, ended.outcomes[0]]), "not one outcome each"),
        (lambda ended: ended._replace(error="Traceback"), "a traceback"),
    ],
)
async def test_a_run_that_does_not_tell_the_truth_is_noticed(ended, said, monkeypatch):
    run = soak.Case.run

    async def lying(case, relay, *, is_disturbed):
        return ended(await run(case, relay, is_disturbed=is_disturbed))

    monkeypatch.setattr(soak.Case, "run", lying)
    with pytest.raises(AssertionError, match=said):
        await soak.run_schedule(SMALL)
