"""Configuration files: options and named peers in TOML, as layers beneath the command line.

    no-halt = true                      # for every command that has the option

    [send]                              # for this command
    associations = 8

    [peers.pacs1]                       # for --peer pacs1
    host = "pacs.example.org"
    port = 11112
    call = "PACS"

Rules:

1. A key is an option's long name without the hyphens. Flags take true or false, options of two words an array of two,
   options that may be given again an array of values, all others one value.
2. The peer's table comes before the command's, that one before the top level (grammar.py, rule 6). At the top level and
   in a peer's table keys may belong to other commands; a key that no command knows is an error.
3. The file is the one that ``--config`` or ``ASYNCSTORE_CONFIG`` names. Without either, ``--peer`` alone looks into
   ``$XDG_CONFIG_HOME/asyncstore/config.toml`` (``~/.config`` without that variable), and only at its peers: a file that
   lies in a home directory never changes what a command line means that does not ask for it.
4. A file that holds a secret is to be read by its owner alone; otherwise there is a warning.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncstore.cli.grammar import Given, Layer
from asyncstore.cli.kinds import Secret
from asyncstore.cli.options import CONFIG, NAMED_PEER, PEER, PORT
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asyncstore.cli.grammar import Tokens
    from asyncstore.cli.table import Command, Option

Table = dict[str, Any]
"""A table as tomllib gives it."""

_PEERS = "peers"
_ADDRESS = {"host": PEER, "port": PORT}
"""What a peer's table holds besides options, and the parameters that stand there instead of on the command line."""
_CHOICES = (CONFIG.long, NAMED_PEER.long)
"""The options that say which file and which peer."""


class Configured(NamedTuple):
    """What files say about one command line.

    Attributes:
        layers: the peer's table, the command's, the top level.
        warnings: what the user should know about them.
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
        environment: which may name the file.

    Raises:
        UsageError: a file cannot be read or says what cannot be, or the peer has no table.
    """
    chosen = {given.row.long: given.words[0] for given in tokens.options if given.row.long in _CHOICES}
    named = chosen.get(CONFIG.long) or environment.get(CONFIG.variable)
    peer = chosen.get(NAMED_PEER.long)
    path = named or default_path(environment)
    if named is None and (peer is None or not os.path.exists(path)):  # noqa: PTH110 - pathlib costs 7 ms
        if peer is None:
            return Configured()
        sources = f"neither {CONFIG.long} nor {CONFIG.variable} names one, and there is no {path}"
        raise UsageError(f"{NAMED_PEER.long} {peer}: there is no configuration file: {sources}")
    file = _File(path, command, tuple(commands))
    layers = [] if named is None else [file.of_command(), file.of_all()]
    if peer is not None:
        layers.insert(0, file.of_peer(peer))
    return Configured(tuple(layers), tuple(file.warnings()))


def default_path(environment: Mapping[str, str]) -> str:
    """The file that is looked into when none is named."""
    folder = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - as above
    return f"{folder}/asyncstore/config.toml"


