"""Standard output, where commands print what they were asked for.

Rules:

1. What is printed is flushed at once: whoever reads it does not wait for what comes later.
2. That it cannot be written (a full disk) is an error like any other. That nobody reads it any more is none: it remains
   a BrokenPipeError, which ends the program quietly.
3. Lines are broken between words where it is a terminal. Elsewhere they are whole, for grep and its like.
4. What could not be written is not tried again: the interpreter would do so when it exits, and complain a second time.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from asyncstore.cli.help import width_of
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


def page_width() -> int | None:
    """How many characters a line may have; ``None``: as many as it takes."""
    return width_of(sys.stdout) if sys.stdout.isatty() else None


def broken(text: str, width: int | None, indent: int = 0) -> list[str]:
    """The lines of a text for a page of this width, those after the first indented; long words are left whole."""
    if width is None:
        return [text]
    blank = " " * indent
    lines = textwrap.wrap(text, width, subsequent_indent=blank, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def discard(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere (rule 4)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
