"""Data sets as an association takes them, ordered from the worker processes.

Rules:

1. What can go out as it lies in its file never comes here.
2. A converted instance remembers what was found (:attr:`~asyncstore.model.Instance.original`): outcomes speak of that.
3. Files that hold converted data sets are gone as soon as they have been read.
4. Nothing depends on the order of conversions: one that is done again makes the same.
5. Most runs convert nothing: what only a conversion needs is imported with the first one.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import NoTemporaryFolder
from asyncstore.model import Instance, Unsendable
from asyncstore.prepare.spool import drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from asyncstore.prepare.conversion import Order, Settings
    from asyncstore.prepare.invention import Invent, Inventor
    from asyncstore.prepare.pool import Pool


class ConversionOptions(NamedTuple):
    """What is to be different from the file, besides its transfer syntax where the peer wants another one.

    Attributes:
        invent: give each instance sent a new identity; ``None``: none.
        new_vrs: whether VRs younger than 1993 (UN, UT ...) may be sent; where not, they are sent as OB.
        deflate_level: how hard to deflate where that is to be done: 0 not at all, 1 fast, 9 best.
        max_inflated: bytes that a deflated data set may have when it is inflated; a larger one is not converted.
    """

    invent: Invent | None = None
    new_vrs: bool = True
    deflate_level: int = 6
    max_inflated: int = 1 << 28


class Converter:
    """Converts for one run.

    Args:
        pool: the worker processes.
        options: what is to be different.
    """

    def __init__(self, pool: Pool, options: ConversionOptions) -> None:
        self._pool = pool
        self._options = options
        self._inventor: Inventor | None = None
        self._settings: Settings | None = None
        self.invents = options.invent is not None
        """Whether instances need their ordinals."""
        self.changes_everything = self.invents or not options.new_vrs
        """Whether even what has the right transfer syntax is not sent as it lies in its file."""

    @asynccontextmanager
    async def converted(
        self, instances: Iterable[Instance], transfer_syntax_uid: str
    ) -> AsyncIterator[list[Instance | Unsendable]]:
        """While it lasts: ``instances`` in ``transfer_syntax_uid``, in order.

        Raises:
            PrepareError: no worker process can be run.
        """
        settings = self._begin()
        orders = [self._order(instance, transfer_syntax_uid) for instance in instances]
        made = await self._pool.convert(orders, settings)
        try:
            yield [
                there._replace(original=order.instance)
                if isinstance(there, Instance)
                else there._replace(path=order.instance.path)
                for order, there in zip(orders, made, strict=True)
            ]
        finally:
            drop(made)

    def _begin(self) -> Settings:
        """What the first conversion needs."""
        if self._settings is None:
            if self._options.invent is not None:
                from asyncstore.prepare.invention import Inventor  # noqa: PLC0415 - rule 5

                self._inventor = Inventor(self._options.invent)
            self._settings = settings_of(self._options)
        return self._settings

    def _order(self, instance: Instance, transfer_syntax_uid: str) -> Order:
        from asyncstore.prepare.conversion import Order  # noqa: PLC0415 - rule 5

        if self._inventor is None:
            return Order(instance, transfer_syntax_uid, instance.sop_instance_uid)
        identity = self._inventor.identity(instance.ordinal)
        return Order(instance, transfer_syntax_uid, identity.sop_instance_uid, identity.values)


def settings_of(options: ConversionOptions) -> Settings:
    """How worker processes convert.

    Raises:
        PrepareError: there is no temporary folder.
    """
    from tempfile import gettempdir  # noqa: PLC0415 - rule 5

    from asyncstore.prepare.conversion import Settings  # noqa: PLC0415 - rule 5

    try:
        return Settings(gettempdir(), *options[1:])
    except OSError as error:
        raise NoTemporaryFolder(error.strerror or str(error)) from error
