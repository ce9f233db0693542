"""Whose turn it is to end the run, told as tables of events: no loop, no associations."""

import pytest

from asyncstore.model import Instance, Outcome, Result
from asyncstore.schedule.halt import HARMLESS, Halt, halted_by


def _failures(names):
    return [Outcome(name, Result.NOT_SENT, error="damaged") for name in names]


def _instances(names):
    return [Instance(name, "1.1", "1.2", "1.3", 0, 10) for name in names]


def _paths(files):
    return "".join(one.path for one in files)


KEEP, ADD, DONE, END = "keep", "add", "done", "end"
_EVENTS = {
    # What happens, to which failures and which files behind them; how many files have no outcome after that, and for
    # which failures it is the turn then (at the end: what had been kept).
    "it is the turn of a failure that nothing stands before": [
        (KEEP, "a", "", 1, "a"),
        (END, "", "", 0, ""),
    ],
    "one that is known early waits for the files before it": [
        (KEEP, "c", "", 3, ""),
        (DONE, "", "", 2, ""),
        (DONE, "", "", 1, "c"),
        (DONE, "", "", 0, ""),
    ],
    "and not for those behind it": [
        (KEEP, "b", "cd", 4, ""),
        (DONE, "", "", 3, "b"),
        (END, "", "cd", 2, ""),
    ],
    "nor for those that are found later": [
        (KEEP, "b", "", 2, ""),
        (ADD, "", "cd", 4, ""),
        (DONE, "", "", 3, "b"),
        (END, "", "cd", 2, ""),
    ],
    "nor for later failures": [
        (KEEP, "b", "c", 3, ""),
        (ADD, "d", "", 4, ""),
        (DONE, "", "", 3, "bd"),
        (END, "", "c", 1, ""),
    ],
    "of two, the one that stands first has its turn first, and is known last": [
        (KEEP, "d", "e", 5, ""),
        (KEEP, "b", "c", 5, ""),
        (DONE, "", "", 4, "bd"),
        (END, "", "ce", 2, ""),
    ],
    "what ends the run otherwise takes everything with it": [
        (KEEP, "c", "d", 4, ""),
        (ADD, "e", "f", 6, ""),
        (END, "ce", "df", 6, ""),
        (DONE, "", "", 0, ""),
    ],
    "where nothing failed nothing has its turn": [
        (DONE, "", "", 2, ""),
        (DONE, "", "", 0, ""),
        (END, "", "", 0, ""),
    ],
}


@pytest.mark.parametrize("events", _EVENTS.values(), ids=_EVENTS)
def test_a_failure_ends_the_run_when_it_is_its_turn(events):
    halt = Halt()
    is_coming = False
    for event, failed, behind, unfinished, due in events:
        if event == KEEP:
            halt.keep(_failures(failed), _instances(behind))
            is_coming = True
        elif event == ADD:
            halt.add(_failures(failed), _instances(behind))
        elif event == END:
            kept = halt.end()
            assert [_paths(files) for files in kept] == [failed, behind]
            is_coming = False
        assert halt.is_coming == is_coming
        assert _paths(halt.due(unfinished)) == due
        is_coming = is_coming and not due


def test_the_files_behind_a_failure_are_told_which_one_it_was():
    (failure,) = _failures("a")
    assert "(damaged)" in halted_by(failure)


def test_what_was_stored_ends_no_run():
    assert set(Result) - set(HARMLESS) == {Result.FAILED, Result.NOT_SENT, Result.UNKNOWN, Result.SKIPPED}
