"""What can be read of a damaged journal goes into a new one, and nothing is claimed that the old one did not say."""

import errno
import io
import os
import random
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import (
    JournalDamaged,
    JournalError,
    JournalInUse,
    JournalMissing,
    JournalNotWritable,
    NotAJournal,
)
from asyncstore.journal.accounts import account
from asyncstore.journal.pages import of_page, records
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from asyncstore.journal.schema import WIDTH
from asyncstore.journal.values import State, Walk
from support.journals import CT, PEER, as_found, begin, delivery, full_check, read

pytestmark = pytest.mark.slow

ROWS = 6000
PAGE = 4096
LEAF = 0x0D
"""The first byte of a leaf of a table with row numbers."""
LEAF_OF_KEYS = 0x0A
"""That of a table without, or of an index."""


@pytest.fixture
def whole(path):
    """A journal with many rows in many directories, and what it says."""
    with begin(path, command=["send"]) as journal:
        journal.write([
            delivery(f"/data/{number // 100:02}/{number:05}", State.FAILED if number % 3 else State.STORED,
                     reason=None if number % 3 == 0 else f"reason {number % 7}", sop_instance_uid=f"1.2.{number}",
                     study=f"1.{number // 50}", series=f"2.{number // 25}")
            for number in range(ROWS)
        ])  # fmt: skip
    return {row.path: row for row in read(path)}


def salvaged(path):
    new = path.with_name("new.db")
    new.unlink(missing_ok=True)
    before = path.read_bytes()
    found = salvage(str(path), str(new))
    assert path.read_bytes() == before
    full_check(new)
    rows = {row.path: row for row in read(new)}
    assert len(rows) == found.deliveries
    return found, rows


def test_a_whole_journal_is_copied(path, whole):
    found, rows = salvaged(path)
    assert rows == whole
    assert (found.homeless.total(), found.damaged) == (0, ())
    with Reader(str(path.with_name("new.db"))) as reader:
        assert reader.command.words == ("send",)
    begin(path.with_name("new.db"), PEER).close()


def test_pages_that_lead_back_end_the_reading(path):
    with begin(path) as journal:
        journal.write([delivery(f"/data/{number}", series=f"1.2.{number:050}") for number in range(400)])
    whole = {row.path for row in read(path)}
    content = bytearray(path.read_bytes())
    pages = [at for at in range(PAGE, len(content), PAGE) if content[at] == LEAF]
    first, *_, last = [
        at
        for at in pages
        for _, row in list(of_page(bytes(content[at : at + PAGE]), 0))[:1]
        if [type(value) for value in row[:3]] == [type(None), int, bytes]  # series
    ]
    content[last : last + PAGE] = content[first : first + PAGE]
    path.write_bytes(content)
    found, rows = salvaged(path)
    assert "series" in found.damaged
    assert rows.keys() == whole


def test_rows_behind_a_page_in_the_place_of_another_one_are_saved(path):
    with begin(path) as journal:
        journal.write([delivery(f"/data/{number:05}") for number in range(600)])
    whole = {row.path for row in read(path)}
    content = bytearray(path.read_bytes())
    leaves = {
        at: [row[1] for _, row in of_page(bytes(content[at : at + PAGE]), 0)]
        for at in range(PAGE, len(content), PAGE)
        if content[at] == LEAF_OF_KEYS and b"/data" not in content[at : at + PAGE]
    }
    [hidden] = [at for at, names in leaves.items() if b"00255" in names]  # the last row of a query
    [last] = [at for at, names in leaves.items() if b"00500" in names]
    content[hidden : hidden + PAGE] = content[last : last + PAGE]
    path.write_bytes(content)
    found, rows = salvaged(path)
    assert found.damaged == ("deliveries",)
    assert rows.keys() == whole - {f"/data/{name.decode()}" for name in leaves[hidden]}


def test_a_long_value_whose_end_is_cut_off_costs_its_row_alone(path, whole):
    begin(path, command=["send", "x" * 20_000]).close()
    os.truncate(path, path.stat().st_size - 3 * PAGE - 100)
    found, rows = salvaged(path)
    assert "facts" in found.damaged
    assert rows == whole


@pytest.mark.usefixtures("whole")
def test_a_part_of_the_disk_that_cannot_be_read_costs_its_rows_alone(path, monkeypatch):
    class Worn(io.FileIO):
        def read(self, size=-1):
            if self.tell() == 5 * PAGE:
                raise OSError(errno.EIO, "worn out")
            return super().read(size)

    every = len(list(records(str(path))))
    monkeypatch.setattr("asyncstore.journal.pages.open", lambda path, *_, **__: Worn(path), raising=False)
    assert every - 100 < len(list(records(str(path)))) < every


@pytest.fixture
def with_homeless(path, tmp_path):
    """A salvaged journal: of 2000 folders 500 are left."""
    with begin(path) as journal:
        journal.write([delivery(f"/data/{number:04}/1", sop_instance_uid=f"1.3.{number}") for number in range(2000)])
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM directories WHERE id > 500")
        other.commit()
    salvage(str(path), str(tmp_path / "once.db"))
    return tmp_path / "once.db"


