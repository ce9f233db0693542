"""``python -m benchmarks.theory``: whether ``bench`` reports the latencies that queueing theory predicts.

``asyncstore sink --latency`` answers after a fixed time, and each association waits for its own responses. So one
association is a queue with one server and fixed service (M/D/1), if instances arrive at random. The service time is the
mean of the measured ones: sink, network and sender take some time, too.

Two columns stand beside the measured percentiles: what Crommelin's formula says of all arrivals with the mean service
time, and what these arrivals must have waited, each with its own service time. The second has no error of sampling, and
a busy machine is no part of it, so the generator alone shows in it: each store begins some 0.1 ms late.
"""

from __future__ import annotations

import argparse
import math
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore.cli.loop import run_loop
from asyncstore.load.driving.driver import Driver
from asyncstore.load.generator import Synthetic
from asyncstore.load.mix import of_size
from asyncstore.load.plan.phases import around, open_rate
from asyncstore.load.results.recorder import Recorder
from asyncstore.negotiation import Planned as Proposal
from asyncstore.network.opening import AssociationOptions
from asyncstore.network.timed import open_timed_association
from benchmarks.peers import sink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.load.plan.phases import Planned
    from asyncstore.load.results.document import PhaseResult
    from asyncstore.load.values import Kind, Phase, Sample
    from asyncstore.network.timed import OnStored, TimedAssociation

_PERCENTILES = (50.0, 90.0, 95.0, 99.0)
_TOLERANCE = 0.03
_SIZE = 2800
_SEED = 1


def main() -> int:
    """Measure and compare; the exit code is 1 if a percentile is further off than the tolerance."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.theory", description=__doc__)
    options.add_argument("--latency", type=float, default=0.02, metavar="SECONDS", help="of the sink (default: 0.02)")
    options.add_argument("--seconds", type=float, default=120.0, help="of each load (default: 120)")
    options.add_argument("--loads", type=float, nargs="+", default=[0.3, 0.5, 0.7], help="shares of the sink's time")
    chosen = options.parse_args()
    with sink(chosen.latency) as port:
        return max(_compare(port, load / chosen.latency, chosen.seconds) for load in chosen.loads)


def _compare(port: int, rate: float, seconds: float) -> int:
    """Measure one load, print its percentiles, and return 1 if one is too far off."""
    planned = open_rate(rate, seconds, 1, how="poisson", seed=_SEED)
    result, samples = _measured(port, planned)
    service = result.service.mean
    must = sorted(_sojourns(samples))
    taken = f"each takes {service * 1e3:.3f} ms, together {rate * service:.0%} of the sink's time"
    print(f"{rate:.1f}/s at random, {result.latency.count} stored: {taken}")
    print("percentile   measured   M/D/1, ms        these arrivals")
    is_off = False
    for percent in _PERCENTILES:
        measured = result.latency.percentile(percent)
        theory = _wait_of_share(percent / 100, service, rate) + service
        own = must[math.ceil(percent / 100 * len(must)) - 1]
        is_off |= abs(measured / own - 1) > _TOLERANCE
        print(f"{percent:10g} {measured * 1e3:10.3f} {_beside(measured, theory)} {_beside(measured, own)}")
    late = result.generator.lateness.percentile(99) if result.generator.lateness.count else 0.0
    print(f"begun within {late * 1e3:.3f} ms of their time (p99)\n")
    return int(is_off)


def _beside(measured: float, expected: float) -> str:
    return f"{expected * 1e3:10.3f} ({measured / expected - 1:+.1%})"


def _measured(port: int, planned: Planned) -> tuple[PhaseResult, list[Sample]]:
    """A phase against a sink, and its stores in order."""
    source = Synthetic(of_size(_SIZE))
    contexts = Proposal().contexts((kind.sop_class_uid, kind.transfer_syntax_uid) for kind in source.kinds)
    recorder = _Keeping(source.kinds)

    async def opened(number: int, on_stored: OnStored, on_end: Callable[[], None]) -> TimedAssociation:
        return await open_timed_association(
            "127.0.0.1", port, contexts, AssociationOptions(), number=number, on_stored=on_stored, on_end=on_end
        )

    run_loop(Driver(opened, source, recorder).run(around([planned], warm_up=1.0)))
    return recorder.so_far(monotonic()), [sample for sample in recorder.kept if sample.begun >= recorder.counts_from]


class _Keeping(Recorder):
    """A recorder that keeps all samples, and when the phase began that counts."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        super().__init__(kinds)
        self.kept: list[Sample] = []
        self.counts_from = 0.0
        self._count, self.stored = self.stored, self._keep

    def begin(self, phase: Phase, at: float) -> None:
        """A phase begins."""
        super().begin(phase, at)
        self.counts_from = at

    def _keep(self, sample: Sample) -> None:
        self._count(sample)
        self.kept.append(sample)


def _sojourns(samples: Sequence[Sample]) -> list[float]:
    """What these arrivals wait and are served for, in a queue with one server (Lindley 1952)."""
    sojourns = []
    free_at = 0.0
    for sample in samples:
        free_at = max(free_at, sample.intended) + sample.ended - sample.begun
        sojourns.append(free_at - sample.intended)
    return sojourns


def _waits_at_most(wait: float, service: float, rate: float) -> float:
    """The share of arrivals that wait no longer in M/D/1 (Erlang 1909; Crommelin 1932)."""
    terms = []
    for number in range(int(wait / service) + 1):
        rest = rate * (number * service - wait)
        terms.append(rest**number / math.factorial(number) * math.exp(-rest))
    return (1 - rate * service) * math.fsum(terms)


def _wait_of_share(share: float, service: float, rate: float) -> float:
    """The wait that this share of the arrivals does not exceed."""
    low, high = 0.0, 20 * service
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _waits_at_most(middle, service, rate) < share else (low, middle)
    return low


if __name__ == "__main__":
    raise SystemExit(main())
