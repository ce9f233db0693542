"""``python -m benchmarks``: measure everything, or the named sections."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks.bench import Bench
from benchmarks.data import Archives
from benchmarks.machine import load
from benchmarks.processes import RunFailed
from benchmarks.programs import missing_programs
from benchmarks.rounds import say
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.sections import (
    adaptive,
    as_shipped,
    latency,
    memory,
    observing,
    pass_through,
    startup,
    survey,
    tls,
    transcoding,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SECTIONS: dict[str, Callable[[Bench], None]] = {
    "startup": startup.measure,
    "pass-through": pass_through.measure,
    "observing": observing.measure,
    "as-shipped": as_shipped.measure,
    "tls": tls.measure,
    "latency": latency.measure,
    "adaptive": adaptive.measure,
    "memory": memory.measure,
    "survey": survey.measure,
    "transcoding": transcoding.measure,
}
_IDLE = 0.3
"""A greater load means that other programs disturb the measurement."""


def main() -> int:
    """Run and return the exit code."""
    options = _options()
    missing = missing_programs()
    if missing:
        say(f"not installed: {', '.join(missing)}. `make bench` installs ours; on Debian, `apt install dcmtk` theirs")
        return 1
    if load() > _IDLE:
        say(f"other programs are running (load {load():.1f}): even ratios will be noisy")
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with tempfile.TemporaryDirectory(prefix="asyncstore-bench-", dir=options.folder) as folder:
            bench = Bench(_scale(options), Archives(Path(folder)), Path(folder))
            for name in options.only or _SECTIONS:
                _SECTIONS[name](bench)
                bench.archives.clear()
            bench.conclude()
        if options.markdown is not None:
            options.markdown.write_text(bench.markdown(), encoding="utf-8")
    except RunFailed as failure:
        say(f"benchmarks: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How fast asyncstore is, beside the programs that are used for the same work today.",
    )
    options.add_argument("--quick", action="store_true", help="few instances: a minute or two, to see that it works")
    options.add_argument(
        "--large", action="store_true", help="memory also for a million files and one of 4 GB; auto also in long runs"
    )
    options.add_argument("--rounds", type=_positive, metavar="N", help="turns of each program (default: 5; some 3)")
    options.add_argument("--only", nargs="+", choices=_SECTIONS, metavar="NAME", help=f"of {', '.join(_SECTIONS)}")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables for a README, too")
    options.add_argument("--folder", type=Path, metavar="DIRECTORY", help="where instances are written (8 GB, or 16)")
    return options.parse_args()


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else FULL
    if options.large:
        scale = scale.large()
    return scale if options.rounds is None else scale.with_rounds(options.rounds)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every ``finally``, as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
