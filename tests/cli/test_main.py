"""Where a command line begins and ends: help, versions, messages, exit codes, streams. The engine is not needed."""

from __future__ import annotations

import errno
import os
import shlex
import ssl
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import version

import pytest

from asyncstore import __main__, __version__
from asyncstore.cli.exits import EXIT_INTERRUPTED
from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import COMMANDS, SEND
from asyncstore.cli.options.configuration import configured
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.cli.options.kinds import Secret
from asyncstore.cli.options.rows import PASSWORD
from asyncstore.cli.text.help import Style, command_help, program_help, version_text
from support.commands import needs_a_full_device
from support.rows import rows

MANUAL = [
    "input file format",
    "input files",
    "application entity titles",
    "association negotiation profile from a configuration file",
    "proposed transmission transfer syntaxes",
    "post-1993 value representations",
    "deflate compression level",
    "user identity negotiation",
    "other network options",
    "transport protocol stack",
    "private key password",
    "key and certificate file format",
    "certification authority",
    "security profile",
    "random number generator",
    "peer authentication",
]
"""Headings of storescu's manual, in its order."""
HEAVY = (
    "pydicom",
    "pynetdicom",
    "rich",
    "anyio",
    "asyncio",
    "uvloop",
    "numpy",
    "dataclasses",
    "pathlib",
    "importlib.metadata",
)


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "asyncstore", *words], capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_help_lists_the_commands(words, capsys):
    assert main(words) == 0
    printed = capsys.readouterr().out
    for command in COMMANDS.values():
        assert command.summary in " ".join(printed.split())


def test_without_words_the_help_goes_to_standard_error(capsys):
    assert main([]) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert "usage: asyncstore COMMAND" in printed.err


def test_a_command_without_words_shows_its_help(capsys):
    assert main(["send"]) == 1
    assert "usage: asyncstore send [options] [--] peer port file-or-directory..." in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_help(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    printed = capsys.readouterr().out
    for row in COMMANDS[name].options():
        for word in (row.short or "", row.long, *row.kind.names):
            assert word in printed


def test_the_options_of_send_include_every_secret():
    """Only these are removed from the environment before child processes inherit it."""
    secrets = {
        row.variable for command in COMMANDS.values() for row in command.options() if isinstance(row.kind, Secret)
    }
    assert secrets == {row.variable for row in SEND.options() if isinstance(row.kind, Secret)}


def test_the_options_of_a_measurement_are_made_only_for_one():
    loaded = "import sys, asyncstore.cli.main; print('asyncstore.cli.options.bench_rows' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "False\n"


@pytest.mark.parametrize("width", [70, 80, 110])
def test_no_line_of_the_help_is_too_long_but_what_is_to_be_copied(width):
    assert max(map(len, program_help(COMMANDS.values(), Style(), width).splitlines())) <= width
    for command in COMMANDS.values():
        lines = set(command_help(command, Style(), width).splitlines())
        copied = {f"  {example.words}" for example in command.examples}
        assert copied < lines
        assert max(map(len, lines - copied)) <= width


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (command, shlex.split(example.words.partition(" | ")[0].partition(" > ")[0])[1:])
        for command in COMMANDS.values()
        for example in command.examples
    ],
)
def test_the_examples_are_right(command, words, tmp_path):
    (tmp_path / "asyncstore").mkdir()
    (tmp_path / "asyncstore/config.toml").write_text('[peers.pacs1]\nhost = "pacs"\nport = 104\n')
    names = command.name.split()
    assert words[: len(names)] == names
    words = words[len(names) :]
    tokens = tokenize(command, words)
    layers = configured(command, COMMANDS.values(), tokens, {"XDG_CONFIG_HOME": str(tmp_path)}).layers
    assert check(command, tokens, {}, layers)


def test_the_groups_are_the_manuals():
    headings = [group.title.partition(" (")[0] for group in SEND.groups if group.title]
    assert [heading for heading in headings if heading in MANUAL] == MANUAL


def test_the_help_is_coloured_on_terminals_only(monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["--help"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["--help"]) == 0
    assert "\x1b[1m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["--help"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--version",), ("send", "--version"), ("sink", "--version")])
