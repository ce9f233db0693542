"""Tables: for people, for a README, and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CAPTION = "median (least-most) of the rounds"


@dataclass(slots=True)
class Table:
    """What one measurement showed.

    Attributes:
        title: what was measured.
        columns: what stands in which column; the first one names the row.
        rows: the cells.
        notes: what has to be known to read it.
        commands: the command lines that were measured, by the name of their row.
        samples: every single value, by the name of its row.
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
        """The table for a README."""
        lines = [f"#### {self.title}", "", _markdown_row(self.columns)]
        lines.append(_markdown_row(["---", *["---:"] * (len(self.columns) - 1)]))
        lines += [_markdown_row(row) for row in self.rows]
        lines += ["", " ".join(f"{note[0].upper()}{note[1:]}." for note in (*self.notes, machine)), ""]
        if self.commands:
            lines += ["```console", *(f"$ {command}" for command in self._distinct_commands()), "```", ""]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The table for a program."""
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
    """The first column to the left, the others to the right, and a line below the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (first, *others) in enumerate(rows):
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
