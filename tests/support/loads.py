"""A source of small instances, and measurements that keep everything, for tests of loads."""

from itertools import count, islice
from typing import NamedTuple

from asyncstore.load.values import Kind, Made, Phase, Sample
from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN, Identity, Instance, Payload, SourceFile
from asyncstore.protocol.status import result_of

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


class SmallSource:
    """Makes instances of two kinds in turn; a study has four."""

    corpus = ""

    def __init__(self, sop_classes=(CT, MR), data_set_bytes=100, instances_per_study=4):
        self.kinds = tuple(
            Kind(uid, "OT", uid, EXPLICIT_VR_LITTLE_ENDIAN, data_set_bytes, instances_per_study, 1 / len(sop_classes))
            for uid in sop_classes
        )
        self.studies = 0
        self._payload = Payload("", 0, data_set_bytes, None, bytes(data_set_bytes))
        self._numbers = count(1)

    def next(self):
        number = next(self._numbers)
        return self.make(number % len(self.kinds), number)

    def study(self):
        self.studies += 1
        kind = self.studies % len(self.kinds)
        return islice((self.make(kind, number) for number in self._numbers), self.kinds[kind].instances_per_study)

    def make(self, kind, number=0):
        identity = Identity(self.kinds[kind].sop_class_uid, f"2.25.{10**9 + number}", EXPLICIT_VR_LITTLE_ENDIAN)
        return Made(Instance(SourceFile("", number), identity, self._payload), kind)


class Measured(NamedTuple):
    """What was measured in one phase."""

    phase: Phase
    begun: float
    samples: list[Sample]
    offered: list[tuple[int, int, float]]
    dropped: list[int]
    late: list[float]
    studies: list[float]
    opened: list
    released: list[float]
    lost: list
    ended: list[float]

    @property
    def counts(self):
        """How many instances were offered, and how they ended."""
        results = [None if sample.status is None else result_of(sample.status).value for sample in self.samples]
        return {
            "offered": sum(instances for instances, _, _ in self.offered),
            "stored": results.count("stored"),
            "warning": results.count("warning"),
            "failed": results.count("failed"),
            "unknown": results.count(None),
            "dropped": sum(self.dropped),
        }

    def check(self):
        """Every instance that was offered ended once."""
        counts = self.counts
        assert counts.pop("offered") == sum(counts.values())


class KeptMeasurements:
    """Keeps all that is measured, phase by phase."""

    def __init__(self):
        self.phases = []
        self.watches = []
        self.none_open = []
        """Of each lost association: whether it was the last one."""

    def begin(self, phase, at):
        self.phases.append(Measured(phase, at, [], [], [], [], [], [], [], [], []))

    def offered(self, instances, studies, at):
        self.phases[-1].offered.append((instances, studies, at))

    def stored(self, sample):
        next(one for one in reversed(self.phases) if one.begun <= sample.begun).samples.append(sample)

    def late(self, seconds):
        self.phases[-1].late.append(seconds)

    def watched(self, lag, cpu_seconds, at):
        self.watches.append((lag, cpu_seconds, at))

    def study_ended(self, seconds, _at):
        self.phases[-1].studies.append(seconds)

    def dropped(self, instances, _at):
        self.phases[-1].dropped.append(instances)

    def opened(self, opened):
        self.phases[-1].opened.append(opened)

    def released(self, seconds):
        self.phases[-1].released.append(seconds)

    def lost(self, error, _at, *, none_open=False):
        self.none_open.append(none_open)
        self.phases[-1].lost.append(error)

    def end(self, at):
        self.phases[-1].ended.append(at)