def test_version_names_everything_involved(words, capsys):
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"asyncstore {__version__}"
    assert {f"pydicom {version('pydicom')}", f"pynetdicom {version('pynetdicom')}"} <= set(printed)
    assert printed[-1] == " ".join(ssl.OPENSSL_VERSION.split()[:2])


def test_version_says_what_is_not_installed(monkeypatch, tmp_path):
    (tmp_path / "Here-1.2.3.dist-info").mkdir()
    (tmp_path / "Here-1.2.3.dist-info" / "METADATA").write_text("Version: 1.2.3\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/nowhere", *sys.path])
    assert version_text(("here", "gone")).splitlines()[-2:] == ["here 1.2.3", "gone is not installed"]


@pytest.mark.parametrize("words", [("--help",), ("send", "--help"), ("send", "--zz"), ("completion", "bash"), ("man",)])
def test_what_people_wait_for_imports_little(words):
    code = (
        "import sys; from asyncstore.cli.main import main; main(sys.argv[1:]); "
        f"sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code, *words], capture_output=True, text=True, check=False)
    heavy = set(done.stderr.splitlines()[-1].split()) & set(HEAVY) if done.stderr else set()
    assert not heavy


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sned",), "asyncstore: unknown command 'sned', did you mean send?; see asyncstore --help\n"),
        (("send", "--zz"), "asyncstore send: unknown option --zz; see asyncstore send --help\n"),
        (
            ("send", "--assoc", "4"),
            "asyncstore send: unknown option --assoc, did you mean --associations?; see asyncstore send --help\n",
        ),
        (("echo", "host"), "asyncstore echo: no port is given; usage: asyncstore echo [options] peer port\n"),
    ],
)
def test_bad_usage_is_one_line(words, said, capsys):
    assert main(words) == 1
    assert capsys.readouterr().err == said


