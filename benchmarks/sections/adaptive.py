"""How many associations: ``auto`` against fixed numbers, near and far, with three receivers."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.data import SMALL, SPLIT
from benchmarks.peers import orthanc, orthanc_program, relay, sink, storescp
from benchmarks.processes import run
from benchmarks.programs import asyncstore
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.bench import Bench
    from benchmarks.data import Archive
    from benchmarks.programs import Program

_NUMBERS = (1, 2, 4, 8, 16, 32, 64)
_ALL = 8
"""With at least so many associations a run sends all instances, with fewer its share: it would take minutes."""
_ROUND_TRIPS = (0.0, 0.005, 0.05)
_AUTO = "auto"
_RECEIVERS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "storescp": partial(storescp, no_delay=True),
    "Orthanc": partial(orthanc, no_delay=True, in_memory=True),
    "asyncstore sink": sink,
}


def measure(bench: Bench) -> None:
    """Measure each receiver at each distance."""
    columns = ("receiver", *map(str, _NUMBERS), _AUTO, "auto, of the best")
    for round_trip in _ROUND_TRIPS:
        title = f"Associations: round trip {round_trip * 1e3:g} ms, {bench.scale.adaptive:,} x {SMALL.name}"
        table = Table(title, columns, notes=_notes(round_trip))
        for name, receiver in _RECEIVERS.items():
            if name == "Orthanc" and orthanc_program() is None:
                continue
            with _at_a_distance(receiver, round_trip) as port:
                trials = take_turns(f"{title}, {name}", _contenders(bench, port, round_trip), bench.scale.slow_rounds)
            table.rows.append((name, *_cells(trials)))
            table.samples |= {f"{name}, {number}": list(rates) for number, rates in trials.items()}
        table.commands = {number: _program(number).shown() for number in (*map(str, _NUMBERS), _AUTO)}
        bench.report(table)


@contextmanager
def _at_a_distance(receiver: Callable[[], AbstractContextManager[int]], round_trip: float) -> Iterator[int]:
    with receiver() as port:
        if not round_trip:
            yield port
            return
        with relay(port, delay=round_trip / 2) as far_port:
            yield far_port


def _program(number: str) -> Program:
    return asyncstore("--associations", number)


def _contenders(bench: Bench, port: int, round_trip: float) -> dict[str, Callable[[], float]]:
    contenders: dict[str, Callable[[], float]] = {}
    for number in (*_NUMBERS, None):
        share = min(number or _ALL, _ALL) / _ALL if round_trip else 1.0
        instances = max(SPLIT, int(bench.scale.adaptive * share) // SPLIT * SPLIT)
        archive = bench.archives.get(SMALL, instances)
        name = _AUTO if number is None else str(number)
        contenders[name] = partial(_rate, _program(name), port, archive)
    return contenders


def _rate(program: Program, port: int, archive: Archive) -> float:
    """Instances a second, start-up included."""
    return archive.instances / run(program.commands(port, archive)).wall


def _cells(rates: Mapping[str, Sequence[float]]) -> list[str]:
    """The rates, and that of ``auto`` as a share of the best fixed number in the median."""
    best = max((name for name in rates if name != _AUTO), key=lambda name: Spread.of(rates[name]).median)
    share = ratios(rates[_AUTO], rates[best])
    return [*(Spread.of(of_one).shown(0) for of_one in rates.values()), f"{share.shown()} of {best}"]


def _notes(round_trip: float) -> list[str]:
    where = "on the same machine" + (", behind a relay that delays every byte" if round_trip else "")
    fewer = "with fewer than 8 associations a run over a distance sends its share of them"
    return ["instances/s of the whole process", CAPTION, where, fewer, "Orthanc: its storage in memory"]
