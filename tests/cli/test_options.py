"""The tables hold together, and send's rows are the manual's."""

from __future__ import annotations

from itertools import chain

import pytest

from asyncstore.cli.options.command_table import COMMANDS, SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.options.rows import DIMSE_TIMEOUT, INPUTS, LOG_LEVEL, MAX_PDU, RECURSE, SOCKET_TIMEOUT, TIMEOUT
from asyncstore.errors import UsageError

LINE = ("localhost", "104", "file")


@pytest.fixture(params=COMMANDS.values(), ids=COMMANDS)
def command(request):
    return request.param


def test_every_name_belongs_to_one_row(command):
    names = [name for row in command.options() for name in (row.short, row.long) if name is not None]
    assert len(names) == len(set(names))


def test_rows_name_rows_that_exist(command):
    longs = {row.long for row in command.options()}
    for row in command.options():
        assert {*row.requires, *row.excludes} <= longs
    assert {name for parameter in command.parameters for name in parameter.unless} <= longs


def test_every_row_has_help_in_one_sentence(command):
    for row in chain(command.options(), command.parameters):
        assert row.help
        assert not row.help.endswith(".")


def test_every_long_name_begins_with_two_hyphens(command):
    assert all(row.long.startswith("--") and row.long.islower() for row in command.options())


def test_only_the_last_parameter_repeats(command):
    assert not any(parameter.repeats for parameter in command.parameters[:-1])


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("-h", "--help"),
        ("-q", "--quiet"),
        ("-v", "--verbose"),
        ("-d", "--debug"),
        ("-ll", "--log-level"),
        ("+v", "--verbose-pc"),
        ("+sd", "--scan-directories"),
        ("+sp", "--scan-pattern"),
        ("-r", "--no-recurse"),
        ("+r", "--recurse"),
        ("-aet", "--aetitle"),
        ("-aec", "--call"),
        ("-R", "--required"),
        ("-to", "--timeout"),
        ("-ts", "--socket-timeout"),
        ("-ta", "--acse-timeout"),
        ("-td", "--dimse-timeout"),
        ("-pdu", "--max-pdu"),
        ("-nh", "--no-halt"),
    ],
)
def test_the_manuals_names(short, long):
    rows = SEND.by_name()
    assert rows[short] is rows[long]


def test_the_manuals_defaults():
    given = parse(SEND, LINE, {})
    assert (given[MAX_PDU], given[TIMEOUT], given[SOCKET_TIMEOUT], given[DIMSE_TIMEOUT]) == (16384, None, 60, None)
    assert {row.default for row in SEND.options() if row.short in {"-aet", "-aec"}} == {"STORESCU", "ANY-SCP"}


@pytest.mark.parametrize(
    "words",
    [
        ("-pdu", "4095"),
        ("-pdu", "131073"),
        ("--max-send-pdu", "4095"),
        ("-to", "0"),
        ("-ta", "0"),
        ("-td", "0"),
        *((name, "9" * 400) for name in ("-to", "-ta", "-td", "-ts")),
        ("--repeat", "0"),
        ("--associations", "0"),
        ("+sp", "*"),
        ("+r",),
        ("--null",),
        ("-v", "-ll", "info"),
    ],
)
def test_the_manuals_limits(words):
    with pytest.raises(UsageError):
        parse(SEND, (*words, *LINE), {})


def test_files_from_replaces_the_inputs():
    assert parse(SEND, ("localhost", "104", "--files-from", "-"), {})[INPUTS] == ()


def test_a_level_from_the_environment_gives_way_to_verbose():
    assert parse(SEND, (*LINE, "-v"), {"ASYNCSTORE_LOG_LEVEL": "error"})[LOG_LEVEL] is None


def test_only_one_of_the_ways_to_scan_counts():
    assert not parse(SEND, ("+r", "-r", *LINE), {})[RECURSE]
