"""The end of a run of ``send``: its summary, its error with what to do about it, and how to send the rest."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore.cli.logging.logs import log_end
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.errors import JournalRemoved
from asyncstore.model import Result
from asyncstore.observe.formatting import counted, printable
from asyncstore.observe.summary import Ending, print_summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from asyncstore.cli.commands.watch import Watch
    from asyncstore.cli.options.table import Parsed
    from asyncstore.observe.output import Output
    from asyncstore.observe.tally import Tally


def conclude(parsed: Parsed, output: Output, watch: Watch, logger: logging.Logger) -> int:
    """Print the summary and the error, and end the JSON lines; the exit code."""
    seconds = watch.tally.seconds(monotonic())
    if watch.json_lines is not None:
        not_found = None if watch.selection is None else watch.selection.missing
        watch.json_lines.summary(watch.tally, seconds, watch.exit_code, not_found)
        watch.json_lines.close()  # some file systems report errors only now
    if watch.error is None or watch.tally.attempted:
        progress = watch.progress()
        ending = Ending(
            seconds,
            progress.associations_opened,
            at_a_time=None if watch.has_new_associations else parsed[opt.ASSOCIATIONS],
            interrupted=watch.is_interrupted,
            is_cut_short=watch.is_cut_short,
            is_time_up=watch.is_time_up,
            outages=progress.outages if watch.error is None else 0,
            repeat=parsed[opt.REPEAT],
            details=tuple(_details(parsed, watch)),
        )
        print_summary(output, watch.tally, ending)
    if watch.error is not None:
        log_end(logger, watch.error, parsed)
        watch.display.log(f"{cmd.SEND.program}: {watch.error}", "red")
        from asyncstore.cli.text.hints import hint_of

        hint = hint_of(watch.error)
        if hint is not None:
            watch.display.log(hint)
        if not watch.tally.attempted:
            watch.display.log(f"Nothing was sent; {counted(watch.tally.done, 'file')} found by then.")
    return watch.exit_code


def _details(parsed: Parsed, watch: Watch) -> Iterator[str]:
    """Further lines of the summary: what was left undone, and what to do next."""
    if watch.is_halted:
        goes_on = f"with {opt.NO_HALT.long} ({opt.NO_HALT.short}) it goes on."
        yield f"Stopped at the first file that was not stored; {goes_on}"
    if watch.renamer is not None and watch.renamer.failed:
        yield f"{counted(watch.renamer.failed, 'file')} could not be renamed, and kept the name."
    if watch.json_lines is not None and watch.json_lines.is_incomplete:
        yield "Not every outcome could be written as a JSON line, so the exit code is not 0: see above."
    elif watch.json_lines is not None and watch.json_lines.failure is None and parsed[opt.JSON] != opt.STANDARD_STREAM:
        yield f"Every outcome: {parsed[opt.JSON]}"
    if watch.tally.unstored:
        from asyncstore.cli.text.hints import hints_for

        groups = (group for result in Result for group in watch.tally.reasons(result))
        yield from hints_for(text for group in groups for text in (group.text, *(part.reason for part in group.parts)))
    if watch.selection is not None:
        yield from watch.selection.details()
    if parsed[opt.JOURNAL] is not None:
        yield from _about_journal(parsed, watch)
    yield from _next_steps(parsed, watch.tally)


def _about_journal(parsed: Parsed, watch: Watch) -> Iterator[str]:
    """How the journal helps to send the rest."""
    from asyncstore.recording import LEFT_SO  # it imports the journal

    if isinstance(watch.error, JournalRemoved):
        return  # the hint of the error says what is left to do
    tally = watch.tally
    if tally.withdrawn or tally.count(Result.UNKNOWN) or watch.is_cut_short:
        with_list = ", given the same list again," if parsed[opt.FILES_FROM] == opt.STANDARD_STREAM else ""
        yield f"asyncstore resume {printable(str(parsed[opt.JOURNAL]))}{with_list} sends the rest."
    if tally.count(Result.FAILED):
        yield f"With {opt.RETRY_FAILED.long} it sends again what the peer refused."
    if any(group.text.startswith(LEFT_SO) for group in tally.reasons(Result.NOT_SENT)):
        yield f"With {opt.RETRY_NOT_SENT.long} it looks again at what an earlier run could not send."


def _next_steps(parsed: Parsed, tally: Tally) -> Iterator[str]:
    """How to learn which files were not stored, and how to send the rest in another run."""
    if parsed[opt.JOURNAL] is not None:
        return
    if tally.unstored > 1 and parsed[opt.JSON] is None:
        yield f"Add {opt.JSON.long} FILE to have every file's outcome written there."
    if not tally.unstored - tally.not_sent + tally.withdrawn:
        return
    if parsed[opt.RENAME]:
        if parsed[opt.FILES_FROM] is None and all(map(os.path.isdir, parsed[opt.INPUTS])):  # others have new names now
            yield "Run the same command again to send the rest: it skips files named .done."
    elif tally.done > tally.unstored:
        yield f"Add {opt.JOURNAL.long} FILE: a run with the same journal sends only what is not known to be stored."
