"""The options of ``bench``, ``bench compare`` and ``bench merge`` that no other command has: one row each.

Exactly one option chooses the load. Without any it is closed, in steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.bench_kinds import (
    Factor,
    Frequency,
    Mix,
    Period,
    ProfileOfYear,
    Size,
    Stages,
    Steps,
    Thresholds,
)
from asyncstore.cli.options.kinds import Choice, Duration, Integer, Text, Words
from asyncstore.cli.options.table import Option, Parameter, flag, text

How = Literal["fixed", "poisson"]

if TYPE_CHECKING:
    from asyncstore.load.plan.profile import Profile
    from asyncstore.load.results.thresholds import Threshold
    from asyncstore.load.values import Kind

ASSOCIATIONS_AT_ONCE = 8
"""The associations of a load for which the user names none: a department's modalities that send at the same time."""
STEPS_OF_DEFAULT = (1, 2, 4, 8, 16)
"""Enough to see where throughput stops growing, and to fit the scalability law, in less than a minute."""
SECONDS_OF_STEP = 10.0
SECONDS_OF_LOAD = 30.0

_OPEN = ("--rate", "--exams", "--profile", "--stages", "--replay")


def _others(own: str) -> tuple[str, ...]:
    """The options that choose another load."""
    return tuple(name for name in ("--steps", *_OPEN) if name != own)


PATHS = Parameter[tuple[str, ...]](
    "path",
    Words("path"),
    (),
    "DICOM files and directories whose instances are sent, with new UIDs, in place of synthetic ones",
    repeats=True,
    is_optional=True,
)

# What is sent --------------------------------------------------------------------------------------------------------

MIX: Option[tuple[Kind, ...] | None] = Option(
    "--mix",
    Mix("MIX"),
    None,
    "kinds of synthetic instances with their shares; known are ct, enhanced-ct, mr, mr-256, cr, dx, mg, tomo, us, "
    "us-loop and sr",
    shown_default="ct=60, mr=20, us=15, dx=3, cr=1.5, mg=0.5",
    excludes=("--size",),
)
SIZE = Option[int | None](
    "--size", Size("BYTES"), None, "synthetic instances of one kind, of this size: 512K, 2M, 64Ki"
)
KEEP_UIDS = flag(
    "--keep-uids",
    "leave the files their UIDs: the peer gets each instance again and again, and may take it for a duplicate",
)
RANDOM_SEED = Option[int | None](
    "--random-seed",
    Integer("N", 0, (1 << 53) - 1),  # as large as the seeds that are drawn
    None,
    "make the same instances, UIDs and arrivals as another run with this number",
    shown_default="a new one, which the report names",
)

# The load ------------------------------------------------------------------------------------------------------------

