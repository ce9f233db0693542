"""A terminal: lines in colours, and its lowest lines, redrawn in place.

Rules:

1. rich only chooses colours; :class:`~asyncstore.observe.output.Output` writes. rich would raise :class:`SystemExit`
   if the terminal is gone.
2. A frame is one write: nobody sees half of it.
3. The cursor is hidden within a frame only: a run that is suspended or killed leaves a terminal that has one.
4. A line is rewritten in place and then erased from its end on, so it does not flicker.
5. A frame leaves the terminal's last row and last column free: no line wraps or scrolls.
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
_ERASE_BELOW = "\x1b[K \x1b[J\r"
"""From the beginning of a line. If all of a terminal is erased from its first cell on, tmux keeps it as history."""
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
        self._pushed_out: list[int] = []
        """The widths of lines above that the terminal pushed out. When it grows, most terminals bring them back."""
        self._size = (0, 0)

    def draw(self, lines: Sequence[Text], above: Sequence[Line] = ()) -> None:
        """Replace the lines of the region.

        Args:
            lines: fewer than the terminal has rows, each narrower than the terminal.
            above: lines to write above the region, where they stay.
        """
        parts = [_HIDE_CURSOR, self._to_top()]
        if above:
            parts += [_ERASE_BELOW, self._terminal.rendered(above)]
            self._pushed_out = []
        drawn = [f"{line}{_ERASE_LINE}\n" for line in self._terminal.drawn(lines)]
        parts += [_NO_WRAP, *drawn, _WRAP, _ERASE_BELOW, _SHOW_CURSOR]
        self._terminal.write("".join(parts))
        self._widths = [line.cell_len for line in lines]

    def clear(self) -> None:
        """Erase the region; the next line is written in its place."""
        if self._widths:
            self._terminal.write(f"{self._to_top()}{_ERASE_BELOW}")
            self._widths = []

    def _to_top(self) -> str:
        """Move to where the region begins, also after the terminal has wrapped lines, or pushed some out at its top."""
        width, height = self._terminal.console.size
        before, self._size = self._size, (width, height)
        lines = [(cells, max(1, -(-cells // max(1, width)))) for cells in (*self._pushed_out, *self._widths)]
        rows = sum(taken for _, taken in lines)
        own_rows = sum(taken for _, taken in lines[len(self._pushed_out) :])
        out_of_sight = rows - min(own_rows + max(0, height - before[1]), height - 1)
        self._pushed_out = []
        for cells, taken in lines:
            if out_of_sight <= 0:
                break
            self._pushed_out.append(min(cells, out_of_sight * width))
            out_of_sight -= taken
        to_top = f"\r{_CURSOR_UP.format(rows)}" if rows else "\r"  # the top of the terminal stops the cursor
        # a row that was wrapped and is not erased would be joined with the one above when the terminal gets wider
        return to_top if before == self._size else f"{to_top}{_ERASE_BELOW}"
