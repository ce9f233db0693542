"""An association that measures each store: when it began, when the kernel took its last byte, when it ended.

Measurements need these times, and sending does not. So they are taken in a class of its own, and the fast path of
sending stays as it is.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from asyncstore.model import KEPT, Piece
from asyncstore.network.association import Association
from asyncstore.network.opening import open_association
from asyncstore.protocol.requests import MOST_OUTSTANDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncstore.errors import AssociationError
    from asyncstore.model import Instance, Unsendable
    from asyncstore.network.association import Reports, Terms
    from asyncstore.network.link import Link
    from asyncstore.network.opening import AssociationOptions
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.protocol.requests import Exchange
    from asyncstore.protocol.upper_layer import UpperLayer

_clock = time.monotonic


class OnStored(Protocol):
    """Takes every store that has begun, once, when it has ended."""

    def __call__(self, instance: Instance, begun: float, sent: float, ended: float, status: int | None, /) -> None:
        """A store has ended.

        Args:
            instance: the instance, as it was submitted.
            begun: when its first byte was handed to the network (:func:`time.monotonic`).
            sent: when the kernel had taken its last byte; if it never did: ``ended``.
            ended: when the response came, or the association ended.
            status: the C-STORE-RSP's status; ``None``: there was no response.
        """


def _in_one_piece(instance: Instance) -> Piece:
    return Piece(instance, memoryview(instance.payload.data or b""), True, True, KEPT)


class TimedAssociation(Association):
    """An established association that reports the times of each store. Instances submitted whole are in memory.

    Args:
        link: the connection.
        upper: the upper layer, after the A-ASSOCIATE-AC.
        peer: host and port, for errors.
        terms: the result of the negotiation.
        reports: its number and the callback for its end.
        on_stored: called for each store that has begun, when its response comes or the association ends.
    """

    def __init__(
        self, link: Link, upper: UpperLayer, peer: str, terms: Terms, reports: Reports, on_stored: OnStored
    ) -> None:
        super().__init__(link, upper, peer, terms, reports)
        self.terms = terms
        """The result of the negotiation."""
        self.window = terms.window or MOST_OUTSTANDING
        """Stores that may be outstanding."""
        self._on_stored = on_stored
        self._sent_at: dict[int, float] = {}
        """When the kernel had taken the last byte of an outstanding store, by message id."""

    @property
    def is_blocked(self) -> bool:
        """Whether another store would wait, because the kernel takes no more bytes now."""
        return self._link.is_blocked

    def _pump(self) -> None:
        super()._pump()
        if self._is_stuck:
            self._is_stuck = False
            self.submit([_in_one_piece(instance) for instance in self._requests.take_back()])
        elif not self._link.is_blocked:
            for exchange in self._requests.newest_first():
                if exchange.message_id in self._sent_at:
                    break  # and so are all older ones
                if exchange.is_sent and exchange.instance is not None:
                    self._sent_at[exchange.message_id] = _clock()

    def _report(self, exchange: Exchange, error: AssociationError | Unsendable | None = None) -> None:
        if exchange.instance is not None:
            ended = _clock()
            sent = self._sent_at.pop(exchange.message_id, ended)
            status = exchange.status if error is None else None
            self._on_stored(exchange.instance, exchange.started, sent, ended, status)


async def open_timed_association(
    host: str,
    port: int,
    contexts: Iterable[ProposedContext],
    options: AssociationOptions,
    *,
    number: int,
    on_stored: OnStored,
    on_end: Callable[[], None],
) -> TimedAssociation:
    """Connect and negotiate, as :func:`asyncstore.network.opening.open_association` does with the same arguments.

    ``on_stored`` is called for each store that has begun, when its response comes or the association ends.

    Raises:
        AssociationError: as there.
    """
    make = partial(TimedAssociation, on_stored=on_stored)
    made = await open_association(host, port, contexts, options, number=number, on_end=on_end, make=make)
    return cast("TimedAssociation", made)
