"""What a dictConfig file for ``-lc`` may hold, and a configurator that accepts nothing else.

Python's own configurator imports and calls the names in such a file: factories (``()``), classes, ``ext://`` and
``cfg://``. A file must not be able to run code, so:

1. Names are looked up in the table of handlers below only. It has the standard library's handlers that write text to a
   stream, a file or the system log. Others send records away with their values (HTTPHandler, SMTPHandler,
   SocketHandler, DatagramHandler), resolve names themselves (QueueHandler), hold records back (MemoryHandler) or load a
   library (NTEventLogHandler).
2. Handlers, formatters and filters take only the keys that are listed here. ``ext://sys.stdout`` and
   ``ext://sys.stderr`` are the names of the two streams.
3. Widths, names and numbers are bounded: a line of a billion spaces, or renaming a billion files, would take for
   ever.
4. New log files belong to their owner alone, also those that rotation creates.
"""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import re
import string
from itertools import chain
from typing import TYPE_CHECKING, Any

from asyncstore.errors import UsageError
from asyncstore.named_files import private
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from io import TextIOWrapper

Settings = dict[str, Any]
"""A dictionary for :func:`logging.config.dictConfig`."""

STANDARD_ERROR, STANDARD_OUTPUT = "ext://sys.stderr", "ext://sys.stdout"
MOST_BACKUPS = 1000
"""Most old log files that rotation keeps: it looks for each of them whenever it begins a new one."""
WIDEST = 999
"""Most characters of a field in a line."""

_LONGEST_NAME = 255
"""Most characters of a logger's name: logging makes an entry for each of its dots, with the name up to there."""

_MOST_LOGGERS = 1000
"""Most loggers of a file: logging looks at all loggers whenever the level of one is set."""

_TABLES = ("formatters", "filters", "handlers", "loggers")
"""The tables in dictConfig's schema that hold tables."""
_TOP_KEYS = frozenset({"version", "disable_existing_loggers", "incremental", "root", *_TABLES})
_PREFIXES = ("ext://", "cfg://")
_TOO_WIDE = re.compile(r"[0-9]{4,}")
_SPECIFICATION = re.compile(r"[^a-zA-Z]*")
"""Flags, width and precision of a field of ``%`` style, between its name and its letter."""


class _File(logging.FileHandler):
    """Creates files for their owner alone (rule 4)."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private)  # type: ignore[return-value]


class _RotatingFile(_File, logging.handlers.RotatingFileHandler):
    pass


class _TimedRotatingFile(_File, logging.handlers.TimedRotatingFileHandler):
    pass


class _WatchedFile(_File, logging.handlers.WatchedFileHandler):
    pass


class _Handler(NamedTuple):
    """A handler that a file may name, and its own keys."""

    kind: type[logging.Handler]
    keys: frozenset[str]


_COMMON_KEYS = frozenset({"class", "level", "formatter", "filters"})
_FILE_KEYS = frozenset({"filename", "mode", "encoding", "delay", "errors"})
_HANDLERS = {
    "logging.StreamHandler": _Handler(logging.StreamHandler, frozenset({"stream"})),
    "logging.NullHandler": _Handler(logging.NullHandler, frozenset()),
    "logging.FileHandler": _Handler(_File, _FILE_KEYS),
    "logging.handlers.WatchedFileHandler": _Handler(_WatchedFile, _FILE_KEYS),
    "logging.handlers.RotatingFileHandler": _Handler(_RotatingFile, _FILE_KEYS | {"maxBytes", "backupCount"}),
    "logging.handlers.TimedRotatingFileHandler": _Handler(
        _TimedRotatingFile, _FILE_KEYS - {"mode"} | {"when", "interval", "backupCount", "utc", "atTime"}
    ),
    "logging.handlers.SysLogHandler": _Handler(
        logging.handlers.SysLogHandler, frozenset({"address", "facility", "socktype"})
    ),
}
_FORMATTERS = ("logging.Formatter",)
_FORMATTER_KEYS = frozenset({"class", "format", "datefmt", "style", "validate", "defaults"})
_FILTER_KEYS = frozenset({"name"})
_MODES = ("a", "w", "x")


class Configurator(logging.config.DictConfigurator):
    """dictConfig's configurator, which knows the handlers of the table and no other name (rule 1)."""

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.value_converters = {}

    def resolve(self, s: str) -> Any:  # noqa: ANN401 - as the base class has it
        """The class of this name.

        Raises:
            ValueError: the table has no such name.
        """
        if s not in _HANDLERS:
            raise ValueError(f"there is no handler {s}")
        return _HANDLERS[s].kind


def check_settings(path: str, settings: Settings) -> None:
    """Check that a file holds only what it may (rules 1 to 3).

    Raises:
        UsageError: it holds something else.
    """
    for complaint in chain(_no_tables(settings), _names(settings), _complaints(settings)):
        raise UsageError(f"{path}: {complaint}")


def _no_tables(settings: Settings) -> Iterator[str]:
    """Complaints about values that must be tables: dictConfig does not check that."""
    entries = {name: settings.get(name, {}) for name in (*_TABLES, "root")}
    for name in _TABLES:
        if isinstance(entries[name], dict):
            entries |= {f"{name}.{key}": entry for key, entry in entries[name].items()}
    return (f"{name} is no table" for name, entry in entries.items() if not isinstance(entry, dict))


