"""From the words of a command line to what they mean, by a command's table. No I/O of its own.

Rules (``send`` takes storescu's command lines, and these are its rules):

1. A word that starts with ``-`` or ``+`` is an option, unless it is that sign alone or a digit follows: ``-5`` and
   ``-`` are parameters. Options and parameters may stand in any order.
2. An option is named in full; nothing is bundled, abbreviated or joined to its value with ``=``. It takes as many
   words as its row says, verbatim, also when they start with a sign.
3. ``@file`` is replaced by the words of that file before anything else, also where a value is expected. Words end
   with white space. Quotes (``'`` and ``"``) hold words together, and the closing one ends the word; a backslash and
   ``#`` mean themselves, and an ``@file`` inside is a plain word.
4. An option given twice has its last value, unless it accumulates; of a group of alternatives only the rightmost one
   counts.
5. Unknown options and missing values come first; then an option that exits (``--help``) wins; then values are checked,
   then which options go together, then the parameters.
6. Beneath the command line lie layers: the environment first, then what configuration files say. Each gives way to
   those above it: an option that is given above, or contradicts what is, or whose group of alternatives has its choice
   there, has no say; nor has one that needs another one which nobody gives.
7. A variable of the environment holds an option's words as a shell would part them where the option takes several; a
   flag's is 1 or 0 (or true, yes, on, false, no, off), and a flag that is off in one layer is off, whatever lies
   beneath. An empty variable is none.
8. ``--``, where no value is expected, ends the options: all words after it are parameters, as they are, also those that
   begin with ``-``, ``+`` or ``@``. This one is ours: to storescu it is an unknown option.
9. No message shows a secret, nor a word that may hold one: ``-pwd=SECRET`` is a mistake that people make.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.cli.options.command_files import expand
from asyncstore.cli.options.kinds import Secret
from asyncstore.cli.options.suggestions import closest, did_you_mean
from asyncstore.cli.options.table import Parsed
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncstore.cli.options.table import Command, Option, Parameter

END_OF_OPTIONS = "--"
_HIDDEN = "***"
_LIKE_PASSWORD = re.compile(r"[-+]+(?:[a-z]+-)?(?:pass(?:word|wd)?|e?pwd?)[=:]?", re.IGNORECASE)
"""How a word begins that somebody may have joined to a password, whatever options the command has."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Given(NamedTuple):
    """An option that was met, and its words.

    Attributes:
        row: the option.
        words: its words.
        origin: what messages call it, where it did not stand on the command line.
        is_off: it is a flag and was said not to be set.
    """

    row: Option[object]
    words: tuple[str, ...]
    origin: str | None = None
    is_off: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.origin or _both_names(self.row)

    @property
    def shown_words(self) -> Sequence[str]:
        """Its words as they may be shown (rule 9)."""
        return [_HIDDEN] * len(self.words) if isinstance(self.row.kind, Secret) else self.words

    def __repr__(self) -> str:
        return f"Given({' '.join((self.name, *self.shown_words))})"


class Layer(NamedTuple):
    """What one source beneath the command line gives, in its own order.

    Attributes:
        options: the options.
        parameters: the words of the parameters that an option of the command line stands for, by their names.
    """

    options: Sequence[Given]
    parameters: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Tokens(NamedTuple):
    """A command line taken apart, with nothing checked that a value means."""

    options: list[Given]
    parameters: list[str]
    words: list[str]
    """All words in their order as they may be shown: options under their long names, secrets as stars."""

    def exit_option(self) -> str | None:
        """The option that answers and ends the command, if there is one; the help, if there are several."""
        found = [given.row.long for given in self.options if given.row.exits]
        return min(found, default=None)


