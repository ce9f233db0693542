"""The command lines to compare."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.data import Archive


@dataclass(frozen=True, slots=True)
class Program:
    """A program that sends.

    Attributes:
        name: its name in the tables.
        words: its command line without peer, port and folders.
        processes: the number of processes at the same time, each with its share of the folders.
        terminal: whether its standard error is a terminal.
        joins_port: whether host and port are one word, with a colon.
    """

    name: str
    words: tuple[str, ...]
    processes: int = 1
    terminal: bool = False
    joins_port: bool = False

    def commands(self, port: int, archive: Archive) -> list[list[str]]:
        """The command lines that send an archive to a port of loopback."""
        shares = [archive.folders[first :: self.processes] for first in range(self.processes)]
        return [self.command(port, [str(folder) for folder in share]) for share in shares if share]

    def command(self, port: int, paths: Sequence[str]) -> list[str]:
        """The command line that sends some paths to a port of loopback."""
        return [*self.words, *self._address(str(port)), *paths]

    def shown(self) -> str:
        """The command line as the tables show it."""
        words = [_short(word) for word in self.words]
        what = "FOLDERS" if self.processes == 1 else f"SHARE-OF-FOLDERS, {self.processes} at the same time"
        return f"{shlex.join(words)} {' '.join(self._address('PORT'))} {what}"

    def _address(self, port: str) -> tuple[str, ...]:
        return (f"127.0.0.1:{port}",) if self.joins_port else ("127.0.0.1", port)


def asyncstore(*options: str, name: str | None = None, terminal: bool = False) -> Program:
    """``asyncstore send`` of this environment."""
    progress = () if "--progress" in options else ("--progress", "off")
    words = (asyncstore_program(), "send", "-nh", *progress, *options)
    return Program(name or " ".join(("asyncstore", *options)), words, terminal=terminal)


def storescu(processes: int = 1) -> Program:
    """DCMTK's storescu, without ``-nh``: with that its exit code is always 0."""
    name = f"{processes} x storescu" if processes > 1 else "storescu"
    return Program(name, (their_program("storescu"), "+sd", "+r"), processes)


def dcmsend() -> Program:
    """DCMTK's dcmsend."""
    return Program("dcmsend", (their_program("dcmsend"), "+sd", "+r"))


def pynetdicom_storescu() -> Program:
    """The storescu that comes with pynetdicom."""
    return Program("pynetdicom storescu", (sys.executable, "-m", "pynetdicom", "storescu", "-r"))


def dicom_rs() -> Program | None:
    """The storescu of dicom-rs over four associations; ``None``: it is not installed."""
    program = their_program("dicom-storescu")
    return Program("dicom-rs -c 4", (program, "-c", "4"), joins_port=True) if "/" in program else None


def limit() -> Program:
    """The least cost of a Python sender, over four associations: :mod:`benchmarks.limit`."""
    return Program("limit", (sys.executable, "-m", "benchmarks.limit", "--associations", "4"))


def asyncstore_program() -> str:
    """The path of ``asyncstore`` in this environment."""
    return str(Path(sys.executable).parent / "asyncstore")


def their_program(name: str) -> str:
    """The path of another program, or only its name if it is not installed.

    The folder of this environment is not searched: pynetdicom installs programs with the names of DCMTK's.
    """
    ours = str(Path(sys.executable).parent)
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != ours]
    return shutil.which(name, path=os.pathsep.join(folders)) or name


def missing_programs() -> list[str]:
    """The needed programs that are not installed."""
    theirs = [program for program in map(their_program, ("storescp", "storescu", "dcmsend")) if "/" not in program]
    return theirs + [program for program in (asyncstore_program(), "openssl") if shutil.which(program) is None]


def _short(word: str) -> str:
    """A word of a command line without the paths of this machine."""
    if word == sys.executable:
        return "python"
    return Path(word).name if word.startswith("/") else word
