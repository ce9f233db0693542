import io
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.discovery.lists import files_from
from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.model import SourceFile, Unsendable
from support import trees, values
from support.examples import examples


def _made(folder, *names):
    """Make these files and their folders."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def _names(found, folder):
    """The paths of found files relative to ``folder``; only files may have been found."""
    found = list(found)
    assert all(isinstance(one, SourceFile) for one in found)
    return [os.path.relpath(one.path, folder) for one in found]


# Order and streaming.


def test_files_come_sorted_by_name_within_each_directory_depth_first(tmp_path):
    names = ["B", "a/2", "a/b/1", "a/c", "a10", "a9", "b/1"]
    assert _names(walk([_made(tmp_path, *reversed(names))]), tmp_path) == names


def test_paths_come_in_the_order_they_are_given(tmp_path):
    _made(tmp_path, "z/1", "a/1", "m")
    assert _names(walk([tmp_path / "z", str(tmp_path / "m"), tmp_path / "a"]), tmp_path) == ["z/1", "m", "a/1"]


def _expected(folder):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _expected(path)
        else:
            yield path


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.lists(st.sampled_from("aBc0é"), min_size=1, max_size=4).map("/".join), max_size=12))
def test_every_file_of_a_tree_comes_once(names):
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            if not path.exists() and all(not parent.is_file() for parent in path.parents):
                _made(Path(folder), name)
        assert [found.path for found in walk([folder])] == list(_expected(folder))


def test_the_first_file_comes_before_the_rest_of_the_tree_is_looked_at(tmp_path):
    found = walk([_made(tmp_path, "a/1", "z/1")])
    assert next(found).path == str(tmp_path / "a/1")
    _made(tmp_path, "z/0")
    assert _names(found, tmp_path) == ["z/0", "z/1"]


def test_paths_are_taken_one_by_one_as_they_are_needed(tmp_path):
    _made(tmp_path, "1", "2")
    taken = []

    def paths():
        for name in ("1", "2"):
            taken.append(name)
            yield tmp_path / name

    found = walk(paths())
    assert taken == []
    next(found)
    assert taken == ["1"]


def test_no_paths_give_no_files(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list(walk([])) == []
    assert list(walk([tmp_path])) == []


@pytest.mark.slow
def test_memory_for_a_large_directory_is_its_names_and_little_else(tmp_path):
    count = 2000
    for number in range(count):
        os.close(os.open(tmp_path / f"{number:08}.dcm", os.O_CREAT | os.O_WRONLY))
    tracemalloc.start()
    try:
        assert sum(1 for _ in walk([tmp_path])) == count
        per_file = tracemalloc.get_traced_memory()[1] / count
    finally:
        tracemalloc.stop()
    assert per_file < 120


def _made_deep(folder, name, levels):
    """Make nested directories with a file in each, by descriptors: paths would get too long."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.mark.slow
def test_a_tree_may_be_deeper_than_pythons_stack(tmp_path):
    levels = sys.getrecursionlimit() + 10
    _made_deep(tmp_path, "x", levels)
    try:
        assert len(_names(walk([tmp_path]), tmp_path)) == levels
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "x"], check=True)  # shutil.rmtree recurses


def test_a_tree_deeper_than_paths_can_be_long_is_walked_as_far_as_they_reach(tmp_path):
    name = "x" * 200
    _made_deep(tmp_path, name, 30)
    *files, last = walk([tmp_path])
    assert len(_names(files, tmp_path)) == (4095 - len(str(tmp_path))) // 201 + 1
    assert isinstance(last, Unsendable)
    assert "name too long" in last.reason


# Names.


def test_names_come_back_byte_for_byte(tmp_path):
    source = _made(tmp_path, "source") / "source"
    (tmp_path / "odd").mkdir()
    written = trees.oddly_named(tmp_path / "odd", source)
    assert len(written) > 10
    found = [os.fsencode(one.path) for one in walk([tmp_path / "odd"])]
    assert sorted(found) == sorted(written)
    assert [os.fsencode(one.path) for one in walk(map(os.fsdecode, written))] == written


