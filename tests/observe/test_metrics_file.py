"""The file of metrics: whole or not at all, and readable by the user that collects it."""

import os
import resource
import stat

import pytest

from asyncstore.observe.metrics_file import MetricsFile


@pytest.fixture
def path(tmp_path):
    (tmp_path / "collected").mkdir()
    return tmp_path / "collected" / "run.prom"


def test_a_reader_that_has_it_open_reads_the_old_version_to_its_end(path):
    file = MetricsFile(str(path))
    file.replace(b"old\n")
    with path.open("rb") as reader:
        file.replace(b"new version\n")
        assert reader.read() == b"old\n"
    assert path.read_bytes() == b"new version\n"


def test_the_collector_may_read_it_whatever_the_umask(path):
    before = os.umask(0o077)
    try:
        MetricsFile(str(path)).replace(b"1\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_nothing_else_stays_in_the_folder(path):
    file = MetricsFile(str(path))
    assert list(path.parent.iterdir()) == []
    file.replace(b"1\n")
    file.replace(b"2\n")
    assert list(path.parent.iterdir()) == [path]


def test_the_file_of_another_run_stays_until_there_is_something_to_write(path):
    path.write_bytes(b"of another run\n")
    MetricsFile(str(path))
    assert path.read_bytes() == b"of another run\n"


def test_a_symbolic_link_stays_one(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere.prom")
    MetricsFile(str(path)).replace(b"1\n")
    assert path.is_symlink()
    assert (tmp_path / "elsewhere.prom").read_bytes() == b"1\n"


def test_a_full_disk_is_known_before_anything_is_written(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # empty files can still be made, as on a full disk
        with pytest.raises(OSError, match="too large"):
            MetricsFile(str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(path.parent.iterdir()) == []


def test_the_stem_is_the_name_without_folder_and_suffix(path):
    assert MetricsFile(str(path)).stem == "run"


@pytest.mark.parametrize("name", [os.devnull, "."])
def test_what_is_no_regular_file_is_not_replaced(name, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with pytest.raises(ValueError, match="it is not a regular file"):
        MetricsFile(name)


def test_a_folder_that_is_missing_is_an_error_at_once(path):
    with pytest.raises(FileNotFoundError):
        MetricsFile(str(path.parent / "missing" / "run.prom"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_at_once(path):
    path.parent.chmod(0o500)
    with pytest.raises(PermissionError):
        MetricsFile(str(path))


def test_a_version_that_cannot_be_written_leaves_the_folder_as_it_was(path):
    file = MetricsFile(str(path))
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        file.replace(b"1\n")
    assert list(path.parent.iterdir()) == [path]
