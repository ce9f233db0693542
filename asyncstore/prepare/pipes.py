"""The messages on the pipes between the pool and its worker processes.

A message is four bytes of length and a marshalled list: marshal is the fastest way between two processes of the same
interpreter. The main process imports these words without the probe, which takes 2 ms.
"""

from __future__ import annotations

import marshal
from struct import Struct
from typing import IO, Any

_LENGTH = Struct("<I")

HELLO = b"."
"""A worker writes this first, as soon as it runs."""

PROBE = "probe"
CONVERT = "convert"
JUDGE = "judge"
"""The first word of an order. Paths and ordinals of files follow, or the arguments of
:func:`~asyncstore.prepare.conversion.convert` or :func:`~asyncstore.prepare.conversion.judge` as plain tuples."""

PART = "part"
DONE = "done"
"""The first word of an answer: part of the batch, or the rest of it."""


def write_message(stream: IO[bytes], items: list[Any]) -> None:
    """Write a list of str, bytes, numbers, and plain tuples, lists and dictionaries of them.

    Raises:
        OSError: the other process is gone.
    """
    data = marshal.dumps(items)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> list[Any]:
    """Read a list that :func:`write_message` wrote.

    Raises:
        EOFError: the other process is gone.
    """
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    data = stream.read(_LENGTH.unpack(header)[0])
    items: list[Any] = marshal.loads(data)  # noqa: S302 - from our own child, or parent
    return items
