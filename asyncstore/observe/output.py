"""Writing lines to a stream that may go away.

Rules:

1. A stream that cannot be written to any more (closed pipe, full disk, lost terminal) ends the writing, never the run.
2. A line is whole whatever its length: pipes, files and logs have no width. A terminal wraps it, so that it can be
   copied whole.
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

Line = tuple[str | tuple[str, str], ...]
"""A line in parts: text, or text and its style, as rich's ``Text.assemble`` takes them."""


def line_of(text: str, style: str = "") -> Line:
    """A line of one part."""
    return ((text, style),) if style else (text,)


def plain(line: Line) -> str:
    """What a line says."""
    return "".join([part if isinstance(part, str) else part[0] for part in line])


class Output:
    """A stream to which lines may be written from any thread, whatever becomes of it.

    Args:
        stream: where to.
        quiet: whether to write nothing at all.

    Attributes:
        lost: whether the stream could not be written to, and will not be tried again.
    """

    def __init__(self, stream: IO[str], *, quiet: bool = False) -> None:
        self.lost = False
        self._stream = stream
        self._quiet = quiet
        self._lock = threading.Lock()

    @property
    def width(self) -> int | None:
        """How many cells a line should have at most to be read well; ``None`` where nobody can tell."""
        return None

    @property
    def is_ready(self) -> bool:
        """Whether what is written now is taken at once, as far as the system can tell: not by a stopped terminal."""
        try:
            return bool(select.select((), (self._stream,), (), 0)[1])
        except (OSError, ValueError):  # it is no file; or Windows, which can tell of sockets only
            return True

    @property
    def is_redrawable(self) -> bool:
        """Whether its lines can be drawn anew."""
        return False

    def print(self, *lines: Line) -> None:
        """Write lines."""
        self.write(self.rendered(lines))

    def rendered(self, lines: Iterable[Line]) -> str:
        """What is to be written for these lines, each ended with a line feed."""
        return "".join([f"{plain(line)}\n" for line in lines])

    def write(self, text: str) -> None:
        """Write and flush; errors end all further writing."""
        if self.lost or self._quiet or not text:
            return
        with self._lock:
            try:
                self._stream.write(text)
                self._stream.flush()
            except BlockingIOError:
                return  # a terminal that another program made non-blocking and that is slow: the next frame repairs it
            except (OSError, ValueError):  # ValueError is what a closed file raises
                self.lost = True
