"""How the lanes of a run work."""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation import Planned, Proposal
from asyncstore.schedule.gate import Affinity
from asyncstore.schedule.peer_health import Patience
from asyncstore.schedule.retry import NO_RETRIES, RetryOptions


class DispatchOptions(NamedTuple):
    """How the lanes work.

    Attributes:
        associations: how many; ``None``: as many as make the transfer faster.
        halt_on_failure: whether the first file that is not stored stops the run.
        abort_at_end: whether associations are aborted instead of released.
        proposal: which contexts are proposed, and which accepted context carries which pair.
        affinity: what is kept on one association.
        overlaps: whether several stores of one association may be outstanding.
        retry: which stores are tried again.
        patience: how long the run waits for a peer that is down.
    """

    associations: int | None = None
    halt_on_failure: bool = False
    abort_at_end: bool = False
    proposal: Proposal = Planned()
    affinity: Affinity = Affinity.NONE
    overlaps: bool = False
    retry: RetryOptions = NO_RETRIES
    patience: Patience = Patience(0.0, 0.0)
