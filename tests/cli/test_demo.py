"""The demo where it goes wrong; that it goes right is tested with the other commands, as a process."""

from __future__ import annotations

import subprocess
import sys

from asyncstore.cli.main import main


def test_a_sink_that_does_not_start_is_said_with_what_to_do(monkeypatch, capsys, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "print('no')"], stdout=subprocess.PIPE)
    monkeypatch.setattr("asyncstore.cli.demo._start_sink", lambda _output: process)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "asyncstore demo: the sink of this demo: it did not start, and said 'no'\n"
        "See what asyncstore sink --port 0 says by itself.\n"
    )
    assert not list(tmp_path.iterdir())
