"""A terminal: lines in colours, and its lowest lines, redrawn in place.

Rules:

1. rich only chooses colours; :class:`~asyncstore.observe.output.Output` writes. rich would raise :class:`SystemExit`
   if the terminal is gone.
2. A frame is one write: nobody sees half of it.
3. A line is rewritten in place and then erased from its end on, so it does not flicker.
4. A frame leaves the terminal's last row and last column free: no line wraps or scrolls.
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
"""The terminal then cuts a line that it takes for wider than we do; a wrapped line would displace the frame."""

_PLAINER = str.maketrans(
    {"━": "=", "╸": "=", "─": "-", "┄": ".", "…": "~", "●": "*", "○": "o", "·": "-"}
    | dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True))
)
"""For terminals whose encoding lacks these characters."""


class Terminal(Output):
    """A terminal, or a stream that is written to like one.

    Args:
        console: rich's view of it; size, colours and encoding are read each time.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
        self.console = console

    @property
    def width(self) -> int | None:
        """The width of a line in cells; ``None`` if the stream is no terminal."""
        return self.console.width if self._stream.isatty() else None

    @property
    def is_redrawable(self) -> bool:
        """Whether it can move its cursor. rich cannot tell: FORCE_COLOR makes it take any stream for a terminal."""
        is_able = os.environ.get("TERM") not in {"dumb", "unknown"} and not self.console.legacy_windows
        return is_able and self._stream.isatty()

    def rendered(self, lines: Iterable[Line]) -> str:
        """The text of these lines with colours, each with a line feed at its end."""
        colours = COLOR_SYSTEMS.get(self.console.color_system or "")
        return "".join([f"{self._line(line, colours)}\n" for line in lines])

    def drawn(self, texts: Iterable[Text]) -> list[str]:
        """The lines of a frame with colours."""
        colours = COLOR_SYSTEMS.get(self.console.color_system or "")
        return [self._text(text, colours) for text in texts]

    def _line(self, line: Line, colours: ColorSystem | None) -> str:
        if all(isinstance(part, str) for part in line):  # much faster: a verbose log has 30 000 such lines a second
            return plain(line)
        return self._text(Text.assemble(*line), colours)

    def _text(self, text: Text, colours: ColorSystem | None) -> str:
        segments = Segment.apply_style(text.render(self.console), self.console.get_style(text.style))
        if self.console.no_color:
            segments = Segment.remove_color(segments)
        return "".join([style.render(text, color_system=colours) if style else text for text, style, _ in segments])

    def write(self, text: str) -> None:
        """Write and flush; replace characters that the terminal's encoding lacks. Errors end all further writing."""
        super().write(self._encodable(text))

    def _encodable(self, text: str) -> str:
        encoding = self.console.encoding
        if encoding.startswith("utf"):
            return text
        text = text.translate(_PLAINER)
        if text.isascii():
            return text
        return "".join(character if _fits(character, encoding) else "?" * cell_len(character) for character in text)


def _fits(character: str, encoding: str) -> bool:
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
        """Replace the lines of the region.

        Args:
            lines: fewer than the terminal has rows, each narrower than the terminal.
            above: lines to write above the region, where they stay.
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
        """Erase the region; the next line is written in its place."""
        if self._drawn:
            self._terminal.write(f"{self._to_top()}{_ERASE_BELOW}{_SHOW_CURSOR}")
            self._widths = []
            self._drawn = False

    def _to_top(self) -> str:
        """Move to where the region begins, even if the terminal was made narrower and has wrapped its lines."""
        width = max(1, self._terminal.console.width)
        rows = sum(max(1, -(-line // width)) for line in self._widths)
        return f"\r{_CURSOR_UP.format(rows)}" if rows else "\r"
