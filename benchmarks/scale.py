"""How much of everything there is to measure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.data import CT, CT_QUARTER, MULTI_FRAME, SMALL, Kind


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of one run of the benchmarks. Numbers of instances are multiples of four.

    Attributes:
        rounds: how often each program has its turn, after the warm-up.
        slow_rounds: the same where waiting decides, which varies little and takes long.
        starts: how often start-up is measured in each round.
        memory_rounds: how often memory is measured, where it does not take minutes.
        pass_through: what is sent to a peer that takes it at once.
        pynetdicom: instances for pynetdicom's storescu, which would take a minute for more.
        observed: what is sent with progress and JSON lines on.
        as_shipped: instances to send to peers as shipped; one sender alone sends a quarter of them.
        over_tls: CT instances to send over TLS.
        surveyed: what is looked into without being sent.
        delays: seconds that peers or the way to them take.
        associations: numbers of them to try with each delay.
        delayed_seconds: how long a run with a delay shall take, about.
        delayed_most: the most instances of such a run.
        archive_sizes: numbers of tiny files to send while memory is watched.
        file_sizes: bytes of single files to send while memory is watched.
        slow_reading: CT instances to send to a peer that reads slowly.
        is_judged: whether there is enough of everything to hold it against what is asked for.
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
    delays: tuple[float, ...]
    associations: tuple[int, ...]
    delayed_seconds: float
    delayed_most: int
    archive_sizes: tuple[int, ...]
    file_sizes: tuple[int, ...]
    slow_reading: int
    is_judged: bool

    def with_rounds(self, rounds: int) -> Scale:
        """The same with that many rounds wherever programs take turns."""
        return replace(self, rounds=rounds, slow_rounds=rounds)

    def large(self) -> Scale:
        """The same with a million files, and one of four gigabytes, for memory."""
        return replace(
            self,
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
    delays=(0.001, 0.01, 0.1),
    associations=(1, 4, 16, 64),
    delayed_seconds=1.0,
    delayed_most=6000,
    archive_sizes=(1000, 10_000, 100_000),
    file_sizes=(134_000_000, 1_000_000_000),
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
    delays=(0.01,),
    associations=(1, 4),
    delayed_seconds=0.2,
    delayed_most=400,
    archive_sizes=(1000,),
    file_sizes=(134_000_000,),
    slow_reading=16,
    is_judged=False,
)
