"""Completion: what the shells themselves offer for a line, and what the program answers them."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from asyncstore.cli.commands.complete import Offer, offer_of, offered
from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import COMMANDS, SEND
from asyncstore.cli.options.kinds import Text
from support.peers.programs import find_program

SHELLS = ("bash", "zsh", "fish")
PROPOSED = {row.short for row in SEND.options() if row.long.startswith("--propose-") and row.short}

OFFERED = [
    ("asyncstore s", {"send", "scan", "sink"}),
    ("asyncstore send +s", {"+sd", "+sp"}),
    ("asyncstore send --log-", {"--log-level", "--log-config"}),
    ("asyncstore send -x", PROPOSED | {"-xf"}),
    ("asyncstore send -ll ", {"fatal", "error", "warn", "info", "debug", "trace"}),
    ("asyncstore send -aet -ll ", {"localhost"}),
    ("asyncstore send -ll i", {"info"}),
    ("asyncstore send +tls a.key b", {"b.cert"}),
    ("asyncstore send --associations ", {"auto"}),
    ("asyncstore send -v localhost 104 a", {"a.key"}),
    ("asyncstore send localhost 104 b.cert a", {"a.key"}),
    ("asyncstore send -x= localhost 104 a", {"a.key"}),
    ("asyncstore send --peer ", {"pacs1", "pax2"}),
    ("asyncstore send --peer pacs1 a", {"a.key"}),
    ("asyncstore send --config o.toml --peer ", {"other"}),
    ("asyncstore send --files-from l ", {"localhost"}),
    ("asyncstore nothing ", set()),
    ("asyncstore scan a", {"a.key"}),
    ("asyncstore scan -- a", {"a.key"}),
    ("asyncstore send -- localhost 104 a", {"a.key"}),
    ("asyncstore send -- -ll localhost a", {"a.key"}),
    ("asyncstore send -- localhost 104 -", set()),
    ("asyncstore send -aet -- -ll i", {"info"}),
    ("asyncstore sink --status o", {"out-of-resources"}),
    ("asyncstore completion ", {"bash", "zsh", "fish"}),
    ("asyncstore ctl a", {"a.key"}),
    ("asyncstore ctl a.key re", {"resume", "retry-failed"}),
    ("asyncstore ctl --json a.key pa", {"pause"}),
]
"""Lines, and what is offered for their last word."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two files, a directory, the scripts, and a configuration file with two peers."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.key", "b.cert"):
        (tmp_path / name).touch()
    config = tmp_path / "config/asyncstore"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('timeout = 5\n[peers.pacs1]\nhost = "h"\n[peers.pax2]\n')
    (tmp_path / "o.toml").write_text("[peers.other]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.delenv("ASYNCSTORE_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def script(folder, capsys):
    """Writes the script of a shell; its path."""

    def write(shell):
        assert main(["completion", shell]) == 0
        path = folder / f"script.{shell}"
        path.write_text(capsys.readouterr().out)
        return path

    return write


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.peers
@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_are_sound(script, shell):
    done = run(find_program(shell, shell), "-n", script(shell))
    assert (done.returncode, done.stderr) == (0, "")


def parted(line):
    """The words as readline parts them, which breaks them at = too."""
    words = []
    for word in line.split(" "):
        words += [part for part in word.replace("=", " = ").split(" ") if part] or [""]
    return words


def in_bash(script, lines):
    """What bash offers for each line."""
    asked = [f"source {script}"]
    for line in lines:
        words = parted(line)
        asked += [
            f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_CWORD={len(words) - 1} COMPREPLY=()",
            f"COMP_WORDS=({shlex.join(words)})",
            "_asyncstore; (IFS=$'\\t'; echo \"${COMPREPLY[*]}\")",
        ]
    done = run(find_program("bash", "bash"), "--norc", "-c", "\n".join(asked))
    assert done.stderr == ""
    return [set(line.split("\t")) - {""} for line in done.stdout.split("\n")[:-1]]


def in_fish(script, lines):
    """What fish offers for each line."""
    asked = [f"source {script}", *(f"complete -C {shlex.quote(line)}; echo ==" for line in lines)]
    done = run(find_program("fish", "fish"), "--no-config", "-c", "\n".join(asked))
    assert done.stderr == ""
    offers = done.stdout.split("==\n")[:-1]
    return [{offer.partition("\t")[0] for offer in offered.splitlines()} for offered in offers]


@pytest.mark.peers
@pytest.mark.parametrize(("shell", "ask"), [("bash", in_bash), ("fish", in_fish)])
def test_what_is_offered(script, shell, ask):
    lines = [line for line, _ in OFFERED]
    for (line, expected), found in zip(OFFERED, ask(script(shell), lines), strict=True):
        if expected == {"localhost"}:  # other hosts may be known, too
            assert found >= expected or shell == "fish", line
        else:
            assert found == expected, line


HOSTILE = (
    "p$(touch pwned)",
    "p`touch pwned`",
    "p;touch pwned",
    "p&touch pwned",
    "p|touch pwned",
    "p a b",
    "p*",
    "p{a,b}",
    "p'q",
    'p"q',
    'p"$(touch pwned)"',
    "p$HOME",
    "p~!#<>()[]?",
    "p\\x\\",
    "p:b=c",
    "-p",
)
"""Names of peers that a shell must take as they are."""
LEFT_OUT = ("p\x1b[31m", "p\ntouch pwned", "p\tx", "p\r")
"""Names that cannot be printed."""
START = {
    "bash": 'source {}; asyncstore() {{ printf "GOT<%s>\\n" "${{@: -1}}"; }}',
    "zsh": 'autoload -Uz compinit; compinit -u -D; source {}; asyncstore() {{ printf "GOT<%s>\\n" "${{@[-1]}}"; }}',
}
"""What a shell is told before words are typed: there it is a function that says what its last word is."""
OPTIONS = {"bash": ("--norc", "--noprofile", "-i"), "zsh": ("-f", "-i")}


def as_toml(name):
    """A name as it may stand in a table's header: between single quotes where that is enough."""
    return json.dumps(name) if set(name) & set("'\\") or not name.isprintable() else f"'{name}'"


@pytest.mark.peers
@pytest.mark.parametrize(("shell", "ask"), [("bash", in_bash), ("fish", in_fish)])
def test_names_of_peers_are_offered_as_they_are(script, folder, shell, ask):
    names = [*HOSTILE, *LEFT_OUT, "pacs1", "a.b"]
    tables = "".join(f"[peers.{as_toml(name)}]\n" for name in names)
    assert set(tomllib.loads(tables)["peers"]) == set(names)
    (folder / "config/asyncstore/config.toml").write_text(f'{tables}[peers."it\'s"]\n')
    path = script(shell)
    [found] = ask(path, ["asyncstore send --peer "])
    if shell == "bash":
        found = {shlex.split(word)[0] for word in found}
    assert found == {*HOSTILE, "pacs1", "a.b", "it's"}
    assert not (folder / "pwned").exists()


@pytest.mark.peers
def test_fish_completes_names_to_words_that_mean_themselves(script, folder):
    (folder / "z$(touch pwned);`touch pwned`").touch()
    asked = [f"source {script('fish')}", "function asyncstore; printf 'GOT<%s>\\n' $argv[-1]; end"]
    for number, name in enumerate(HOSTILE):
        (folder / f"{number}.toml").write_text(f"[peers.{as_toml(name)}]\n")
        asked.append(f"set -gx ASYNCSTORE_CONFIG {number}.toml")
        asked.append('eval "asyncstore send --peer "(complete --escape -C "asyncstore send --peer ")')
    asked.append('eval "asyncstore scan "(complete --escape -C "asyncstore scan z")')
    asked += ["set -gx ASYNCSTORE_CONFIG /dev/zero", 'complete -C "asyncstore send --peer "']
    done = run(find_program("fish", "fish"), "--no-config", "-c", "\n".join(asked))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"GOT<{name}>" for name in (*HOSTILE, "z$(touch pwned);`touch pwned`")]
    assert not (folder / "pwned").exists()


