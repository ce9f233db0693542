"""The outcomes of a run in numbers.

Rules:

1. Adding a stored instance costs 0.2 µs.
2. Memory stays flat: reasons are counted with an example of each, and their number is limited.
3. There is no clock here. Callers pass times, all of one monotonic clock.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from asyncstore.model import Outcome, Result
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.reasons import Reasons
from asyncstore.observe.repeats import Repeats
from asyncstore.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.observe.reasons import Group

_LAST_FAILURES = 5
"""As many fit under the lanes of a terminal of 24 rows."""

HELD = frozenset((Result.STORED, Result.WARNING))
"""The results of instances that the SCP holds."""


class Rate(NamedTuple):
    """Stored instances and their bytes per second."""

    instances: float
    bytes: float


class Tally:
    """The outcomes of a run, counted.

    Args:
        started: when the run began.
        counts_repeats: whether to look for repeated SOP instance UIDs; useless if each file is sent several times.

    Attributes:
        started: when the run began.
        bytes: data set bytes of the instances stored (with or without a warning).
        bytes_settled: data set bytes of all instances but the withdrawn.
        earlier: files that an earlier run stored.
        bytes_failed: data set bytes of the failed instances.
        bytes_in_vain: data set bytes of the instances that were sent and are not known to be stored.
        withdrawn: files that were not sent because the run stopped before their turn.
        repaired: files that were mended before they were sent.
        retries: attempts beyond the first of each instance.
        repeats: finds stored instances with repeated SOP instance UIDs; ``None``: nobody looks for them.
        last_failures: the latest outcomes that are failed, not sent or unknown, without the withdrawn.
    """

    def __init__(self, started: float, *, counts_repeats: bool = True) -> None:
        self.started = started
        self.bytes = 0
        self.bytes_settled = 0
        self.bytes_failed = 0
        self.bytes_in_vain = 0
        self.withdrawn = 0
        self.earlier = 0
        self.retries = 0
        self.repaired = 0
        self.repeats = Repeats() if counts_repeats else None
        self.last_failures: deque[Outcome] = deque(maxlen=_LAST_FAILURES)
        self._counts = dict.fromkeys(Result, 0)
        self._statuses: Counter[tuple[Result, int]] = Counter()
        self._reasons: dict[Result, Reasons] = {}
        self._attempted = False

    def add(self, batch: Sequence[Outcome]) -> None:
        """Count some outcomes."""
        stored_result = Result.STORED
        stored = size = 0
        for outcome in batch:
            if outcome.result is stored_result:
                stored += 1
                size += outcome.bytes
                if outcome.repairs:
                    self.repaired += 1
                if outcome.attempts > 1:
                    self.retries += outcome.attempts - 1
            else:
                self._add_other(outcome)
        self._counts[stored_result] += stored
        self.bytes += size
        self.bytes_settled += size
        if self.repeats is not None:
            held = batch if stored == len(batch) else [outcome for outcome in batch if outcome.result in HELD]
            self.repeats.add([outcome.attempt.sop_instance_uid if outcome.attempt else None for outcome in held], held)

    def take_back_failed(self) -> int:
        """Forget the failed files: each of them ends anew. Returns how many there were."""
        failed = self._counts[Result.FAILED]
        self._counts[Result.FAILED] = 0
        self._statuses = Counter({cause: n for cause, n in self._statuses.items() if cause[0] is not Result.FAILED})
        self._reasons.pop(Result.FAILED, None)
        kept = [outcome for outcome in self.last_failures if outcome.result is not Result.FAILED]
        self.last_failures = deque(kept, maxlen=_LAST_FAILURES)
        self.bytes_settled -= self.bytes_failed
        self.bytes_failed = 0
        return failed

    def _add_other(self, outcome: Outcome) -> None:
        result = outcome.result
        self._counts[result] += 1
        self._count_cause(outcome)
        if outcome.attempts:
            self._attempted = True
            self.retries += outcome.attempts - 1
        if outcome.is_withdrawn:
            self.withdrawn += 1
            return
        self.bytes_settled += outcome.bytes
        if result is Result.WARNING:
            self.bytes += outcome.bytes
            self.repaired += bool(outcome.repairs)
        elif result is Result.SKIPPED:
            self.earlier += outcome.is_earlier
        else:
            self.last_failures.append(outcome)
            if result is Result.FAILED:
                self.bytes_failed += outcome.bytes
            if outcome.attempts:
                self.bytes_in_vain += outcome.bytes

    def _count_cause(self, outcome: Outcome) -> None:
        if outcome.result is Result.SKIPPED:
            return
        reason = outcome.error or "no reason given"
        if outcome.status is not None:
            self._statuses[outcome.result, outcome.status] += 1
            reason = describe(outcome.status)
        self._reasons.setdefault(outcome.result, Reasons()).add(reason, outcome.path)

    def count(self, result: Result) -> int:
        """The number of outcomes with this result."""
        return self._counts[result]

    def by_result(self) -> dict[str, int]:
        """The number of outcomes with each result, by its name."""
        return {result.value: count for result, count in self._counts.items()}

    @property
    def stored(self) -> int:
        """Instances stored, with or without a warning."""
        return sum(self._counts[result] for result in HELD)

    @property
    def not_sent(self) -> int:
        """Files that were never completely sent."""
        return self._counts[Result.NOT_SENT]

    @property
    def done(self) -> int:
        """All outcomes so far."""
        return sum(self._counts.values())

    @property
    def settled(self) -> int:
        """All outcomes but the withdrawn."""
        return self.done - self.withdrawn

    @property
    def unstored(self) -> int:
        """Files that the SCP is not known to hold. A run has succeeded if all files are done and this is 0."""
        return self.not_sent + self._counts[Result.FAILED] + self._counts[Result.UNKNOWN]

    @property
    def attempted(self) -> bool:
        """Whether any instance was sent, in this run or, for skipped ones, in an earlier run."""
        return self._attempted or self.done > self.not_sent

    @property
    def statuses(self) -> Counter[int]:
        """How often the SCP answered each warning or failure."""
        statuses: Counter[int] = Counter()
        for (_, status), files in self._statuses.items():
            statuses[status] += files
        return statuses

    def reasons(self, result: Result) -> list[Group]:
        """Why files have this result, the most frequent kind of reason first."""
        return self._reasons[result].groups() if result in self._reasons else []

    def seconds(self, now: float) -> float:
        """The duration of the run until ``now``."""
        return max(0.0, now - self.started)

    def rate(self, now: float) -> Rate:
        """The average rate since the run began."""
        seconds = self.seconds(now)
        if not seconds:
            return Rate(0.0, 0.0)
        return Rate(self.stored / seconds, self.bytes / seconds)
