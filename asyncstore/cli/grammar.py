"""From the words of a command line to what they mean, by a command's table. No I/O but the reading of command files.

Rules (``send`` takes storescu's command lines, and these are its rules):

1. A word that starts with ``-`` or ``+`` is an option, unless it is that sign alone or a digit follows: ``-5`` and
   ``-`` are parameters. Options and parameters may stand in any order.
2. An option is named in full; nothing is bundled, abbreviated or joined to its value with ``=``. It takes as many
   words as its row says, verbatim, also when they start with a sign.
3. ``@file`` is replaced by the words of that file before anything else, also where a value is expected. Quotes (``'``
   and ``"``) hold words together, a backslash means itself, and an ``@file`` inside is a plain word.
4. An option given twice has its last value, unless it accumulates; of a group of alternatives only the rightmost one
   counts.
5. Unknown options and missing values come first; then an option that exits (``--help``) wins; then values are checked,
   then which options go together, then the parameters.
6. The environment comes before the command line and gives way to it: a variable that contradicts the command line, or
   whose option needs another one that is missing, has no say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.cli.kinds import Secret
from asyncstore.cli.table import Parsed
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.cli.table import Command, Option, Parameter

_MASK = "***"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


class Given(NamedTuple):
    """An option that was met, and its words."""

    row: Option[object]
    words: tuple[str, ...]


class Tokens(NamedTuple):
    """A command line taken apart, with nothing checked that a value means."""

    options: list[Given]
    parameters: list[str]
    words: list[str]
    """All words in their order, options under their long names, and secrets masked."""

    def exit_option(self) -> str | None:
        """The option that answers and ends the command, if there is one; the help, if there are several."""
        found = [given.row.long for given in self.options if given.row.exits]
        return min(found, default=None)


def expand(words: Iterable[str]) -> Iterator[str]:
    """The words, with every ``@file`` replaced by the words in that file (rule 3).

    Raises:
        UsageError: a command file cannot be read or a quote in it is not closed.
    """
    for word in words:
        if len(word) > 1 and word.startswith("@"):
            yield from _command_file(word[1:])
        else:
            yield word


def _command_file(name: str) -> list[str]:
    """The words in a command file."""
    from shlex import shlex  # noqa: PLC0415 - few command lines need it

    try:
        with open(name, "rb") as file:  # noqa: PTH123 - pathlib costs every command line 7 ms
            text = os.fsdecode(file.read().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise UsageError(f"@{name}: cannot read the command file: {error.strerror}") from None
    lexer = shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(f"@{name}: a quote in the command file is not closed") from None


def tokenize(command: Command, words: Iterable[str]) -> Tokens:
    """Tell options, their values and parameters apart (rules 1 to 3).

    Raises:
        UsageError: an option is unknown or lacks a value.
    """
    rows = command.by_name()
    tokens = Tokens([], [], [])
    rest = expand(words)
    for word in rest:
        if not _is_option(word):
            tokens.parameters.append(word)
            tokens.words.append(word)
            continue
        row = rows.get(word)
        if row is None:
            raise UsageError(_unknown_option(word, rows))
        names = row.kind.names
        values = tuple(value for _, value in zip(names, rest, strict=False))
        if len(values) < len(names):
            raise UsageError(f"{_both_names(row)}: the value {names[len(values)]} is missing")
        tokens.options.append(Given(row, values))
        tokens.words.extend((row.long, *((_MASK,) * len(values) if isinstance(row.kind, Secret) else values)))
    return tokens


def _is_option(word: str) -> bool:
    """Whether a word, met where no value is expected, names an option (rule 1)."""
    return len(word) > 1 and word[0] in "+-" and word[1] not in "0123456789"


def check(command: Command, tokens: Tokens, environment: Mapping[str, str]) -> Parsed:
    """What the tokens and the environment mean (rules 4 to 6).

    Raises:
        UsageError: a value is wrong, options do not go together, or a parameter is missing or too much.
    """
    line = _rightmost(tokens.options)
    for given in line.values():
        _check_value(_both_names(given.row), given)
    _check_together(line)
    merged = _with_environment(command, line, environment)
    _check_together(merged)
    parameters = _place(command, tokens.parameters, merged)
    return Parsed({key: given.words for key, given in merged.items()} | parameters, tokens.words)


def parse(command: Command, words: Iterable[str], environment: Mapping[str, str]) -> Parsed:
    """What a whole command line means; options that exit are taken as any other.

    Raises:
        UsageError: it means nothing.
    """
    return check(command, tokenize(command, words), environment)


def _rightmost(options: Iterable[Given]) -> dict[str, Given]:
    """The options that count: the last of each name and of each group of alternatives."""
    last: dict[str, Given] = {}
    for given in options:
        key = given.row.alternatives or given.row.long
        before = last.get(key)
        words = before.words + given.words if before is not None and given.row.accumulates else given.words
        last[key] = Given(given.row, words)
    return {given.row.long: given for given in last.values()}


def _check_value(name: str, given: Given) -> None:
    """See that the words mean something to their row."""
    try:
        given.row.kind.parse(given.words)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _check_together(options: Mapping[str, Given]) -> None:
    """See that every option has what it needs and lacks what it cannot bear."""
    for name, given in options.items():
        row = given.row
        if row.requires and not any(other in options for other in row.requires):
            raise UsageError(f"{_both_names(row)} is only allowed with {' or '.join(row.requires)}")
        for other in row.excludes:
            if other in options:
                raise UsageError(f"{name} is not allowed with {other}")


def _with_environment(command: Command, line: Mapping[str, Given], environment: Mapping[str, str]) -> dict[str, Given]:
    """The command line's options, and the environment's where they have a say (rule 6)."""
    groups = {given.row.alternatives for given in line.values()} - {None}
    added: dict[str, Given] = {}
    for row in command.options():
        text = environment.get(row.variable)
        if text is None or row.exits or row.long in line or row.alternatives in groups:
            continue
        given = _from_variable(row, text)
        if given is not None and not _contradicts(row, line):
            added[row.alternatives or row.long] = given
    merged = dict(line) | {given.row.long: given for given in added.values()}
    return {
        name: given
        for name, given in merged.items()
        if name in line or not given.row.requires or any(other in merged for other in given.row.requires)
    }


def _from_variable(row: Option[object], text: str) -> Given | None:
    """The option as its environment variable gives it; ``None`` for a flag that is off."""
    if row.kind.names:
        given = Given(row, (text,))
        _check_value(f"{row.long} from {row.variable}", given)
        return given
    if text.lower() in _FALSE:
        return None
    if text.lower() not in _TRUE:
        raise UsageError(f"{row.long} from {row.variable}: {text!r} is neither 1 nor 0")
    return Given(row, ())


def _contradicts(row: Option[object], line: Mapping[str, Given]) -> bool:
    """Whether the row and something on the command line exclude each other."""
    return any(other in line for other in row.excludes) or any(
        row.long in given.row.excludes for given in line.values()
    )


def _place(command: Command, words: Sequence[str], options: Mapping[str, Given]) -> dict[str, Sequence[str]]:
    """Give each parameter its words.

    Raises:
        UsageError: one is missing, wrong, or one too many.
    """
    placed: dict[str, Sequence[str]] = {}
    rest = list(words)
    for parameter in command.parameters:
        taken = rest if parameter.repeats else rest[:1]
        rest = rest[len(taken) :]
        if taken:
            _check_parameter(parameter, taken)
            placed[parameter.key] = taken
        elif parameter.unless is None or parameter.unless not in options:
            raise UsageError(f"the parameter {parameter.name} is missing")
    if rest:
        raise UsageError(f"{rest[0]!r} is one parameter too many")
    return placed


def _check_parameter(parameter: Parameter[object], words: Sequence[str]) -> None:
    """See that the words mean something to the parameter."""
    try:
        parameter.kind.parse(words)
    except ValueError as error:
        raise UsageError(f"the parameter {parameter.name}: {error}") from None


def _both_names(row: Option[object]) -> str:
    """The option as messages name it: ``-aet/--aetitle``."""
    return row.long if row.short is None else f"{row.short}/{row.long}"


def _unknown_option(word: str, rows: Mapping[str, Option[object]]) -> str:
    """What to say about a word that is no option, with the likeliest thing that was meant."""
    name, equals, value = word.partition("=")
    if equals and name in rows and rows[name].kind.names:
        return f"unknown option {word}: write the value as a word of its own ({name} {value})"
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    close = get_close_matches(word, rows, n=1)
    return f"unknown option {word}" + (f": did you mean {close[0]}?" if close else "")
