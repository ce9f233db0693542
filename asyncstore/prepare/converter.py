"""Order edits and conversions from the worker processes.

Rules:

1. Instances that are sent unchanged do not come here. Instances are edited once, before they wait to be sent; retries
   use the same result.
2. A converted instance refers to the original (:attr:`~asyncstore.model.Instance.original`), which outcomes name.
3. Files with converted data sets vanish as soon as they have been read.
4. The order of conversions does not matter: a repeated conversion has the same result.
5. Most runs convert nothing, so the first conversion imports the modules that only conversions need.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from asyncstore.errors import NoTemporaryFolder
from asyncstore.model import Instance, Oddity, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation import NO_TRANSCODING, Transcode, Transcoding
from asyncstore.prepare.messages import Order, edited_later
from asyncstore.prepare.spool import drop, needs_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from asyncstore.prepare.conversion import Settings
    from asyncstore.prepare.edit_orders import EditOrders, IsTaken
    from asyncstore.prepare.edits import EditOptions
    from asyncstore.prepare.invention import Invent
    from asyncstore.prepare.pool import Pool


_MOST_HELD = 1 << 28
"""While more bytes of converted data sets lie in files, no other conversion begins: decompressed images are large."""
_MENDED_AS_A_WHOLE = int(Oddity.ITEMS_ENDED | Oddity.UIDS_ADDED)


class ConversionOptions(NamedTuple):
    """Changes to data sets, besides the transfer syntax.

    Attributes:
        invent: give each instance a new identity; ``None``: keep it.
        new_vrs: whether VRs younger than 1993 (UN, UT ...) may be sent; otherwise they become OB.
        deflate_level: the level of deflated results: 0 none, 1 fast, 9 best.
        max_inflated: the greatest size of an inflated data set, and of a decoded frame, in bytes; larger ones are not
            converted.
        transcode: which pixel data may be decoded and encoded, where the peer does not take it as it is.
        edit: other edits; ``None``: none.
        repair: whether files are mended that cannot be sent otherwise (:mod:`asyncstore.prepare.repair`).
    """

    invent: Invent | None = None
    new_vrs: bool = True
    deflate_level: int = 6
    max_inflated: int = 1 << 28
    transcode: Transcode = Transcode.LOSSLESS
    edit: EditOptions | None = None
    repair: bool = False


class Converter:
    """Converts the data sets of one run.

    Args:
        pool: the worker processes.
        options: the changes to make.
        seed: of invented identities and of the time of edits; ``None``: this run has its own.
        may_lose: whether pixel data may be encoded with losses: the proposal names such a transfer syntax, and the user
            allows it.
        is_taken: see :class:`asyncstore.prepare.edit_orders.EditOrders`.
    """

    def __init__(
        self,
        pool: Pool,
        options: ConversionOptions,
        seed: str | None = None,
        *,
        may_lose: bool = False,
        is_taken: IsTaken | None = None,
    ) -> None:
        self._is_taken = is_taken
        self._may_lose = may_lose
        self._pool = pool
        self._options = options
        self._seed = seed
        self._orders: EditOrders | None = None
        self._settings: Settings | None = None
        self._held = 0
        """Bytes of converted data sets that lie in files and have not been read."""
        self._freed = asyncio.Event()
        self.edits = options.invent is not None or options.edit is not None
        """Whether instances must be edited (:meth:`edited`) before anything else is done with them."""
        self.changes_everything = not options.new_vrs
        """Whether every data set is rewritten, even if its transfer syntax fits."""

    def pass_over(self, ordinal: int) -> None:
        """Note that this file is no instance: the next instance gets the identity that it would have had.

        Call it in the order of ordinals, before any later instance is edited. So an identity depends on the ordinal
        alone, and every series has exactly as many instances as were asked for.
        """
        self._edit_orders().pass_over(ordinal)

    async def edited(self, instances: Iterable[Instance]) -> list[Instance | Unsendable]:
        """Give each instance its new identity and, if only the head of its data set changes, its new head.

        The others are edited when they are converted (:attr:`~asyncstore.model.Oddity.EDITED_LATER`).

        Raises:
            PrepareError: worker processes cannot be run.
        """
        settings = self._begin()
        edits = self._edit_orders()
        orders = [edits.order(instance) or instance for instance in instances]
        heads = [order for order in orders if isinstance(order, Order) and self._may_splice(order.instance)]
        made = await self._pool.edit(heads, settings) if heads else []
        if len(heads) == len(orders):
            return made
        others = iter(made)
        return [
            order
            if not isinstance(order, Order)
            else next(others)
            if self._may_splice(order.instance)
            else edited_later(order)
            for order in orders
        ]

    @asynccontextmanager
    async def converted(
        self, instances: Iterable[Instance], transfer_syntax_uid: str
    ) -> AsyncIterator[list[Instance | Unsendable]]:
        """Convert ``instances`` to ``transfer_syntax_uid``, in order. The results hold until the context ends.

        Raises:
            PrepareError: worker processes cannot be run.
        """
        settings = self._begin()
        orders = [self._order(instance, transfer_syntax_uid) for instance in instances]
        while self._held > _MOST_HELD:
            self._freed.clear()
            await self._freed.wait()
        made = await self._pool.convert(orders, settings)
        in_files = [one.payload for one in made if isinstance(one, Instance) and one.payload.data is None]
        held = sum(payload.length for payload in in_files)
        self._held += held
        try:
            yield made
        finally:
            drop(payload.container for payload in in_files)
            self._held -= held
            self._freed.set()

    def _begin(self) -> Settings:
        """Prepare the first conversion."""
        if self._settings is None:
            self._settings = settings_of(self._options, may_lose=self._may_lose)
            if needs_names():
                self._settings = self._settings._replace(folder=self._own_folder())
        return self._settings

    def _own_folder(self) -> str:
        """A folder that is removed with this converter, or by the next run if this one is killed.

        Raises:
            PrepareError: it cannot be made.
        """
        from weakref import finalize  # rule 5

        from asyncstore.temporary import temporary_folder  # rule 5

        stack = ExitStack()
        try:
            folder = stack.enter_context(temporary_folder("asyncstore-spool-"))
        except OSError as error:
            raise NoTemporaryFolder(error.strerror or str(error)) from error
        finalize(self, stack.close)
        return str(folder)

    def _edit_orders(self) -> EditOrders:
        if self._orders is None:
            from asyncstore.prepare.edit_orders import EditOrders  # rule 5
            from asyncstore.prepare.invention import new_seed  # rule 5

            options, seed = self._options, self._seed or new_seed()
            self._orders = EditOrders(options.invent, options.edit, seed, self._is_taken)
        return self._orders

    def _order(self, instance: Instance, transfer_syntax_uid: str) -> Order:
        order = Order(instance, transfer_syntax_uid, instance.sop_instance_uid)
        if instance.oddities & _MENDED_AS_A_WHOLE:
            sop_class_uid, sop_instance_uid, _ = instance.in_file or instance.identity
            order = order._replace(repairs=(instance.oddities, sop_class_uid, sop_instance_uid))
        if not instance.oddities & Oddity.EDITED_LATER or instance.in_file is None:
            return order
        edit = self._edit_orders().order(instance._replace(identity=instance.in_file), in_full=True)
        return order._replace(edits=edit.edits, record=edit.record) if isinstance(edit, Order) else order

    def _may_splice(self, instance: Instance) -> bool:
        """Whether only the head of the data set may change."""
        from asyncstore.prepare.elements import DEFLATED  # rule 5

        flags = Oddity.ODD_VALUES | _MENDED_AS_A_WHOLE
        is_whole = not instance.oddities & flags and instance.identity.transfer_syntax_uid not in DEFLATED
        return is_whole and self._options.new_vrs


def transcoding_of(options: ConversionOptions) -> Transcoding:
    """What may be transcoded with the codecs that are installed."""
    if options.transcode is Transcode.NEVER:
        return NO_TRANSCODING
    from asyncstore.prepare.pixels import syntaxes  # it looks for libraries

    decodable = syntaxes.decodable()
    lossy = syntaxes.encodable_with_losses() if options.transcode is Transcode.AUTO else ()
    return Transcoding(decodable, syntaxes.encodable(), syntaxes.KNOWN - decodable, lossy)


def settings_of(options: ConversionOptions, *, may_lose: bool = False) -> Settings:
    """The settings for the worker processes.

    Raises:
        PrepareError: there is no temporary folder.
    """
    from tempfile import gettempdir  # rule 5

    from asyncstore.prepare.conversion import Settings  # rule 5

    try:
        return Settings(
            gettempdir(),
            options.new_vrs,
            options.deflate_level,
            options.max_inflated,
            options.transcode is not Transcode.NEVER,
            may_lose,
        )
    except OSError as error:
        raise NoTemporaryFolder(error.strerror or str(error)) from error
