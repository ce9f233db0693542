"""Property files of log4cplus (``-lc``). No file outside of the folder is opened."""

import logging
import os
from pathlib import Path
from unittest import mock

from asyncstore.cli.logging import log4cplus
from asyncstore.errors import UsageError

EXPECTED = (UsageError,)
_FILE = """log4cplus.rootLogger = INFO, console, file
log4cplus.appender.console = log4cplus::ConsoleAppender
log4cplus.appender.console.logToStdErr = true
log4cplus.appender.console.layout = log4cplus::PatternLayout
log4cplus.appender.console.layout.ConversionPattern = %D{%H:%M:%S.%q} %-5.5p %c{1} %T: %m%n
log4cplus.appender.console.filters.1 = log4cplus::spi::LogLevelRangeFilter
log4cplus.appender.console.filters.1.LogLevelMin = DEBUG
log4cplus.appender.console.filters.2 = log4cplus::spi::StringMatchFilter
log4cplus.appender.console.filters.2.StringToMatch = x
log4cplus.appender.file = log4cplus::%s
log4cplus.appender.file.File = ${appname}.log
log4cplus.appender.file.Append = true
log4cplus.appender.file.MaxFileSize = 5MB
log4cplus.appender.file.Schedule = HOURLY
log4cplus.logger.dcmtk.dcmnet = DEBUG, file
log4cplus.additivity.dcmtk.dcmnet = false
"""
_RECORD = logging.makeLogRecord({"name": "asyncstore.run", "msg": "two\nlines", "levelno": 20, "levelname": "INFO"})


def seeds():
    """Files with each kind of appender."""
    for appender in ("FileAppender", "RollingFileAppender", "DailyRollingFileAppender", "NullAppender"):
        yield _FILE.replace("%s", appender).encode()


def _none(_path, _mode, **_more):
    """Stands for a file."""
    return Path(os.devnull).open("ab")


def execute(data, _):
    """Its layouts and filters take a record."""
    with mock.patch.object(log4cplus, "open", _none, create=True):
        settings, _ = log4cplus.dictionary("a.cfg", data.decode(errors="replace"), "storescu", {"HOME": "/home"})
    for formatter in settings["formatters"].values():
        formatter["()"]().format(_RECORD)
    for handler in settings["handlers"].values():
        for each in handler["filters"]:
            each.filter(_RECORD)
