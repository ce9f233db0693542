"""The process that probes files and converts data sets, batch by batch.

It reads orders from standard input and writes answers to standard output (:mod:`asyncstore.prepare.messages`). The
process ends with its standard input, and within a second after its parent, even in the middle of a batch. It imports
little, so it starts in some 20 ms.
"""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread
from functools import partial
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any

from asyncstore.model import Identity, Instance, Payload, SourceFile
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import (
    CONVERT,
    DONE,
    EDIT,
    HELLO,
    MEASURE,
    PART,
    PROBE,
    PROBE_PARTS,
    Order,
    read_message,
    write_message,
)
from asyncstore.prepare.probe import allow_repairs, probe_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asyncstore.prepare.head import HeadReader
    from asyncstore.prepare.messages import Answer

PART_SECONDS = 5.0
"""After so many seconds a worker answers the finished part of a batch. This shows that it lives, and the part is not
repeated if the rest hangs. Nearly every batch is done sooner."""

FILES_A_LOOK = 8
"""Files to probe between two looks at the clock. Conversions look after each one: they may take seconds."""

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
    worker = _Worker(FileFormat(file_format), partial(write_message, responses, [PART, []]))
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


def _answer(responses: IO[bytes], answers: Iterable[list[Answer]]) -> None:
    part: list[Answer] = []
    due = monotonic() + PART_SECONDS
    for some in answers:
        part += some
        if monotonic() > due:
            write_message(responses, [PART, part])
            part, due = [], monotonic() + PART_SECONDS
    write_message(responses, [DONE, part])


class _Worker:
    """Carries out orders.

    Args:
        file_format: which files count as instances.
        show_life: called every few seconds while one data set of many frames is transcoded.
    """

    def __init__(self, file_format: FileFormat, show_life: Callable[[], object]) -> None:
        self._file_format = file_format
        self._show_life = show_life
        self._due = 0.0
        self._heads: HeadReader | None = None
        self._at_start = _address_space()
        self._allowed = -1
        """Bytes that data sets may take under the current limit; -1: there is no limit yet."""
        self._limit_memory(0)

    def do(self, kind: str, *arguments: Any) -> Iterator[list[Answer]]:  # noqa: ANN401 - what marshal knows
        """Carry out an order; yields the answers for some files at a time."""
        if kind == PROBE:
            return self._probed(*arguments)
        if kind == PROBE_PARTS:
            return self._probed_parts(*arguments)
        return ([answer] for answer in self._conversions(kind, *arguments))

    def _probed(self, paths: list[str], wants_details: object = None, repairs: object = None) -> Iterator[list[Answer]]:
        allow_repairs(is_allowed=bool(repairs))
        file_format = self._file_format
        heads = self._head_reader() if wants_details else None
        for start in range(0, len(paths), FILES_A_LOOK):
            yield [probe_file(path, file_format, heads) for path in paths[start : start + FILES_A_LOOK]]

    def _probed_parts(
        self, parts: list[tuple[Any, ...]], wants_details: object = None, repairs: object = None
    ) -> Iterator[list[Answer]]:
        allow_repairs(is_allowed=bool(repairs))
        from asyncstore.prepare.parts import probe_part  # few runs open archives

        heads = self._head_reader() if wants_details else None
        for part in parts:
            if len(part) == 1:
                yield [probe_file(*part, self._file_format, heads)]
            else:
                yield [probe_part(part, self._file_format, heads)]

    def _head_reader(self) -> HeadReader:
        if self._heads is None:
            from asyncstore.prepare.head import HeadReader  # few runs ask for details

            self._heads = HeadReader()
        return self._heads

    def _conversions(
        self, kind: str, orders: list[tuple[Any, ...]], settings: tuple[Any, ...] = ()
    ) -> Iterable[Answer]:
        from asyncstore.prepare import conversion, spool  # most workers never need it

        spool.close_written()
        ordered = [
            Order(Instance(SourceFile(payload[0]), Identity._make(identity), Payload._make(payload)), *rest)
            for identity, payload, *rest in orders
        ]
        if kind == MEASURE:
            return conversion.measure(ordered)
        if kind == EDIT:
            return self._edited(ordered)
        wanted = conversion.Settings._make(settings)
        self._limit_memory(conversion.memory_needed(ordered, wanted))
        self._due = monotonic() + PART_SECONDS
        return (conversion.convert if kind == CONVERT else conversion.judge)(ordered, wanted, self._allow)

    def _edited(self, orders: list[Order]) -> Iterable[Answer]:
        from asyncstore.prepare import rewriting  # most workers never need it

        self._limit_memory(rewriting.memory_to_edit(orders))
        return rewriting.edit(orders)

    def _allow(self, needed: int) -> None:
        """Let the next frame take so many bytes of memory, and show that this process lives."""
        self._limit_memory(needed)
        if monotonic() > self._due:
            self._show_life()
            self._due = monotonic() + PART_SECONDS

    def _limit_memory(self, needed: int) -> None:
        """Limit memory to ``needed`` bytes and some more, so that a MemoryError costs one file only."""
        if not self._at_start or needed <= self._allowed:
            return
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit  # not on every system

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
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
