"""``bench --findable``: offers stored instances to the process that searches for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import rows as opt
from asyncstore.load.findable import Finder
from asyncstore.model import Result
from asyncstore.protocol.status import result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.driving.lane import OpenAssociation
    from asyncstore.model import Instance
    from asyncstore.network.timed import OnStored, TimedAssociation
    from asyncstore.network.tls import TlsOptions
    from asyncstore.protocol.associate import UserIdentity


def searching(target: OpenAssociation, finder: Finder, is_counted: Callable[[], bool]) -> OpenAssociation:
    """Opens associations like this target, and offers what is stored over them to a finder.

    Args:
        target: opens the associations.
        finder: searches.
        is_counted: whether what is stored now counts; instances of a warm-up are not searched for.
    """

    async def opened(number: int, on_stored: OnStored, on_end: Callable[[], None]) -> TimedAssociation:
        def stored(instance: Instance, begun: float, sent: float, ended: float, status: int | None) -> None:
            on_stored(instance, begun, sent, ended, status)
            if ended < finder.next or status is None or not is_counted():
                return
            if instance.details is not None and result_of(status) is not Result.FAILED:
                head = instance.details.head
                sop_instance_uid = instance.identity.sop_instance_uid
                finder.offer(head.study_instance_uid, head.series_instance_uid, sop_instance_uid, ended)

        return await target(number, stored, on_end)

    return opened


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
