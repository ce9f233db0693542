"""The rate of walk and probe without sending."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.programs import Program, asyncstore
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, take_turns
from benchmarks.trials import STEADY, send

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_NO_PORT = 104
"""Nothing is sent, so no peer listens there."""
_WALK = "import sys; from asyncstore.discovery.walk import walk; sum(1 for _ in walk(sys.argv[3:]))"
_PYDICOM = (
    "import sys; from asyncstore.discovery.walk import walk; from pydicom.filereader import read_file_meta_info; "
    "sum(1 for file in walk(sys.argv[3:]) if read_file_meta_info(file.path))"
)
_PROGRAMS = (
    asyncstore("--dry-run"),
    asyncstore("--dry-run", "--workers", "2"),
    Program("the walk alone, no probe", (sys.executable, "-c", _WALK)),
    Program("pydicom's read_file_meta_info", (sys.executable, "-c", _PYDICOM)),
)


def measure(bench: Bench) -> None:
    """Measure each kind of instance."""
    for kind, count in bench.scale.surveyed:
        archive, one_each = bench.archives.get(kind, count), bench.archives.one_each(kind)
        title = f"Walk and probe, {count:,} x {kind.name}"
        trials = take_turns(
            title,
            {program.name: partial(send, program, _NO_PORT, archive, one_each) for program in _PROGRAMS},
            bench.scale.rounds,
        )
        table = Table(
            title,
            ("program", "s", "files/s", "steady files/s", "steady CPU s/1000 files"),
            notes=[CAPTION, STEADY, "files in the page cache"],
            commands={program.name: program.shown() for program in _PROGRAMS},
            samples={name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()},
        )
        for name, of_one in trials.items():
            cells = (
                Spread.of(trial.whole.wall for trial in of_one).shown(),
                Spread.of(trial.rate for trial in of_one).shown(0),
                Spread.of(trial.steady_rate for trial in of_one).shown(0),
                Spread.of(trial.steady_cpu_per_thousand for trial in of_one).shown(3),
            )
            table.rows.append((name, *cells))
        bench.report(table)
