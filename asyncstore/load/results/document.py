"""The document of a measurement: frozen values whose names are those of the JSON text, version 1.

Rules:

1. Times are in seconds, sizes in bytes, rates per second. Counts are never negative.
2. Fields are only ever added. A field with a default may be missing in a text.
3. ``None`` means that it was not measured or has no meaning, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the reader looks at the types of fields
from dataclasses import dataclass, field
from typing import Literal

from asyncstore.load.results.histogram import Histogram
from asyncstore.load.values import Kind  # noqa: TC001 - as above

TYPE = "asyncstore-bench"
VERSION = 1

Plain = str | int | float | bool | None
"""A value that JSON has as well."""
Option = Plain | tuple[str | int | float | bool | None, ...]
"""The value of an option: one value or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The SCP, as it showed itself in the first association."""

    host: str
    port: int
    called_ae_title: str
    implementation_class_uid: str | None = None
    implementation_version_name: str | None = None
    maximum_length: int | None = None
    """Of P-DATA-TF PDUs that it takes; 0: any length (PS3.8 D.1)."""
    window: int | None = None
    """The asynchronous operations window that was negotiated: how many C-STORE-RQ may be unanswered; 0: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """What was sent."""

    hash: str
    """SHA-256 of the content without UIDs."""
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that is needed to measure again."""

    asyncstore: str
    python: str
    machine: Mapping[str, Plain]
    """Of this side: system, processor, cores ..."""
    peer: Peer
    options: Mapping[str, Option]
    """The options of the command that are not secret, by name."""
    seed: int | None
    corpus: Corpus
    started: str
    """When the first phase began, in UTC, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What this side reached against a sink of its own on the same machine."""

    instances_per_second: float
    bytes_per_second: float
    cpu_seconds_per_instance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where the time went: what opening and releasing an association took, and the two parts of a store."""

    connect: Histogram = field(default_factory=Histogram)
    tls: Histogram = field(default_factory=Histogram)
    """The handshake; empty without TLS."""
    associate: Histogram = field(default_factory=Histogram)
    """From A-ASSOCIATE-RQ to A-ASSOCIATE-AC."""
    send: Histogram = field(default_factory=Histogram)
    """From the first byte of a C-STORE-RQ to the last of its data set."""
    wait: Histogram = field(default_factory=Histogram)
    """From then to the C-STORE-RSP."""
    release: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The instances of some kinds."""

    stored: int
    failed: int
    bytes: int
    latency: Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The same instances, grouped in four ways."""

    modality: Mapping[str, Group] = field(default_factory=dict)
    sop_class: Mapping[str, Group] = field(default_factory=dict)
    """By SOP Class UID."""
    transfer_syntax: Mapping[str, Group] = field(default_factory=dict)
    """By Transfer Syntax UID."""
    size_class: Mapping[str, Group] = field(default_factory=dict)


