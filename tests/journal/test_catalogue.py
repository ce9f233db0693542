"""The catalogue: found files wait in an order that keeps studies together, and clashes of UIDs are found."""

import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.content import content
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State
from support.examples import examples
from support.journals import CT, as_found, begin, delivery, in_order, read

STUDIES = {"1": ("20200101", 3), "2": ("20240101", 1), "3": (None, 2), "4": ("2010.05.05", 5), "5": ("nonsense", 1)}


def found(path, **more):
    return delivery(
        path, State.WAITING, **{"attempts": 0, "association": None, "sent_transfer_syntax_uid": None, **more}
    )


def scan(path, rows):
    with begin(path, None) as journal:
        journal.write(rows)
        journal.complete_catalogue()
    with Reader(str(path)) as reader:
        found = content(reader)
    return found.duplicates, found.conflicts


def test_a_study_whose_files_have_changed_is_not_in_the_catalogue_any_more(path):
    scan(path, [found("/a", study="1", series="1.1", patient_id="P"), found("/b", study="1", patient_id="Q")])
    with Reader(str(path)) as reader:
        assert content(reader)[:3] == (2, 1, 2)
        assert content(reader).studies_of_many_patients == 1
    scan(path, [found("/b", study="1", series="1.1", patient_id="P", mtime=8)])
    with Reader(str(path)) as reader:
        assert content(reader)[:3] == (1, 1, 1)
        assert content(reader).studies_of_many_patients == 0


@pytest.fixture
def studies(path):
    """Some studies with their instances in turn, in two series each."""
    rows = [
        found(f"/data/{number}/{study}", study=study, study_date=date, series=f"{study}.{number % 2}",
              sop_instance_uid=f"{study}.{number}", patient_id=study)
        for number in range(5) for study, (date, count) in STUDIES.items() if number < count
    ]  # fmt: skip
    scan(path, [*rows, found("/data/none", study=None, series=None, patient_id=None, sop_instance_uid="9")])
    return rows


def order_of(rows):
    """The studies in the order in which they come; each comes once."""
    order = []
    for row in rows:
        if not order or order[-1] != row.study:
            order.append(row.study)
    assert len(order) == len(set(order))
    return order


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.NEWEST, ["2", "1", "4", "3", "5", ""]),
        (Order.OLDEST, ["4", "1", "2", "3", "5", ""]),
        (Order.LARGEST, ["4", "1", "3", "5", "2", ""]),
    ],
)
def test_the_order_keeps_studies_together(path, studies, order, expected):
    with Catalogue(str(path)) as catalogue:
        rows = in_order(catalogue, path, order)
    assert order_of(rows) == expected
    assert len(rows) == len(studies) + 1


@pytest.mark.parametrize("order", list(Order))
def test_each_order_gives_each_delivery_once(path, studies, order):
    with Catalogue(str(path)) as catalogue:
        rows = [row.path for row in in_order(catalogue, path, order)]
    assert sorted(rows) == sorted([*(row.path for row in studies), "/data/none"])


def test_what_was_sent_is_not_in_it_any_more(path, studies):
    with begin(path) as journal:
        journal.write([delivery(row.path, study=row.study, series=row.series) for row in studies[:5]])
        journal.write([delivery(studies[5].path, State.UNKNOWN), delivery(studies[6].path, State.FAILED)])
    with Catalogue(str(path)) as catalogue:
        assert {row.path for row in in_order(catalogue, path)} == {row.path for row in [studies[5], *studies[7:]]} | {
            "/data/none"
        }
    with Catalogue(str(path), {State.FAILED}) as catalogue:
        assert {row.path for row in in_order(catalogue, path, Order.NEWEST)} == {studies[6].path}


@pytest.mark.parametrize("order", list(Order))
def test_a_list_of_studies(path, studies, order):
    with Catalogue(str(path)) as catalogue:
        assert list(catalogue.only_studies(["2", "7.7", "1", " 2", "8"])) == ["7.7", "8"]
        rows = in_order(catalogue, path, order)
    assert sorted(row.path for row in rows) == sorted(row.path for row in studies if row.study in "12")
    if order is Order.LIST:
        assert order_of(rows) == ["2", "1"]


