"""The process that looks into files and converts data sets, batch by batch.

Orders come in on standard input, what came of them goes out on standard output. A message is four bytes of length and a
marshalled list: marshal is the fastest way between two processes of the same interpreter. The process ends when its
standard input does, so it never outlives its parent. It imports little, to start in some 20 ms.
"""

from __future__ import annotations

import marshal
import os
import sys
from struct import Struct
from typing import IO, Any

from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.probe import probe

_LENGTH = Struct("<I")

HELLO = b"."
"""What a worker writes before everything else, when it runs."""

PROBE = "probe"
CONVERT = "convert"
"""What an order begins with; the arguments of :func:`~asyncstore.prepare.probe.probe` or
:func:`~asyncstore.prepare.conversion.convert` follow."""


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


def main(file_format: str = FileFormat.ANY) -> None:
    """Answer batches until the input ends, taking files of this :class:`~asyncstore.prepare.file_format.FileFormat`."""
    taken = FileFormat(file_format)
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get between the messages
    responses.write(HELLO)
    responses.flush()
    while True:
        try:
            kind, *arguments = read_message(requests)
        except EOFError:
            return
        found = probe(arguments[0], taken) if kind == PROBE else _convert(*arguments)
        try:
            write_message(responses, [tuple(one) for one in found])
        except BrokenPipeError:
            os._exit(0)  # nobody is left to read; a normal exit would try to flush once more


def _convert(orders: list[Any], new_vrs: bool, deflate_level: int, folder: str) -> list[Instance | Unsendable]:  # noqa: FBT001 - they come through a pipe
    from asyncstore.prepare.conversion import Order, convert  # noqa: PLC0415 - most workers never need it

    return convert((Order(Instance._make(found), *rest) for found, *rest in orders), new_vrs, deflate_level, folder)


if __name__ == "__main__":
    main()