def _names(settings: Settings) -> Iterator[str]:
    """Complaints about names that dictConfig would look up and call, anywhere in the file."""
    pending: list[tuple[tuple[str, ...], object]] = [((), settings)]
    while pending:
        place, value = pending.pop()
        if isinstance(value, dict):
            if "()" in value:
                yield f"{_shown(place)}: () is not allowed: no code is run for a log configuration"
            pending += [((*place[:3], str(key)), each) for key, each in value.items()]
        elif isinstance(value, list):
            pending += [(place, each) for each in value]
        elif isinstance(value, str) and value.startswith(_PREFIXES) and not _is_stream(place, value):
            yield (
                f"{_shown(place)}: {value} is not allowed; of such names a StreamHandler's stream may be "
                f"{STANDARD_OUTPUT} or {STANDARD_ERROR}"
            )


def _is_stream(place: tuple[str, ...], value: str) -> bool:
    """Whether a handler names one of the two streams here (rule 2)."""
    return place[:1] == ("handlers",) and place[2:] == ("stream",) and value in (STANDARD_ERROR, STANDARD_OUTPUT)


def _shown(place: tuple[str, ...]) -> str:
    return ".".join(place) or "the top level"


def _complaints(settings: Settings) -> Iterator[str]:
    yield from _about_keys(settings, _TOP_KEYS)
    for name, entry in settings.get("handlers", {}).items():
        yield from (f"handlers.{name}: {complaint}" for complaint in _about_handler(entry))
    for name, entry in settings.get("formatters", {}).items():
        yield from (f"formatters.{name}: {complaint}" for complaint in _about_formatter(entry))
    yield from about_loggers(settings.get("loggers", {}))
    for name, entry in settings.get("filters", {}).items():
        yield from (f"filters.{name}: {complaint}" for complaint in _about_keys(entry, _FILTER_KEYS))


def about_loggers(names: Collection[str]) -> Iterator[str]:
    """Complaints about too many loggers, or too long names."""
    if len(names) > _MOST_LOGGERS:
        yield f"there are more than {_MOST_LOGGERS} loggers"
    if any(len(name) > _LONGEST_NAME for name in names):
        yield f"the name of a logger has at most {_LONGEST_NAME} characters"


def _about_handler(entry: Settings) -> Iterator[str]:
    kind = entry.get("class")
    if not isinstance(kind, str) or kind not in _HANDLERS:
        problem = "class is missing" if kind is None else f"class {kind!r} is not allowed"
        yield f"{problem}; there are {', '.join(_HANDLERS)}"
        return
    yield from _about_keys(entry, _HANDLERS[kind].keys | _COMMON_KEYS)
    if "stream" in entry and entry["stream"] not in (STANDARD_ERROR, STANDARD_OUTPUT):
        yield f"stream is neither {STANDARD_OUTPUT} nor {STANDARD_ERROR}"
    if entry.get("mode", "a") not in _MODES:
        yield f"mode is none of {', '.join(_MODES)}"
    backups = entry.get("backupCount", 0)
    if not isinstance(backups, int) or backups > MOST_BACKUPS:
        yield f"backupCount is no whole number up to {MOST_BACKUPS}"


def _about_formatter(entry: Settings) -> Iterator[str]:
    yield from _about_keys(entry, _FORMATTER_KEYS)
    kind, style, text = entry.get("class", "logging.Formatter"), entry.get("style", "%"), entry.get("format", "")
    if kind not in _FORMATTERS:
        yield f"class {kind!r} is not allowed; there is {', '.join(_FORMATTERS)}"
    if style not in ("%", "{", "$"):
        yield "style is none of %, { and $"
    elif not isinstance(text, str):
        yield "format is no text"
    elif any(map(_TOO_WIDE.search, _specifications(text, style))):
        yield f"format has a field that is wider than {WIDEST} characters"
    elif style == "{" and not _is_flat(text):
        yield "format may have fields like {message} and {levelname:<8}, and nothing within them"
    defaults = entry.get("defaults", {})
    if not isinstance(defaults, dict) or not all(isinstance(value, str | int | float) for value in defaults.values()):
        yield "defaults is no table of texts and numbers"


def _about_keys(entry: Settings, known: frozenset[str]) -> Iterator[str]:
    """Complaints about unknown keys. Among them is ``.``, which would set attributes."""
    return (f"unknown key {key!r}; there are {', '.join(sorted(known))}" for key in entry if key not in known)


def _specifications(text: str, style: str) -> list[str]:
    if style == "%":
        pieces = (piece.partition(")") for piece in text.split("%(")[1:])
        return [found[0] for _, end, rest in pieces if end and (found := _SPECIFICATION.match(rest))]
    return [] if style == "$" else [specification for _, specification, _ in _fields(text)]


def _is_flat(text: str) -> bool:
    """Whether all fields of ``{`` style are plain names: others could read attributes of logged objects."""
    return all(name.isidentifier() and "{" not in inner for name, inner, _ in _fields(text))


def _fields(text: str) -> list[tuple[str, str, str | None]]:
    """Name, specification and conversion of each field of ``{`` style; empty if braces do not match."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:  # dictConfig says why
        return []
    return [(name, inner or "", conversion) for _, name, inner, conversion in parts if name is not None]
