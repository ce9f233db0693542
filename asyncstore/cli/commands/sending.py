"""A run of ``asyncstore send``: from options to the run, and from its outcomes to display, log and JSON lines.

Rules:

1. Outcomes come in batches. Each batch goes to the tally, to the JSON lines and to the lines about files. The display
   samples the tally four times a second. The run never waits for it.
2. If a line cannot be shown or written any more, it is dropped and the transfer goes on. Lost JSON lines change the
   exit code.
3. The first SIGINT or SIGTERM lets the files under way finish. The second ends the run at once. ``asyncstore ctl``
   asks for the former as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack, nullcontext
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.commands.journalled import journal_of
from asyncstore.cli.commands.limiting import Limiting
from asyncstore.cli.commands.metering import metering_of
from asyncstore.cli.commands.outages import Outages
from asyncstore.cli.commands.outcomes import OutcomeLines
from asyncstore.cli.commands.passes import Passes, unfit_for_second_pass
from asyncstore.cli.commands.steered import steered_by
from asyncstore.cli.engine import paths_of, refuse_missing, renamer_of, sender_of, walk_of
from asyncstore.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.logging.logs import log_end, logging_to
from asyncstore.cli.loop import every, interrupts, run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.proposal import identity_of
from asyncstore.errors import AsyncstoreError, UsageError
from asyncstore.journal.values import COMPLETED
from asyncstore.named_files import interruptible
from asyncstore.network.addresses import address_of
from asyncstore.observe.display import LogLines, open_display, open_output
from asyncstore.observe.formatting import counted, printable
from asyncstore.observe.summary import Ending, print_summary
from asyncstore.observe.tally import Tally

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

    from asyncstore.cli.commands.journalled import RunJournal
    from asyncstore.cli.commands.metering import Metering
    from asyncstore.cli.commands.selection import Selection
    from asyncstore.cli.commands.steered import Steered
    from asyncstore.cli.options.table import Parsed
    from asyncstore.model import Outcome, Progress
    from asyncstore.observe.display import Display
    from asyncstore.observe.jsonlines import JsonLines
    from asyncstore.observe.output import Output
    from asyncstore.observe.tally import Reason
    from asyncstore.protocol.associate import UserIdentity
    from asyncstore.renaming import Renamer
    from asyncstore.run import Run
    from asyncstore.sender import Sender

_FRAME = 0.25
"""Seconds between samples of the run: often enough for a live display, and too seldom to cost much."""


def run(parsed: Parsed) -> int:
    """Send, or say what would be sent, and return the exit code."""
    if parsed[opt.DRY_RUN]:
        from asyncstore.cli.commands.dryrun import dry_run  # noqa: PLC0415 - few command lines need it

        return run_loop(dry_run(parsed))
    return run_loop(send(parsed, identity_of(parsed)))  # it asks for a password before anything else runs


async def send(parsed: Parsed, identity: UserIdentity | None = None) -> int:
    """Store what the command line names and return the exit code."""
    if not parsed[opt.NO_HALT]:
        refuse_missing(parsed[opt.INPUTS])
    output = open_output(sys.stderr, quiet=parsed[opt.QUIET])
    with ExitStack() as stack:
        paths = stack.enter_context(paths_of(parsed))
        display = open_display(output, _title(parsed), _progress(parsed))
        logger = stack.enter_context(logging_to(LogLines(display), parsed, "storescu"))
        sender = sender_of(parsed, identity)  # before the display starts: it may ask for a key's password
        metering = stack.enter_context(metering_of(parsed, logger))  # before the journal has a run that sends nothing
        journal = stack.enter_context(journal_of(parsed))  # before JSON lines replace those of a run that has it
        json_lines = _json_lines(parsed, logger)
        tally = Tally(monotonic(), counts_repeats=parsed[opt.REPEAT] == 1)
        lines = OutcomeLines(logger, halts=not parsed[opt.NO_HALT])
        watch = _Watch(display, tally, lines, json_lines, renamer_of(parsed), Outages(logger, json_lines))
        watch.limiting = limiting = Limiting(parsed, logger, json_lines)
        watch.selection = None if journal is None else journal.selection
        watch.metering = metering
        watch.unfit = unfit_for_second_pass(parsed)
        watch.steered = steered_by(
            parsed,
            tally,
            logger,
            journal,
            stop=watch.stop,
            tell=display.log,
            actions={"retry-failed": watch.retry_failed, **limiting.actions},
            appliers=limiting.appliers,
        )
        on_hangup = None if watch.steered is None else watch.steered.on_hangup
        stack.enter_context(interrupts(watch.interrupt, on_hangup))  # from here on an interrupt ends in a summary
        if json_lines is not None:
            stack.enter_context(json_lines)
            json_lines.start(parsed[opt.PEER], parsed[opt.PORT], __version__)
        with display:
            if metering is not None:
                await metering.begin(tally, watch.progress)
                if metering.greeting is not None:
                    display.log(metering.greeting)
            if journal is not None and journal.greeting is not None:
                display.log(journal.greeting)
            if watch.selection is not None:
                display.log(watch.selection.greeting)
                watch.selection.look_for_missing(json_lines)
            async with nullcontext() if watch.steered is None else watch.steered.offered():
                stack.enter_context(limiting.timed())
                await _store(sender, parsed, paths, watch, journal)
            if journal is not None:
                watch.error = journal.close(watch.ending) or watch.error
        exit_code = _conclude(parsed, output, watch, logger)
        if metering is not None:
            await metering.end(exit_code)
        return exit_code


class _Watch:
    """Watches a run: takes its outcomes, and knows how it ended.

    Attributes:
        display: the live display, or its substitute.
        tally: the outcomes so far.
        renamer: renames files by their outcomes; ``None``: files keep their names.
        selection: what is sent of a catalogue; ``None``: files are walked.
        metering: shows metrics; ``None``: nobody asked for them.
        run: the run, once it has begun.
        error: the error that ended it early.
        signals: how many signals asked it to end.
        is_interrupted: whether a signal or a request asked it to end.
        steered: what steers it; ``None``: nothing does.
        limiting: its limits; ``None`` only before they are known.
        unfit: the option for which refused files cannot be sent again within the run, if one is given.
    """

    def __init__(
        self,
        display: Display,
        tally: Tally,
        lines: OutcomeLines,
        json_lines: JsonLines | None,
        renamer: Renamer | None,
        outages: Outages,
    ) -> None:
        self.display = display
        self.tally = tally
        self.json_lines = json_lines
        self.renamer = renamer
        self.run: Run | None = None
        self.error: AsyncstoreError | None = None
        self.signals = 0
        self.is_interrupted = False
        self.steered: Steered | None = None
        self.limiting: Limiting | None = None
        self.unfit: str | None = None
        self._passes = Passes()
        self.selection: Selection | None = None
        self.metering: Metering | None = None
        self._lines = lines
        self._outages = outages

    def begin(self, run: Run) -> None:
        """Watch this run. Stop it if a signal came before it began."""
        self.run = run
        if self.steered is not None:
            self.steered.follow(run)
        if self.limiting is not None:
            self.limiting.follow(run)
        if self.is_interrupted:
            run.stop()

    def add(self, batch: list[Outcome]) -> None:
        """Take in outcomes."""
        self.tally.add(batch)
        self._lines.add(batch)
        if self.json_lines is not None:
            self.json_lines.outcomes(batch, self._passes.replaces)
        if self.metering is not None:
            self.metering.add(batch)

    async def rename(self, batch: list[Outcome]) -> None:
        """Rename these files by their outcomes. The run goes on meanwhile; the next batch waits."""
        if self.renamer is not None:
            self._lines.not_renamed(await asyncio.to_thread(self.renamer.add, batch))

    def refresh(self) -> None:
        """Show the progress of the run."""
        progress, now = self.progress(), monotonic()
        if progress is not None:
            self._outages.look(progress, now)
            if self.limiting is not None:
                self.limiting.look(progress)
            self.display.refresh(self.tally, progress, now)
            if self.steered is not None:
                self.steered.refresh(progress, now)

    def progress(self) -> Progress | None:
        """The state of the run now, with the passes that are over; ``None``: it has not begun."""
        return None if self.run is None else self._passes.together(self.run.progress())

    def retry_failed(self, _: object) -> str:
        """Let a further pass send again what the peer refused; what will be done, in words.

        Raises:
            UsageError: it cannot.
        """
        if self.unfit is not None:
            raise UsageError(f"a run with {self.unfit} cannot: resume {opt.RETRY_FAILED.long} can, after it")
        if self.is_interrupted:
            raise UsageError(f"the run is ending already: resume {opt.RETRY_FAILED.long} can, after it")
        self._passes.is_wanted = True
        return "what the peer has refused is sent again when everything else is sent"

    def begin_second_pass(self) -> int | None:
        """The ordinal of the first file of the next pass; ``None``: there is none."""
        if self.run is None or self.is_interrupted or self.run.is_halted or not self._passes.is_wanted:
            return None
        if self.is_time_up:
            return None
        self.display.log("sending again what the peer has refused")
        return self._passes.next(self.run.progress(), self.tally)

    def stop(self) -> None:
        """End the run, gently."""
        self.is_interrupted = True
        self._lines.end()
        if self.steered is not None:
            self.steered.stopping()
        if self.run is not None:
            self.run.stop()

    def interrupt(self) -> None:
        """End the run for a signal, gently the first time."""
        self.signals += 1
        self.stop()
        if self.run is None:
            return
        if self.signals == 1:
            self.display.notice("stopping: files under way are finished; Ctrl-C again aborts them")
        else:
            self.run.abort()
            self.display.notice("aborting: files under way may be stored or not")

    @property
    def is_halted(self) -> bool:
        """Whether a failure ended the run while there was, or may have been, more to send."""
        if self.run is None or not self.run.is_halted or self.is_interrupted:
            return False
        return bool(self.tally.withdrawn) or self.run.progress().is_cut_short

    @property
    def is_time_up(self) -> bool:
        """Whether the run ended because its time was up."""
        return self.limiting is not None and self.limiting.is_time_up and not self.is_interrupted

    @property
    def _is_cut_off(self) -> bool:
        """Whether the end of its time left something undone."""
        return self.is_time_up and (bool(self.tally.withdrawn) or self.is_cut_short)

    @property
    def is_cut_short(self) -> bool:
        """Whether there may be more files than were found."""
        progress = self.progress()
        return progress is not None and progress.is_cut_short

    @property
    def ending(self) -> str:
        """How the run ended, for its journal."""
        if self.is_interrupted:
            return "interrupted"
        if self.error is not None:
            return str(self.error)
        if self._is_cut_off:
            return "its time was up"
        return "stopped at the first file that was not stored" if self.is_halted else COMPLETED

    @property
    def exit_code(self) -> int:
        """The exit code, once the run is over."""
        if self.is_interrupted:
            return EXIT_INTERRUPTED
        if self.selection is not None and self.selection.missing and self.error is None:
            return EXIT_NOT_STORED
        if self._is_cut_off and self.error is None:
            return EXIT_NOT_STORED
        if not self.tally.attempted:
            return EXIT_NOT_ATTEMPTED
        if self.tally.unstored or self.error is not None or (self.json_lines and self.json_lines.is_incomplete):
            return EXIT_NOT_STORED
        return EXIT_OK


async def _store(
    sender: Sender, parsed: Parsed, paths: Iterable[str], watch: _Watch, journal: RunJournal | None
) -> None:
    """Run the sender to its end."""
    try:
        async with sender:
            run = sender.send(paths, walk_of(parsed), None if journal is None else journal.recording)
            watch.begin(run)
            with every(_FRAME, watch.refresh):
                await _take_all(run, watch)
                while journal is not None and (first := watch.begin_second_pass()) is not None:
                    run = sender.send((), None, await journal.second_pass(first))
                    watch.begin(run)
                    await _take_all(run, watch)
            watch.refresh()
    except AsyncstoreError as error:
        watch.error = error


async def _take_all(run: Run, watch: _Watch) -> None:
    """Take the outcomes of a run, or of a pass of it."""
    async for batch in run.batches():
        watch.add(batch)
        await watch.rename(batch)


def _conclude(parsed: Parsed, output: Output, watch: _Watch, logger: logging.Logger) -> int:
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
            progress.associations_opened if progress is not None else 0,
            at_a_time=parsed[opt.ASSOCIATIONS],
            interrupted=watch.is_interrupted,
            is_cut_short=watch.is_cut_short,
            is_time_up=watch.is_time_up,
            outages=0 if progress is None or watch.error is not None else progress.outages,
            repeat=parsed[opt.REPEAT],
            details=tuple(_details(parsed, watch)),
        )
        print_summary(output, watch.tally, ending)
    if watch.error is not None:
        log_end(logger, watch.error, parsed)
        watch.display.log(f"{cmd.SEND.program}: {watch.error}", "red")
        from asyncstore.cli.text.hints import hint_of  # noqa: PLC0415 - few runs need it

        hint = hint_of(watch.error)
        if hint is not None:
            watch.display.log(hint)
        if not watch.tally.attempted:
            watch.display.log(f"Nothing was sent; {counted(watch.tally.done, 'file')} found by then.")
    return watch.exit_code


def _details(parsed: Parsed, watch: _Watch) -> Iterator[str]:
    """Further lines of the summary: what was left undone, and what to do next."""
    if watch.is_halted:
        goes_on = f"with {opt.NO_HALT.long} ({opt.NO_HALT.short}) it goes on."
        yield f"Stopped at the first file that was not stored; {goes_on}"
    if watch.renamer is not None and watch.renamer.failed:
        yield f"{counted(watch.renamer.failed, 'file')} could not be renamed, and kept the name."
    if watch.json_lines is not None and watch.json_lines.is_incomplete:
        yield f"Not every outcome could be written to {parsed[opt.JSON]}, so the exit code is not 0: see above."
    elif watch.json_lines is not None and watch.json_lines.failure is None and parsed[opt.JSON] != opt.STANDARD_STREAM:
        yield f"Every outcome: {parsed[opt.JSON]}"
    if watch.tally.reasons:
        from asyncstore.cli.text.hints import hints_for  # noqa: PLC0415 - few runs need it

        yield from hints_for(text for reason in watch.tally.reasons for text in _texts_of(reason))
    if watch.selection is not None:
        yield from watch.selection.details()
    journal = parsed[opt.JOURNAL]
    if journal is not None:
        yield from _about_journal(printable(journal), watch)
    yield from _next_steps(parsed, watch.tally)


def _about_journal(journal: str, watch: _Watch) -> Iterator[str]:
    """How the journal helps to send the rest."""
    tally = watch.tally
    if tally.withdrawn or tally.unknown or (watch.is_cut_short and watch.is_time_up):
        yield f"asyncstore resume {journal} sends the rest."
    if tally.failed:
        yield f"With {opt.RETRY_FAILED.long} it sends again what the peer refused."


def _texts_of(reason: Reason) -> Iterator[str]:
    """All that is known of a reason: its text, and those of its details."""
    yield reason.text
    yield from (detail.reason for detail in reason.details)


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


def _json_lines(parsed: Parsed, logger: logging.Logger) -> JsonLines | None:
    """The file for JSON lines, if there is one."""
    target = parsed[opt.JSON]
    if target is None:
        return None
    from asyncstore.observe.jsonlines import JsonLines  # noqa: PLC0415 - only they need json

    try:
        with interruptible():
            return JsonLines.open(None if target == opt.STANDARD_STREAM else target, logger.error)
    except OSError as error:
        raise UsageError(f"{opt.JSON.long} {target}: cannot write it: {error.strerror}") from None


def _progress(parsed: Parsed) -> opt.When:
    """When to show progress; off if JSON lines go to the same terminal, because they would overwrite each other."""
    is_written_over = parsed[opt.JSON] == opt.STANDARD_STREAM and sys.stdout.isatty()
    return "off" if parsed[opt.QUIET] or is_written_over else parsed[opt.PROGRESS]


def _title(parsed: Parsed) -> str:
    """The title of the display."""
    peer = address_of(printable(parsed[opt.PEER]), parsed[opt.PORT])
    return f"asyncstore {__version__}: sending to {peer} ({parsed[opt.CALLED_AE_TITLE]})"
