"""Text on a page: its width, lines that are broken to fit it, tables; and a line that is replaced.

Rules:

1. Lines are broken for terminals only. In files and pipes they are whole, for grep and the like; only help is broken
   there too.
2. Lines are broken between words. Columns that do not fit stand below the row. Paths are never broken, so that they can
   be copied.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from itertools import accumulate
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self, TextIO

_WIDEST = 110
_NARROWEST = 70
_USUAL = 100
_NUMBERS = 2
"""The number of columns at the beginning of a table that hold numbers."""
_GAP = "  "


def width_of(stream: TextIO) -> int:
    """How many characters a line of help may have. A pipe probably leads to a pager on our terminal."""
    for each in (stream, sys.stderr, sys.stdin):
        try:
            columns = os.get_terminal_size(each.fileno()).columns
        except (OSError, ValueError):
            continue
        return max(_NARROWEST, min(columns, _WIDEST))
    return _USUAL


def page_width() -> int | None:
    """How many characters a line may have; ``None``: any number."""
    return width_of(sys.stdout) if sys.stdout.isatty() else None


class StatusLine:
    """A line at the foot of a terminal, on standard error; it is removed with the context.

    Args:
        is_wanted: whether to show it; it is never shown elsewhere than on a terminal.
    """

    def __init__(self, *, is_wanted: bool = True) -> None:
        self._is_shown = is_wanted and sys.stderr.isatty()
        self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Show a text in place of the last one."""
        if self._is_shown and text != self._text:
            self._text = text
            with suppress(OSError):
                sys.stderr.write(f"\r\x1b[K{text}")
                sys.stderr.flush()


def broken(text: str, width: int | None, indent: int = 0) -> list[str]:
    """The lines of a text for a page of this width. All but the first are indented. Long words are not broken."""
    if width is None:
        return [text]
    blank = " " * indent
    lines = wrap(text, width, subsequent_indent=blank, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def aligned(rows: Sequence[tuple[str, ...]], page: int | None) -> Iterator[str]:
    """The rows as a table: two columns of numbers, then texts (rule 2)."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = list(accumulate(len(_GAP) + width for width in widths))
    beside = len(ends) if page is None else max(_NUMBERS + 1, sum(end <= page for end in ends))
    start = ends[_NUMBERS - 1] + len(_GAP)
    for row in rows:
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[:_NUMBERS], widths, strict=False)]
        line = f"{_GAP}{_GAP.join(numbers)}{_GAP}{_joined(row[_NUMBERS:beside], widths[_NUMBERS:])}"
        yield from broken(line, page, start) if beside == _NUMBERS + 1 else (line,)
        if page is not None and beside < len(row):
            yield from _below(row[beside:], widths[beside:], start, page)


def _below(cells: Sequence[str], widths: Sequence[int], start: int, page: int) -> Iterator[str]:
    """The columns that stand below a row: side by side if there is room, otherwise further to the left."""
    if start + sum(widths) + len(_GAP) * (len(widths) - 1) <= page:
        yield f"{' ' * start}{_joined(cells, widths)}"
        return
    indent = max(2 * len(_GAP), min(start, page - max(widths)))
    yield from (f"{' ' * indent}{cell}" for cell in cells)


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()
