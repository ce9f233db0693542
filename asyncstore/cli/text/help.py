"""The texts of ``--help`` and ``--version``, made from the tables.

Rules: it imports little, and only from the standard library, because people wait for this text. Colours are escape
sequences, on terminals only. No line is longer than the terminal, or too long to read.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from asyncstore import __version__
from asyncstore.cli.text.page import broken
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.cli.options.table import Command, Option

SUMMARY = "send whole DICOM archives with C-STORE, as fast as the peer can take them, losing nothing"

_TEXT_COLUMN = 30
"""The column where the texts of options begin, if their names leave room."""
_INDENT = "  "
_OPTIONS = [("-h  --help", "show this help and exit"), ("    --version", "show versions and exit")]
"""The options that may stand in place of a command."""
_LIBRARIES = ("pydicom", "pynetdicom", "apsw", "anyio", "uvloop", "rich")


class Style(NamedTuple):
    """The escape sequences for the parts of a help text, or nothing."""

    heading: str = ""
    title: str = ""
    name: str = ""
    value: str = ""
    end: str = ""

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """The style that this stream can show (https://no-color.org is respected)."""
        if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return cls()
        return cls(heading="\x1b[1m", title="\x1b[2m", name="\x1b[36m", value="\x1b[33m", end="\x1b[0m")


def program_help(commands: Iterable[Command], style: Style, width: int) -> str:
    """The text of ``asyncstore --help``."""
    lines = [f"{style.heading}asyncstore{style.end} {__version__}", *broken(SUMMARY, width), ""]
    lines += [f"{style.heading}usage{style.end}: asyncstore COMMAND [options] ...", ""]
    tables = {"commands": [(command.name, command.summary) for command in commands], "options": _OPTIONS}
    column = max(len(name) for rows in tables.values() for name, _ in rows)
    for heading, rows in tables.items():
        lines.append(f"{style.heading}{heading}{style.end}")
        for name, text in rows:
            lines += _two_columns(f"{style.name}{name}{style.end}", len(name), text, column, width)
        lines.append("")
    lines += broken("asyncstore COMMAND --help says more about a command. To begin with: asyncstore demo", width)
    return "\n".join(lines)


def command_help(command: Command, style: Style, width: int) -> str:
    """The text of ``asyncstore COMMAND --help``."""
    first, *more = broken(f"{command.program}: {command.summary}", width)
    lines = [f"{style.heading}{first[: len(command.program)]}{style.end}{first[len(command.program) :]}", *more, ""]
    lines.append(f"{style.heading}usage{style.end}: {command.usage}")
    if command.parameters:
        lines += ["", f"{style.heading}parameters{style.end}"]
    for parameter in command.parameters:
        shown = f"{style.value}{parameter.name}{style.end}"
        lines += _two_columns(shown, len(parameter.name), parameter.help, _TEXT_COLUMN, width)
    section = ""
    for group in command.groups:
        if group.section != section:
            section = group.section
            lines += ["", f"{style.heading}{section}{style.end}"]
        if group.title is not None:
            lines += [f"{_INDENT}{style.title}{line}{style.end}" for line in broken(f"{group.title}:", width - 2)]
        for row in group.options:
            lines += _option_lines(row, style, width)
    for note in command.notes:
        lines += ["", *broken(note, width)]
    if command.examples:
        lines += ["", f"{style.heading}examples{style.end}"]
    for example in command.examples:  # not broken, so that they can be copied
        lines += [f"{_INDENT}{style.title}# {example.purpose}{style.end}", f"{_INDENT}{example.words}"]
    return "\n".join(lines)


def _option_lines(row: Option[object], style: Style, width: int) -> Iterator[str]:
    """The lines of one option: names, values, text, default."""
    short = (row.short or "").ljust(5)
    values = "".join(f" {name}" for name in row.kind.names)
    shown = f"{style.name}{short} {row.long}{style.end}{style.value}{values}{style.end}"
    return _two_columns(shown, len(f"{short} {row.long}{values}"), row.meaning, _TEXT_COLUMN, width)


def _two_columns(left: str, length: int, text: str, column: int, width: int) -> Iterator[str]:
    """A name and its text. The text stands below a name that is too long.

    Args:
        left: the name, with its escape sequences.
        length: its length without them.
        text: the text.
        column: the width of the column of names.
        width: the width of the page.
    """
    lines = broken(text, width - column - 2 * len(_INDENT))
    blank = " " * (column + 2 * len(_INDENT))
    if length > column:
        yield _INDENT + left
    else:
        yield _INDENT + left + " " * (column - length) + _INDENT + lines.pop(0)
    for line in lines:
        yield blank + line


def version_text(libraries: Sequence[str] = _LIBRARIES) -> str:
    """The versions that a bug report should name."""
    from importlib import metadata  # few ask for it, and it takes time

    lines = [f"asyncstore {__version__}", f"Python {sys.version.split()[0]} on {sys.platform}"]
    for library in libraries:
        try:
            lines.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{library} is not installed")
    return "\n".join(lines)
