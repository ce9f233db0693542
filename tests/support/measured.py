"""Documents of measurements that never took place, for tests of what is made of them."""

from dataclasses import replace
from random import Random

from asyncstore.load.results import Document, Recorder
from asyncstore.load.results.adding import whole_of
from asyncstore.load.results.document import Calibration, Corpus, Part, Peer, Setup, Verdict
from asyncstore.load.values import Kind, Opened, Phase, Sample

CT = Kind("ct", "CT", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", 526_000, 300, 0.75)
MR = Kind("mr", "MR", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1", 132_000, 200, 0.25)
KINDS = (CT, MR)

SETUP = Setup(
    asyncstore="1.0",
    python="3.11.7",
    machine={"system": "Linux", "cores": 2},
    peer=Peer(host="pacs", port=104, called_ae_title="ANY-SCP", implementation_class_uid="1.2.3", window=1),
    options={"duration": 60.0, "mix": "ct=75,mr=25", "threshold": ("p99<2s", "failed<0.1%"), "keep-uids": False},
    seed=(1 << 64) - 1,
    corpus=Corpus(hash="ab" * 32, kinds=KINDS),
    started="2026-01-01T12:00:00Z",
)


PART = Part(machine={}, options={}, started="", calibration=None, client_bound=False, stored_per_second=50.0)
"""One of the machines of a sum."""


def load(recorder, phase, *, begin=1000.0, rate=100.0, service=0.01, spread=0.3, seed=1, status=lambda _: 0):
    """Feed a phase to a recorder: stores that begin at a fixed rate, with log-normal service times."""
    noise = Random(seed)  # noqa: S311 - noise, not a secret
    recorder.begin(phase, begin)
    recorder.opened(Opened(begin, 0.001, 0.0, 0.002))
    samples = []
    for number in range(round(phase.seconds * rate)):
        intended = begin + number / rate
        begun = intended + (0.001 if phase.is_open else 0.0)
        ended = begun + service * noise.lognormvariate(0.0, spread)
        kind = int(noise.random() < MR.share)
        samples.append(Sample(kind, intended, begun, begun + (ended - begun) / 4, ended, status(number)))
    samples.sort(key=lambda each: each.ended)
    second = 1
    for sample in samples:
        while sample.ended >= begin + second:
            recorder.fold(begin + second)
            recorder.watched(0.0005, second * 0.25, begin + second)
            second += 1
        recorder.offered(1, 0, sample.intended)
        recorder.stored(sample)
    recorder.released(0.001)
    recorder.end(max(begin + phase.seconds, samples[-1].ended if samples else 0.0))


def closed(associations=4, seconds=10.0, repeat=1, **values):
    return Phase(f"{associations} associations", False, associations, seconds, repeat=repeat, **values)


def opened(rate=100.0, seconds=10.0, associations=4, **values):
    return Phase(f"{rate:g}/s", True, associations, seconds, **values)


def result(phase=None, **values):
    """The result of one phase."""
    recorder = Recorder(KINDS)
    load(recorder, phase or closed(), **values)
    return recorder.results(0.0)[0]


def document(phases=None, **fields):
    """A document of these results."""
    recorder = Recorder(KINDS)
    if phases is None:
        load(recorder, closed())
        phases = recorder.results(0.0)
    values = {
        "setup": SETUP,
        "calibration": Calibration(instances_per_second=2000.0, bytes_per_second=1e9, cpu_seconds_per_instance=0.0004),
        "phases": tuple(phases),
        "whole": whole_of(phases),
        "knee": None,
        "findable": None,
        "thresholds": (),
        "verdict": Verdict(passed=True, client_bound=False, lines=("It took 100 instances a second.",)),
        "exit_code": 0,
    }
    return Document(**{**values, **fields})


def with_peer(setup, **values):
    return replace(setup, peer=replace(setup.peer, **values))
