"""Configuration files: what they give, what comes before what, and what is said of mistakes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import COMMANDS, ECHO, SCAN, SEND, SINK, STATUS
from asyncstore.cli.options.configuration import configured, default_path
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.cli.options.rows import (
    ASSOCIATIONS,
    CALLED_AE_TITLE,
    CONFIG,
    INPUTS,
    MAX_PDU,
    NO_HALT,
    PEER,
    PORT,
    QUIET,
    RETRY_STATUSES,
    TIMEOUT,
    VERBOSE,
)
from asyncstore.cli.options.tls_rows import ADD_CERT_FILE, ENABLE_TLS
from asyncstore.errors import UsageError

PEERS = """
[peers.pacs1]
host = "pacs.example.org"
port = 11112
"""
WITH_CONFIG = [command for command in COMMANDS.values() if CONFIG in tuple(command.options())]


@pytest.fixture
def file(tmp_path):
    """Writes a configuration file that its owner alone may read; its path."""

    def write(text):
        path = tmp_path / "a.toml"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return write


def understood(command, *words, **environment):
    tokens = tokenize(command, words)
    found = configured(command, WITH_CONFIG, tokens, environment)
    return check(command, tokens, environment, found.layers)


def refusal(*words, command=SEND, **environment):
    with pytest.raises(UsageError) as caught:
        understood(command, *words, **environment)
    return str(caught.value)


class TestWhatTheyGive:
    def test_any_option_by_its_long_name(self, file):
        path = file(
            'max-pdu = 32768\ncall = "PACS"\nno-halt = true\ntimeout = 5\nassociations = "auto"\n'
            'enable-tls = ["key", "cert"]\nadd-cert-file = ["a", "b"]\n'
        )
        line = understood(SEND, "--config", path, "host", "104", "f")
        assert (line[MAX_PDU], line[CALLED_AE_TITLE], line[NO_HALT], line[TIMEOUT]) == (32768, "PACS", True, 5)
        assert (line[ENABLE_TLS], line[ADD_CERT_FILE]) == (("key", "cert"), ("a", "b"))
        assert line[ASSOCIATIONS] is None

    def test_a_status_may_be_a_number_in_hexadecimal(self, file):
        assert understood(SINK, "--config", file("status = 0xA700"))[STATUS] == 0xA700

    def test_an_empty_variable_names_none(self, tmp_path):
        (tmp_path / "asyncstore").mkdir()
        (tmp_path / "asyncstore/config.toml").write_text(PEERS)
        found = {"XDG_CONFIG_HOME": str(tmp_path), "ASYNCSTORE_CONFIG": ""}
        assert understood(ECHO, "--peer", "pacs1", **found)[PEER] == "pacs.example.org"

    def test_the_environment_names_one_too(self, file):
        path = file("max-pdu = 32768")
        assert understood(SEND, "host", "104", "f", ASYNCSTORE_CONFIG=path)[MAX_PDU] == 32768

    def test_what_belongs_to_other_commands_is_passed_over(self, file):
        path = file('associations = 3\n[echo]\ncount = 1\n[peers.p]\nhost = "h"\nport = 1\nno-halt = true')
        assert understood(ECHO, "--config", path, "--peer", "p")[PEER] == "h"

    def test_what_stands_nearer_wins(self, file):
        path = file(f"max-pdu = 5000\n[send]\nmax-pdu = 6000\n{PEERS}max-pdu = 7000")
        named = ("--config", path, "--peer", "pacs1")
        variable = {"ASYNCSTORE_MAX_PDU": "8000"}
        assert understood(SEND, *named, "f", "-pdu", "9000", **variable)[MAX_PDU] == 9000
        assert understood(SEND, *named, "f", **variable)[MAX_PDU] == 8000
        assert understood(SEND, *named, "f")[MAX_PDU] == 7000
        assert understood(SEND, "--config", path, "h", "1", "f")[MAX_PDU] == 6000
        assert understood(SCAN, "--config", path, "f")[MAX_PDU] == 5000
        assert understood(SEND, "h", "1", "f")[MAX_PDU] == 16384

    def test_a_nearer_table_turns_a_flag_off(self, file):
        path = file("no-halt = true\n[send]\nno-halt = false")
        assert not understood(SEND, "--config", path, "h", "1", "f")[NO_HALT]
        assert understood(SEND, "--config", path, "-nh", "h", "1", "f")[NO_HALT]

    def test_the_last_of_a_tables_alternatives_counts(self, file):
        line = understood(SEND, "--config", file("quiet = true\nverbose = true"), "h", "1", "f")
        assert (line[QUIET], line[VERBOSE]) == (False, True)


class TestPeers:
    def test_a_name_stands_for_host_and_port(self, file):
        line = understood(SEND, "--config", file(PEERS + 'call = "PACS"'), "--peer", "pacs1", "a", "b")
        assert (line[PEER], line[PORT], line[CALLED_AE_TITLE]) == ("pacs.example.org", 11112, "PACS")
        assert line[INPUTS] == ("a", "b")

    def test_they_are_looked_up_in_the_default_file(self, tmp_path):
        (tmp_path / "asyncstore").mkdir()
        (tmp_path / "asyncstore/config.toml").write_text(f"max-pdu = 5000\n[send]\nno-halt = true\n{PEERS}")
        line = understood(SEND, "--peer", "pacs1", "f", XDG_CONFIG_HOME=str(tmp_path))
        assert line[PEER] == "pacs.example.org"
        assert (line[MAX_PDU], line[NO_HALT]) == (16384, False), "only its peers are read"

    def test_the_default_file_lies_where_the_system_keeps_such_files(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        assert default_path({}) == "/home/me/.config/asyncstore/config.toml"
        assert default_path({"XDG_CONFIG_HOME": "/c"}) == "/c/asyncstore/config.toml"

    def test_a_name_that_is_not_there(self, file, tmp_path):
        path = file(PEERS)
        said = refusal("--config", path, "--peer", "pacs2", "f")
        assert said == f"--peer pacs2: {path} has no table [peers.pacs2]: it names pacs1"
        said = refusal("--peer", "p", "f", XDG_CONFIG_HOME=str(tmp_path / "none"))
        assert said == (
            "--peer p: there is no configuration file: neither --config nor ASYNCSTORE_CONFIG names one, and there is "
            f"no {tmp_path}/none/asyncstore/config.toml"
        )

    @pytest.mark.parametrize(("command", "more"), [(SEND, ("f",)), (SEND, ()), (ECHO, ())])
    def test_an_address_besides_is_refused_and_not_taken_for_files(self, file, command, more):
        said = refusal("--config", file(PEERS), "--peer", "pacs1", "pacs.example.org", "104", *more, command=command)
        assert said == "--peer pacs1 stands for the parameters peer and port: leave out pacs.example.org 104"

    @pytest.mark.parametrize("words", [("a", "b"), ("104", "a"), ("a", "0")])
    def test_what_looks_like_no_address_is_files(self, file, words):
        assert understood(SEND, "--config", file(PEERS), "--peer", "pacs1", *words)[INPUTS] == words

    def test_files_with_the_looks_of_an_address_are_files(self, file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "104").touch()
        assert understood(SEND, "--config", file(PEERS), "--peer", "pacs1", "a", "104")[INPUTS] == ("a", "104")
        assert understood(SCAN, "--config", file(PEERS), "--peer", "pacs1", "a", "105")[INPUTS] == ("a", "105")

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ("[peers.p]\nport = 1", "{}: [peers.p]: the key host is missing"),
            ('[peers.p]\nhost = "h"\nport = 0', "{}:3: [peers.p] port: 0 is out of range (1..65535)"),
            ("[peers.p]\nhost = true\nport = 1", "{}:2: [peers.p] host: a text in quotes is needed"),
            ("[peers.p]\nhost = 3\nport = 1", "{}:2: [peers.p] host: a text in quotes is needed"),
            ('[peers.p]\nhost = "h"\nport = "1"', "{}:3: [peers.p] port: a whole number is needed"),
            ('[peers.p]\nhost = "h"\nport = true', "{}:3: [peers.p] port: a whole number is needed"),
            ("[peers]\np = 3", "{}:2: [peers] p: a peer is a table of its own: [peers.NAME]"),
            ("[[peers]]\n", "{}: peers: a peer is a table of its own: [peers.NAME]"),
        ],
    )
    def test_one_that_lacks_something(self, file, table, said):
        path = file(table)
        assert refusal("--config", path, "--peer", "p", "f") == said.format(path)


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("max-pud = 5000", "{}:1: max-pud: unknown key, did you mean max-pdu?"),
            ("\n[send]\n\nmax_pdu = 5000", "{}:4: [send] max_pdu: unknown key, did you mean max-pdu?"),
            ("[echo]\nno-halt = true", "{}:2: [echo] no-halt: unknown key"),
            ("[sned]\n", "{}:1: [sned]: unknown table, did you mean [send]?"),
            ('[peer.a]\nhost = "h"', "{}:1: [peer.a]: unknown table, did you mean [peers.a]?"),
            ('[peer]\nhost = "h"', "{}:1: [peer]: unknown table, did you mean [peers.NAME]?"),
            ('[pacs1]\nhost = "h"', "{}:1: [pacs1]: unknown table, did you mean [peers.pacs1]?"),
            ("[colours]\n", "{}:1: [colours]: unknown table;"),
            ('[peers.p]\naec = "PACS"', "{}:2: [peers.p] aec: unknown key, did you mean call?"),
            ('[peers.p]\naet = "ME"', "{}:2: [peers.p] aet: unknown key, did you mean aetitle?"),
            ('tls = ["k", "c"]', "{}:1: tls: unknown key, did you mean disable-tls or enable-tls?"),
            ("[peers.p]\nhots = 1", "{}:2: [peers.p] hots: unknown key, did you mean host?"),
            ("max-pdu = 1", "{}:1: max-pdu: 1 is out of range (4096..131072)"),
            ("max-pdu = true", "{}:1: max-pdu: a whole number is needed"),
            ("no-halt = 1", "{}:1: no-halt: true or false is needed"),
            ('enable-tls = "key"', "{}:1: enable-tls: an array of 2 is needed: KEY CERTIFICATE"),
            ('call = ["A"]', "{}:1: call: a text in quotes is needed"),
            ("call = 3", "{}:1: call: a text in quotes is needed"),
            ('timeout = "5"', "{}:1: timeout: a whole number is needed"),
            ("associations = 1.5", "{}:1: associations: a whole number or a text in quotes is needed"),
            ('associations = "many"', "{}:1: associations: 'many' is neither an integer nor auto"),
            ('add-cert-file = ["a", 3]', "{}:1: add-cert-file: a text in quotes is needed"),
            ('latency = "0.5"', "{}:1: latency: a number is needed"),
            (r'log-config = "a\u0000b"', "{}:1: log-config: a text cannot hold a NUL character"),
            (r'add-cert-file = ["a", "b\u0000"]', "{}:1: add-cert-file: a text cannot hold a NUL character"),
            ("help = true", "{}:1: help: unknown key"),
            ('peer = "p"', "{}:1: peer: this can only stand on the command line: --peer"),
            (
                "[send]\narguments = true",
                "{}:2: [send] arguments: this can only stand on the command line: --arguments",
            ),
        ],
    )
    def test_they_are_named_with_file_line_table_and_key(self, file, text, said):
        path = file(text)
        assert f"{refusal('--config', path, 'h', '1', 'f')};".startswith(said.format(path))

    def test_what_belongs_to_another_command_is_looked_at_all_the_same(self, file):
        path = file(f"{PEERS}no-halt = 3")
        said = refusal("--config", path, "--peer", "pacs1", command=ECHO)
        assert said == f"{path}:5: [peers.pacs1] no-halt: true or false is needed"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[sink]\nlatency = "abc"', "{}:2: [sink] latency: a number is needed"),
            ("[sink]\nmax-pdu = 1", "{}:2: [sink] max-pdu: 1 is out of range (4096..131072)"),
            ("[echo]\ncount = true", "{}:2: [echo] count: a whole number is needed"),
            (
                '[peers.a]\nassociations = "xx"',
                "{}:2: [peers.a] associations: 'xx' is neither an integer nor auto",
            ),
            ('[peers.a]\nhost = "h"\nport = 0', "{}:3: [peers.a] port: 0 is out of range (1..65535)"),
            ('[peers.a]\nhost = "\\u0000"', "{}:2: [peers.a] host: a text cannot hold a NUL character"),
            ("[peers.a]\nhost = 1", "{}:2: [peers.a] host: a text in quotes is needed"),
        ],
    )
    def test_values_are_looked_at_in_tables_that_are_not_used(self, file, text, said):
        path = file(text)
        assert refusal("--config", path, "h", "1", "f") == said.format(path)
        path = file(PEERS + text)
        elsewhere = refusal("--config", path, "--peer", "pacs1", "f")
        assert elsewhere.partition(": ")[2] == said.partition(": ")[2]

    def test_a_value_is_looked_at_even_where_it_has_no_say(self, file):
        path = file("max-pdu = 1")
        assert "max-pdu: 1 is out of range" in refusal("--config", path, "-pdu", "5000", "h", "1", "f")

    def test_what_is_no_toml_is_refused_with_its_line(self, file):
        path = file("a = 1\nb = = 2")
        said = refusal("--config", path, "h", "1", "f")
        assert said.startswith(f"{path}: the configuration file is not TOML: ")
        assert "line 2" in said

    def test_a_file_that_is_no_text_is_refused_in_words(self, tmp_path):
        path = tmp_path / "one.dcm"
        path.write_bytes(b"\xb8")
        said = refusal("--config", str(path), "h", "1", "f")
        assert said == f"{path}: the configuration file is not TOML: it is not UTF-8"

    @pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"])
    def test_only_the_end_of_a_line_ends_one(self, file, character):
        comment = f"# one{character}[send]{character}line"
        assert understood(SEND, "--config", file(f"{comment}\r\nmax-pdu = 5000"), "h", "1", "f")[MAX_PDU] == 5000
        path = file(f"{comment}\n{comment}\r\nmax-pdu = 1")
        assert refusal("--config", path, "h", "1", "f").startswith(f"{path}:3: max-pdu: 1 is out of range")

    def test_a_file_that_is_not_there(self):
        said = refusal("--config", "/nowhere", "h", "1", "f")
        assert said == "/nowhere: cannot read the configuration file: No such file or directory"

    def test_they_end_the_command_in_one_line(self, file, capsys):
        path = file("max-pud = 5000")
        assert main(["send", "--config", path, "h", "1", "f"]) == 1
        said = f"asyncstore send: {path}:1: max-pud: unknown key, did you mean max-pdu?; see asyncstore send --help\n"
        assert capsys.readouterr().err == said


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such permissions")
class TestSecrets:
    def test_a_secret_that_others_may_read_is_warned_of(self, file):
        path = file('user = "me"\npassword = "secret"')
        tokens = tokenize(SEND, ["--config", path, "h", "1", "f"])
        assert not configured(SEND, WITH_CONFIG, tokens, {}).warnings
        Path(path).chmod(0o640)
        [warning] = configured(SEND, WITH_CONFIG, tokens, {}).warnings
        assert warning == f"{path} holds a secret (password), and others may read it: chmod 600 {path}"

    def test_a_secret_in_a_table_of_options_with_one_beginning_is_warned_of_too(self, file):
        path = file('[peers.pacs.use]\npasswd = "secret"')
        Path(path).chmod(0o640)
        [warning] = configured(SEND, WITH_CONFIG, tokenize(SEND, ["--config", path, "h", "1", "f"]), {}).warnings
        assert warning.startswith(f"{path} holds a secret (use-passwd)")

    def test_a_file_without_one_may_be_read_by_all(self, file):
        path = file('user = "me"')
        Path(path).chmod(0o644)
        assert not configured(SEND, WITH_CONFIG, tokenize(SEND, ["--config", path, "h", "1", "f"]), {}).warnings


def test_a_home_without_being_asked_changes_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "asyncstore").mkdir()
    (tmp_path / "asyncstore/config.toml").write_text("this is not TOML")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["send", "h", "0", "f"]) == 1
    assert " port: 0 is out of range" in capsys.readouterr().err


def test_a_table_within_that_of_a_peer_holds_options_that_begin_with_its_name(file):
    path = file(f'{PEERS}[peers.pacs1.retry]\nstatuses = ["0110", "C000-C0FF"]\n')
    parsed = understood(SEND, "--config", path, "--peer", "pacs1", "f")
    assert parsed[RETRY_STATUSES] == (range(0x0110, 0x0111), range(0xC000, 0xC100))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[peers.pacs1.retry]\nstatus = '0110'\n", "[peers.pacs1.retry] status: unknown key"),
        ("[peers.pacs1.retry]\nstatuses = '0110-'\n", "[peers.pacs1.retry] statuses: '0110-' is neither a status"),
        ("[peers.pacs1.again]\nstatuses = '0110'\n", "[peers.pacs1.again] statuses: unknown key"),
    ],
)
def test_mistakes_in_a_table_within_a_table_are_named_with_their_place(file, text, complaint):
    path = file(PEERS + text)
    said = refusal("--config", path, "--peer", "pacs1", "f")
    assert said.startswith(f"{path}:6: {complaint}")
