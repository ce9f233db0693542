"""The manual page holds what the tables hold, and roff takes it without a complaint."""

from __future__ import annotations

import subprocess

import pytest

from asyncstore.cli.commands.man import page
from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import COMMANDS
from support.peers.programs import find_program


@pytest.fixture(scope="module")
def shown():
    """The page as a reader sees it."""
    words = [find_program("groff", "groff"), "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n"]
    done = subprocess.run(words, input="\n".join(page()) + "\n", capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_command_prints_it(capsys):
    assert main(["man"]) == 0
    assert capsys.readouterr().out.splitlines() == list(page())


@pytest.mark.peers
def test_it_has_the_sections_of_a_manual_page(shown):
    headings = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"):
        assert heading in headings


@pytest.mark.peers
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_and_option_is_in_it(shown, command):
    assert command.usage in shown
    words = set(shown.replace(",", " ").split())
    for row in command.options():
        assert {row.short or row.long, *row.kind.names} <= words
        assert row.help in " ".join(shown.split())


@pytest.mark.peers
def test_words_stay_what_they_are(shown):
    assert "~/.config/asyncstore/config.toml" in shown
    assert 'enable-tls = ["key.pem", "cert.pem"]' in shown
    assert "ASYNCSTORE_MAX_PDU=32768" in shown
    assert "Python's" in shown
