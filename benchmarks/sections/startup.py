"""Start-up: the time of help, and of sending one file."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.data import SMALL
from benchmarks.peers import storescp
from benchmarks.processes import run
from benchmarks.programs import asyncstore, asyncstore_program, dcmsend, pynetdicom_storescu, storescu
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, take_turns
from benchmarks.standing import HELP

if TYPE_CHECKING:
    from benchmarks.bench import Bench


def measure(bench: Bench) -> None:
    """Measure each program."""
    one = bench.archives.one_each(SMALL).first_folders(1)
    helps = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "asyncstore --help": [asyncstore_program(), "--help"],
        "asyncstore send --help": [asyncstore_program(), "send", "--help"],
    }
    senders = {
        f"{program.name}, one file": program for program in (asyncstore(), storescu(), dcmsend(), pynetdicom_storescu())
    }
    with storescp(no_delay=True) as port:
        contenders = {name: [command] for name, command in helps.items()}
        contenders |= {name: program.commands(port, one) for name, program in senders.items()}
        costs = take_turns(
            "start-up",
            {name: partial(run, commands) for name, commands in contenders.items()},
            bench.scale.rounds * bench.scale.starts,
        )
    table = Table("Start-up", ("program", "whole process, ms", "CPU, ms"), notes=[CAPTION])
    for name, measured in costs.items():
        walls, cpus = (Spread.of(1e3 * value for value in values) for values in zip(*measured, strict=True))
        table.rows.append((name, walls.shown(0), cpus.shown(0)))
    table.commands = {name: program.shown() for name, program in senders.items()}
    table.samples = {name: [cost._asdict() for cost in measured] for name, measured in costs.items()}
    bench.report(table)
    bench.stands(HELP, "whole process", Spread.of(1e3 * cost.wall for cost in costs["asyncstore --help"]))