@pytest.mark.parametrize("order", list(Order))
def test_a_list_of_instances(path, studies, order):  # noqa: ARG001 - the rows are in the journal
    with Catalogue(str(path)) as catalogue:
        assert list(catalogue.only_instances(["4.4", "1.0", "7.7", "9", "4.0"])) == ["7.7"]
        rows = [row.sop_instance_uid for row in in_order(catalogue, path, order)]
    assert sorted(rows) == ["1.0", "4.0", "4.4", "9"]
    if order is Order.LIST:
        assert rows == ["4.4", "1.0", "9", "4.0"]


@pytest.mark.slow
def test_long_lists_and_many_studies(path):
    scan(
        path, [found(f"/data/{n:05}", study=str(n // 2), series=str(n), sop_instance_uid=f"1.{n}") for n in range(5000)]
    )
    with Catalogue(str(path)) as catalogue:
        assert len(order_of(in_order(catalogue, path, Order.NEWEST))) == 2500
        wanted = [f"1.{number}" for number in range(4999, -1, -1)]
        assert len(list(catalogue.only_instances([*wanted, *(f"2.{n}" for n in range(3000))]))) == 3000
        assert [row.sop_instance_uid for row in in_order(catalogue, path, Order.LIST)] == wanted
        assert list(catalogue.only_studies(str(number) for number in range(2500))) == []
        assert len(order_of(in_order(catalogue, path, Order.LIST))) == 2500


@pytest.mark.parametrize("series", ["1.1", None])
def test_a_long_series_takes_as_long_as_several_short_ones(tmp_path, monkeypatch, series):
    steps = []

    class Counted(Catalogue):
        def __init__(self, path):
            super().__init__(path)
            self.watch(lambda: steps.append(1))

    monkeypatch.setattr("asyncstore.journal.reading._STEPS", 100)
    monkeypatch.setattr("asyncstore.journal.catalogue.PIECE", 5)
    taken = []
    study = None if series is None else "1"
    for count in (200, 800):
        path = tmp_path / str(count)
        scan(path, [found(f"/data/{n}", study=study, series=series, patient_id=study) for n in range(count)])
        with Counted(str(path)) as catalogue:
            steps.clear()
            assert sum(1 for _ in catalogue.files(Order.NEWEST)) == count
            taken.append(len(steps))
    few, many = taken
    assert many < 6 * few


def test_it_is_complete_when_each_walk_has_ended(path):
    def is_complete():
        with Catalogue(str(path)) as catalogue:
            return catalogue.is_complete

    for sources, ends, expected in ((["/a"], True, True), (["/b"], False, False), (["/a"], True, False)):
        with begin(path, None) as journal:
            journal.begin_catalogue(sources)
            journal.write([found("/a/1")])
            if ends:
                journal.complete_catalogue()
        assert is_complete() == expected
    with begin(path, None) as journal:
        journal.begin_catalogue(["/b"])
        journal.complete_catalogue()
    assert is_complete()


def test_completing_can_be_interrupted(path, tmp_path):
    rows = TestClashes.make(tmp_path, [b"aa"] * 4)
    with begin(path, None) as journal:
        journal.begin_catalogue(["/a"])
        journal.write(rows)

        def interrupt(path, member):  # noqa: ARG001 - as digests are called
            journal.interrupt()
            return b""

        assert journal.complete_catalogue(interrupt) is None
    with Catalogue(str(path)) as catalogue:
        assert not catalogue.is_complete
    assert scan(path, []) == (3, 0)


@pytest.mark.slow
def test_a_journal_can_be_closed_at_any_moment_after_another_thread_was_interrupted_in_completing_it(path):
    with begin(path, None) as journal:
        journal.write([found(f"/data/{number}", sop_instance_uid=f"1.2.{number // 2}") for number in range(10_000)])
    for moment in range(12):
        journal, completed = begin(path, None), []
        thread = threading.Thread(target=lambda run=journal, into=completed: into.append(run.complete_catalogue()))
        thread.start()
        time.sleep(moment * 0.01)
        journal.interrupt()
        assert journal.close("interrupted") is None
        thread.join()
        assert completed in ([None], [0])
    with Reader(str(path)) as reader:
        assert {ending for (ending,) in reader.rows("SELECT ending FROM runs")} == {"completed", "interrupted"}


@pytest.mark.slow
def test_an_interrupt_harms_no_commit_that_is_under_way(path):
    with begin(path, None) as journal:
        journal.write([found(f"/data/{number}") for number in range(10_000)])
        while journal.queued and journal.failure is None:
            journal.interrupt()
            time.sleep(0)
        assert journal.complete_catalogue() is None
    assert len(read(path)) == 10_000


def test_a_file_that_nobody_looked_into_keeps_what_is_known(path):
    scan(path, [found("/data/a", bytes=900), found("/data/b", bytes=900)])
    unread = dict.fromkeys(("size", "mtime", "sop_class_uid", "sop_instance_uid", "study", "series", "patient_id"))
    unread |= {"transfer_syntax_uid": None, "sent_transfer_syntax_uid": None, "association": None, "bytes": 0}
    with begin(path) as journal:
        journal.write([delivery("/data/a", State.WAITING, reason="interrupted", **unread)])
        journal.write([delivery("/data/b", State.NOT_SENT, reason="no such file", **unread)])
    a, b = read(path)
    assert (a.state, a.reason, a.size, a.mtime, a.bytes) == (State.WAITING, "interrupted", 1000, 7, 900)
    assert (b.state, b.reason, b.size, b.mtime) == (State.NOT_SENT, "no such file", None, None)
    assert {(row.sop_class_uid, row.sop_instance_uid, row.study, row.series) for row in (a, b)} == {
        (CT, "1.2.3", "1.2", "1")
    }
    with begin(path) as journal:
        journal.write([delivery("/data/b", State.NOT_SENT, reason="not DICOM", **{**unread, "size": 5, "mtime": 8})])
    [_, b] = read(path)
    assert (b.size, b.sop_instance_uid, b.study) == (5, "", "")


class TestClashes:
    @staticmethod
    def make(folder, contents, uid="1.2"):
        rows = []
        for number, data in enumerate(contents):
            file = folder / f"{number}"
            file.write_bytes(data)
            rows.append(as_found(file, State.WAITING, sop_instance_uid=uid))
        return rows

    @pytest.mark.parametrize(
        ("contents", "expected"),
        [
            ([b"aa"], (0, 0)),
            ([b"aa", b"aa"], (1, 0)),
            ([b"aa", b"bb"], (0, 2)),
            ([b"aa", b"b"], (0, 2)),
            ([b"aa", b"bb", b"aa", b"c"], (1, 4)),
            ([b"aa"] * 4, (3, 0)),
        ],
    )
    def test_same_bytes_are_duplicates_and_other_bytes_conflict(self, path, tmp_path, contents, expected):
        rows = self.make(tmp_path, contents)
        other = found("/data/other", sop_instance_uid="1.3")
        assert scan(path, [*rows, other]) == expected
        assert scan(path, []) == expected
        flags = {row.is_conflict for row in read(path) if row.sop_instance_uid == "1.2"}
        assert flags == ({None} if len(rows) == 1 else {expected[1] > 0})

    def test_a_file_that_cannot_be_read_conflicts(self, path, tmp_path):
        rows = self.make(tmp_path, [b"aa", b"aa"])
        (tmp_path / "1").unlink()
        assert scan(path, rows) == (0, 2)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda moved: moved, (2, 0)),
            (lambda moved: os.utime(moved, ns=(8, 8)), (1, 3)),
            (lambda moved: moved.rename(moved.with_name("other")), (1, 3)),
        ],
    )
    def test_a_file_that_was_moved_has_its_bytes_wherever_it_was(self, path, tmp_path, change, expected):
        [row] = self.make(tmp_path, [b"aa"])
        moved = tmp_path / "later" / "0"
        moved.parent.mkdir()
        (tmp_path / "0").rename(moved)
        change(moved)
        [now] = moved.parent.iterdir()
        before = [row, row._replace(path=str(tmp_path / "earlier" / "0"))]
        assert scan(path, [*before, as_found(now, State.WAITING, sop_instance_uid="1.2")]) == expected

    def test_a_file_that_was_moved_to_one_of_two_places_has_the_bytes_of_neither(self, path, tmp_path):
        [row] = self.make(tmp_path, [b"aa"])
        mtime = (tmp_path / "0").stat().st_mtime_ns
        (tmp_path / "0").unlink()
        now = []
        for number, data in enumerate((b"aa", b"bb")):
            (tmp_path / f"d{number}").mkdir()
            (tmp_path / f"d{number}" / "0").write_bytes(data)
            os.utime(tmp_path / f"d{number}" / "0", ns=(mtime, mtime))
            now.append(as_found(tmp_path / f"d{number}" / "0", State.WAITING, sop_instance_uid="1.2"))
        assert scan(path, [row, *now]) == (0, 3)

    @pytest.mark.parametrize("state", [None, State.FAILED, State.STORED, State.WARNING])
    def test_a_copy_is_at_the_peer_if_any_file_with_its_bytes_is(self, path, tmp_path, state):
        rows = self.make(tmp_path, [b"aa", b"aa", b"aa", b"ab"])
        scan(path, rows)
        with begin(path) as journal:
            journal.write([row._replace(state=State.STORED) for row in rows[3:]])
            journal.write([row._replace(state=state) for row in rows[1:2] if state is not None])
        with Catalogue(str(path), State) as catalogue:
            *_, copy = catalogue.copies()
            assert copy.path == rows[2].path
            assert catalogue.state_at_peer(copy.clash) == (state if state in {State.STORED, State.WARNING} else None)

    def test_the_same_file_delivered_twice_is_no_clash(self, path):
        assert scan(path, [found("/data/a"), found("/data/a", occurrence=1)]) == (0, 0)


