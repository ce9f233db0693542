"""What becomes of instances between the walk and their outcomes: no loop, and lanes that only remember."""

from types import SimpleNamespace

from asyncstore.errors import LinkLost
from asyncstore.model import Attempt, Result
from asyncstore.negotiation import Planned
from asyncstore.schedule.lanes import Lanes
from asyncstore.schedule.options import DispatchOptions
from asyncstore.schedule.retry import RetryOptions
from asyncstore.schedule.stock import Listener, Stock
from support import values
from support.fakes import SYNTAX, instance

LOST = LinkLost("peer:104", "reset")


class _Run:
    """A stock with one lane, whose association carries everything."""

    def __init__(self, **options):
        self.outcomes, self.reasons = [], []
        self.changes = 0
        self.now = 0.0
        lanes = Lanes()
        outlet = SimpleNamespace(put=self.outcomes.extend, put_one=self.outcomes.append)
        listener = Listener(
            changed=self._changed, probe=None, retry_later=lambda: None, halting=lambda: None, halt=self._halt
        )
        self.stock = Stock(DispatchOptions(**options), lanes, outlet, lambda: self.now, listener)
        self.lane = lanes.add()

    def _changed(self):
        self.changes += 1

    def _halt(self, reason):
        self.reasons.append(reason)
        self.stock.end(reason)

    def put(self, *instances):
        self.stock.found(instances)
        self.stock.put(list(instances))
        contexts = self.stock.contexts(self.stock.wanted())
        self.lane.opens(contexts, 1)
        accepted = {("1.1", SYNTAX): contexts[0].id}
        association = SimpleNamespace(accepted=accepted, results={}, data_bytes_sent=0, withdraw=list)
        self.lane.opened(association, Planned(), changes_everything=False)

    def attempted(self, one, status=None, error=None):
        self.stock.attempted(self.lane, one, Attempt(1, one.identity.sop_instance_uid, SYNTAX, 0.1, status), error)

    @property
    def results(self):
        return {outcome.path: outcome.result for outcome in self.outcomes}


def test_a_failure_halts_the_run_when_only_what_a_lane_gives_back_stands_behind_it():
    """A retried file comes out of its order: files behind it may be with an association already."""
    run = _Run(halt_on_failure=True, retry=RetryOptions(1))
    first, behind = instance(1), instance(2)
    run.put(first, behind)
    assert run.stock.take(run.lane, 1) == [first]
    run.attempted(first, error=LOST)
    assert run.stock.take(run.lane, 1) == [behind]
    run.now = 60.0
    run.stock.take_up_due()
    assert run.stock.take(run.lane, 1) == [first]
    run.stock.cannot_be_sent(run.lane, first, values.unsendable(first.path, "cannot be read", first.ordinal))
    run.stock.give_back(run.lane, [behind])
    assert run.reasons, "the run hangs"
    assert run.results == {first.path: Result.UNKNOWN, behind.path: Result.NOT_SENT}
    assert run.stock.unfinished == 0


def test_taking_wakes_others_only_where_it_makes_room_or_leaves_nothing():
    """Each lane that wakes looks at all that waits; and lanes take thousands of times a second."""
    run = _Run()
    run.put(*(instance(number) for number in range(5000)))
    assert run.stock.is_full
    put = run.changes
    while run.stock.is_full:
        assert run.changes == put
        run.stock.take(run.lane, 64)
    assert run.changes == put + 1
    while len(run.stock) > 1:
        run.stock.take(run.lane, min(64, len(run.stock) - 1))
    assert run.changes == put + 1
    run.stock.take(run.lane, 1)
    assert run.changes == put + 2