def test_arguments_are_shown_as_storescu_does_and_before_values_are_checked(capsys):
    assert main(["send", "-aet", "A B", "--arguments", "-pdu", "1", "host"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert (
        said[0]
        == "I: calling 'asyncstore send' with 6 arguments: '--aetitle' 'A B' '--arguments' '--max-pdu' '1' 'host'"
    )
    assert said[1] == "I: "


def test_a_password_is_shown_to_nobody(capsys):
    assert main(["send", "--arguments", "-usr", "me", "-pwd", "geheim", "host"]) == 1
    said = capsys.readouterr().err
    assert "'--password' '***'" in said
    assert "geheim" not in said


_WORDS_FOR_PASSWORDS = ["-pwd", "+pw", "-pw", "--password", "--use-passwd", "--passwd", "--pass", "-PWD", "-epw"]


@pytest.mark.parametrize("command", ["send", "echo", "scan", "sink", "demo", "man"])
def test_a_password_that_is_joined_to_a_word_is_not_shown(command, capsys):
    forms = ["{}=geheim", "{}=ge=heim", "{}:geheim", "{}geheim", "{} geheim", "-p=geheim{}"]
    with rows() as row:
        for word in [form.format(name) for form in forms for name in (*_WORDS_FOR_PASSWORDS, "--ask-password")]:
            with row(word):
                assert main([command, word, "--arguments"]) == 1
                said = capsys.readouterr().err
                assert "unknown option" in said
                assert "***" in said
                assert "heim" not in said


def test_nor_is_one_that_stands_in_place_of_a_command(capsys):
    assert main(["--password=geheim", "send"]) == 1
    assert capsys.readouterr().err == "asyncstore: unknown command '--password=***'; see asyncstore --help\n"


def test_how_to_write_a_password_is_said(capsys):
    assert main(["send", "-pwd=geheim"]) == 1
    said = "unknown option -pwd=***: write the value as a word of its own (-pwd PASSWORD)"
    assert capsys.readouterr().err == f"asyncstore send: {said}; see asyncstore send --help\n"
    assert main(["send", "--pasword", "geheim"]) == 1
    said = "unknown option --pasword, did you mean --password?"
    assert capsys.readouterr().err == f"asyncstore send: {said}; see asyncstore send --help\n"


@pytest.mark.parametrize("name", ["EMPTY_PASSWORD", "ASK_PASSWORD", "NULL_PASSWD", "STD_PASSWD", "PASWORD"])
def test_a_password_in_another_variable_is_not_shown(name, monkeypatch, capsys):
    monkeypatch.setenv(f"ASYNCSTORE_{name}", "geheim")
    assert main(["send", "-usr", "me", "localhost", "1", "/nowhere"]) == 1
    said = capsys.readouterr().err
    assert name in said
    assert "geheim" not in said


@pytest.mark.parametrize(
    "text", ['password = ["geheim"]', "password = geheim", "pasword = 'geheim'", "password = 'geheim"]
)
def test_a_password_in_a_wrong_configuration_is_not_shown(text, tmp_path, capsys):
    (tmp_path / "a.toml").write_text(text)
    assert main(["echo", "-usr", "me", "--config", str(tmp_path / "a.toml"), "localhost", "1"]) == 1
    said = capsys.readouterr().err
    assert "a.toml" in said
    assert "geheim" not in said


def test_what_is_given_does_not_show_a_password_in_its_text():
    tokens = tokenize(SEND, ["-usr", "me", "-pwd", "geheim", "h", "1", "f"])
    assert "geheim" not in repr(tokens)
    assert "Given(-pwd/--password ***)" in repr(tokens)


def test_processes_that_are_started_inherit_no_secret(monkeypatch, capfd):
    """The demo's sink and the workers are such processes."""
    secrets = {row.variable for each in COMMANDS.values() for row in each.options() if isinstance(row.kind, Secret)}
    assert secrets == {"ASYNCSTORE_PASSWORD", "ASYNCSTORE_USE_PASSWD", "ASYNCSTORE_SET"}
    for name in secrets:
        monkeypatch.setenv(name, "geheim")
    monkeypatch.setattr("asyncstore.cli.commands.man.page", lambda: [str(subprocess.call(["env"]))])
    assert main(["man"]) == 0
    printed = capfd.readouterr().out
    assert "PATH=" in printed
    assert "geheim" not in printed


def test_a_password_from_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("ASYNCSTORE_PASSWORD", "geheim")
    found = []
    monkeypatch.setattr("asyncstore.cli.commands.echo.run", lambda parsed: found.append(parsed[PASSWORD]) or 0)
    assert main(["echo", "-usr", "me", "localhost", "1"]) == 0
    assert found == ["geheim"]


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (MemoryError(), "memory is short; use fewer --associations"),
        (ExceptionGroup("of tasks", [ValueError(), ExceptionGroup("more", [MemoryError()])]), "memory is short"),
        (OSError(errno.EMFILE, "", "module.py"), "too many open files; ulimit -n sets"),
        (ExceptionGroup("of tasks", [ValueError()]), None),
        (FileNotFoundError(errno.ENOENT, "", "module.py"), None),
    ],
)
def test_what_is_wrong_with_the_surroundings_is_one_line_and_defects_stay_tracebacks(
    monkeypatch, capsys, error, complaint
):
    def fails(_):
        raise error

    monkeypatch.setattr("asyncstore.cli.commands.echo.run", fails)
    with nullcontext() if complaint else pytest.raises(type(error)):
        assert main(["echo", "127.0.0.1", "104"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == (complaint is not None)
    assert complaint is None or f"asyncstore: {complaint}" in told


def test_arguments_are_shown_safely(capsys):
    assert main(["send", "--arguments", "\x1b[31m", "1", "a\nI: forged", "--", "\udcff"]) == 1
    said = capsys.readouterr().err.splitlines()
    shown = r"'--arguments' '\x1b[31m' '1' 'a\nI: forged' '--' '\xff'"
    assert said[0] == f"I: calling 'asyncstore send' with 6 arguments: {shown}"


@pytest.mark.slow
def test_help_goes_to_a_closed_stream_quietly():
    for closed in ("1", "2", "0"):
        code = f'exec {closed}>&-; exec "$0" -m asyncstore --help'
        done = subprocess.run(["sh", "-c", code, sys.executable], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "Traceback" not in done.stdout + done.stderr


def test_a_reader_that_went_away_ends_it_quietly():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "asyncstore", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 141
    assert not done.stderr


@pytest.mark.slow
@needs_a_full_device
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "program"),
    [
        (("--version",), "asyncstore"),
        (("send", "--help"), "asyncstore"),
        (("scan", __file__), "asyncstore scan"),
        (("scan", "--json", "-", __file__), "asyncstore scan"),
        (("send", "--dry-run", "host", "104", __file__), "asyncstore send"),
        (("man",), "asyncstore man"),
        (("completion", "bash"), "asyncstore completion"),
    ],
    ids=lambda value: " ".join(word for word in value if word != __file__) if isinstance(value, tuple) else "",
)
def test_standard_output_that_cannot_be_written_is_said_in_one_line(words, program, unbuffered):
    with open("/dev/full", "wb") as full:  # a device
        done = subprocess.run(
            [sys.executable, "-m", "asyncstore", *words], env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == f"{program}: standard output: cannot write to it: No space left on device\n"
    assert done.returncode == 1


def test_an_error_that_is_not_standard_outputs_is_not_called_so(monkeypatch, capsys):
    def broken(_page):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("asyncstore.cli.commands.man._text", broken)
    with pytest.raises(OSError, match="No space left"):
        main(["man"])
    assert not capsys.readouterr().err


def test_words_that_no_terminal_can_show_are_shown_safely():
    done = run("send", "--\udcff\n\x1b[31m")
    assert done.returncode == 1
    assert done.stderr == "asyncstore send: unknown option --\\xff\\n\\x1b[31m; see asyncstore send --help\n"


def test_a_variable_that_no_option_reads_is_warned_of(monkeypatch, capsys):
    monkeypatch.setenv("ASYNCSTORE_NO_HALTT", "1")
    monkeypatch.setenv("ASYNCSTORE_PEER", "p")
    monkeypatch.setenv("ASYNCSTORE_EMPTY", "")
    monkeypatch.setenv("ASYNCSTORE_LATENCY", "0.1")  # the sink's
    assert main(["send", "h", "1", "/nowhere"]) == 1
    first, second, *_ = sorted(line for line in capsys.readouterr().err.splitlines() if line.startswith("W: "))
    assert first == "W: ASYNCSTORE_NO_HALTT: no option reads this variable, did you mean ASYNCSTORE_NO_HALT?"
    assert second == "W: ASYNCSTORE_PEER: --peer can only stand on the command line"
    assert main(["send", "-q", "h", "1", "/nowhere"]) == 1
    assert not capsys.readouterr().err


@pytest.mark.parametrize("word", ["1", "true", "YES", "on", "0", "false", "No", "off"])
def test_the_words_of_a_flag_in_the_environment_are_those_that_the_help_names(word):
    row = next(row for row in SEND.options() if row.long == "--no-halt")
    tokens = tokenize(SEND, ["h", "1", "f"])
    assert check(SEND, tokens, {row.variable: word})[row] is (word.lower() in {"1", "true", "yes", "on"})
    assert word.lower() in " ".join(SEND.notes)


def test_help_may_be_asked_for_with_a_word_as_well(capsys):
    assert main(["help", "scan"]) == 0
    said = capsys.readouterr().out
    assert main(["scan", "--help"]) == 0
    assert said == capsys.readouterr().out
    assert main(["help", "nothing"]) == 0
    assert capsys.readouterr().out.startswith("asyncstore")


def test_ctrl_c_amid_the_imports_ends_quietly(monkeypatch):
    """Python 3.11 wraps it where a class is being made."""

    def interrupted():
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    for name in ("set_threshold", "freeze"):
        monkeypatch.setattr(f"gc.{name}", lambda *_: None)
    monkeypatch.setattr("asyncstore.cli.main.main", interrupted)
    assert __main__.run() == EXIT_INTERRUPTED