class TestOnTerminals:
    """zsh completes there only; bash treats words there that it parts, as at the = of -x=, in a way of its own."""

    def got(self, shell, folder, script, keys, expected):
        words = [find_program(shell, shell), *OPTIONS[shell]]
        seen = self.type_in(
            words, START[shell].format(script(shell)), folder, keys, [f"GOT<{one}>" for one in expected]
        )
        assert [one for one in expected if f"GOT<{one}>" not in seen] == []
        assert not (folder / "pwned").exists()

    @pytest.mark.peers
    @pytest.mark.parametrize("shell", START)
    def test_a_peers_name_is_completed_to_a_word_that_means_itself(self, folder, script, shell):
        keys = ""
        for number, name in enumerate(HOSTILE):
            (folder / f"{number}.toml").write_text(f"[peers.{as_toml(name)}]\n")
            keys += f"export ASYNCSTORE_CONFIG={number}.toml\nasyncstore send --peer {name[0]}\t\n"
        self.got(shell, folder, script, keys, HOSTILE)

    @pytest.mark.peers
    @pytest.mark.parametrize("shell", START)
    def test_so_is_a_files(self, folder, script, shell):
        name = "z$(touch pwned);`touch pwned`"
        (folder / name).touch()
        self.got(shell, folder, script, "asyncstore scan z\t\n", [name])

    @pytest.mark.peers
    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
    @pytest.mark.parametrize("shell", START)
    def test_an_endless_configuration_keeps_nobody_waiting(self, folder, script, shell, monkeypatch):
        monkeypatch.setenv("ASYNCSTORE_CONFIG", "/dev/zero")
        self.got(shell, folder, script, "asyncstore send --peer pacs\t\n", ["pacs"])

    def type_in(self, words, start, folder, keys, expected):
        terminal, inner = pty.openpty()
        shell = subprocess.Popen(
            words,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=folder,
            env={**os.environ, "TERM": "dumb", "PS1": "> "},
            start_new_session=True,
        )
        try:
            os.write(terminal, f"{start}; echo RE''ADY\n".encode())
            seen = read_until(terminal, "READY")
            os.write(terminal, keys.encode())
            return seen + read_until(terminal, *expected)
        finally:
            shell.kill()
            shell.wait()
            os.close(inner)
            os.close(terminal)

    @pytest.mark.peers
    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            ("asyncstore send +s\t\t", ("+sd  -- scan directories", "+sp  -- take those files")),
            ("asyncstore send --peer \t\t", ("pacs1", "pax2")),
            ("asyncstore send -x= localhost 104 a.\t", ("104 a.key",)),
            ("asyncstore sink --status out\t", ("out-of-resources",)),
        ],
    )
    def test_zsh(self, folder, script, keys, expected):
        start = f"autoload -Uz compinit; compinit -u -D; source {script('zsh')}"
        seen = self.type_in([find_program("zsh", "zsh"), "-f", "-i"], start, folder, keys, expected)
        for words in expected:
            assert words in seen

    @pytest.mark.peers
    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            ("asyncstore send -x=\tlocal\t104 a\t", "asyncstore send -x= localhost 104 a.key"),
            ("asyncstore send -R\t--peer pac\tb\t", "asyncstore send -R --peer pacs1 b.cert"),
        ],
    )
    def test_bash(self, folder, script, keys, expected):
        shell = [find_program("bash", "bash"), "--norc", "--noprofile", "-i"]
        assert expected in self.type_in(shell, f"source {script('bash')}", folder, keys, (expected,))


