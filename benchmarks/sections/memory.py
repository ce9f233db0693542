"""The peak memory of runs: by the size of the archive and of a file, and with a peer that reads slowly."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.data import CT, TINY, Archive
from benchmarks.peers import relay, storescp
from benchmarks.processes import run
from benchmarks.programs import Program, asyncstore, storescu
from benchmarks.report import Table
from benchmarks.rounds import Spread, say
from benchmarks.standing import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench import Bench

_OURS = asyncstore("--associations", "8")
_THEIRS = storescu()
_MANY = 10_000
"""storescu is left out for more files: it would take minutes."""
_SERIES = 150
"""Files in a folder."""
_SLOW_RATE = 5_000_000
"""Bytes per second that a slow peer reads from each association."""


class _Peaks(NamedTuple):
    """The peak memory of one run, in bytes."""

    main: int
    workers: int
    wall: float
    """Seconds."""


class Watch:
    """Samples the peak memory of processes and of their children."""

    def __init__(self) -> None:
        self.main = 0
        self._workers: dict[int, int] = {}

    @property
    def workers(self) -> int:
        """The sum over all children."""
        return sum(self._workers.values())

    @property
    def largest_worker(self) -> int:
        """The child that takes most."""
        return max(self._workers.values(), default=0)

    def __call__(self, processes: Sequence[int]) -> None:
        """Take a sample."""
        for process in processes:
            self.main = max(self.main, _high_water(process))
            for child in _children(process):
                # The last value counts: before exec, a new process shows its parent's memory.
                self._workers[child] = _high_water(child) or self._workers.get(child, 0)


def measure(bench: Bench) -> None:
    """Measure archives, large files and a slow peer."""
    archives, scale = bench.archives, bench.scale
    table = Table(
        "Peak memory",
        ("what", "program", "s", "main process, MB", "workers together, MB"),
        notes=[
            "the high-water mark of resident memory, sampled from /proc; the largest of the rounds",
            "to storescp --fork --ignore; workers are the processes that look into files",
            f"the slow peer reads {_SLOW_RATE / 1e6:g} MB/s of each association",
        ],
        commands={program.name: program.shown() for program in (_OURS, _THEIRS)},
    )
    with storescp(no_delay=True) as port:
        for count in scale.archive_sizes:
            archive = archives.get(TINY, count, folders=math.ceil(count / _SERIES))
            _row(bench, table, f"{count:,} x {TINY.name}", port, archive)
        largest = scale.archive_sizes[-1]
        flat = archives.get(TINY, largest, folders=1)
        _row(bench, table, f"{largest:,} x {TINY.name} in one folder", port, flat)
        for size in scale.file_sizes:
            _row(bench, table, f"one file of {size / 1e6:,.0f} MB", port, archives.sparse(size))
        with relay(port, rate=_SLOW_RATE) as slow_port:
            archive = archives.get(CT, scale.slow_reading)
            _row(bench, table, f"{archive.instances} x {CT.name} to a peer that reads slowly", slow_port, archive)
    bench.report(table)


def _row(bench: Bench, table: Table, what: str, port: int, archive: Archive) -> None:
    """Measure one archive and add its rows."""
    programs = (_OURS, _THEIRS) if archive.instances <= _MANY else (_OURS,)
    for program in programs:
        say(f"memory: {what}, {program.name}")
        rounds = 1 if archive.instances > _MANY else bench.scale.memory_rounds
        peaks = [_watched(program, port, archive) for _ in range(rounds)]
        main = max(peak.main for peak in peaks) / 1e6
        workers = max(peak.workers for peak in peaks) / 1e6
        wall = Spread.of(peak.wall for peak in peaks)
        table.rows.append((what, program.name, wall.shown(), f"{main:.0f}", f"{workers:.0f}" if workers else "-"))
        table.samples[f"{what}, {program.name}"] = [peak._asdict() for peak in peaks]
        if program is _OURS:
            bench.stands(MEMORY, what, Spread.of(peak.main / 1e6 for peak in peaks))


def _watched(program: Program, port: int, archive: Archive) -> _Peaks:
    watch = Watch()
    cost = run(program.commands(port, archive), sample=watch)
    return _Peaks(watch.main, watch.workers, cost.wall)


def _high_water(process: int) -> int:
    """The peak of resident memory in bytes; 0 if the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _children(process: int) -> Iterator[int]:
    """The children of all threads of a process."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, children.read_text(encoding="utf-8").split())
