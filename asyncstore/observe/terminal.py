"""Writing to a console that may go away, and the lowest lines of a terminal, redrawn in place.

Rules:

1. A console that cannot be written to any more (closed pipe, full disk, lost terminal) ends the display, never the run.
   rich would raise :class:`SystemExit` there, so it only chooses colours; all writing is done here.
2. One write a frame: nothing is ever seen half drawn.
3. Lines are rewritten where they stand and only then erased to their end, so nothing flickers.
4. A frame leaves the terminal's last row and last column free: no line can wrap or scroll by itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.color import ColorSystem
    from rich.console import Console
    from rich.text import Text

_CURSOR_UP = "\x1b[{}A"
_ERASE_LINE = "\x1b[K"
_ERASE_BELOW = "\x1b[J"
_HIDE_CURSOR = "\x1b[?25l"
_SHOW_CURSOR = "\x1b[?25h"
_NO_WRAP = "\x1b[?7l"
_WRAP = "\x1b[?7h"
"""Names whose width the terminal sees differently are then cut at its edge; a wrapped line would displace the frame."""

_PLAINER = str.maketrans({"━": "=", "╸": "=", "─": "-", "┄": ".", "…": "~", "●": "*", "○": "o", "·": "-"})
"""For terminals whose encoding knows no more than ASCII."""


class Output:
    """A console to which lines may be written from any thread, whatever becomes of it.

    Args:
        console: where to; it is asked for its size, colours and encoding each time.

    Attributes:
        lost: whether the console could not be written to, and will not be tried again.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.lost = False
        self._lock = threading.Lock()

    def print(self, *lines: Text) -> None:
        """Write lines; too long ones are wrapped by the terminal, so that they can be copied whole."""
        self.write(self.render(lines))

    def render(self, lines: Iterable[Text]) -> str:
        """What is to be written for these lines, each ended with a line feed."""
        colours = COLOR_SYSTEMS.get(self.console.color_system or "")
        return "".join([f"{self._rendered(line, colours)}\n" for line in lines])

    def _rendered(self, line: Text, colours: ColorSystem | None) -> str:
        if not line.style and not line.spans:  # 50 times as fast; a verbose log has 30 000 such lines a second
            return line.plain
        segments = Segment.apply_style(line.render(self.console), self.console.get_style(line.style))
        if self.console.no_color:
            segments = Segment.remove_color(segments)
        return "".join([style.render(text, color_system=colours) if style else text for text, style, _ in segments])

    def write(self, text: str) -> None:
        """Write and flush; errors end all further writing."""
        if self.lost or self.console.quiet or not text:
            return
        with self._lock:
            try:
                self.console.file.write(self._encodable(text))
                self.console.file.flush()
            except BlockingIOError:
                return  # a terminal that another program made non-blocking and that is slow: the next frame repairs it
            except (OSError, ValueError):  # ValueError is what a closed file raises
                self.lost = True

    def _encodable(self, text: str) -> str:
        encoding = self.console.encoding
        if encoding.startswith("utf"):
            return text
        text = text.translate(_PLAINER)
        if text.isascii():
            return text
        return "".join(character if _knows(encoding, character) else "?" * cell_len(character) for character in text)


def _knows(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class Region:
    """The lowest lines of a terminal. Other lines scroll above them.

    Args:
        output: the terminal.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._widths: list[int] = []
        self._drawn = False

    def draw(self, lines: Sequence[Text], above: Sequence[Text] = ()) -> None:
        """Show these lines in place of those before.

        Args:
            lines: at most one less than the terminal has rows, each at least one cell narrower than it.
            above: lines that leave the region: they are written above it and stay there.
        """
        parts = [_HIDE_CURSOR, self._to_top()]
        if above:
            parts += [_ERASE_BELOW, self._output.render(above)]
        drawn = self._output.render(lines).split("\n")[:-1]
        parts += [_NO_WRAP, *(f"{line}{_ERASE_LINE}\n" for line in drawn), _WRAP, _ERASE_BELOW]
        self._output.write("".join(parts))
        self._widths = [line.cell_len for line in lines]
        self._drawn = True

    def clear(self) -> None:
        """Take the region away; the next line written stands where it began."""
        if self._drawn:
            self._output.write(f"{self._to_top()}{_ERASE_BELOW}{_SHOW_CURSOR}")
            self._widths = []
            self._drawn = False

    def _to_top(self) -> str:
        """Move to where the region begins, also when the terminal was made narrower and has wrapped its lines since."""
        width = max(1, self._output.console.width)
        rows = sum(max(1, -(-line // width)) for line in self._widths)
        return f"\r{_CURSOR_UP.format(rows)}" if rows else "\r"
