"""``asyncstore __complete``: the words that can replace the last word of a line, for the scripts of ``completion``.

Rules:

1. The tables part the words, as in the tokenizer: an option takes as many words as its row says.
2. The first line of the answer is ``words``, and the words follow, one a line with its text; or it is ``file``,
   ``directory`` or ``hostname``, and the shell finds them itself.
3. Names of peers are data. No shell may expand, split or run one, neither when it is offered nor when the completed
   line runs. They are quoted for bash; zsh and fish quote what they are offered. Names with control characters are left
   out.
4. It has no messages. A file that it cannot read offers nothing.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.options.grammar import END_OF_OPTIONS, is_option
from asyncstore.cli.options.kinds import Choice, IntegerOrAuto, Status
from asyncstore.cli.standard_output import put
from asyncstore.errors import UsageError
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asyncstore.cli.options.kinds import Kind
    from asyncstore.cli.options.table import Command

_FILES = ("FILE", "KEY", "CERTIFICATE", "file-or-directory", "path", "journal", "A", "B", "OUT", "RUN")
_WITHOUT_COMMAND = {"--help": "show this help and exit", "--version": "show versions and exit"}


class Offer(NamedTuple):
    """The words that can stand in one place.

    Attributes:
        kind: ``words``, ``file``, ``directory`` or ``hostname``.
        words: the words and their texts, if it is ``words``.
    """

    kind: str = "words"
    words: Mapping[str, str] = {}


def run(words: Sequence[str]) -> int:
    """Answer a shell and return the exit code.

    Args:
        words: the shell; for bash the line; the words up to the cursor, as bash parts them or as the program gets them.
    """
    shell, *rest = words or ("",)
    if shell == "bash":
        line, *parts = rest or ("",)
        put(*_for_bash(line, parts))
        return EXIT_OK
    offer = offered(rest, os.environ)
    put(offer.kind, *(_for_zsh(*each) if shell == "zsh" else "\t".join(each) for each in offer.words.items()))
    return EXIT_OK


def offered(words: Sequence[str], environment: Mapping[str, str]) -> Offer:
    """The words that can replace the last one of these; the first one is ``asyncstore``."""
    _, name, *rest = (*words, "", "")[: max(len(words), 2)]
    if not rest:
        named = {command.name: command.summary for command in COMMANDS.values() if " " not in command.name}
        return Offer(words=named | _WITHOUT_COMMAND if name.startswith("-") else named)
    second = {each.name.partition(" ")[2]: each for each in COMMANDS.values() if each.name.startswith(f"{name} ")}
    if len(rest) > 1 and rest[0] in second:
        return _of_command(second[rest[0]], rest[1:-1], rest[-1], environment)
    begun = {word: each.summary for word, each in second.items() if rest[0] and word.startswith(rest[0])}
    if len(rest) == 1 and begun:
        return Offer(words=begun)
    command = COMMANDS.get(name)
    return Offer() if command is None else _of_command(command, rest[:-1], rest[-1], environment)


def _of_command(command: Command, before: Sequence[str], word: str, environment: Mapping[str, str]) -> Offer:
    """The words that can follow these words of a command."""
    rows = command.by_name()
    config = environment.get(opt.CONFIG.variable)
    parameters = list(command.parameters)
    place, is_over, rest = 0, False, iter(before)
    for each in rest:
        if is_over or not is_option(each):
            place += 1
        elif each == END_OF_OPTIONS:
            is_over = True
        elif each in rows:
            row = rows[each]
            values = [value for _, value in zip(row.kind.names, rest, strict=False)]
            if len(values) < len(row.kind.names):
                if row.long == opt.NAMED_PEER.long:
                    return Offer(words=_peers(config, environment))
                return offer_of(row.kind, row.kind.names[len(values)])
            if row.long == opt.CONFIG.long:
                config = os.path.expanduser(values[0])
            parameters = [each for each in parameters if each.repeats or row.long not in each.unless]
    if not is_over and word.startswith(("-", "+")):
        return Offer(words={name: row.help for name, row in rows.items()})
    parameters = parameters[place:] or [each for each in parameters if each.repeats]
    return offer_of(parameters[0].kind, parameters[0].name) if parameters else Offer()


def offer_of(kind: Kind[object], name: str) -> Offer:
    """The words that can stand for a value or a parameter of this name."""
    if isinstance(kind, Choice):
        return Offer(words=dict.fromkeys(kind.choices, ""))
    if isinstance(kind, Status):
        return Offer(words=dict.fromkeys(kind.known, ""))
    if isinstance(kind, IntegerOrAuto):
        return Offer(words={"auto": ""})
    if name.lower() == "peer":
        return Offer("hostname")
    if name == "DIRECTORY":
        return Offer("directory")
    return Offer("file") if name.partition(".")[0] in _FILES else Offer()


def _peers(config: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The names of the peers in a configuration file. Only plain files are read: others may be endless."""
    from asyncstore.cli.options.configuration import default_path, names_of_peers

    path = config or default_path(environment)
    try:
        names = names_of_peers(path) if os.path.isfile(path) else []
    except UsageError:
        return {}
    return {name: "" for name in names if name.isprintable()}


def _for_bash(line: str, parts: Sequence[str]) -> Iterator[str]:
    """The answer for bash: quoted words, and how many parts make up the last word.

    readline parts words at ``=`` and ``:`` too. The line shows where no white space parted them.
    """
    words: list[str] = []
    number = 0
    for part in parts:
        if words and line and not line[0].isspace():
            words[-1] += part
            number += 1
        else:
            words.append(part)
            number = 1
        line = line.lstrip().removeprefix(part)
    words = words or [""]
    plain = [re.sub(r"""\\(.)|['"]""", r"\1", word) for word in words]
    offer = offered(plain, os.environ)
    yield f"{offer.kind} {number}"
    for word in offer.words:
        quoted = re.sub(r"([^\w@%+=:,./-])", r"\\\1", word)
        if word.startswith(words[-1]) or quoted.startswith(words[-1]):
            yield quoted


def _for_zsh(word: str, text: str) -> str:
    """A word and its text as _describe takes them."""
    escaped = re.sub(r"([\\:])", r"\\\1", word)
    return f"{escaped}:{text}" if text else escaped
