"""``asyncstore bench merge``: the measurements of several machines as one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asyncstore.cli.commands.bench_outputs import check_writable, content_of, details_line, require_library, write_file
from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.standard_output import put_styled
from asyncstore.cli.text.bench_table import bench_lines
from asyncstore.cli.text.page import page_width
from asyncstore.errors import UsageError
from asyncstore.load.results.json_file import load_document
from asyncstore.load.results.merge import merge
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code.

    Raises:
        ReadFailed: a measurement cannot be read.
        UsageError: the new file exists, or the measurements do not fit together.
        WriteFailed: a file or standard output cannot be written.
    """
    target, page = parsed[bench.MERGED], parsed[bench.SUM_HTML]
    if os.path.lexists(target):
        raise UsageError(f"{printable(target)} exists already: name a new file for the sum, then those to add")
    check_writable(bench.MERGED.name, target)
    if page is not None:
        require_library(bench.SUM_HTML)
        check_writable(bench.SUM_HTML.long, page)
    names = parsed[bench.PARTS]
    parts = [load_document(name) for name in names]
    for place, (name, part) in enumerate(zip(names, parts, strict=True)):
        if part in parts[:place]:
            raise UsageError(f"{printable(name)} is the same measurement as {printable(names[parts.index(part)])}")
    document = merge(parts, names)
    write_file(bench.MERGED.name, target, content_of(bench.JSON, document))
    if page is not None:
        write_file(bench.SUM_HTML.long, page, content_of(bench.HTML, document))
    if not parsed[opt.QUIET]:
        put_styled(*bench_lines(document, width=page_width()), (), details_line(filter(None, (target, page))))
    return EXIT_OK