POINT_COUNTS = ("offered", "stored", "failed", "dropped", "bytes", "unknown", "errors", "carried", "carried_bytes")
"""The fields of a point that can be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A second of a phase, or several in a long one: the next point's ``second`` tells."""

    second: float
    """When it began, from the beginning of its phase."""
    offered: int
    stored: int
    failed: int
    dropped: int
    bytes: int
    p50: float | None
    """Of the latency of the instances that were stored in it; ``None``: there were none."""
    p95: float | None
    p99: float | None
    max: float | None
    unknown: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    """All but success: ``0xA700``."""
    errors: int = 0
    """Associations that were lost or could not be opened."""
    carried: int = 0
    """Other instances that were stored in it: their stores began in the phase before, which counts them."""
    carried_bytes: int = 0

    @property
    def taken(self) -> int:
        """Instances that the peer stored in it."""
        return self.stored + self.carried

    @property
    def taken_bytes(self) -> int:
        """The bytes of their data sets."""
        return self.bytes + self.carried_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenth:
    """A tenth of a phase."""

    seconds: float
    stored_per_second: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the last tenth of a phase differs from its first one."""

    first: Tenth
    last: Tenth
    tenths: tuple[Tenth, ...] = ()
    """All from the first to the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """This side: how well it kept its times, and what that cost."""

    cpu_seconds: float
    cpu_share: float
    """Of one core."""
    lag: Histogram = field(default_factory=Histogram)
    """How late the event loop called what was due."""
    lateness: Histogram = field(default_factory=Histogram)
    """How late instances began although an association was free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """The results of a phase, or of all counted phases together."""

    name: str
    repeat: int
    model: Literal["open", "closed"]
    associations: int
    """The most that were open."""
    is_counted: bool
    planned_seconds: float
    seconds: float
    """How long stores began. Rates are per second of this time, or until the peer was lost. A store that ends later
    counts in rates by the share of its time that lies within."""
    offered: int
    """Instances that were to begin."""
    offered_per_second: float
    stored: int
    """Instances whose status was success or a warning."""
    stored_per_second: float
    bytes_per_second: float
    """Of data sets that were stored."""
    studies_per_hour: float
    """Where no whole studies were sent: what the stored instances make up by the instances per study of their kinds."""
    warnings: int
    """Instances among the stored ones whose status was a warning."""
    failed: int
    """Instances whose status was a failure."""
    unknown: int
    """Instances whose association ended before the response."""
    dropped: int
    """Instances that were to begin and did not."""
    bytes: int
    """Of the data sets that were stored."""
    studies: int
    """Whole studies that have ended; 0 where instances come one by one."""
    statuses: Mapping[str, int]
    errors: Mapping[str, int]
    """How often an association was lost or could not be opened, by the reason."""
    latency: Histogram
    """From the intended beginning to the response, of stored instances."""
    service: Histogram
    """From the beginning to the response, of stored instances."""
    study_latency: Histogram
    """From the arrival of a study to its last response."""
    split: Split
    by: Groups
    series: tuple[Point, ...]
    """Empty for several phases together."""
    generator: Generator
    drift: Drift | None = None
    """``None``: the phase was short, or its load was not constant."""
    began: float = 0.0
    """Seconds after the first phase began."""
    lost_after: float | None = None
    """Seconds of the phase after which the peer was lost: no association was open from then to its end. 0: none was
    open at all. ``None``: the peer was not lost."""

    @property
    def ended(self) -> int:
        """Instances whose store has begun and ended."""
        return self.stored + self.failed + self.unknown

    @property
    def loaded_seconds(self) -> float:
        """How long the peer was there to be loaded."""
        return self.seconds if self.lost_after is None else self.lost_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one number of associations reached; with repeats: their means and the percentile of all."""

    associations: int
    stored_per_second: float
    p50: float
    p99: float
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The universal scalability law X(N) = l N / (1 + s (N - 1) + k N (N - 1)), fitted to the steps."""

    per_association: float
    """l: instances a second of a single association."""
    contention: float
    """s: the share of the work that is done one at a time."""
    coherency: float
    """k: the cost of agreement between each two associations."""
    residuals: tuple[float, ...]
    """Of each step: measured less fitted rate, as a share of the fitted one."""
    peak_associations: float | None
    """Where the throughput is highest; ``None``: it never falls."""
    peak_per_second: float | None
    """The throughput there, or that it approaches without a peak; ``None``: it grows without an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """How throughput and latency grow with the number of associations."""

    steps: tuple[Step, ...]
    best_per_second: float
    p99_limit: float | None
    associations: int | None
    """The fewest associations within 5 % of the best throughput whose p99 is under the limit; ``None``: no step is."""
    recommended: int | None
    """For ``--associations``; ``None``: nothing can be recommended."""
    law: Law | None
    reasons: tuple[str, ...] = ()
    """Why there is no law, no knee or no recommendation, or what limits them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findable:
    """How long it took until C-FIND found stored instances."""

    asked: int
    found: int
    not_found: int
    latency: Histogram
    """From the response of C-STORE until the instance was found."""
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdResult:
    """A threshold and what was measured."""

    text: str
    value: float | None
    """In the unit of the limit; ``None``: it was not measured."""
    limit: float
    is_crossed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the measurement says."""

    passed: bool
    client_bound: bool
    """Whether this side was the limit: then the results say nothing about the limit of the peer."""
    lines: tuple[str, ...]
    """In plain English, the most important first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the measurements that were merged."""

    machine: Mapping[str, Plain]
    options: Mapping[str, Option]
    started: str
    calibration: Calibration | None
    client_bound: bool
    stored_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole measurement."""

    setup: Setup
    calibration: Calibration | None
    phases: tuple[PhaseResult, ...]
    """In the order of time, warm-up and cool-down too."""
    whole: PhaseResult
    """All counted phases together."""
    knee: Knee | None
    findable: Findable | None
    thresholds: tuple[ThresholdResult, ...]
    verdict: Verdict
    exit_code: int
    parts: tuple[Part, ...] = ()
    """The measurements that were merged into this one."""
