"""Which files a resumed run need not send: those that are stored and unchanged, in any order of the walk."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.journal.lookup import NOT_ENDED, Earlier, Lookup
from asyncstore.journal.values import State
from asyncstore.model import SourceFile, Unsendable
from support.examples import examples
from support.journals import as_found, begin, delivery, how_ended


def tree(folder, names):
    """Make files of these names, each with other contents."""
    files = []
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(name))
        files.append(file)
    return files


def record(path, rows):
    with begin(path) as journal:
        journal.write(rows)


def states(path, found, again=NOT_ENDED):
    """The earlier state of each file, by its path."""
    with Lookup(str(path), again) as lookup:
        return {item.path: earlier and earlier.state for item, _, earlier in lookup.tell_apart(found)}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_stored_files_need_not_be_sent(path, folder):
    a, b, c, d = tree(folder, ["a", "b", "c", "d"])
    record(path, [as_found(a), as_found(b, State.WARNING), as_found(d, State.UNKNOWN)])
    expected = {str(a): State.STORED, str(b): State.WARNING, str(c): None, str(d): None}
    assert states(path, walk(folder)) == expected
    with Lookup(str(path)) as lookup:
        list(lookup.tell_apart(walk(folder)))
        assert lookup.known == 1


@pytest.mark.parametrize("change", ["size", "time", "both", "gone"])
def test_a_file_that_changed_is_sent(path, folder, change):
    [a] = tree(folder, ["a"])
    record(path, [as_found(a)])
    before = a.stat()
    if change == "gone":
        a.unlink()
    elif change == "time":
        os.utime(a, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:
        a.write_bytes(b"longer than before")
        if change == "size":
            os.utime(a, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert states(path, [SourceFile(str(a))]) == {str(a): None}


@pytest.mark.parametrize("state", [State.FAILED, State.NOT_SENT])
def test_other_endings_stay_unless_they_are_taken_up(path, folder, state):
    [a] = tree(folder, ["a"])
    record(path, [as_found(a, state, status=0xC001, reason="no")])
    with Lookup(str(path)) as lookup:
        assert how_ended(lookup, str(a)) == Earlier(state, "no")
    other = {State.FAILED, State.NOT_SENT} - {state}
    assert states(path, walk(folder), NOT_ENDED | {state}) == {str(a): None}
    assert states(path, walk(folder), NOT_ENDED | other) == {str(a): state}
    a.write_bytes(b"mended")
    assert states(path, walk(folder)) == {str(a): None}


@pytest.mark.parametrize("state", [State.UNKNOWN, State.WAITING])
def test_what_is_not_known_to_have_ended_is_sent(path, folder, state):
    [a] = tree(folder, ["a"])
    record(path, [as_found(a, state)])
    assert states(path, walk(folder)) == {str(a): None}


def test_a_catalogue_is_continued_after_all_that_is_known(path, folder):
    a, b = tree(folder, ["a", "b"])
    record(path, [as_found(a, State.WAITING)])
    assert states(path, walk(folder), ()) == {str(a): State.WAITING, str(b): None}


@pytest.mark.parametrize("seconds", [-5, 9_300_000_000])
def test_any_modification_time_can_be_kept(path, folder, seconds):
    [a] = tree(folder, ["a"])
    os.utime(a, (seconds, seconds))
    record(path, [as_found(a)])
    assert states(path, walk(folder)) == {str(a): State.STORED}


def test_a_name_that_no_file_can_have_is_no_problem(path):
    rows = [
        delivery(name, State.NOT_SENT, size=None, mtime=None) for name in ("/\ud800/\ud800", "/a\0/..", "/a\0/../b")
    ]
    record(path, rows)
    found = [SourceFile(row.path) for row in rows]
    assert states(path, found) == dict.fromkeys([row.path for row in rows], State.NOT_SENT)


def test_a_file_that_is_still_unreachable_stays_not_sent(path, folder):
    rows = [delivery(folder / "gone", State.NOT_SENT, size=None, mtime=None)]
    record(path, rows)
    with Lookup(str(path)) as lookup:
        assert how_ended(lookup, str(folder / "gone")).state is State.NOT_SENT
        tree(folder, ["gone"])
        assert how_ended(lookup, str(folder / "gone")) is None


def test_each_occurrence_is_looked_up_by_itself(path, folder):
    a, b = tree(folder, ["a", "b"])
    record(path, [as_found(a), as_found(a, occurrence=2), as_found(b, occurrence=1)])
    with Lookup(str(path)) as lookup:
        found = [
            (item.path, occurrence, earlier is not None)
            for item, occurrence, earlier in lookup.tell_apart(walk(folder, WalkOptions(repeat=3)), 3)
        ]
    assert found == [
        (str(a), 0, True), (str(a), 1, False), (str(a), 2, True),
        (str(b), 0, False), (str(b), 1, True), (str(b), 2, False),
    ]  # fmt: skip


def test_a_file_that_is_named_several_times_has_one_row(path, folder):
    [a] = tree(folder, ["a"])
    record(path, [as_found(a)])
    with Lookup(str(path)) as lookup:
        found = [
            (occurrence, earlier and earlier.state)
            for _, occurrence, earlier in lookup.tell_apart(walk([folder, a, a]))
        ]
    assert found == [(0, State.STORED)] * 3


def test_a_file_that_cannot_be_sent_passes_through(path, folder):
    record(path, [])
    with Lookup(str(path)) as lookup:
        broken = Unsendable(SourceFile(str(folder / "a"), 1), "a FIFO")
        assert list(lookup.tell_apart([broken])) == [(broken, 0, None)]


@pytest.mark.parametrize("again", [NOT_ENDED, ()])
def test_a_file_that_still_cannot_be_sent_is_known(path, folder, again):
    [fifo] = tree(folder, ["fifo"])
    (folder / "broken").symlink_to("nowhere")
    stored = as_found(fifo)
    fifo.unlink()
    os.mkfifo(fifo)
    record(path, [stored, delivery(folder / "broken", State.NOT_SENT, size=None, mtime=None)])
    with Lookup(str(path), again) as lookup:
        assert [earlier for _, _, earlier in lookup.tell_apart(walk(folder))] == [None, None]
        assert lookup.known == 2


@pytest.mark.slow
def test_large_directories_and_directories_between_files(path, folder):
    names = [f"{number:04}" for number in range(3000)] + [f"{number:04}d/x" for number in range(0, 3000, 250)]
    files = tree(folder, names)
    record(path, [as_found(file) for number, file in enumerate(files) if number % 3])
    found = states(path, walk(folder))
    assert found == {str(file): State.STORED if number % 3 else None for number, file in enumerate(files)}


def test_it_sees_a_journal_that_a_run_writes(path, folder):
    a, b = tree(folder, ["a", "b"])
    with begin(path) as journal, Lookup(str(path)) as lookup:
        journal.write([as_found(a)])
        journal.flush()
        assert how_ended(lookup, str(a)).state is State.STORED
        assert how_ended(lookup, str(b)) is None


NAMES = st.lists(
    st.binary(min_size=1, max_size=3).filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")),
    min_size=1,
    max_size=12,
    unique=True,
)


@pytest.mark.slow
@given(NAMES, st.data())
@settings(max_examples=examples(60), deadline=None)
def test_any_order_and_any_names_give_the_same_answers(tmp_path_factory, names, data):
    folder = tmp_path_factory.mktemp("any")
    files = []
    for number, name in enumerate(names):
        below = folder / ("one" if number % 2 else "two")
        below.mkdir(exist_ok=True)
        files.append(below / os.fsdecode(name))
        files[-1].write_bytes(name)
    stored = {file for file in files if data.draw(st.booleans())}
    record(folder / "run.db", [as_found(file) for file in data.draw(st.permutations(sorted(stored)))])
    expected = {str(file): State.STORED if file in stored else None for file in files}
    asked = data.draw(st.permutations(files)) + data.draw(st.lists(st.sampled_from(files)))
    with Lookup(str(folder / "run.db")) as lookup:
        for file in asked:
            earlier = how_ended(lookup, str(file))
            assert (earlier and earlier.state) == expected[str(file)]
    for below in ("one", "two"):
        if (folder / below).exists():
            found = states(folder / "run.db", walk(folder / below))
            assert found.items() <= expected.items()
