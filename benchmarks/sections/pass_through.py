"""Unchanged files to a fast peer: rates and processor time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.data import CT, SMALL
from benchmarks.peers import storescp
from benchmarks.programs import asyncstore, dcmsend, dicom_rs, limit, pynetdicom_storescu, storescu
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, say, take_turns
from benchmarks.standing import CPU, CT_LIMIT, CT_RATE, RUST_RATE, SMALL_LIMIT, SMALL_RATE
from benchmarks.trials import STEADY, Trial, send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.bench import Bench
    from benchmarks.data import Archive, Kind
    from benchmarks.programs import Program

_OURS = tuple(asyncstore("--associations", number) for number in ("1", "4", "auto"))
_SINGLE = storescu()
_PARALLEL = storescu(4)
_LIMIT = limit()
_RUST = dicom_rs()
_SLOW = pynetdicom_storescu()
_OTHERS = (_SINGLE, _PARALLEL, dcmsend(), *((_RUST,) if _RUST is not None else ()))
_PEER = "to storescp --fork --ignore on the same cores; all of DCMTK with TCP_NODELAY=1; files in the page cache"
_RATE_TARGETS = {CT: CT_RATE, SMALL: SMALL_RATE}
_LIMIT_TARGETS = {CT: CT_LIMIT, SMALL: SMALL_LIMIT}


def measure(bench: Bench) -> None:
    """Measure each kind of instance."""
    if _RUST is None:
        say("dicom-rs is not installed, and left out: cargo install dicom-storescu")
    for kind, count in bench.scale.pass_through:
        trials = _trials(bench, kind, count)
        commands = {program.name: program.shown() for program in (*_OURS, _LIMIT, *_OTHERS, _SLOW)}
        samples = {name: [trial.as_json() for trial in of_one] for name, of_one in trials.items()}
        for what, columns_and_rows in (("Pass-through", _rates(trials)), ("CPU of the sender", _cpu(trials))):
            title = f"{what}, {count:,} x {kind.name}"
            bench.report(Table(title, *columns_and_rows, notes=_notes(bench), commands=commands, samples=samples))
        _stand(bench, kind, count, trials)


def _trials(bench: Bench, kind: Kind, count: int) -> dict[str, list[Trial]]:
    """Send to one storescp in turns."""
    archive, one_each = bench.archives.get(kind, count), bench.archives.one_each(kind)
    few = archive if count <= bench.scale.pynetdicom else bench.archives.get(kind, bench.scale.pynetdicom)
    contenders: list[tuple[Program, Archive]] = [(program, archive) for program in (*_OURS, *_OTHERS)]
    if not kind.multi_frame:  # too large for the buffer of limit
        contenders.append((_LIMIT, archive))
    contenders.append((_SLOW, few))
    with storescp(no_delay=True) as port:
        return take_turns(
            f"pass-through, {count:,} x {kind.name}",
            {program.name: partial(send, program, port, what, one_each) for program, what in contenders},
            bench.scale.rounds,
        )


def _rates(trials: Mapping[str, Sequence[Trial]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows with rates."""
    columns = (
        "program",
        "s",
        "instances/s",
        "of limit",
        f"of {_PARALLEL.name}",
        "steady instances/s",
        "of it",
        "steady MB/s",
    )
    rows = []
    for name, of_one in trials.items():
        cells = [
            Spread.of(trial.whole.wall for trial in of_one).shown(),
            Spread.of(trial.rate for trial in of_one).shown(0),
            _against(of_one, trials[_LIMIT.name], "rate").shown() if _LIMIT.name in trials else "-",
            _against(of_one, trials[_PARALLEL.name], "rate").shown(),
            Spread.of(trial.steady_rate for trial in of_one).shown(0),
            _against(of_one, trials[_PARALLEL.name], "steady_rate").shown(),
            Spread.of(trial.steady_byte_rate / 1e6 for trial in of_one).shown(0),
        ]
        rows.append((name, *cells))
    return columns, rows


def _cpu(trials: Mapping[str, Sequence[Trial]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows with processor time."""
    columns = ("program", "s/GB", f"of {_SINGLE.name}", "steady s/GB", "of it", "s/1000 instances", "steady s/1000")
    rows = []
    for name, of_one in trials.items():
        cells = [
            Spread.of(trial.cpu_per_gigabyte for trial in of_one).shown(),
            _against(of_one, trials[_SINGLE.name], "cpu_per_gigabyte").shown(),
            Spread.of(trial.steady_cpu_per_gigabyte for trial in of_one).shown(),
            _against(of_one, trials[_SINGLE.name], "steady_cpu_per_gigabyte").shown(),
            Spread.of(trial.cpu_per_thousand for trial in of_one).shown(3),
            Spread.of(trial.steady_cpu_per_thousand for trial in of_one).shown(3),
        ]
        rows.append((name, *cells))
    return columns, rows


def _notes(bench: Bench) -> list[str]:
    return [CAPTION, STEADY, _PEER, f"{_SLOW.name} sends {bench.scale.pynetdicom} instances only"]


def _stand(bench: Bench, kind: Kind, count: int, trials: Mapping[str, Sequence[Trial]]) -> None:
    """Keep the figures that have targets."""
    if kind not in _RATE_TARGETS:
        return
    for program in _OURS[1:]:
        options = " ".join(program.words[-2:])
        of_one = trials[program.name]
        ratio = _against(of_one, trials[_LIMIT.name], "rate")
        bench.stands(_LIMIT_TARGETS[kind], f"{count:,}, whole process, {options}", ratio)
        for what, quantity in (("whole process", "rate"), ("steady", "steady_rate")):
            ratio = _against(of_one, trials[_PARALLEL.name], quantity)
            bench.stands(_RATE_TARGETS[kind], f"{count:,}, {what}, {options}", ratio)
        if _RUST is not None:
            ratio = _against(of_one, trials[_RUST.name], "rate")
            bench.stands(RUST_RATE, f"{count:,} x {kind.name}, whole process, {options}", ratio)
        if kind is CT:
            for what, quantity in (("whole process", "cpu_per_gigabyte"), ("steady", "steady_cpu_per_gigabyte")):
                ratio = _against(of_one, trials[_SINGLE.name], quantity)
                bench.stands(CPU, f"{count:,} x {kind.name}, {what}, {options}", ratio)


def _against(these: Sequence[Trial], those: Sequence[Trial], quantity: str) -> Spread:
    """The ratio of a quantity of trials, within each round."""
    return ratios((getattr(trial, quantity) for trial in these), (getattr(trial, quantity) for trial in those))
