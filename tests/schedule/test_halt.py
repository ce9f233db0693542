"""Whose turn it is to end the run, told as tables of events: no loop, no associations."""

import pytest

from asyncstore.model import Instance, Outcome, Result
from asyncstore.schedule.halt import HARMLESS, Halt, halted_by

FOUND, BEGUN, STORED, REFUSED, KNOWN, END = "found", "begun", "stored", "refused", "known", "end"
"""Files are found; stores begin, and end well or not; failures are known before their turn, of files found before or,
in capitals, of such as are no instances; the run ends for another reason."""

_EVENTS = {
    # What happens to which files, and which failure has its turn then. At the end: what had been kept.
    "where nothing fails nothing has its turn": [
        (FOUND, "ab", ""),
        (BEGUN, "ab", ""),
        (STORED, "ba", ""),
        (END, "", ""),
    ],
    "a failure that nothing stands before": [(FOUND, "abc", ""), (KNOWN, "a", "a"), (END, "bc", "")],
    "one that is known early waits for those before it": [
        (FOUND, "abcd", ""),
        (BEGUN, "a", ""),
        (KNOWN, "c", ""),
        (BEGUN, "b", ""),
        (STORED, "b", ""),
        (STORED, "a", "c"),
        (END, "d", ""),
    ],
    "a store that fails waits for those before it": [
        (FOUND, "abcd", ""),
        (BEGUN, "ac", ""),
        (REFUSED, "c", ""),
        (BEGUN, "b", ""),
        (STORED, "b", ""),
        (STORED, "a", "c"),
        (END, "d", ""),
    ],
    "and is not the first any more when one of them fails": [
        (FOUND, "abcd", ""),
        (BEGUN, "ac", ""),
        (REFUSED, "c", ""),
        (REFUSED, "a", "a"),
        (END, "bd", ""),
    ],
    "of two that are known early the first in the order has its turn": [
        (FOUND, "abcde", ""),
        (KNOWN, "d", ""),
        (KNOWN, "b", ""),
        (BEGUN, "a", ""),
        (STORED, "a", "b"),
        (END, "cde", ""),
    ],
    "what has begun behind it is waited for": [
        (FOUND, "abc", ""),
        (BEGUN, "abc", ""),
        (REFUSED, "a", ""),
        (STORED, "b", ""),
        (STORED, "c", "a"),
        (END, "", ""),
    ],
    "files that are no instances have their place in the order": [
        (FOUND, "a", ""),
        (KNOWN, "B", ""),
        (FOUND, "c", ""),
        (KNOWN, "D", ""),
        (BEGUN, "a", ""),
        (STORED, "a", "B"),
        (END, "cD", ""),
    ],
    "what ends the run otherwise takes everything with it": [
        (FOUND, "abc", ""),
        (KNOWN, "b", ""),
        (KNOWN, "D", ""),
        (END, "bcD", ""),
    ],
}


class _Files:
    """The files of a table, and what becomes of them."""

    def __init__(self):
        self.halt = Halt()
        self.unfinished = 0
        self.waiting = {}
        self.begun = {}

    def found(self, name):
        self.unfinished += 1
        self.waiting[name] = Instance(name, "1.1", "1.2", "1.3", 0, 10)
        self.halt.found([self.waiting[name]])
        self._keep_what_stands_behind()

    def has_begun(self, name):
        self.begun[name] = self.waiting.pop(name)

    def ended(self, name, result):
        self.unfinished -= 1
        if self.halt.ended(self.begun.pop(name), _failure(name)._replace(result=result)):
            self._keep_what_stands_behind()

    def known(self, name):
        self.unfinished += name.isupper()
        if self.halt.keep(_failure(name), self.waiting.pop(name, None)):
            self._keep_what_stands_behind()

    def _keep_what_stands_behind(self):
        self.waiting = {one.path: one for one in self.halt.before(self.waiting.values())}


def _failure(name):
    return Outcome(name, Result.NOT_SENT, error=f"{name} is damaged")


@pytest.mark.parametrize("events", _EVENTS.values(), ids=_EVENTS)
def test_the_first_failure_has_its_turn_when_all_before_it_have_ended(events):
    files = _Files()
    halt = files.halt
    does = {
        FOUND: files.found,
        BEGUN: files.has_begun,
        STORED: lambda name: files.ended(name, Result.STORED),
        REFUSED: lambda name: files.ended(name, Result.FAILED),
        KNOWN: files.known,
    }
    for event, names, due in events:
        if event == END:
            withdrawn, behind = halt.end("it is over")
            assert {one.path for one in (*withdrawn, *behind)} == set(names)
            assert all(one.is_withdrawn and one.error == "it is over" for one in withdrawn)
            continue
        for name in names:
            does[event](name)
        assert halt.is_due(files.unfinished) == bool(due)
        if due:
            assert f"({due} is damaged)" in halt.reason
            assert [one.path for one in halt.turn()] in ([due], [])
            assert not halt.is_due(files.unfinished)


def test_the_files_behind_a_failure_are_told_which_one_it_was():
    failure = Outcome("a", Result.NOT_SENT, error="damaged")
    assert "(damaged)" in halted_by(failure)


def test_what_was_stored_ends_no_run():
    assert set(Result) - set(HARMLESS) == {Result.FAILED, Result.NOT_SENT, Result.UNKNOWN, Result.SKIPPED}


def test_two_instances_that_are_equal_have_their_own_places():
    first, second = (Instance("a", "1.1", "1.2", "1.3", 0, 10) for _ in range(2))
    halt = Halt()
    halt.found([first, second])
    assert halt.ended(second, Outcome("a", Result.FAILED, error="refused"))
    assert halt.before([first]) == [first]
    assert halt.ended(first, Outcome("a", Result.FAILED, error="refused"))
