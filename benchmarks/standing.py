"""The targets, and the measurements beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.report import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.rounds import Spread


class Target(NamedTuple):
    """What a measurement must reach, and its aim."""

    measure: str
    at_least: float
    aim: float
    unit: str
    digits: int = 2
    more_is_better: bool = False

    def verdict(self, value: float) -> str:
        """Judge a value."""
        if math.isnan(value):
            return "too short to tell"
        if self._reaches(value, self.aim):
            return "meets the aim"
        return "meets 'at least'" if self._reaches(value, self.at_least) else "falls short"

    def _reaches(self, value: float, mark: float) -> bool:
        return value >= mark if self.more_is_better else value <= mark


CT_LIMIT = Target("CT 526 kB, instances/s against the limit", 1.0, 1.05, "x", more_is_better=True)
SMALL_LIMIT = Target("small 2.8 kB, the same", 0.85, 0.92, "x", more_is_better=True)
CT_RATE = Target("CT 526 kB, instances/s against 4 x storescu", 1.1, 1.3, "x", more_is_better=True)
SMALL_RATE = Target("small 2.8 kB, against 4 x storescu", 1.4, 1.6, "x", more_is_better=True)
RUST_RATE = Target("CT and small, against dicom-rs -c 4", 1.2, 1.2, "x", more_is_better=True)
SHIPPED_RATE = Target("peers as shipped, against 4 x storescu", 5, 20, "x", 1, more_is_better=True)
CPU = Target("CPU per GB against storescu", 0.7, 0.4, "x")
MEMORY = Target("peak memory of the main process, 8 associations", 200, 120, " MB", 0)
OBSERVING = Target("cost of progress and JSON lines together", 10, 3, " %", 1)
DECODING = Target("MB/s of decompression, as many processes as cores", 0.9, 1.0, "x", more_is_better=True)
MIX = Target("pass-through instances/s while 5 % are decompressed, against alone", 0.95, 1.0, "x", more_is_better=True)
HELP = Target("asyncstore --help", 200, 100, " ms", 0)
TARGETS = (
    CT_LIMIT, SMALL_LIMIT, CT_RATE, SMALL_RATE, RUST_RATE, SHIPPED_RATE, CPU, MEMORY, OBSERVING, DECODING, MIX, HELP,
)  # fmt: skip


class Standing(NamedTuple):
    """A figure that has a target."""

    target: Target
    how: str
    measured: Spread


def standing_table(standings: Sequence[Standing], *, is_judged: bool) -> Table:
    """The table of all targets, also of those that were not measured.

    Args:
        standings: the measured figures.
        is_judged: whether enough was sent for a verdict.
    """
    table = Table("Where it must stand", ("measure", "how", "measured", "at least", "aim", "verdict"))
    for target in TARGETS:
        marks = [f"{mark:g}{target.unit}" for mark in (target.at_least, target.aim)]
        measured = [standing for standing in standings if standing.target is target]
        for standing in measured:
            shown = standing.measured.shown(target.digits, target.unit)
            verdict = target.verdict(standing.measured.median) if is_judged else "too few to judge"
            table.rows.append((target.measure, standing.how, shown, *marks, verdict))
        if not measured:
            table.rows.append((target.measure, "", "-", *marks, "not measured"))
    table.notes.append("median (least-most) of the rounds; a ratio is taken within each round; the median decides")
    return table