def test_a_path_that_can_be_no_name_is_unsendable():
    (found,) = walk(["with\0nul"])
    assert isinstance(found, Unsendable)
    assert "null" in found.reason


# What is no file.


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (trees.fifo, "a FIFO"),
        (trees.unix_socket, "a socket"),
        (trees.endless_device, "a character device"),
        (trees.broken_symlink, "leads nowhere"),
        (trees.symlinks_to_each_other, "symbolic links"),
    ],
)
def test_a_special_file_is_unsendable_and_hides_nothing(tmp_path, make, reason):
    path = make(_made(tmp_path, "0-before", "z-after"))
    for found in ([one for one in walk([tmp_path]) if one.path == str(path)], list(walk([path]))):
        (unsendable,) = found
        assert isinstance(unsendable, Unsendable)
        assert unsendable.path == str(path)
        assert reason in unsendable.reason
    files = [one for one in walk([tmp_path]) if isinstance(one, SourceFile)]
    assert _names(files, tmp_path) == ["0-before", "z-after"]


def test_a_missing_path_is_unsendable(tmp_path):
    _made(tmp_path, "file")
    reasons = [found.reason for found in walk([tmp_path / "gone", tmp_path / "file/below", ""])]
    assert reasons[0] == "no such file or directory"
    assert "ot a directory" in reasons[1]
    assert reasons[2] == "no such file or directory"


def test_a_directory_that_vanishes_meanwhile_is_unsendable(tmp_path):
    found = walk([_made(tmp_path, "a/1", "b/1", "c/1")])
    next(found)
    (tmp_path / "b/1").unlink()
    (tmp_path / "b").rmdir()
    vanished, after = found
    assert vanished == values.unsendable(str(tmp_path / "b"), "no such file or directory", 2)
    assert after == SourceFile(str(tmp_path / "c/1"), 3)


def test_a_directory_that_cannot_be_listed_is_unsendable_and_the_others_are_walked(tmp_path):
    trees.unreadable(_made(tmp_path, "a/1", "b/1") / "a")
    refused, file = walk([tmp_path])
    assert refused.path == str(tmp_path / "a")
    assert "cannot be listed" in refused.reason
    assert file == SourceFile(str(tmp_path / "b/1"), 2)


# Links.


def test_a_loop_of_links_ends(tmp_path):
    trees.symlink_loop(_made(tmp_path, "1", "b/1"))
    trees.symlink_loop(tmp_path / "b")
    assert _names(walk([tmp_path]), tmp_path) == ["1", "b/1"]


def test_a_directory_is_walked_once_by_any_number_of_names(tmp_path):
    _made(tmp_path, "real/1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert _names(walk([tmp_path]), tmp_path) == ["link/1"]
    assert _names(walk([tmp_path / "real", tmp_path, tmp_path / "real"]), tmp_path) == ["real/1"]


def test_a_link_to_a_file_is_a_file(tmp_path):
    _made(tmp_path, "1")
    (tmp_path / "2").symlink_to(tmp_path / "1")
    assert _names(walk([tmp_path, tmp_path / "2"]), tmp_path) == ["1", "2", "2"]


# Options.


def test_the_runs_own_files_are_passed_over_by_any_path(tmp_path):
    _made(tmp_path, "a/1", "a/run.db", "a/run.db-wal", "b/run.db", "b/run.dbs")
    (tmp_path / "link").symlink_to("a")
    own = frozenset(str(tmp_path / "a" / name) for name in ("run.db", "run.db-wal", "run.db-shm"))
    named = [tmp_path, tmp_path / "a/run.db", tmp_path / "link/run.db-wal", tmp_path / "b/run.db"]
    found = _names(walk(named, WalkOptions(own_files=own)), tmp_path)
    assert found == ["a/1", "b/run.db", "b/run.dbs", "b/run.db"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.dcm", ["1.dcm", "a.dcm/1.dcm"]),
        ("1*", ["1.DCM", "1.dcm", "a.dcm/1.dcm"]),
        ("?", ["2", "a.dcm/3"]),
        ("[12]", ["2"]),
        ("*", ["1.DCM", "1.dcm", "2", "a.dcm/1.dcm", "a.dcm/3"]),
        ("nothing", []),
    ],
)
def test_a_pattern_is_for_names_of_files_in_directories(tmp_path, pattern, names):
    _made(tmp_path, "1.dcm", "1.DCM", "2", "a.dcm/1.dcm", "a.dcm/3")
    assert _names(walk([tmp_path], WalkOptions(pattern=pattern)), tmp_path) == names


