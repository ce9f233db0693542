"""Dictionaries for Python's logging in TOML and JSON (``-lc``).

The first byte of an input chooses between both; the file follows. No file outside of the folder is opened.
"""

import json
import logging
from contextlib import redirect_stdout
from io import StringIO
from unittest import mock

from asyncstore.cli.logging import log_config, log_schema
from asyncstore.errors import UsageError

EXPECTED = (UsageError,)
_TABLES = {
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)-8s %(message)s", "datefmt": "%H:%M", "style": "%"}},
    "filters": {"run": {"name": "asyncstore.run"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"},
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": "a.log",
            "maxBytes": 9,
            "filters": ["run"],
        },
    },
    "loggers": {"asyncstore.run": {"level": "DEBUG", "handlers": ["file"], "propagate": False}},
    "root": {"level": "INFO", "handlers": ["console"]},
}
_TOML = """[formatters.plain]
format = "{asctime} {levelname:<8} {message}"
style = "{"
[handlers.file]
class = "logging.handlers.TimedRotatingFileHandler"
filename = "a.log"
when = "midnight"
interval = 2
formatter = "plain"
backupCount = 3
[handlers.none]
class = "logging.NullHandler"
level = "WARNING"
[root]
level = "DEBUG"
handlers = ["file", "none"]
"""


def seeds():
    """A file of each kind."""
    yield b"\0" + json.dumps(_TABLES).encode()
    yield b"\1" + _TOML.encode()


def _none(*_, **__):
    """Stands for a file. Python closes it without a word if a configuration is refused halfway."""
    return StringIO()


def execute(data, folder):
    """A record can be logged as the file says, and logging is as before afterwards."""
    if not data or b"SysLog" in data:  # it would open a socket
        return
    path = folder / ("a.toml" if data[0] & 1 else "a.json")
    path.write_bytes(data[1:])
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        with (
            _none() as nowhere,
            redirect_stdout(nowhere),
            mock.patch.object(log_schema, "open", _none, create=True),
            mock.patch("logging.raiseExceptions", False),
            log_config.logging_as(str(path), logging.NullHandler(), "storescu"),
        ):
            logging.getLogger("asyncstore.run").warning("two\nlines %s", 1)
    finally:
        assert (logging.getLogger().handlers[:], logging.getLogger().level) == before
