"""Configuration files: options and named peers in TOML, as layers beneath the command line.

    no-halt = true                      # for every command that has the option

    [send]                              # for this command
    associations = 8

    [peers.pacs1]                       # for --peer pacs1
    host = "pacs.example.org"
    port = 11112
    call = "PACS"

    [peers.pacs1.retry]                 # the option --retry-statuses
    statuses = ["0110", "C000-C0FF"]

Rules:

1. A key is an option's long name without the hyphens. Flags take true or false, options of two words an array of two,
   options that may be given again an array of values, all others one value. Numbers stand as numbers, all else in
   quotes. Wrong types are errors, even in tables that are not used.
2. The peer's table comes before the command's, and that one before the top level (grammar.py, rule 6). Keys at the top
   level may belong to any command, keys in a peer's table to any command that has ``--peer``. Unknown keys are errors.
3. ``--config`` or ``ASYNCSTORE_CONFIG`` names the file. Without either, ``--peer`` reads
   ``$XDG_CONFIG_HOME/asyncstore/config.toml`` (``~/.config`` without that variable), and only its peers. So a file in a
   home directory never changes a command line that does not ask for it.
4. A table within a peer's table, or a command's, holds options that begin with its name.
5. If others than its owner may read a file that holds a secret, there is a warning.
"""

from __future__ import annotations

import os
import re
import stat
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asyncstore.cli.options import bench_kinds as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.grammar import Given, Layer, value_of
from asyncstore.cli.options.kinds import Address, Integer, IntegerOrAuto, Patience, Rate, Seconds, Secret, Status
from asyncstore.cli.options.structured import parsed_toml
from asyncstore.cli.options.suggestions import closest, did_you_mean
from asyncstore.errors import UsageError
from asyncstore.named_files import read_named
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.cli.options.grammar import Tokens
    from asyncstore.cli.options.kinds import Kind
    from asyncstore.cli.options.table import Command, Option, Parameter

Table = dict[str, Any]
"""A table as tomllib gives it."""

_MOST_BYTES = 1 << 20
"""Most bytes of a file: room for thousands of peers."""
_TOP = ""
"""The name of the top level among those of tables."""
_PEERS = "peers"
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"\s*['\"]?([^\s'\"=]+)['\"]?\s*=")
_ADDRESS = {"host": opt.PEER, "port": opt.PORT}
"""The keys of a peer's table that are no options, and the parameters of the command line that they stand for."""
_CHOICES = (opt.CONFIG.long, opt.NAMED_PEER.long)
"""The options that name the file and the peer."""


_TEXT, _WHOLE, _NUMBER, _WHOLE_OR_TEXT, _NUMBER_OR_TEXT = (str,), (int,), (int, float), (int, str), (int, float, str)
_TYPES: Mapping[type, tuple[tuple[type, ...], ...]] = {
    Integer: (_WHOLE,),
    IntegerOrAuto: (_WHOLE_OR_TEXT,),
    Seconds: (_NUMBER,),
    Patience: (_NUMBER_OR_TEXT,),
    Rate: (_NUMBER_OR_TEXT,),
    Status: (_WHOLE_OR_TEXT,),
    Address: (_TEXT, _WHOLE),
    bench.Frequency: (_NUMBER_OR_TEXT,),
    bench.Size: (_WHOLE_OR_TEXT,),
    bench.Period: (_WHOLE_OR_TEXT,),
    bench.Factor: (_NUMBER,),
    bench.Steps: (_WHOLE_OR_TEXT,),
}
"""The types in TOML of the words of each kind that is not only text."""
_NAMES_OF_TYPES = {
    _TEXT: "a text in quotes",
    _WHOLE: "a whole number",
    _NUMBER: "a number",
    _WHOLE_OR_TEXT: "a whole number or a text in quotes",
    _NUMBER_OR_TEXT: "a number or a text in quotes",
}


