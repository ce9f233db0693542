"""Data sets as an association takes them, ordered from the worker processes.

Rules:

1. What can go out as it lies in its file never comes here.
2. A converted instance remembers what was found (:attr:`~asyncstore.model.Instance.original`): outcomes speak of that.
3. Files that hold converted data sets are removed as soon as they have been read, and their folder with the run.
4. Most runs convert nothing: what only a conversion needs is imported with the first one.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import PrepareError
from asyncstore.model import Instance, Unsendable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from tempfile import TemporaryDirectory

    from asyncstore.prepare.conversion import Order
    from asyncstore.prepare.invention import Invent, Inventor
    from asyncstore.prepare.pool import Pool


class ConversionOptions(NamedTuple):
    """What is to be different from the file, besides its transfer syntax where the peer wants another one.

    Attributes:
        invent: give each instance sent a new identity; ``None``: none.
        new_vrs: whether VRs younger than 1993 (UN, UT ...) may be sent; where not, they are sent as OB.
        deflate_level: how hard to deflate where that is to be done: 0 not at all, 1 fast, 9 best.
    """

    invent: Invent | None = None
    new_vrs: bool = True
    deflate_level: int = 6


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
        self._folder: TemporaryDirectory[str] | None = None
        self.changes_everything = options.invent is not None or not options.new_vrs
        """Whether even what has the right transfer syntax is not sent as it lies in its file."""

    @asynccontextmanager
    async def converted(
        self, instances: Iterable[Instance], transfer_syntax_uid: str
    ) -> AsyncIterator[list[Instance | Unsendable]]:
        """While it lasts: ``instances`` in ``transfer_syntax_uid``, in order.

        Raises:
            PrepareError: no worker process can be run.
        """
        folder = self._begin()
        orders = [self._order(instance, transfer_syntax_uid) for instance in instances]
        made = await self._pool.convert(orders, self._options.new_vrs, self._options.deflate_level, folder)
        try:
            yield [
                there._replace(original=order.instance) if isinstance(there, Instance) else there
                for order, there in zip(orders, made, strict=True)
            ]
        finally:
            for there in made:
                if isinstance(there, Instance) and there.data is None:
                    with suppress(OSError):  # its folder is removed in the end anyway
                        os.unlink(there.path)  # noqa: PTH108 - paths are str throughout

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            self._folder.cleanup()

    def _begin(self) -> str:
        """What the first conversion needs; the folder for large data sets."""
        if self._folder is None:
            from tempfile import TemporaryDirectory  # noqa: PLC0415 - rule 4

            try:
                self._folder = TemporaryDirectory(prefix="asyncstore-", ignore_cleanup_errors=True)
            except OSError as error:
                complaint = f"there is no temporary folder for converted data sets: {error.strerror or error}"
                refusal = PrepareError(complaint)
                refusal.hint = "Set TMPDIR to a folder that can be written to."
                raise refusal from error
            if self._options.invent is not None:
                from asyncstore.prepare.invention import Inventor  # noqa: PLC0415 - rule 4

                self._inventor = Inventor(self._options.invent)
        return self._folder.name

    def _order(self, instance: Instance, transfer_syntax_uid: str) -> Order:
        from asyncstore.prepare.conversion import Order  # noqa: PLC0415 - rule 4

        if self._inventor is None:
            return Order(instance, transfer_syntax_uid, instance.sop_instance_uid)
        identity = self._inventor.next()
        return Order(instance, transfer_syntax_uid, identity.sop_instance_uid, identity.values)
