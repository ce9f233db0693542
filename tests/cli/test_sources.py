"""Where options come from: the command line, the environment and configuration files give each of them alike."""

from __future__ import annotations

import json
import shlex

import pytest

from asyncstore.cli.options.bench_kinds import (
    Factor,
    Frequency,
    Mix,
    Period,
    ProfileOfYear,
    Size,
    Stages,
    Steps,
    Thresholds,
)
from asyncstore.cli.options.command_table import COMMANDS
from asyncstore.cli.options.configuration import configured
from asyncstore.cli.options.edit_rows import Elements, NewValues, UidSuffix
from asyncstore.cli.options.grammar import check, tokenize
from asyncstore.cli.options.kinds import (
    Address,
    Choice,
    Duration,
    Flag,
    Integer,
    IntegerOrAuto,
    Pair,
    Patience,
    Rate,
    Seconds,
    Status,
    StatusRanges,
    TimeZone,
    Words,
)
from asyncstore.cli.options.rows import CONFIG
from support.rows import rows

CONFIGURABLE = [command for command in COMMANDS.values() if CONFIG in tuple(command.options())]
PARAMETERS = {"send": ("host", "104", "f"), "echo": ("host", "104"), "scan": ("f",), "bench": ("host", "104")}
of_each_command = pytest.mark.parametrize("command", [pytest.param(each, id=each.name) for each in CONFIGURABLE])
VALUES = {Flag: True, Pair: ["a b", "c"], Words: ["a b", "c"], Address: ["h", 104], Integer: 4097, Seconds: 0.5}
VALUES |= {IntegerOrAuto: 3, Status: "0xA700", StatusRanges: ["0110", "C000-C0FF"], Patience: 0.5}
VALUES |= {Rate: "2", TimeZone: "Europe/Berlin", Duration: "90s"}
VALUES |= {NewValues: ["PatientID=a b", "(0020,0010)=c"], Elements: ["PatientID", "(0010,0010)"], UidSuffix: ".7"}
VALUES |= {Factor: 2.5, Frequency: "60/min", Mix: "ct=3,mr=1", Period: "90s", ProfileOfYear: "exams-per-year=1.5M"}
VALUES |= {Size: "512K", Stages: "1m:50/s,5m:200/s", Steps: "1,2", Thresholds: ["p99<2s", "failed<0.1%"]}


def value_of(row):
    """A value for the row as TOML has it, which is not the default."""
    if isinstance(row.kind, Choice):
        return row.kind.choices[-1]
    if isinstance(row.kind, Integer) and row.kind.high is not None:
        return row.kind.high if row.kind.high != row.default else row.kind.low
    return VALUES.get(type(row.kind), "T")


def words_of(row):
    """The words of that value, those of each time the option is given by themselves."""
    value = value_of(row)
    if isinstance(row.kind, Flag):
        return [()]
    words = [str(word) for word in value] if isinstance(value, list) else [str(value)]
    return [(word,) for word in words] if row.accumulates else [tuple(words)]


def needed(command, row):
    """The row after all that it needs."""
    rows = {each.long: each for each in command.options()}
    return [*(needed(command, rows[row.requires[0]]) if row.requires else ()), row]


def variable_of(row):
    """What the environment says."""
    if isinstance(row.kind, Flag):
        return "1"
    words = [word for words in words_of(row) for word in words]
    return shlex.join(words) if len(words) > 1 else words[0]


def understood(command, words, environment):
    tokens = tokenize(command, [*words, *PARAMETERS.get(command.name, ())])
    return check(command, tokens, environment, configured(command, CONFIGURABLE, tokens, environment).layers)


def rows_of(command):
    return [row for row in command.options() if row.is_configurable and row is not CONFIG]


@pytest.mark.slow
@of_each_command
def test_an_option_means_the_same_from_wherever_it_comes(command, tmp_path):
    file = tmp_path / "a.toml"
    with rows() as checking:
        for row in rows_of(command):
            with checking(row.long):
                all_of_it = needed(command, row)
                line = [word for each in all_of_it for words in words_of(each) for word in (each.long, *words)]
                environment = {each.variable: variable_of(each) for each in all_of_it}
                file.write_text("".join(f"{each.bare_name} = {json.dumps(value_of(each))}\n" for each in all_of_it))
                value = understood(command, line, {})[row]
                assert value != row.default
                assert understood(command, (), environment)[row] == value
                assert understood(command, ("--config", str(file)), {})[row] == value


@of_each_command
def test_a_flag_of_a_file_is_turned_off_by_the_environment(command, tmp_path):
    file = tmp_path / "a.toml"
    with rows() as checking:
        for row in [row for row in rows_of(command) if isinstance(row.kind, Flag)]:
            with checking(row.long):
                lines = [f"{each.bare_name} = {json.dumps(value_of(each))}\n" for each in needed(command, row)]
                file.write_text("".join(lines))
                assert not understood(command, ("--config", str(file)), {row.variable: "0"})[row]