def tokenize(command: Command, words: Iterable[str]) -> Tokens:
    """Tell options, their values and parameters apart (rules 1 to 3, and 8).

    Raises:
        UsageError: an option is unknown or lacks a value.
    """
    rows = command.by_name()
    tokens = Tokens([], [], [])
    is_over = False
    rest = expand(words, lambda: is_over)
    for word in rest:
        if is_over or not _is_option(word):
            tokens.parameters.append(word)
            tokens.words.append(word)
            continue
        if word == END_OF_OPTIONS:
            is_over = True
            tokens.words.append(word)
            continue
        row = rows.get(word)
        if row is None:
            raise UsageError(_unknown_option(word, rows))
        names = row.kind.names
        values = tuple(value for _, value in zip(names, rest, strict=False))
        if len(values) < len(names):
            raise UsageError(f"{_both_names(row)} needs {' '.join(names)} after it")
        given = Given(row, values)
        tokens.options.append(given)
        tokens.words.extend((row.long, *given.shown_words))
    return tokens


def _is_option(word: str) -> bool:
    """Whether a word, met where no value is expected, names an option (rule 1)."""
    return len(word) > 1 and word[0] in "+-" and word[1] not in "0123456789"


def check(command: Command, tokens: Tokens, environment: Mapping[str, str], beneath: Sequence[Layer] = ()) -> Parsed:
    """What the tokens, the environment and the layers beneath it mean (rules 4 to 7).

    Raises:
        UsageError: a value is wrong, options do not go together, or a parameter is missing or too much.
    """
    line = _rightmost(tokens.options)
    merged = line
    for layer in (Layer(_from_environment(command, environment)), *beneath):
        merged = _above(merged, _rightmost(layer.options))
    options = {long: given for long, given in merged.items() if not given.is_off}
    options = _with_what_they_need(line, options)
    for given in options.values():
        _check_value(given)
    _check_together(options)
    placed: dict[str, Sequence[str]] = {}
    for layer in reversed(beneath):
        placed |= layer.parameters
    placed |= _place(command, tokens.parameters, options, placed)
    return Parsed({long: given.words for long, given in options.items()} | placed, tokens.words)


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
        key = given.row.long if given.is_off else given.row.alternatives or given.row.long
        before = last.get(key)
        words = before.words + given.words if before is not None and given.row.accumulates else given.words
        last[key] = given._replace(words=words)
    return {given.row.long: given for given in last.values()}


def _above(upper: Mapping[str, Given], lower: Mapping[str, Given]) -> dict[str, Given]:
    """Both layers, the lower one where it has a say (rule 6)."""
    set_above = {long: given for long, given in upper.items() if not given.is_off}
    chosen = {given.row.alternatives for given in set_above.values()} - {None}
    added = {
        long: given
        for long, given in lower.items()
        if long not in upper and given.row.alternatives not in chosen and not _contradicts(given.row, set_above)
    }
    return {**upper, **added}


def _contradicts(row: Option[object], options: Mapping[str, Given]) -> bool:
    """Whether the row and one of the options exclude each other."""
    return any(other in options for other in row.excludes) or any(
        row.long in given.row.excludes for given in options.values()
    )


def _with_what_they_need(line: Mapping[str, Given], options: Mapping[str, Given]) -> dict[str, Given]:
    """The options without those from beneath the command line that need what nobody gives (rule 6)."""
    kept = dict(options)
    while lacking := [long for long, given in kept.items() if long not in line and _lacks(given.row, kept)]:
        for long in lacking:
            del kept[long]
    return kept


def _lacks(row: Option[object], options: Mapping[str, Given]) -> bool:
    """Whether none of the options that the row needs is there."""
    return bool(row.requires) and not any(other in options for other in row.requires)


def _check_value(given: Given) -> None:
    """See that the words mean something to their row."""
    try:
        given.row.kind.parse(given.words)
    except ValueError as error:
        raise UsageError(f"{given.name}: {error}") from None


def _check_together(options: Mapping[str, Given]) -> None:
    """See that every option has what it needs and lacks what it cannot bear."""
    for long, given in options.items():
        row = given.row
        if _lacks(row, options):
            raise UsageError(f"{_both_names(row)} is only allowed with {' or '.join(row.requires)}")
        for other in row.excludes:
            if other in options:
                raise UsageError(f"{long} is not allowed with {other}")