def test_the_index_of_records_without_a_folder_is_not_taken_for_folders(with_homeless):
    content = with_homeless.read_bytes()
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    with_homeless.write_bytes(b"".join(bytes(PAGE) if b"/data/" in page else page for page in pages))
    found, rows = salvaged(with_homeless)
    assert (rows, found.homeless.total()) == ({}, 500)


def test_records_that_were_set_apart_do_not_stay_in_unused_pages(with_homeless):
    rows = [values for number, values in records(str(with_homeless)) if number is None and len(values) == WIDTH]
    assert max(values[0] for values in rows) == 500


def _page_with(*cells):
    """A page of a table with these cells."""
    starts = [512 + sum(map(len, cells[:place])) for place in range(len(cells))]
    header = b"\x0d\0\0" + len(cells).to_bytes(2, "big") + bytes(3)
    header += b"".join(start.to_bytes(2, "big") for start in starts)
    return (header.ljust(512, b"\0") + b"".join(cells)).ljust(4096, b"\0")


def test_the_numbers_of_rows_in_pages_are_those_that_sqlite_can_store():
    found = list(of_page(_page_with(b"\2\7\2\x09", b"\2" + b"\xff" * 9 + b"\2\x09"), 0))
    assert found == [(7, (1,)), (-1, (1,))]


def test_cells_of_more_columns_than_a_journal_has_are_passed_over():
    cells = [bytes((count + 1, 7, count + 1)) + b"\x08" * count for count in (WIDTH, WIDTH + 1)]
    assert [len(values) for _, values in of_page(_page_with(*cells), 0)] == [WIDTH]


def test_damaged_pages_cost_their_rows(path, whole):
    pages = path.stat().st_size // PAGE
    chosen = random.Random(4)  # noqa: S311 - which pages does not matter, but that they are the same each time
    kept = []
    for number in range(6):
        content = path.read_bytes()
        at = chosen.randrange(12, pages) * PAGE
        path.write_bytes(content[:at] + bytes([0xA5 + number]) * PAGE + content[at + PAGE :])
        try:
            _, rows = salvaged(path)
        except JournalDamaged:
            rows = {}
        for name, row in rows.items():
            assert (row.state, row.size, row.occurrence) == (whole[name].state, whole[name].size, 0)
        kept.append(len(rows))
        path.write_bytes(content)
    assert sorted(kept)[3] > ROWS * 0.9


