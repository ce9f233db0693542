import pytest

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
"""What Python runs when it starts: so a worker process, which inherits PYTHONPATH, can be made to misbehave."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for files whose names tell what becomes of the worker that opens them."""
    startup = tmp_path / "startup"
    startup.mkdir()
    (startup / "sitecustomize.py").write_text(_IN_THE_WORKER)
    monkeypatch.setenv("PYTHONPATH", str(startup))
    files = tmp_path / "files"
    files.mkdir()
    return files
