"""Documents of invented measurements, for tests and looks of the page: seeded, and quick to make."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import cache

from asyncstore.errors import AssociationError
from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.document import Calibration, Corpus, Document, Findable, Peer, Setup, ThresholdResult
from asyncstore.load.results.histogram import Histogram
from asyncstore.load.results.knee import knee_of
from asyncstore.load.results.recorder import Recorder
from asyncstore.load.results.verdict import client_limits, judge
from asyncstore.load.values import Kind, Opened, Phase, Sample

BYTES = 526_336
KINDS = (  # of different size classes
    Kind("ct", "CT", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", BYTES, 350, 0.7),
    Kind("cr", "CR", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.1.2.4.90", 5_900_000, 4, 0.3),
)
SETUP = Setup(
    asyncstore="0.9.0",
    python="3.11.2",
    machine={"system": "Linux 6.1", "processor": "x86_64", "cores": 2, "memory": 20_000_000_000},
    peer=Peer(
        host="pacs.example.org",
        port=104,
        called_ae_title="ARCHIVE",
        implementation_class_uid="1.2.276.0.7230010.3.0.3.6.7",
        implementation_version_name="OFFIS_DCMTK_367",
        maximum_length=16_384,
        window=1,
    ),
    options={
        "--associations": 8,
        "--duration": 60.0,
        "--mix": "ct=70,cr=30",
        "--threshold": ("p99<20ms", "rate>150/s"),
    },
    seed=20_261_128,
    corpus=Corpus(hash="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", kinds=KINDS),
    started="2026-11-28T19:30:00Z",
)


def phase(  # noqa: PLR0913 - what the tests vary
    name="8 associations",
    *,
    associations=8,
    seconds=20,
    rate=200.0,
    median=0.02,
    growth=0.0,
    offered=None,
    fails=False,
    repeat=1,
    is_counted=True,
    seed=1,
):
    """The results of a phase with log-normal latencies, and a stall every 17 seconds.

    Args:
        name: its name.
        associations: how many.
        seconds: its length.
        rate: stored in a second.
        median: of the latency.
        growth: how much longer stores take at its end, as a share.
        offered: in a second, of an open load.
        fails: whether some stores fail, and associations are lost.
        repeat: which repetition.
        is_counted: whether it counts.
        seed: of its random numbers.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret is drawn
    recorder = Recorder(KINDS)
    recorder.begin(Phase(name, offered is not None, associations, float(seconds), is_counted, repeat), 0.0)
    for _ in range(associations):
        recorder.opened(Opened(0.0, rng.expovariate(3000), 0.0, rng.expovariate(300)))
        recorder.released(rng.expovariate(500))
    for second in range(seconds):
        count = max(int(rng.gauss(rate, rate / 15)), 1)
        scale = math.log(median * (1 + growth * second / seconds))
        recorder.offered(offered or count, 0, float(second))
        if offered and offered > count:
            recorder.dropped(offered - count, float(second))
        for number in range(count):
            took = rng.lognormvariate(scale, 0.5) + (0.5 if number < 3 and second % 17 == 16 else 0)
            status = 0xA700 if fails and number % 100 == 1 else None if fails and number == 2 else 0
            began = second + number / count
            waited = 0.2 * took if offered else 0.0
            sent = began + waited + 0.1 * took
            recorder.stored(Sample(number % 2, began, began + waited, sent, began + took * (1 + number % 2), status))
        if fails:
            recorder.lost(AssociationError("pacs:104", "the peer closed the connection"), float(second))
        if offered:
            recorder.study_ended(rng.lognormvariate(0, 0.4), float(second + 1))
            recorder.late(rng.expovariate(9000))
        recorder.watched(rng.expovariate(3000), 0.02 * associations * (second + 1), float(second + 1))
        recorder.fold(float(second + 1))
    recorder.end(seconds + 1.0)
    [result] = recorder.results(seconds + 1.0)
    return result


def steps(repeats=3, seconds=6):
    """Phases of a knee: each number of associations several times, between a warm-up and a cool-down."""
    found = [phase("warm-up", associations=1, seconds=4, rate=50, is_counted=False)]
    for number in (1, 2, 4, 8, 16, 32):
        rate = 60 * number / (1 + 0.05 * (number - 1) + 0.0025 * number * (number - 1))
        found += [
            phase(
                f"{number} associations",
                associations=number,
                seconds=seconds,
                rate=rate,
                median=number / rate,
                repeat=repeat,
                seed=10 * number + repeat,
            )
            for repeat in range(1, repeats + 1)
        ]
    return found


def document(phases, *, thresholds=(), findable=None, with_knee=False, is_interrupted=False):
    """The document of these phases."""
    phases = tuple(phases)
    whole = whole_of(phases)
    calibration = Calibration(instances_per_second=2100.0, bytes_per_second=1.1e9, cpu_seconds_per_instance=0.00045)
    knee = knee_of(phases, 0.5, lambda phase: bool(client_limits(phase, calibration))) if with_knee else None
    verdict, exit_code = judge(
        phases,
        whole,
        calibration=calibration,
        knee=knee,
        findable=findable,
        thresholds=thresholds,
        is_interrupted=is_interrupted,
    )
    return Document(
        setup=SETUP,
        calibration=calibration,
        phases=phases,
        whole=whole,
        knee=knee,
        findable=findable,
        thresholds=tuple(thresholds),
        verdict=verdict,
        exit_code=exit_code,
    )


def crossed():
    """A threshold that does not hold."""
    return ThresholdResult(text="p99<20ms", value=0.0412, limit=0.02, is_crossed=True)


def held():
    """A threshold that holds."""
    return ThresholdResult(text="rate>150/s", value=204.3, limit=150.0, is_crossed=False)


def asked():
    """Times to findable."""
    rng = random.Random(5)  # noqa: S311 - no secret is drawn
    times = Histogram.of(rng.lognormvariate(-2, 0.8) for _ in range(400))
    return Findable(asked=410, found=400, not_found=10, latency=times, errors={"A-ABORT": 1})


@cache
def everything():
    """A document in which every plot has something to show; no real one has steps and an open load."""
    phases = [
        phase("warm-up", seconds=10, rate=100, is_counted=False, offered=100),
        phase("200/s", seconds=120, rate=198, offered=200, growth=0.5),
        phase("300/s", seconds=60, rate=230, offered=300, median=0.1, fails=True, seed=2),
    ]
    made = document(phases, thresholds=(held(), crossed()), findable=asked())
    return replace(made, knee=document(steps(1), with_knee=True).knee)


@cache
def small():
    """As :func:`everything`, but short."""
    phases = [
        phase("warm-up", seconds=2, rate=20, is_counted=False, offered=20),
        phase("20/s", seconds=4, rate=18, offered=20, fails=True),
        phase("30/s", seconds=3, rate=30, offered=30),
    ]
    made = document(phases, thresholds=(held(), crossed()), findable=asked())
    return replace(made, knee=everything().knee)
