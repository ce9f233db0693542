"""The machine of the measurements."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import orthanc_program
from benchmarks.programs import asyncstore_program, their_program

_ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("anyio", "uvloop", "pydicom", "pynetdicom")


def describe() -> dict[str, str]:
    """The machine and the versions of all measured programs, by name."""
    orthanc = orthanc_program()
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "asyncstore": _first_line([asyncstore_program(), "--version"]).removeprefix("asyncstore ") + _commit(),
        "DCMTK": _first_line([their_program("storescu"), "--version"]).strip("$ ").removeprefix("dcmtk: storescu "),
        "Orthanc": "not installed" if orthanc is None else _first_line([orthanc, "--version"]).removeprefix("Orthanc "),
        **{library: version(library) for library in _LIBRARIES},
    }


def load() -> float:
    """The average number of processes that wanted to run in the last minute."""
    return os.getloadavg()[0]


def caption(machine: dict[str, str]) -> str:
    """The machine in one line, for the foot of a table."""
    names = ("processor", "Python", "asyncstore", "DCMTK")
    return "; ".join(machine[name] if name == "processor" else f"{name} {machine[name]}" for name in names)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """The commit, if this is a checkout."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    described = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f" ({described})" if described else ""


def _first_line(command: list[str]) -> str:
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return printed.partition("\n")[0].strip()
