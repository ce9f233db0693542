"""One run of the benchmarks: what the sections work with, and their reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import caption, describe, load
from benchmarks.standing import Standing, Target, standing_table

if TYPE_CHECKING:
    from benchmarks.data import Archives
    from benchmarks.report import Table
    from benchmarks.rounds import Spread
    from benchmarks.scale import Scale

_RESULTS = Path(__file__).resolve().parent / "results"


class Bench:
    """One run of the benchmarks.

    Args:
        scale: the numbers and sizes of everything.
        archives: the archives to send.
        folder: for other files of the sections.
    """

    def __init__(self, scale: Scale, archives: Archives, folder: Path) -> None:
        self.scale = scale
        self.archives = archives
        self.folder = folder
        self.machine = describe()
        self._load = load()
        self._began = datetime.now(UTC)
        self._tables: list[Table] = []
        self._standings: list[Standing] = []

    def report(self, table: Table) -> None:
        """Print and keep a table."""
        self._tables.append(table)
        print(table.as_text(caption(self.machine)), flush=True)
        self._write()

    def stands(self, target: Target, how: str, measured: Spread) -> None:
        """Keep a figure that has a target."""
        self._standings.append(Standing(target, how, measured))

    def conclude(self) -> None:
        """Print the last table, and the file with every value."""
        table = standing_table(self._standings, is_judged=self.scale.is_judged)
        table.notes.append(f"rounds: {self.scale.rounds}; load of the machine before it began: {self._load:.1f}")
        self.report(table)
        print(f"every value: {self._file()}")

    def markdown(self) -> str:
        """The tables in Markdown, the last one first."""
        *tables, standings = self._tables
        machine = caption(self.machine)
        return "\n".join(table.as_markdown(machine) for table in (standings, *tables))

    def _file(self) -> Path:
        return _RESULTS / f"{self._began:%Y-%m-%dT%H-%M-%SZ}.json"

    def _write(self) -> None:
        """Write everything so far, so that an interrupted run keeps its measurements."""
        everything: dict[str, Any] = {
            "began": self._began.isoformat(timespec="seconds"),
            "machine": self.machine,
            "load_before": self._load,
            "rounds": self.scale.rounds,
            "tables": [table.as_json() for table in self._tables],
        }
        _RESULTS.mkdir(exist_ok=True)
        self._file().write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
