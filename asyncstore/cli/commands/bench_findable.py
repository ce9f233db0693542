"""``bench --findable``: offers stored instances to the process that searches for them, and counts what it found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.load.findable import Finder
from asyncstore.load.results import document
from asyncstore.load.results.histogram import Histogram
from asyncstore.model import Result
from asyncstore.protocol.status import result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.target import Target
    from asyncstore.model import Instance
    from asyncstore.network.timed import OnStored, TimedAssociation
    from asyncstore.network.tls import TlsOptions
    from asyncstore.protocol.associate import UserIdentity

_SOONER = 0.999
"""Of the interval between two samples: the finder decides, and must be asked in time."""


class Searching:
    """Opens associations like its target, and offers what is stored over them to a finder.

    Args:
        target: opens the associations.
        finder: searches.
        per_second: how many instances a second it searches for.
    """

    def __init__(self, target: Target, finder: Finder, per_second: int) -> None:
        self._target = target
        self._finder = finder
        self._interval = _SOONER / per_second
        self._due = 0.0

    async def __call__(self, number: int, on_stored: OnStored, on_end: Callable[[], None]) -> TimedAssociation:
        """Open an association.

        Raises:
            AssociationError: it cannot be opened.
        """

        def stored(instance: Instance, begun: float, sent: float, ended: float, status: int | None) -> None:
            on_stored(instance, begun, sent, ended, status)
            if ended >= self._due and status is not None:
                self._offer(instance, ended, status)

        return await self._target(number, stored, on_end)

    def _offer(self, instance: Instance, ended: float, status: int) -> None:
        head = None if instance.details is None else instance.details.head
        if head is not None and result_of(status) is not Result.FAILED:
            self._due = ended + self._interval
            self._finder.offer(
                head.study_instance_uid, head.series_instance_uid, instance.identity.sop_instance_uid, ended
            )


def finder_of(parsed: Parsed, identity: UserIdentity | None, tls: TlsOptions | None) -> Finder | None:
    """The finder that is asked for; ``None``: none is.

    Args:
        parsed: the options.
        identity: user identity with its proof.
        tls: how to use TLS, with the private key's password.
    """
    per_second = parsed[bench.FINDABLE]
    if per_second is None:
        return None
    return Finder(
        parsed[opt.PEER],
        parsed[opt.PORT],
        calling_ae_title=parsed[opt.CALLING_AE_TITLE],
        called_ae_title=parsed[opt.CALLED_AE_TITLE],
        per_second=per_second,
        identity=identity,
        tls=tls,
    )


async def finish(finder: Finder, ended: asyncio.Event) -> None:
    """Wait until the finder has found all, or has given up, or ``ended`` is set."""
    waits = {asyncio.create_task(finder.finish()), asyncio.create_task(ended.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def found_by(finder: Finder | None) -> document.Findable | None:
    """What it found, for the document; ``None``: there was no finder."""
    if finder is None:
        return None
    found = finder.results()
    errors = dict(found.errors)
    if found.problem is not None:
        errors[found.problem] = errors.get(found.problem, 0) + 1
    if found.skipped:
        errors["not searched for, because searches took too long"] = found.skipped
    if found.late:
        errors["searched for late, because other searches took too long"] = found.late
    if found.pending:
        errors["not searched for to the end"] = found.pending
    return document.Findable(
        asked=len(found.seconds) + found.not_found + found.pending,
        found=len(found.seconds),
        not_found=found.not_found,
        latency=Histogram.of(found.seconds),
        errors=errors,
    )
