"""What watches a run of ``send``: it takes the outcomes, samples the progress, hears signals, and knows the ending.

Rules:

1. Outcomes come in batches. Each batch goes to the tally, to the JSON lines and to the lines about files. The display
   samples the tally. The run never waits for it.
2. If a line cannot be shown or written any more, it is dropped and the transfer goes on. Lost JSON lines change the
   exit code.
3. The first SIGINT or SIGTERM lets the files under way finish. The second ends the run at once. ``asyncstore ctl``
   asks for the former as well.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from asyncstore.cli.commands.limiting import Limiting
from asyncstore.cli.commands.outages import Outages
from asyncstore.cli.commands.outcomes import OutcomeLines
from asyncstore.cli.commands.passes import Passes, unfit_for_second_pass
from asyncstore.cli.commands.steered import steered_by
from asyncstore.cli.engine import renamer_of
from asyncstore.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.options import rows as opt
from asyncstore.errors import JournalError, UsageError
from asyncstore.model import NOT_BEGUN
from asyncstore.observe.tally import Tally
from asyncstore.waiting import called_in_thread

if TYPE_CHECKING:
    import logging

    from asyncstore.cli.commands.journalled import RunJournal
    from asyncstore.cli.commands.metering import Metering
    from asyncstore.cli.options.table import Parsed
    from asyncstore.errors import AsyncstoreError
    from asyncstore.model import Outcome, Progress
    from asyncstore.observe.display import Display
    from asyncstore.observe.jsonlines import JsonLines
    from asyncstore.run import Run


class Watch:
    """Watches a run: takes its outcomes, and knows how it ended.

    Args:
        parsed: the options of the run.
        display: the live display, or its substitute.
        logger: for lines about files, the peer and the limits.
        json_lines: for machines; ``None``: nobody asked for them.
        metering: shows metrics; ``None``: nobody asked for them.
        journal: of the run, if it has one.

    Attributes:
        tally: the outcomes so far.
        renamer: renames files by their outcomes; ``None``: files keep their names.
        selection: what is sent of a catalogue; ``None``: files are walked.
        run: the run, once it has begun.
        error: the error that ended it early.
        is_interrupted: whether a signal or a request asked it to end.
        limiting: its limits.
        steered: what steers it; ``None``: nothing does.
    """

    def __init__(
        self,
        parsed: Parsed,
        display: Display,
        logger: logging.Logger,
        json_lines: JsonLines | None,
        metering: Metering | None,
        journal: RunJournal | None,
    ) -> None:
        self.display = display
        self.json_lines = json_lines
        self.metering = metering
        self.tally = Tally(monotonic(), counts_repeats=parsed[opt.REPEAT] == 1)
        self.renamer = renamer_of(parsed)
        self.selection = None if journal is None else journal.selection
        self._journal = None if journal is None else journal.journal
        if self.renamer is not None and self._journal is not None:
            self.renamer.on_renamed = self._journal.rename
        self.run: Run | None = None
        self.error: AsyncstoreError | None = None
        self.is_interrupted = False
        self.limiting = Limiting(parsed, logger, json_lines)
        self._signals = 0
        self._unfit = unfit_for_second_pass(parsed)
        self._passes = Passes()
        self._lines = OutcomeLines(logger, halts=not parsed[opt.NO_HALT])
        self._outages = Outages(logger, json_lines)
        self.steered = steered_by(
            parsed,
            self.tally,
            logger,
            journal,
            stop=self.stop,
            tell=display.log,
            actions={"retry-failed": self.retry_failed, **self.limiting.actions},
            appliers=self.limiting.appliers,
        )

    def begin(self, run: Run) -> None:
        """Watch this run. Stop it if a signal came before it began."""
        self.run = run
        if self.steered is not None:
            self.steered.steering.follow(run)
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
        """Rename these files by their outcomes. The run goes on meanwhile; the next batch waits.

        They keep their names until the journal has the outcomes: later runs pass over done files.
        """
        if self.renamer is None:
            return
        if self._journal is not None:
            try:
                await self._journal.recorded()
            except JournalError:
                return  # it ends the run
        self._lines.not_renamed(await called_in_thread(self.renamer.add, batch))

    def refresh(self) -> None:
        """Show the progress of the run."""
        progress, now = self.progress(), monotonic()
        if self.run is not None:
            self._outages.look(progress, now)
            self.limiting.look(progress)
            self.display.refresh(self.tally, progress, now)
            if self.steered is not None:
                self.steered.refresh(progress, now)

    def progress(self) -> Progress:
        """The state of the run now, with the passes that are over."""
        return NOT_BEGUN if self.run is None else self._passes.together(self.run.progress())

    def retry_failed(self, _: object) -> str:
        """Let a further pass send again what the peer refused; what will be done, in words.

        Raises:
            UsageError: it cannot.
        """
        if self._unfit is not None:
            raise UsageError(f"a run with {self._unfit} cannot: resume {opt.RETRY_FAILED.long} can, after it")
        if self.is_interrupted:
            raise UsageError(f"the run is ending already: resume {opt.RETRY_FAILED.long} can, after it")
        self._passes.is_wanted = True
        return "what the peer has refused is sent again when everything else is sent"

    def begin_second_pass(self) -> int | None:
        """The ordinal of the first file of the next pass; ``None``: there is none."""
        run, is_over = self.run, self.is_interrupted or self.is_time_up
        if run is None or run.is_halted or is_over or not self._passes.is_wanted:
            return None
        self.display.log("sending again what the peer has refused")
        return self._passes.next(run.progress(), self.tally)

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
        self._signals += 1
        self.stop()
        if self.run is None:
            return
        if self._signals == 1:
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
        return self.limiting.is_time_up and not self.is_interrupted

    @property
    def _is_cut_off(self) -> bool:
        """Whether the end of its time left something undone."""
        return self.is_time_up and (bool(self.tally.withdrawn) or self.is_cut_short)

    @property
    def has_new_associations(self) -> bool:
        """Whether the number of associations that the run may have was changed while it went on."""
        return self.steered is not None and self.steered.steering.has_new_associations

    @property
    def is_cut_short(self) -> bool:
        """Whether there may be more files than were found."""
        return self.progress().is_cut_short

    @property
    def ending(self) -> str:
        """How the run ended, for its journal."""
        if self.is_interrupted:
            return "interrupted"
        if self.error is not None:
            return str(self.error)
        if self._is_cut_off:
            return "its time was up"
        if self.is_halted:
            return "stopped at the first file that was not stored"
        from asyncstore.journal.values import COMPLETED  # few runs have a journal

        return COMPLETED

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
