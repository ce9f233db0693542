"""How large compressed data sets become when they are decompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN, Instance
from asyncstore.prepare.messages import Order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from asyncstore.surveying import Probed

    Measure = Callable[[list[Order]], Awaitable[list[int | None]]]


async def decompressed_sizes(batch: Iterable[Probed], decodable: Collection[str], measure: Measure) -> dict[int, int]:
    """The bytes of decompressed data sets, by ordinal, for instances in these transfer syntaxes.

    A data set that cannot be measured keeps its size.

    Args:
        batch: what a survey found.
        decodable: the transfer syntaxes that can be decompressed.
        measure: :meth:`asyncstore.prepare.pool.Pool.measure`.

    Raises:
        PrepareError: worker processes cannot be run.
    """
    if not decodable:
        return {}
    compressed = [one for one in batch if isinstance(one, Instance) and one.identity.transfer_syntax_uid in decodable]
    if not compressed:
        return {}
    sizes = await measure([Order(one, EXPLICIT_VR_LITTLE_ENDIAN, one.sop_instance_uid) for one in compressed])
    return {one.ordinal: size or one.payload.length for one, size in zip(compressed, sizes, strict=True)}
