"""``asyncstore completion``: scripts that complete asyncstore's words in bash, zsh and fish.

Rules:

1. A script holds all data that it needs, made from the tables: no Python is started while a user waits.
2. All three walk over the words of the line as the tokenizer does: an option takes as many words as its row says, even
   words with a sign. So they know whether the word under the cursor is a command, an option, a value or a parameter.
3. The names of values say what can be offered (:func:`hint_of`): files, directories, hosts, peers of the configuration
   file, or a few words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.commands.completion_scripts import Described, Word, bash, fish, zsh
from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.kinds import Choice, Status
from asyncstore.cli.standard_output import put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.cli.options.kinds import Kind
    from asyncstore.cli.options.table import Command, Option, Parsed

_FILES = ("FILE", "KEY", "CERTIFICATE", "file-or-directory")
_SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    put(_SCRIPTS[parsed[cmd.SHELL]](described(cmd.COMMANDS.values())).removesuffix("\n"))
    return EXIT_OK


def described(commands: Iterable[Command]) -> list[Described]:
    """The commands as the scripts know them."""
    return [
        Described(
            command.name,
            command.summary,
            tuple(word for row in command.options() for word in _words(row)),
            tuple(hint_of(parameter.kind, parameter.name) for parameter in command.parameters),
            any(parameter.repeats for parameter in command.parameters),
            next((parameter.unless or "" for parameter in command.parameters if parameter is opt.PEER), ""),
        )
        for command in commands
    ]


def hint_of(kind: Kind[object], name: str) -> str:
    """What to offer for a value or parameter of this name: ``:file``, ``:directory``, ``:host``, words, or nothing."""
    if isinstance(kind, Choice):
        return " ".join(kind.choices)
    if isinstance(kind, Status):
        return " ".join(kind.known)
    if name.endswith("|auto"):
        return "auto"
    if name.lower() == "peer":
        return ":host"
    if name == "DIRECTORY":
        return ":directory"
    return ":file" if name.partition(".")[0] in _FILES else ""


def _words(row: Option[object]) -> Iterator[Word]:
    """The names of an option."""
    hints = tuple(":peer" if row.long == opt.NAMED_PEER.long else hint_of(row.kind, name) for name in row.kind.names)
    for name in (row.short, row.long):
        if name is not None:
            yield Word(name, hints, row.help)
