"""The passes of a run, as one progress."""

from __future__ import annotations

import pytest

from asyncstore.cli.commands.passes import Passes, unfit_for_second_pass
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.model import Lane, LaneState, PeerOutage, Progress, Result
from asyncstore.observe.tally import Tally
from support.samples import failed, stored

FIRST = Progress(10, False, 10, 10_000, 10_000, 4, (), retries=2, outages=1)
LANE = Lane(1, LaneState.SENDING, 1, 0, None, 0, 0.0)


def ended():
    """Passes after the first one: 7 of 10 files were stored, 3 failed."""
    passes, tally = Passes(), Tally(0.0)
    tally.add([*stored(7), *[failed()] * 3])
    assert passes.next(FIRST, tally) == 11
    return passes, tally


def test_the_first_pass_is_the_run():
    passes = Passes()
    assert passes.together(FIRST) is FIRST
    assert passes.replaces is None


def test_files_that_are_sent_again_count_once():
    passes, tally = ended()
    assert passes.replaces is Result.FAILED
    now = passes.together(Progress(0, True, 0, 0, 0, 0, (LANE,)))
    assert (now.found, now.probed, now.bytes_probed, now.walking, now.lanes) == (7, 7, 7000, True, (LANE,))
    tally.add(stored(3))
    now = passes.together(Progress(3, False, 3, 3000, 3000, 2, (), retries=1, outages=1))
    assert (now.found, now.probed, now.bytes_probed, tally.settled) == (10, 10, 10_000, 10)
    assert (now.bytes_sent, now.associations_opened, now.retries, now.outages) == (13_000, 6, 3, 2)


def test_outages_are_counted_on():
    passes, _ = ended()
    now = passes.together(Progress(3, False, 3, 0, 0, 0, (), outages=1, outage=PeerOutage(1, "gone", 1.0, None)))
    assert (now.outages, now.outage.number) == (2, 2)


def test_a_third_pass_goes_on_from_the_second():
    passes, tally = ended()
    tally.add([*stored(2), failed()])
    assert passes.next(Progress(3, False, 3, 3000, 3000, 2, ()), tally) == 14
    now = passes.together(Progress(1, False, 1, 1000, 1000, 1, ()))
    assert (now.found, now.bytes_sent, now.associations_opened) == (10, 14_000, 7)


@pytest.mark.parametrize(
    ("options", "unfit"),
    [
        ((), None),
        (("-nh", "--repeat", "2"), None),
        (("+II",), "--invent-instance"),
        (("+IP", "3"), "--invent-patient"),
        (("+rn",), "--rename"),
        (("--only-uids", "list"), "--only-uids"),
    ],
)
def test_some_options_do_not_go_with_a_further_pass(options, unfit):
    parsed = parse(SEND, ("--journal", "run.db", *options, "host", "104", "/archive"), {})
    assert unfit_for_second_pass(parsed) == unfit
