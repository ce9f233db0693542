"""What is logged, and from which level on."""

from __future__ import annotations

import io
import logging
import warnings

import pytest

from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.errors import UsageError

pytestmark = pytest.mark.filterwarnings("always")

LINE = ("localhost", "104", "file")


def shown(*options):
    stream = io.StringIO()
    with logging_to(logging.StreamHandler(stream), parse(SEND, (*options, *LINE), {})) as logger:
        for name, level in (("ERROR", 40), ("WARNING", 30), ("INFO", 20), ("DEBUG", 10), ("TRACE", 5)):
            logger.log(level, name.lower())
        logging.getLogger("asyncstore.negotiation").info("context")
        warnings.warn("of a library", stacklevel=1)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ((), ["E: error", "W: warning"]),
        (("-q",), []),
        (("-v",), ["E: error", "W: warning", "I: info"]),
        (("-v", "+v"), ["E: error", "W: warning", "I: info", "I: context"]),
        (("-ll", "fatal"), []),
        (("-ll", "error"), ["E: error"]),
        (("-ll", "info", "+v"), ["E: error", "W: warning", "I: info", "I: context"]),
        (("-v", "-q"), []),
    ],
    ids=lambda value: " ".join(value) or "-",
)
def test_levels(options, lines):
    assert shown(*options) == lines


def test_debugging_shows_everything_of_ours():
    assert shown("-d") == ["E: error", "W: warning", "I: info", "D: debug", "I: context"]


def test_what_peers_and_files_are_called_stays_on_its_line():
    stream = io.StringIO()
    with logging_to(logging.StreamHandler(stream), parse(SEND, LINE, {})) as logger:
        logger.warning("called %s", "\x1b[31mEVIL\nE: forged")
    assert stream.getvalue() == "W: called \\x1b[31mEVIL\\nE: forged\n"


def test_what_libraries_warn_of_may_hold_patients_names_and_needs_tracing():
    lines = shown("-ll", "trace")
    assert lines[4:6] == ["T: trace", "I: context"]
    assert "of a library" in lines[6]


@pytest.mark.parametrize("options", [("-ll", "error", "+v"), ("-ll", "fatal", "+v")], ids=" ".join)
def test_contexts_that_no_level_shows_are_refused_as_by_storescu(options):
    with pytest.raises(UsageError, match=r"\+v/--verbose-pc needs a log level of info or below"):
        shown(*options)


def test_nothing_is_left_behind():
    before = logging.getLogger("asyncstore").handlers[:]
    shown("-d")
    assert logging.getLogger("asyncstore").handlers == before
    assert logging.getLogger("asyncstore").propagate
