"""The demo, where all is well and where it goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from asyncstore.cli.commands.demo import _start_sink
from asyncstore.cli.main import main
from asyncstore.load.archive import write_archive
from support.commands import asyncstore, finished, running_sink, started
from support.crashes import processes_with
from support.oracle import until

pytestmark = pytest.mark.slow


def test_a_sink_that_does_not_start_is_said_with_what_to_do(monkeypatch, capsys, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "print('no')"], stdout=subprocess.PIPE)
    monkeypatch.setattr("asyncstore.cli.commands.demo._start_sink", lambda _output: process)
    monkeypatch.setattr("asyncstore.cli.commands.demo.write_archive", partial(write_archive, patients=1))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "asyncstore demo: the sink of this demo: it did not start, and said 'no'\n"
        "See what asyncstore sink --port 0 says by itself.\n"
    )
    assert not list(tmp_path.iterdir())


def test_where_the_system_allows_no_thread_or_process_it_is_said(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", _not_started)
        assert main(["demo"]) == 1
    assert "asyncstore demo: no thread can be started" in capsys.readouterr().err
    monkeypatch.setattr("asyncstore.cli.commands.demo.write_archive", partial(write_archive, patients=1))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        f"asyncstore demo: cannot start another process: {tmp_path}/no-python: No such file or directory\n"
    )
    assert not list(tmp_path.iterdir())


def _not_started(_):
    raise RuntimeError("can't start new thread")


async def test_where_there_is_no_uvloop_asyncios_own_loop_does(tmp_path):
    (tmp_path / "uvloop.py").write_text("raise ImportError")
    async with running_sink() as sink:
        words = ("echo", "-v", "127.0.0.1", str(sink.port))
        done = await asyncstore(*words, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done
    assert "uvloop" not in done.err


def test_the_sink_of_the_demo_runs_nothing_from_the_working_directory(tmp_path, monkeypatch):
    """That may be a CD, or an unpacked archive of somebody else's."""
    for name in (
        "struct",
        "decimal",
        "dl/__init__",
        "pydicom",
        "anyio",
        "sitecustomize",
        "usercustomize",
        "asyncstore",
    ):
        planted = tmp_path / f"{name}.py"
        planted.parent.mkdir(exist_ok=True)
        planted.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    sink = _start_sink(tmp_path / "out")
    with sink:
        assert sink.stdout.readline().startswith(b"listening on ")
        sink.terminate()
    assert not (tmp_path / "ran").exists()


async def test_nothing_is_imported_from_the_folder_where_the_user_stands(tmp_path):
    """Neither by its sink nor by its workers; the console script itself never searches that folder."""
    for name in ("struct", "decimal", "pydicom", "asyncstore", "sitecustomize", "dl"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()")
    program = "import sys; sys.path.remove(''); from asyncstore.__main__ import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        "demo",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert [*tmp_path.glob("*.ran")] == []


async def _kill_a_demo(environment):
    """Kill a demo whose sink runs; returns how it ended."""
    process = await started("demo", environment=environment, anew=True)
    line = b""
    while not line.startswith(b"2. A storage SCP"):
        line = await process.stdout.readline()
        assert line, await finished(process)
    process.kill()
    return (await finished(process)).returncode


async def test_a_demo_that_is_killed_leaves_no_process_and_the_next_one_removes_its_folder(tmp_path):
    environment = {"TMPDIR": str(tmp_path)}
    while await _kill_a_demo(environment) != -signal.SIGKILL:
        pass  # it had ended before it was killed
    [left] = tmp_path.iterdir()
    await until(lambda: not processes_with(os.fsencode(f"TMPDIR={tmp_path}")))
    following = await started("demo", environment=environment)
    await until(lambda: not left.exists())
    following.terminate()
    done = await finished(following)
    assert done.returncode in {0, 130}, done  # 0: it had ended before
    assert not list(tmp_path.iterdir())
