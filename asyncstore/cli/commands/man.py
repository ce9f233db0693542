"""``asyncstore man``: the manual page of all commands as roff, with the macros of man(7), made from the tables.

Groups of options and notes that several commands share are described with the first of these commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli import exits
from asyncstore.cli.logging.log4cplus import loggers_of
from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.help import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from asyncstore.cli.options.table import Command, Group, Option, Parsed

_ENVIRONMENT = (
    (
        "ASYNCSTORE_<LONG_NAME>",
        "any option, such as ASYNCSTORE_MAX_PDU=32768 (see the notes of send); several words as in a shell",
    ),
    ("ASYNCSTORE_CONFIG", "the configuration file, as --config gives it"),
    ("XDG_CONFIG_HOME", "where the default configuration file lies, in place of ~/.config"),
    ("NO_COLOR", "if set, nothing is coloured"),
)
_CONFIGURATION = """\
# for every command that has the option
timeout = 10

# for one command
[send]
no-halt = true
associations = 8

# for --peer pacs1
[peers.pacs1]
host = "pacs.example.org"
port = 11112
call = "PACS"
enable-tls = ["key.pem", "cert.pem"]
add-cert-file = ["ca.pem"]"""
_CONFIGURED = (
    "A configuration file is TOML. Keys are the long names of options without the hyphens: flags take true or false, "
    "options with two values an array of two, options that may be given again an array, all others one value: numbers "
    "as numbers, texts in quotes. The command line wins, then the environment, the peer's table, the command's table, "
    "the top level."
)
_LOGGING = (
    "The file of --log-config holds log4cplus properties, as for DCMTK's programs. A file that ends in .toml or .json "
    "holds the dictionary of Python's logging.config.dictConfig. It cannot run code: it may not hold (), cfg:// or "
    "ext://, except ext://sys.stdout and ext://sys.stderr, and of classes only Python's StreamHandler, NullHandler, "
    "FileHandler, WatchedFileHandler, RotatingFileHandler, TimedRotatingFileHandler, SysLogHandler and Formatter. "
    "Loggers are ours, such as asyncstore.network, or DCMTK's, which stand for ours as listed below. Loggers of its "
    "other programs and modules are ignored. There are ConsoleAppender, FileAppender, RollingFileAppender, "
    "DailyRollingFileAppender and NullAppender, with SimpleLayout or PatternLayout. ${appname} is storescu "
    "for send, echoscu for echo (whose logger is dcmtk.apps.echoscu), and asyncstore for other commands. Warnings of "
    "libraries may quote a data set: they are logged only if the level of the root logger is TRACE, or if the file "
    "names their loggers."
)


def run(parsed: Parsed) -> int:  # noqa: ARG001 - what every command takes
    """Run the command and return its exit code."""
    put(*page())
    return exits.EXIT_OK


def page() -> Iterator[str]:
    """The lines of the page."""
    yield f'.TH ASYNCSTORE 1 "" "asyncstore {__version__}"'
    yield from (".nr HY 0", ".nh", ".ad l")  # roff must not hyphenate words that are to be copied
    yield from (".SH NAME", f"asyncstore \\- {_text(SUMMARY)}", ".SH SYNOPSIS")
    for command in COMMANDS.values():
        yield from (".B " + _text(command.program), _text(command.usage.removeprefix(command.program)), ".br")
    yield ".SH DESCRIPTION"
    yield _text(
        "asyncstore sends DICOM files to a storage SCP with C-STORE, over several associations at once. Its command "
        "send takes the command lines of DCMTK's storescu."
    )
    described: list[Group | str] = []
    for command in COMMANDS.values():
        yield from _command(command, described)
        described += (*command.groups, *command.notes)
    yield ".SH CONFIGURATION FILES"
    yield from (_text(_CONFIGURED), ".PP", ".EX", *map(_text, _CONFIGURATION.split("\n")), ".EE")
    yield from (".SH LOG CONFIGURATION", _text(_LOGGING))
    for theirs, ours in loggers_of("storescu").items():
        yield from _tagged(f"\\fB{_text(theirs)}\\fP", ", ".join(ours))
    yield ".SH EXIT STATUS"
    for code, meaning in exits.MEANINGS.items():
        yield from _tagged(f"\\fB{code}\\fP", meaning)
    yield ".SH ENVIRONMENT"
    for name, meaning in _ENVIRONMENT:
        yield from _tagged(f"\\fB{_text(name)}\\fP", meaning)
    yield ".SH FILES"
    meaning = "where --peer looks for peers if no configuration file is named; only its peers are read then"
    yield from _tagged(f"\\fI{_text('~/.config/asyncstore/config.toml')}\\fP", meaning)
    yield ".SH EXAMPLES"
    for purpose, words in (example for command in COMMANDS.values() for example in command.examples):
        yield from (".PP", ".EX", _text(f"# {purpose}"), _text(words), ".EE")
    yield from (".SH SEE ALSO", ".BR storescu (1),", ".BR echoscu (1)")


def _command(command: Command, described: Collection[Group | str]) -> Iterator[str]:
    """A command's section.

    Args:
        command: the command.
        described: the groups and notes that were described before.
    """
    yield f".SH {_text(command.program.upper())}"
    yield _text(f"{command.usage}: {command.summary}.")
    for parameter in command.parameters:
        yield from _tagged(f"\\fI{_text(parameter.name)}\\fP", parameter.help)
    section = ""
    for group in command.groups:
        if group.section != section:
            section = group.section
            yield f".SS {_text(section)}"
        if group.title is not None:
            yield from (".PP", _text(f"{group.title}:"))
        if group in described:
            names = " ".join(row.short or row.long for row in group.options)
            yield from (".PP", _text(f"{names}: as above"))
            continue
        for row in group.options:
            yield from _tagged(_names(row), row.meaning)
    notes = [note for note in command.notes if note not in described]
    if notes:
        yield ".SS notes"
    for note in notes:
        yield from (".PP", _text(note))


def _names(row: Option[object]) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fP" for name in (row.short, row.long) if name is not None)
    return "".join([names, *(f" \\fI{_text(name)}\\fP" for name in row.kind.names)])


def _tagged(tag: str, text: str) -> Iterator[str]:
    yield from (".TP", tag, _text(text))


def _text(text: str) -> str:
    """Escape a text for roff: hyphens can be copied, and no line looks like a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    escaped = escaped.replace("'", "\\(aq").strip(" ")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
