"""Series of a catalogue that are needed now come before their turn, and every file comes once."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncstore.cataloguing import FromCatalogue
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.turns import Turns
from asyncstore.journal.values import State
from asyncstore.model import Result, SourceFile, Unsendable
from support.examples import examples
from support.journals import begin, delivery

STUDIES = ("1", "2", "3", "4")


def found(number, study, patient):
    return delivery(
        f"/data/{number:03}", State.WAITING, study=study, series=f"{study}.{number % 2}", study_date=f"202{study}0101",
        sop_instance_uid=f"{study}.{number}", patient_id=patient, attempts=0, association=None,
    )  # fmt: skip


def scan(path, rows):
    with begin(path, None) as journal:
        journal.write(rows)
        journal.complete_catalogue()


@pytest.fixture
def interleaved(path):
    """Four studies of two patients, their instances in turn."""
    rows = [found(4 * round_ + at, study, "AB"[at % 2]) for round_ in range(6) for at, study in enumerate(STUDIES)]
    scan(path, rows)
    return {row.path: row for row in rows}


def given_in(path, order, asked):
    """The paths that come, where each of ``asked`` is asked for after so many files."""
    with Catalogue(str(path)) as catalogue:
        turns = Turns(catalogue, order)
        came = []
        for file in turns:
            came.append(file.path)
            for key in asked.get(len(came), ()):
                turns.prioritise(key)
    return came


def test_a_study_comes_next_and_the_rest_keeps_its_order(path, interleaved):
    came = given_in(path, Order.WALK, {3: ["4"]})
    usual = sorted(interleaved)
    of_study = [each for each in usual if interleaved[each].study == "4"]
    # By series, as the journal numbers them: the even files of the study before the odd ones, or after.
    assert came[:3] == usual[:3]
    assert sorted(came[3:9]) == of_study
    assert came[9:] == [each for each in usual[3:] if each not in of_study]


def test_a_patient_comes_next_with_all_studies(path, interleaved):
    came = given_in(path, Order.NEWEST, {1: ["A"]})  # the newest study, 4, is of B and has begun
    assert interleaved[came[0]].study == "4"
    assert {interleaved[each].patient_id for each in came[1:13]} == {"A"}
    assert len(came) == len(set(came)) == len(interleaved)


def test_a_patient_id_that_is_not_ascii_is_found_in_each_likely_encoding(path):
    in_latin, in_utf = "M\xfc", "M\xfc".encode().decode("latin-1")
    scan(path, [found(0, "1", "A"), found(1, "2", in_latin), found(2, "3", "A"), found(3, "4", in_utf)])
    assert given_in(path, Order.WALK, {1: ["M\xfc"]})[1:3] == ["/data/001", "/data/003"]


@pytest.mark.parametrize("order", list(Order))
def test_a_list_is_kept_to(path, interleaved, order):
    with Catalogue(str(path)) as catalogue:
        list(catalogue.only_studies(["2", "3"]))
        turns = Turns(catalogue, order)
        turns.prioritise("1")
        turns.prioritise("3")
        came = [interleaved[file.path].study for file in turns]
    assert came == ["3"] * 6 + ["2"] * 6


def test_a_catalogue_that_is_not_complete_is_not_searched(path):
    with begin(path, None) as journal:
        journal.write([found(0, "1", "A"), found(1, "2", "A")])
    assert given_in(path, Order.WALK, {0: ["2"]}) == ["/data/000", "/data/001"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60))
@given(
    st.sampled_from(list(Order)),
    st.dictionaries(st.integers(1, 23), st.lists(st.sampled_from([*STUDIES, "A", "B", "5"]), max_size=2), max_size=4),
    st.booleans(),
)
def test_every_file_comes_once_whatever_is_asked_for(path, interleaved, order, asked, lists_instances):
    with Catalogue(str(path)) as catalogue:
        if lists_instances:
            list(catalogue.only_instances(row.sop_instance_uid for row in interleaved.values()))
        turns = Turns(catalogue, order)
        came = []
        for file in turns:
            came.append(file.path)
            for key in asked.get(len(came), ()):
                turns.prioritise(key)
    assert sorted(came) == sorted(interleaved)


def test_a_run_from_a_catalogue_gives_what_is_needed_now_next(path, tmp_path):
    files = [tmp_path / f"{number}" for number in range(40)]
    for file in files:
        file.write_bytes(b"x")
    scan(path, [found(at, str(at // 10 + 1), "A")._replace(path=str(file)) for at, file in enumerate(files)])
    with begin(path) as journal:
        recording = FromCatalogue(journal, Catalogue(str(path)))
        given_files = recording.without_settled(iter(()))
        first = [next(given_files).path for _ in range(5)]
        recording.prioritise("4")
        rest = [file.path for _, file in zip(range(10), given_files, strict=False)]
        recording.end()
        given_files.close()
    assert {int(path.rpartition("/")[2]) // 10 for path in rest} == {3}
    assert not set(first) & set(rest)


def test_a_stored_member_that_its_archive_has_lost_is_skipped_like_a_file_that_is_gone(path, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"another archive")
    row = found(0, "1", "A")._replace(path=str(tmp_path / "a.zip"), member="0.dcm")
    scan(path, [row])
    with begin(path) as journal:
        journal.write([row._replace(state=State.STORED)])
    with begin(path) as journal:
        recording = FromCatalogue(journal, Catalogue(str(path), tuple(State)))
        [outcome] = recording.without_settled(
            iter(()), lambda path, ordinal: Unsendable(SourceFile(path, ordinal), "no such file in the archive")
        )
    assert outcome.result is Result.SKIPPED
