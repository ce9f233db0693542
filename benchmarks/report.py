"""Tables: as text, Markdown and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CAPTION = "median (least-most) of the rounds"


@dataclass(slots=True)
class Table:
    """The results of a measurement.

    Attributes:
        title: what was measured.
        columns: the heads of the columns; the first column names the row.
        rows: the cells.
        notes: explanations.
        commands: the measured command lines, by row.
        samples: every value, by row.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict)

    def as_text(self, machine: str) -> str:
        """The table for a terminal."""
        lines = [self.title, "=" * len(self.title), *_aligned([self.columns, *self.rows]), ""]
        lines += [f"* {note}" for note in (*self.notes, machine)]
        lines += [f"$ {command}" for command in self._distinct_commands()]
        return "\n".join(lines) + "\n"

    def as_markdown(self, machine: str) -> str:
        """The table in Markdown."""
        lines = [f"#### {self.title}", "", _markdown_row(self.columns)]
        lines.append(_markdown_row(["---", *["---:"] * (len(self.columns) - 1)]))
        lines += [_markdown_row(row) for row in self.rows]
        lines += ["", " ".join(f"{note[0].upper()}{note[1:]}." for note in (*self.notes, machine)), ""]
        if self.commands:
            lines += ["```console", *(f"$ {command}" for command in self._distinct_commands()), "```", ""]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The table as JSON."""
        return {
            "title": self.title,
            "columns": self.columns,
            "rows": self.rows,
            "notes": self.notes,
            "commands": self.commands,
            "samples": self.samples,
        }

    def _distinct_commands(self) -> list[str]:
        return list(dict.fromkeys(self.commands.values()))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align the first column to the left and the others to the right; draw a line below the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (first, *others) in enumerate(rows):
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
