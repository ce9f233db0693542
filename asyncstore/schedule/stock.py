"""The stock: the instances of a run from the walk to their outcomes. Lanes take from it and give back.

Rules:

1. Every file gets exactly one outcome. An attempt decides. An instance without an attempt stays in the backlog until it
   is sent, its pair is refused, or the run ends.
2. The gate (:mod:`asyncstore.schedule.gate`) is told of every instance that a lane took: when it ends, or when the lane
   gives it back.
3. The ledger (:mod:`asyncstore.schedule.ledger`) knows which files have no outcome yet, and which failure halts.
4. An instance that is tried again (:mod:`asyncstore.schedule.retry`) waits for its time beside the backlog, and has no
   outcome until then.

Nothing here waits: its owner opens associations, sends, and keeps the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation.selection import pairs_of
from asyncstore.protocol.status import SUCCESS
from asyncstore.schedule import outcome
from asyncstore.schedule.backlog import Backlog, pairs_needed
from asyncstore.schedule.batch_size import MOST_BYTES
from asyncstore.schedule.gate import Affinity, Gate
from asyncstore.schedule.ledger import HARMLESS, Ledger
from asyncstore.schedule.pair_demand import PairDemand
from asyncstore.schedule.retry import Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from asyncstore.errors import AssociationError
    from asyncstore.model import Attempt, Instance, Outcome
    from asyncstore.negotiation import Pair
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.schedule.lane import WorkingLane
    from asyncstore.schedule.lanes import Lanes
    from asyncstore.schedule.options import DispatchOptions
    from asyncstore.schedule.ports import Outlet

_INSTANCES = 4096
_BYTES = 1 << 32
"""Only descriptions wait in the backlog, some 500 bytes each. The bound on bytes keeps the walk near the sending where
files are large."""


class Listener(NamedTuple):
    """What the owner of a stock does when something has changed there."""

    changed: Callable[[], None]
    """There may be more to take, or room for more."""
    probe: Callable[[Instance], None] | None
    """Probe the file of this instance again, and take it up anew; ``None``: that cannot be done."""
    retry_later: Callable[[], None]
    """An instance waits for its next attempt."""
    halting: Callable[[], None]
    """Nothing behind a failure begins any more."""
    halt: Callable[[str], None]
    """End the run, for this reason."""


class Stock:
    """The instances of one run.

    Args:
        options: how the lanes work.
        lanes: the lanes of the run.
        outlet: where outcomes go.
        clock: the time in seconds, from any start.
        listener: what the owner does about changes.

    Attributes:
        retries: what is tried again.
        ended_for: why nothing new begins any more; ``None``: the run goes on.
    """

    def __init__(
        self, options: DispatchOptions, lanes: Lanes, outlet: Outlet, clock: Callable[[], float], listener: Listener
    ) -> None:
        self.retries = Retries(options.retry, clock)
        self.ended_for: str | None = None
        self._overlaps = options.overlaps
        self._lanes = lanes
        self._outlet = outlet
        self._listener = listener
        self._gate = None if options.affinity is Affinity.NONE else Gate(options.affinity)
        self._backlog = Backlog(_INSTANCES, _BYTES, self._gate)
        self._most = _INSTANCES
        self._demand = PairDemand(options.proposal)
        self._ledger = Ledger(halts=options.halt_on_failure)
        self._halt = self._ledger if options.halt_on_failure else None
        """The ledger, if a failed attempt halts the run."""

    def __len__(self) -> int:
        """How many instances a lane could take now, as far as is known."""
        return len(self._backlog)

    @property
    def unfinished(self) -> int:
        """How many files have no outcome yet."""
        return self._ledger.unfinished

    @property
    def is_full(self) -> bool:
        """Whether enough instances wait, in the backlog or for their next attempt."""
        return self._backlog.is_full or len(self.retries) >= self._most

    @property
    def is_empty(self) -> bool:
        """Whether no instance waits to be taken, or for others of its study."""
        return self._backlog.is_empty

    @property
    def is_halted(self) -> bool:
        """Whether a file that was not stored ended the run."""
        return self._ledger.is_halted

    # From the walk.

    def found(self, files: Collection[object]) -> None:
        """These files are to end in one outcome each."""
        self._ledger.found(files)

    def put(self, instances: list[Instance]) -> None:
        """Take in instances that were found."""
        if self.ended_for is not None:
            self.withdraw(instances, self.ended_for)
            return
        if self._ledger.first_failure is not None:
            instances = self._ledger.to_send(instances)
            self._halt_if_due()  # they were unfinished while they waited
        refused_before = self._demand.see(instances)
        self._backlog.put(instances)
        self.drop_refused(refused_before)
        self._listener.changed()

    def put_none(self, instances: list[Instance], reason: str) -> None:
        """These instances, which were found, come too late for ``reason``."""
        self.withdraw(self._ledger.to_send(instances), self.ended_for or reason)

    def refuse(self, unsendable: Collection[Unsendable]) -> None:
        """Take in files that cannot be sent."""
        self._ledger.found(unsendable)
        self._fail(map(outcome.of_unsendable, unsendable))

    def prioritise(self, key: str) -> int:
        """Let the study or patient with this Study Instance UID or Patient ID come first; how many of it wait."""
        return self._backlog.prioritise(key)

    def end(self, reason: str) -> None:
        """The run ends for ``reason``: nothing new begins, and what waits is withdrawn."""
        self.ended_for = reason
        withdrawn = self._backlog.clear() + self.retries.withdraw()
        for lane in self._lanes:
            withdrawn += lane.withdraw()
        self._settle(self._ledger.end(reason, [instance.found for instance in withdrawn]))

    # Again.

    def take_up_due(self) -> None:
        """Let instances whose time has come wait in the backlog again."""
        due = self.retries.due()
        if due:
            self._take_up(due)

    def take_up_anew(self, instance: Instance, found: Instance | Unsendable | None, aborted: str) -> None:
        """The file of ``instance`` was probed again.

        Args:
            instance: what it was.
            found: what it is; ``None``: that is not known.
            aborted: why it is not sent then.
        """
        if self.ended_for is not None or found is None:
            self.withdraw([instance], self.ended_for or aborted)
        elif isinstance(found, Unsendable):
            self._fail([outcome.of_unsendable(found)])
        else:
            self._demand.see([found])
            self._take_up([found])

    def _take_up(self, instances: list[Instance]) -> None:
        """Let these instances wait in the backlog again, before all others."""
        instances = self._ledger.to_send(instances)
        self._backlog.put_back(instances)
        self.drop_refused(pairs_needed(instances))
        self._halt_if_due()
        self._listener.changed()

    # Pairs and contexts.

    def wanted(self) -> list[Pair]:
        """The pairs that the next association is to carry, the most urgent first."""
        return self._demand.wanted(self._demand.urgent(self._backlog.by_age(), self._backlog.counts, self._lanes))

    def contexts(self, wanted: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts to propose for these pairs."""
        return self._demand.contexts(wanted)

    def calls_for_another(self, lane: WorkingLane) -> bool:
        """Whether waiting instances need another association than that of ``lane``."""
        return self._demand.call_for_another(lane, self._lanes, self._backlog.counts)

    def replaces(self, lane: WorkingLane) -> bool:
        """Whether ``lane`` replaces its association now. If so, others need not."""
        if self.calls_for_another(lane):
            self.let_replace(lane)
        return bool(lane.to_ask)

    def let_replace(self, lane: WorkingLane) -> None:
        """Let ``lane`` replace its association by one for the pairs that wait."""
        lane.to_ask = pairs_of(self.contexts(self.wanted()))

    @property
    def has_stranded(self) -> bool:
        """Whether instances wait for pairs that no association was asked for."""
        return self._demand.are_stranded(self._backlog.counts.keys(), self._lanes)

    def refuse_uncarried(self, lane: WorkingLane, pairs: Iterable[Pair] | None = None) -> None:
        """Refuse those of ``pairs`` that the association of ``lane`` was asked for and no lane carries.

        ``None``: the pairs of all instances that wait.
        """
        asked = self._backlog.counts.keys() if pairs is None else frozenset(pairs)
        for pair in self._demand.uncarried(asked, lane, self._lanes):
            self._drop(pair, self._demand.refuse(pair, lane.selection.why_not(pair)))

    def drop_refused(self, pairs: Iterable[Pair]) -> None:
        """Refuse instances that wait for refused pairs among ``pairs``, unless some association carries them."""
        for pair, reason in self._demand.refused(pairs, self._lanes).items():
            self._drop(pair, reason)

    def _drop(self, pair: Pair, reason: str) -> None:
        """Refuse the instances that wait for ``pair``."""
        self._fail(outcome.not_sent(one, reason) for one in self._backlog.remove(pair))
        self._listener.changed()

    # To lanes and back.

    def take(self, lane: WorkingLane, most: int) -> list[Instance]:
        """Let ``lane`` take up to so many instances that its association carries."""
        was_full = self.is_full
        taken = self._backlog.take(lane.selection, most, MOST_BYTES, lane, overlaps=self._overlaps)
        if taken and (self.is_empty or (was_full and not self.is_full)):
            self._listener.changed()
        return taken

    def give_back(self, lane: WorkingLane, instances: list[Instance]) -> None:
        """``lane`` gives back instances that have not begun."""
        self._leave(lane, instances)
        if self.ended_for is not None:
            self.withdraw(instances, self.ended_for)
        elif instances:
            self._backlog.put_back(self._ledger.to_send([instance.found for instance in instances]))
            self._halt_if_due()  # retried ones are out of order: these may stand behind the first failure
            self._listener.changed()

    def _leave(self, lane: WorkingLane, instances: Iterable[Instance], *, are_stored: bool = False) -> None:
        """``lane`` no longer has these instances: others may have waited for that."""
        if self._backlog.ended(instances, lane, is_stored=are_stored):
            self._listener.changed()

    # Outcomes.

    def attempted(
        self, lane: WorkingLane, instance: Instance, attempt: Attempt, error: AssociationError | Unsendable | None
    ) -> None:
        """``lane`` has tried to store ``instance``."""
        if attempt.status == SUCCESS:
            lane.answered += 1
            if self._gate is not None and self._gate.claims and self._gate.concerns(instance):
                self._leave(lane, [instance], are_stored=True)
            ended = outcome.stored(instance, attempt)
            self._outlet.put_one(self.retries.final(ended) if self.retries.tried else ended)
        elif not self._is_settled_in_vain(lane, instance, outcome.of_attempt(instance, attempt, error), error):
            return
        if self._ledger.settle(1):
            self._only_kept_is_left()

    def _is_settled_in_vain(
        self, lane: WorkingLane, instance: Instance, ended: Outcome, error: AssociationError | Unsendable | None
    ) -> bool:
        """An attempt was not answered with success. False: the instance is tried again."""
        if ended.status is not None:
            lane.answered += 1
        elif not self.retries.is_suspect(instance):
            lane.lost += 1
        if isinstance(error, Unsendable) and self._is_probed_again(lane, instance, error, ended):
            return False
        if self.ended_for is None and self.retries.again(instance.found, ended, error):
            self._leave(lane, [instance])
            self._listener.retry_later()
            return False
        ended = self.retries.final(ended)
        self._leave(lane, [instance], are_stored=ended.result in HARMLESS)
        if self._halt is not None and self._halt.ended(ended):
            self._begin_to_halt()
        self._outlet.put_one(ended)
        return True

    def cannot_be_sent(self, lane: WorkingLane, instance: Instance, problem: Unsendable) -> None:
        """``instance`` has its turn in the batch of ``lane``, and cannot be sent."""
        if not self._is_probed_again(lane, instance, problem):
            self._leave(lane, [instance])
            self._fail([outcome.not_sent(instance, problem.reason)])

    def _is_probed_again(
        self, lane: WorkingLane, instance: Instance, problem: Unsendable, ended: Outcome | None = None
    ) -> bool:
        """Whether the file of ``instance`` has changed and is probed again."""
        probe = self._listener.probe
        if probe is None or self.ended_for is not None or not self.retries.probes_again(problem, ended):
            return False
        self._leave(lane, [instance])
        probe(instance.found)
        return True

    def withdraw(self, instances: Iterable[Instance], reason: str) -> None:
        """These instances are not sent, for ``reason``."""
        self._settle([outcome.withdrawn(instance, reason) for instance in instances])

    def _fail(self, failures: Iterable[Outcome]) -> None:
        """Note failures of files that have not begun."""
        first_before = self._ledger.first_failure
        self._settle(self._ledger.refuse(failures))
        if self._ledger.first_failure != first_before:
            self._begin_to_halt()
            self._halt_if_due()

    def _begin_to_halt(self) -> None:
        """There is a new first failure: nothing behind it begins any more."""
        waiting = self._backlog.clear() + self.retries.withdraw()
        for lane in self._lanes:
            withdrawn = lane.withdraw()
            self._backlog.ended(withdrawn, lane, is_stored=False)
            waiting += withdrawn
        self._backlog.put_back(self._ledger.to_send([instance.found for instance in waiting]))
        self._listener.halting()

    def _settle(self, outcomes: Collection[Outcome]) -> None:
        """Hand on the outcomes of files that are finished."""
        if outcomes:
            self._outlet.put([self.retries.final(one) for one in outcomes] if self.retries.tried else outcomes)
        if self._ledger.settle(len(outcomes)):
            self._only_kept_is_left()

    def _only_kept_is_left(self) -> None:
        """All unfinished files are in the ledger's keeping."""
        self._halt_if_due()
        if self._ledger.unfinished == 0:
            self._listener.changed()

    def _halt_if_due(self) -> None:
        """End the run if the turn of the first failure has come."""
        if self._ledger.is_due:
            self._settle(self._ledger.turn())
            self._listener.halt(self._ledger.reason)
