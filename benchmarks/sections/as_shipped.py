"""Peers as shipped, with Nagle's algorithm on: each of their responses waits for a TCP acknowledgement."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.data import CT, SMALL, Archive, Kind
from benchmarks.peers import MEMORY, orthanc, orthanc_program, storescp
from benchmarks.processes import RunFailed
from benchmarks.programs import Program, asyncstore, dcmsend, storescu
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, say, take_turns
from benchmarks.standing import SHIPPED_RATE
from benchmarks.trials import STEADY, Trial, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks.bench import Bench

_OURS = tuple(asyncstore("--associations", number) for number in ("1", "4", "auto"))
_PARALLEL = storescu(4)
_ALONE = (storescu(), dcmsend())
_MOST_REPEATED = 3
"""So many turns of a program may be repeated; more failures are no accident."""


_orthanc_in_memory = partial(orthanc, in_memory=True)
"""Orthanc writes every instance to its disk before it answers; on some machines that takes longer than all the rest."""


class _Case(NamedTuple):
    name: str
    peer: Callable[..., AbstractContextManager[int]]
    kind: Kind
    no_delay: bool


_CASES = (
    _Case("storescp as shipped", storescp, CT, no_delay=False),
    _Case("storescp as shipped", storescp, SMALL, no_delay=False),
    _Case("Orthanc as shipped", orthanc, CT, no_delay=False),
    _Case("Orthanc as shipped, its storage in memory", _orthanc_in_memory, CT, no_delay=False),
    _Case("Orthanc, all of DCMTK with TCP_NODELAY=1", orthanc, CT, no_delay=True),
)


def measure(bench: Bench) -> None:
    """Measure each peer."""
    for case in _CASES:
        if case.peer is not storescp and orthanc_program() is None:
            say("Orthanc is not installed, and left out: apt install orthanc")
            continue
        if case.peer is _orthanc_in_memory and not MEMORY.is_dir():
            say(f"{case.name}: left out, for there is no {MEMORY} here")
            continue
        _measure(bench, case)


def _turn(case: _Case, program: Program, archive: Archive, one_each: Archive, repeated: Counter[str]) -> Trial:
    """Send to a new peer. Repeat it if something was not stored: Orthanc under load has done that."""
    while True:
        try:
            with case.peer(no_delay=case.no_delay) as port:
                return send(program, port, archive, one_each, no_delay=case.no_delay)
        except RunFailed as failure:
            repeated[program.name] += 1
            if repeated[program.name] > _MOST_REPEATED:
                raise
            say(f"once more, because {failure}")


def _measure(bench: Bench, case: _Case) -> None:
    archive = bench.archives.get(case.kind, bench.scale.as_shipped)
    one_each = bench.archives.one_each(case.kind)
    quarter = archive.first_folders(1)
    repeated: Counter[str] = Counter()
    title = f"{case.name}, {archive.instances} x {case.kind.name}"
    sent = [(program, archive) for program in (*_OURS, _PARALLEL)] + [(program, quarter) for program in _ALONE]
    contenders = {program.name: partial(_turn, case, program, what, one_each, repeated) for program, what in sent}
    trials = take_turns(title, contenders, bench.scale.slow_rounds)
    parallel = trials[_PARALLEL.name]
    table = Table(
        title,
        ("program", "instances", "s", "instances/s", f"of {_PARALLEL.name}", "steady instances/s", "of it"),
        notes=[CAPTION, STEADY, "each run meets a peer that has just been started and holds nothing"],
        commands={program.name: program.shown() for program, _ in sent},
        samples={name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()},
    )
    if repeated:
        counts = ", ".join(f"{name} {count}" for name, count in repeated.items())
        table.notes.append(f"turns in which something was not stored, left out and repeated: {counts}")
    for name, of_one in trials.items():
        whole = ratios((trial.rate for trial in of_one), (trial.rate for trial in parallel))
        steady = ratios((trial.steady_rate for trial in of_one), (trial.steady_rate for trial in parallel))
        table.rows.append(
            (
                name,
                str(of_one[0].instances),
                Spread.of(trial.whole.wall for trial in of_one).shown(),
                Spread.of(trial.rate for trial in of_one).shown(0),
                whole.shown(1),
                Spread.of(trial.steady_rate for trial in of_one).shown(0),
                steady.shown(1),
            )
        )
        if name == _OURS[1].name and not case.no_delay:
            how = f"{case.name}, {archive.instances} x {case.kind.name}, --associations 4"
            bench.stands(SHIPPED_RATE, f"{how}, whole process", whole)
            bench.stands(SHIPPED_RATE, f"{how}, steady", steady)
    bench.report(table)