def read_until(terminal, *words):
    """What a terminal shows until all these words are there, or it takes too long."""
    seen = ""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(word in seen for word in words):
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


class TestAnswers:
    @pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
    def test_every_name_of_every_option_is_offered(self, command):
        assert offered(["asyncstore", *command.name.split(), "-"], {}).words.keys() == command.by_name().keys()

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("FILE", "file"), ("FILE.toml", "file"), ("KEY", "file"), ("DIRECTORY", "directory"), ("NAME", "words")],
    )
    def test_names_of_values_tell_what_they_are(self, name, kind):
        assert offer_of(Text(name), name) == Offer(kind)

    def test_a_named_peer_stands_for_two_parameters(self):
        assert offered(["asyncstore", "send", "--peer", "p", ""], {}) == Offer("file")

    @pytest.mark.parametrize("content", ["[peers", "peers = 5", "[peers]\nx = 1\n[[", "\0"])
    def test_a_configuration_that_is_no_toml_offers_nothing(self, tmp_path, content):
        (tmp_path / "c.toml").write_text(content)
        environment = {"ASYNCSTORE_CONFIG": str(tmp_path / "c.toml")}
        assert offered(["asyncstore", "send", "--peer", ""], environment) == Offer()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
    def test_a_fifo_is_not_read(self, tmp_path):
        os.mkfifo(tmp_path / "c.toml")
        assert offered(["asyncstore", "send", "--config", str(tmp_path / "c.toml"), "--peer", ""], {}) == Offer()

    @pytest.mark.parametrize(
        "words",
        [[], ["bash"], ["bash", ""], ["bash", "asyncstore"], ["zsh"], ["zsh", "asyncstore"], ["fish", "x", "y", "z"]],
    )
    def test_it_answers_any_words_quietly(self, words, capsys):
        assert main(["__complete", *words]) == 0
        said = capsys.readouterr()
        assert (said.out.split()[0], said.err) == ("words", "")
