"""The examples run as their docstrings say, each in its own process, against a sink."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from asyncstore import Sink
from support import trees

pytestmark = pytest.mark.slow

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


async def _run(name, *words):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_EXAMPLES / name),
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.fixture
def files(tmp_path):
    return trees.instances(tmp_path / "files", 3)


def test_every_example_is_run_here():
    tested = {"own_progress.py", "send_folder.py", "sink_in_a_test.py", "wait_for_peer.py"}
    assert {path.name for path in _EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize("name", ["own_progress.py", "send_folder.py", "sink_in_a_test.py", "wait_for_peer.py"])
async def test_without_words_it_says_which_it_takes(name):
    code, output = await _run(name)
    assert code == 1
    assert f"python examples/{name} " in output


@pytest.mark.usefixtures("files")
async def test_a_folder_is_sent(tmp_path):
    async with Sink(port=0) as sink:
        code, output = await _run("send_folder.py", "127.0.0.1", sink.port, tmp_path)
        assert (code, output) == (0, "3 stored\n")
        assert sink.tally.instances == 3


@pytest.mark.usefixtures("files")
async def test_unstored_files_are_named(tmp_path):
    junk = tmp_path / "notes.txt"
    junk.write_text("no DICOM")
    async with Sink(port=0) as sink:
        code, output = await _run("send_folder.py", "127.0.0.1", sink.port, tmp_path)
        assert code == 1
        assert f"{junk}: not_sent: not a DICOM file" in output


@pytest.mark.parametrize(("name", "options"), [("send_folder.py", ()), ("own_progress.py", (60,))])
async def test_a_peer_that_is_not_there_is_named(files, name, options, refusing_port):
    code, output = await _run(name, "127.0.0.1", refusing_port, *options, files[0])
    assert code == 1
    assert "connection refused" in output
    assert "Traceback" not in output


async def test_progress_is_shown(files):
    async with Sink(port=0, latency=0.4) as sink:
        code, output = await _run("own_progress.py", "127.0.0.1", sink.port, 60, *files)
        assert code == 0
        assert "3 files found" in output
        assert output.endswith("3 stored\n")


async def test_a_run_is_ended_after_a_time(files):
    async with Sink(port=0, latency=1) as sink:
        code, output = await _run("own_progress.py", "127.0.0.1", sink.port, 0.5, *files * 20)
        assert code == 0
        assert "not_sent" in output


async def test_a_peer_is_waited_for(refusing_port):
    async with Sink(port=0) as sink:
        code, output = await _run("wait_for_peer.py", "127.0.0.1", sink.port, 5)
        assert (code, "answered in" in output) == (0, True)
    code, output = await _run("wait_for_peer.py", "127.0.0.1", refusing_port, 3)
    assert (code, "connection refused" in output) == (1, True)


async def test_a_sink_serves_a_test(files):
    code, output = await _run("sink_in_a_test.py", *files)
    assert code == 0
    assert "3 outcomes, 3 files stored" in output
    assert output.count("failed: 0xA700 out of resources") == 3


def test_they_pass_a_strict_type_checker(tmp_path):
    """The package says that it is typed (PEP 561), so nothing that comes from it is ``Any``. The documents' too."""
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    documents = [_EXAMPLES.parent / "README.md", _EXAMPLES.parent / "docs" / "library.md"]
    blocks = re.findall(r"^```python\n(.*?)^```$", "".join(map(Path.read_text, documents)), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 3
    for number, block in enumerate(blocks):
        (tmp_path / f"block_{number}.py").write_text(block)
    words = [
        "-m",
        "mypy",
        "--strict",
        "--no-incremental",
        "--cache-dir",
        str(tmp_path),
        *map(str, [*_EXAMPLES.glob("*.py"), *tmp_path.glob("block_*.py")]),
    ]
    ended = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
