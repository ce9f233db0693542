"""The process that probes files and converts data sets, batch by batch.

It reads orders from standard input and writes answers to standard output (:mod:`asyncstore.prepare.pipes`). The
process ends with its standard input, and within a second after its parent, even in the middle of a batch. It imports
little, so it starts in some 20 ms.
"""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any

from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.pipes import CONVERT, DONE, HELLO, PART, PROBE, read_message, write_message
from asyncstore.prepare.probe import probe_file

if TYPE_CHECKING:
    from collections.abc import Iterable

PART_SECONDS = 5.0
"""After so many seconds a worker answers the finished part of a batch. This shows that it lives, and the part is not
repeated if the rest hangs. Nearly every batch is done sooner."""

_PARENT_SECONDS = 1.0
"""Seconds between two checks that the parent lives."""

_SPARE = 1 << 30
"""Bytes of memory that a worker may take beside data sets: it uses 20 MB, and pydicom with numpy reserves 300 MB."""


def main() -> None:
    """Answer batches until the input ends.

    The arguments of the command line are the :class:`~asyncstore.prepare.file_format.FileFormat`, and the id of the
    parent process.
    """
    _, file_format, parent = sys.argv
    start_new_thread(_end_with, (int(parent),))
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that libraries cannot print into the messages
    worker = _Worker(FileFormat(file_format))
    responses.write(HELLO)
    responses.flush()
    while True:
        try:
            order = read_message(requests)
        except EOFError:
            return
        try:
            _answer(responses, worker.do(*order))
        except BrokenPipeError:
            os._exit(0)  # no reader is left; a normal exit would flush again


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: another process is the parent then."""
    while os.getppid() == parent:
        sleep(_PARENT_SECONDS)
    os._exit(0)


def _answer(responses: IO[bytes], found: Iterable[tuple[Any, ...]]) -> None:
    part: list[tuple[Any, ...]] = []
    due = monotonic() + PART_SECONDS
    for one in found:
        part.append(one)
        if monotonic() > due:
            write_message(responses, [PART, part])
            part, due = [], monotonic() + PART_SECONDS
    write_message(responses, [DONE, part])


class _Worker:
    """Carries out orders.

    Args:
        file_format: which files count as instances.
    """

    def __init__(self, file_format: FileFormat) -> None:
        self._file_format = file_format
        self._at_start = _address_space()
        self._allowed = -1
        """Bytes that data sets may take under the current limit; -1: there is no limit yet."""
        self._limit_memory(0)

    def do(self, kind: str, *arguments: Any) -> Iterable[tuple[Any, ...]]:  # noqa: ANN401 - what marshal knows
        """Carry out an order; yields an instance or an unsendable file for each, as plain tuples."""
        if kind == PROBE:
            file_format = self._file_format
            return ((*probe_file(path, file_format)[:-1], ordinal) for path, ordinal in arguments[0])
        return map(tuple, self._conversions(kind, *arguments))

    def _conversions(
        self, kind: str, orders: list[tuple[Any, ...]], settings: tuple[Any, ...]
    ) -> Iterable[Instance | Unsendable]:
        from asyncstore.prepare import conversion, spool  # noqa: PLC0415 - most workers never need it

        spool.close_written()
        ordered = [conversion.Order(Instance._make(found), *rest) for found, *rest in orders]
        wanted = conversion.Settings._make(settings)
        self._limit_memory(conversion.memory_needed(ordered, wanted))
        return (conversion.convert if kind == CONVERT else conversion.judge)(ordered, wanted)

    def _limit_memory(self, needed: int) -> None:
        """Limit memory to ``needed`` bytes and some more, so that a MemoryError costs one file only."""
        if not self._at_start or needed <= self._allowed:
            return
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit  # noqa: PLC0415 - not on every system

        soft, hard = getrlimit(RLIMIT_AS)
        if self._allowed < 0 and soft != RLIM_INFINITY:
            self._at_start = 0  # keep a limit that the user has set
            return
        limit = self._at_start + _SPARE + needed
        setrlimit(RLIMIT_AS, (limit if hard == RLIM_INFINITY else min(limit, hard), hard))
        self._allowed = needed


def _address_space() -> int:
    """Bytes of address space that this process takes; 0 if the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib takes 5 ms to import
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