def test_a_pattern_is_not_for_files_that_are_named(tmp_path):
    _made(tmp_path, "1", "2")
    assert _names(walk([tmp_path / "1"], WalkOptions(pattern="*.dcm")), tmp_path) == ["1"]


def test_a_pattern_also_excludes_special_files(tmp_path):
    trees.fifo(tmp_path)
    trees.broken_symlink(tmp_path)
    assert list(walk([tmp_path], WalkOptions(pattern="*.ima"))) == []
    assert [type(found) for found in walk([tmp_path], WalkOptions(pattern="*.dcm"))] == [Unsendable, Unsendable]


def test_without_recursion_directories_within_are_passed_over(tmp_path):
    _made(tmp_path, "1", "a/1", "b/c/1")
    options = WalkOptions(recurse=False)
    assert _names(walk([tmp_path], options), tmp_path) == ["1"]
    assert _names(walk([tmp_path / "b/c", tmp_path], options), tmp_path) == ["b/c/1", "1"]


def test_directories_are_unsendable_if_they_are_not_wanted(tmp_path):
    _made(tmp_path, "1", "a/1")
    assert list(walk([tmp_path / "a", tmp_path / "1"], WalkOptions(directories=False))) == [
        values.unsendable(str(tmp_path / "a"), "it is a directory", 1),
        SourceFile(str(tmp_path / "1"), 2),
    ]


def test_ordinals_count_every_file_in_the_order_of_delivery(tmp_path):
    _made(tmp_path, "1", "a/1", "a/2")
    os.mkfifo(tmp_path / "a/b")
    found = list(walk([tmp_path / "none", tmp_path, tmp_path / "1"], WalkOptions(repeat=2)))
    assert [one.ordinal for one in found] == list(range(1, len(found) + 1))
    assert _names([one for one in found if isinstance(one, SourceFile)], tmp_path) == [
        "1", "1", "a/1", "a/1", "a/2", "a/2", "1", "1",
    ]  # fmt: skip


def test_repetition_is_in_a_row_and_of_files_only(tmp_path):
    _made(tmp_path, "1", "2")
    trees.broken_symlink(tmp_path)
    found = list(walk([tmp_path], WalkOptions(repeat=3)))
    assert _names(found[:6], tmp_path) == ["1", "1", "1", "2", "2", "2"]
    assert [type(one) for one in found[6:]] == [Unsendable]


# Lists.


class _Slow(io.BytesIO):
    """A pipe that delivers a few bytes at a time."""

    def read(self, size=-1, /):
        return super().read(min(size, 3))


