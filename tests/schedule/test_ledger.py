"""What the ledger decides, told as tables of events and for any sequence of them: no loop, no associations."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Outcome, Result, SourceFile
from asyncstore.schedule.ledger import HARMLESS, Ledger, halted_by
from support import values

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
        (END, "abcD", ""),
    ],
}


class _Files:
    """The files of a run, and what becomes of them: it does what the ledger says, as the dispatcher does."""

    def __init__(self, *, halts=True):
        self.ledger = Ledger(halts=halts)
        self.count = 0
        self.waiting, self.begun = {}, {}
        self.outcomes = []
        self.halted_by = None

    def found(self, name):
        self.count += 1
        instance = values.instance(name, "1.1", "1.2", "1.3", ordinal=self.count)
        self.ledger.found([instance])
        self.waiting[instance.ordinal] = instance
        self._withdraw_what_stands_behind()

    def has_begun(self, ordinal):
        self.begun[ordinal] = self.waiting.pop(ordinal)

    def ended(self, ordinal, result):
        outcome = _failure(self.begun.pop(ordinal).file)._replace(result=result)
        if self.ledger.ended(outcome):
            self._withdraw_what_stands_behind()
        self.settle([outcome])

    def known(self, name, ordinal=None):
        """A failure before its turn, of a file that waits or of one that is found now and is no instance."""
        if ordinal is None:
            self.count += 1
            ordinal = self.count
            self.ledger.found([ordinal])
        else:
            del self.waiting[ordinal]
        self.settle(self.ledger.refuse([_failure(SourceFile(name, ordinal))]))
        self._withdraw_what_stands_behind()
        self.halt_if_due()

    def withdraw(self, ordinal):
        """What has begun to be submitted, and nothing of it was sent, is given back."""
        self.waiting[ordinal] = self.begun.pop(ordinal)
        self._withdraw_what_stands_behind()

    def end(self, reason):
        waiting, self.waiting = list(self.waiting.values()), {}
        self.settle(self.ledger.end(reason, waiting))

    def settle(self, outcomes):
        self.outcomes += outcomes
        if self.ledger.settle(len(outcomes)):
            self.halt_if_due()

    def halt_if_due(self):
        if self.ledger.is_due:
            turn = self.ledger.turn()
            self.halted_by = self.ledger.reason
            self.settle(turn)
            self.end(self.ledger.reason)

    def _withdraw_what_stands_behind(self):
        self.waiting = {one.ordinal: one for one in self.ledger.to_send(list(self.waiting.values()))}

    def ordinal_of(self, name):
        [ordinal] = [one.ordinal for one in (*self.waiting.values(), *self.begun.values()) if one.path == name]
        return ordinal


def _failure(file):
    return Outcome(file, Result.NOT_SENT, reason=f"{file.path} is damaged")


@pytest.mark.parametrize("events", _EVENTS.values(), ids=_EVENTS)
def test_the_first_failure_has_its_turn_when_all_before_it_have_ended(events):
    files = _Files()
    does = {
        FOUND: files.found,
        BEGUN: lambda name: files.has_begun(files.ordinal_of(name)),
        STORED: lambda name: files.ended(files.ordinal_of(name), Result.STORED),
        REFUSED: lambda name: files.ended(files.ordinal_of(name), Result.FAILED),
        KNOWN: lambda name: files.known(name, None if name.isupper() else files.ordinal_of(name)),
    }
    expected = None
    for event, names, due in events:
        if event == END:
            files.end("it is over")
            withdrawn = [one for one in files.outcomes if one.is_withdrawn]
            assert {one.path for one in withdrawn} == set(names)
            assert {one.error for one in withdrawn} <= {files.halted_by or "it is over"}
            continue
        for name in names:
            does[event](name)
        expected = due or expected
        assert files.ledger.is_halted == bool(expected)
        assert files.halted_by == (expected and f"the run was halted by an earlier failure ({expected} is damaged)")
    assert files.ledger.unfinished == 0


def test_the_files_behind_a_failure_are_told_which_one_it_was():
    failure = values.outcome("a", Result.NOT_SENT, error="damaged")
    assert "(damaged)" in halted_by(failure)


def test_what_was_stored_ends_no_run():
    assert set(Result) - set(HARMLESS) == {Result.FAILED, Result.NOT_SENT, Result.UNKNOWN, Result.SKIPPED}


def test_a_file_that_is_found_twice_has_two_places():
    first, second = (values.instance("a", "1.1", "1.2", "1.3", ordinal=ordinal) for ordinal in (1, 2))
    ledger = Ledger(halts=True)
    ledger.found([first, second])
    assert ledger.ended(_failure(second.file))
    assert ledger.to_send([first]) == [first]
    assert ledger.ended(_failure(first.file))


def test_where_failures_do_not_halt_nothing_is_kept():
    files = _Files(halts=False)
    for name in "abc":
        files.found(name)
    files.known("b", 2)
    files.known("D")
    assert [one.path for one in files.outcomes] == ["b", "D"]
    assert sorted(files.waiting) == [1, 3]
    assert files.ledger.unfinished == 2


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["found", "no instance", "begin", "begin", "store", "store", "fail", "refuse", "withdraw", "end"]
        ),
        st.integers(0, 50),
    ),
    max_size=60,
)
"""What happens, and to which of the files that it can happen to."""


def _take(files, step, which):
    """Let this happen to one of the files that it can happen to; which of them fails then."""
    if step == "found":
        files.found(str(files.count + 1))
    elif step == "no instance":
        files.known(str(files.count + 1))
        return files.count
    elif step == "end":
        files.end("it is over")
    else:
        among = sorted(files.waiting if step in ("begin", "refuse") else files.begun)
        if among:
            ordinal = among[which % len(among)]
            {
                "begin": files.has_begun,
                "store": lambda one: files.ended(one, Result.STORED),
                "fail": lambda one: files.ended(one, Result.FAILED),
                "refuse": lambda one: files.known(str(one), one),
                "withdraw": files.withdraw,
            }[step](ordinal)
            return ordinal if step in ("fail", "refuse") else None
    return None


@given(_STEPS, st.booleans())
def test_whatever_happens_every_file_ends_in_exactly_one_outcome(steps, halts):
    files = _Files(halts=halts)
    failed, is_over = [], False
    for step, which in steps:
        if not is_over or step in ("store", "fail"):  # what has begun ends
            failed.append(_take(files, step, which))
            is_over = is_over or step == "end" or files.halted_by is not None
        assert files.ledger.unfinished == files.count - len(files.outcomes)
    is_ended = is_over and files.halted_by is None
    while files.waiting or files.begun:
        for ordinal in list(files.begun):
            files.ended(ordinal, Result.STORED)
        for ordinal in sorted(files.waiting)[:1]:
            files.has_begun(ordinal)
    assert Counter(one.path for one in files.outcomes) == Counter(str(one + 1) for one in range(files.count))
    assert files.ledger.unfinished == 0
    assert not files.ledger.is_due
    withdrawn = {int(one.path) for one in files.outcomes if one.is_withdrawn}
    failures = {ordinal for ordinal in failed if ordinal is not None} - withdrawn
    if halts and failures and not is_ended:
        assert files.halted_by == halted_by(_failure(SourceFile(str(min(failures)))))
        assert min(failures) < min(withdrawn, default=files.count + 1)
    elif not halts:
        assert files.halted_by is None
