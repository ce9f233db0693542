"""``--dicomdir``: what it names is sent, and nothing else of the medium."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pydicom
import pytest

from support import trees
from support.commands import asyncstore, running_sink

pytestmark = pytest.mark.slow

CD = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"


@pytest.fixture
def cd(tmp_path):
    shutil.copytree(CD, tmp_path / "cd")
    (tmp_path / "cd" / "AUTORUN.INF").write_text("[autorun]")
    return tmp_path / "cd"


async def test_the_files_of_a_cd_are_sent_and_missing_ones_are_reported(cd, tmp_path):
    missing = cd / "77654033" / "CR1" / "6154"
    missing.unlink()
    async with running_sink("--output", tmp_path / "out") as sink:
        words = ("--dicomdir", cd, "--json", tmp_path / "log", "127.0.0.1", str(sink.port))
        ran = await asyncstore("send", "-nh", *words)
    assert ran.returncode == 2
    assert "Stored 30 of 31 files" in ran.err
    [one] = [
        one for one in map(json.loads, (tmp_path / "log").read_text().splitlines()) if one.get("result") == "not_sent"
    ]
    assert (one["path"], one["error"]) == (str(missing), "no such file or directory")
    assert len(trees.data_sets(tmp_path / "out")) == 30


async def test_it_goes_with_journals_and_plans(cd, tmp_path):
    scanned = await asyncstore("scan", "--dicomdir", cd / "DICOMDIR", "--journal", tmp_path / "run.db")
    assert scanned.out.startswith("31 instances")
    async with running_sink() as sink:
        words = ("--journal", tmp_path / "run.db", "127.0.0.1", str(sink.port))
        ran = await asyncstore("send", "-nh", "--dicomdir", cd, *words)
        assert "Stored all 31 files" in ran.err
        ran = await asyncstore("send", "-nh", *words)
        assert "31 of them by an earlier run" in ran.err


async def test_what_is_no_dicomdir_is_an_error(cd):
    ran = await asyncstore("send", "--dicomdir", cd / "AUTORUN.INF", "127.0.0.1", "104")
    assert (ran.returncode, "is no DICOMDIR" in ran.err) == (1, True)
    (cd / "DICOMDIR").unlink()
    ran = await asyncstore("send", "--dicomdir", cd, "127.0.0.1", "104")
    assert (ran.returncode, "no DICOMDIR in this folder" in ran.err) == (1, True)
    os.mkfifo(cd / "DICOMDIR")
    ran = await asyncstore("send", "--dicomdir", cd, "127.0.0.1", "104")
    assert (ran.returncode, "not a regular file" in ran.err) == (1, True)
    ran = await asyncstore("send", "--dicomdir", cd / "gone", "127.0.0.1", "104")
    assert (ran.returncode, "--dicomdir" in ran.err, "No such file" in ran.err) == (1, True, True)