def _from_environment(command: Command, environment: Mapping[str, str]) -> list[Given]:
    """The options that variables give."""
    found = ((row, environment.get(row.variable)) for row in command.options() if row.is_configurable)
    return [_from_variable(row, text) for row, text in found if text]


def _from_variable(row: Option[object], text: str) -> Given:
    """The option as its environment variable gives it (rule 7)."""
    origin = f"{row.long} from {row.variable}"
    if not row.kind.names:
        if text.lower() not in _TRUE | _FALSE:
            shown = "this" if "passw" in row.long else repr(text)  # --empty-password is no place for one, but near it
            raise UsageError(f"{origin}: {shown} is neither 1 nor 0")
        return Given(row, (), origin, is_off=text.lower() in _FALSE)
    words = (text,) if len(row.kind.names) == 1 and not row.accumulates else _parted(origin, text)
    needed = len(row.kind.names)
    if not words or len(words) % needed or (len(words) > needed and not row.accumulates):
        raise UsageError(f"{origin}: {' '.join(row.kind.names)} cannot be had from {text!r}")
    return Given(row, words, origin)


def _parted(origin: str, text: str) -> tuple[str, ...]:
    """The words of a text, parted as a shell does it."""
    from shlex import split  # noqa: PLC0415 - few command lines need it

    try:
        return tuple(split(text))
    except ValueError:
        raise UsageError(f"{origin}: a quote is not closed") from None


def _place(
    command: Command, words: Sequence[str], options: Mapping[str, Given], stood_for: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """Give each parameter its words, save those whose words an option stands for.

    Raises:
        UsageError: one is missing, wrong, or one too many.
    """
    placed: dict[str, Sequence[str]] = {}
    rest = list(words)
    for parameter in command.parameters:
        if parameter.key in stood_for:
            continue
        taken = rest if parameter.repeats else rest[:1]
        rest = rest[len(taken) :]
        if taken:
            _check_parameter(parameter, taken)
            placed[parameter.key] = taken
        elif parameter.unless is None or parameter.unless not in options:
            raise UsageError(f"no {parameter.name.replace('-', ' ')} is given")
    if rest:
        raise UsageError(f"unexpected parameter {rest[0]!r}")
    return placed


def _check_parameter(parameter: Parameter[object], words: Sequence[str]) -> None:
    """See that the words mean something to the parameter."""
    try:
        parameter.kind.parse(words)
    except ValueError as error:
        raise UsageError(f"{parameter.name.replace('-', ' ')}: {error}") from None


def without_secret(word: str) -> str:
    """A word that nobody knows, without what may be a secret: what follows a password's option, or a ``=``."""
    secret = _LIKE_PASSWORD.match(word)
    if secret is not None:
        return secret[0] + _HIDDEN if secret.end() < len(word) else word
    name, equals, _ = word.partition("=")
    return f"{name}={_HIDDEN}" if equals else word


def _both_names(row: Option[object]) -> str:
    """The option as messages name it: ``-aet/--aetitle``."""
    return row.long if row.short is None else f"{row.short}/{row.long}"


def _unknown_option(word: str, rows: Mapping[str, Option[object]]) -> str:
    """What to say about a word that is no option, with the likeliest thing that was meant (rule 9)."""
    name, equals, value = word.partition("=")
    known = rows.get(name)
    is_shown = known is not None and bool(known.kind.names) and not isinstance(known.kind, Secret)
    shown = word if is_shown else without_secret(word)
    if equals and known is not None:
        if not known.kind.names:
            return f"unknown option {shown}: {name} takes no value"
        value = value if is_shown else known.kind.names[0]
        return f"unknown option {shown}: write the value as a word of its own ({name} {value})"
    return f"unknown option {shown}{did_you_mean(closest(name, rows))}"
