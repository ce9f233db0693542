"""``asyncstore bench``: load a storage SCP, measure it, and say what it can take.

    options -> source, plan -> probe of the peer -> calibration -> driver -> record -> document -> table and files

The modules whose names begin with ``bench_`` have a part each: ``load`` makes source and plan, ``prepare`` asks and
calibrates, ``watch`` records and shows, ``findable`` searches, ``document`` judges, ``outputs`` writes.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, nullcontext
from time import monotonic
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.commands.bench_document import document_of
from asyncstore.cli.commands.bench_findable import finder_of, finish, searching
from asyncstore.cli.commands.bench_load import check_together, plan_of
from asyncstore.cli.commands.bench_outputs import check_outputs, details_line, write_outputs
from asyncstore.cli.commands.bench_prepare import prepare
from asyncstore.cli.commands.bench_watch import Watch
from asyncstore.cli.engine import sender_of
from asyncstore.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.loop import every, interrupts, run_loop
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.bench_commands import BENCH
from asyncstore.cli.proposal import identity_of
from asyncstore.cli.standard_output import put_styled
from asyncstore.cli.text.bench_table import bench_lines
from asyncstore.cli.text.page import page_width
from asyncstore.cli.tls import Remembered, tls_of
from asyncstore.errors import UsageError, WriteFailed
from asyncstore.load.driving.driver import Driver
from asyncstore.load.from_files import FromFiles
from asyncstore.load.results.thresholds import first_crossed, say
from asyncstore.network.addresses import address_of
from asyncstore.observe.bench_display import open_bench_display
from asyncstore.observe.display import LogLines, open_output
from asyncstore.observe.formatting import counted, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.commands.bench_prepare import Prepared
    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.findable import Finder
    from asyncstore.load.results.document import Document
    from asyncstore.load.results.thresholds import Threshold
    from asyncstore.observe.bench_display import BenchDisplay
    from asyncstore.observe.output import Line
    from asyncstore.protocol.associate import UserIdentity

_FRAME = 0.25
"""Seconds between samples: often enough for a live display, and too seldom to cost much."""


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    check_together(parsed)
    check_outputs(parsed)
    return run_loop(_bench(parsed, identity_of(parsed)))  # it asks for a password before anything else runs


async def _bench(parsed: Parsed, identity: UserIdentity | None) -> int:
    output = open_output(sys.stderr, quiet=parsed[opt.QUIET])
    address = address_of(printable(parsed[opt.PEER]), parsed[opt.PORT])
    title = f"asyncstore {__version__}: measuring {address} ({parsed[opt.CALLED_AE_TITLE]})"
    display = open_bench_display(output, title, "off" if parsed[opt.QUIET] else parsed[opt.PROGRESS])
    with ExitStack() as stack:
        logger = stack.enter_context(logging_to(LogLines(display), parsed))
        password = Remembered()
        tls = tls_of(parsed)
        tls = None if tls is None else password.asking(tls)
        options = sender_of(parsed, identity, tls).association_options  # before the display: it may ask for a password
        finder = finder_of(parsed, identity, None if tls is None else password.known(tls))
        task = asyncio.current_task()
        watches: list[Watch] = []

        def interrupt() -> None:
            if watches:
                watches[0].interrupt()
            elif task is not None:
                task.cancel()

        stack.enter_context(interrupts(interrupt))
        with display:
            try:
                prepared = await prepare(parsed, options, display, logger)
            except asyncio.CancelledError:
                display.log("interrupted before the measurement began: nothing was measured")
                return EXIT_INTERRUPTED
            watch = await _measure(parsed, prepared, finder, display, watches)
        document = document_of(parsed, prepared, watch, None if finder is None else finder.results())
        return _conclude(parsed, document, watch, display)


async def _measure(
    parsed: Parsed, prepared: Prepared, finder: Finder | None, display: BenchDisplay, watches: list[Watch]
) -> Watch:
    """Put the load on the peer.

    Raises:
        AssociationError: no association could be opened at the start.
    """
    plan = plan_of(parsed, prepared.source.seed, prepared.replay)
    watch = Watch(prepared.source.kinds, [planned.phase for planned in plan], display)
    if parsed[bench.ABORT_ON_FAIL]:
        watch.on_second = lambda now: abort_if_crossed(parsed[bench.THRESHOLD], watch, display, now)
    if parsed[bench.HDR] is not None:
        watch.intervals = []
    watches.append(watch)
    target = prepared.target
    async with finder or nullcontext():
        if finder is not None and finder.problem is not None:
            display.log(f"nothing is searched for: {finder.problem}", "yellow")
        opened = target if finder is None else searching(target, finder, watch.is_counted)
        driver = Driver(opened, prepared.source, watch)
        watch.follow(driver)
        with every(_FRAME, watch.refresh):
            try:
                await driver.run(plan)
            except UsageError as error:  # its files are gone: what was measured before is reported
                watch.failure = error
            watch.is_over = True
            _tell_lost(prepared, display)
            if finder is not None and not watch.signals and finder.pending:
                display.notice("searching for the last instances; Ctrl-C ends that")
                await finish(finder, watch.interrupted)
    watch.fold(monotonic())
    return watch


def _tell_lost(prepared: Prepared, display: BenchDisplay) -> None:
    """Say which files were not sent any more: the load had other instances from then on."""
    lost = prepared.source.lost if isinstance(prepared.source, FromFiles) else {}
    for path, reason in list(lost.items())[:1]:
        files = counted(len(lost), "file")
        display.log(f"{files} gone or changed, and not sent any more, such as {path}: {reason}", "yellow")


def abort_if_crossed(thresholds: Sequence[Threshold], watch: Watch, display: BenchDisplay, now: float) -> None:
    """End the measurement if a threshold is crossed."""
    crossed = first_crossed(thresholds, watch.so_far(now))
    if crossed is not None:
        watch.on_second = None
        display.log(f"ending before its time: {say(crossed)}", "yellow")
        watch.stop()


def _conclude(parsed: Parsed, document: Document, watch: Watch, display: BenchDisplay) -> int:
    """Print the results and write the files, even if the results cannot be printed; the exit code.

    Raises:
        WriteFailed: standard output cannot be written.
        BrokenPipeError: nobody reads it.
    """
    is_table_there = parsed[bench.JSON] != opt.STANDARD_STREAM
    show = put_styled if is_table_there else open_output(sys.stderr).print
    if parsed[opt.QUIET]:
        show = _nothing
    width = page_width() if is_table_there else None
    problem: OSError | WriteFailed | None = None
    try:
        show(*bench_lines(document, interrupted=watch.signals > 0, width=width))
    except (BrokenPipeError, WriteFailed) as error:
        problem, show = error, _nothing
    written = write_outputs(parsed, document, watch.intervals)
    if written.names:
        show((), details_line(written.names))
    failures = [failure for failure in (watch.failure, written.failure) if failure is not None]
    for failure in failures:
        display.log(f"{BENCH.program}: {printable(str(failure))}", "red")
    if problem is not None:
        raise problem
    return document.exit_code or (EXIT_NOT_STORED if failures else EXIT_OK)


def _nothing(*_lines: Line) -> None:
    """Show no line."""
