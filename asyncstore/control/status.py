"""The state of a run as an object for programs. It holds no name of a file, study or patient.

Rules: numbers are plain; times are in seconds; ``null`` is unknown or not so.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.model import LaneState
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import printable
from asyncstore.observe.limits import limits

if TYPE_CHECKING:
    from asyncstore.model import Lane, PeerOutage, Progress
    from asyncstore.observe.rates import Rates
    from asyncstore.observe.tally import Tally


class Facts(NamedTuple):
    """The facts of a run that stay as they are.

    Attributes:
        program: its name and version.
        process: the number of its process.
        peer: ``host:port``.
        run: the number of the run in its journal; ``None``: it has none.
        associations: how many were asked for; ``None``: auto.
    """

    program: str
    process: int
    peer: str
    run: int | None = None
    associations: int | None = None


class Paused(NamedTuple):
    """Who paused a run, and how many seconds ago."""

    by: str
    seconds: float


def status_of(
    facts: Facts,
    tally: Tally,
    rates: Rates,
    progress: Progress,
    now: float,
    *,
    paused: Paused | None = None,
    is_stopping: bool = False,
) -> dict[str, object]:
    """The state of a run at ``now``, a time of the tally's clock."""
    outage = progress.outage
    state = "running"
    if is_stopping:
        state = "stopping"
    elif paused is not None:
        state = "paused"
    elif outage is not None:
        state = "waiting"
    left = rates.seconds_left
    return {
        "program": facts.program,
        "process": facts.process,
        "peer": facts.peer,
        "run": facts.run,
        "state": state,
        "seconds": round(tally.seconds(now), 3),
        "found": progress.found,
        "walking": progress.walking,
        **tally.by_result(),
        "bytes": tally.bytes,
        "retrying": progress.retrying,
        "retries": progress.retries,
        "instances_per_second": round(rates.rate.instances, 3),
        "bytes_per_second": round(rates.rate.bytes, 3),
        "fraction": round(rates.fraction, 6),
        "seconds_left": None if left is None else round(left, 3),
        "associations": facts.associations,
        "associations_opened": progress.associations_opened,
        "lanes": [_lane(lane) for lane in progress.lanes],
        "lane_states": dict(Counter(lane.state.value for lane in progress.lanes)),
        "paused": None if paused is None else {"by": paused.by, "seconds": round(paused.seconds, 3)},
        "outages": progress.outages,
        "waiting": None if outage is None else _waiting(outage),
        "limits": limits(progress.limit),
    }


def _lane(lane: Lane) -> dict[str, object]:
    """One lane, without the path of its file."""
    is_busy = lane.state is LaneState.SENDING and lane.path is not None
    return {
        "number": lane.number,
        "state": lane.state.value,
        "association": lane.association or None,
        "stored": lane.stored,
        "bytes": lane.bytes if is_busy else None,
        "seconds": round(lane.seconds, 3) if is_busy else None,
    }


def _waiting(outage: PeerOutage) -> dict[str, object]:
    """Why a run waits for its peer, when it tries again, and when it gives up."""
    left = outage.seconds_left
    return {
        "reason": printable(outage.reason),
        "next_trial": round(outage.next_trial, 3),
        "seconds_left": None if left is None else round(left, 3),
    }
