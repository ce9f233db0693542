"""The types of the option tables, and the values that a command line gives.

A table is data: an option is one :class:`Option`, written once. Tokenizer, checks, help, environment, configuration
files, completion and manual page read it. A command reads a value with the row as the key, so that the value has the
row's type::

    parsed[opt.MAX_PDU]    # int

The types are named tuples because dataclasses would double the time of ``--help``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from asyncstore.cli.options.kinds import Flag, Text
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypedDict, Unpack

    from asyncstore.cli.options.kinds import Kind

    class _More(TypedDict, total=False):
        """Further attributes of an option."""

        shown_default: str
        alternatives: str
        requires: tuple[str, ...]
        excludes: tuple[str, ...]
        exits: bool
        line_only: bool


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


VARIABLES = "ASYNCSTORE_"
"""The prefix of our environment variables."""


class Option(NamedTuple, Generic[T_co]):
    """One option of a command, which is one row of the manual.

    Attributes:
        long: its long name with the hyphens; the key of everything else.
        kind: what its values are.
        default: its value when it is not given.
        help: what it does.
        short: its short name with the sign, if it has one.
        shown_default: the default as the help shows it, if not as ``str(default)``.
        alternatives: a group of options, of which the rightmost one counts.
        requires: only allowed together with one of these (long names).
        excludes: not allowed together with any of these (long names).
        accumulates: if it is given several times, all its values count, not only the last.
        exits: it prints something and ends the command, such as ``--help``; values are not checked then.
        line_only: it is read from the command line only, never from the environment or a configuration file.
    """

    long: str
    kind: Kind[T_co]
    default: T_co
    help: str
    short: str | None = None
    shown_default: str | None = None
    alternatives: str | None = None
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    exits: bool = False
    accumulates: bool = False
    line_only: bool = False

    @property
    def key(self) -> str:
        """The key among the rows of its command."""
        return self.long

    @property
    def bare_name(self) -> str:
        """Its long name without the hyphens, as in configuration files."""
        return self.long.removeprefix("--")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLES + self.bare_name.upper().replace("-", "_")

    @property
    def is_configurable(self) -> bool:
        """Whether the environment or a configuration file may give it."""
        return not self.exits and not self.line_only

    @property
    def default_text(self) -> str | None:
        """The default as the help shows it; ``None`` for flags and options without a default."""
        if self.shown_default is not None or self.default in (None, ()) or not self.kind.names:
            return self.shown_default
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    @property
    def meaning(self) -> str:
        """What it does, and its default."""
        return self.help if self.default_text is None else f"{self.help} (default: {self.default_text})"


def flag(long: str, meaning: str, short: str | None = None, **more: Unpack[_More]) -> Option[bool]:
    """An option without a value."""
    return Option(long, Flag(), False, meaning, short, **more)


def text(long: str, name: str, meaning: str, short: str | None = None, **more: Unpack[_More]) -> Option[str | None]:
    """An option with any one word, which has this name in the help."""
    return Option(long, Text(name), None, meaning, short, **more)


class Parameter(NamedTuple, Generic[T_co]):
    """One parameter: a word that has its meaning by its position.

    Attributes:
        name: its name in help and messages.
        kind: what it is.
        default: its value when it is not given.
        help: what it is, in words.
        repeats: whether it takes all remaining words; only the last parameter may.
        unless: options (long names) that stand for it. With one of them a single parameter must be left out, and one
            that repeats may be.
        is_optional: whether it may be left out; only the last parameter may.
    """

    name: str
    kind: Kind[T_co]
    default: T_co
    help: str
    repeats: bool = False
    unless: tuple[str, ...] = ()
    is_optional: bool = False

    @property
    def key(self) -> str:
        """The key among the rows of its command."""
        return self.name


class Group(NamedTuple):
    """Options that the help shows together.

    Attributes:
        section: the heading; groups of one section follow one another.
        options: the rows.
        title: the heading within the section, if there is one.
    """

    section: str
    options: tuple[Option[object], ...]
    title: str | None = None


class Example(NamedTuple):
    """A command line to copy.

    Attributes:
        purpose: what it does.
        words: the command line.
    """

    purpose: str
    words: str


class Command(NamedTuple):
    """One command.

    Attributes:
        name: the word after ``asyncstore``, or two of them.
        summary: what it does, in one line.
        parameters: in their order.
        groups: its options, in the order of the help.
        notes: paragraphs at the end of the help.
        examples: command lines behind the notes.
    """

    name: str
    summary: str
    parameters: tuple[Parameter[object], ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def program(self) -> str:
        """The words that start it."""
        return f"asyncstore {self.name}"

    @property
    def usage(self) -> str:
        """The usage line of the help."""
        named = [f"{p.name}..." if p.repeats else p.name for p in self.parameters]
        shown = [f"[{n}]" if p.is_optional else n for p, n in zip(self.parameters, named, strict=True)]
        names_files = any(parameter.repeats for parameter in self.parameters)
        return " ".join([self.program, "[options]", *(["[--]"] if names_files else []), *shown])

    def options(self) -> Iterator[Option[object]]:
        """All rows, in the order of the help."""
        for group in self.groups:
            yield from group.options

    def by_name(self) -> dict[str, Option[object]]:
        """All rows by each of their names."""
        return {name: row for row in self.options() for name in (row.short, row.long) if name is not None}


class Parsed:
    """The values that a command was given.

    Args:
        given: the words of every row that was given, by its key; they are valid.
        words: the command's words, with command files expanded, options by their long names, secrets as stars.

    Attributes:
        read_again: reads the configuration file again: the new values and warnings, or a UsageError; ``None``: there is
            no such file.
    """

    def __init__(self, given: Mapping[str, Sequence[str]], words: Sequence[str]) -> None:
        self._given = given
        self.words = tuple(words)
        self.read_again: Callable[[], tuple[Parsed, Sequence[str]]] | None = None

    def __getitem__(self, row: Option[T] | Parameter[T]) -> T:
        """The row's value, or its default if it was not given."""
        words = self._given.get(row.key)
        return row.default if words is None else row.kind.parse(words)

    def __contains__(self, row: Option[object] | Parameter[object]) -> bool:
        """Whether the row was given, on the command line or in another source."""
        return row.key in self._given

    def words_of(self, row: Option[object] | Parameter[object]) -> tuple[str, ...]:
        """The words that the row was given; none if it was not."""
        return tuple(self._given.get(row.key, ()))

    def naming(self, parameters: Mapping[str, Sequence[str]]) -> Parsed:
        """A copy in which these parameters, by their names, have these words."""
        return Parsed({**self._given, **parameters}, self.words)
