"""One program's turn: it sends an archive, and one file to measure its start-up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.processes import Cost, run

if TYPE_CHECKING:
    from benchmarks.data import Archive
    from benchmarks.programs import Program

STEADY = (
    "'steady' is the whole process less the same program's own run over one file (for 4 x storescu: one file each), so "
    "start-up is subtracted"
)


class Trial(NamedTuple):
    """The cost of sending an archive, and that of sending one file."""

    whole: Cost
    start: Cost
    instances: int
    """In the whole archive."""
    start_instances: int
    bytes: int
    start_bytes: int

    def as_json(self) -> dict[str, object]:
        """Every value."""
        return {**self._asdict(), "whole": self.whole._asdict(), "start": self.start._asdict()}

    @property
    def rate(self) -> float:
        """Instances a second, start-up included."""
        return self.instances / self.whole.wall

    @property
    def steady_rate(self) -> float:
        """Instances a second, start-up subtracted."""
        return _per(self.instances - self.start_instances, self.whole.wall - self.start.wall)

    @property
    def steady_byte_rate(self) -> float:
        """Bytes a second, start-up subtracted."""
        return _per(self.bytes - self.start_bytes, self.whole.wall - self.start.wall)

    @property
    def cpu_per_gigabyte(self) -> float:
        """Seconds of processor time, start-up included."""
        return self.whole.cpu / self.bytes * 1e9

    @property
    def steady_cpu_per_gigabyte(self) -> float:
        """Seconds of processor time, start-up subtracted."""
        return max(self.whole.cpu - self.start.cpu, 0.0) / (self.bytes - self.start_bytes) * 1e9

    @property
    def cpu_per_thousand(self) -> float:
        """Seconds of processor time for a thousand instances, start-up included."""
        return self.whole.cpu / self.instances * 1e3

    @property
    def steady_cpu_per_thousand(self) -> float:
        """Seconds of processor time for a thousand instances, start-up subtracted."""
        return max(self.whole.cpu - self.start.cpu, 0.0) / (self.instances - self.start_instances) * 1e3


def send(program: Program, port: int, archive: Archive, one_each: Archive, *, no_delay: bool = True) -> Trial:
    """Have a program send one file, then an archive.

    Args:
        program: the program.
        port: the port of the peer.
        archive: the whole archive.
        one_each: an archive with one file in each folder.
        no_delay: whether DCMTK's programs turn Nagle's algorithm off.
    """
    first = one_each.first_folders(program.processes)
    start = run(program.commands(port, first), no_delay=no_delay, terminal=program.terminal)
    whole = run(program.commands(port, archive), no_delay=no_delay, terminal=program.terminal)
    return Trial(whole, start, archive.instances, first.instances, archive.bytes, first.bytes)


def _per(amount: float, seconds: float) -> float:
    """An amount per second; NaN if the run was too short."""
    return amount / seconds if seconds > 0 else math.nan
