"""What a run records comes back, is journalled only after the commit, and an error ends the writing once."""

import asyncio
import os
import stat
import subprocess
import sys
import threading

import pytest

from asyncstore.errors import JournalRemoved, JournalWriteFailed
from asyncstore.journal.lookup import NOT_ENDED
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import Outcomes, State, Walk
from asyncstore.journal.writing import MOST_QUEUED
from asyncstore.members import MemberPath
from asyncstore.model import Attempt, Details, Head, Identity, Outcome, Result, SourceFile, Unsendable
from asyncstore.recording import Recording
from support.journals import CT, EXPLICIT, PEER, begin, delivery, read
from support.values import outcome


def test_a_delivery_comes_back_with_all_its_values(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.FAILED, status=0xC000, reason="cannot understand", attempts=3)])
    [row] = read(path)
    assert row.path == "/data/a"
    assert (row.state, row.status, row.reason) == (State.FAILED, 0xC000, "cannot understand")
    assert (row.size, row.mtime, row.bytes, row.occurrence, row.run) == (1000, 7, 900, 0, 1)
    assert (row.sop_class_uid, row.sop_instance_uid, row.study, row.series) == (CT, "1.2.3", "1.2", "1")
    assert (row.transfer_syntax_uid, row.sent_transfer_syntax_uid) == (EXPLICIT, EXPLICIT)
    assert (row.attempts, row.time, row.seconds, row.association) == (3, 1.7e9, 0.25, 2)


def test_what_is_unknown_comes_back_as_unknown(path):
    nothing = dict.fromkeys(("size", "mtime", "sop_class_uid", "sop_instance_uid", "study", "series", "patient_id"))
    nothing |= dict.fromkeys(("transfer_syntax_uid", "sent_transfer_syntax_uid", "association"))
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.NOT_SENT, reason="no such file", attempts=0, **nothing)])
    [row] = read(path)
    assert (row.size, row.mtime, row.sop_class_uid, row.sop_instance_uid, row.study) == (None, None, "", "", "")
    assert (row.status, row.association, row.bytes) == (None, None, 0)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", "ü".encode(), b" ", b"'\"", b"a" * 255])
def test_any_name_comes_back(path, name):
    with begin(path) as journal:
        journal.write([delivery(os.fsdecode(b"/da\xffta/" + name))])
    assert [os.fsencode(row.path) for row in read(path)] == [b"/da\xffta/" + name]


def test_paths_are_kept_as_absolute_ones(path, tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    monkeypatch.chdir(tmp_path)
    with begin(path) as journal:
        journal.write([delivery("a"), delivery("./b"), delivery("deep//c"), delivery("link/../d"), delivery("/e")])
    assert {row.path for row in read(path)} == {str(tmp_path / name) for name in ("a", "b", "deep/c", "deep/d")} | {
        "/e"
    }


def test_members_of_an_archive_are_no_files_in_a_directory(path):
    with begin(path) as journal:
        journal.write([delivery("/data/x", member="a/b"), delivery("/data/x/b"), delivery("/data/x", member="b")])
    assert {(row.path, row.member) for row in read(path)} == {
        ("/data/x", "a/b"), ("/data/x", "b"), ("/data/x/b", None),
    }  # fmt: skip


def test_each_occurrence_has_a_row(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a", occurrence=number, attempts=number) for number in range(3)])
    assert [(row.occurrence, row.attempts) for row in read(path)] == [(0, 0), (1, 1), (2, 2)]


def test_a_delivery_that_is_recorded_again_replaces_its_row_and_adds_its_attempts(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.UNKNOWN, attempts=2, reason="lost")])
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.STORED, attempts=1, status=0)])
    [row] = read(path)
    assert (row.state, row.status, row.reason, row.attempts, row.run) == (State.STORED, 0, "", 3, 2)


