"""``-lc FILE``: a file configures logging while a command runs.

Rules:

1. A file that ends in ``.toml`` or ``.json`` holds the dictionary of :func:`logging.config.dictConfig`, as far as it is
   safe (log_schema.py). Any other file holds log4cplus properties, as for DCMTK's programs.
2. Lines for standard error go to the handler of the command's own lines, so that they do not disturb a live display.
3. Messages of libraries may quote values of a data set. They are dropped, unless the file names their loggers or sets
   the root to trace.
4. Afterwards logging is as it was before.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.cli.logging.log4cplus import dictionary
from asyncstore.cli.logging.log_levels import SILENT, TRACE, restored
from asyncstore.cli.logging.log_schema import STANDARD_ERROR, STANDARD_OUTPUT, Configurator, check_settings
from asyncstore.cli.options.structured import parsed_json, parsed_toml
from asyncstore.errors import UsageError
from asyncstore.named_files import interruptible, read_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.logging.log_schema import Settings

_QUOTING = ("pydicom", "pynetdicom", "py.warnings")
"""Loggers of libraries whose messages may hold values of data elements."""
_MOST_BYTES = 1 << 20
"""Most bytes of a log configuration. Real ones have some kB."""


@contextmanager
def logging_as(path: str, console: logging.Handler, program: str) -> Iterator[None]:
    """Within this context log as this file says.

    Args:
        path: the file.
        console: the handler for lines to standard error.
        program: the program of DCMTK that a property file of log4cplus is for.

    Raises:
        UsageError: the file cannot be read or is not valid.
    """
    settings, remarks = _settings(path, program)
    settings = _with_console(settings, console)
    logging.addLevelName(TRACE, "TRACE")
    with restored({"", *_QUOTING, *settings.get("loggers", {})}):
        try:
            with interruptible():  # a log file may be a FIFO that nobody reads
                Configurator(settings).configure()
        except (ValueError, TypeError, AttributeError, LookupError, OSError) as error:
            raise _refusal(path, error) from None
        for remark in remarks:
            logging.getLogger("asyncstore.cli").warning("%s", remark)
        for name in _QUOTING:
            if name not in settings.get("loggers", {}) and logging.getLogger().level > TRACE:
                logging.getLogger(name).setLevel(SILENT)
        yield


def _settings(path: str, program: str) -> tuple[Settings, list[str]]:
    """The dictionary for dictConfig that the file gives (rule 1), and warnings for its author."""
    content = read_named(path, _MOST_BYTES, f"{path}: cannot read the log configuration")
    kind = os.path.splitext(path)[1].lower()
    if kind not in {".toml", ".json"}:
        return dictionary(path, content.decode(errors="replace"), program, os.environ)
    try:
        settings = parsed_toml(content)[0] if kind == ".toml" else parsed_json(content)
    except ValueError as error:
        raise UsageError(f"{path}: the log configuration is not {kind[1:].upper()}: {error}") from None
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: the log configuration is no table of Python's dictConfig")
    check_settings(path, settings)
    return {"version": 1, "disable_existing_loggers": False, **settings}, []


def _with_console(settings: Settings, console: logging.Handler) -> Settings:
    """A copy in which handlers for standard error write to the console (rule 2)."""
    handlers = settings.get("handlers", {})
    return {**settings, "handlers": {name: _through(handler, console) for name, handler in handlers.items()}}


def _through(handler: Settings, console: logging.Handler) -> Settings:
    """A handler's settings; for standard error those of a handler that hands its lines to the console."""
    if handler.get("class") != "logging.StreamHandler":
        return handler
    if handler.get("stream", STANDARD_ERROR) == STANDARD_OUTPUT:
        return {**handler, "stream": sys.stdout}
    kept = {key: value for key, value in handler.items() if key in {"level", "formatter", "filters"}}
    return {**kept, "()": lambda: _Through(console)}


class _Through(logging.Handler):
    """Formats records and hands the lines to another handler.

    Args:
        target: the other handler.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record whose message is the formatted line."""
        written = {"msg": self.format(record), "args": None, "exc_info": None, "exc_text": None, "stack_info": None}
        self._target.handle(logging.makeLogRecord({**record.__dict__, **written}))


def _refusal(path: str, error: Exception) -> UsageError:
    """The error for a dictionary that dictConfig refused: its message and the cause."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.filename is not None:
        refusal = UsageError(f"{path}: {error}: cannot write the log file {cause.filename}: {cause.strerror}")
        refusal.add_note(f"See that its folder exists and can be written to, or name another file in {path}.")
        return refusal
    return UsageError(f"{path}: {error}" if cause is None or str(cause) in str(error) else f"{path}: {error}: {cause}")
