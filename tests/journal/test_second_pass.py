"""A further pass of a run takes the refused files from its journal, and the journal takes back what they were."""

from __future__ import annotations

from asyncstore.journal.accounts import account
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State, Walk
from asyncstore.model import Identity, Outcome, Result, SourceFile, Unsendable
from asyncstore.recording import SecondPass
from support.journals import begin, delivery, read


def sums(path):
    """What the runs have recorded, run by run: stored, failed."""
    with Reader(str(path)) as reader:
        return reader.rows("SELECT stored, failed FROM runs ORDER BY id")


def test_every_file_that_failed_in_any_run_is_taken_once(path, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    with begin(path) as journal:
        journal.write([delivery(tmp_path / "a", State.FAILED, status=0xA700), delivery(tmp_path / "s")])
    with begin(path) as journal:
        journal.write(
            [
                delivery(tmp_path / "b", State.FAILED, status=0xA700),
                delivery(tmp_path / "gone", State.FAILED, status=0xA700),
                delivery(tmp_path / "n", State.NOT_SENT, reason="not DICOM"),
            ]
        )
        journal.flush()
        again = SecondPass(journal, 11)
        first, second, gone = again.without_settled(iter(()))
        assert (first, second) == (SourceFile(str(tmp_path / "a"), 11), SourceFile(str(tmp_path / "b"), 12))
        assert isinstance(gone, Unsendable)
        assert gone.ordinal == 13
        identity = Identity("1.2", "1.2.3", "1.2")
        again.record([Outcome(first, Result.STORED, identity), Outcome(second, Result.STORED, identity)])
    assert {row.path.rpartition("/")[2]: row.state.name for row in read(path)} == {
        "a": "STORED", "b": "STORED", "gone": "FAILED", "n": "NOT_SENT", "s": "STORED",
    }  # fmt: skip
    assert sums(path) == [(1, 1), (2, 0)]


def test_a_file_that_is_taken_up_is_no_longer_left_as_it_was(path, tmp_path):
    (tmp_path / "a").touch()
    with begin(path) as journal:
        journal.write([delivery(tmp_path / "a", State.FAILED), delivery(tmp_path / "s")])
    with begin(path) as journal:
        journal.walk = Walk(2, skipped=2, left_failed=1, is_ended=True)
        journal.flush()
        again = SecondPass(journal, 3)
        [file] = again.without_settled(iter(()))
        again.record([Outcome(file, Result.STORED, Identity("1.2", "1.2.3", "1.2"))])
    with Reader(str(path)) as reader:
        sums = account([reader])
    last = sums.runs[-1]
    assert (last.skipped, last.left.total(), last.states[State.STORED], sums.without_row) == (1, 0, 1, 0)


def test_deliveries_of_one_file_keep_their_places(path, tmp_path):
    (tmp_path / "a").touch()
    with begin(path) as journal:
        states = (State.STORED, State.FAILED, State.STORED, State.FAILED)
        journal.write([delivery(tmp_path / "a", state, occurrence=place) for place, state in enumerate(states)])
        journal.flush()
        again = SecondPass(journal, 5)
        files = list(again.without_settled(iter(())))
        again.record([Outcome(file, Result.STORED, Identity("1.2", "1.2.3", "1.2")) for file in files])
    assert [(row.occurrence, row.state) for row in read(path)] == [(place, State.STORED) for place in range(4)]
    assert sums(path) == [(4, 0)]
