"""The files that ``bench`` writes: checked before the measurement, written after it.

Rules:

1. A measurement that cannot be written is not begun: libraries must be there, and files be writable.
2. A file is replaced only when its new content is complete, so an interrupted run leaves an older one as it is.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.standard_output import put_bytes
from asyncstore.errors import UsageError, WriteFailed
from asyncstore.named_files import private, refuse_other, refusing, write_whole
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import printable
from asyncstore.observe.output import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.load.results.document import Document
    from asyncstore.load.results.phase_run import Interval
    from asyncstore.observe.output import Line

_LIBRARIES = {bench.HDR.long: ("hdrh", "hdrhistogram"), bench.HTML.long: ("plotly", "plotly")}
"""The module and the name of the library that an output needs, by its option; both are in the extra ``report``."""


def check_outputs(parsed: Parsed) -> None:
    """Check that everything can be written (rule 1).

    Raises:
        UsageError: a library is missing, a file cannot be written, two outputs are one file, or one is standard output.
    """
    for row in (bench.HDR, bench.HTML):
        if parsed[row] is not None:
            require_library(row)
        if parsed[row] == opt.STANDARD_STREAM:
            raise UsageError(f"{row.long}: only {bench.JSON.long} can go to standard output: name a file, such as ./-")
    seen: dict[str, str] = {}
    for row, target in _files(parsed):
        real = os.path.realpath(target)
        if real in seen:
            raise UsageError(f"{row.long} {target}: {seen[real]} names the same file")
        seen[real] = row.long
        check_writable(row.long, target)


def require_library(row: Option[object]) -> None:
    """Check that the library of an output is installed.

    Raises:
        UsageError: it is not.
    """
    module, name = _LIBRARIES[row.long]
    if find_spec(module) is None:
        raise UsageError(f"{row.long} needs {name}, which is not installed: install asyncstore with its extra report")


def check_writable(what: str, target: str) -> None:
    """Check that a file can be written, without changing it; ``what`` names it in the error.

    Raises:
        UsageError: it cannot, or holds something else than JSON, a page or a log of HdrHistogram.
    """
    complaint = f"{what} {target}: cannot write it"
    refuse_other(target, b"{<#", complaint)
    is_new = not os.path.lexists(target)
    if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)):
        return  # the reader of a pipe would take opening and closing it for its end
    with refusing(complaint):
        io.FileIO(target, "a", opener=private).close()
        if is_new:
            os.unlink(target)  # the name as it was given


class Written(NamedTuple):
    """What became of the files."""

    names: list[str]
    """Those that were written."""
    failure: WriteFailed | None
    """Why the first of the others was not."""


def write_outputs(parsed: Parsed, document: Document, intervals: Sequence[Interval] | None) -> Written:
    """Write all files; if one cannot be written, the others are written nevertheless.

    Args:
        parsed: the options that name them.
        document: all results.
        intervals: the latencies of each second, for the log.

    Raises:
        WriteFailed: standard output cannot be written.
    """
    names: list[str] = []
    failure: WriteFailed | None = None
    for row, target in _files(parsed):
        try:
            write_file(row.long, target, content_of(row, document, intervals or ()))
        except WriteFailed as error:
            failure = failure or error
        else:
            names.append(target)
    if parsed[bench.JSON] == opt.STANDARD_STREAM:
        put_bytes(content_of(bench.JSON, document))
    return Written(names, failure)


def details_line(names: Iterable[str]) -> Line:
    """The line about the files that were written."""
    return line_of(f"Details: {', '.join(map(printable, names))}")


def _files(parsed: Parsed) -> list[tuple[Option[str | None], str]]:
    """The files that are written, with their options."""
    named = [(row, parsed[row]) for row in (bench.JSON, bench.HDR, bench.HTML)]
    return [(row, target) for row, target in named if target is not None and target != opt.STANDARD_STREAM]


def content_of(row: Option[str | None], document: Document, intervals: Iterable[Interval] = ()) -> bytes:
    """The content of the file that an option names: the log, the page, or the document itself."""
    if row is bench.HDR:
        from asyncstore.load.results.hdr_log import hdr_log  # it needs a library of the extra

        return hdr_log(intervals, datetime.fromisoformat(document.setup.started)).encode()
    if row is bench.HTML:
        from asyncstore.cli.bench_page.page import page

        return page(document).encode()
    from asyncstore.load.results.json_file import write_document

    return write_document(document).encode()


def write_file(what: str, target: str, content: bytes) -> None:
    """Write a file for its owner alone (rule 2). What is no plain file is written in place.

    Args:
        what: names the file in the error.
        target: the file.
        content: its whole content.

    Raises:
        WriteFailed: it cannot be written to its end.
    """
    real = os.path.realpath(target)
    is_plain = not os.path.exists(target) or os.path.isfile(target)
    in_place = not (is_plain and os.access(os.path.dirname(real), os.W_OK))
    written = target if in_place else f"{real}.part"
    try:
        with refusing(f"{what} {target}: cannot write it", WriteFailed):
            write_whole(written, content)
            if not in_place:
                os.replace(written, real)
    except WriteFailed:
        if not in_place:
            with suppress(OSError):
                os.unlink(written)
        raise
