"""Slow peers and far peers: the gain of more associations and of a window."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.data import SMALL, SPLIT, Archive
from benchmarks.peers import relay, sink
from benchmarks.programs import Program, asyncstore, storescu
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, take_turns
from benchmarks.trials import STEADY, Trial, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benchmarks.bench import Bench

_WINDOW = 32
_AUTO_SECONDS = 6
"""``auto`` runs so many times longer: once a second it checks whether one more association has helped."""
_AUTO_MEAN = 8
"""The average number of its associations in that time."""


def measure(bench: Bench) -> None:
    """Measure a peer that answers late, and one far away."""
    answering_late = partial(_report, bench, "Peer that answers late", sink)
    far_away = partial(_report, bench, "Peer far away", _far_away)
    for delay in bench.scale.delays:
        answering_late(delay, f"asyncstore sink that answers each C-STORE after {delay * 1e3:g} ms")
    for delay in bench.scale.delays:
        far_away(delay, f"asyncstore sink behind a relay, {delay * 1e3:g} ms from there and back")


@contextmanager
def _far_away(round_trip: float) -> Iterator[int]:
    """A sink behind a relay."""
    with sink() as far_port, relay(far_port, delay=round_trip / 2) as port:
        yield port


def _report(
    bench: Bench, what: str, peer: Callable[[float], AbstractContextManager[int]], delay: float, where: str
) -> None:
    """Measure one delay with every number of associations."""
    title = f"{what}: {delay * 1e3:g} ms, {SMALL.name}"
    rows = _rows(bench)
    with peer(delay) as port:
        contenders = {
            f"{label}, {column}": partial(
                send, program, port, _archive(bench, delay, in_flight), bench.archives.one_each(SMALL)
            )
            for label, programs in rows.items()
            for column, (program, in_flight) in programs.items()
        }
        trials = take_turns(title, contenders, bench.scale.slow_rounds)
    columns = [str(number) for number in bench.scale.associations]
    table = Table(
        title,
        ("steady instances/s over associations", *columns, "auto"),
        notes=[CAPTION, STEADY, where, "auto has a longer run, in which it adds associations as long as they help"],
        commands={
            f"{label}, {column}": program.shown()
            for label, programs in rows.items()
            for column, (program, _) in programs.items()
        },
        samples={name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()},
    )
    for label in rows:
        cells = [_cell(trials.get(f"{label}, {column}", [])) for column in (*columns, "auto")]
        table.rows.append((label, *cells))
    limits = (f"{int(column) / delay:,.0f}" for column in columns)
    table.rows.append(("the most that one at a time allows", *limits, "-"))
    bench.report(table)


def _rows(bench: Bench) -> dict[str, dict[str, tuple[Program, int]]]:
    """The programs by row and column, each with the number of its outstanding stores."""
    numbers = bench.scale.associations
    one_at_a_time = {str(number): (asyncstore("--associations", str(number)), number) for number in numbers}
    one_at_a_time["auto"] = (asyncstore(), _AUTO_MEAN * _AUTO_SECONDS)
    window = {
        str(number): (asyncstore("--associations", str(number), "--async-ops", str(_WINDOW)), number * _WINDOW)
        for number in numbers
    }
    processes = {str(number): (storescu(number), number) for number in numbers if number <= SPLIT}
    return {"asyncstore": one_at_a_time, f"asyncstore --async-ops {_WINDOW}": window, "storescu processes": processes}


def _archive(bench: Bench, delay: float, in_flight: int) -> Archive:
    """An archive that takes about ``delayed_seconds``."""
    wanted = int(bench.scale.delayed_seconds * in_flight / delay)
    wanted = max(2 * SPLIT, min(wanted, bench.scale.delayed_most))
    return bench.archives.get(SMALL, wanted - wanted % SPLIT)


def _cell(trials: list[Trial]) -> str:
    return Spread.of(trial.steady_rate for trial in trials).shown(0)
