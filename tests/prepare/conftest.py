import pytest

from asyncstore.isolated import isolated
from asyncstore.prepare import start

_IN_THE_WORKER = """
import os, signal, time

_open = os.open

def open_as_told_by_name(path, *arguments, **named):
    name = os.path.basename(path)
    was_opened_before = os.path.exists(path + ".opened")
    if name.startswith(("slow", "kills")):
        open(path + ".opened", "w").close()
    if name.startswith("kills") and not (name.startswith("kills-once") and was_opened_before):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("slow") and not (name.startswith("slow-once") and was_opened_before):
        time.sleep(60)
    if name.startswith("prints"):
        print("a library has something to say", flush=True)
    return _open(path, *arguments, **named)

os.open = open_as_told_by_name
"""
"""Code that makes a worker process misbehave."""


@pytest.fixture
def workers_run(monkeypatch):
    """Let worker processes run some code before their ``main()``, when they can import our modules."""

    def let(code):
        def command(module):
            *words, startup = isolated(module)
            search, _, run = startup.partition("; from ")
            return [*words, f"{search}\n{code}\nfrom {run}"]

        monkeypatch.setattr(start, "isolated", command)

    return let


@pytest.fixture
def folder(tmp_path, workers_run):
    """A folder for files whose names tell what happens to the worker that opens them."""
    workers_run(_IN_THE_WORKER)
    files = tmp_path / "files"
    files.mkdir()
    return files
