"""The numbers and sizes of everything that is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.data import CT, CT_QUARTER, MULTI_FRAME, SMALL, Kind


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of one run of the benchmarks. Numbers of instances are multiples of four.

    Attributes:
        rounds: the turns of each program, after the warm-up.
        slow_rounds: the same for measurements with delays, which vary little and take long.
        starts: the number of start-ups in each round.
        memory_rounds: the number of measurements of memory, if they do not take minutes.
        pass_through: archives to send to a fast peer.
        pynetdicom: instances for pynetdicom's storescu, which would take a minute for more.
        observed: archives to send with progress and JSON lines.
        as_shipped: instances to send to peers as shipped; a single sender sends a quarter of them.
        over_tls: CT instances to send over TLS.
        surveyed: archives to probe without sending.
        adaptive: instances to send with fixed numbers of associations and with auto.
        delays: delays of peers, or of the way to them, in seconds.
        associations: numbers of associations to try with each delay.
        delayed_seconds: the intended seconds of a run with a delay.
        delayed_most: the most instances of such a run.
        archive_sizes: numbers of tiny files to send while memory is sampled.
        file_sizes: sizes in bytes of single files to send while memory is sampled.
        decoded: frames to decode with each codec.
        mixed: CT instances that pass through while others are decoded.
        transcoded: compressed CT instances to send while memory is sampled.
        slow_reading: CT instances to send to a peer that reads slowly.
        is_judged: whether it is enough to judge the results by the targets.
    """

    rounds: int
    slow_rounds: int
    starts: int
    memory_rounds: int
    pass_through: tuple[tuple[Kind, int], ...]
    pynetdicom: int
    observed: tuple[tuple[Kind, int], ...]
    as_shipped: int
    over_tls: int
    surveyed: tuple[tuple[Kind, int], ...]
    adaptive: int
    delays: tuple[float, ...]
    associations: tuple[int, ...]
    delayed_seconds: float
    delayed_most: int
    archive_sizes: tuple[int, ...]
    file_sizes: tuple[int, ...]
    decoded: int
    mixed: int
    transcoded: int
    slow_reading: int
    is_judged: bool

    def with_rounds(self, rounds: int) -> Scale:
        """The same with another number of rounds."""
        return replace(self, rounds=rounds, slow_rounds=rounds)

    def large(self) -> Scale:
        """The same with a million files, and one of four gigabytes, for memory; and long runs with auto."""
        return replace(
            self,
            adaptive=24_000,
            archive_sizes=(*self.archive_sizes, 1_000_000),
            file_sizes=(*self.file_sizes, 4_000_000_000),
        )


FULL = Scale(
    rounds=5,
    slow_rounds=3,
    starts=4,
    memory_rounds=2,
    pass_through=(
        (CT, 1500),
        (CT, 6000),
        (CT_QUARTER, 3000),
        (SMALL, 6000),
        (SMALL, 40_000),
        (MULTI_FRAME, 8),
    ),
    pynetdicom=40,
    observed=((CT, 1500), (SMALL, 40_000)),
    as_shipped=400,
    over_tls=1500,
    surveyed=((CT, 1500), (SMALL, 40_000)),
    adaptive=1000,
    delays=(0.001, 0.01, 0.1),
    associations=(1, 4, 16, 64),
    delayed_seconds=1.0,
    delayed_most=6000,
    archive_sizes=(1000, 10_000, 100_000),
    file_sizes=(134_000_000, 1_000_000_000),
    decoded=64,
    mixed=2000,
    transcoded=300,
    slow_reading=200,
    is_judged=True,
)

QUICK = Scale(
    rounds=1,
    slow_rounds=1,
    starts=1,
    memory_rounds=1,
    pass_through=((CT, 100), (SMALL, 400)),
    pynetdicom=4,
    observed=((SMALL, 400),),
    as_shipped=40,
    over_tls=100,
    surveyed=((SMALL, 1000),),
    adaptive=200,
    delays=(0.01,),
    associations=(1, 4),
    delayed_seconds=0.2,
    delayed_most=400,
    archive_sizes=(1000,),
    file_sizes=(134_000_000,),
    decoded=16,
    mixed=80,
    transcoded=20,
    slow_reading=16,
    is_judged=False,
)
