"""A run of ``asyncstore send``: from its options to its exit code.

:mod:`asyncstore.cli.commands.watch` watches it; :mod:`asyncstore.cli.commands.conclusion` prints what came of it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.commands.conclusion import conclude
from asyncstore.cli.commands.journalled import journal_of
from asyncstore.cli.commands.metering import metering_of
from asyncstore.cli.commands.watch import Watch
from asyncstore.cli.engine import paths_of, refuse_missing, sender_of, walk_of
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.loop import every, interrupts, run_loop
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.cli.proposal import identity_of
from asyncstore.errors import AsyncstoreError
from asyncstore.named_files import refuse_other, refusing
from asyncstore.network.addresses import address_of
from asyncstore.observe.display import LogLines, open_display, open_output
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    import logging

    from asyncstore.cli.commands.journalled import RunJournal
    from asyncstore.cli.options.table import Parsed
    from asyncstore.discovery.walk import Paths
    from asyncstore.observe.jsonlines import JsonLines
    from asyncstore.protocol.associate import UserIdentity
    from asyncstore.run import Run
    from asyncstore.sender import Sender

_FRAME = 0.25
"""Seconds between samples of the run: often enough for a live display, and too seldom to cost much."""


def run(parsed: Parsed) -> int:
    """Send, or say what would be sent, and return the exit code."""
    if parsed[opt.DRY_RUN]:
        from asyncstore.cli.commands.dryrun import dry_run

        return run_loop(dry_run(parsed))
    return run_loop(send(parsed, identity_of(parsed)))  # it asks for a password before anything else runs


async def send(parsed: Parsed, identity: UserIdentity | None = None) -> int:
    """Store what the command line names and return the exit code."""
    if not parsed[opt.NO_HALT]:
        refuse_missing(parsed[opt.INPUTS], opens_archives=parsed[source_opt.ARCHIVES], renames=parsed[opt.RENAME])
    output = open_output(sys.stderr, quiet=parsed[opt.QUIET])
    with ExitStack() as stack:
        paths = stack.enter_context(paths_of(parsed))
        display = open_display(output, _title(parsed), _progress(parsed))
        logger = stack.enter_context(logging_to(LogLines(display), parsed, "storescu"))
        sender = sender_of(parsed, identity)  # before the display starts: it may ask for a key's password
        metering = stack.enter_context(metering_of(parsed, logger))  # before the journal has a run that sends nothing
        journal = stack.enter_context(journal_of(parsed))  # before JSON lines replace those of a run that has it
        json_lines = _json_lines(parsed, logger)
        watch = Watch(parsed, display, logger, json_lines, metering, journal)
        on_hangup = None if watch.steered is None else watch.steered.on_hangup
        stack.enter_context(interrupts(watch.interrupt, on_hangup))  # from here on an interrupt ends in a summary
        if json_lines is not None:
            stack.enter_context(json_lines)
            json_lines.start(parsed[opt.PEER], parsed[opt.PORT], __version__)
        with display:
            if metering is not None:
                await metering.begin(watch.tally, watch.progress)
                if metering.greeting is not None:
                    display.log(metering.greeting)
            if journal is not None and journal.greeting is not None:
                display.log(journal.greeting)
            if watch.selection is not None:
                display.log(watch.selection.greeting)
                watch.selection.look_for_missing(json_lines)
            async with nullcontext() if watch.steered is None else watch.steered.offered():
                stack.enter_context(watch.limiting.timed())
                await _store(sender, parsed, paths, watch, journal)
            if journal is not None:
                watch.error = journal.journal.close(watch.ending) or watch.error
        exit_code = conclude(parsed, output, watch, logger)
        if metering is not None:
            await metering.end(exit_code)
        return exit_code


async def _store(sender: Sender, parsed: Parsed, paths: Paths, watch: Watch, journal: RunJournal | None) -> None:
    """Run the sender to its end."""
    try:
        async with sender:
            run = sender.send(paths, walk_of(parsed), None if journal is None else journal.recording)
            watch.begin(run)
            with every(_FRAME, watch.refresh):
                await _take_all(run, watch)
                while journal is not None and (first := watch.begin_second_pass()) is not None:
                    run = sender.send((), walk_of(parsed), await journal.second_pass(first))
                    watch.begin(run)
                    await _take_all(run, watch)
            watch.refresh()
    except AsyncstoreError as error:
        watch.error = error


async def _take_all(run: Run, watch: Watch) -> None:
    """Take the outcomes of a run, or of a pass of it."""
    async for batch in run.batches():
        watch.add(batch)
        await watch.rename(batch)


def _json_lines(parsed: Parsed, logger: logging.Logger) -> JsonLines | None:
    """The file for JSON lines, if there is one."""
    target = parsed[opt.JSON]
    if target is None:
        return None
    from asyncstore.observe.jsonlines import JsonLines

    complaint = f"{opt.JSON.long} {target}: cannot write it"
    if target != opt.STANDARD_STREAM:
        refuse_other(target, b"{", complaint)
    with refusing(complaint):
        return JsonLines.open(None if target == opt.STANDARD_STREAM else target, logger.error)


def _progress(parsed: Parsed) -> opt.When:
    """When to show progress; off if JSON lines go to the same terminal, because they would overwrite each other."""
    is_written_over = parsed[opt.JSON] == opt.STANDARD_STREAM and sys.stdout.isatty()
    return "off" if parsed[opt.QUIET] or is_written_over else parsed[opt.PROGRESS]


def _title(parsed: Parsed) -> str:
    """The title of the display."""
    peer = address_of(printable(parsed[opt.PEER]), parsed[opt.PORT])
    return f"asyncstore {__version__}: sending to {peer} ({parsed[opt.CALLED_AE_TITLE]})"