def test_a_file_that_was_renamed_has_its_new_name_in_each_row(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a.bad", State.FAILED)])
    with begin(path) as journal:
        journal.write([delivery("/data/a", occurrence=number) for number in (0, 1)])
        journal.write([delivery("/other/a"), delivery("/data/b")])
        journal.flush()
        journal.rename("/data/a", "/data/a.bad")
        journal.rename("/data/none", "/data/none.bad")
    assert [(row.path, row.occurrence, row.state) for row in read(path)] == [
        ("/data/a.bad", 0, State.STORED), ("/data/a.bad", 1, State.STORED), ("/data/b", 0, State.STORED),
        ("/other/a", 0, State.STORED),
    ]  # fmt: skip


def test_a_file_that_was_named_twice_and_renamed_has_one_row(path):
    with begin(path) as journal:
        for state in (State.STORED, State.NOT_SENT, State.STORED):
            journal.write([delivery("/data/a", state)])
            journal.flush()
            journal.rename("/data/a", "/data/a.done")
    assert [(row.path, row.state) for row in read(path)] == [("/data/a.done", State.STORED)]


def test_a_stored_file_that_vanished_stays_stored(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a")])
        journal.write([delivery("/data/a", State.NOT_SENT, size=None, mtime=None, reason="no such file")])
        journal.write([delivery("/data/b", State.FAILED)])
        journal.write([delivery("/data/b", State.NOT_SENT, size=None, mtime=None, reason="no such file")])
    assert [row.state for row in read(path)] == [State.STORED, State.NOT_SENT]


@pytest.mark.parametrize(
    ("state", "size", "expected"),
    [
        (State.NOT_SENT, None, State.UNKNOWN),
        (State.WAITING, None, State.UNKNOWN),
        (State.NOT_SENT, 1000, State.NOT_SENT),
        (State.STORED, None, State.STORED),
        (State.FAILED, 1000, State.FAILED),
    ],
)
def test_a_file_that_the_peer_may_hold_stays_unknown_if_it_cannot_be_reached(path, state, size, expected):
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.UNKNOWN)])
        journal.write([delivery("/data/a", state, size=size)])
    assert [row.state for row in read(path)] == [expected]


