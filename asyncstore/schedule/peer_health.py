"""What is known about the peer: how many associations it serves, what it refused, and whether it answers at all.

Rules:

1. The peer is asked for as many associations as :mod:`asyncstore.schedule.concurrency` says. It gets the rates from
   here.
2. A refused association is no failure of the run while others go on: each reason is reported once. It is reported when
   another association is open, for until then it may be the failure of the run.
3. Where no lane is left, the last refusal is the failure of the run.
4. A peer that accepts associations and ends them before any response, several times in a row, does not work: its lanes
   end, also those that had nothing to send yet. An association that we aborted says nothing about the peer, nor does
   one that had nothing to send.

Pure: its owner opens, logs and stops, and gives the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import AbortedHere
from asyncstore.schedule.concurrency import Concurrency

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.errors import AssociationError

_UNANSWERED_LIMIT = 3
"""Associations in a row that were accepted and ended before any response: the peer does not work."""


class PeerHealth:
    """What one run knows about its peer.

    Args:
        fixed: how many associations to have; ``None``: as many as help.
        clock: the time in seconds, from any start.

    Attributes:
        failure: why no association is open or will be; ``None``: one is, or may be.
        silence: why the last of several associations in a row brought no response; ``None``: there was a response.
    """

    def __init__(self, fixed: int | None, clock: Callable[[], float]) -> None:
        self.failure: AssociationError | None = None
        self.silence: AssociationError | None = None
        self._concurrency = Concurrency(fixed)
        self._clock = clock
        self._looked = clock()
        self._work = 0.0
        self._unanswered = 0
        self._reported: set[str] = set()
        """Refusals that were reported: once is enough, even if lanes try again and again."""
        self._unreported: set[str] = set()
        """Refusals that came while no other association was open."""

    @property
    def associations(self) -> int:
        """How many associations to have now."""
        return self._concurrency.target

    def accepted(self) -> list[str]:
        """An association is open; the refusals to report now."""
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
        self._concurrency.refused(lanes)
        self._unreported.add(str(error))
        if not lanes:
            self.failure = error
        return self.accepted() if is_any_open else []

    def ended(self, error: AssociationError | None, *, is_answered: bool, is_unanswered: bool) -> bool:
        """Note the end of an association; whether the peer does not work.

        Args:
            error: why it ended; ``None``: it was released.
            is_answered: whether it brought a response.
            is_unanswered: whether it was used, or about to be, and brought none.
        """
        if is_answered:
            self._unanswered, self.silence = 0, None
        elif error is not None and not isinstance(error, AbortedHere):
            self._unanswered += is_unanswered
            if self._unanswered >= _UNANSWERED_LIMIT:
                self.silence = error
                return True
        return False

    def begin_look(self, work: float) -> None:
        """Measure from now on, when the run has done ``work`` (any unit)."""
        self._looked, self._work = self._clock(), work

    def end_look(self, work: float, *, is_source_limited: bool) -> None:
        """The run has done ``work`` by now: choose how many associations to have.

        ``is_source_limited``: lanes were waiting for files, so more associations could not have helped.
        """
        rate = (work - self._work) / (self._clock() - self._looked)
        self._concurrency.observe(rate, is_source_limited=is_source_limited)
