"""``asyncstore report``: the results of journalled runs, while they go on or afterwards."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.report import lists, machine, plain
from asyncstore.cli.report.facts import gather
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import StatusLine, broken, page_width
from asyncstore.errors import UsageError, WriteFailed
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.place import own_files
from asyncstore.journal.reading import Reader
from asyncstore.named_files import refuse_other, refusing, write_whole
from asyncstore.observe.formatting import counted, format_count, format_duration, printable

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from asyncstore.cli.options.table import Parsed
    from asyncstore.journal.values import State

_SOON = 1.0
"""Seconds before a line says that journals are read."""


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    paths = list({os.path.realpath(path): path for path in parsed[cmd.JOURNALS]})
    target = parsed[cmd.SALVAGE]
    if target is not None:
        return _salvage(parsed, paths, target)
    _refuse_overwriting(parsed, paths)
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(path)) for path in paths]
        stack.enter_context(diagnosed(readers))
        form = "json" if parsed[cmd.REPORT_JSON] else "csv" if parsed[cmd.REPORT_CSV] else "text"
        listed, studies = parsed[cmd.REPORT_LIST], parsed[cmd.REPORT_STUDIES]
        if listed is None and studies is None:
            return _report(parsed, readers)
        if parsed[opt.QUIET]:
            return EXIT_OK
        stack.enter_context(_shown(readers, is_wanted=not sys.stdout.isatty()))
        if studies is not None:
            lists.studies(readers, studies, form)
        elif listed is not None:
            wanted = lists.wanted_by(listed)
            if parsed[cmd.REPORT_NULL]:
                lists.names(readers, wanted)
            else:
                lists.files(readers, wanted, form)
    return EXIT_OK


def _report(parsed: Parsed, readers: Sequence[Reader]) -> int:
    """Print the sums, and write the page, for its owner alone.

    Raises:
        WriteFailed: the page cannot be written to its end.
    """
    target = parsed[cmd.HTML]
    with _shown(readers, is_wanted=not parsed[opt.QUIET]):
        facts = gather(readers)
        if target is not None:
            from asyncstore.cli.report.page import page

            text = page(facts, readers)
    if target is not None:
        with refusing(f"{cmd.HTML.long} {target}: cannot write it", WriteFailed):
            write_whole(target, text.encode())
    if parsed[cmd.REPORT_JSON]:
        put(machine.line(facts))
    elif not parsed[opt.QUIET]:
        put(*plain.lines(facts, page_width()))
    return facts.exit_code


def _salvage(parsed: Parsed, paths: Sequence[str], target: str) -> int:
    """Read a damaged journal into a new one, and say what was saved.

    Raises:
        JournalError: nothing can be read, or the new one cannot be written.
        UsageError: several journals are named, or the new one exists.
    """
    if len(paths) > 1:
        raise UsageError(f"{cmd.SALVAGE.long}: give one journal, not {len(paths)}")
    if os.path.lexists(target):
        raise UsageError(f"{cmd.SALVAGE.long} {target}: it exists already: name a new file")
    from asyncstore.journal.salvage import salvage

    [path] = paths
    found = salvage(path, target)
    if not parsed[opt.QUIET]:
        lines = [f"{counted(found.deliveries, 'record')} of {printable(path)} saved in {printable(target)}."]
        lines += _about_homeless(found.homeless, target)
        if found.damaged:
            lines.append(f"Damaged, and not read to the end: {', '.join(found.damaged)}.")
            lines.append("Files without a record will be sent again.")
            if "facts" in found.damaged:
                lines.append("The peer and the command may be lost: give the whole command again, to the same peer.")
        else:
            lines.append("Everything could be read.")
        put(*(part for line in lines for part in broken(line, page_width())))
    return EXIT_NOT_STORED if found.damaged or found.homeless else EXIT_OK


def _about_homeless(homeless: Counter[State], target: str) -> Iterator[str]:
    """How many deliveries have lost their directory, and how their files are found again."""
    if not homeless:
        return
    total, stored = homeless.total(), sum(count for state, count in homeless.items() if state.is_stored)
    name = "names a file without its" if total == 1 else "name files without their"
    yield f"{counted(total, 'record')} {name} folder, which is lost; {format_count(stored)} of them were stored."
    if stored:
        scan = f"{cmd.SCAN.program} {opt.JOURNAL.long} {printable(target)} FILE-OR-DIRECTORY..."
        yield f"{scan} finds those again by their UIDs. Otherwise they are sent again."


def _refuse_overwriting(parsed: Parsed, paths: Sequence[str]) -> None:
    """Refuse to write the page over a journal, or over something else that is no page.

    Raises:
        UsageError: it would be.
    """
    target = parsed[cmd.HTML]
    if target is None:
        return
    real = os.path.realpath(target)
    for path in paths:
        is_same = os.path.exists(real) and os.path.exists(path) and os.path.samefile(real, path)
        if is_same or real in own_files(path):
            raise UsageError(f"{cmd.HTML.long} {target}: this is a journal, or belongs to one")
    refuse_other(target, b"<", f"{cmd.HTML.long} {target}: cannot write it")


@contextmanager
def _shown(readers: Sequence[Reader], *, is_wanted: bool) -> Iterator[None]:
    """Let Ctrl-C end long queries, and show on a terminal how long they take. Write nothing else there meanwhile."""
    begun = monotonic()
    with StatusLine(is_wanted=is_wanted) as line:

        def step() -> None:
            seconds = monotonic() - begun
            if seconds >= _SOON:
                line.show(f"reading {_names(readers)}, {format_duration(seconds)}")

        for reader in readers:
            reader.watch(step)
        yield


def _names(readers: Sequence[Reader]) -> str:
    return printable(readers[0].path) if len(readers) == 1 else f"{format_count(len(readers))} journals"
