"""Turn log4cplus property files, which DCMTK's programs take (``-lc``), into a dictionary for Python's logging.

    log4cplus.rootLogger = DEBUG, console, logfile
    log4cplus.appender.console = log4cplus::ConsoleAppender
    log4cplus.appender.console.layout = log4cplus::PatternLayout
    log4cplus.appender.console.layout.ConversionPattern = %D{%H:%M:%S} %5p: %m%n

Rules:

1. A file for a program of DCMTK works for the command that replaces it: ``${appname}`` is the program's name, and the
   logger ``dcmtk.apps`` with that name stands for all our loggers, because storescu writes nearly all its lines through
   it. DCMTK's loggers configure those of ours that do the same (:func:`loggers_of`). Loggers of its other programs and
   modules are ignored. Ours have their own names too.
2. ``${name}`` is another setting of the file, ``appname``, ``date``, ``time``, ``pid`` or ``hostname``, or a variable
   of the environment. Unknown names stay as they are.
3. Names of settings are compared without case: Debian's files write ``logToStderr``. (DCMTK looks for ``logToStdErr``,
   does not find it, and logs to standard output.)
4. Errors that log4cplus would ignore (an unknown appender, layout or level, a file that cannot be opened) are reported
   with their line. A PatternLayout without a pattern is a SimpleLayout, with a warning, as in log4cplus.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from asyncstore.cli.logging.log_layouts import PatternLayout, SimpleLayout
from asyncstore.cli.logging.log_levels import LEVELS, SILENT
from asyncstore.cli.logging.log_schema import MOST_BACKUPS, STANDARD_ERROR, STANDARD_OUTPUT, about_loggers
from asyncstore.errors import UsageError
from asyncstore.named_files import interruptible, private
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from asyncstore.cli.logging.log_schema import Settings

    Verdict = Callable[[logging.LogRecord], bool | None]
    """A filter's answer to a record: accept, deny, or (``None``) let the next filter decide."""

_NETWORK = ("asyncstore.network", "asyncstore.negotiation", "asyncstore.schedule", "asyncstore.sink")
_APPS = "dcmtk.apps"


def loggers_of(program: str) -> dict[str, tuple[str, ...]]:
    """DCMTK's loggers and those of ours that do the same, if we replace this program."""
    everything = ("asyncstore.cli", "asyncstore.limiting", "asyncstore.run", *_NETWORK)
    return {
        "dcmtk": ("asyncstore",),
        _APPS: everything,
        f"{_APPS}.{program}": everything,
        "dcmtk.dcmnet": _NETWORK,
        "dcmtk.dcmtls": ("asyncstore.network.tls_files",),
    }


_PREFIX = "log4cplus."
_DEEPEST = 8
"""How deep variables may be nested: more than people need, and circles end."""
_LONGEST = 1 << 18
"""Most characters that variables may stand for in a file: eight lines that each name the next one ten times would make
a hundred million."""
_VARIABLE = r"\$\{([^}]*)\}"
_ROOT = "rootlogger"
_LEVELS = LEVELS | {"off": SILENT, "all": 1}
_INHERITED = frozenset({"inherit", "inherited", "notset", "not_set"})
_SCHEDULES = {
    "monthly": ("D", 30),
    "weekly": ("W0", 1),
    "daily": ("midnight", 1),
    "twice_daily": ("H", 12),
    "hourly": ("H", 1),
    "minutely": ("M", 1),
}
"""When DailyRollingFileAppender begins a new file: unit and number for Python's handler, which does not know months."""
_LEAST_ROLLING = 200 * 1024
"""A rolling file is at least this long, as in log4cplus."""
_ROLLING = 10 * 1024 * 1024
"""The default length of a rolling file, as in log4cplus."""
_SIZES = {"kb": 1024, "mb": 1024 * 1024}


class Property(NamedTuple):
    """One setting.

    Attributes:
        key: its name as written.
        value: its value, with variables replaced.
        line: the number of its line.
    """

    key: str
    value: str
    line: int


