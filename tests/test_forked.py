"""Commands in forks: they do what a new interpreter does, and tests notice those that are left running."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import HELLO
from asyncstore.prepare.start import clean_up
from support import forked
from support.commands import asyncstore, started
from support.oracle import GUARD, running_children
from support.trees import instances

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="there is no server where the system has no pidfd"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["send", "--nonsense"],
        ["report", "missing.db"],
        ["echo", "127.0.0.1", "1"],
        ["scan", "--json", "-", "--files-from", "-"],
        ["scan", b"\xff\n", "none"],
    ],
    ids=lambda words: words[0],
)
async def test_a_fork_does_what_a_new_interpreter_does(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    instances(tmp_path / "files", 1)
    ours, theirs = [
        await asyncstore(*words, stdin=b"files\nmissing\n", environment={"COLUMNS": "70"}, anew=anew)
        for anew in (False, True)
    ]
    assert ours == theirs
    assert ours.out + ours.err


async def test_it_gets_the_masks_and_variables_of_the_test(tmp_path, monkeypatch):
    instances(tmp_path / "files", 1)
    monkeypatch.setenv("ASYNCSTORE_JSON", "never inherited")
    before = os.umask(0o077)
    try:
        done = await asyncstore("scan", tmp_path / "files", environment={"ASYNCSTORE_JSON": str(tmp_path / "found")})
    finally:
        os.umask(before)
    assert done.returncode == 0, done
    assert (tmp_path / "found").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize("start", [forked.start_worker, forked.start_worker_anew], ids=["a fork", "an interpreter"])
def test_a_worker_process_ends_with_its_input_or_when_it_is_killed(start):
    for end, status in ((lambda worker: worker.stdin.close(), 0), (lambda worker: worker.kill(), -9)):
        worker = start(FileFormat.ANY)
        assert worker.stdout.read(len(HELLO)) == HELLO
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0)
        end(worker)
        assert worker.wait(GUARD) == status
        worker.kill()
        clean_up(worker)


@pytest.mark.parametrize("start", [forked.start_worker, forked.start_worker_anew], ids=["a fork", "an interpreter"])
def test_several_threads_may_wait_for_a_worker_process_while_it_is_killed(start):
    """The thread that talks to it asks how it ended, and the one that kills it waits for its end."""
    for _ in range(5):
        worker = start(FileFormat.ANY)
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(worker.wait, GUARD) for _ in range(3)]
            worker.kill()
        assert [one.result() for one in waiting] == [-9] * 3
        clean_up(worker)


@pytest.mark.slow
async def test_variables_that_an_interpreter_reads_when_it_starts_are_not_for_forks(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('customized')")
    assert (await asyncstore("--version", environment={"PYTHONPATH": str(tmp_path)})).out.startswith("customized\n")


async def test_a_command_that_is_left_running_is_noticed_until_it_ends():
    process = await started("sink", "--port", "0")
    try:
        assert forked.server is not None
        await process.stdout.readline()
        assert f"child process {process.pid}" in running_children()
        assert process.returncode is None
    finally:
        process.kill()
        await process.communicate()
    assert process.returncode == -9
    assert f"child process {process.pid}" not in running_children()
    with pytest.raises(ProcessLookupError):
        process.kill()
