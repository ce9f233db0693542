"""The sums of a report: everything found is in one state, over several runs and several journals."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.journal.accounts import Ending, account, progress
from asyncstore.journal.content import content
from asyncstore.journal.place import is_held
from asyncstore.journal.reading import Reader
from asyncstore.journal.studies import Completeness, Gap, Studies, largest_gap
from asyncstore.journal.values import State, Walk
from support.examples import examples
from support.journals import CT, EXPLICIT, begin, delivery

DAY = 86_400.0
BEGIN = 1_700_006_400.0
"""2023-11-15T00:00:00Z."""


def record(path, rows, migration=None):
    with begin(path) if migration is None else begin(path, None) as journal:
        journal.write(rows)


def test_each_delivery_is_counted_once_by_state_status_reason_class_and_day(path):
    record(path, [
        delivery("/a/1", status=0, time=BEGIN),
        delivery("/a/2", State.WARNING, status=0xB000, time=BEGIN + DAY - 0.001, bytes=50),
        delivery("/a/3", State.WARNING, status=0xB006, time=BEGIN + DAY),
        delivery("/a/4", State.WARNING, status=0xB007, time=BEGIN + DAY),
        delivery("/a/5", State.FAILED, status=0xC000, reason="cannot understand", time=BEGIN, attempts=3),
        delivery("/a/6", State.NOT_SENT, reason="not DICOM", size=None, sop_class_uid=None, time=BEGIN, attempts=0),
        delivery("/a/7", State.UNKNOWN, reason="lost", time=BEGIN),
        delivery("/a/8", State.WAITING, attempts=0),
    ])  # fmt: skip
    endings = Counter()
    with Reader(str(path)) as reader:
        found = account([reader], lambda ending, count: endings.update({ending: count}))
    assert found.found == 8
    assert found.stored == 4
    assert found.states == {
        State.STORED: 1, State.WARNING: 3, State.FAILED: 1, State.NOT_SENT: 1, State.UNKNOWN: 1, State.WAITING: 1,
    }  # fmt: skip
    assert found.statuses == {0: 1, 0xB000: 1, 0xB006: 1, 0xB007: 1, 0xC000: 1}
    assert endings == {
        Ending(State.STORED, 0, ""): 1, Ending(State.WARNING, 0xB000, ""): 1, Ending(State.WARNING, 0xB006, ""): 1,
        Ending(State.WARNING, 0xB007, ""): 1, Ending(State.FAILED, 0xC000, "cannot understand"): 1,
        Ending(State.NOT_SENT, None, "not DICOM"): 1, Ending(State.UNKNOWN, None, "lost"): 1,
    }  # fmt: skip
    assert found.bytes[State.WARNING] == 50 + 900 + 900
    assert found.sop_classes[CT, State.WARNING] == 3
    assert found.sop_classes["", State.NOT_SENT] == 1
    assert found.transfer_syntaxes[EXPLICIT, State.STORED] == 1
    assert found.days == {
        ("2023-11-15", State.STORED): 1, ("2023-11-15", State.WARNING): 1, ("2023-11-16", State.WARNING): 2,
        ("2023-11-15", State.FAILED): 1, ("2023-11-15", State.NOT_SENT): 1, ("2023-11-15", State.UNKNOWN): 1,
    }  # fmt: skip
    assert found.attempts == 1 + 3 + 3 + 1


def test_several_journals_are_one_account(tmp_path):
    paths = [tmp_path / f"{number}.db" for number in range(3)]
    for number, path in enumerate(paths):
        record(path, [delivery(f"/{number}/{file}") for file in range(number)])
    readers = [Reader(str(path)) for path in paths]
    assert account(readers).states == {State.STORED: 3}
    assert len(account(readers).runs) == 3
    assert sum(study.found for study in Studies(readers)) == 3
    for reader in readers:
        reader.close()


def test_a_study_in_several_journals_or_under_two_patient_ids_is_one(tmp_path):
    first, second, third = (tmp_path / f"{number}.db" for number in range(3))
    record(first, [delivery("/1/a", study="5", time=BEGIN + 5), delivery("/1/b", study="6", time=BEGIN)])
    record(second, [
        delivery("/2/a", study="5", patient_id="other", time=BEGIN + 1),
        delivery("/2/b", State.WAITING, study="5", study_date="20200101"), delivery("/2/c", State.WAITING, study="7"),
    ])  # fmt: skip
    record(third, [delivery("/3/a", study="7", time=BEGIN + 9), delivery("/3/b", study="8", patient_id="other")])
    readers = [Reader(str(path)) for path in (first, second, third)]
    found = Studies(readers)
    assert found.completeness() == {Completeness.INCOMPLETE: 2, Completeness.COMPLETE: 2}
    five, six, seven, eight = found
    assert five == ("5", "20200101", Completeness.INCOMPLETE, 3, 2, 1, BEGIN + 1, BEGIN + 5)
    assert six == ("6", "", Completeness.COMPLETE, 1, 1, 0, BEGIN, BEGIN)
    assert seven == ("7", "", Completeness.INCOMPLETE, 2, 1, 1, BEGIN + 9, BEGIN + 9)
    assert eight.uid == "8"
    for reader in readers:
        reader.close()


@pytest.mark.slow
def test_many_different_reasons_are_handed_over_one_by_one(path):
    record(path, [delivery(f"/a/{number}", State.NOT_SENT, reason=f"cut off at {number}") for number in range(2500)])
    seen = []
    with Reader(str(path)) as reader:
        account([reader], lambda ending, count: seen.append((ending.reason, count)))
    assert sorted(seen) == sorted((f"cut off at {number}", 1) for number in range(2500))


@pytest.mark.slow
def test_a_long_query_can_be_watched_and_ended(path):
    record(path, [delivery(f"/a/{number}") for number in range(3000)])

    def stop():
        raise KeyboardInterrupt

    with Reader(str(path)) as reader:
        reader.watch(stop)
        with pytest.raises(KeyboardInterrupt):
            reader.rows(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000000) SELECT max(i) FROM n"
            )


def test_whether_a_run_writes_to_a_journal(path):
    assert not is_held(str(path))
    with begin(path):
        assert is_held(str(path))
    assert not is_held(str(path))
    path.with_name("run.db-lock").touch()  # as a run leaves it that was killed
    assert not is_held(str(path))


def test_files_that_were_found_and_have_not_ended_wait(path):
    record(path, [delivery("/a/1"), delivery("/a/2")])
    with begin(path) as journal:
        journal.walk = Walk(10, 1, 1, is_ended=False)
        journal.write([delivery("/a/2"), delivery("/a/3")])
        journal.flush()
        with Reader(str(path)) as reader:
            found = account([reader])
    assert found.states == {State.STORED: 3, State.WAITING: 7}
    assert (found.without_row, found.waiting) == (7, {str(path): 7})
    first, second = found.runs
    assert (first.how, second.how, second.found, second.skipped, second.is_walked) == ("completed", None, 10, 1, False)
    assert second.states[State.STORED] == 2


def test_a_file_that_was_named_twice_does_not_wait_when_its_run_has_ended(path):
    with begin(path) as journal:
        journal.walk = Walk(3, is_ended=True)
        for _ in range(2):
            journal.write([delivery("/a/1", State.FAILED)])
        journal.flush()
        with Reader(str(path)) as reader:
            assert account([reader]).states == {State.FAILED: 1, State.WAITING: 1}
        journal.write([delivery("/a/2", State.WAITING)])
        journal.close("interrupted")
    with Reader(str(path)) as reader:
        assert account([reader]).states == {State.FAILED: 1, State.WAITING: 1}


@pytest.mark.slow
def test_sums_agree_while_a_run_writes(path):
    with begin(path) as journal:

        def write():
            for number in range(0, 6000, 100):
                journal.write([delivery(f"/a/{number + more}") for more in range(100)])
                journal.walk = Walk(number + 350, is_ended=False)
                journal.flush()

        with Reader(str(path)) as reader, ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            seen = []
            while not writing.done():
                found = account([reader])
                assert found.found >= found.runs[-1].found
                assert found.states[State.STORED] == found.runs[-1].states[State.STORED]
                seen.append(found.found)
            writing.result()
            assert seen == sorted(seen)
            assert account([reader]).states == {State.STORED: 6000, State.WAITING: 250}


def test_studies_are_complete_incomplete_or_untouched(path):
    record(path, [
        delivery("/a/1", study="1", time=BEGIN + 5), delivery("/a/2", State.WARNING, study="1", time=BEGIN + 9),
        delivery("/a/3", study="2"), delivery("/a/4", State.WAITING, study="2", series="9"),
        delivery("/a/5", State.WAITING, study="3", study_date="20200101"),
        delivery("/a/6", State.FAILED, study="4"),
        delivery("/a/7", State.NOT_SENT, study=None, series=None, patient_id=None),
        delivery("/a/8", State.NOT_SENT, study="", series="", patient_id=""),
    ])  # fmt: skip
    with Reader(str(path)) as reader:
        found = {study.uid: study for study in Studies([reader])}
        assert Studies([reader]).completeness() == {
            Completeness.COMPLETE: 1, Completeness.INCOMPLETE: 2, Completeness.UNTOUCHED: 1,
        }  # fmt: skip
    assert {uid: study.completeness.value for uid, study in found.items()} == {
        "1": "complete", "2": "incomplete", "3": "untouched", "4": "incomplete",
    }  # fmt: skip
    assert (found["1"].began, found["1"].ended, found["1"].stored) == (BEGIN + 5, BEGIN + 9, 2)
    assert (found["3"].began, found["3"].date, found["3"].waiting) == (None, "20200101", 1)


def test_the_largest_gap_within_a_study(path):
    record(path, [
        delivery("/a/1", study="1", time=BEGIN), delivery("/a/2", study="2", time=BEGIN + 10),
        delivery("/a/3", study="1", time=BEGIN + 60), delivery("/a/4", study="2", time=BEGIN + 80),
        delivery("/a/5", State.WAITING, study="2", time=BEGIN + 500),
        delivery("/a/6", State.NOT_SENT, study="2", time=BEGIN + 40, association=None),
        delivery("/a/7", study="2", time=BEGIN + 900, association=None),
    ])  # fmt: skip
    with Reader(str(path)) as reader:
        assert largest_gap([reader]) == Gap(70.0, "2", BEGIN + 10)
    record(path.with_name("empty"), [])
    with Reader(str(path.with_name("empty"))) as reader:
        assert largest_gap([reader]) is None
        assert account([reader]).found == 0


def test_the_gap_within_a_study_is_that_of_all_its_patient_ids_and_journals(tmp_path):
    first, second = (tmp_path / f"{number}.db" for number in range(2))
    record(first, [delivery("/1/a", study="5", time=BEGIN), delivery("/1/b", study="5", time=BEGIN + 90)])
    record(second, [
        delivery("/2/a", study="5", time=BEGIN + 30, patient_id="P"),
        delivery("/2/b", study="5", time=BEGIN + 50, patient_id="Q"),
    ])  # fmt: skip
    with Reader(str(first)) as one, Reader(str(second)) as other:
        assert largest_gap([one, other]) == largest_gap([other, one]) == Gap(40.0, "5", BEGIN + 50)
        assert largest_gap([other]) == Gap(20.0, "5", BEGIN + 30)


def test_progress_over_time(path):
    record(path, [delivery(f"/a/{number}", time=BEGIN + 30 * number) for number in range(6)])
    with Reader(str(path)) as reader:
        assert progress([reader], 60) == {int(BEGIN) + 60 * minute: Counter({State.STORED: 2}) for minute in range(3)}


def test_progress_of_a_part_of_the_time(path):
    record(path, [delivery(f"/a/{number}", time=BEGIN + 30 * number) for number in range(6)])
    with Reader(str(path)) as reader:
        assert progress([reader], 60, BEGIN + 60, BEGIN + 120) == {int(BEGIN) + 60: Counter({State.STORED: 2})}


def test_the_content_of_a_catalogue(path):
    rows = [
        delivery("/a/1", State.WAITING, study="1", study_date="20200203", modality="CT", patient_id="A"),
        delivery("/a/2", State.WAITING, study="1", study_date="20200203", modality="CT", patient_id="B"),
        delivery("/a/3", State.WAITING, study="2", series="2", sop_instance_uid="8", modality="MR", patient_id="A"),
        delivery("/a/4", State.NOT_SENT, study=None, series=None, patient_id=None, sop_instance_uid=None),
    ]
    with begin(path, None) as journal:
        journal.write(rows)
        journal.complete_catalogue(lambda path, member: path.encode())  # noqa: ARG005 - each has other bytes
    with Reader(str(path)) as reader:
        found = content(reader)
    assert (found.patients, found.studies, found.series, found.instances) == (2, 2, 3, 3)
    assert (found.years, found.modalities) == ({"2020": 2, "": 1}, {"CT": 2, "MR": 1})
    assert (found.duplicates, found.conflicts, found.studies_of_many_patients, found.bytes) == (0, 2, 1, 3000)


@pytest.mark.slow
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(State)), max_size=12), max_size=4))
@settings(max_examples=examples(25), deadline=None)
def test_found_is_the_sum_over_all_states_after_any_runs(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("any") / "run.db"
    last, attempts = {}, 0
    for run in runs:
        record(path, [delivery(f"/a/{number}", state, study=str(number % 3)) for number, state in run])
        for number, state in run:
            if state.is_stored or number not in last or not last[number].is_stored:
                last[number] = state
                attempts += 1
    if not runs:
        return
    with Reader(str(path)) as reader:
        found = account([reader])
        assert found.states == Counter(last.values())
        assert sum(study.found for study in Studies([reader])) == found.found == len(last)
        assert found.attempts == attempts


@pytest.mark.slow
def test_reading_many_studies(path):
    record(path, [delivery(f"/a/{number}", study=f"1.{number}") for number in range(2500)])
    with Reader(str(path)) as reader:
        assert len({study.uid for study in Studies([reader])}) == 2500


@pytest.mark.parametrize("time", [-1e15, 1e15])
def test_a_clock_that_was_wrong_is_no_problem(path, time):
    record(path, [delivery("/a/1", time=time)])
    with Reader(str(path)) as reader:
        assert account([reader]).found == 1
