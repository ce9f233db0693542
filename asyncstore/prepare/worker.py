"""The process that looks into files and converts data sets, batch by batch.

Orders come in on standard input, what came of them goes out on standard output. A message is four bytes of length and a
marshalled list: marshal is the fastest way between two processes of the same interpreter. The process ends when its
standard input does, and within a second of its parent, whatever it is doing. It imports little, to start in some 20 ms.
"""

from __future__ import annotations

import marshal
import os
import sys
from _thread import start_new_thread
from struct import Struct
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any

from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.probe import probe_file

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH = Struct("<I")

HELLO = b"."
"""What a worker writes before everything else, when it runs."""

PROBE = "probe"
CONVERT = "convert"
JUDGE = "judge"
"""What an order begins with; the paths and ordinals of files follow, or the arguments of
:func:`~asyncstore.prepare.conversion.convert` or :func:`~asyncstore.prepare.conversion.judge` as plain tuples."""

PART = "part"
DONE = "done"
"""What an answer begins with: of a part of the batch, or of the rest of it."""

PART_SECONDS = 5.0
"""How long a batch may take before the part of it that is done is answered: a sign of life, and nothing of it has to be
done again if the rest hangs. Nearly every batch is done sooner."""

_PARENT_SECONDS = 1.0
"""Seconds between two looks whether the parent is there."""

_SPARE = 1 << 30
"""Bytes of memory that a worker may take besides what data sets need: 20 MB are used, pydicom with numpy reserves some
300 MB."""


def write_message(stream: IO[bytes], items: list[Any]) -> None:
    """Write a list of what marshal knows: texts, bytes, numbers, and plain tuples, lists and dictionaries of them.

    Raises:
        OSError: the process at the other end is gone.
    """
    data = marshal.dumps(items)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> list[Any]:
    """Read what :func:`write_message` wrote.

    Raises:
        EOFError: the process at the other end is gone.
    """
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    data = stream.read(_LENGTH.unpack(header)[0])
    items: list[Any] = marshal.loads(data)  # noqa: S302 - from our own child, or parent
    return items


def main() -> None:
    """Answer batches until the input ends.

    The words of the command line are the :class:`~asyncstore.prepare.file_format.FileFormat` of the files that are
    taken for instances, and the id of the process that gives the orders.
    """
    _, file_format, parent = sys.argv
    start_new_thread(_end_with, (int(parent),))
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get between the messages
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
            os._exit(0)  # nobody is left to read; a normal exit would try to flush once more


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, whose place another process takes then."""
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
    """What does the orders.

    Args:
        file_format: which files it takes for instances.
    """

    def __init__(self, file_format: FileFormat) -> None:
        self._file_format = file_format
        self._at_start = _address_space()
        self._allowed = -1
        """Bytes that may be taken for data sets now."""
        self._limit_memory(0)

    def do(self, kind: str, *arguments: Any) -> Iterable[tuple[Any, ...]]:  # noqa: ANN401 - what marshal knows
        """What comes of an order, one by one: instances and unsendable files as plain tuples."""
        if kind == PROBE:
            file_format = self._file_format
            return ((*probe_file(path, file_format)[:-1], ordinal) for path, ordinal in arguments[0])
        return map(tuple, self._conversions(kind, *arguments))

    def _conversions(
        self, kind: str, orders: list[tuple[Any, ...]], settings: tuple[Any, ...]
    ) -> Iterable[Instance | Unsendable]:
        from asyncstore.prepare import conversion, spool  # noqa: PLC0415 - most workers never need it

        spool.let_go()
        ordered = [conversion.Order(Instance._make(found), *rest) for found, *rest in orders]
        wanted = conversion.Settings._make(settings)
        self._limit_memory(conversion.memory_needed(ordered, wanted))
        return (conversion.convert if kind == CONVERT else conversion.judge)(ordered, wanted)

    def _limit_memory(self, needed: int) -> None:
        """Let no file make this process take much more memory than ``needed``: a MemoryError costs that file only."""
        if not self._at_start or needed <= self._allowed:
            return
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit  # noqa: PLC0415 - not on every system

        soft, hard = getrlimit(RLIMIT_AS)
        if self._allowed < 0 and soft != RLIM_INFINITY:
            self._at_start = 0  # somebody has set a limit already, and it stays
            return
        limit = self._at_start + _SPARE + needed
        setrlimit(RLIMIT_AS, (limit if hard == RLIM_INFINITY else min(limit, hard), hard))
        self._allowed = needed


def _address_space() -> int:
    """Bytes of address space that this process takes; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib takes 5 ms to import
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