def test_a_scan_again_keeps_what_was_sent_and_takes_up_what_changed(path):
    scan(path, [found("/data/a"), found("/data/b"), found("/data/c")])
    with begin(path) as journal:
        journal.write([delivery("/data/a"), delivery("/data/b"), delivery("/data/c", State.FAILED)])
    scan(path, [found("/data/a"), found("/data/b", mtime=8), found("/data/c"), found("/data/d")])
    assert {row.path[-1]: row.state for row in read(path)} == {
        "a": State.STORED, "b": State.WAITING, "c": State.FAILED, "d": State.WAITING,
    }  # fmt: skip
    [a, *_] = read(path)
    assert (a.attempts, a.association, a.sent_transfer_syntax_uid != "") == (1, 2, True)


@pytest.mark.parametrize(
    "before", [{"size": None, "mtime": None, "state": State.NOT_SENT}, {"size": 500, "bytes": 100}]
)
def test_a_scan_again_measures_a_file_that_changed(path, before):
    state = before.pop("state", State.WAITING)
    scan(path, [found("/data/a")._replace(state=state, **before)])
    scan(path, [found("/data/a", size=1000, bytes=900)])
    [row] = read(path)
    assert (row.state, row.size, row.bytes) == (State.WAITING, 1000, 900)


ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([None, "20200101", "20210101"]), st.integers(0, 2)), max_size=30
)


@pytest.mark.slow
@given(ROWS)
@settings(max_examples=examples(25), deadline=None)
def test_whatever_is_found_comes_once_and_studies_stay_together(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "run.db"
    scan(path, [
        found(f"/data/{number % 3}/{number}", study=str(study), study_date=date, series=str(series), patient_id="P",
              sop_instance_uid=f"1.{number}")
        for number, (study, date, series) in enumerate(rows)
    ])  # fmt: skip
    with Catalogue(str(path)) as catalogue:
        for order in Order:
            ordered = in_order(catalogue, path, order)
            assert len({row.path for row in ordered}) == len(ordered) == len(rows)
            if order not in (Order.WALK, Order.LIST):
                order_of(ordered)