class Configured(NamedTuple):
    """What files say about one command line.

    Attributes:
        layers: the peer's table, the command's, the top level.
        warnings: for the user.
    """

    layers: tuple[Layer, ...] = ()
    warnings: tuple[str, ...] = ()


def configured(
    command: Command, commands: Iterable[Command], tokens: Tokens, environment: Mapping[str, str]
) -> Configured:
    """What configuration files say about this command line.

    Args:
        command: the command that is called.
        commands: those whose options a file may hold.
        tokens: the command line.
        environment: it may name the file.

    Raises:
        UsageError: a file cannot be read or is not valid, or the peer has no table.
    """
    chosen = {given.row.long: given.words[0] for given in tokens.options if given.row.long in _CHOICES}
    named = chosen.get(opt.CONFIG.long) or environment.get(opt.CONFIG.variable) or None
    peer = chosen.get(opt.NAMED_PEER.long)
    if peer is not None:
        _refuse_address(command, peer, tokens.parameters)
    path = named or default_path(environment)
    if named is None and (peer is None or not os.path.exists(path)):
        if peer is None:
            return Configured()
        sources = f"neither {opt.CONFIG.long} nor {opt.CONFIG.variable} names one, and there is no {path}"
        raise UsageError(f"{opt.NAMED_PEER.long} {peer}: there is no configuration file: {sources}")
    file = _File(path, command, tuple(commands))
    layers = [] if named is None else [file.layer(command.name), file.layer(_TOP)]
    if peer is not None:
        layers.insert(0, file.of_peer(peer))
    return Configured(tuple(layers), tuple(file.warnings()))


def _refuse_address(command: Command, peer: str, words: Sequence[str]) -> None:
    """Check that a named peer was not given its address too, which would be taken for files.

    Raises:
        UsageError: it was: the second word could be a port, and there are no such files.
    """
    if opt.PEER not in command.parameters or len(words) < len(_ADDRESS) or any(map(os.path.lexists, words[:2])):
        return
    try:
        opt.PORT.kind.parse(words[1:])
    except ValueError:
        return
    address = " ".join(words[:2])
    raise UsageError(f"{opt.NAMED_PEER.long} {peer} stands for the parameters peer and port: leave out {address}")


def default_path(environment: Mapping[str, str]) -> str:
    """The file that is read if none is named."""
    folder = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{folder}/asyncstore/config.toml"


def names_of_peers(path: str) -> list[str]:
    """The names of the peers in a file, whatever else it holds.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    peers = _content_of(path)[0].get(_PEERS)
    return list(peers) if isinstance(peers, dict) else []


def _content_of(path: str) -> tuple[Table, str]:
    """The table in a file, and its text.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    content = read_named(path, _MOST_BYTES, f"{path}: cannot read the configuration file")
    try:
        return parsed_toml(content)
    except ValueError as error:
        raise UsageError(f"{path}: the configuration file is not TOML: {error}") from None


