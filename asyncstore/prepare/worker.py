"""The process that probes files, batch by batch.

Paths come in on standard input, what they hold goes out on standard output. A message is four bytes of length and a
marshalled list: marshal is the fastest way between two processes of the same interpreter. The process ends when its
standard input does, so it never outlives its parent. It imports little, to start in some 20 ms.
"""

from __future__ import annotations

import marshal
import os
import sys
from struct import Struct
from typing import IO, Any

from asyncstore.prepare.probe import FileFormat, probe

_LENGTH = Struct("<I")

HELLO = b"."
"""What a worker writes before everything else, when it runs."""


def write_message(stream: IO[bytes], items: list[Any]) -> None:
    """Write a list of paths or of plain tuples.

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
    """Answer batches until the input ends, taking files of this :class:`~asyncstore.prepare.probe.FileFormat`."""
    taken = FileFormat(file_format)
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get between the messages
    responses.write(HELLO)
    responses.flush()
    while True:
        try:
            paths = read_message(requests)
        except EOFError:
            return
        try:
            write_message(responses, [tuple(found) for found in probe(paths, taken)])
        except BrokenPipeError:
            os._exit(0)  # nobody is left to read; a normal exit would try to flush once more


if __name__ == "__main__":
    main()