ASSOCIATIONS = opt.ASSOCIATIONS._replace(
    help=f"associations that store at the same time; in an open load the most that are open; auto: "
    f"{ASSOCIATIONS_AT_ONCE}",
    shown_default=str(ASSOCIATIONS_AT_ONCE),
)
DURATION = Option[float | None](
    "--duration",
    Duration("DURATION", "30s, 5m or 1h"),
    None,
    "how long the load lasts, or each step of it",
    shown_default=f"{SECONDS_OF_LOAD:g}s; {SECONDS_OF_STEP:g}s for each step",
    excludes=("--stages", "--replay"),
)
STEPS = Option[tuple[int, ...] | None](
    "--steps",
    Steps("STEPS"),
    None,
    "store over so many associations, one number after the other, to find the knee",
    shown_default=f"{','.join(map(str, STEPS_OF_DEFAULT))}, unless --associations or another load is given",
    excludes=("--associations", *_others("--steps")),
)
RATE = Option[float | None](
    "--rate",
    Frequency("RATE", "200/s, 600/min or 1000/h", may_be_bare=True),
    None,
    "begin this many instances: 200/s, 600/min, 1000/h",
    excludes=_others("--rate"),
)
EXAMS = Option[float | None](
    "--exams",
    Frequency("RATE", "120/h"),
    None,
    "begin this many exams, each with all its instances: 120/h",
    excludes=_others("--exams"),
)
PROFILE: Option[Profile | None] = Option(
    "--profile",
    ProfileOfYear("PROFILE"),
    None,
    "begin exams as a hospital has them by hour and weekday: exams-per-year=1.5M starts on Tuesday at 10, "
    "exams-per-year=1.5M,start=mon-7 on Monday at 7",
    excludes=_others("--profile"),
)
STAGES = Option[tuple[tuple[float, float], ...] | None](
    "--stages",
    Stages("STAGES"),
    None,
    "let the rate grow or fall evenly, to 50/s within a minute, then to 200/s within five: 1m:50/s,5m:200/s",
    excludes=_others("--stages"),
)
REPLAY = text(
    "--replay",
    "FILE",
    "repeat the arrivals and sizes of a run of send, which send --json has recorded in this file",
    excludes=(*_others("--replay"), "--mix", "--size"),
)
SPEED = Option[float]("--speed", Factor("FACTOR"), 1.0, "repeat it this many times as fast", requires=("--replay",))
ARRIVALS = Option[How | None](
    "--arrivals",
    Choice[How]("HOW", ("fixed", "poisson")),
    None,
    "begin at equal intervals (fixed), or at random (poisson)",
    shown_default="poisson for exams, fixed for instances",
    requires=("--rate", "--exams", "--stages"),
)
WARM_UP = Option[float](
    "--warm-up",
    Period("DURATION", "5s, or 0 for none"),
    5.0,
    "load before the measurement, which does not count",
    shown_default="5s",
)
COOL_DOWN = Option[float](
    "--cool-down",
    Period("DURATION", "5s, or 0 for none"),
    0.0,
    "load after the measurement, which does not count",
    shown_default="0",
)
REPEAT = opt.REPEAT._replace(help="measure this many times; bench compare needs three or more")

# What is measured ----------------------------------------------------------------------------------------------------

FINDABLE = Option[int | None](
    "--findable",
    Integer("N", 1, 100),
    None,
    "search with C-FIND for this many stored instances a second, and measure how long it takes until each is found",
)
P99_LIMIT = Option[float | None](
    "--p99-limit",
    Duration("DURATION", "2s, or 500ms"),
    None,
    "recommend no number of associations with a longer 99th percentile than this",
    shown_default="unlimited",
    excludes=_OPEN,
)
THRESHOLD = Option[tuple["Threshold", ...]](
    "--threshold",
    Thresholds("THRESHOLD"),
    (),
    "what must hold for exit code 0: 'p99<2s', 'failed<0.1%', 'rate>150/s'; may be given again",
    accumulates=True,
)
ABORT_ON_FAIL = flag("--abort-on-fail", "end the load as soon as a threshold is crossed", requires=("--threshold",))
NO_CALIBRATE = flag(
    "--no-calibrate",
    "do not measure first, for a second, how much this machine can send at most",
)

# Output --------------------------------------------------------------------------------------------------------------

JSON = opt.JSON._replace(help="write all results as one JSON document; -: standard output")
HDR = text("--hdr", "FILE", "write the latencies as a log of HdrHistogram (V2), with a tag for each phase")
HTML = text("--html", "FILE", "write a page for a browser, with plots; it works offline and holds no patient data")

# bench compare, bench merge ------------------------------------------------------------------------------------------

FIRST = Parameter[str]("A.json", Text("A.json"), "", "what bench --json wrote")
SECOND = Parameter[str]("B.json", Text("B.json"), "", "what another bench --json wrote")
COMPARE_JSON = flag("--json", "print the comparison as JSON", line_only=True)
COMPARE_HTML = HTML._replace(help="write the comparison as a page for a browser, with plots", line_only=True)
SUM_HTML = text("--html", "FILE", "write the sum as a page for a browser as well", line_only=True)
MERGED = Parameter[str]("OUT.json", Text("OUT.json"), "", "the new file for the sum")
PARTS = Parameter[tuple[str, ...]](
    "RUN.json", Words("RUN.json"), (), "what bench --json wrote on each machine, at the same time", repeats=True
)
