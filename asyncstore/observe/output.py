"""Write lines to a stream that may go away.

Rules:

1. An error (closed pipe, full disk, lost terminal) ends the writing, never the run.
2. Long lines are written whole: pipes, files and logs have no width, and a terminal wraps them, so they can be copied.
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

Line = tuple[str | tuple[str, str], ...]
"""The parts of a line: text, or text and its style, as rich's ``Text.assemble`` takes them."""


def line_of(text: str, style: str = "") -> Line:
    """A line of one part."""
    return ((text, style),) if style else (text,)


def plain(line: Line) -> str:
    """The text of a line, without styles."""
    return "".join([part if isinstance(part, str) else part[0] for part in line])


class Output:
    """A stream that takes lines from any thread. Errors silence it.

    Args:
        stream: where to write.
        quiet: write nothing.

    Attributes:
        error: why writing has failed; nothing more is written then.
    """

    def __init__(self, stream: IO[str], *, quiet: bool = False) -> None:
        self.error: OSError | ValueError | None = None
        self._stream = stream
        self._quiet = quiet
        self._lock = threading.Lock()

    @property
    def width(self) -> int | None:
        """The width of a line in cells; ``None`` if it is not known."""
        return None

    @property
    def is_ready(self) -> bool:
        """Whether the stream takes text at once, as far as the system can tell. A stopped terminal does not."""
        try:
            return bool(select.select((), (self._stream,), (), 0)[1])
        except (OSError, ValueError):  # not a file; or Windows, where select() takes sockets only
            return True

    @property
    def is_redrawable(self) -> bool:
        """Whether lines can be drawn again in place."""
        return False

    def print(self, *lines: Line) -> None:
        """Write lines."""
        self.write(self.rendered(lines))

    def rendered(self, lines: Iterable[Line]) -> str:
        """The text of these lines, each with a line feed at its end."""
        return "".join([f"{plain(line)}\n" for line in lines])

    def write(self, text: str) -> None:
        """Write and flush; errors end all further writing."""
        if self.error is not None or self._quiet or not text:
            return
        with self._lock:
            try:
                self._stream.write(text)
                self._stream.flush()
            except BlockingIOError:
                return  # a slow terminal that another program made non-blocking: the next frame repairs it
            except (OSError, ValueError) as error:  # a closed file raises ValueError
                self.error = error
