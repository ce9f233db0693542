"""Standard output, where commands print what they were asked for.

Rules:

1. What is printed is flushed at once: whoever reads it does not wait for what comes later.
2. That it cannot be written (a full disk) is an error like any other. That nobody reads it any more is none: it remains
   a BrokenPipeError, which ends the program quietly.
3. What could not be written is not tried again: the interpreter would do so when it exits, and complain a second time.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from asyncstore.errors import WriteFailed

if TYPE_CHECKING:
    from typing import TextIO


def put(*lines: str) -> None:
    """Print lines; without any, see that nothing printed before is left to be written.

    Raises:
        WriteFailed: they cannot be written.
        BrokenPipeError: nobody reads them.
    """
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise WriteFailed(f"standard output: cannot write to it: {error.strerror or error}") from error


def discard(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere (rule 3)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
