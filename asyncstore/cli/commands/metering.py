"""The metrics of a run, as ``--metrics-port`` and ``--metrics-file`` ask for them.

Rules:

1. What cannot work is an error before anything is sent: a package that is not installed, a port in use, a folder that
   cannot be written.
2. The run waits for no scraper and no disk. A thread writes the file, and at the end it has two seconds.
3. If the file cannot be written later, that is said once, and tried again. The exit code stays.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from asyncstore.cli.options import rows as opt
from asyncstore.errors import CannotListen, UsageError
from asyncstore.named_files import interruptible, refuse_other, refusing
from asyncstore.observe.formatting import printable
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence

    from asyncstore.cli.options.table import Parsed
    from asyncstore.model import Outcome, Progress
    from asyncstore.network.scrapes import ScrapePort
    from asyncstore.observe.metrics import RunMetrics
    from asyncstore.observe.metrics_file import MetricsFile
    from asyncstore.observe.tally import Tally

_INTERVAL = 15.0
"""Seconds between two versions of the file: Prometheus scrapes node_exporter that often in its example."""
_LAST = 2.0
"""Seconds for the last version. A file system that takes longer is probably gone."""


@contextmanager
def metering_of(parsed: Parsed, logger: logging.Logger) -> Iterator[Metering | None]:
    """The metrics that the options ask for, if any. Nothing is served and written before :meth:`Metering.begin`.

    Raises:
        UsageError: they cannot be served or written.
    """
    port, path = parsed[opt.METRICS_PORT], parsed[opt.METRICS_FILE]
    if port is None and path is None:
        yield None
        return
    with ExitStack() as stack:
        _import_metrics(opt.METRICS_FILE.long if port is None else opt.METRICS_PORT.long)
        scrapes = None if port is None else stack.enter_context(_scrape_port(parsed[opt.METRICS_HOST], port))
        file = None if path is None else _FileWriter(_metrics_file(path), printable(path), logger)
        metering = Metering(scrapes, file)
        stack.callback(metering.close)
        yield metering


class Metering:
    """Shows the metrics of a run to those who collect them.

    Args:
        scrapes: answers scrapes; ``None``: there is no port.
        file: writes the file; ``None``: there is none.
    """

    def __init__(self, scrapes: ScrapePort | None, file: _FileWriter | None) -> None:
        self._scrapes = scrapes
        self._file = file
        self._metrics: RunMetrics | None = None

    @property
    def greeting(self) -> str | None:
        """Where scrapers find them, in a line; ``None`` if there is no port."""
        return None if self._scrapes is None else f"metrics: http://{self._scrapes.address}/metrics"

    async def begin(self, tally: Tally, progress: Callable[[], Progress]) -> None:
        """Show the metrics of this run from now on."""
        from asyncstore.observe.metrics import CONTENT_TYPE, RunMetrics  # few runs show metrics

        self._metrics = RunMetrics(tally, progress)
        if self._scrapes is not None:
            await self._scrapes.serve(self._metrics.scraped, CONTENT_TYPE)
        if self._file is not None:
            self._file.begin(self._metrics)

    def add(self, batch: Sequence[Outcome]) -> None:
        """Take in outcomes that the tally has counted."""
        if self._metrics is not None:
            self._metrics.add(batch)

    async def end(self, exit_code: int) -> None:
        """The run is over: write the last version of the file."""
        if self._metrics is not None:
            self._metrics.end(exit_code)
        if self._file is not None:
            await self._file.end()

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()


class _FileWriter:
    """Writes the file now and again.

    Args:
        file: the file.
        shown: its name in messages.
        logger: takes the message when it cannot be written.
    """

    def __init__(self, file: MetricsFile, shown: str, logger: logging.Logger) -> None:
        self._file = file
        self._shown = shown
        self._logger = logger
        self._thread = WaitingThread("asyncstore-metrics")
        self._task: asyncio.Task[None] | None = None
        self._has_complained = False
        self._content: Callable[[], bytes] = bytes

    def begin(self, metrics: RunMetrics) -> None:
        """Write it at once, and every 15 seconds."""
        run = printable(self._file.stem)
        self._content = lambda: metrics.kept(run)
        self._task = asyncio.create_task(self._keep_writing())

    async def end(self) -> None:
        """Write it for the last time."""
        self._stop()
        try:
            async with asyncio.timeout(_LAST):
                await self._write()
        except TimeoutError:
            self._complain(f"it was not written within {_LAST:g} s")

    def close(self) -> None:
        """Write it no more."""
        self._stop()
        self._thread.close()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep_writing(self) -> None:
        while True:
            await self._write()
            await asyncio.sleep(_INTERVAL)

    async def _write(self) -> None:
        try:
            await self._thread.call(self._file.replace, self._content())
        except OSError as error:
            self._complain(error.strerror or str(error))

    def _complain(self, cause: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._logger.warning("%s: cannot write the metrics: %s", self._shown, cause)


def _import_metrics(option: str) -> None:
    """Import what makes the metrics.

    Raises:
        UsageError: prometheus_client is not installed.
    """
    try:
        import asyncstore.observe.metrics  # noqa: F401 - few runs need it
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        lacking = UsageError(f"{option} needs the package prometheus_client, which is not installed")
        lacking.add_note("Install asyncstore with its extra metrics.")
        raise lacking from None


def _scrape_port(host: str, port: int) -> ScrapePort:
    from asyncstore.network.scrapes import ScrapePort

    try:
        with interruptible():  # a name server may be slow
            return ScrapePort(host, port)
    except CannotListen as error:
        refused = UsageError(f"{opt.METRICS_PORT.long} {port}: {error}")
        refused.add_note(
            f"Choose another port, 0 for any that is free, or with {opt.METRICS_HOST.long} an address of this machine."
        )
        raise refused from None


def _metrics_file(path: str) -> MetricsFile:
    from asyncstore.observe.metrics_file import MetricsFile

    complaint = f"{opt.METRICS_FILE.long} {path}: cannot write it"
    refuse_other(path, b"#", complaint)
    try:
        with refusing(complaint):
            return MetricsFile(path)
    except UsageError as refused:
        if isinstance(refused.__cause__, PermissionError):
            refused.add_note("The file is replaced as a whole, so its folder must be writable.")
        raise
