"""The README's recipes, run as they stand there: only names of folders and peers are put in their places."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import textwrap
from pathlib import Path

import trees
from asyncstore import Sink

_README = Path(__file__).resolve().parent.parent / "README.md"


def _recipe(heading):
    """The commands of the first console block after some words."""
    after = _README.read_text().partition(heading)[2]
    block = re.search(r"^( *)```console\n(.*?)^\1```$", after, re.DOTALL | re.MULTILINE)
    return re.sub(r"^\$ ", "", textwrap.dedent(block[2]), flags=re.MULTILINE)


async def _run(script, folder, **places):
    """Run a recipe in a folder, with this checkout as ``asyncstore``."""
    for name, place in places.items():
        assert name in script
        script = script.replace(name, place)
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    ours = programs / "asyncstore"
    ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asyncstore "$@"\n')
    ours.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    environment["PYTHONPATH"] = str(_README.parent)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-ec",
        script,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()


def _outcomes(file):
    return [line for line in map(json.loads, file.read_bytes().splitlines()) if line["type"] == "outcome"]


async def test_what_a_run_that_was_cut_off_left_is_sent_by_the_next_one(tmp_path):
    """Whether the walk had found it or not; and the last line of the first run's record is torn."""
    archive, work = tmp_path / "archive", tmp_path / "work"
    work.mkdir()
    written = trees.instances(tmp_path / "written", len(trees.ODD_NAMES))
    archive.mkdir()
    for path, name in zip(written, trees.ODD_NAMES, strict=True):
        path.rename(archive / os.fsdecode(name))
    async with Sink(port=0) as sink:
        places = {"pacs.example.org 11112": f"127.0.0.1 {sink.port}"}
        await _run(_recipe("## Migrate an archive"), work, **places, **{"/archive": str(archive)})
        record = work / "run1.jsonl"
        lines = record.read_bytes().splitlines(keepends=True)
        stored = {os.fsencode(outcome["path"]) for outcome in _outcomes(record)[:4]}
        record.write_bytes(b"".join(lines[:5]) + lines[5][:-9])
        await _run(_recipe("**What is left.**"), work, **places)
    everything = {os.fsencode(archive / os.fsdecode(name)) for name in trees.ODD_NAMES}
    assert sorted((work / "left.lst").read_bytes().split(b"\0")[:-1]) == sorted(everything - stored)
    second = [os.fsencode(outcome["path"]) for outcome in _outcomes(work / "run2.jsonl")]
    assert sorted(second) == sorted(everything - stored)
