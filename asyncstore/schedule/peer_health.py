"""What is known about the peer: how many associations it serves, what it refused, whether it answers, when to try it.

Rules:

1. The peer is asked for as many associations as :mod:`asyncstore.schedule.concurrency` says.
2. A refused association is no failure of the run while others go on: each reason is reported once. It is reported when
   another association is open, for until then it may be the failure of the run.
3. A peer that accepts associations and ends them before any response, several times in a row, does not work: its lanes
   end, also those that had nothing to send yet. An association that we aborted says nothing about the peer, nor does
   one that had nothing to send.
4. Where no lane is left, the peer is *down* (a circuit breaker). If the reason may pass, the run waits: it opens a
   single association for a trial, again and again with growing pauses, for as long as its patience lasts. The first
   response ends the outage, and there are as many associations as before it.
5. A peer that is down for a reason that does not pass, or for too long, is the failure of the run.

Pure: its owner opens, logs and stops, and gives the clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncstore.errors import AbortedHere
from asyncstore.model import PeerOutage
from asyncstore.named_tuple import NamedTuple
from asyncstore.schedule.concurrency import Concurrency
from asyncstore.schedule.jitter import between

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.errors import AssociationError
    from asyncstore.schedule.concurrency import Progress

_UNANSWERED_LIMIT = 3
"""Associations in a row that were accepted and ended before any response: the peer does not work."""
_FIRST_PAUSE = 0.5
"""Seconds before the first trial: a service that restarts is back after one or two."""
_MOST_PAUSE = 15.0
"""Seconds between two trials at most: few enough for a peer's log, and the run goes on soon after the peer is back."""


class Patience(NamedTuple):
    """How long a run waits for a peer that is down, in seconds; ``math.inf``: for ever."""

    at_first: float = 0.0
    """Before anything was answered. storescu does not wait either."""
    later: float = 60.0


PATIENCE = Patience()


class PeerHealth:
    """What one run knows about its peer.

    Args:
        fixed: how many associations to have; ``None``: as many as help.
        clock: the time in seconds, from any start.
        patience: how long to wait for a peer that is down.
        jitter: a random number between two others.

    Attributes:
        failure: why no association is open or will be; ``None``: one is, or may be.
        silence: why the last of several associations in a row brought no response; ``None``: there was a response.
        outages: how often the peer was down.
    """

    def __init__(
        self,
        fixed: int | None,
        clock: Callable[[], float],
        patience: Patience = PATIENCE,
        jitter: Callable[[float, float], float] = between,
    ) -> None:
        self.failure: AssociationError | None = None
        self.silence: AssociationError | None = None
        self.outages = 0
        self._concurrency = Concurrency(fixed)
        self._clock = clock
        self._patience = patience
        self._jitter = jitter
        self._looked = clock()
        self._unanswered = 0
        self._has_answered = False
        self._down: AssociationError | None = None
        """Why the peer is down."""
        self._deadline = math.inf
        """When the patience ends."""
        self._pause = _FIRST_PAUSE
        """The longest pause before the next trial."""
        self.next_trial: float | None = None
        """When to try a peer that is down; ``None``: it is not down, or a trial is under way."""
        self._usual: int | None = None
        """How many associations there were before the refusals that no association has followed."""
        self._reported: set[str] = set()
        """Refusals that were reported: once is enough, even if lanes try again and again."""
        self._unreported: set[str] = set()
        """Refusals that came while no other association was open."""

    @property
    def associations(self) -> int:
        """How many associations to have now."""
        if self._down is None:
            return self._concurrency.target
        return 0 if self.next_trial is not None and self._clock() < self.next_trial else 1

    @property
    def is_on_trial(self) -> bool:
        """Whether the peer was down and has not answered since."""
        return self._down is not None

    def outage(self) -> PeerOutage | None:
        """The outage as it is now; ``None``: the peer is not down."""
        if self._down is None:
            return None
        now = self._clock()
        trial = now if self.next_trial is None else self.next_trial
        return PeerOutage(
            self.outages,
            self._down.problem,
            max(trial - now, 0.0),
            None if math.isinf(self._deadline) else max(self._deadline - min(now, trial), 0.0),
        )

    def accepted(self) -> list[str]:
        """An association is open; the refusals to report now."""
        if self._down is None:
            self._usual = None
        news = sorted(self._unreported - self._reported)
        self._reported |= self._unreported
        self._unreported.clear()
        return news

    def refused(self, error: AssociationError, *, lanes: int, is_any_open: bool) -> list[str]:
        """A lane ends for ``error``; the refusals to report now.

        Args:
            error: why it has no association, or why it gets none any more.
            lanes: how many other lanes there are: they are to be enough for a while.
            is_any_open: whether one of those has an association.
        """
        if self._usual is None:
            self._usual = self._concurrency.target
        self._concurrency.refused(lanes, self._clock())
        if not lanes:
            self._unreported.clear()
            self._went_down(error)
            return []
        self._unreported.add(str(error))
        return self.accepted() if is_any_open else []

    def _went_down(self, error: AssociationError) -> None:
        """No lane is left: wait, or give up."""
        now = self._clock()
        if self._down is None:
            self.outages += 1
            self._pause = _FIRST_PAUSE
            self._deadline = now + (self._patience.later if self._has_answered else self._patience.at_first)
        self._down = error
        if now >= self._deadline or not error.is_transient:
            self.failure, self.next_trial = error, None
            return
        self.next_trial = min(now + self._jitter(self._pause / 2, self._pause), self._deadline)
        self._pause = min(self._pause * 2, _MOST_PAUSE)
        self.silence = None
        self._unanswered = min(self._unanswered, _UNANSWERED_LIMIT - 1)  # one more that is mute ends the trial

    def begins_trial(self) -> None:
        """A lane opens an association to a peer that is down.

        A trial that comes late had to wait for something else, as for the end of a pause: that takes no patience.
        """
        if self.next_trial is not None:
            self._deadline += max(self._clock() - self.next_trial, 0.0)
            self.next_trial = None

    def answered(self) -> None:
        """The peer answered a store after an outage: it works again."""
        self._has_answered = True
        self._down, self.next_trial, self._deadline = None, None, math.inf
        self._unanswered, self.silence = 0, None
        if self._usual is not None:
            self._concurrency.restored(self._usual, self._clock())
            self._usual = None

    def ended(self, error: AssociationError | None, *, is_answered: bool, is_unanswered: bool) -> bool:
        """Note the end of an association; whether the peer does not work.

        Args:
            error: why it ended; ``None``: it was released.
            is_answered: whether it brought a response.
            is_unanswered: whether it was used, or about to be, and brought none.
        """
        if is_answered:
            self._unanswered, self.silence, self._has_answered = 0, None, True
        elif error is not None and not isinstance(error, AbortedHere):
            self._unanswered += is_unanswered
            if self._unanswered >= _UNANSWERED_LIMIT:
                self.silence = error
                return True
        return False

    def set_associations(self, fixed: int | None) -> None:
        """Have this many associations from now on; ``None``: as many as help."""
        self._concurrency = Concurrency(fixed)
        self._usual = None

    @property
    def seconds_to_look(self) -> float:
        """Seconds until the next look."""
        return max(self._looked + self._concurrency.interval - self._clock(), 0.0)

    def look(self, seen: Progress) -> None:
        """Choose how many associations to have, by what the run has done; ``seen`` has the time of the same clock."""
        self._looked = seen.now
        self._concurrency.look(seen)
