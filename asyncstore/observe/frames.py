"""Frames at the foot of a terminal, the log above them.

Rules:

1. If the terminal is not ready (Ctrl-S, a line that hangs), the frame is skipped: the run must not wait. So it is if
   the size has just changed: terminals tell programs later than they draw, and a frame at a wrong place erases lines.
2. Lines of the log are written with the next frame, so thousands of lines a second cost four writes.
3. The frame disappears at the end, also after an exception. The log stays.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from asyncstore.observe.formatting import printable
from asyncstore.observe.output import line_of
from asyncstore.observe.terminal import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from rich.text import Text

    from asyncstore.observe.output import Line
    from asyncstore.observe.terminal import Terminal


class Frames:
    """Draws frames while it is entered, and shows a log above them.

    Args:
        terminal: the terminal; its size is read before each frame.
        title: what is shown, in one line that stays.
    """

    def __init__(self, terminal: Terminal, title: str) -> None:
        self._terminal = terminal
        self._title = title
        self._region = Region(terminal)
        self._size = terminal.console.size
        self._notice = ""
        self._log: deque[Line] = deque()
        self._shown = False

    def __enter__(self) -> Self:
        self._terminal.print(line_of(printable(self._title), "bold"))
        self._shown = True
        return self

    def __exit__(self, *_: object) -> None:
        self._shown = False
        self._region.clear()
        self._terminal.print(*self._waiting_lines())

    def draw(self, frame: Callable[[int, int], Sequence[Text]]) -> None:
        """Draw the next frame for a width and a height, and above it the lines logged since the last one."""
        before, self._size = self._size, self._terminal.console.size
        if self._terminal.is_ready and self._size == before:
            self._region.draw(frame(*self._size), above=self._waiting_lines())

    def log(self, line: str, style: str = "") -> None:
        """Show a line above the frame, together with the next frame while there is one."""
        self._log.append(line_of(printable(line), style))
        if not self._shown:
            self._terminal.print(*self._waiting_lines())

    def notice(self, text: str) -> None:
        """Keep a line in view; it replaces an earlier one."""
        self._notice = printable(text)

    def _waiting_lines(self) -> list[Line]:
        return [self._log.popleft() for _ in range(len(self._log))]
