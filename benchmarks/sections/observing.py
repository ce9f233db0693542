"""The cost of watching a run: the live display on a terminal, and a JSON line for each file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.peers import storescp
from benchmarks.programs import asyncstore
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, take_turns
from benchmarks.standing import OBSERVING
from benchmarks.trials import send

if TYPE_CHECKING:
    from benchmarks.bench import Bench


def measure(bench: Bench) -> None:
    """Measure each kind of instance."""
    json_lines = ("--json", str(bench.folder / "outcomes.jsonl"))
    progress = ("--progress", "on")
    fixed = ("--associations", "4")
    nothing = asyncstore(*fixed, name="neither")
    both = asyncstore(*fixed, *progress, *json_lines, name="progress and JSON lines", terminal=True)
    programs = (
        nothing,
        asyncstore(*fixed, *progress, name="progress", terminal=True),
        asyncstore(*fixed, *json_lines, name="JSON lines"),
        both,
    )
    for kind, count in bench.scale.observed:
        archive, one_each = bench.archives.get(kind, count), bench.archives.one_each(kind)
        title = f"Watching, {count:,} x {kind.name}"
        with storescp(no_delay=True) as port:
            trials = take_turns(
                title,
                {program.name: partial(send, program, port, archive, one_each) for program in programs},
                bench.scale.rounds,
            )
        table = Table(
            title,
            ("watched by", "s", "more, %", "CPU s", "more, %"),
            notes=[CAPTION, "progress on a terminal of 120 x 30 whose output is read; JSON lines to a file"],
            commands={program.name: program.shown() for program in programs},
            samples={name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()},
        )
        for name, of_one in trials.items():
            cells = []
            for quantity in ("wall", "cpu"):
                values = [getattr(trial.whole, quantity) for trial in of_one]
                without = [getattr(trial.whole, quantity) for trial in trials[nothing.name]]
                cells += [Spread.of(values).shown(), _more(ratios(values, without)).shown(1)]
            table.rows.append((name, *cells))
        bench.report(table)
        walls = [[trial.whole.wall for trial in trials[name]] for name in (both.name, nothing.name)]
        bench.stands(OBSERVING, f"{count:,} x {kind.name}, whole process", _more(ratios(*walls)))


def _more(ratio: Spread) -> Spread:
    """The increase in per cent."""
    return Spread(*((value - 1) * 100 for value in ratio))
