"""From the words of a command line to values, by a command's table. It does no I/O itself, but reads command files.

Rules (``send`` takes storescu's command lines, so these are storescu's rules):

1. A word that starts with ``-`` or ``+`` is an option, unless it is the sign alone or a digit follows: ``-5`` and
   ``-`` are parameters. Options and parameters may stand in any order.
2. An option is written in full: it is not bundled, not abbreviated, not joined to its value with ``=``. It takes as
   many words as its row says, verbatim, even if they start with a sign.
3. ``@file`` is replaced by the words of that file before all else, even where a value is expected. Words end with white
   space. Quotes (``'`` and ``"``) hold words together, and the closing one ends the word. A backslash, ``#`` and an
   ``@file`` in the file have no special meaning.
4. If an option is given twice, the last value counts, unless it accumulates. Of a group of alternatives only the
   rightmost counts.
5. Unknown options and missing values are reported first. Then an option that exits (``--help``) wins. Then values are
   checked, then combinations of options, then parameters.
6. There are layers beneath the command line: the environment, then configuration files. An option of a lower layer is
   ignored if a layer above gives it, excludes it, or gives another one of its group of alternatives. It is also ignored
   if it needs another option that no layer gives.
7. A variable of the environment holds an option's words. If the option takes several, they are parted as in a shell. A
   flag's variable is 1 or 0 (or true, yes, on, false, no, off). A flag that is off in one layer is off, whatever the
   layers beneath say. An empty variable is ignored.
8. ``--``, where no value is expected, ends the options: all words after it are parameters, even if they begin with
   ``-``, ``+`` or ``@``. This rule is ours: to storescu it is an unknown option.
9. No message shows a secret, or a word that may hold one: people mistype ``-pwd=SECRET``.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from asyncstore.cli.options.command_files import expand
from asyncstore.cli.options.kinds import Secret
from asyncstore.cli.options.suggestions import closest, did_you_mean
from asyncstore.cli.options.table import Parsed
from asyncstore.errors import UsageError
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncstore.cli.options.kinds import Kind
    from asyncstore.cli.options.table import Command, Option

T = TypeVar("T")

END_OF_OPTIONS = "--"
_HIDDEN = "***"
_BEFORE_HIDDEN = r"(?i)[-+]+(?:[a-z]+-)?(?:pass(?:word|wd)?|e?pwd?)[=:]?"
"""The beginning of a word to which a user may have joined a password, whether the command has such an option or not."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Given(NamedTuple):
    """An option that was given, and its words.

    Attributes:
        row: the option.
        words: its words.
        origin: what messages call it, if it was not given on the command line.
        is_off: it is a flag that was switched off.
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
    """The options of one source beneath the command line, in its order.

    Attributes:
        options: the options.
        parameters: the words of those parameters that an option of the command line stands for, by their names.
    """

    options: Sequence[Given]
    parameters: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Tokens(NamedTuple):
    """A command line, parted into options and parameters. Values have not been checked."""

    options: list[Given]
    parameters: list[str]
    words: list[str]
    """All words in their order, ready to be shown: options by their long names, secrets as stars."""

    def exit_option(self) -> str | None:
        """The option that prints something and ends the command, if one is given; the help, if several are."""
        found = [given.row.long for given in self.options if given.row.exits]
        return min(found, default=None)


def tokenize(command: Command, words: Iterable[str]) -> Tokens:
    """Part the words into options, their values, and parameters (rules 1 to 3, and 8).

    Raises:
        UsageError: an option is unknown or lacks a value.
    """
    rows = command.by_name()
    tokens = Tokens([], [], [])
    is_over = False
    rest = expand(words, lambda: is_over)
    for word in rest:
        if is_over or not is_option(word):
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


def is_option(word: str) -> bool:
    """Whether a word, met where no value is expected, names an option (rule 1)."""
    return len(word) > 1 and word[0] in "+-" and word[1] not in "0123456789"


def check(command: Command, tokens: Tokens, environment: Mapping[str, str], beneath: Sequence[Layer] = ()) -> Parsed:
    """The values that tokens, environment and further layers give (rules 4 to 7).

    Raises:
        UsageError: a value is wrong, options exclude each other, or a parameter is missing or too much.
    """
    line = _rightmost(tokens.options)
    merged = line
    for layer in (Layer(_from_environment(command, environment)), *beneath):
        merged = _above(merged, _rightmost(layer.options))
    options = {long: given for long, given in merged.items() if not given.is_off}
    options = _with_what_they_need(line, options)
    for given in options.values():
        value_of(given.row.kind, given.words, given.name)
    _check_together(options)
    placed: dict[str, Sequence[str]] = {}
    for layer in reversed(beneath):
        placed |= layer.parameters
    try:
        placed |= _place(command, tokens.parameters, options, placed)
    except UsageError as error:
        error.add_note(f"usage: {command.usage}")
        raise
    return Parsed({long: given.words for long, given in options.items()} | placed, tokens.words)


def parse(command: Command, words: Iterable[str], environment: Mapping[str, str]) -> Parsed:
    """The values of a whole command line. Options that exit are treated as any other.

    Raises:
        UsageError: it is not valid.
    """
    return check(command, tokenize(command, words), environment)


def _rightmost(options: Iterable[Given]) -> dict[str, Given]:
    """The options that count: the last of each name and of each group of alternatives."""
    last: dict[str, Given] = {}
    words: dict[str, list[str]] = {}
    for given in options:
        key = given.row.long if given.is_off else given.row.alternatives or given.row.long
        last[key] = given
        if not given.row.accumulates:
            words[key] = []
        words.setdefault(key, []).extend(given.words)
    return {given.row.long: given._replace(words=tuple(words[key])) for key, given in last.items()}


def _above(upper: Mapping[str, Given], lower: Mapping[str, Given]) -> dict[str, Given]:
    """Both layers together; of the lower one what rule 6 does not ignore."""
    set_above = {long: given for long, given in upper.items() if not given.is_off}
    chosen = {given.row.alternatives for given in set_above.values()} - {None}
    added = {
        long: given
        for long, given in lower.items()
        if long not in upper and given.row.alternatives not in chosen and not _contradicts(given.row, set_above)
    }
    return {**upper, **added}


def _contradicts(row: Option[object], options: Mapping[str, Given]) -> bool:
    return any(other in options for other in row.excludes) or any(
        row.long in given.row.excludes for given in options.values()
    )


def _with_what_they_need(line: Mapping[str, Given], options: Mapping[str, Given]) -> dict[str, Given]:
    """The options without those of lower layers that need another option which is not given (rule 6)."""
    kept = dict(options)
    while lacking := [long for long, given in kept.items() if long not in line and _lacks(given.row, kept)]:
        for long in lacking:
            del kept[long]
    return kept


def _lacks(row: Option[object], options: Mapping[str, Given]) -> bool:
    """Whether none of the options that the row needs is given."""
    return bool(row.requires) and not any(other in options for other in row.requires)


def value_of(kind: Kind[T], words: Sequence[str], name: str) -> T:
    """The value of some words.

    Raises:
        UsageError: they are not valid; ``name`` tells where they stand.
    """
    try:
        return kind.parse(words)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{name}: {error}") from None


def _check_together(options: Mapping[str, Given]) -> None:
    """Check that each option has an option that it needs, and none that it excludes."""
    for long, given in options.items():
        row = given.row
        if _lacks(row, options):
            raise UsageError(f"{_both_names(row)} is only allowed with {' or '.join(row.requires)}")
        for other in row.excludes:
            if other in options:
                raise UsageError(f"{long} is not allowed with {other}")


def _from_environment(command: Command, environment: Mapping[str, str]) -> list[Given]:
    found = ((row, environment.get(row.variable)) for row in command.options() if row.is_configurable)
    return [_from_variable(row, text) for row, text in found if text]


def _from_variable(row: Option[object], text: str) -> Given:
    """The option as its environment variable gives it (rule 7)."""
    origin = f"{row.long} from {row.variable}"
    if not row.kind.names:
        if text.lower() not in _TRUE | _FALSE:
            shown = "this" if "passw" in row.long else repr(text)  # users put a password there by mistake
            raise UsageError(f"{origin}: {shown} is neither 1 nor 0")
        return Given(row, (), origin, is_off=text.lower() in _FALSE)
    words = (text,) if len(row.kind.names) == 1 and not row.accumulates else _parted(origin, text)
    needed = len(row.kind.names)
    if not words or len(words) % needed or (len(words) > needed and not row.accumulates):
        raise UsageError(f"{origin}: {text!r} does not hold {' '.join(row.kind.names)}")
    return Given(row, words, origin)


def _parted(origin: str, text: str) -> tuple[str, ...]:
    from shlex import split

    try:
        return tuple(split(text))
    except ValueError:
        raise UsageError(f"{origin}: a quote is not closed") from None


def _place(
    command: Command, words: Sequence[str], options: Mapping[str, Given], stood_for: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """Give each parameter its words, except those that an option stands for.

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
            value_of(parameter.kind, taken, parameter.name.replace("-", " "))
            placed[parameter.key] = taken
        elif not parameter.is_optional and not any(name in options for name in parameter.unless):
            raise UsageError(f"no {parameter.name.replace('-', ' ')} is given")
    if rest:
        raise UsageError(f"unexpected parameter {rest[0]!r}")
    return placed


def without_secret(word: str) -> str:
    """An unknown word, without what may be a secret: the part after a password's option, or after ``=``."""
    secret = re.match(_BEFORE_HIDDEN, word)
    if secret is not None:
        return secret[0] + _HIDDEN if secret.end() < len(word) else word
    name, equals, _ = word.partition("=")
    return f"{name}={_HIDDEN}" if equals else word


def _both_names(row: Option[object]) -> str:
    """The option as messages name it: ``-aet/--aetitle``."""
    return row.long if row.short is None else f"{row.short}/{row.long}"


def _unknown_option(word: str, rows: Mapping[str, Option[object]]) -> str:
    """The complaint about a word that is no option, with the most similar one (rule 9)."""
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
