"""What steers a run of ``send`` while it goes on: requests of ``asyncstore ctl``, SIGHUP, and systemd.

Rules:

1. A run that nothing can steer has none of this, and imports none of it.
2. Nothing of this ends a run. If requests cannot be taken, there is a warning.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.options import rows as opt
from asyncstore.errors import ControlFailed, UsageError
from asyncstore.network.addresses import address_of
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Callable, Mapping

    from asyncstore.cli.commands.journalled import RunJournal
    from asyncstore.cli.commands.service import Service
    from asyncstore.cli.options.table import Parsed
    from asyncstore.control.steering import Steering
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally

_NO_MANAGER = f"{opt.SYSTEMD.long}: NOTIFY_SOCKET is not set: no service manager asks for notifications"


class Steered:
    """The steering of one run.

    Attributes:
        steering: answers requests.
        on_hangup: what SIGHUP does; ``None``: it ends the run.
    """

    def __init__(
        self,
        steering: Steering,
        tally: Tally,
        logger: logging.Logger,
        *,
        journal: str | None,
        service: Service | None,
        on_hangup: Callable[[], None] | None,
    ) -> None:
        self.steering = steering
        self.on_hangup = on_hangup
        self._tally = tally
        self._logger = logger
        self._journal = journal
        self._service = service

    def refresh(self, progress: Progress, now: float) -> None:
        """Take note of the progress; call this some times a second."""
        rates = self.steering.rates
        rates.sample(self._tally, progress, now)
        if self._service is not None:
            self._service.refresh(self._tally, progress, rates)

    def stopping(self) -> None:
        """The run was asked to end, or has ended."""
        self.steering.stopping()
        if self._service is not None:
            self._service.stopping()

    @asynccontextmanager
    async def offered(self) -> AsyncIterator[None]:
        """Take requests within this context, if the run has a journal. The run ends with the context."""
        from asyncstore.control.place import is_supported, socket_of  # rule 1
        from asyncstore.control.server import Server

        server = None
        if self._journal is not None and is_supported():
            server = Server(socket_of(self._journal), self.steering.answer)
            try:
                await server.open()
            except ControlFailed as error:
                self._logger.warning("asyncstore ctl cannot reach this run: %s", printable(str(error)))
        try:
            yield
        finally:
            self.stopping()
            if server is not None:
                await server.close()


def steered_by(
    parsed: Parsed,
    tally: Tally,
    logger: logging.Logger,
    journal: RunJournal | None,
    *,
    stop: Callable[[], None],
    tell: Callable[[str], None],
    actions: Mapping[str, Callable[[object], str]],
    appliers: Mapping[str, Callable[[Parsed], None]],
) -> Steered | None:
    """What steers the run that these options describe; ``None``: nothing does.

    Args:
        parsed: the options.
        tally: of the run.
        logger: for warnings.
        journal: of the run.
        stop: ends the run as SIGTERM does.
        tell: shows a line about what was asked.
        actions: further requests that the run takes.
        appliers: what applies new values of options when the configuration is read again, by their names.
    """
    reloads = parsed.read_again is not None and not sys.stderr.isatty()
    if journal is None and not reloads and not parsed[opt.SYSTEMD]:
        return None
    from asyncstore.control.status import Facts  # rule 1
    from asyncstore.control.steering import Steering

    peer = address_of(printable(parsed[opt.PEER]), parsed[opt.PORT])
    number = None if journal is None else journal.journal.run
    facts = Facts(f"asyncstore {__version__}", os.getpid(), peer, number, parsed[opt.ASSOCIATIONS])
    steering = Steering(facts, tally, stop=stop, actions=actions, on_action=tell)
    service = _service(logger) if parsed[opt.SYSTEMD] else None
    on_hangup = None
    if reloads:
        from asyncstore.cli.commands.reloading import Reloading  # rule 1

        of_associations = {opt.ASSOCIATIONS.key: lambda new: steering.set_associations(new[opt.ASSOCIATIONS])}
        on_hangup = Reloading(parsed, {**of_associations, **appliers}, logger, service).reload
    return Steered(steering, tally, logger, journal=parsed[opt.JOURNAL], service=service, on_hangup=on_hangup)


def _service(logger: logging.Logger) -> Service | None:
    """The service manager's view of the run, if there is a service manager."""
    from asyncstore.cli.commands.service import Service  # rule 1
    from asyncstore.network.notify import Notifier

    try:
        manager = Notifier.of(os.environ)
    except UsageError as error:
        logger.warning("%s: %s", opt.SYSTEMD.long, printable(str(error)))
        return None
    if manager is None:
        logger.warning("%s", _NO_MANAGER)
        return None
    return Service(manager)