def test_a_truncated_journal_gives_its_beginning(path, whole):
    os.truncate(path, path.stat().st_size * 3 // 4)
    with pytest.raises(JournalDamaged):
        begin(path)
    found, rows = salvaged(path)
    assert "deliveries" in found.damaged
    assert rows
    others = [row.state for name, row in rows.items() if row.state is not whole[name].state]
    assert others in ([], [State.WAITING])  # a row across the cut ends with zeros


@pytest.mark.parametrize("is_damaged", [True, False])
def test_after_a_damage_no_walk_has_found_all_files(path, is_damaged):
    with begin(path) as journal:
        journal.begin_walk(["/data"])
        journal.walk = Walk(ROWS, is_ended=True)
        journal.write([delivery(f"/data/{number}", sop_instance_uid=f"1.2.{number}") for number in range(ROWS)])
    if is_damaged:
        os.truncate(path, path.stat().st_size * 3 // 4)
    salvaged(path)
    with Reader(str(path.with_name("new.db"))) as reader:
        assert (list(reader.unfinished_walks) == ["/data"]) == is_damaged
        assert [run.is_walked for run in account([reader]).runs] == ([False] if is_damaged else [True])


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_journal_without_the_upper_pages_of_its_trees_gives_what_its_other_pages_hold(path, whole, part):
    os.truncate(path, int(path.stat().st_size * part))
    _, rows = salvaged(path)
    assert len(rows) > ROWS * (part - 0.28)
    assert all(row.state is whole[name].state for name, row in rows.items())
    assert all(row.sop_instance_uid == whole[name].sop_instance_uid for name, row in rows.items())


def test_directories_whose_pages_lie_behind_the_cut_are_lost_with_their_rows_and_no_others(path):
    with begin(path) as journal:
        journal.write([delivery(f"/data/{number:04}/1") for number in range(2000)])
    whole = {row.path for row in read(path)}
    os.truncate(path, path.stat().st_size // 2)
    found, rows = salvaged(path)
    assert rows
    assert set(rows) < whole
    assert "deliveries" in found.damaged
    assert found.homeless[State.STORED] > 0
    assert found.homeless.total() + len(rows) <= len(whole)


def test_a_file_that_ends_within_a_page_of_numbered_rows_is_not_read_for_ever(path):
    with begin(path) as journal:
        for begun in range(0, 2000, 500):
            journal.write([delivery(f"/d/{number:05}/1", study=f"1.{number}") for number in range(begun, begun + 500)])
            journal.flush()
    content = path.read_bytes()
    leaves = [at for at in range(0, len(content), PAGE) if content[at] == 0x0D and b"/d/" in content[at : at + PAGE]]
    path.write_bytes(content[: leaves[-1] + PAGE // 4])  # SQLite reads row 0 where zeros stand for rows
    salvaged(path)


def lose_directories(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM directories")
        other.commit()


def test_stored_files_whose_directory_is_lost_are_found_again_by_a_scan(path, tmp_path):
    new = path.with_name("new.db")
    files = {name: tmp_path / "data" / name for name in ("stored", "warning", "failed", "changed", "other")}
    (tmp_path / "data").mkdir()
    for number, file in enumerate(files.values()):
        file.write_bytes(bytes(number))

    def row(name, state, uid):
        return as_found(files[name], state, sop_instance_uid=uid)

    with begin(path) as journal:
        journal.write([row("stored", State.STORED, "1.1"), row("warning", State.WARNING, "1.2")])
        journal.write([row("failed", State.FAILED, "1.3"), row("changed", State.STORED, "1.4")])
        journal.write([row("other", State.STORED, "1.5")])
    lose_directories(path)
    found = salvage(str(path), str(new))
    assert (found.deliveries, found.homeless) == (0, {State.STORED: 3, State.WARNING: 1, State.FAILED: 1})
    files["changed"].write_bytes(b"changed!")
    with begin(new, None) as journal:
        journal.write([row(name, State.WAITING, f"1.{number}") for number, name in enumerate(list(files)[:4], 1)])
        journal.write([row("other", State.WAITING, "1.55")])
        assert journal.complete_catalogue() == 2
    assert {row.path.rpartition("/")[2]: row.state for row in read(new)} == {
        "stored": State.STORED, "warning": State.WARNING,
        "failed": State.WAITING, "changed": State.WAITING, "other": State.WAITING,
    }  # fmt: skip
    with begin(new, None) as journal:
        assert journal.complete_catalogue() == 0


@pytest.mark.parametrize("lost", ["kinds", "studies", "series", "runs"])
def test_a_number_whose_row_is_lost_is_not_taken_for_one_that_a_later_run_gives(path, tmp_path, lost):
    with begin(path) as journal:
        journal.write([delivery("/data/a"), delivery("/data/b", State.WAITING)])
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"DELETE FROM {lost}")  # noqa: S608 - our tables
        other.commit()
    new = tmp_path / "new.db"
    salvage(str(path), str(new))
    with begin(new) as journal:
        journal.write([delivery("/data/c", study="9", series="9", sop_class_uid="1.9")])
    a, b, c = read(new)
    assert (a.state, b.state) == (State.STORED, State.WAITING)
    assert (c.study, c.series, c.sop_class_uid, c.run) == ("9", "9", "1.9", journal.run)
    for row in (a, b):
        assert row.study in ("1.2", "")
        assert row.series in ("1", "")
        assert row.sop_class_uid in (CT, "")
        assert row.run != journal.run
    with Reader(str(new)) as reader:
        assert account([reader]).sop_classes.total() == 3


def test_times_stay_what_they_were_if_the_time_that_they_count_from_is_lost(path, tmp_path):
    with begin(path) as journal:
        journal.write([delivery("/data/a")])
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM facts")
        other.commit()
    salvage(str(path), str(tmp_path / "new.db"))
    begin(tmp_path / "new.db").close()
    [row] = read(tmp_path / "new.db")
    assert row.time == pytest.approx(1.7e9, abs=60)


def test_all_records_are_found_without_the_trees(path, whole):
    widths = [values for number, values in records(str(path)) if number is None and len(values) == WIDTH]
    assert len(widths) == len(whole)


@given(st.binary(max_size=600), st.sampled_from([0x0D, 0x0A, 0x02]), st.integers(0, 40))
def test_pages_of_anything_are_read_without_an_error(content, kind, cells):
    page = bytes([kind, 0, 0, 0, cells, 0, 0, 0]) + content
    page = page.ljust(4096, content[-1:] or b"\0")
    for number, values in of_page(page, 0):
        assert number is None or isinstance(number, int)
        assert isinstance(values, tuple)


def test_what_cannot_be_salvaged(path, tmp_path, whole):  # noqa: ARG001 - the journal is made
    with pytest.raises(JournalMissing):
        salvage(str(tmp_path / "none"), str(tmp_path / "new"))
    with pytest.raises(JournalNotWritable):
        salvage(str(path), str(path))
    with begin(path), pytest.raises(JournalInUse):
        salvage(str(path), str(tmp_path / "new"))
    (tmp_path / "other").write_bytes(b"hello")
    with pytest.raises(NotAJournal):
        salvage(str(tmp_path / "other"), str(tmp_path / "new"))
    content = path.read_bytes()
    path.write_bytes(b"\xa5" * PAGE + content[PAGE:])
    with pytest.raises(JournalError):
        salvage(str(path), str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
