"""A temporary folder is removed by its own run, or by the next one if its own was killed."""

import os
import subprocess
import sys
import tempfile

import pytest

from asyncstore.temporary import remove_left, temporary_folder

HOLDS = """
import os, sys
from asyncstore.temporary import temporary_folder
with temporary_folder("left-") as folder:
    (folder / "data").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other_run():
    """Another process that has a folder."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=pipe, stdout=pipe, text=True) as process:
        process.folder = process.stdout.readline().strip()
        assert os.path.isdir(process.folder)
        yield process
        process.kill()


def test_a_run_removes_its_own_folder(place):
    with temporary_folder("left-") as folder:
        (folder / "data").write_text("data")
        assert list(place.iterdir()) == [folder]
    assert not list(place.iterdir())


def test_the_folder_of_a_killed_run_is_removed_by_the_next(place, other_run):
    other_run.kill()
    other_run.wait()
    with temporary_folder("left-") as folder:
        assert list(place.iterdir()) == [folder]


def test_the_folder_of_a_run_that_lives_stays(place, other_run):
    with temporary_folder("left-") as folder:
        assert {str(path) for path in place.iterdir()} == {str(folder), other_run.folder}
    other_run.communicate("")
    assert not list(place.iterdir())


def test_folders_that_no_run_of_this_user_left_stay(place, other_run, monkeypatch):
    other_run.kill()
    other_run.wait()
    (place / "left-kept").mkdir()
    (place / "left-file").touch()
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / ".asyncstore-lock").touch()
    (place / "left-link").symlink_to(place / "elsewhere")
    monkeypatch.setattr(os, "geteuid", lambda: 1_000_000)
    remove_left("left-")
    assert len(list(place.iterdir())) == 5
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    remove_left("left-")
    assert {path.name for path in place.iterdir()} == {"left-kept", "left-file", "left-link", "elsewhere"}
    assert (place / "elsewhere" / ".asyncstore-lock").exists()
