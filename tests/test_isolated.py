"""Modules in a fresh interpreter: none of them comes from the working directory, all others are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import asyncstore
from asyncstore.errors import PrepareError
from asyncstore.isolated import isolated

HERE = str(Path(asyncstore.__file__).parent.parent)


def plant(folder, *names):
    """Write modules that leave a mark beside them when they are imported."""
    for name in names:
        path = folder / name / "__init__.py" if name.endswith("/") else folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()")


def what_ran(folder):
    return sorted(path.name for path in folder.rglob("*.ran"))


HOSTILE = ("struct", "decimal", "dl/", "pydicom", "anyio", "uvloop", "sitecustomize", "usercustomize", "asyncstore")


@pytest.mark.slow
@pytest.mark.parametrize("python_path", [None, "", ".", os.pathsep])
def test_nothing_runs_from_the_working_directory(tmp_path, monkeypatch, python_path):
    plant(tmp_path, *HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])  # as python -c, and python -m, have it
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path)
    done = subprocess.run([*isolated("asyncstore.__main__"), "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("asyncstore ")
    assert what_ran(tmp_path) == []


@pytest.mark.slow
def test_a_module_in_a_folder_of_this_process_does_not_stand_before_the_standard_library(tmp_path, monkeypatch):
    plant(tmp_path, "struct", "decimal")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    done = subprocess.run([*isolated("asyncstore.__main__"), "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert what_ran(tmp_path) == []


def test_the_module_is_found_where_this_process_finds_it_and_takes_words(tmp_path, monkeypatch):
    """In site packages of a user, a folder of PYTHONPATH, or an editable installation."""
    folder = tmp_path / os.fsdecode(b'it\'s\xff a "folder"')
    folder.mkdir()
    (folder / "module_of_a_test.py").write_text("import sys, asyncstore\ndef main(): print(*sys.argv[1:]); return 7")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    words = [*isolated("module_of_a_test"), "one", "--two"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "one --two\n", "")


@pytest.mark.slow
def test_this_package_is_found_also_where_it_is_imported_from_the_working_directory(monkeypatch):
    """This is the case in a checkout; it goes before an installed version."""
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "path", [HERE, *(folder for folder in sys.path if folder not in ("", HERE))])
    done = subprocess.run([*isolated("asyncstore.__main__"), "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("nothing", ["", None])
def test_a_program_that_embeds_python_hears_that_there_is_no_interpreter(monkeypatch, nothing):
    monkeypatch.setattr(sys, "executable", nothing)
    with pytest.raises(PrepareError, match=r"sys\.executable"):
        isolated("asyncstore.prepare.worker")