class _File:
    """One file, read for one command.

    Args:
        path: its name.
        command: the command that is called.
        commands: those whose options a file may hold.

    Raises:
        UsageError: it cannot be read, is not TOML, or holds what nobody knows.
    """

    def __init__(self, path: str, command: Command, commands: tuple[Command, ...]) -> None:
        self._path = path
        self._command = command
        self._rows = {row.bare_name: row for row in _rows(command)}
        self._known = {each.name: tuple(row.bare_name for row in _rows(each)) for each in commands}
        self._secrets = {row.bare_name for each in commands for row in _rows(each) if isinstance(row.kind, Secret)}
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 7 ms
                self._mode = os.fstat(file.fileno()).st_mode
                self._lines = file.read().decode().splitlines()
            self._content: Table = tomllib.loads("\n".join(self._lines))
        except OSError as error:
            raise UsageError(f"{path}: cannot read the configuration file: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: the configuration file is not TOML: {error}") from None
        self._tables = self._checked_tables()

    def of_all(self) -> Layer:
        """What it says at the top level."""
        return self._layer("", {key: value for key, value in self._content.items() if not isinstance(value, dict)})

    def of_command(self) -> Layer:
        """What it says about the command."""
        return self._layer(self._command.name, self._tables.get(self._command.name, {}))

    def of_peer(self, name: str) -> Layer:
        """What it says about a peer.

        Raises:
            UsageError: nothing, or not enough.
        """
        table = f"{_PEERS}.{name}"
        content = self._tables.get(table)
        if content is None:
            names = [found.removeprefix(f"{_PEERS}.") for found in self._tables if found.startswith(f"{_PEERS}.")]
            there = f"there are {', '.join(names)}" if names else "it names no peers"
            raise UsageError(f"{NAMED_PEER.long} {name}: {self._path} has no table [{table}]: {there}")
        options = {key: value for key, value in content.items() if key not in _ADDRESS}
        parameters: dict[str, tuple[str, ...]] = {}
        for key, parameter in _ADDRESS.items():
            if key not in content:
                raise UsageError(f"{self._path}: [{table}]: the key {key} is missing")
            try:
                words = (_word(content[key]),)
                parameter.kind.parse(words)
            except ValueError as error:
                raise UsageError(f"{self._place(table, key)}: {error}") from None
            parameters[parameter.key] = words
        return self._layer(table, options)._replace(parameters=parameters)

    def warnings(self) -> Iterator[str]:
        """What the user should know about it (rule 4)."""
        held = sorted({key for table in (self._content, *self._tables.values()) for key in table} & self._secrets)
        if held and os.name == "posix" and self._mode & (stat.S_IRGRP | stat.S_IROTH):
            yield f"{self._path} holds a secret ({held[0]}), and others may read it: chmod 600 {self._path}"

    def _checked_tables(self) -> dict[str, Table]:
        """All tables by their names, those of peers as ``peers.NAME``; their keys are known."""
        everywhere = {key for keys in self._known.values() for key in keys}
        of_peers = {*_ADDRESS, *everywhere}
        tables: dict[str, Table] = {}
        for name, value in self._content.items():
            if name == _PEERS and isinstance(value, dict):
                tables |= {f"{_PEERS}.{peer}": content for peer, content in value.items()}
            elif isinstance(value, dict):
                if name not in self._known:
                    known = [*self._known, f"{_PEERS}.NAME"]
                    raise UsageError(f"{self._place(name)}: unknown table{_likeliest(name, known, '[{}]')}")
                tables[name] = value
            else:
                self._check_key("", name, everywhere)
        for table, content in tables.items():
            if not isinstance(content, dict):
                raise UsageError(f"{self._place(_PEERS, table.removeprefix('peers.'))}: a peer is a table of its own")
            for key in content:
                self._check_key(table, key, self._known.get(table, of_peers))
        return tables

    def _check_key(self, table: str, key: str, known: Iterable[str]) -> None:
        """See that some option has this name."""
        if key not in known:
            raise UsageError(f"{self._place(table, key)}: unknown key{_likeliest(key, known, '{}')}")

    def _layer(self, table: str, content: Table) -> Layer:
        """A table as a layer, without what belongs to other commands (rule 2)."""
        return Layer([self._given(table, key, value) for key, value in content.items() if key in self._rows])

    def _given(self, table: str, key: str, value: object) -> Given:
        """One option as the file gives it (rule 1)."""
        row, origin = self._rows[key], self._place(table, key)
        if not row.kind.names:
            if not isinstance(value, bool):
                raise UsageError(f"{origin}: true or false is needed")
            return Given(row, (), origin, is_off=not value)
        try:
            return Given(row, tuple(_words(row, value)), origin)
        except ValueError as error:
            raise UsageError(f"{origin}: {error}") from None

    def _place(self, table: str, key: str | None = None) -> str:
        """What messages call a table or a key in it: with the line, where it can be found."""
        line = _line_of(self._lines, table, key)
        parts = [self._path if line is None else f"{self._path}:{line}", f"[{table}]" if table else "", key or ""]
        return f"{parts[0]}: {' '.join(part for part in parts[1:] if part)}"


def _rows(command: Command) -> Iterator[Option[object]]:
    """The rows of a command that a file may give."""
    return (row for row in command.options() if not row.exits and not row.line_only and row.long != CONFIG.long)


def _words(row: Option[object], value: object) -> Iterator[str]:
    """The words of a value.

    Raises:
        ValueError: it has not the form that the option needs.
    """
    names = row.kind.names
    values = value if row.accumulates and isinstance(value, list) else [value]
    for each in values:
        words = each if isinstance(each, list) and len(names) > 1 else [each]
        if len(words) != len(names):
            shape = f"an array of {len(names)} words" if len(names) > 1 else "one value"
            raise ValueError(f"{shape} is needed: {' '.join(names)}")
        yield from map(_word, words)


def _word(value: object) -> str:
    """A value as it would stand on the command line.

    Raises:
        ValueError: it is neither a text nor a number.
    """
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a text or a number is needed")


def _likeliest(name: str, known: Iterable[str], form: str) -> str:
    """What was probably meant."""
    close = get_close_matches(name, list(known), n=1)
    return f": did you mean {form.format(close[0])}?" if close else ""


def _line_of(lines: Iterable[str], table: str, key: str | None) -> int | None:
    """The line of a table's header or of a key in it; ``None`` where it is written in another way than most do."""
    current = ""
    for number, line in enumerate(lines, 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header is not None:
            current = re.sub(r"[\s'\"]", "", header[1])
            if key is None and current == table:
                return number
        elif key is not None and current == table and re.match(rf"\s*['\"]?{re.escape(key)}['\"]?\s*=", line):
            return number
    return None
