"""Standard output, where commands print their results.

Rules:

1. Lines are flushed at once, so that a program at the other end of a pipe need not wait for later ones.
2. If it cannot be written (a full disk), that is an error like any other. If nobody reads it any more, the
   BrokenPipeError stays, and ends the program quietly.
3. Text that could not be written is dropped: otherwise the interpreter would try again when it exits, and complain a
   second time.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.errors import WriteFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from asyncstore.observe.output import Line


def put(*lines: str) -> None:
    """Print lines; without arguments, flush what was printed before.

    Raises:
        WriteFailed: they cannot be written.
        BrokenPipeError: nobody reads them.
    """
    with _translated():
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()


def put_styled(*lines: Line) -> None:
    """Print lines, in colours if standard output is a terminal.

    Raises:
        WriteFailed: they cannot be written.
        BrokenPipeError: nobody reads them.
    """
    from asyncstore.observe.display import open_output  # completion has no time to import it

    output = open_output(sys.stdout)
    output.print(*lines)
    if output.error is not None:
        with _translated():
            raise output.error


def put_bytes(content: bytes) -> None:
    """Print bytes as they are.

    Raises:
        WriteFailed: they cannot be written.
        BrokenPipeError: nobody reads them.
    """
    with _translated():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise WriteFailed(f"standard output: cannot write to it: {error.strerror or error}") from error


def discard(stream: TextIO) -> None:
    """Drop the text that is still to be written to a stream (rule 3)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