def test_a_stored_file_that_was_named_twice_stays_stored_if_it_is_not_stored_again(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a"), delivery("/data/b"), delivery("/data/changed")])
        journal.write([delivery("/data/a", State.FAILED, status=0x0111), delivery("/data/b", State.WAITING)])
        journal.write([delivery("/data/changed", State.FAILED, mtime=8)])
    assert [row.state for row in read(path)] == [State.STORED, State.STORED, State.FAILED]


@pytest.mark.slow
def test_many_rows_of_many_studies_come_back(path):
    rows = [
        delivery(f"/data/{number % 7}/{number}", study=f"1.{number}", series=f"2.{number}", patient_id=str(number % 5))
        for number in range(10_000)
    ]
    with begin(path) as journal:
        for first in range(0, len(rows), 333):
            journal.write(rows[first : first + 333])
    assert {(row.path, row.study, row.series) for row in read(path)} == {
        (row.path, row.study, row.series) for row in rows
    }


def test_patient_ids_are_not_in_the_file(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a", patient_id="SECRET-PATIENT")])
    assert b"SECRET-PATIENT" not in path.read_bytes()


def test_only_the_owner_may_read_it(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a")])
        journal.flush()
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert {file.name for file in path.parent.iterdir()} == {"run.db"}


async def test_a_batch_is_journalled_after_its_commit(path):
    with begin(path) as journal:
        number = journal.write([delivery("/data/a")])
        assert (number, journal.committed) == (1, 0)
        await journal.recorded(number)
        assert (journal.committed, journal.queued) == (1, 0)
        assert len(read(path)) == 1
        journal.write([delivery("/data/b"), delivery("/data/c")])
        await journal.recorded()
        assert len(read(path)) == 3


@pytest.mark.slow
async def test_a_lone_delivery_is_committed_soon(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a")])
        async with asyncio.timeout(60):
            while not journal.committed:  # noqa: ASYNC110 - nothing else may wake the thread
                await asyncio.sleep(0.05)


async def test_a_waiter_may_be_cancelled(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a")])
        task = asyncio.create_task(journal.recorded())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await journal.recorded()


@pytest.mark.slow
async def test_the_queue_is_bounded_for_those_who_wait(path):
    with begin(path) as journal:
        batch = [delivery(f"/data/{number}") for number in range(500)]
        most = 0
        for _ in range(150):
            await journal.room()
            journal.write(batch)
            most = max(most, journal.queued)
        assert most <= MOST_QUEUED + len(batch)


async def test_nothing_is_recorded_after_the_end(path):
    journal = begin(path)
    journal.write([delivery("/data/a")])
    journal.close()
    with pytest.raises(RuntimeError, match="closed"):
        journal.write([delivery("/data/b")])
    await journal.recorded()
    journal.flush()


def test_closing_commits_what_is_queued_and_ends_the_run(path):
    journal = begin(path)
    journal.write([delivery("/data/a")])
    journal.walk = Walk(7, 3, 1, is_ended=True)
    assert journal.close("interrupted") is None
    assert journal.close() is None
    with Reader(str(path)) as reader:
        [[ending, stored, found, skipped]] = reader.rows("SELECT ending, stored, found, skipped FROM runs")
    assert (ending, stored, found, skipped) == ("interrupted", 1, 7, 3)


@pytest.mark.slow
async def test_a_full_disk_is_reported_once_and_nothing_is_claimed(path):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from support.journals import until_full; from asyncstore.errors import JournalError\n"
        "failures = []; journal = until_full(sys.argv[1], failures)\n"
        "try: journal.flush()\n"
        "except JournalError as error: print(type(error).__name__)\n"
        "print(len(failures), journal.close() is failures[0], journal.committed)\n"
    )
    words = [sys.executable, "-c", code, str(path), *sys.path]
    ended = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True, timeout=60)
    kind, facts = ended.stdout.splitlines()
    assert kind == "JournalWriteFailed"
    count, is_same, committed = facts.split()
    assert (count, is_same) == ("1", "True")
    assert 1 <= int(committed) < 20_001
    assert len(read(path)) == int(committed)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_committed_to_a_file_that_lost_its_name(path, is_replaced):
    failures = []
    journal = begin(path, on_failure=failures.append)
    journal.write([delivery("/data/a")])
    journal.flush()
    path.unlink()
    if is_replaced:
        path.write_bytes(b"")
    journal.write([delivery("/data/b")])
    with pytest.raises(JournalRemoved):
        journal.flush()
    assert journal.committed == 1
    assert journal.close() is failures[0]


def test_a_file_that_lost_its_name_is_noticed_at_the_end(path):
    journal = begin(path)
    journal.write([delivery("/data/a")])
    journal.flush()
    path.unlink()
    assert type(journal.close()) is JournalRemoved


async def test_an_error_reaches_all_who_wait(path):
    failures = []
    journal = begin(path, on_failure=failures.append)
    thread = threading.Thread(target=journal.flush)
    thread.start()
    thread.join()
    journal.write([delivery("/data/a")])
    journal.record(Outcomes(["no outcome"], 0, {}))
    with pytest.raises(JournalWriteFailed):
        await journal.recorded()
    journal.write([delivery("/data/b")])
    with pytest.raises(JournalWriteFailed):
        await journal.room()
    with pytest.raises(JournalWriteFailed):
        journal.flush()
    assert journal.close() is failures[0]
    assert len(failures) == 1
    assert len(read(path)) == journal.committed
    begin(path, PEER).close()


FOUND = SourceFile("/data/a/x", 3)
IDENTITY = Identity(CT, "1.2.3", EXPLICIT)
DETAILS = Details(1000, 7, Head("1.2", "1", b"P", "20200101", "CT"))
REFUSED, LOST = Attempt(2, "1.2.3", EXPLICIT, 0.5, 0xC000), Attempt(1, "1.2.3", EXPLICIT, 0.5, None)
SERIES = "1.2", "1"
OUTCOMES = [
    (Outcome(FOUND, Result.STORED, IDENTITY, Attempt(2, "1.2.9", "1.2", 0.25, 0), 900, 2, None, False, DETAILS),
     (State.STORED, 0, "", CT, "1.2.9", *SERIES, EXPLICIT, "1.2", 2, 0.25, 1000, 7, 900, 2)),
    (Outcome(FOUND, Result.FAILED, IDENTITY, REFUSED, 900, 1, "no", False, DETAILS),
     (State.FAILED, 0xC000, "no", CT, "1.2.3", *SERIES, EXPLICIT, EXPLICIT, 1, 0.5, 1000, 7, 900, 2)),
    (Outcome(FOUND, Result.UNKNOWN, IDENTITY, LOST, 900, 3, "lost", False, DETAILS),
     (State.UNKNOWN, None, "lost", CT, "1.2.3", *SERIES, EXPLICIT, EXPLICIT, 3, 0.5, 1000, 7, 900, 1)),
    (Outcome(FOUND, Result.NOT_SENT, IDENTITY, None, 900, 0, "interrupted", True, DETAILS),
     (State.WAITING, None, "interrupted", CT, "1.2.3", *SERIES, EXPLICIT, "", 0, 0, 1000, 7, 900, None)),
    (Outcome(FOUND, Result.NOT_SENT, None, None, 0, 0, "not a DICOM file", False, Details(10, 1 << 63)),
     (State.NOT_SENT, None, "not a DICOM file", "", "", "", "", "", "", 0, 0, 10, 0, 0, None)),
    (Outcome(FOUND, Result.NOT_SENT, None, None, 0, 0, "no such file"),
     (State.NOT_SENT, None, "no such file", "", "", "", "", "", "", 0, 0, None, None, 0, None)),
    (Outcome(FOUND, Result.WARNING, IDENTITY, Attempt(1, "9", "1.2", 1, 0xB000), 9, 3, "odd", False, DETAILS),
     (State.WARNING, 0xB000, "odd", CT, "9", *SERIES, EXPLICIT, "1.2", 3, 1, 1000, 7, 9, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "row"), OUTCOMES)
@pytest.mark.parametrize("occurrence", [0, 2])
def test_an_outcome_leaves_its_row(path, outcome, row, occurrence):
    with begin(path) as journal:
        journal.record(Outcomes([outcome], 1.7e9, {outcome.ordinal: occurrence}))
    [found] = read(path)
    assert (found.path, found.occurrence, found.run) == ("/data/a/x", occurrence, 1)
    assert abs(found.time - 1.7e9) < 0.002
    assert row == (
        found.state, found.status, found.reason, found.sop_class_uid, found.sop_instance_uid, found.study, found.series,
        found.transfer_syntax_uid, found.sent_transfer_syntax_uid, found.attempts, found.seconds, found.size,
        found.mtime, found.bytes, found.association,
    )  # fmt: skip
    with Reader(str(path)) as reader:
        [counts] = reader.rows("SELECT waiting, stored, warning, failed, not_sent, unknown FROM runs")
    assert counts == tuple(int(state is found.state) for state in State)


GONE = [
    ("/gone/1.dcm", None, 0), ("/gone/1.dcm", None, 1), ("/gone/a.zip", "2.dcm", 0), ("/only/scanned", None, 0),
]  # fmt: skip
"""Files that an interrupted run or a scan found, as path, name in an archive, and occurrence."""


@pytest.fixture
def interrupted(path, tmp_path):
    """The journal of a run that was interrupted; one of the files that it found is still there."""
    here = tmp_path / "here.dcm"
    here.touch()
    with begin(path) as journal:
        rows = [delivery(*row[:1], State.WAITING, member=row[1], occurrence=row[2]) for row in GONE]
        others = [delivery("/gone/stored"), delivery("/lost", State.UNKNOWN)]
        members = [delivery("s3://bucket", State.WAITING, member="x")]
        journal.write([*rows, *others, *members, delivery(str(here), State.WAITING)])
    return path, here


def test_a_file_that_waits_and_is_gone_ends_as_not_sent_when_all_others_have_ended(interrupted):
    path, here = interrupted
    with begin(path) as journal:
        recording = Recording(journal)
        here.unlink()  # the run has found it: it ends by itself
        waits = threading.Event()
        recording.on_wait = waits.set
        items = recording.without_settled(iter([SourceFile(str(here), 7)]))
        assert next(items).path == str(here)
        rest = []
        walk = threading.Thread(target=lambda: rest.extend(items))
        walk.start()
        waits.wait()
        recording.record([outcome(str(here), Result.NOT_SENT, ordinal=7, reason="cannot be opened")])
        walk.join()
        assert [(item.path, item.ordinal) for item in rest] == [
            ("/gone/1.dcm", 8), ("/gone/1.dcm", 9), ("/gone/a.zip!2.dcm", 10), ("/only/scanned", 11),
        ]  # fmt: skip
        assert {item.reason for item in rest} == {"it is no longer there; an earlier run found it, and did not send it"}
        recording.record([Outcome(item.file, Result.NOT_SENT, reason=item.reason) for item in rest])
    assert {(row.path, row.member, row.occurrence) for row in read(path, State.NOT_SENT)} == {
        *GONE, (str(here), None, 0),
    }  # fmt: skip
    assert {row.path for row in read(path, State.WAITING)} == {"s3://bucket"}
    with Reader(str(path)) as reader:
        assert reader.rows("SELECT found, known FROM runs WHERE id = 2") == [(5, 5)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.FAILED, "it is no longer there; the peer refused it"),
        (State.NOT_SENT, "it is no longer there; an earlier run could not send it"),
        (State.UNKNOWN, None),
    ],
)
def test_a_file_that_is_gone_ends_as_not_sent_if_it_was_to_be_sent_again(path, state, reason):
    with begin(path) as journal:
        journal.write([delivery("/gone/1.dcm", state, status=0xA700)])
    for again in (NOT_ENDED, {*NOT_ENDED, state}):
        with begin(path) as journal:
            items = list(Recording(journal, again).without_settled(iter([])))
        assert [item.reason for item in items] == ([reason] if reason and state in again else [])


def test_a_run_that_ends_before_all_files_have_ended_leaves_those_that_are_gone(interrupted):
    path, here = interrupted
    with begin(path) as journal:
        recording = Recording(journal)
        items = recording.without_settled(iter([SourceFile(str(here), 1)]))
        assert next(items).path == str(here)
        recording.end()
        assert list(items) == []
    assert len(read(path, State.WAITING)) == 6


def test_a_run_that_walks_a_small_part_does_not_look_for_all_other_files(path, tmp_path, monkeypatch):
    monkeypatch.setattr("asyncstore.recording._MOST_THERE", 2)
    with begin(path) as journal:
        journal.write([delivery(tmp_path, State.WAITING, occurrence=number) for number in range(3)])
        journal.write([delivery("/zzz/gone", State.WAITING)])
    with begin(path) as journal:
        assert list(Recording(journal).without_settled(iter([]))) == []


def test_the_row_of_an_archive_goes_when_its_members_were_found_to_the_last(path):
    archive, other = "/data/a.zip", "/data/b.zip"
    with begin(path) as journal:
        journal.write([delivery(place, State.NOT_SENT) for place in (archive, other)])
        journal.write([delivery(archive, State.NOT_SENT, member="in.tar"), delivery(archive, member="1.dcm")])
    found = [MemberPath(archive, "1.dcm"), MemberPath(archive, "in.tar!2.dcm"), MemberPath(archive, "3.dcm")]
    found += [MemberPath(other, "4.dcm")]
    for member in found:
        member.is_listed = True
    with begin(path) as journal:
        items = [*map(SourceFile, found, range(1, 5)), Unsendable(SourceFile(other, 5), "damaged"), SourceFile("/x", 6)]
        assert len(list(Recording(journal).without_settled(iter(items)))) == len(items)
    assert {(row.path, row.member) for row in read(path)} == {(archive, "1.dcm"), (other, None)}


def test_the_row_of_a_damaged_archive_stays_when_a_member_is_named(path):
    with begin(path) as journal:
        journal.write([delivery("/data/a.zip", State.NOT_SENT)])
    with begin(path) as journal:
        assert list(Recording(journal).without_settled(iter([SourceFile(MemberPath("/data/a.zip", "1.dcm"), 1)])))
    assert [(row.path, row.member) for row in read(path)] == [("/data/a.zip", None)]
