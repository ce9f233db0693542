"""A terminal: lines in colours, and its lowest lines, redrawn in place.

Rules:

1. rich would raise :class:`SystemExit` for a terminal that is gone, so it only chooses colours; all writing is done by
   :class:`~asyncstore.observe.output.Output`.
2. One write a frame: nothing is ever seen half drawn.
3. Lines are rewritten where they stand and only then erased to their end, so nothing flickers.
4. A frame leaves the terminal's last row and last column free: no line can wrap or scroll by itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS
from rich.segment import Segment
from rich.text import Text

from asyncstore.observe.output import Output, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.color import ColorSystem
    from rich.console import Console

    from asyncstore.observe.output import Line

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


class Terminal(Output):
    """A terminal, or what is to be written to like one.

    Args:
        console: what rich knows of it; it is asked for size, colours and encoding each time.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
        self.console = console

    @property
    def width(self) -> int | None:
        """How many cells a line has."""
        return self.console.width if self._stream.isatty() else None

    @property
    def is_redrawable(self) -> bool:
        """Whether it can move its cursor; it is asked directly, as rich is told otherwise by FORCE_COLOR."""
        is_able = os.environ.get("TERM") not in {"dumb", "unknown"} and not self.console.legacy_windows
        return is_able and self._stream.isatty()

    def rendered(self, lines: Iterable[Line]) -> str:
        """What is to be written for these lines, each ended with a line feed."""
        colours = COLOR_SYSTEMS.get(self.console.color_system or "")
        return "".join([f"{self._line(line, colours)}\n" for line in lines])

    def drawn(self, texts: Iterable[Text]) -> list[str]:
        """What is to be written for the lines of a frame."""
        colours = COLOR_SYSTEMS.get(self.console.color_system or "")
        return [self._text(text, colours) for text in texts]

    def _line(self, line: Line, colours: ColorSystem | None) -> str:
        if all(isinstance(part, str) for part in line):  # much faster; a verbose log has 30 000 such lines a second
            return plain(line)
        return self._text(Text.assemble(*line), colours)

    def _text(self, text: Text, colours: ColorSystem | None) -> str:
        segments = Segment.apply_style(text.render(self.console), self.console.get_style(text.style))
        if self.console.no_color:
            segments = Segment.remove_color(segments)
        return "".join([style.render(text, color_system=colours) if style else text for text, style, _ in segments])

    def write(self, text: str) -> None:
        """Write what the terminal's encoding knows of this; errors end all further writing."""
        super().write(self._encodable(text))

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
        terminal: the terminal.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._widths: list[int] = []
        self._drawn = False

    def draw(self, lines: Sequence[Text], above: Sequence[Line] = ()) -> None:
        """Show these lines in place of those before.

        Args:
            lines: at most one less than the terminal has rows, each at least one cell narrower than it.
            above: lines that leave the region: they are written above it and stay there.
        """
        parts = [_HIDE_CURSOR, self._to_top()]
        if above:
            parts += [_ERASE_BELOW, self._terminal.rendered(above)]
        drawn = [f"{line}{_ERASE_LINE}\n" for line in self._terminal.drawn(lines)]
        parts += [_NO_WRAP, *drawn, _WRAP, _ERASE_BELOW]
        self._terminal.write("".join(parts))
        self._widths = [line.cell_len for line in lines]
        self._drawn = True

    def clear(self) -> None:
        """Take the region away; the next line written stands where it began."""
        if self._drawn:
            self._terminal.write(f"{self._to_top()}{_ERASE_BELOW}{_SHOW_CURSOR}")
            self._widths = []
            self._drawn = False

    def _to_top(self) -> str:
        """Move to where the region begins, also when the terminal was made narrower and has wrapped its lines since."""
        width = max(1, self._terminal.console.width)
        rows = sum(max(1, -(-line // width)) for line in self._widths)
        return f"\r{_CURSOR_UP.format(rows)}" if rows else "\r"