_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""A list of lines may begin with one, which is not a part of its first name."""


@given(
    st.lists(st.binary(min_size=1).filter(lambda name: not set(name) & set(b"\0\r\n") and not name.startswith(_MARKS))),
    st.booleans(),
)
def test_a_list_names_files_byte_for_byte(names, ends):
    for stream in (io.BytesIO, _Slow):
        for separator, null in ((b"\n", False), (b"\r\n", False), (b"\0", True)):
            content = separator.join(names) + (separator if ends else b"")
            assert [os.fsencode(name) for name in files_from(stream(content), null=null)] == names


def test_with_null_names_may_hold_line_ends():
    assert list(files_from(io.BytesIO(b"a\nb\0c\r\0\0d"), null=True)) == ["a\nb", "c\r", "d"]


def test_empty_lines_are_passed_over():
    assert list(files_from(io.BytesIO(b"\n\na\n\r\n\r\nb\n\n"))) == ["a", "b"]


def test_a_list_longer_than_a_block_is_read_to_its_end():
    names = [f"/archive/{number:07}.dcm" for number in range(10000)]
    assert list(files_from(io.BytesIO("\n".join(names).encode()))) == names


def test_a_list_is_read_as_far_as_it_is_needed():
    stream = io.BytesIO(b"name\n" * 100000)
    next(files_from(stream))
    assert stream.tell() < 100000


@pytest.mark.parametrize("stream", [io.BytesIO, _Slow])
def test_a_byte_order_mark_is_not_part_of_the_first_name(stream):
    mark = b"\xef\xbb\xbf"
    assert list(files_from(stream(mark + b"a\r\nb"))) == ["a", "b"]
    assert list(files_from(stream(mark + b"\na\n" + mark + b"b"))) == ["a", "\ufeffb"]
    assert list(files_from(stream(mark))) == []
    assert list(files_from(stream(mark + b"a\0"), null=True)) == ["\ufeffa"], "find writes no such mark"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_list_in_utf_16_is_refused(encoding):
    with pytest.raises(OSError, match="it is UTF-16: write it in UTF-8"):
        next(files_from(io.BytesIO("\ufeffa.dcm\r\nb.dcm".encode(encoding))))


@pytest.mark.parametrize("kind", [io.BytesIO, _Slow])
@pytest.mark.parametrize(
    ("content", "null", "problem"),
    [
        (b"/a/b.dcm\0/a/c\n.dcm\0", False, "NUL bytes separate its names"),
        (b"/a/b.dcm\0" * 1000, False, "NUL bytes separate its names"),
        (b"/a/b.dcm\n/a/c.dcm\n", True, "its names stand in lines, and no NUL byte ends them"),
        (b"/a/b.dcm\n" * 1000, True, "its names stand in lines, and no NUL byte ends them"),
        ("/a/b.dcm\r\n".encode("utf-16-le"), False, "it is UTF-16: write it in UTF-8"),
    ],
)
def test_a_list_of_the_other_kind_is_refused(kind, content, null, problem):
    with pytest.raises(OSError, match=problem):
        list(files_from(kind(content), null=null))


def test_with_null_the_end_of_the_list_ends_a_name_too(tmp_path):
    name = f"{tmp_path}/with\nline end"
    Path(name).touch()
    assert list(files_from(io.BytesIO(name.encode()), null=True)) == [name]


@pytest.mark.parametrize("null", [False, True])
def test_a_name_may_be_as_long_as_a_path_may_and_a_longer_one_ends_the_list(null):
    separator = b"\0" if null else b"\n"
    names = files_from(io.BytesIO(separator.join([b"a", b"b" * 4096, b"c" * 4097, b"d"])), null=null)
    assert next(names) == "a"
    assert next(names) == "b" * 4096
    with pytest.raises(OSError, match="a name in it is longer than 4096 bytes"):
        next(names)


@pytest.mark.slow
@pytest.mark.parametrize(("device", "null"), [(b"\0", False), (b"\0", True), (b"\n", False), (b"x", True)])
def test_a_device_that_never_ends_is_no_list(device, null):
    class Endless(io.RawIOBase):
        def read(self, size):
            return device * size

    names = files_from(Endless(), null=null)
    with pytest.raises(OSError, match=r"a name in it is longer|empty names stand in a row"):
        next(names)


@pytest.mark.parametrize("single", [str, Path])
def test_a_single_path_is_not_taken_for_its_letters(tmp_path, single):
    _made(tmp_path, "1", "2/3")
    assert _names(walk(single(tmp_path)), tmp_path) == ["1", "2/3"]
