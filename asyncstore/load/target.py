"""The peer of a measurement: what it accepts, what it is, and how associations with it are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import UsageError
from asyncstore.load.results.document import Peer
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.timed import open_timed_association
from asyncstore.protocol.associate import MOST_CONTEXTS, ProposedContext
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.load.values import Kind
    from asyncstore.network.opening import AssociationOptions
    from asyncstore.network.timed import OnStored, TimedAssociation


class Target(NamedTuple):
    """Where associations are opened, and with which contexts.

    Called as the driver wants it: it opens an association.
    """

    host: str
    port: int
    options: AssociationOptions
    contexts: tuple[ProposedContext, ...]

    async def __call__(self, number: int, on_stored: OnStored, on_end: Callable[[], None]) -> TimedAssociation:
        """Open an association.

        Raises:
            AssociationError: it cannot be opened.
        """
        return await open_timed_association(
            self.host, self.port, self.contexts, self.options, number=number, on_stored=on_stored, on_end=on_end
        )


class Probed(NamedTuple):
    """What the peer answered to the first association."""

    peer: Peer
    accepted: frozenset[tuple[str, str]]
    """The pairs of SOP class and transfer syntax that it takes."""
    refusals: dict[tuple[str, str], str]
    """Its answers to the others, in words."""


def contexts_of(kinds: Sequence[Kind]) -> tuple[ProposedContext, ...]:
    """A presentation context for each pair of SOP class and transfer syntax.

    Raises:
        UsageError: there are more than an association can have.
    """
    pairs = dict.fromkeys((kind.sop_class_uid, kind.transfer_syntax_uid) for kind in kinds)
    if len(pairs) > MOST_CONTEXTS:
        raise UsageError(
            f"the files have {len(pairs)} pairs of SOP class and transfer syntax, and an association carries "
            f"{MOST_CONTEXTS}: measure with fewer files"
        )
    return tuple(
        ProposedContext(2 * number + 1, sop_class, (transfer_syntax,))
        for number, (sop_class, transfer_syntax) in enumerate(pairs)
    )


async def probe(target: Target) -> Probed:
    """Open an association and release it, to learn what the peer is and what it accepts.

    Raises:
        AssociationError: the peer cannot be reached, or refuses.
    """
    association = await target(0, lambda *_: None, lambda: None)  # the release says if it ends early
    try:
        terms = association.terms
        accept = terms.accept
        accepted = frozenset(terms.accepted)
        refusals = {pair: answer for pair, answer in terms.results.items() if pair not in accepted}
        peer = Peer(
            host=target.host,
            port=target.port,
            called_ae_title=target.options.called_ae_title,
            implementation_class_uid=None if accept is None else accept.implementation_class_uid or None,
            implementation_version_name=None if accept is None else accept.implementation_version_name or None,
            maximum_length=None if accept is None else accept.maximum_length,
            window=terms.window,
        )
        await association.release()
    finally:
        await finished(association.close())
    return Probed(peer, accepted, refusals)