class _File:
    """One file, read for one command.

    Args:
        path: its name.
        command: the command that is called.
        commands: those whose options a file may hold.

    Raises:
        UsageError: it cannot be read, is not TOML, or holds unknown keys or tables.
    """

    def __init__(self, path: str, command: Command, commands: tuple[Command, ...]) -> None:
        self._path = path
        self._command = command
        self._commands = (*commands, command)
        self._known = {each.name: each for each in commands}
        self._content, text = _content_of(path)
        self._lines = _lines_of(text)
        self._tables = self._known_tables()
        self._given = {table: self._checked(table, content) for table, content in self._tables.items()}

    @cached_property
    def _of_peers(self) -> dict[str, Option[object]]:
        """The rows that a peer's table may give."""
        return _by_name(command for command in self._commands if opt.NAMED_PEER.long in command.by_name())

    def of_peer(self, name: str) -> Layer:
        """The options and the address of a peer.

        Raises:
            UsageError: the peer has no table, or the table no host or port.
        """
        table = f"{_PEERS}.{name}"
        content = self._tables.get(table)
        if content is None:
            names = [found.removeprefix(f"{_PEERS}.") for found in self._tables if found.startswith(f"{_PEERS}.")]
            there = f"it names {', '.join(names)}" if names else "it names no peers"
            raise UsageError(f"{opt.NAMED_PEER.long} {name}: {self._path} has no table [{table}]: {there}")
        parameters: dict[str, tuple[str, ...]] = {}
        for key, parameter in _ADDRESS.items():
            if key not in content:
                raise UsageError(f"{self._path}: [{table}]: the key {key} is missing")
            parameters[parameter.key] = self._words(table, key, parameter.kind, [content[key]])
        return self.layer(table)._replace(parameters=parameters)

    def warnings(self) -> Iterator[str]:
        """Warnings for the user (rule 5)."""
        held = sorted(
            {
                given.row.bare_name
                for table in self._given.values()
                for given in table
                if isinstance(given.row.kind, Secret)
            }
        )
        if held and os.name == "posix" and _mode_of(self._path) & (stat.S_IRGRP | stat.S_IROTH):
            yield f"{self._path} holds a secret ({held[0]}), and others may read it: chmod 600 {self._path}"

    def _known_tables(self) -> dict[str, Table]:
        """All tables by name; those of peers are ``peers.NAME``."""
        top: Table = {}
        tables = {_TOP: top}
        for name, value in self._content.items():
            if name == _PEERS:
                tables |= self._tables_of_peers(value)
            elif not isinstance(value, dict):
                top[name] = value
            elif name in self._known:
                tables[name] = value
            else:
                raise UsageError(self._unknown_table(name, value))
        return tables

    def _tables_of_peers(self, peers: object) -> dict[str, Table]:
        complaint = f"a peer is a table of its own: [{_PEERS}.NAME]"
        if not isinstance(peers, dict):
            raise UsageError(f"{self._place('', _PEERS)}: {complaint}")
        for name, content in peers.items():
            if not isinstance(content, dict):
                raise UsageError(f"{self._place(_PEERS, name)}: {complaint}")
        return {f"{_PEERS}.{name}": content for name, content in peers.items()}

    def _unknown_table(self, name: str, content: Table) -> str:
        """The complaint about an unknown table, with the most similar name."""
        found, close = name, closest(name.lower(), [*self._known, _PEERS])
        inner = next((f".{key}" for key, value in content.items() if isinstance(value, dict)), "")
        if close == [_PEERS]:
            found, close = f"{name}{inner}", [f"{_PEERS}{inner or '.NAME'}"]
        elif not close and content.keys() & _ADDRESS:
            close = [f"{_PEERS}.{name}"]
        return f"{self._place(found)}: unknown table{did_you_mean(f'[{table}]' for table in close)}"

    def _checked(self, table: str, content: Table) -> list[Given]:
        """The options that a table gives. Unknown keys and invalid values are errors (rule 1)."""
        address: Mapping[str, Parameter[object]] = {}
        rows: Mapping[str, Option[object]]
        if not content:
            return []
        if table == _TOP:
            rows = _by_name(self._commands)
        elif table in self._known:
            rows = _by_name([self._known[table]])
        else:
            rows, address = self._of_peers, _ADDRESS
        given: list[Given] = []
        for key, value in content.items():
            if isinstance(value, dict) and table != _TOP:
                given += self._checked_within(table, key, value, rows)
            elif key in rows:
                given.append(self._option(table, rows[key], value))
            elif key in address:
                self._words(table, key, address[key].kind, [value])
            else:
                raise UsageError(f"{self._place(table, key)}: {self._complaint(key, rows, address)}")
        return given

    def _checked_within(self, table: str, name: str, content: Table, rows: Mapping[str, Option[object]]) -> list[Given]:
        """The options that a table within a table gives (rule 4)."""
        given = []
        for key, value in content.items():
            row = rows.get(f"{name}-{key}")
            if row is None:
                raise UsageError(f"{self._place(f'{table}.{name}', key)}: {self._complaint(f'{name}-{key}', rows, ())}")
            given.append(self._option(f"{table}.{name}", row, value, key))
        return given

    def _complaint(self, key: str, rows: Mapping[str, Option[object]], address: Iterable[str]) -> str:
        """The complaint about a key that no option has, with the most similar one."""
        if any(row.line_only and row.bare_name == key for each in self._commands for row in each.options()):
            return f"this can only stand on the command line: --{key}"
        bare = key.lstrip("+-")
        meant = [name for name, row in rows.items() if row.short is not None and row.short[1:] == bare]
        meant = meant or closest(bare.lower().replace("_", "-"), [*address, *rows])
        return f"unknown key{did_you_mean(meant)}"

    def layer(self, table: str) -> Layer:
        """The table of this name as a layer, without the options of other commands (rule 2)."""
        given = self._given.get(table)
        if not given:
            return Layer([])
        own = _by_name([self._command])
        return Layer([option for option in given if option.row.bare_name in own])

    def _option(self, table: str, row: Option[object], value: object, key: str | None = None) -> Given:
        key = key or row.bare_name
        origin = self._place(table, key)
        if not row.kind.names:
            if not isinstance(value, bool):
                raise UsageError(f"{origin}: true or false is needed")
            return Given(row, (), origin, is_off=not value)
        values = value if row.accumulates and isinstance(value, list) else [value]
        return Given(row, self._words(table, key, row.kind, values), origin)

    def _words(self, table: str, key: str, kind: Kind[object], values: Iterable[object]) -> tuple[str, ...]:
        """The words of some values; they are checked by their kind."""
        place = self._place(table, key)
        try:
            words = tuple(word for value in values for word in _words(kind, value))
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
        value_of(kind, words, place)
        return words

    def _place(self, table: str, key: str | None = None) -> str:
        """What messages call a table or a key in it, with the line if it can be found."""
        line = self._lines.get((table, key))
        parts = [self._path if line is None else f"{self._path}:{line}", f"[{table}]" if table else "", key or ""]
        return f"{parts[0]}: {' '.join(part for part in parts[1:] if part)}"


