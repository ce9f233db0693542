"""``asyncstore bench compare``: two measurements side by side, and which differences are more than chance."""

from __future__ import annotations

import json
import os
from pathlib import PurePath
from statistics import fmean
from typing import TYPE_CHECKING

from asyncstore.cli.commands.bench_outputs import check_writable, require_library, write_file
from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import broken, page_width
from asyncstore.errors import UsageError
from asyncstore.load.results.compare import compare, say
from asyncstore.load.results.json_file import comparison_to_json, load_document
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.results.compare import Comparison

_GAP = "  "


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code.

    Raises:
        ReadFailed: a measurement cannot be read.
        UsageError: a file is no measurement, or the page cannot be made.
        WriteFailed: the page cannot be written.
    """
    target = parsed[bench.COMPARE_HTML]
    paths = (parsed[bench.FIRST], parsed[bench.SECOND])
    if target is not None:
        _check_page(target, paths)
    first, second = map(load_document, paths)
    comparison = compare(first, second, _names(*paths))
    if target is not None:
        from asyncstore.cli.bench_page.comparison import comparison_page

        write_file(bench.COMPARE_HTML.long, target, comparison_page(comparison, first, second).encode())
    if parsed[bench.COMPARE_JSON]:
        put(json.dumps(comparison_to_json(comparison), allow_nan=False))
    elif not parsed[opt.QUIET]:
        put(*_lines(comparison, page_width()))
    return EXIT_OK


def _check_page(target: str, paths: tuple[str, str]) -> None:
    """Check that the page can be made, and that it replaces no measurement."""
    require_library(bench.COMPARE_HTML)
    if os.path.realpath(target) in map(os.path.realpath, paths):
        raise UsageError(f"{bench.COMPARE_HTML.long} {target}: this is a measurement that is compared")
    check_writable(bench.COMPARE_HTML.long, target)


def _names(*paths: str) -> tuple[str, str]:
    """Short names for two files: what differs in their names, or letters."""
    first, second = (PurePath(path).name.removesuffix(".json") for path in paths)
    return (first, second) if first != second else ("A", "B")


def _lines(comparison: Comparison, width: int | None) -> Iterator[str]:
    """What differs, what limits the comparison, and all numbers."""
    for line in comparison.lines:
        yield from broken(printable(line), width)
    if comparison.warnings:
        yield ""
        for warning in comparison.warnings:
            yield from broken(f"Note: {printable(warning)}.", width, len("Note: "))
    if comparison.rows:
        yield ""
        yield from _table(comparison)


def _table(comparison: Comparison) -> Iterator[str]:
    head = ("load", "", printable(comparison.first), printable(comparison.second), "")
    rows = [
        (
            printable(row.phase) if row.metric == comparison.rows[0].metric else "",
            row.metric,
            say(row, fmean(row.first)),
            say(row, fmean(row.second)),
            row.text,
        )
        for row in comparison.rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    aligned = [f"{{:{side}{width}}}" for side, width in zip("<<>>", widths, strict=False)]
    line = _GAP.join(["", *aligned, "{}"])
    yield from (line.format(*row).rstrip() for row in (head, *rows))