def dictionary(path: str, text: str, program: str, environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The dictionary that a property file gives, and warnings for its author.

    Args:
        path: its name, for messages.
        text: its content.
        program: the program that the file is for.
        environment: more variables for ``${name}``.

    Raises:
        UsageError: it is not valid.
    """
    try:
        found = _expanded(_properties(text), _variables_of(program, environment))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    reader = _Reader(path, found, loggers_of(program))
    return reader.settings(), reader.remarks


def _variables_of(program: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for ``${name}`` in any file: DCMTK's five, then the environment."""
    import platform  # few runs have such a file

    now = datetime.now().astimezone()
    return {
        **environment,
        "appname": program,
        "date": now.strftime("%Y%m%d"),
        "time": now.strftime("%H%M%S"),
        "pid": str(os.getpid()),
        "hostname": platform.node(),
    }


def _properties(text: str) -> Iterator[Property]:
    """The settings of a text: lines of ``key = value``; comments begin with ``#``."""
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            yield Property(key.strip(), value.strip(), number)


def _expanded(properties: Iterable[Property], variables: Mapping[str, str]) -> dict[str, Property]:
    """The last setting of each name, with variables replaced (rule 2), by the name in small letters.

    Raises:
        ValueError: the replaced text is too long.
    """
    found = {setting.key.lower(): setting for setting in properties}
    known = {**variables, **{setting.key: setting.value for setting in found.values()}}

    left = _LONGEST

    def replaced(text: str, depth: int = 0) -> str:
        nonlocal left
        left -= len(text) if depth else 0
        if left < 0:
            raise ValueError(f"its variables stand for more than {_LONGEST} characters")
        if depth > _DEEPEST:
            return text
        end = text.rfind("}") + 1  # behind it, each ${ would be compared with all that follows
        found = re.sub(_VARIABLE, lambda name: replaced(known.get(name[1]) or name[0], depth + 1), text[:end])
        return found + text[end:]

    return {replaced(key): setting._replace(value=replaced(setting.value)) for key, setting in found.items()}


class _Chain(NamedTuple):
    """The filters of an appender. The first one that decides counts; if none does, the record is shown."""

    verdicts: tuple[Verdict, ...]

    def filter(self, record: logging.LogRecord) -> bool:
        return next((said for said in (verdict(record) for verdict in self.verdicts) if said is not None), True)


def _itself(formatter: logging.Formatter) -> logging.Formatter:
    """The factory that dictConfig calls for a formatter that exists already."""
    return formatter


class _Reader:
    """Turns settings into the dictionary.

    Args:
        path: the file's name.
        found: its settings by their names in small letters.
        loggers: DCMTK's loggers and those of ours that do the same.

    Attributes:
        remarks: warnings for the author of the file.
    """

    def __init__(self, path: str, found: Mapping[str, Property], loggers: Mapping[str, tuple[str, ...]]) -> None:
        self._path = path
        self._loggers = loggers
        self.remarks: list[str] = []
        self._found = {key.removeprefix(_PREFIX): value for key, value in found.items() if key.startswith(_PREFIX)}

    def settings(self) -> Settings:
        root = self._found.get(_ROOT)
        if root is None:
            raise UsageError(f"{self._path}: {_PREFIX}rootLogger is missing, so nothing would be logged")
        settings: Settings = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {},
            "handlers": {},
            "root": self._logger(root),
            "loggers": {},
        }
        for _, setting in self._below("logger."):
            name = setting.key[len(_PREFIX) + len("logger.") :]
            for ours in self._ours(name):
                settings["loggers"].setdefault(ours, {}).update(self._logger(setting))
        for _, setting in self._below("additivity."):
            for ours in self._ours(setting.key[len(_PREFIX) + len("additivity.") :]):
                settings["loggers"].setdefault(ours, {})["propagate"] = self._truth(setting)
        for complaint in about_loggers(settings["loggers"]):
            raise UsageError(f"{self._path}: {complaint}")
        for name, setting in self._below("appender."):
            if "." not in name:
                settings["formatters"][name] = {"()": partial(_itself, self._layout(f"appender.{name}.layout"))}
                settings["handlers"][name] = self._appender(name, setting) | {"formatter": name}
        return settings

    def _ours(self, name: str) -> tuple[str, ...]:
        """Our loggers for a name (rule 1)."""
        return (name,) if name.partition(".")[0] != "dcmtk" else self._loggers.get(name, ())

    def _logger(self, setting: Property) -> Settings:
        level, *appenders = [word.strip() for word in setting.value.split(",")]
        for name in appenders:
            if f"appender.{name.lower()}" not in self._found:
                raise self._refusal(setting, f"there is no appender {name}")
        logger: Settings = {"handlers": [name.lower() for name in appenders]}
        if level.lower() not in _INHERITED:
            logger["level"] = self._level(setting, level)
        return logger

    def _appender(self, name: str, setting: Property) -> Settings:
        known: dict[str, Callable[[str, Property], Settings]] = {
            "consoleappender": self._console,
            "fileappender": self._file,
            "rollingfileappender": self._rolling_file,
            "dailyrollingfileappender": self._timed_file,
            "nullappender": lambda *_: {"class": "logging.NullHandler"},
        }
        make = known.get(_class_name(setting.value))
        if make is None:
            kinds = "ConsoleAppender, FileAppender, RollingFileAppender, DailyRollingFileAppender and NullAppender"
            raise self._refusal(setting, f"{setting.value} is not among the appenders there are: {kinds}")
        handler = make(f"appender.{name}", setting)
        handler["filters"] = [_Chain(tuple(self._verdicts(f"appender.{name}.filters")))]
        threshold = self._found.get(f"appender.{name}.threshold")
        if threshold is not None and threshold.value.lower() not in _INHERITED:
            handler["level"] = self._level(threshold, threshold.value)
        return handler

    def _console(self, key: str, _: Property) -> Settings:
        stderr = self._found.get(f"{key}.logtostderr")
        stream = STANDARD_ERROR if stderr is not None and self._truth(stderr) else STANDARD_OUTPUT
        return {"class": "logging.StreamHandler", "stream": stream}

    def _file(self, key: str, setting: Property) -> Settings:
        append = self._found.get(f"{key}.append")
        mode = "a" if append is not None and self._truth(append) else "w"
        return {"class": "logging.FileHandler", "filename": self._file_name(key, setting), "mode": mode}

    def _rolling_file(self, key: str, setting: Property) -> Settings:
        return {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": self._file_name(key, setting),
            "maxBytes": self._size(self._found.get(f"{key}.maxfilesize")),
            "backupCount": max(1, self._backups(f"{key}.maxbackupindex", 1)),
        }

    def _timed_file(self, key: str, setting: Property) -> Settings:
        schedule = self._found.get(f"{key}.schedule")
        when = _SCHEDULES["daily"] if schedule is None else _SCHEDULES.get(schedule.value.lower())
        if when is None:
            raise self._refusal(schedule or setting, f"the schedule is none of {', '.join(_SCHEDULES)}")
        return {
            "class": "logging.handlers.TimedRotatingFileHandler",
            "filename": self._file_name(key, setting),
            "when": when[0],
            "interval": when[1],
            "backupCount": self._backups(f"{key}.maxbackupindex", 10),
        }

    def _file_name(self, key: str, setting: Property) -> str:
        name = self._found.get(f"{key}.file")
        if name is None or not name.value:
            raise self._refusal(setting, f"{setting.key}.File is missing")
        try:
            with interruptible(), open(name.value, "ab", opener=private):
                pass
        except OSError as error:
            refusal = self._refusal(name, f"cannot write the log file {name.value}: {error.strerror}")
            refusal.add_note(
                f"See that its folder exists and can be written to, or change line {name.line} of {self._path}."
            )
            raise refusal from None
        return name.value

    def _layout(self, key: str) -> logging.Formatter:
        layout = self._found.get(key)
        name = "simplelayout" if layout is None else _class_name(layout.value)
        if name == "simplelayout":
            return SimpleLayout()
        if layout is None or name != "patternlayout":
            raise self._refusal(layout, "the layout is neither SimpleLayout nor PatternLayout")
        pattern = self._found.get(f"{key}.conversionpattern") or self._found.get(f"{key}.pattern")
        if pattern is None:
            self.remarks.append(f"{self._place(layout)}: it has no ConversionPattern, so SimpleLayout stands for it")
            return SimpleLayout()
        try:
            return PatternLayout(pattern.value)
        except ValueError as error:
            raise self._refusal(pattern, str(error)) from None

    def _verdicts(self, key: str) -> Iterator[Verdict]:
        """The filters of an appender. They are numbered from 1."""
        number = 1
        while (setting := self._found.get(f"{key}.{number}")) is not None:
            yield self._verdict(f"{key}.{number}", setting)
            number += 1

    def _verdict(self, key: str, setting: Property) -> Verdict:
        name = _class_name(setting.value)
        accept = self._found.get(f"{key}.acceptonmatch")
        on_match = accept is not None and self._truth(accept)
        if name == "denyallfilter":
            return lambda _: False
        if name == "loglevelmatchfilter":
            level = self._level_at(f"{key}.logleveltomatch")
            return lambda record: on_match if record.levelno == level else None
        if name == "loglevelrangefilter":
            low, high = self._level_at(f"{key}.loglevelmin") or 0, self._level_at(f"{key}.loglevelmax") or SILENT
            return lambda record: (on_match or None) if low <= record.levelno <= high else False
        if name == "stringmatchfilter":
            text = self._found.get(f"{key}.stringtomatch")
            words = "" if text is None else text.value
            return lambda record: on_match if words and words in record.getMessage() else None
        kinds = "DenyAllFilter, LogLevelMatchFilter, LogLevelRangeFilter and StringMatchFilter"
        raise self._refusal(setting, f"{setting.value} is not among the filters there are: {kinds}")

    def _below(self, prefix: str) -> Iterator[tuple[str, Property]]:
        """The settings below a prefix, by the rest of their names. They are sorted, so that parents come first."""
        for key in sorted(self._found):
            if key.startswith(prefix):
                yield key.removeprefix(prefix), self._found[key]

    def _level_at(self, key: str) -> int | None:
        setting = self._found.get(key)
        return None if setting is None else self._level(setting, setting.value)

    def _level(self, setting: Property, word: str) -> int:
        level = _LEVELS.get(word.lower())
        if level is None:
            raise self._refusal(setting, f"{word!r} is none of the levels {', '.join(_LEVELS)}")
        return level

    def _truth(self, setting: Property) -> bool:
        word = setting.value.lower()
        if word not in {"true", "false", "1", "0"}:
            raise self._refusal(setting, f"{setting.value!r} is neither true nor false")
        return word in {"true", "1"}

    def _backups(self, key: str, default: int) -> int:
        setting = self._found.get(key)
        if setting is None:
            return default
        if not re.fullmatch(r"0*[0-9]{1,4}", setting.value) or int(setting.value) > MOST_BACKUPS:
            raise self._refusal(setting, f"{setting.value!r} is not a number up to {MOST_BACKUPS}")
        return int(setting.value)

    def _size(self, setting: Property | None) -> int:
        """The size at which a file is rolled, in bytes, KB or MB as in log4cplus; at least 200 KB."""
        if setting is None:
            return _ROLLING
        match = re.fullmatch(r"([0-9]{1,15})\s*(kb|mb|)", setting.value.lower())
        if match is None:
            raise self._refusal(setting, f"{setting.value!r} is no size like 500KB or 5MB")
        return max(int(match[1]) * _SIZES.get(match[2], 1), _LEAST_ROLLING)

    def _refusal(self, setting: Property | None, problem: str) -> UsageError:
        return UsageError(f"{self._place(setting)}: {problem}")

    def _place(self, setting: Property | None) -> str:
        return self._path if setting is None else f"{self._path}:{setting.line}: {setting.key}"


def _class_name(name: str) -> str:
    """The name of a class for lookups: ``denyallfilter`` for ``log4cplus::spi::DenyAllFilter``."""
    return name.rpartition("::")[2].lower()
