"""Reading the configuration again: what changes, what is named and ignored, what is refused."""

from __future__ import annotations

import logging
import os

import pytest

from asyncstore.cli.commands.reloading import Reloading
from asyncstore.cli.main import _checked
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import tokenize

WORDS = ("--peer", "pacs1", "/archive")
CONFIG = '[peers.pacs1]\nhost = "h"\nport = 104\n[send]\n'


class Configured:
    """A command line with a configuration file."""

    def __init__(self, path, caplog):
        self.path = path
        self.log = caplog
        self.applied = []

    def write(self, text):
        self.path.write_text(CONFIG + text)

    def begin(self, text, *words):
        self.write(text)
        tokens = tokenize(SEND, ("--config", str(self.path), *words, *WORDS))
        parsed, _ = _checked(SEND, tokens, {"ASYNCSTORE_DIMSE_TIMEOUT": "5"})
        appliers = {opt.ASSOCIATIONS.key: lambda new: self.applied.append(new[opt.ASSOCIATIONS])}
        self.reloading = Reloading(parsed, appliers, logging.getLogger("storescu"))

    def reload(self):
        """What is said about it."""
        self.log.clear()
        self.applied.clear()
        self.reloading.reload()
        return self.log.text


@pytest.fixture
def configured(tmp_path, caplog):
    return Configured(tmp_path / "config.toml", caplog)


def test_an_option_that_can_change_is_applied_once(configured):
    configured.begin("associations = 4\n")
    configured.write("associations = 8\n")
    assert "--associations changed" in configured.reload()
    assert configured.applied == [8]
    assert "nothing changed" in configured.reload()
    assert configured.applied == []


def test_everything_else_is_named_and_ignored_every_time(configured):
    configured.begin("associations = 4\n")
    configured.write('max-pdu = 4096\nno-halt = true\nassociations = "auto"\npassword = "hunter2"\nuser = "me"\n')
    for changed in ("--associations changed", "nothing changed"):
        said = configured.reload()
        assert changed in said
        assert "cannot change while a run goes on: --user, --password, --max-pdu, --no-halt" in said
        assert "hunter2" not in said


def test_another_address_of_the_peer_is_ignored(configured):
    configured.begin("")
    configured.path.write_text(CONFIG.replace('"h"', '"other"').replace("104", "105"))
    assert "cannot change while a run goes on: peer, port" in configured.reload()


def test_the_command_line_and_the_environment_win_as_before(configured):
    configured.begin("", "--associations", "2")
    configured.write("associations = 8\ndimse-timeout = 7\n")
    assert "nothing changed" in configured.reload()
    assert configured.applied == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("associations = 8\nassociations = ", "is not TOML"),
        ("associations = 0\n", "out of range"),
        ("associatons = 8\n", "unknown key"),
        ("associations = 8\nmax-pdu = 1\n", "out of range"),
        ("associations = 8\nuser = 'a'\njwt = 'b'\npos-response = 3\n", "true or false"),
    ],
)
def test_a_broken_file_is_refused_whole_with_its_message(configured, text, words):
    configured.begin("associations = 4\n")
    configured.write(text)
    said = configured.reload()
    assert words in said
    assert "the run goes on with the options that it has" in said
    assert configured.applied == []


def test_a_file_that_has_gone_is_refused(configured):
    configured.begin("associations = 4\n")
    configured.path.unlink()
    assert "No such file" in configured.reload()


def test_a_pipe_that_would_block_the_run_is_refused(configured):
    configured.begin("associations = 4\n")
    configured.path.unlink()
    os.mkfifo(configured.path)
    assert "no plain file" in configured.reload()


def test_options_without_a_file_cannot_be_read_again():
    parsed, _ = _checked(SEND, tokenize(SEND, ("h", "104", "/archive")), {})
    assert parsed.read_again is None
