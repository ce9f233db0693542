"""Retries: which instances are sent again, when, and which of them alone.

Rules:

1. A store is tried again if the peer answered one of the statuses that mean "not now" (by default A700 to A76F), or if
   its association ended before the response and may do better next time. Other failures are final.
2. The n-th retry waits for a random time up to 2ⁿ⁻¹ seconds (exponential backoff with full jitter), so that many
   instances do not come back at once.
3. An instance whose response was lost may be stored. If the peer then calls it a duplicate (0111), it is, unless the
   file has changed since: the peer may hold what it was before.
4. An instance that lost two associations is a *suspect*: its content may be the cause. From then on it is sent alone,
   so that no other store is lost with it.
5. A file that changed since the walk found it is probed again and sent, once.
6. An outcome counts all attempts. Without a response to the last attempt, an earlier one without response decides: the
   peer may hold the instance.

Pure: its owner sends, and gives the clock.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from asyncstore.errors import AbortedHere, AssociationError
from asyncstore.model import Instance, Result
from asyncstore.named_tuple import NamedTuple
from asyncstore.schedule.jitter import between

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.model import Outcome, Unsendable

_FIRST_DELAY = 1.0
"""Seconds that the first retry waits at most."""
_MOST_DELAY = 60.0
"""Seconds that any retry waits at most: receivers call a study complete after a silent minute."""
_MOST_DOUBLINGS = 10
"""More would only grow a number that the limit above cuts."""
_DUPLICATE = 0x0111
"""Duplicate SOP instance (PS3.7 C.5.6)."""
_SUSPICIOUS = 2
"""Lost associations that make an instance a suspect: one loss may have any cause."""

OUT_OF_RESOURCES = range(0xA700, 0xA770)
"""The standard calls A7xx "out of resources" (PS3.4 table B.2-1). Some archives use A770 and more for refusals that no
repetition changes (dcm4chee: A777, no patient ID)."""


class RetryOptions(NamedTuple):
    """When to try a store again."""

    retries: int = 3
    """How often, after the first attempt."""
    statuses: tuple[range, ...] = (OUT_OF_RESOURCES,)
    """The statuses after which it may help. Lost associations are always among the reasons."""


RETRIES = RetryOptions()
NO_RETRIES = RetryOptions(0)


class _Tried:
    """The attempts of one instance so far."""

    __slots__ = ("attempts", "has_changed", "last", "losses", "unanswered")

    def __init__(self, last: Outcome) -> None:
        self.attempts = 0
        self.losses = 0
        """Associations that ended while it was under way, and not by our own doing."""
        self.last = last
        self.unanswered: Outcome | None = None
        """The last attempt without a response."""
        self.has_changed = False
        """Whether the file changed after an attempt without a response, or during one."""


class Retries:
    """The instances that were tried in vain and are tried again.

    Args:
        options: when to try again.
        clock: the time in seconds, from any start.
        jitter: a random number between two others.

    Attributes:
        tried: the attempts of instances that were tried in vain and have no outcome yet, by ordinal. While it is empty,
            outcomes are final as they are.
        repeated: how many attempts beyond the first of their instances have ended in this run.
    """

    def __init__(
        self,
        options: RetryOptions,
        clock: Callable[[], float],
        jitter: Callable[[float, float], float] = between,
    ) -> None:
        self.repeated = 0
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self.tried: dict[int, _Tried] = {}
        self._waiting: list[tuple[float, int, Instance]] = []
        """A heap: when it is due, the ordinal, the instance as it was found."""
        self._probed_again: set[int] = set()

    def __len__(self) -> int:
        """How many instances wait for their time."""
        return len(self._waiting)

    @property
    def next_due(self) -> float | None:
        """When the next instance is due; ``None``: none waits."""
        return self._waiting[0][0] if self._waiting else None

    def again(self, instance: Instance, outcome: Outcome, error: AssociationError | Unsendable | None) -> bool:
        """Note an attempt that came to ``outcome``; whether the instance now waits for the next one.

        Args:
            instance: as it was found.
            outcome: of this attempt alone; no success.
            error: why there was no response.
        """
        ordinal = outcome.file.ordinal
        tried = self.tried.get(ordinal)
        if not self._may_help(outcome, error) or (tried.attempts if tried else 0) >= self._options.retries:
            return False
        tried = self._add(outcome)
        if outcome.result is Result.UNKNOWN:
            tried.unanswered = outcome
            tried.losses += not isinstance(error, AbortedHere)
        longest = min(_FIRST_DELAY * 2.0 ** min(tried.attempts - 1, _MOST_DOUBLINGS), _MOST_DELAY)
        heappush(self._waiting, (self._clock() + self._jitter(0.0, longest), ordinal, instance))
        return True

    def probes_again(self, problem: Unsendable, ended: Outcome | None = None) -> bool:
        """Whether to probe the file anew that cannot be sent for ``problem``, and to send what it is now.

        Args:
            problem: why it cannot be sent.
            ended: the outcome of the attempt, if its store had begun.
        """
        ordinal = problem.file.ordinal
        if not (problem.has_changed and self._options.retries) or ordinal in self._probed_again:
            return False
        self._probed_again.add(ordinal)
        tried = self.tried.get(ordinal) if ended is None else self._add(ended)
        if tried is not None:
            tried.has_changed = ended is not None or tried.unanswered is not None
        return True

    def _add(self, outcome: Outcome) -> _Tried:
        """Note an attempt that another one is to follow."""
        tried = self.tried.setdefault(outcome.file.ordinal, _Tried(outcome))
        self.repeated += tried.attempts > 0
        tried.attempts += 1
        tried.last = outcome
        return tried

    def _may_help(self, outcome: Outcome, error: AssociationError | Unsendable | None) -> bool:
        if outcome.result is Result.FAILED:
            return any(outcome.status in statuses for statuses in self._options.statuses)
        return outcome.result is Result.UNKNOWN and isinstance(error, AssociationError) and error.is_transient

    def due(self) -> list[Instance]:
        """The instances whose time has come; they no longer wait."""
        now, due = self._clock(), []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(heappop(self._waiting)[2])
        return due

    def withdraw(self) -> list[Instance]:
        """Take back all instances that wait."""
        waiting, self._waiting = self._waiting, []
        return [instance for _, _, instance in waiting]

    def apart(self, instances: list[Instance]) -> tuple[list[Instance], list[Instance]]:
        """Divide into those to send as usual, and the suspects."""
        suspects = [one for one in instances if self.is_suspect(one)] if self.tried else []
        return ([one for one in instances if not self.is_suspect(one)], suspects) if suspects else (instances, [])

    def is_suspect(self, instance: Instance) -> bool:
        """Whether the instance may end the association that carries it."""
        tried = self.tried.get(instance.file.ordinal)
        return tried is not None and tried.losses >= _SUSPICIOUS

    def final(self, outcome: Outcome) -> Outcome:
        """The outcome of a file, with all its attempts. They are forgotten."""
        tried = self.tried.pop(outcome.file.ordinal, None)
        if tried is None:
            return outcome
        self.repeated += outcome.attempts
        attempts = tried.attempts + outcome.attempts
        if outcome.status == _DUPLICATE and tried.unanswered is not None and not tried.has_changed:
            return outcome._replace(result=Result.STORED, reason=None, attempts=attempts)
        last = tried.unanswered or tried.last
        if outcome.status is not None or outcome.result is Result.UNKNOWN or last.result is Result.NOT_SENT:
            return outcome._replace(attempts=attempts)
        # A refusal that a retry might change is no result yet: another run tries again.
        is_withdrawn = outcome.is_withdrawn and last.result is Result.FAILED
        reason = last.reason if outcome.is_withdrawn else f"{last.reason}; no further attempt: {outcome.reason}"
        return last._replace(reason=reason, attempts=attempts, is_withdrawn=is_withdrawn)
