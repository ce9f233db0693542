"""What holds for each execution of each target.

Only the errors that the target expects may come out, within a second of processor time and 100 MB of memory.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time

TARGETS = tuple(sorted(path.stem for path in (Path(__file__).parent / "targets").glob("[a-z]*.py")))
"""The names of all targets."""

SECONDS = 1.0
MEGABYTES = 100
_UNITS_PER_MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""Of ``ru_maxrss`` (getrusage(2))."""


class TooSlow(Exception):
    """An input took more processor time than any may."""


class TooLarge(Exception):
    """An input took more memory than any may."""


def load(name):
    """The module of a target."""
    return import_module(f"fuzz.targets.{name}")


def execution(target, folder):
    """A function that executes a target once. Files are written to ``folder``."""
    before = _peak()

    def once(data):
        with suppress(*target.EXPECTED):
            target.execute(data, folder)

    def execute(data):
        nonlocal before
        began = perf_counter()
        once(data)
        if perf_counter() - began > SECONDS:  # seldom, and the other clock takes a system call
            began = process_time()
            once(data)
            if process_time() - began > SECONDS:
                raise TooSlow(f"{process_time() - began:.1f} s of processor time")
        peak = _peak()
        if peak > before:
            more, before = peak - before, peak
            if more > MEGABYTES * _UNITS_PER_MEGABYTE:
                raise TooLarge(f"{more / _UNITS_PER_MEGABYTE:.0f} MB")

    return execute


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
