"""Journals of the first version are read as they are, and taken over by the next run."""

import sqlite3
from contextlib import closing

import pytest

from asyncstore.errors import OtherMigration
from asyncstore.journal import schema, versions
from asyncstore.journal.accounts import account
from asyncstore.journal.content import kinds
from asyncstore.journal.lookup import Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from asyncstore.journal.values import State
from asyncstore.model import SourceFile
from support.journals import PEER, as_found, begin, delivery, full_check, read


@pytest.fixture
def earlier(path):
    """A journal of version 1: it holds a stored file, a failed one and one that waits."""
    with begin(path) as journal:
        for state in (State.STORED, State.FAILED, State.WAITING):
            journal.write([delivery(f"/data/{state.name}", state, reason=None if state.is_stored else "why")])
    with closing(sqlite3.connect(path)) as other:
        tables = versions.tables_of(1)
        for name, definition in tables.items():
            if definition != schema.TABLES[name]:
                rows = other.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - our tables
                other.execute(f"DROP TABLE {name}")
                other.execute(definition)
                width = len(other.execute(f"PRAGMA table_info({name})").fetchall())
                marks = ", ".join("?" * width)
                other.executemany(f"INSERT INTO {name} VALUES ({marks})", [row[:width] for row in rows])  # noqa: S608
        other.execute("PRAGMA user_version = 1")
        other.commit()
    return path


def version(path):
    with closing(sqlite3.connect(path)) as other:
        return other.execute("PRAGMA user_version").fetchone()[0]


def test_it_is_read_and_not_changed(earlier):
    before = earlier.read_bytes()
    rows = read(earlier)
    assert {row.path: (row.state, row.reason) for row in rows} == {
        "/data/STORED": (State.STORED, ""),
        "/data/FAILED": (State.FAILED, "why"),
        "/data/WAITING": (State.WAITING, "why"),
    }
    assert [row.repairs for row in rows] == [0, 0, 0]
    with Reader(str(earlier)) as reader:
        sums = account([reader])
        [kind] = kinds(reader)
    assert (sums.found, sums.stored, sums.repaired) == (3, 1, 0)
    assert (kind.instances, kind.measured) == (3, 0)
    assert earlier.read_bytes() == before


def test_a_reader_that_was_open_before_it_was_taken_over_goes_on(earlier):
    with Reader(str(earlier)) as reader:
        begin(earlier).close()
        assert len(list(reader.deliveries())) == 3


def test_the_next_run_takes_it_over_and_keeps_what_it_says(earlier, tmp_path):
    before = read(earlier)
    file = tmp_path / "new"
    file.write_bytes(b"new")
    with begin(earlier) as journal:
        assert journal.stored_before == 1
        journal.write([as_found(file, repairs=8, decompressed=77)])
    assert version(earlier) == schema.VERSION
    full_check(earlier)
    after = {row.path: row for row in read(earlier)}
    assert after.pop(str(file)).repairs == 8
    assert list(after.values()) == before
    with Lookup(str(earlier)) as lookup:
        [(_, _, ended)] = lookup.tell_apart([SourceFile(str(file), 1)])
    assert ended.state is State.STORED


def test_another_migration_is_refused_before_it_is_taken_over(earlier):
    with pytest.raises(OtherMigration):
        begin(earlier, PEER._replace(port=1))
    assert version(earlier) == 1


def test_a_damaged_one_is_salvaged_into_the_current_version(earlier, tmp_path):
    before = read(earlier)
    found = salvage(str(earlier), str(tmp_path / "new.db"))
    assert (found.deliveries, found.damaged) == (3, ())
    assert read(tmp_path / "new.db") == before
