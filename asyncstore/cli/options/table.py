"""The types of which the option tables are made, and what is given when a command line has been read.

A table is data: an option is one :class:`Option`, written once. Tokenizer, checks, help, environment, configuration
files, completion and manual page read it from there, and a command reads its value with the row as the key, so that the
value has the row's type::

    parsed[MAX_PDU]    # int

They are named tuples because people wait for ``--help``: dataclasses would cost as much time as all the rest of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asyncstore.cli.options.kinds import Kind

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


VARIABLES = "ASYNCSTORE_"
"""How the names of environment variables begin."""


class Option(NamedTuple, Generic[T_co]):
    """One option of a command, which is one row of the manual.

    Attributes:
        long: its long name with the hyphens; the key of everything else.
        kind: what its values are.
        default: its value when it is not given.
        help: what it does.
        short: its short name with the sign, if it has one.
        shown_default: the default in the user's words, where ``str(default)`` would not do.
        alternatives: the group of options of which the rightmost wins.
        requires: only allowed together with one of these (long names).
        excludes: not allowed together with any of these (long names).
        accumulates: given several times, all its values count instead of the last.
        exits: it answers and ends the command (``--help``): nothing but the tokens has to be right.
        line_only: it is read from the command line alone, never from the environment or a configuration file.
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
        """What identifies it among the rows of its command."""
        return self.long

    @property
    def bare_name(self) -> str:
        """Its long name without the hyphens, as configuration files have it."""
        return self.long.removeprefix("--")

    @property
    def variable(self) -> str:
        """The environment variable it reads."""
        return VARIABLES + self.bare_name.upper().replace("-", "_")

    @property
    def is_configurable(self) -> bool:
        """Whether it may stand outside the command line: in the environment, in a configuration file."""
        return not self.exits and not self.line_only

    @property
    def default_text(self) -> str | None:
        """The default as the help shows it; ``None`` for flags and where there is none."""
        if self.shown_default is not None or self.default in (None, ()) or not self.kind.names:
            return self.shown_default
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


class Parameter(NamedTuple, Generic[T_co]):
    """One parameter: a word whose place says what it means.

    Attributes:
        name: its name in help and messages.
        kind: what it is.
        default: its value when it is not given, which only happens when it is optional.
        help: what it is, in words.
        repeats: whether it takes all the words that are left; only the last one may.
        unless: this option (long name) stands for it: a single parameter is then left out, one that repeats may be.
    """

    name: str
    kind: Kind[T_co]
    default: T_co
    help: str
    repeats: bool = False
    unless: str | None = None

    @property
    def key(self) -> str:
        """What identifies it among the rows of its command."""
        return self.name


class Group(NamedTuple):
    """Options that belong together in the help.

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
        purpose: what it is for.
        words: what to type.
    """

    purpose: str
    words: str


class Command(NamedTuple):
    """One command: what its words mean.

    Attributes:
        name: the word after ``asyncstore``.
        summary: what it does, in one line.
        parameters: in their order.
        groups: its options, in the order of the help.
        notes: paragraphs at the end of the help.
        examples: what comes after them.
    """

    name: str
    summary: str
    parameters: tuple[Parameter[object], ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def program(self) -> str:
        """The words that call it."""
        return f"asyncstore {self.name}"

    @property
    def usage(self) -> str:
        """The line that shows what to type."""
        shown = [f"{p.name}..." if p.repeats else p.name for p in self.parameters]
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
    """What was given to a command.

    Args:
        given: the words of every row that was given, by its key; they have been checked.
        words: the command's words, command files expanded, options under their long names, secrets as stars.
    """

    def __init__(self, given: Mapping[str, Sequence[str]], words: Sequence[str]) -> None:
        self._given = given
        self.words = tuple(words)

    def __getitem__(self, row: Option[T] | Parameter[T]) -> T:
        """The row's value: what was given, otherwise its default."""
        words = self._given.get(row.key)
        return row.default if words is None else row.kind.parse(words)

    def __contains__(self, row: Option[object] | Parameter[object]) -> bool:
        """Whether the row was given, on the command line or elsewhere."""
        return row.key in self._given

    def naming(self, parameters: Mapping[str, Sequence[str]]) -> Parsed:
        """The same with the words of these parameters, by their names, in place of what was given."""
        return Parsed({**self._given, **parameters}, self.words)