def _by_name(commands: Iterable[Command]) -> dict[str, Option[object]]:
    """The rows that a file may give for these commands, by key; if several have the key, the last command's row."""
    rows = (row for command in commands for row in command.options())
    return {row.bare_name: row for row in rows if row.is_configurable and row.long != opt.CONFIG.long}


def _words(kind: Kind[object], value: object) -> Iterator[str]:
    """The words of a value.

    Raises:
        ValueError: it does not have the type that its kind needs (rule 1).
    """
    names = kind.names
    words = value if isinstance(value, list) and len(names) > 1 else [value]
    if len(words) != len(names):
        raise ValueError(f"an array of {len(names)} is needed: {' '.join(names)}")
    for word, types in zip(words, _TYPES.get(type(kind), [_TEXT] * len(names)), strict=True):
        if type(word) not in types:  # exactly: to Python, true and false are numbers
            raise ValueError(f"{_NAMES_OF_TYPES[types]} is needed")
        if isinstance(word, str) and "\0" in word:  # as no command line and no variable can
            raise ValueError("a text cannot hold a NUL character")
        yield f"{word:#06x}" if isinstance(kind, Status) and isinstance(word, int) else str(word)


def _mode_of(path: str) -> int:
    """The mode of a file; 0 if it no longer exists."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _lines_of(text: str) -> dict[tuple[str, str | None], int]:
    """The line of each table's header (key ``None``) and of each key, for the usual ways to write them."""
    found: dict[tuple[str, str | None], int] = {}
    table = _TOP
    for number, line in enumerate(text.split("\n"), 1):  # no other character ends a line of TOML
        header, key = _HEADER.match(line), _KEY.match(line)
        if header is not None:
            table = re.sub(r"[\s'\"]", "", header[1])
            found.setdefault((table, None), number)
        elif key is not None:
            found.setdefault((table, key[1]), number)
    return found
